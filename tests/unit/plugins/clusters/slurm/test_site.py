"""What a site is like is read from what sinfo, scontrol and squeue print, and asked seldom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cleanhours.domain.errors import TemporaryError
from cleanhours.domain.locations import Location
from cleanhours.domain.resources import Booking, Capacity, Demand
from cleanhours.domain.times import instant_of
from cleanhours_plugins.clusters.slurm.asking import Seen
from cleanhours_plugins.clusters.slurm.calling import Slurm
from cleanhours_plugins.clusters.slurm.places import Places
from cleanhours_plugins.clusters.slurm.site import (
    Site,
    nodes_question,
    queues_question,
    read_delays,
    read_nodes,
    read_queues,
)
from tests.unit.plugins.clusters.slurm.made import BY_FEATURE, BY_PARTITION, HOUR, NOW, running, seen

RECORDED = """\
de1|any*|de|4|1|(null)|mixed
de1|de|de|4|1|(null)|mixed
fr1|fr|fr,gpu|4096|512000|gpu:a100:4(S:0-1)|idle
fr1|any*|fr,gpu|4096|512000|gpu:a100:4(S:0-1)|idle
pl1|any*|pl|8|16000|gpu:3090:2,gpu:2080ti:1|down*
""".replace("|", "\x1f")
"""As sinfo of Slurm 22.05.8 prints it."""
CONFIG = """\
Configuration data as of 2026-11-22T01:02:03
AuthInfo                = socket=/run/munge.socket,cred_expire=5
KillWait                = 2 sec
SchedulerParameters     = bf_interval=1,sched_interval=1
"""


@dataclass
class Answering(Slurm):
    """A Slurm of canned answers, by program and first argument. What has none does not answer."""

    answers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ask(self, program: str, *arguments: str, patience_s: float = 0) -> str:
        del patience_s
        self.asked.append(program)
        if program not in self.answers:
            raise TemporaryError("Slurm is away")
        return self.answers[program]


def a_site(answers: Mapping[str, str] | None = None) -> Site:
    usual = {"sinfo": RECORDED, "scontrol": CONFIG, "squeue": f"de\x1fResources\x1f{NOW + HOUR}\n"}
    return Site(Answering(answers=dict(usual if answers is None else answers)))


def known_site() -> Site:
    site = a_site()
    site.refresh(NOW)
    return site


# -- nodes -----------------------------------------------------------------------------------------------------------


def test_a_node_is_one_however_many_partitions_it_is_in() -> None:
    nodes, usual = read_nodes(RECORDED)

    assert ["de1", "fr1", "pl1"] == [node.name for node in nodes]
    assert {"any", "fr"} == nodes[1].partitions
    assert {"fr", "gpu"} == nodes[1].features
    assert "any" == usual


def test_what_a_node_has_is_read_with_gpus_of_all_types() -> None:
    nodes, _ = read_nodes(RECORDED)

    assert [(4, 2**20, 0), (4096, 512_000 * 2**20, 4), (8, 16_000 * 2**20, 3)] == [
        (node.cpus, node.memory_bytes, node.gpus) for node in nodes
    ]


@pytest.mark.parametrize(
    "state", ["idle", "mixed", "allocated", "completing", "idle~", "idle#", "reserved", "planned"]
)
def test_a_node_that_takes_jobs_or_will_wake_for_them_is_up(state: str) -> None:
    assert [True] == [node.up for node in read_nodes(RECORDED.replace("idle", state))[0][1:2]]


@pytest.mark.parametrize(
    "state", ["down", "down*", "drained", "draining", "DRAINING@", "fail", "maint", "inval", "unknown"]
)
def test_a_node_that_takes_none_is_not(state: str) -> None:
    assert [False] == [node.up for node in read_nodes(RECORDED.replace("idle", state))[0][1:2]]


def test_a_site_without_a_usual_partition_has_none() -> None:
    assert "" == read_nodes(RECORDED.replace("*", ""))[1]


@pytest.mark.parametrize(
    "line", ["", "sinfo: warning", "de1\x1fde", "de1\x1fde\x1fde\x1f4+\x1f1\x1f(null)\x1fidle"]
)
def test_lines_that_say_nothing_of_a_node_are_passed_over(line: str) -> None:
    assert ((), "") == read_nodes(line)


def test_the_questions_ask_for_what_is_read() -> None:
    assert ["--noheader", "--all", "--Node", "--noconvert"] == nodes_question()[:-1]
    assert "--format=%N\x1f%P\x1f%f\x1f%c\x1f%m\x1f%G\x1f%T" == nodes_question()[-1]
    assert ["--noheader", "--all", "--start", "--format=%P\x1f%r\x1f%S"] == queues_question()


# -- delays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "delays"),
    [
        (CONFIG, (6, 2)),
        ("", (121, 30)),
        ("KillWait                = 30 sec\nSchedulerParameters     = (null)\n", (121, 30)),
        ("KillWait=60\nSchedulerParameters = bf_interval=1,requeue_delay=45,defer\n", (45, 60)),
        # 25.11 has both; its own word is the newer one
        ("AuthInfo = cred_expire=300\nSchedulerParameters = requeue_delay=0\n", (0, 30)),
    ],
)
def test_how_long_a_requeued_job_rests_is_the_site_s_word_else_slurm_s(
    config: str, delays: tuple[int, int]
) -> None:
    assert delays == read_delays(config)


# -- queues ----------------------------------------------------------------------------------------------------------


def line(partition: str, reason: str, start: object) -> str:
    return f"{partition}\x1f{reason}\x1f{start}\n"


def test_one_that_waits_for_a_year_makes_nobody_s_queue_longer() -> None:
    waits = (600, 900, 1200, 365 * 86_400)
    answer = "".join(line("de", "Priority", NOW + wait) for wait in waits)

    assert {"de": timedelta(minutes=20)} == read_queues(answer, NOW)


def test_a_queue_is_as_long_as_half_of_it_waits_for_room() -> None:
    answer = (
        line("de", "Resources", NOW + 600)
        + line("de", "Priority", NOW + 1800)
        + line("fr,pl", "Priority", NOW + 60)
        + line("pl", "Resources", NOW - 60)
    )

    assert {
        "de": timedelta(minutes=30),
        "fr": timedelta(minutes=1),
        "pl": timedelta(minutes=1),
    } == read_queues(answer, NOW)


@pytest.mark.parametrize(
    ("partition", "reason", "start"),
    [
        ("de", "BeginTime", NOW + HOUR),
        ("de", "Dependency", NOW + HOUR),
        ("de", "JobHeldUser", NOW + HOUR),
        ("de", "Resources", "N/A"),
        ("de", "Resources", NOW),
    ],
)
def test_what_waits_for_something_else_is_no_queue(partition: str, reason: str, start: object) -> None:
    assert {} == read_queues(line(partition, reason, start), NOW)


# -- asking ----------------------------------------------------------------------------------------------------------


def test_a_site_is_asked_once_in_ten_minutes() -> None:
    site = a_site()

    site.refresh(NOW)
    site.refresh(NOW + 1)

    assert isinstance(site.slurm, Answering)
    assert ["sinfo", "scontrol", "squeue"] == site.slurm.asked
    assert ("any", 3, {"de": timedelta(hours=1)}) == (site.usual_partition, len(site.nodes), site.queues)
    assert timedelta(seconds=8) == site.requeue_time
    assert {"de1": 4, "fr1": 4096, "pl1": 8} == site.node_cpus
    assert site.has_gpus


def test_until_slurm_answers_its_own_defaults_hold() -> None:
    site = a_site({})

    site.refresh(NOW)

    assert (timedelta(seconds=151), (), {}) == (site.requeue_time, site.nodes, site.queues)


def test_what_is_not_answered_leaves_what_was_known() -> None:
    site = a_site({"sinfo": RECORDED})
    site.refresh(NOW)

    assert (3, 121) == (len(site.nodes), site.requeue_delay_s)


# -- rooms -----------------------------------------------------------------------------------------------------------


def capacities(site: Site, locations: Mapping[str, Location]) -> dict[str, Any]:
    rooms = site.rooms(Places(locations, "de"), [], {}, instant_of(NOW))
    return {
        name: (room.location.capacity.cpu_millicores, room.location.capacity.gpus)
        for name, room in rooms.items()
    }


def test_a_place_has_what_its_nodes_have_that_take_jobs() -> None:
    known = {"de": (4000, 0), "fr": (4_096_000, 4), "pl": (None, None)}

    assert known == capacities(known_site(), BY_FEATURE)
    assert known == capacities(known_site(), BY_PARTITION)


def test_a_place_is_away_while_none_of_its_nodes_takes_jobs() -> None:
    by_cluster = {**BY_FEATURE, "beta": Location("beta", "SE", match={"cluster": "beta"})}

    assert {"pl"} == known_site().away(Places(BY_FEATURE, "de"))
    assert set() == known_site().away(Places(BY_PARTITION, "de")), "pl has no node that is known"
    assert set() == known_site().away(Places(by_cluster, "de", federated=True))
    assert set() == a_site({}).away(Places(BY_PARTITION, "de")), "nobody knows yet"


def test_a_location_that_is_no_place_to_slurm_is_all_of_it() -> None:
    assert {"local": (4_100_000, 4)} == capacities(known_site(), {"local": Location("local", "DE")})


def test_what_the_settings_say_is_not_exceeded() -> None:
    said = replace(
        BY_PARTITION["fr"], capacity=Capacity(cpu_millicores=64_000, gpus=8, memory_bytes=7, slots=3)
    )
    rooms = known_site().rooms(Places({"fr": said}, "fr"), [], {}, instant_of(NOW))

    assert Capacity(cpu_millicores=64_000, gpus=4, memory_bytes=7, slots=3) == rooms["fr"].location.capacity


def test_of_a_site_that_nobody_knows_yet_the_settings_hold() -> None:
    assert {"de": (None, None), "fr": (None, None), "pl": (None, None)} == capacities(
        Site(Slurm(Path("/nowhere"))), BY_PARTITION
    )


def others(*queue: Seen) -> dict[str, tuple[Booking, ...]]:
    mine = running(id="7")
    rooms = known_site().rooms(
        Places(BY_PARTITION, "de"), [mine.seen, *queue], {mine.uid: mine}, instant_of(NOW)
    )
    return {name: room.others for name, room in rooms.items() if room.others}


def test_a_job_of_somebody_else_takes_room_until_slurm_would_end_it() -> None:
    taken = Booking(instant_of(NOW - 60), instant_of(NOW + 60), Demand(4000, 2**30, 0, 1))
    his = seen(state="RUNNING", partition="fr", start=NOW - 60, end=NOW + 60)

    assert {"fr": (taken,)} == others(his)


def test_a_job_without_a_limit_takes_room_for_a_year() -> None:
    ((taken,),) = others(seen(state="RUNNING", start=NOW - 60, end=None)).values()

    assert instant_of(NOW) + timedelta(days=366) == taken.end


@pytest.mark.parametrize(
    "job",
    [
        seen(state="PENDING", start=NOW + 60, end=NOW + 120),
        seen(state="RUNNING", start=None, end=NOW + 120),
        seen(state="COMPLETED", start=NOW - 60, end=NOW - 1),
        seen(state="COMPLETING", start=NOW - 60, end=NOW),
        seen(state="SUSPENDED", start=NOW - 60, end=NOW + 60),
    ],
    ids=["pending", "unknown", "completed", "completing", "suspended"],
)
def test_what_does_not_occupy_a_node_takes_no_room(job: Seen) -> None:
    assert {} == others(job)
