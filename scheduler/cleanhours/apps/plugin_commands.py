"""Commands that plugins bring: a module with `SUMMARY` and `run(argv, context) -> int`, or a click command."""

from __future__ import annotations

from typing import Any

import click

from cleanhours.adapters.discovery import Group, Plugins
from cleanhours.domain.errors import ConfigurationError


def load_command(name: str, plugins: Plugins | None = None) -> click.Command:
    """The command of that entry point. Raises ConfigurationError when it is neither of the two forms."""
    loaded = (plugins or Plugins()).load(Group.COMMANDS, name)
    if isinstance(loaded, click.Command):
        return loaded
    if callable(getattr(loaded, "run", None)) and isinstance(getattr(loaded, "SUMMARY", None), str):
        return _wrapped(name, loaded)
    raise ConfigurationError(
        f"command {name!r}: accepted: a click command, or a module with SUMMARY and run(argv, context)"
    )


def _wrapped(name: str, module: Any) -> click.Command:
    """A module's command; every argument, options too, is the module's own business."""

    @click.pass_obj
    def call(context: Any, arguments: tuple[str, ...]) -> None:
        if code := module.run(list(arguments), context):
            raise click.exceptions.Exit(code)

    return click.Command(
        name,
        callback=call,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        help=module.SUMMARY,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    )
