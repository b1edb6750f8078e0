"""The command line: finds a command, runs it, and turns every refusal into one clear message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Final

import click

DONE, COULD_NOT, ASKED_WRONGLY = 0, 1, 2

_ROOM: Final = "cleanhours.apps.commands."
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "plan": ("planning:plan", "Show when one job would best run, and what that saves."),
    "run": ("running:run", "Run a command in clean hours and wait for it."),
    "submit": ("queueing:submit", "Queue a command; it starts in clean hours, in time."),
    "jobs": ("queueing:jobs", "List what waits, runs and has finished."),
    "explain": ("queueing:explain_job", "Say in one sentence why a job waits or runs."),
    "pause": ("queueing:pause", "Stop a job until you resume it."),
    "resume": ("queueing:resume", "Give a job that you paused back to the scheduler."),
    "cancel": ("queueing:cancel", "End a job."),
    "controller": ("controlling:controller", "Plan, start, pause and account jobs until stopped."),
    "forecast": ("forecasting:forecast", "Show the carbon intensity ahead in a grid zone."),
    "sources": ("forecasting:sources", "List forecast sources, what they measure and whom to credit."),
    "report": ("reporting:report", "Write what was emitted and avoided as HTML, CSV or JSON."),
    "reconcile": ("reconciling:reconcile", "Set a cloud provider's monthly export beside our own sums."),
    "config": ("configuring:config", "Show the settings in force and where each comes from."),
    "demo": ("demonstrating:demo", "Watch eight real jobs live through a day in about a minute."),
}
"""Each command's module and its line of help, so that `--help` imports none of them."""


class LazyGroup(click.Group):
    """Imports a command only when it is run, and lists the commands of plugins beside ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(_ROOM + module), attribute)
            return command
        if cmd_name in _plugin_commands():
            from cleanhours.apps.plugin_commands import load_command

            return load_command(cmd_name)
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, line) for name, (_, line) in COMMANDS.items()]
        for name in sorted(_plugin_commands()):
            command = self.get_command(ctx, name)
            rows.append((name, command.get_short_help_str() if command else ""))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugin_commands() -> frozenset[str]:
    from importlib.metadata import entry_points

    return frozenset(point.name for point in entry_points(group="cleanhours.commands"))


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from cleanhours import __version__

        click.echo(f"cleanhours {__version__}")
        ctx.exit(DONE)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_file", type=click.Path(dir_okay=False), help="Settings file (TOML).")
@click.option(
    "--state", "state_folder", type=click.Path(file_okay=False), help="Folder of queue, ledger and caches."
)
@click.option("-v", "--verbose", count=True, help="Log decisions; twice: everything.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.pass_context
def cli(ctx: click.Context, config_file: str | None, state_folder: str | None, verbose: int) -> None:
    """Run jobs in clean hours, in clean places, and always on time.

    Settings come from defaults, a file, the environment (CLEANHOURS_METRICS__LISTEN) and options, in this order.
    Exit codes: 0 done, 1 could not, 2 asked wrongly.
    """
    from cleanhours.apps.logs import set_up_logs
    from cleanhours.apps.wiring import Wiring

    set_up_logs(verbose)
    ctx.obj = Wiring.lazily(config_file, state_folder)


def main() -> None:
    """The console script `cleanhours`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a Latin-1 terminal lacks some of what a job may be called
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    from cleanhours.domain.errors import CleanhoursError

    try:
        result = cli.main(arguments, prog_name="cleanhours", standalone_mode=False)
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.exceptions.Abort:
        return 130
    except click.ClickException as refused:
        refused.show()
        return ASKED_WRONGLY if isinstance(refused, click.UsageError) else COULD_NOT
    except CleanhoursError as fault:
        return _refuse(fault)
    except BrokenPipeError:
        sys.stderr.close()
        return COULD_NOT
    except OSError as fault:  # a full disk under our output, a working folder that is gone
        return _refuse(fault)
    return result if isinstance(result, int) else DONE


def _refuse(fault: Exception) -> int:
    from cleanhours.apps.escaping import escape_terminal
    from cleanhours.domain.errors import ConfigurationError, InvalidRequest, NotSupported, UnknownZone

    if isinstance(fault, InvalidRequest):
        click.echo("cleanhours: the request cannot be read:", err=True)
        for complaint in fault.complaints:
            click.echo(f"  {escape_terminal(str(complaint))}", err=True)
    else:
        first, *rest = str(fault).splitlines() or [""]
        click.echo(f"cleanhours: {escape_terminal(first)}", err=True)
        for line in rest:
            click.echo(f"  {escape_terminal(line.strip())}", err=True)
    wrong = (InvalidRequest, ConfigurationError, NotSupported, UnknownZone)
    return ASKED_WRONGLY if isinstance(fault, wrong) else COULD_NOT
