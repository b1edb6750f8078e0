"""sbatch's own words: the options that matter to us are found where sbatch finds them, and nowhere else."""

from __future__ import annotations

import pytest

from cleanhours_plugins.clusters.slurm.arguments import Said, read_arguments, read_environment, read_script


def options(*arguments: str) -> set[str]:
    return set(read_arguments(arguments).options)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "de"],
        ["-pde"],
        ["--partition", "de"],
        ["--partition=de"],
        ["--part=de"],
        ["--part", "de"],
        ["-Hpde"],
        ["-H", "-p", "de", "job.sh"],
        ["-n", "4", "-p", "de"],
        ["-n4", "-t1", "-pde"],
        ["--exclusive", "-p", "de"],
        ["--exclusive=user", "-p", "de"],
        ["--requeue", "-p", "de"],
        ["-k", "-p", "de"],
        ["-n1", ":", "-p", "de"],
        ["--some-day-there-is", "-p", "de"],
        ["--some-day-there-is=x", "-p", "de"],
    ],
)
def test_a_partition_is_named_in_each_of_getopt_s_forms(arguments: list[str]) -> None:
    assert read_arguments(arguments).placed


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["job.sh", "-p", "de"],
        ["--", "-p", "de"],
        ["-", "-p", "de"],
        ["--wrap", "-p de"],
        ["--wrap=echo -p de"],
        ["-J", "-p"],
        ["-J-p", "job.sh"],
        ["--comment", "--partition=de"],
        ["-J", "--partition=de", "job.sh", "-p", "fr"],
        # of several options so shortened getopt takes none
        ["--pa=de"],
    ],
)
def test_what_belongs_to_the_script_or_to_another_option_names_no_partition(arguments: list[str]) -> None:
    assert not read_arguments(arguments).placed


@pytest.mark.parametrize(
    ("arguments", "parsable", "quiet", "held"),
    [
        (["--parsable"], True, False, False),
        (["--pars"], True, False, False),
        (["-Q"], False, True, False),
        (["--quiet", "-W"], False, True, False),
        (["-H"], False, False, True),
        (["-WQH"], False, True, True),
        (["--hold", "--parsable", "-Q"], True, True, True),
        (["job.sh", "--hold", "--parsable", "-Q"], False, False, False),
        (["-J", "--hold"], False, False, False),
        (["--hol"], False, False, True),
        (["-oH"], False, False, False),
        (["-sH"], False, False, True),
        ([":", "-H"], False, False, True),
    ],
)
def test_who_prints_how_and_who_holds_is_told_from_its_flags(
    arguments: list[str], parsable: bool, quiet: bool, held: bool
) -> None:
    said = read_arguments(arguments)

    assert (parsable, quiet, held) == (said.parsable, said.quiet, said.held)


@pytest.mark.parametrize(
    ("arguments", "clusters"),
    [
        (["-M", "alpha,beta"], "alpha,beta"),
        (["-Malpha"], "alpha"),
        (["--clusters=beta"], "beta"),
        (["--cluster", "beta"], "beta"),
        (["-M", "alpha", "-M", "beta"], "beta"),
        (["--cluster-constraint=x"], ""),
        ([], ""),
    ],
)
def test_clusters_are_those_of_the_last_option_that_names_some(arguments: list[str], clusters: str) -> None:
    assert clusters == read_arguments(arguments).clusters


def test_an_option_without_its_value_is_sbatch_s_to_refuse() -> None:
    assert {"partition"} == options("-p")
    assert {"partition"} == options("--partition")


def test_what_the_command_line_says_stands_before_what_the_script_says() -> None:
    said = Said(frozenset({"hold"}), "alpha") | Said(frozenset({"quiet"}), "beta")

    assert Said(frozenset({"hold", "quiet"}), "alpha") == said
    assert "beta" == (Said() | Said(clusters="beta")).clusters


@pytest.mark.parametrize(
    ("arguments", "script"),
    [
        (["-p", "de", "job.sh", "-H"], "job.sh"),
        (["-pde", "--", "-odd.sh"], "-odd.sh"),
        (["-n1", ":", "-n2", "job.sh"], "job.sh"),
        (["-"], "-"),
        (["--"], ""),
        (["-p", "de"], None),
        (["--wrap", "job.sh"], None),
    ],
)
def test_the_script_is_the_first_word_that_is_no_option(arguments: list[str], script: str | None) -> None:
    assert script == read_arguments(arguments).script


def test_who_names_the_clusters_of_a_federation_is_bound_to_them() -> None:
    assert read_arguments(["--cluster-constraint=fast"]).clustered
    assert not read_arguments(["-M", "alpha"]).clustered


