"""`job_submit.lua`: who opts in, what is never touched, when and where a job starts, and what is written on it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cleanhours_plugins.clusters.slurm.tagging import read, split_comment
from tests.unit.deploy.lua import (
    HOUR,
    LEFT_ALONE,
    NOW,
    PLAN,
    UNLIMITED,
    UNSET,
    Lua,
    begin,
    words_of,
)

pytestmark = pytest.mark.integration


# -- who opts in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job",
    [
        {"comment": "cleanhours"},
        {"comment": "my run cleanhours"},
        {"comment": "first line\ncleanhours"},
        {"comment": "cleanhours:max-delay=12h"},
        {"partition": "green"},
        {"partition": "green,leaf"},
        {"qos": "green"},
        {"default_qos": "green"},
        {"account": "climate"},
        {"default_account": "climate"},
    ],
    ids=str,
)
def test_a_job_opts_in_by_comment_partition_qos_or_account(lua: Lua, job: dict[str, Any]) -> None:
    assert 200 == begin(lua.submit(**job))


@pytest.mark.parametrize(
    "job",
    [
        {},
        {"comment": "cleanhoursome"},
        {"comment": "not,cleanhours"},
        {"partition": "de"},
        {"partition": "green,fr"},
        {"qos": "normal", "default_qos": "green"},
        {"account": "physics", "default_account": "climate"},
    ],
    ids=str,
)
def test_a_job_that_did_not_opt_in_is_left_alone(lua: Lua, job: dict[str, Any]) -> None:
    assert LEFT_ALONE == lua.submit(**job)


@pytest.mark.parametrize(
    "comment",
    [
        "cleanhours:off",
        "cleanhours cleanhours:off",
        f"cleanhours:v1;submitted={NOW};home=de;max-delay=6h",
        f"mine cleanhours cleanhours:v1;submitted={NOW}",
        "glued,cleanhours:v1;submitted=1",
        "cleanhours:",
        "cleanhours:deadline=+8h",
        "cleanhours:max-delay=6",
        "cleanhours:max-delay=1h30m",
        "cleanhours:max-delay=-6h",
        "cleanhours:max-delay=6h;interruptible",
        "cleanhours:max-delay=999d",
    ],
)
def test_a_word_that_is_not_for_here_leaves_the_job_alone_even_in_an_opted_in_partition(
    lua: Lua, comment: str
) -> None:
    assert LEFT_ALONE == lua.submit(comment=comment, partition="green")


def test_a_partition_or_qos_may_have_a_delay_of_its_own_and_the_shortest_holds(lua: Lua) -> None:
    plan = PLAN.replace("optin partition green", f"optin partition green {7 * HOUR}").replace(
        "optin qos green", f"optin qos green {6 * HOUR}"
    )

    found = lua.submit_all(
        [
            {"partition": "green"},
            {"partition": "leaf"},
            {"partition": "leaf,green"},
            {"qos": "green", "partition": "green"},
            {"comment": "cleanhours", "partition": "green"},
            {"comment": "cleanhours:max-delay=1d", "partition": "green"},
        ],
        plan,
    )

    assert [100, 200, 100, 100, 100, 200] == [begin(one) for one in found]
    assert ["25200s", "43200s", "25200s", "21600s", "25200s", "86400s"] == [
        words_of(one.set["comment"])["max-delay"] for one in found
    ]


# -- what is never touched --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "job",
    [
        {"without": ["script"]},
        {"priority": 0},
        {"begin_time": NOW + 5},
        {"begin_time": NOW - 5},
        {"reservation": "maintenance"},
        {"cron_job": True},
        {"het_job_offset": 0},
        {"het_job_offset": 1},
        {"time_limit": UNSET},
        {"time_limit": UNLIMITED},
        {"time_limit": 0},
        {"without": ["time_limit"]},
        {"script": "#!/bin/sh\n#SBATCH --deadline=now+8hours\n"},
        {"script": "#!/bin/sh\n#SBATCH -N1 --dead now+8hours\n"},
        {"script": "#!/bin/sh\n#CARBON deadline=+8h\n"},
        {"environment": {"CLEANHOURS_JOB": "max-delay=1h"}},
        {"comment": "cleanhours " + "x" * 1000},
    ],
    ids=lambda job: str(job)[:60],
)
def test_some_jobs_are_never_touched(lua: Lua, job: dict[str, Any]) -> None:
    assert LEFT_ALONE == lua.submit(**({"comment": "cleanhours"} | job))


def test_what_looks_like_a_deadline_and_is_none_does_not_keep_a_job_out(lua: Lua) -> None:
    script = "#!/bin/sh\n#SBATCH --dependency=singleton --delay-boot=1\ntrain --deadline=3 # a deadline\n"

    assert 200 == begin(lua.submit(comment="cleanhours", script=script))


def test_a_job_that_depends_on_another_is_only_handed_to_the_controller(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", dependency="afterok:12", partition="de,fr")

    assert ["comment"] == list(found.set)
    assert "cleanhours: is planned when what it depends on has ended" in found.said[0]


def test_a_job_array_is_one_job(lua: Lua) -> None:
    assert 200 == begin(lua.submit(comment="cleanhours", array_inx="0-9%2"))


# -- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "minutes", "expected"),
    [
        ("cleanhours", 1, 200),
        ("cleanhours", 60, 200),
        ("cleanhours", 61, 300),
        ("cleanhours", 240, 300),
        ("cleanhours", 241, None),
        ("cleanhours:max-delay=12h", 60, 200),
        ("cleanhours:max-delay=719m", 60, 100),
        ("cleanhours:max-delay=6h", 60, 100),
        ("cleanhours:max-delay=359m", 60, None),
        ("cleanhours:max-delay=2d", 60, 200),
        ("cleanhours:max-delay=6h", 61, None),
        ("cleanhours:max-delay=0h", 60, None),
    ],
)
def test_the_row_is_of_the_shortest_duration_and_the_longest_delay_that_fit(
    lua: Lua, comment: str, minutes: int, expected: int | None
) -> None:
    assert expected == begin(lua.submit(comment=comment, time_limit=minutes))


def test_without_a_delay_of_its_own_or_of_the_site_a_job_is_left_alone(lua: Lua) -> None:
    plan = PLAN.replace(f"delay {12 * HOUR}\n", "")

    assert LEFT_ALONE == lua.submit(plan, comment="cleanhours")
    assert 200 == begin(lua.submit(plan, comment="cleanhours:max-delay=1d"))


def test_a_start_that_is_past_delays_nothing_and_is_planned_on(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", now=NOW + 200)

    assert ["comment"] == list(found.set)
    assert ("cleanhours: need not wait in de",) == found.said


def test_no_job_waits_longer_than_it_may_whatever_the_plan_says(lua: Lua) -> None:
    plan = PLAN.replace(str(NOW + 200), str(NOW + 12 * HOUR + 1)).replace(str(NOW + 100), str(NOW + 6 * HOUR))

    assert 6 * HOUR == begin(lua.submit(plan, comment="cleanhours"))


def test_rows_are_chosen_as_an_oracle_chooses_them(lua: Lua) -> None:
    dice = random.Random(22)
    rows = [
        (dice.randrange(1, 9) * 900, dice.randrange(1, 9) * 3600, NOW + dice.randrange(1, 9 * 3600), dice.choice(("de", "fr")))
        for _ in range(300)
    ]  # fmt: skip
    plan = PLAN.partition("start ")[0] + "".join(f"start {d} {w} {s} {place}\n" for d, w, s, place in rows)
    jobs = [
        (dice.randrange(1, 150), dice.randrange(1, 600), dice.choice(("de", "fr", "de,fr")))
        for _ in range(400)
    ]

    found = lua.submit_all(
        [
            {"comment": f"cleanhours:max-delay={delay}m", "time_limit": limit, "partition": places}
            for limit, delay, places in jobs
        ],
        plan,
    )

    for (limit, delay, places), outcome in zip(jobs, found, strict=True):
        fitting = [
            row
            for row in rows
            if row[0] >= limit * 60
            and row[1] <= delay * 60
            and row[2] <= NOW + delay * 60
            and row[3] in places
        ]
        best = min(fitting, key=lambda row: (row[0], -row[1]), default=None)

        assert (None if best is None else best[2] - NOW) == begin(outcome)


# -- where ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "home", "expected"),
    [
        ({}, "de", 200),
        ({"partition": "any"}, "de", 200),
        ({"partition": "fr"}, "fr", 400),
        ({"features": "seine"}, "fr", 400),
        ({"features": "bigmem&seine"}, "fr", 400),
        ({"features": "[seine|rhine]"}, "fr", 400),
        ({"partition": "de", "features": "seine"}, "de", 200),
        ({"clusters": "west"}, "fr", 400),
        ({"clusters": "east"}, "de", 200),
    ],
    ids=str,
)
def test_a_job_is_planned_where_it_would_run(lua: Lua, job: dict[str, Any], home: str, expected: int) -> None:
    found = lua.submit(comment="cleanhours", **job)

    assert (expected, home) == (begin(found), words_of(found.set["comment"])["home"])
    assert {"begin_time", "comment"} == set(found.set)


def test_the_usual_partition_tells_where_a_job_is_that_names_none(lua: Lua) -> None:
    found = lua.submit(PLAN.replace("partition fr", "partition any"), comment="cleanhours")

    assert 400 == begin(found)


def test_nobody_knows_where_a_job_is_when_the_plan_has_no_home(lua: Lua) -> None:
    plan = PLAN.replace("home de\n", "")

    assert LEFT_ALONE == lua.submit(plan, comment="cleanhours")
    assert 200 == begin(lua.submit(plan, comment="cleanhours", partition="de"))


def test_of_several_partitions_the_best_place_comes_first_and_none_is_dropped(lua: Lua) -> None:
    plan = PLAN.replace(
        f"start {HOUR} {12 * HOUR} {NOW + 200} de", f"start {HOUR} {11 * HOUR} {NOW + 200} de"
    )

    found = lua.submit(plan, comment="cleanhours", partition="any,de,fr", features="bigmem")

    assert ("fr,any,de", 400) == (found.set["partition"], begin(found))
    assert {
        "submitted": str(NOW),
        "home": "de",
        "max-delay": "43200s",
        "locations": "de,fr",
        "partition": "any,de,fr",
        "features": "bigmem",
    } == words_of(found.set["comment"])


def test_of_rows_that_are_alike_the_first_of_the_file_is_taken(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours", partition="fr,de")

    assert ("de,fr", 200) == (found.set["partition"], begin(found))


def test_a_partition_that_the_user_may_not_use_is_no_place_for_the_job(lua: Lua) -> None:
    plan = PLAN.replace("partition fr", "partition closed")

    found = lua.submit(plan, comment="cleanhours", partition="closed,de")

    assert (200, {"begin_time", "comment"}) == (begin(found), set(found.set))


# -- what is written --------------------------------------------------------------------------------------------------


def test_the_tag_stands_behind_the_owners_text_and_the_controller_reads_it(lua: Lua) -> None:
    comment = lua.submit(comment="α run; 7 cleanhours", partition="de,fr").set["comment"]

    own, fields = split_comment(comment)
    assert f"α run; 7 cleanhours cleanhours:v1;submitted={NOW};home=de;max-delay=43200s;" in comment
    assert "α run; 7 cleanhours" == own
    assert fields is not None
    tag = read(fields, {})
    assert (NOW, "de", "de,fr") == (tag.submitted, tag.home, tag.partition)
    assert {"max-delay": "43200s", "locations": "de,fr"} == tag.words


def test_a_job_without_a_comment_gets_the_tag_alone(lua: Lua) -> None:
    found = lua.submit(partition="green")

    assert f"cleanhours:v1;submitted={NOW};home=de;max-delay=43200s" == found.set["comment"]


def test_a_name_is_encoded_where_it_could_be_misread(lua: Lua) -> None:
    plan = PLAN.replace("home de", "home a;b=ö").replace(f"{NOW + 200} de", f"{NOW + 200} a;b=ö")

    found = lua.submit(plan, comment="cleanhours")

    assert "home=a%3Bb%3D%C3%B6;" in found.set["comment"]


def test_the_longest_comment_that_slurm_keeps_is_written(lua: Lua) -> None:
    tag = len(f" cleanhours:v1;submitted={NOW};home=de;max-delay=43200s")

    assert 1024 == len(lua.submit(qos="green", comment="x" * (1024 - tag)).set["comment"])
    assert LEFT_ALONE == lua.submit(qos="green", comment="x" * (1025 - tag))


def test_who_submits_is_told_when_where_and_how_not_to(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours:max-delay=6h")

    assert (
        "cleanhours: starts 2026-11-21T11:12+01:00 in de, 34 % less carbon; at once: --comment cleanhours:off",
    ) == found.said


def test_a_saving_that_nobody_wrote_is_not_mentioned(lua: Lua) -> None:
    found = lua.submit(comment="cleanhours")

    assert (
        "cleanhours: starts 2026-11-21T11:14+01:00 in de; at once: --comment cleanhours:off",
    ) == found.said
