"""Declared watts: what the owner said the whole job draws, for as long as it ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any

from cleanhours.domain.energy import Component, EnergyProfile, Method
from cleanhours.domain.jobs import FinishedRun
from cleanhours.ports import Context
from cleanhours_plugins.meters.keys import check_keys
from cleanhours_plugins.meters.spreading import length, running, spread


class DeclaredMeter:
    """Energy = `power` of the request x running time. A run whose owner declared nothing is not known here."""

    name = "declared"

    def energy(self, run: FinishedRun) -> EnergyProfile:
        spans = running(run)
        if run.request.power_w is None or not spans:
            return EnergyProfile(coverage=0.0)
        seconds = Fraction(length(spans) // timedelta(microseconds=1), 1_000_000)
        millijoules = round(Fraction(str(run.request.power_w)) * 1000 * seconds)
        slices = spread(millijoules, spans, Component.WHOLE, Method.DECLARED, self.name)
        return EnergyProfile(tuple(slices))


def build(settings: Mapping[str, Any], context: Context) -> DeclaredMeter:
    """The meter; its table is empty."""
    check_keys("declared", settings, ())
    return DeclaredMeter()
