"""From a fork to the owner's command: waits for its word, marks that it begins, and becomes the command."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from cleanhours_plugins.clusters.local.processes import kill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOT_FOUND, NOT_STARTABLE = 127, 126
"""The exit codes of a shell for a command that is not there, and for one that cannot be run."""


class Launch:
    """A forked child that has not become its command yet, and does not before `let_go`.

    When its parent dies first, it sees the pipe close and leaves without having done anything.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: str, output: str, mark: str
    ) -> None:
        go, self._go = os.pipe()
        self._faults, faults = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._go)
            os.close(self._faults)
            _become(command, environment, folder, output, mark, go, faults)
        os.close(go)
        os.close(faults)

    def let_go(self) -> str:
        """The child becomes its command; the reason when it cannot."""
        with suppress(BrokenPipeError):  # somebody killed it: its status will say so
            os.write(self._go, b"!")
        os.close(self._go)
        said = b""
        while part := os.read(self._faults, 4096):
            said += part
        os.close(self._faults)
        return said.decode(errors="replace")

    def give_up(self) -> None:
        """The child leaves without having done anything."""
        os.close(self._go)
        os.close(self._faults)
        os.waitpid(self.pid, 0)


def _become(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    output: str,
    mark: str,
    go: int,
    faults: int,
) -> None:
    code = NOT_STARTABLE
    try:
        os.setsid()
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) is not None:  # what the C library keeps for itself stays as it is
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _redirect(output)
        if os.read(go, 1):
            os.chdir(folder)
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600))
            os.execvpe(command[0], list(command), dict(environment))  # noqa: S606
    except FileNotFoundError as fault:
        code = NOT_FOUND
        _say(faults, f"cannot start {command[0]!r} in {folder!r}: {fault.strerror}")
    except (OSError, ValueError) as fault:
        _say(faults, f"cannot start {command[0]!r} in {folder!r}: {fault}")
    finally:
        os._exit(code)


def _redirect(output: str) -> None:
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{output}/stdout", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, f"{output}/stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        if opened != number:
            os.close(opened)


def _say(faults: int, text: str) -> None:
    os.write(faults, text.encode(errors="backslashreplace")[:4000])


def describe(status: int) -> str:
    """How a process ended, in words; nothing for a success. Negative is a signal, as in `os.waitstatus_to_exitcode`."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit code {status}" if status else ""


def end_gently(pids: Sequence[int]) -> None:
    """SIGTERM, and SIGCONT so that one that is stopped can hear it."""
    for number in (signal.SIGTERM, signal.SIGCONT):
        for pid in pids:
            try:
                kill(pid, number)
            except PermissionError:
                continue
