"""What squeue's short letters do not tell of a job: when Slurm kills it, whether it may be requeued, and all its GPUs."""

from __future__ import annotations

import pytest

from cleanhours_plugins.clusters.slurm.details import MOST_JOBS, Details, details_question, read_details

RECORDED = {
    "id": "12", "deadline": "N/A", "requeue": "1", "nodes": "1", "tasks": "1", "sockets": "*",
    "counted": "cpu=1,mem=1M,node=1,billing=1", "by_job": "N/A", "by_node": "N/A", "by_socket": "N/A", "by_task": "N/A",
}  # fmt: skip
"""Each field as Slurm 22.05.8 printed it, of a job without GPUs, where the site counts none."""


def line(**changed: str) -> str:
    return "".join(f"{value:<24}\x1f" for value in {**RECORDED, **changed}.values()) + "\n"


def gpus(**changed: str) -> int:
    return read_details(line(**changed))["12"].gpus


def test_when_slurm_kills_a_job_and_whether_it_may_be_requeued() -> None:
    answer = line(deadline="1795402560") + line(id="33", requeue="0") + "garbage\n"

    assert {"12": Details(1795402560), "33": Details(requeues=False)} == read_details(answer)


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 0),
        ({"by_job": "gres:gpu:4"}, 4),
        ({"by_job": "gres:gpu:a100:4"}, 4),
        ({"by_node": "gres:gpu", "nodes": "3"}, 3),
        ({"by_node": "gres:gpu:2", "nodes": "2-4"}, 4),
        ({"by_task": "gres:gpu:1", "tasks": "3"}, 3),
        ({"by_task": "gres:gpu:a100:2", "tasks": "4", "nodes": "2"}, 8),
        ({"by_socket": "gres:gpu:1", "sockets": "2"}, 2),
        ({"by_socket": "gres:gpu:2", "sockets": "1", "nodes": "2"}, 4),
        ({"by_socket": "gres:gpu:2", "nodes": "2"}, 4),
        ({"by_job": "gres:gpu:6", "by_node": "gres:gpu:3", "nodes": "2"}, 6),
        ({"by_node": "gres:shard:3"}, 0),
    ],
    ids=str,
)
def test_gpus_are_counted_however_they_were_asked_for(asked: dict[str, str], count: int) -> None:
    assert count == gpus(**asked)


def test_what_slurm_itself_counts_goes_before_and_a_type_is_not_counted_twice() -> None:
    counted = "cpu=2,mem=2M,node=2,billing=2,gres/gpu=1,gres/gpu:a100=1"

    assert 1 == gpus(counted=counted, by_socket="gres:gpu:1", sockets="2")


def test_the_parts_of_a_heterogeneous_job_are_added_to_their_leader_who_says_the_rest() -> None:
    lines = [
        line(id="17+1", by_task="gres:gpu:1", tasks="2", requeue="0"),
        line(id="17+0", by_job="gres:gpu:3"),
    ]

    for answer in ("".join(lines), "".join(reversed(lines))):
        assert {"17": Details(gpus=5)} == read_details(answer)


def test_of_an_array_a_task_counts_whatever_else_waits_or_runs() -> None:
    answer = "".join(line(id=task, by_job="gres:gpu:2") for task in ("25_[2-3,5%2]", "25_0", "25_1"))

    assert {"25": Details(gpus=2)} == read_details(answer)


def test_few_jobs_are_named_of_many_all_are_asked_for() -> None:
    many = [str(number) for number in range(MOST_JOBS + 1)]

    assert ["--noheader", "--all", "--states=all"] == details_question(["12", "33"], user="games")[:3]
    assert "--jobs=12,33" == details_question(["12", "33"], user="games")[-1]
    assert "--user=games" == details_question(many, user="games")[-1]
    assert details_question(many)[-1].startswith("--Format=JobArrayID:64\x1f,Deadline:24\x1f,")
