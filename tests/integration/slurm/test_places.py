"""Where a job may run, on a real Slurm: what it asks of partitions and features is narrowed by the plan, and never widened."""

from __future__ import annotations

import pytest

from tests.integration.slurm.site import Site
from tests.integration.slurm.worlds import clean_hour, dirty_at_first, only_job, write_settings

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OFFERS = "max-delay=12h locations=de,fr"
OFFERS_NONE = "max-delay=12h"
ONE_OF = ("-C", "de|fr")


def placed(site: Site, words: str, *options: str) -> tuple[str, str]:
    """The partitions and features in which it waits for its clean hour."""
    done = site.wrapper("--carbon", words, "-t", "30", *options, "--wrap", "true")
    assert "Start " in done.stderr
    seen = site.show(only_job(done.stdout))
    assert clean_hour() == int(seen["start"])
    return seen["partition"], seen["features"]


def matches(site: Site, *kinds: str) -> None:
    """Settings in which Germany and France are a partition each, or a feature, or both; France is cleaner."""
    write_settings(site, dirty_at_first)
    file = site.home / "cleanhours.toml"
    text = file.read_text("utf-8")
    for name in ("de", "fr"):
        said = ", ".join(f'{kind} = "{name}"' for kind in kinds)
        text = text.replace(f'{{partition = "{name}"}}', f"{{{said}}}")
    file.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("options", "offering", "not_offering"),
    [
        ((), ("fr", "(null)"), ("any", "(null)")),
        (("-p", "de,fr"), ("fr", "(null)"), ("de,fr", "(null)")),
        (("-p", "de,pl"), ("de", "(null)"), ("de,pl", "(null)")),
        (("-p", "any,de"), ("de", "(null)"), ("any,de", "(null)")),
        (("-p", "any"), ("any", "(null)"), ("any", "(null)")),
        (("-p", "pl"), ("pl", "(null)"), ("pl", "(null)")),
        (ONE_OF, ("fr", "de|fr"), ("any", "de|fr")),
        (("-C", "de"), ("de", "de"), ("any", "de")),
        (("-C", "de|pl"), ("de", "de|pl"), ("any", "de|pl")),
        (("-C", "pl"), ("any", "pl"), ("any", "pl")),
        (("-p", "de,fr", *ONE_OF), ("fr", "de|fr"), ("de,fr", "de|fr")),
    ],
    ids=str,
)
def test_where_places_are_partitions(
    slurm: Site, options: tuple[str, ...], offering: tuple[str, str], not_offering: tuple[str, str]
) -> None:
    matches(slurm, "partition")

    assert (offering, not_offering) == (placed(slurm, OFFERS, *options), placed(slurm, OFFERS_NONE, *options))


@pytest.mark.parametrize(
    ("options", "offering", "not_offering"),
    [
        ((), ("any", "fr"), ("any", "(null)")),
        (ONE_OF, ("any", "fr"), ("any", "de|fr")),
        (("-C", "[de|fr]"), ("any", "fr"), ("any", "[de|fr]")),
        (("-C", "de"), ("any", "de"), ("any", "de")),
        (("-C", "de|pl"), ("any", "de|pl"), ("any", "de|pl")),
        (("-C", "pl"), ("any", "pl"), ("any", "pl")),
        (("-p", "de,fr", *ONE_OF), ("de,fr", "fr"), ("de,fr", "de|fr")),
        (("-p", "de,pl"), ("de,pl", "de"), ("de,pl", "(null)")),
    ],
    ids=str,
)
def test_where_places_are_features(
    slurm: Site, options: tuple[str, ...], offering: tuple[str, str], not_offering: tuple[str, str]
) -> None:
    matches(slurm, "feature")

    assert (offering, not_offering) == (placed(slurm, OFFERS, *options), placed(slurm, OFFERS_NONE, *options))


@pytest.mark.parametrize(
    ("options", "offering"),
    [
        ((), ("fr", "fr")),
        (("-p", "de,fr", "-C", "de"), ("de", "de")),
        (("-p", "any", *ONE_OF), ("any", "de|fr")),
        (("-p", "de,pl", "-C", "de|pl"), ("de,pl", "de|pl")),
        (ONE_OF, ("fr", "fr")),
    ],
    ids=str,
)
def test_where_they_are_both(slurm: Site, options: tuple[str, ...], offering: tuple[str, str]) -> None:
    matches(slurm, "partition", "feature")

    assert offering == placed(slurm, OFFERS, *options)