def test_a_script_s_lines_count_before_its_first_command() -> None:
    said, words = read_script(
        "#!/bin/bash\n"
        "#SBATCH -p de\n"
        "\n"
        "   # any other comment, and a blank line\n"
        "#CARBON max-delay=12h\n"
        "#SBATCH -t 30 -H\n"
        "#CARBON locations=de,fr interruptible\n"
        "echo a command\n"
        "#SBATCH --quiet\n"
        "#CARBON deadline=+1h\n"
    )

    assert {"partition", "t", "hold"} == said.options
    assert "max-delay=12h locations=de,fr interruptible" == words


@pytest.mark.parametrize(
    "script",
    [
        "",
        "\n\n",
        "echo first\n#CARBON max-delay=12h\n#SBATCH -H\n",
        "#!/bin/sh\ncat <<END\n#CARBON max-delay=12h\n#SBATCH -H\nEND\n",
        "#!/bin/sh\n : \n#CARBON max-delay=12h\n#SBATCH -H\n",
        "#!/bin/sh\n #CARBON max-delay=12h\n #SBATCH -H\n",
        "#!/bin/sh\n##CARBON max-delay=12h\n##SBATCH -H\n",
        "#!/bin/sh\n# CARBON max-delay=12h\n# SBATCH -H\n",
        "#!/bin/sh\n#carbon max-delay=12h\n#sbatch -H\n",
        "#!/bin/sh\n#CARBONARA max-delay=12h\n",
        "#!/bin/sh\n# a form feed begins no line\x0c#SBATCH -H\x85#CARBON max-delay=12h\n",
    ],
)
def test_where_they_do_not_count_there_are_none(script: str) -> None:
    assert (Said(), "") == read_script(script)


def test_lines_that_end_as_on_windows_say_the_same() -> None:
    assert (Said(frozenset({"hold"})), "max-delay=12h") == read_script(
        "#!/bin/sh\r\n#SBATCH --hold\r\n\r\n#CARBON max-delay=12h\r\ntrue\r\n"
    )


def test_words_may_have_a_comment_behind_them() -> None:
    assert "max-delay=12h" == read_script("#CARBON\tmax-delay=12h   # tonight\n")[1]
    assert "" == read_script("#CARBON # nothing yet\n#CARBON\n")[1]


@pytest.mark.parametrize(
    "line",
    [
        "--hold",
        "\t--hold",
        "-p de --hold",
        '-J "a job" --hold',
        "-J 'a \"job' --hold",
        '-J "a \\" job" --hold',
        "-J a\\#job --hold",
        "--hold # its owner's",
        "--hold#",
        "--ho\\ld",
        '"--hold"',
    ],
)
def test_a_script_holds_its_job_itself(line: str) -> None:
    assert read_script(f"#!/bin/sh\n#SBATCH {line}\ntrue\n")[0].held


@pytest.mark.parametrize(
    "line",
    [
        '--comment="do not --hold me"',
        "--comment='do not --hold me'",
        '-J "not -H" -p de',
        "-J job # --hold",
        "-J job#1 --hold",
        "--comment --hold",
        "--comment\n#SBATCH --hold",
        "--holder",
    ],
)
def test_a_script_that_only_speaks_of_holding_does_not(line: str) -> None:
    assert not read_script(f"#!/bin/sh\n#SBATCH {line}\ntrue\n")[0].held


def test_each_part_of_a_heterogeneous_job_has_its_own_lines() -> None:
    said, _ = read_script("#!/bin/sh\n#SBATCH -n1 -pde\n#SBATCH hetjob\n#SBATCH -n2 --hold\ntrue\n")

    assert {"n", "partition", "hold"} == said.options


@pytest.mark.parametrize(
    ("script", "held"),
    [
        ("#PBS -h\n", True),
        ("#PBS -l nodes=1 -h -N name\n", True),
        ("#PBS -N h\n", False),
        ("#SBATCH --ignore-pbs\n#PBS -h\n", False),
    ],
)
def test_sbatch_reads_a_hold_of_pbs_too(script: str, held: bool) -> None:
    assert held is read_script(f"#!/bin/sh\n{script}true\n")[0].held


@pytest.mark.parametrize("argument", ["-h", "--help", "-V", "--version", "--usage", "-Vt5"])
def test_a_question_about_sbatch_itself_is_one(argument: str) -> None:
    assert read_arguments([argument]).asks
    assert not read_arguments(["-t", "5", "job.sh", argument]).asks


@pytest.mark.parametrize("argument", ["--uid=ada", "--gid=lab", "--ui=ada"])
def test_who_submits_as_another_is_known(argument: str) -> None:
    assert read_arguments([argument, "job.sh"]).anothers
    assert not read_arguments(["job.sh", argument]).anothers


def test_variables_say_what_options_say() -> None:
    said = read_environment({"SBATCH_PARTITION": "de", "SBATCH_IGNORE_PBS": "", "SBATCH_ACCOUNT": "lab"})

    assert (True, True, False) == (said.placed, said.ignores_pbs, said.clustered)
    assert read_environment({"SBATCH_CLUSTER_CONSTRAINT": "fr"}).clustered
