"""Questions: how few of them a meter asks for a run that ended, and how short they are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.meters.questions import PER_RUN, SITES, Site

by_site = pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)


@by_site
@pytest.mark.parametrize("pods", [1, 100])
def test_a_run_is_three_questions_once_the_site_is_known(site: Site, pods: int) -> None:
    """But of three gauges that are found by three tables of labels with names of Pods: these are asked for besides."""
    asked = site.asked(pods)

    assert asked.warm <= site.promised
    assert asked.cold <= PER_RUN + 1


@by_site
def test_a_run_of_one_pod_is_never_more(site: Site) -> None:
    """Neither the first, nor one that nobody knows: on a site with DCGM most Jobs may be without a GPU."""
    asked = site.asked(1)

    assert max(asked.cold, asked.warm, asked.unknown) <= site.promised


def test_only_three_tables_of_labels_are_more() -> None:
    assert ["power, three gauges by three labels"] == [one.name for one in SITES if one.promised > PER_RUN]


@by_site
def test_a_week_of_a_hundred_pods_is_as_few_and_fits_into_an_address(site: Site) -> None:
    """Proxies refuse longer ones; a hundred UIDs, or names of forty characters."""
    asked = site.asked(100, timedelta(days=7))

    assert asked.warm <= site.promised
    assert asked.longest < 8_000
