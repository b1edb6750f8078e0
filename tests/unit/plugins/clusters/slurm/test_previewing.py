"""Whether a site asks jobs that say nothing to wait, and what of that is remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from cleanhours.domain.errors import CleanhoursError, ConfigurationError, NotConfigured
from cleanhours_plugins.clusters.slurm.previewing import site_asks
from tests.unit.plugins.clusters.slurm.made import settings


@dataclass
class Remembering:
    """A context of the wrapper's, and what it was given to remember."""

    default_words: Mapping[str, str] = field(default_factory=dict)
    of_cluster: Any = None
    fault: Exception | None = None
    remembers: list[bool | None] = field(default_factory=list)

    def cluster(self, _: str) -> Any:
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(settings=self.of_cluster)

    def remembered(self, _: str, work: Callable[[], bool | None]) -> bool | None:
        self.remembers.append(work())
        return self.remembers[-1]


@pytest.mark.parametrize(
    ("context", "asks"),
    [
        (Remembering({"max-delay": "6h"}), True),
        (Remembering({"power": "100W"}, settings()), False),
        (Remembering(of_cluster=settings(by_partition={"de": {"deadline": "+12h"}})), True),
        (Remembering(of_cluster=settings(by_qos={"green": {"max-delay": "1h"}})), True),
        (Remembering(of_cluster=settings(by_qos={"green": {"interruptible": "true"}})), False),
        (Remembering(fault=NotConfigured("no cluster 'slurm'")), False),
    ],
)
def test_a_site_asks_by_its_defaults_or_those_of_a_partition_or_a_qos(context: Any, asks: bool) -> None:
    assert asks is site_asks(context, "slurm")
    assert [asks] == context.remembers


@pytest.mark.parametrize(
    "fault", [ConfigurationError("pol: no such setting"), CleanhoursError("?"), OSError(5, "EIO")]
)
def test_settings_that_cannot_be_read_ask_for_nothing_and_are_asked_again(fault: Exception) -> None:
    context: Any = Remembering(fault=fault)

    assert not site_asks(context, "slurm")
    assert [None] == context.remembers
