"""What the README and docs/slurm.md show of a submission is what a real Slurm and we print, but for numbers and times."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.integration.slurm.site import Site, wait_until
from tests.integration.slurm.worlds import dirty_at_first, script, write_settings

pytestmark = pytest.mark.integration

README = REPOSITORY / "README.md"
PAGE = REPOSITORY / "docs" / "slurm.md"


def blocks(page: Path, language: str) -> list[str]:
    found: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return found


def transcripts() -> list[str]:
    """What is shown of submissions, each a series of commands with what they print."""
    shown = [text for page in (README, PAGE) for text in blocks(page, "text")]
    return [text for text in shown if text.startswith("$ cleanhours sbatch ")]


@pytest.fixture
def site(slurm: Site) -> Site:
    """Settings and script of the page; only the forecast is one that does not depend on the hour of the test."""
    settings, job = blocks(PAGE, "toml")[0], blocks(PAGE, "bash")[0]
    write_settings(slurm, dirty_at_first)
    slurm.settings(f'{settings}\n[forecasts]\nchain = ["csv:{slurm.home / "forecast.csv"}"]\n')
    script(slurm, job)
    return slurm


@pytest.mark.parametrize("shown", transcripts())
def test_a_submission_prints_what_is_shown(site: Site, shown: str) -> None:
    steps = [step.split("\n", 1) for step in shown.removeprefix("$ ").split("\n$ ")]
    told = re.search(r"Submitted batch job (\d+)", shown)
    assert told is not None
    job = ""

    for command, printed in steps:
        words = [word.replace(told[1], job) for word in shlex.split(command)]
        if words[0] == "squeue":
            wait_until(partial(waits_for_its_start, site, job), "Slurm says why it waits")
            done = site.run(*words)
        else:
            done = site.cleanhours(*words[1:])
            job = job or re.findall(r"\d+", done.stdout)[-1]

        assert masked(printed, "games") == masked(done.stderr + done.stdout, site.run("id", "-un").stdout)


def waits_for_its_start(site: Site, job: str) -> bool:
    return site.show(job)["reason"] == "BeginTime"


def masked(text: str, user: str) -> str:
    """Without what another day, another user and another job would change: numbers, instants, lengths and blanks."""
    text = re.sub(rf"\b{re.escape(user.strip())}\b", "USER", text)
    text = re.sub(r"\b[\d.]+ k?g\b", "N g", text)
    text = re.sub(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b", "DAY", text)
    text = re.sub(r"\b\d[\dT:.Z-]*(?:[dhms]\d*)*", "N", text)
    return " ".join(text.split())
