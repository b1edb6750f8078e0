"""What squeue prints becomes the jobs that it shows, whatever their owners called them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanhours_plugins.clusters.slurm.asking import Seen, queue_question, read_gpus, read_limit, read_queue
from tests.unit.plugins.clusters.slurm.made import seen

NONCE = "5ad1f0e2b3c4d5e6"
RECORDED = {
    "full_id": "12", "base": "12", "task": "N/A", "state": "PENDING", "reason": "JobHeldUser", "uid": "5", "user": "games",
    "account": "(null)", "qos": "(null)", "partition": "any", "features": "(null)", "reservation": "(null)",
    "limit": "UNLIMITED", "start": "N/A", "end": "NONE", "submitted": "1795308959", "cpus": "1", "nodes": "1", "memory": "0",
    "gres": "N/A", "dependency": "(null)", "wanted_nodes": "", "node_list": "", "name": "wrap", "comment": "(null)",
}  # fmt: skip
"""Each field as Slurm 22.05.8 printed it."""
ANYTHING = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def record(nonce: str = NONCE, **changed: str) -> str:
    *others, comment = {**RECORDED, **changed}.values()
    return f"\x1e{nonce}\x1f" + "\x1f".join(others) + f"\x1f{nonce}\x1f{comment}\n"


def read(*records: str) -> list[Seen]:
    return read_queue("".join(records), NONCE)


def the_job(**changed: str) -> Seen:
    (found,) = read(record(**changed))
    return found


def test_a_job_without_anything_special_has_nothing_of_it() -> None:
    nothing = {"account": "", "qos": "", "limit": None, "memory_bytes": 0, "cpus": 1}

    assert (
        seen(**nothing, partition="any", reason="JobHeldUser", submitted=1795308959, name="wrap") == the_job()
    )


def test_a_running_job_says_where_since_when_and_with_what() -> None:
    found = the_job(
        state="RUNNING", reason="None", account="physics", qos="normal", partition="de", features="gpu&de", limit="1-02:00:00",
        start="1795308960", end="1795402560", cpus="2048", nodes="4", memory="64G", gres="gres:gpu:a100:2",
        node_list="de[1-4]", reservation="week", dependency="afterok:7(unfulfilled)", wanted_nodes="de1", comment="mine",
    )  # fmt: skip

    assert ("RUNNING", "physics", "normal", "de", "gpu&de", "week") == (
        found.state, found.account, found.qos, found.partition, found.features, found.reservation,
    )  # fmt: skip
    assert (timedelta(hours=26), 1795308960, 1795402560) == (found.limit, found.start, found.end)
    assert (2048, 4, 4 * 64 * 2**30, 8) == (found.cpus, found.nodes, found.memory_bytes, found.gpus)
    assert ("de[1-4]", "afterok:7(unfulfilled)", "de1", "mine") == (
        found.node_list, found.dependency, found.wanted_nodes, found.comment,
    )  # fmt: skip


def test_the_question_asks_for_the_fields_that_are_read_all_jobs_of_all_states() -> None:
    *flags, form = queue_question(NONCE, user=None)

    assert ["--noheader", "--all", "--states=all"] == flags
    assert form.startswith(f"--format=\x1e{NONCE}\x1f%i\x1f%F\x1f%K\x1f%T\x1f%r\x1f")
    assert form.endswith(f"\x1f%N\x1f%j\x1f{NONCE}\x1f%k")
    assert len(RECORDED) == form.count("%")
    assert ["--user=games", "--jobs=12"] == queue_question(NONCE, user="games", job="12")[-2:]


@pytest.mark.parametrize(
    "text",
    [
        'for the paper | draft "2"',
        "two\nlines\n",
        "\n",
        " blanks ",
        "a\x1fb\x1e12\x1fc",
        "N/A",
        "None",
        "Unknown",
        "\x1e",
        f"\x1e{'0' * 16}\x1f13\x1f13\x1fN/A\x1fRUNNING",
        "bytes that are no text: \udcff",
    ],
)
def test_names_and_comments_may_hold_anything(text: str) -> None:
    found = the_job(name=text, comment=text)

    assert (text, text) == (found.name, found.comment)


@given(ANYTHING, ANYTHING)
def test_whatever_owners_write_there_are_as_many_jobs_as_there_were(name: str, comment: str) -> None:
    found = read(record(name=name, comment=comment), record(full_id="13", base="13"))

    assert ["12", "13"] == [one.id for one in found]
    assert name == found[0].name
    assert ("" if comment == "(null)" else comment) == found[0].comment


def test_a_record_that_an_owner_forged_is_a_part_of_his_comment() -> None:
    forged = record("0123456789abcdef", full_id="99", base="99", uid="0", user="root")
    (found,) = read(record(comment=f"mine {forged}", name=forged))

    assert ("12", "games") == (found.id, found.user)
    assert f"mine {forged}" == found.comment


@pytest.mark.parametrize(
    ("full_id", "base", "task", "read_as"),
    [
        ("12", "12", "N/A", ("12", "12", 1, 1)),
        ("33_[0-5]", "33", "0-5", ("33", "33_[0-5]", 6, 1)),
        ("33_[0-5%2]", "33", "0-5%2", ("33", "33_[0-5]", 2, 3)),
        ("33_[0-4%2]", "33", "0-4%2", ("33", "33_[0-4]", 2, 3)),
        ("33_[1,3,5-9:2]", "33", "1,3,5-9:2", ("33", "33_[1,3,5-9:2]", 5, 1)),
        ("33_[1,3,5,7,9%10]", "33", "1,3,5,7,9%10", ("33", "33_[1,3,5,7,9]", 5, 1)),
        ("33_[7]", "33", "7", ("33", "33_[7]", 1, 1)),
        ("33_3", "33", "3", ("33_3", "33_3", 1, 1)),
    ],
)
def test_an_array_is_its_waiting_tasks_and_each_that_was_taken_out(
    full_id: str, base: str, task: str, read_as: tuple[str, str, int, int]
) -> None:
    found = the_job(full_id=full_id, base=base, task=task)

    assert read_as == (found.id, found.address, found.tasks, found.rounds)
    assert base == found.number


def test_tasks_that_no_argument_could_hold_are_told_by_the_array_s_number() -> None:
    tasks = ",".join(str(number) for number in range(1, 40_000, 2))

    assert "33" == the_job(full_id=f"33_[{tasks}]", base="33", task=tasks).address


def test_tasks_that_run_are_jobs_beside_the_rest() -> None:
    found = read(
        record(full_id="24_[2-5%2]", base="24", task="2-5%2", reason="JobArrayTaskLimit"),
        record(full_id="24_1", base="24", task="1", state="RUNNING"),
        record(full_id="24_0", base="24", task="0", state="RUNNING"),
    )

    assert [("24", 4), ("24_1", 1), ("24_0", 1)] == [(one.id, one.tasks * one.rounds) for one in found]


def test_the_parts_of_a_heterogeneous_job_are_added_to_their_leader() -> None:
    found = read(
        record(full_id="4+1", base="5", partition="fr", cpus="3", nodes="2", memory="1G", gres="gres:gpu:1"),
        record(full_id="4+0", base="4", partition="de", cpus="2", memory="2G"),
        record(full_id="4+2", base="6", partition="pl", cpus="1"),
        record(full_id="40", base="40"),
    )

    assert ["4", "40"] == [one.id for one in found]
    leader = found[0]
    assert ("de", 2, 6, 4, 2) == (leader.partition, leader.parts, leader.cpus, leader.nodes, leader.gpus)
    assert 4 * 2**30 == leader.memory_bytes
    assert "4" == leader.address


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30:00", timedelta(minutes=30)),
        ("0:10", timedelta(seconds=10)),
        ("2:03:04", timedelta(hours=2, minutes=3, seconds=4)),
        ("1-02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("364-23:59:59", timedelta(days=365, seconds=-1)),
        # what Slurm says once a job without a limit runs
        ("365-00:00:00", None),
        ("UNLIMITED", None),
        ("NOT_SET", None),
        ("Partition_Limit", None),
        ("INVALID", None),
        ("", None),
        ("30", None),
    ],
)
def test_a_limit_is_a_length_or_none(text: str, length: timedelta | None) -> None:
    assert length == read_limit(text)


@pytest.mark.parametrize(
    ("memory", "nodes", "held"),
    [
        ("0", "1", 0),
        ("100M", "1", 100 * 2**20),
        ("64G", "4", 256 * 2**30),
        ("1.50T", "1", 3 * 2**39),
        ("512K", "1", 2**19),
        ("4000", "1", 4000 * 2**20),
        ("4Gc", "1", 4 * 2**30),
        ("4Gn", "1", 4 * 2**30),
        ("N/A", "1", 0),
        ("1G", "2-8", 2 * 2**30),
        ("1G", "0", 2**30),
    ],
)
def test_memory_is_that_of_all_nodes(memory: str, nodes: str, held: int) -> None:
    assert held == the_job(memory=memory, nodes=nodes).memory_bytes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("N/A", 0),
        ("(null)", 0),
        ("", 0),
        ("gpu", 1),
        ("gpu:2", 2),
        ("gpu:a100", 1),
        ("gpu:a100:4", 4),
        ("gres:gpu:2", 2),
        ("gres:gpu:a100:2", 2),
        ("gres/gpu:2", 2),
        ("gres/gpu:h100:8", 8),
        ("gres/gpu=1", 1),
        ("gres/gpu:a100=2", 2),
        ("gpu:3090:2", 2),
        ("gpu:2080ti:4", 4),
        ("gpu:1g.5gb:2", 2),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a100:2(S:0,1),gpu:v100:2(S:0)", 4),
        ("gres:gpu:1,gres:nic:4", 1),
        ("nic:4", 0),
        ("gpumem:80G", 0),
        ("craynetwork:0", 0),
    ],
)
def test_gpus_are_counted_in_the_forms_of_all_releases(gres: str, gpus: int) -> None:
    assert gpus == read_gpus(gres)


@pytest.mark.parametrize(
    "changed",
    [
        {"uid": "games"},
        {"cpus": ""},
        {"cpus": "many"},
        {"nodes": "few"},
        {"submitted": "N/A"},
        {"full_id": "33_[a-b]", "task": "a-b"},
        {"limit": "9999999999-00:00:00"},
    ],
)
def test_a_line_that_makes_no_sense_is_left_out_and_no_other(changed: dict[str, str]) -> None:
    found = read(record(**changed), record(full_id="13", base="13"))

    assert ["13"] == [one.id for one in found]


def test_what_stands_before_the_first_record_or_breaks_off_is_left_out() -> None:
    whole = record()

    assert ["12"] == [one.id for one in read("slurm_load_jobs: warning\n", whole, record(full_id="13")[:40])]
    assert [] == read("")
    assert [] == read_queue(whole, "ffffffffffffffff")


def test_a_state_is_its_first_word() -> None:
    assert "CANCELLED" == the_job(state="CANCELLED by 5").state
