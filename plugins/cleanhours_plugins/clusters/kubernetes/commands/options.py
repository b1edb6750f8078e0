"""Options that these commands share. Nothing but click is imported: `--help` lists every command."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click


class Duration(click.ParamType[timedelta]):
    """`5m`, as everywhere."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        from cleanhours.domain.times import parse_duration

        try:
            return parse_duration(value)
        except ValueError as fault:
            self.fail(f"found {value!r}, accepted: {fault}", param, ctx)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options of `targeting` say."""

    cluster: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    namespaces: tuple[str, ...] = ()


def targeting(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options that say which cluster, as one argument `asked`."""

    @functools.wraps(command)
    def call(
        *arguments: Any,
        cluster: str | None,
        kubeconfig: Path | None,
        context: str | None,
        namespaces: tuple[str, ...],
        **options: Any,
    ) -> None:
        command(*arguments, asked=Asked(cluster, kubeconfig, context, namespaces), **options)

    wrapped: Callable[..., None] = call
    for option in (
        click.option(
            "-n", "--namespace", "namespaces", multiple=True, help="Only in it; may be given several times."
        ),
        click.option("--context", help="Of the kubeconfig, instead of its current one."),
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Instead of the settings', $KUBECONFIG, or the Pod's own account.",
        ),
        click.option("--cluster", metavar="NAME", help="The cluster of the settings [default: kubernetes]."),
    ):
        wrapped = option(wrapped)
    return wrapped
