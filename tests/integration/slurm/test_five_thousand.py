"""5,000 waiting jobs on a real Slurm: looked at by one command, told a bounded number at a time, least slack first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.integration.slurm.crowds import controlling, fill
from tests.integration.slurm.site import Site, started_site
from tests.integration.slurm.worlds import dirty_at_first, write_settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

JOBS, CHANGES = 5_000, 150


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with started_site() as site:
        write_settings(site, dirty_at_first, f'users = "all"\nchanges_per_tick = {CHANGES}')
        file = site.home / "cleanhours.toml"
        site.settings(file.read_text("utf-8").replace('poll = "1s"', 'poll = "30m"'))
        fill(site, JOBS)
        yield site


def comments(site: Site) -> dict[str, str]:
    """Of each job, as Slurm has it."""
    shown = site.run("squeue", "--all", "--noheader", "--format=%i|%T|%r|%k").stdout.splitlines()
    waiting = [line.split("|", 3) for line in shown]
    assert not [job for job, _, reason, _ in waiting if "Held" in reason]
    return {job: comment for job, _, _, comment in waiting}


def test_a_tick_asks_once_and_tells_no_more_than_it_may(site: Site) -> None:
    before = comments(site)
    assert JOBS == len(before)

    with controlling(site) as (reconciler, cluster):
        # what waits, how long Slurm expects it to, what it would do to new ones; in thirty minutes again
        for looks in (3, 0):
            asked = Counter(cluster.calls)
            outcome = reconciler.tick()
            spent = Counter(cluster.calls) - asked
            assert not [one for one in outcome.applied if not one.done]
            assert spent["squeue"] <= looks
            assert 0 < spent["scontrol"] <= CHANGES + looks

    after = comments(site)
    changed = {job for job, comment in after.items() if comment != before[job]}
    began = (
        before.keys() - after.keys()
    )  # there was room for a few at once, which else must wait longer than they may
    assert after.keys() <= before.keys()
    assert CHANGES < len(changed) + len(began) <= 2 * CHANGES
    assert all(after[job].startswith("cleanhours:v1;") and ";plan=" in after[job] for job in changed)
