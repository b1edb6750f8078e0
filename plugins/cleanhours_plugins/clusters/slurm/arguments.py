"""sbatch's own words: what of its options and of a script's first lines we must know about. Pure, standard library only.

Nothing is changed or passed on from here; Slurm itself reads them. See `man sbatch`; options of 22.05 to 26.05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_SHORT_WITH_VALUE: Final = frozenset("aAbBcCdDeFGiJLmMnNopqStwx")
_SHORT_NAMES: Final = {
    "D": "chdir",
    "H": "hold",
    "M": "clusters",
    "Q": "quiet",
    "W": "wait",
    "p": "partition",
}
_FLAGS: Final = frozenset({
    "consolidate-segments", "contiguous", "exclusive", "get-user-env", "help", "hold", "ignore-pbs", "nice", "no-bell",
    "no-kill", "no-requeue", "no-shell", "oom-kill-step", "overcommit", "oversubscribe", "parsable", "propagate", "quiet",
    "reboot", "requeue", "resv-ports", "share", "spread-job", "spread-segments", "stepmgr", "test-only", "usage",
    "use-min-nodes", "verbose", "version", "wait",
})  # fmt: skip
"""Options that take no value, or one only behind `=`."""
_WITH_VALUE: Final = frozenset({
    "account", "acctg-freq", "array", "batch", "bb", "bbf", "begin", "chdir", "cluster", "clusters", "cluster-constraint",
    "comment", "constraint", "container", "container-id", "container-type", "core-spec", "cores-per-socket", "cpu-freq",
    "cpus-per-gpu", "cpus-per-task", "deadline", "delay-boot", "dependency", "distribution", "error",
    "exclude", "export", "export-file", "extra", "extra-node-info", "gid", "gpu-bind", "gpu-freq", "gpus",
    "gpus-per-node", "gpus-per-socket", "gpus-per-task", "gres", "gres-flags", "hint", "input", "job-name",
    "kill-on-invalid-dep", "licenses", "mail-type", "mail-user", "mcs-label", "mem", "mem-bind", "mem-per-cpu",
    "mem-per-gpu", "mem-update", "mincpus", "network", "nodefile", "nodelist", "nodes", "ntasks", "ntasks-per-core",
    "ntasks-per-gpu", "ntasks-per-node", "ntasks-per-socket", "open-mode", "output", "partition", "power", "prefer",
    "priority", "profile", "qos", "reservation", "resources", "segment", "signal", "sockets-per-node", "spank", "switches", "tasks",
    "tasks-per-node", "thread-spec", "threads-per-core", "time", "time-min", "tmp", "tres-bind", "tres-per-job",
    "tres-per-task", "uid", "wait-all-nodes", "wckey", "wrap",
})  # fmt: skip
_KNOWN: Final = sorted(_FLAGS | _WITH_VALUE)
_BEGINS: Final = "#SBATCH"
_ANOTHERS: Final = "#PBS"
"""Of these lines sbatch reads some options too, and holds a job for `-h`."""
_OURS: Final = "#CARBON"
_HELD: Final = "pbs-hold"
_BLANK: Final = " \t\n\v\f\r"
_NEXT_PART: Final = frozenset({"hetjob", "packjob"})


_VARIABLES: Final = {
    "SBATCH_CLUSTER_CONSTRAINT": "cluster-constraint", "SBATCH_IGNORE_PBS": "ignore-pbs", "SBATCH_PARTITION": "partition",
}  # fmt: skip
"""Of sbatch's input variables, those that say what matters here."""
_SCRIPT: Final = "the script"
_QUESTIONS: Final = frozenset({"h", "help", "u", "usage", "V", "version"})


