"""The queue on disk: one SQLite file, private to its user, that controller, command line, watchdog and supervisors share.

Every writer takes a number from one counter and stamps the rows it changes with it, in one transaction: whoever
remembers the last number it saw reads only what changed since. Instants are epoch microseconds of the scheduler's clock.
"""

from __future__ import annotations

import errno
import os
import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

VERSION = 1
BUSY_S = 5.0
RESERVE_BYTES = 1 << 20
ACTIVE = "('released', 'running', 'pausing', 'moving')"
WAITING = "('pending', 'held', 'paused')"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES ('change', 0), ('slots', 1), ('grace', 10.0);
CREATE TABLE environments (digest TEXT PRIMARY KEY, variables TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    change INTEGER NOT NULL,
    name TEXT NOT NULL, namespace TEXT NOT NULL, owner TEXT NOT NULL, labels TEXT NOT NULL,
    command TEXT NOT NULL, restart TEXT NOT NULL, folder TEXT NOT NULL, environment TEXT NOT NULL,
    request TEXT NOT NULL, home TEXT NOT NULL, slots INTEGER NOT NULL,
    guarded INTEGER NOT NULL,          -- whether a deadline or a delay was asked for: then latest_us outranks slots
    state TEXT NOT NULL,
    owner_paused INTEGER NOT NULL DEFAULT 0,
    wanted TEXT NOT NULL DEFAULT '',   -- what its supervisor is to do: stop, continue, end
    location TEXT, plan TEXT, latest_us INTEGER NOT NULL,
    submitted_us INTEGER NOT NULL, finished_us INTEGER,
    claim TEXT, claimed_at REAL,       -- who may start or watch it; a newer claim voids an older; Unix time
    launch TEXT,                       -- the claim its process was started under: names its files
    supervisor TEXT, process TEXT,     -- pid:start:boot
    starts INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER, message TEXT NOT NULL DEFAULT '',
    cpu_seconds REAL, max_rss_bytes INTEGER,
    usage_known INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX jobs_change ON jobs (change);
CREATE INDEX jobs_state ON jobs (state, latest_us);
CREATE INDEX jobs_claim ON jobs (claim) WHERE claim IS NOT NULL;
CREATE INDEX jobs_finished ON jobs (finished_us) WHERE finished_us IS NOT NULL;
CREATE TABLE segments (
    uid TEXT NOT NULL, place INTEGER NOT NULL,
    start_us INTEGER NOT NULL, end_us INTEGER, location TEXT NOT NULL, handles TEXT NOT NULL,
    PRIMARY KEY (uid, place)
) WITHOUT ROWID;
"""


class UnreadableQueue(Exception):
    """The file is of another release, or no queue at all: trying again will not help."""


class Queue:
    """A connection to the queue of one state folder. Made private (0700, 0600) and up to date when opened.

    Raises sqlite3.OperationalError when the disk is full or another writer takes longer than `busy_s`, OSError when the
    folder cannot be made, UnreadableQueue.
    """

    def __init__(self, folder: str, *, busy_s: float = BUSY_S) -> None:
        self.folder = folder
        for made in (os.path.dirname(folder), folder, f"{folder}/jobs"):  # noqa: PTH120 - makedirs: the last is private
            os.makedirs(made, mode=0o700, exist_ok=True)  # noqa: PTH103
        os.chmod(folder, 0o700)  # noqa: PTH101
        path = f"{folder}/queue.sqlite"
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:  # not opened besides SQLite: to close it would let go the locks of this process's other connections
            if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path) from None
        self._inode = os.stat(path).st_ino  # noqa: PTH116
        self.connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self._take_reserve()
        try:
            self._prepare()
        except sqlite3.OperationalError:
            self.connection.close()
            raise
        except sqlite3.DatabaseError as fault:
            self.connection.close()
            raise UnreadableQueue(f"{path} is no queue ({fault}): move it away to begin anew") from fault

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(
            "PRAGMA synchronous = FULL"
        )  # durable before submit returns, power cuts included
        if self.version() == 0:
            with Writing(self, stamped=False):
                if self.version() == 0:  # else somebody was faster
                    for statement in _SCHEMA.split(";\n"):
                        self.connection.execute(statement)
                    self.connection.execute(f"PRAGMA user_version = {VERSION}")
        if self.version() != VERSION:
            found = self.version()
            self.connection.close()
            raise UnreadableQueue(
                f"{self.folder}/queue.sqlite is of version {found}: this release reads {VERSION}"
            )

    def version(self) -> int:
        """The schema's; 0 for an empty file."""
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def writing(self) -> Writing:
        """`with queue.writing() as change:` one transaction and its number; rolled back when it raises."""
        return Writing(self)

    def all(self, question: str, *values: object) -> list[sqlite3.Row]:
        """Every row of an answer."""
        return self.connection.execute(question, values).fetchall()

    def row(self, uid: str) -> sqlite3.Row | None:
        """One job."""
        row: sqlite3.Row | None = self.connection.execute(
            "SELECT * FROM jobs WHERE uid = ?", (uid,)
        ).fetchone()
        return row

    def setting(self, key: str) -> Any:
        """What the cluster told its processes."""
        return self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]

    def changed(self) -> int:
        """The number of the last transaction."""
        return int(self.setting("change"))

    def update(self, uid: str, change: int, /, **columns: object) -> None:
        """Changes columns of one job, inside `writing`."""
        names = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(
            f"UPDATE jobs SET change = ?, {names} WHERE uid = ?",  # noqa: S608
            (change, *columns.values(), uid),
        )

    def open_segment(self, uid: str, start_us: int, location: str, handles: str) -> None:
        """Begins a stretch of running, unless one is open."""
        self.connection.execute(
            "INSERT INTO segments SELECT ?, coalesce(max(place), 0) + 1, ?, NULL, ?, ? FROM segments WHERE uid = ? "
            "HAVING coalesce(sum(end_us IS NULL), 0) = 0",
            (uid, start_us, location, handles, uid),
        )

    def close_segment(self, uid: str, end_us: int) -> None:
        """Ends the open stretch, never before it began."""
        self.connection.execute(
            "UPDATE segments SET end_us = max(start_us, ?) WHERE uid = ? AND end_us IS NULL", (end_us, uid)
        )

    def drop_open_segment(self, uid: str) -> None:
        """Forgets a stretch in which, as it turned out, nothing ran."""
        self.connection.execute("DELETE FROM segments WHERE uid = ? AND end_us IS NULL", (uid,))

    def used_slots(self) -> int:
        """What jobs that occupy this machine take."""
        return int(self.all(f"SELECT coalesce(sum(slots), 0) FROM jobs WHERE state IN {ACTIVE}")[0][0])  # noqa: S608

    def in_place(self) -> bool:
        """Whether the file that we hold is still the queue: somebody may have removed the state folder."""
        try:
            return os.stat(f"{self.folder}/queue.sqlite").st_ino == self._inode  # noqa: PTH116
        except OSError:
            return False

    def make_room(self, fault: Exception) -> bool:
        """On a full disk, gives up what was kept for that, so that what is due can be written; False without any."""
        try:
            if "full" in str(fault):
                os.unlink(f"{self.folder}/reserve")  # noqa: PTH108
                return True
        except OSError:
            return False
        return False

    def _take_reserve(self) -> None:
        """Keeps some of the disk, while there is plenty: a full disk must not keep a due job from starting."""
        path = f"{self.folder}/reserve"
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < 8 * RESERVE_BYTES or os.path.exists(path):  # noqa: PTH110
            return
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            os.write(handle, os.urandom(RESERVE_BYTES))  # no file system can keep this in less
            os.close(handle)
        except OSError:
            return  # somebody else was faster, or there is no room after all

    def close(self) -> None:
        """Releases the file; idempotent."""
        self.connection.close()


class Writing:
    """One transaction: all of it or nothing, also when the process is killed in the middle."""

    def __init__(self, queue: Queue, *, stamped: bool = True) -> None:
        self._connection = queue.connection
        self._stamped = stamped

    def __enter__(self) -> int:
        self._connection.execute("BEGIN IMMEDIATE")
        if not self._stamped:
            return 0
        try:
            stamp = "UPDATE meta SET value = value + 1 WHERE key = 'change' RETURNING value"
            return int(self._connection.execute(stamp).fetchall()[0][0])
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may have rolled back already
            self._connection.execute("ROLLBACK")
