"""One question a look; what else must be known of a job is asked once, when it is new, and only where that matters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cleanhours.domain.times import instant_of
from cleanhours.testing.clocks import FakeClock
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.looking import Looking
from cleanhours_plugins.clusters.slurm.site import Site
from cleanhours_plugins.clusters.slurm.tagging import written
from tests.unit.plugins.clusters.slurm import test_asking, test_details
from tests.unit.plugins.clusters.slurm.made import NOW, a_plan, settings, tag

GPUS = "fr1\x1fde\x1ffr\x1f64\x1f512000\x1fgpu:a100:4\x1fidle\n"
NO_GPUS = GPUS.replace("gpu:a100:4", "(null)")


@dataclass
class Shown(Slurm):
    """A Slurm that shows these jobs, each with its details; who is `gone` is not known any more when details are asked."""

    jobs: list[Mapping[str, str]] = field(default_factory=list)
    details: dict[str, Mapping[str, str]] = field(default_factory=dict)
    nodes: str = GPUS
    gone: set[str] = field(default_factory=set)
    asked: list[Sequence[str]] = field(default_factory=list)

    def ask(self, program: str, *arguments: str, patience_s: float = 0) -> str:
        del patience_s
        if program != "squeue":
            return self.nodes if program == "sinfo" else ""
        words = dict(word.partition("=")[::2] for word in arguments)
        if "--Format" in words:
            numbers = words["--jobs"].split(",")
            self.asked.append(numbers)
            return "".join(
                test_details.line(id=number, **self.details.get(number, {}))
                for number in numbers
                if number not in self.gone
            )
        nonce = re.search(r"\x1e([0-9a-f]+)\x1f", words.get("--format", ""))
        return "" if nonce is None else "".join(test_asking.record(nonce[1], **job) for job in self.jobs)


def looking(slurm: Shown) -> Looking:
    of_all = replace(settings(), everybody=True)
    return Looking(slurm, Site(slurm), of_all, FakeClock(instant_of(NOW)))


def ours(number: str, *, planned: bool = True, **changed: str) -> dict[str, str]:
    comment = written(tag(plan=a_plan(NOW) if planned else None))
    return {"full_id": number, "base": number, "partition": "de", "comment": comment, **changed}


def look_again(at: Looking) -> None:
    at.doubt()
    assert at.look()


def by_id(seens: Mapping[str, Seen]) -> dict[str, int]:
    return {one.id: one.gpus for one in seens.values()}


def test_between_two_looks_nothing_is_asked() -> None:
    at = looking(Shown(jobs=[ours("1")]))

    assert [True, False] == [at.look(), at.look()]
    look_again(at)


def test_gpus_that_are_not_shown_are_asked_for_once_of_ours_and_of_what_runs() -> None:
    runs = {"full_id": "3", "base": "3", "state": "RUNNING", "node_list": "fr1"}
    slurm = Shown(
        jobs=[ours("1"), ours("2", gres="gres:gpu:1"), runs, {"full_id": "4", "base": "4"}],
        details={"1": {"by_job": "gres:gpu:4"}, "3": {"by_task": "gres:gpu:2", "tasks": "3"}},
    )
    at = looking(slurm)

    for _ in range(3):
        look_again(at)
        assert {"1": 4, "2": 1, "3": 6, "4": 0} == by_id(at.queue)
        assert {"1": 4, "2": 1} == {one.seen.id: one.seen.gpus for one in at.known.values()}
    assert [["1", "3"]] == slurm.asked
    slurm.jobs.append(ours("5"))
    for _ in range(2):
        look_again(at)
    assert [["1", "3"], ["5"]] == slurm.asked


def test_where_there_are_no_gpus_nobody_asks() -> None:
    slurm = Shown(jobs=[ours("1")], nodes=NO_GPUS)
    at = looking(slurm)
    look_again(at)

    assert (["1"], []) == ([one.seen.id for one in at.known.values()], slurm.asked)


def test_a_job_that_another_tagged_is_known_with_its_deadline_until_it_has_a_plan() -> None:
    slurm = Shown(
        jobs=[ours("1", planned=False)],
        nodes=NO_GPUS,
        details={"1": {"deadline": "1795402560", "requeue": "0"}},
    )
    at = looking(slurm)
    for _ in range(2):
        look_again(at)
        (known,) = at.known.values()
        assert (1795402560, False) == (known.tag.killed_at, known.tag.requeues)

    assert [["1"]] == slurm.asked


def test_who_is_gone_before_he_could_be_asked_about_is_left_out() -> None:
    slurm = Shown(jobs=[ours("1", planned=False), ours("2")], nodes=NO_GPUS, gone={"1"})
    at = looking(slurm)
    look_again(at)

    assert ["2"] == [one.seen.id for one in at.known.values()]
    slurm.gone.clear()
    look_again(at)
    assert ["1", "2"] == [one.seen.id for one in at.known.values()]


def test_what_nobody_changed_is_the_same_look_after_look() -> None:
    at = looking(Shown(jobs=[ours("1")], details={"1": {"by_job": "gres:gpu:4"}}))
    look_again(at)
    (before,) = at.known.values()
    look_again(at)

    assert [before] == list(at.known.values())
    assert before is next(iter(at.known.values()))