@dataclass(frozen=True, slots=True)
class Said:
    """What matters to us of an invocation: the options it names, the clusters (`-M`), the script's file."""

    options: frozenset[str] = frozenset()
    clusters: str = ""
    script: str | None = None

    @property
    def parsable(self) -> bool:
        return "parsable" in self.options

    @property
    def quiet(self) -> bool:
        return "quiet" in self.options

    @property
    def held(self) -> bool:
        return "hold" in self.options or (_HELD in self.options and not self.ignores_pbs)

    @property
    def ignores_pbs(self) -> bool:
        return "ignore-pbs" in self.options

    @property
    def tries(self) -> bool:
        """Whether Slurm is only asked if and when it would start."""
        return "test-only" in self.options

    @property
    def anothers(self) -> bool:
        """Whether it is submitted as another user, whose job we could not let go."""
        return not self.options.isdisjoint({"uid", "gid"})

    @property
    def moves(self) -> bool:
        """Whether it goes to another folder first, in which the script is then looked for."""
        return "chdir" in self.options

    @property
    def asks(self) -> bool:
        """Whether it is a question about sbatch itself, which reads no script."""
        return not self.options.isdisjoint(_QUESTIONS)

    @property
    def placed(self) -> bool:
        """Whether it names a partition itself."""
        return "partition" in self.options

    @property
    def clustered(self) -> bool:
        """Whether it names the clusters of its federation itself."""
        return "cluster-constraint" in self.options

    def __or__(self, other: Said) -> Said:
        return Said(
            self.options | other.options, self.clusters or other.clusters, self.script or other.script
        )


def read_environment(environment: Mapping[str, str]) -> Said:
    """What variables say in place of options."""
    found = frozenset(name for variable, name in _VARIABLES.items() if variable in environment)
    return Said(found)


def read_arguments(arguments: Sequence[str]) -> Said:
    """The options before the script, of every part of a heterogeneous job. Options nobody knows yet are skipped."""
    found = dict(_options(arguments))
    script = found.pop(_SCRIPT, None)
    return Said(frozenset(found), found.get("clusters", found.get("cluster", "")), script)


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(arguments)
    for word in rest:
        if word == ":":
            continue
        if word == "--" or not word.startswith("-") or word == "-":
            yield _SCRIPT, next(rest, "") if word == "--" else word
            return
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            whole = _whole(name)
            yield whole, value if equals or whole not in _WITH_VALUE else next(rest, "")
            continue
        for place, letter in enumerate(word[1:], 2):
            name = _SHORT_NAMES.get(letter, letter)
            if letter in _SHORT_WITH_VALUE:
                yield name, word[place:] or next(rest, "")
                break
            yield name, ""


def _whole(name: str) -> str:
    """The option that a shortened name means; itself where it means none or several."""
    if name in _FLAGS or name in _WITH_VALUE:
        return name
    found = [known for known in _KNOWN if known.startswith(name)]
    return found[0] if len(found) == 1 else name


def read_script(text: str) -> tuple[Said, str]:
    """The options of a script's `#SBATCH` lines, and the words of its `#CARBON` lines: those before its first command."""
    said = Said()
    arguments: list[str] = []
    words = []
    for line in text.split("\n"):
        stripped = line.strip(_BLANK)
        if stripped and not stripped.startswith("#"):
            break
        if line.startswith(_BEGINS):
            more = _split(line[len(_BEGINS) :])
            if _NEXT_PART.isdisjoint(more):
                arguments += more
            else:
                said |= read_arguments(arguments)
                arguments = []
        elif line.startswith(_ANOTHERS) and "-h" in _split(line[len(_ANOTHERS) :]):
            said |= Said(frozenset({_HELD}))
        elif line.startswith(_OURS) and line[len(_OURS) :][:1] in _BLANK:
            words.append(line[len(_OURS) :].partition(" #")[0].strip(_BLANK))
    return said | read_arguments(arguments), " ".join(filter(None, words))


def _split(line: str) -> list[str]:
    """The arguments on a line as sbatch takes them apart: quotes, backslashes, and a comment after a `#` (opt.c)."""
    found: list[str] = []
    argument: list[str] | None = None
    quote = ""
    escaped = False
    for letter in line:
        if letter in _BLANK and not quote:
            found += [] if argument is None else ["".join(argument)]
            argument, escaped = None, False
            continue
        if letter == "#" and not quote and not escaped:
            break
        argument = [] if argument is None else argument
        if escaped or letter not in {"\\", quote or '"', quote or "'"}:
            argument.append(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            quote = "" if quote else letter
    return found if argument is None else [*found, "".join(argument)]
