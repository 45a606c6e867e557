"""wreck: what a killed server was at, as its files tell before the next start tidies up.

look() works on copies of the databases. A kill between two steps leaves nothing to see, so what is
counted is a lower bound:

    commit         the main database's log ends with a transaction that is not whole
    seal, merge    a run is in its file and the manifest does not know it yet (of level 0, or above)
    run            blocks of a run that is not complete, or a range file's log with half a transaction
    new file       a range file that has no tables yet
    trim           sealed rows are still in the journal
    drop           a file that the manifest has dropped is there
    retired run    a run that a merge has replaced is deleted, not all of it or not from the manifest

Moment is the other way round: it waits for an instant that is likely to be inside of such work.
"""

import os
import pathlib
import shutil
import sqlite3
import struct
import tempfile
import time

RUN_SHIFT = 44  # of a block's id; run_file.h


def copies(data, folder):
    """Copies of all databases: the originals keep their log for the server."""
    for path in [*data.glob("*.db*"), *data.glob("telemetry/*.db*")]:
        shutil.copyfile(path, folder / path.name)
    return sorted(folder.glob("*.db"))


def has_half_transaction(log):
    """Frames of the newest generation stand behind its last commit."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return False
    if len(data) < 32:
        return False
    page_bytes, salts = struct.unpack_from(">8xI", data)[0], data[16:24]
    half = False
    for at in range(32, len(data), 24 + page_bytes):
        if data[at + 8:at + 16] != salts:
            break
        half = struct.unpack_from(">4xI", data, at)[0] == 0 or at + 24 + page_bytes > len(data)
    return half


def look(data):
    """The set of works that were interrupted."""
    with tempfile.TemporaryDirectory(prefix="pacificsoft-crash-") as name:
        folder = pathlib.Path(name)
        databases = copies(data, folder)
        found = set()
        for path in databases:
            if has_half_transaction(folder / f"{path.name}-wal"):
                found.add("commit" if path.name == "pacificsoft.db" else "run")
        main = folder / "pacificsoft.db"
        if main not in databases:
            return found
        known, live_names = look_at_main(main, found)
        for path in databases:
            if path != main:
                look_at_file(path, known.get(path.stem, {}), path.stem in live_names, found)
    return found


def look_at_main(path, found):
    """({file: {run: retired}}, names of files); sealed rows that are left are noted."""
    known, names = {}, set()
    database = sqlite3.connect(path)
    try:
        sealed = dict(database.execute("SELECT key, value FROM telemetry_state")).get("sealed_seq", 0)
        if database.execute("SELECT 1 FROM journal WHERE seq <= ? LIMIT 1", (sealed,)).fetchone():
            found.add("trim")
        names = {name for name, in database.execute("SELECT name FROM telemetry_file")}
        for name, run, retired in database.execute(
                "SELECT f.name, r.run, r.retired_ms FROM telemetry_run r"
                " JOIN telemetry_file f ON f.id = r.file"):
            known.setdefault(name, {})[run] = retired
    except sqlite3.OperationalError:
        pass  # killed before it had tables
    finally:
        database.close()
    return known, names


def look_at_file(path, known, is_live, found):
    database = sqlite3.connect(path)
    try:
        complete = dict(database.execute("SELECT run, level FROM run"))
        begun = {run for run, in database.execute(
            f"SELECT DISTINCT id >> {RUN_SHIFT} FROM block")}
    except sqlite3.DatabaseError:
        found.add("new file")
        return
    finally:
        database.close()
    unknown = {run: level for run, level in complete.items() if run not in known}
    if not is_live and complete and not any(level == 0 for level in unknown.values()):
        found.add("drop")
        return
    found.update("merge" if level else "seal" for level in unknown.values())
    for run in begun - set(complete):
        found.add("retired run" if known.get(run) else "run")
    if any(retired and run not in complete for run, retired in known.items()):
        found.add("retired run")


class Moment:
    """Waits for an instant inside of some work, as the folder of the range files shows it."""

    POLL_S = 0.0002
    MUCH_BYTES = 120_000  # what merges write, and seals do not

    def __init__(self, data):
        self.folder = data / "telemetry"

    def wait(self, kind, deadline_s):
        """`kind`: "write" a range file's log grows, "merge" one grows much, "drop" a range file goes.
        True: it came."""
        end, before = time.monotonic() + deadline_s, self._state(kind)
        while time.monotonic() < end:
            time.sleep(self.POLL_S)
            now = self._state(kind)
            if now > before:
                return True
            before = now
        return False

    def _state(self, kind):
        """A number that grows when it comes."""
        if kind == "drop":
            return -len(self._entries(".db"))
        sizes = self._log_sizes()
        return sum(sizes) if kind == "write" else any(size > self.MUCH_BYTES for size in sizes)

    def _entries(self, suffix):
        try:
            with os.scandir(self.folder) as entries:
                return [entry for entry in entries if entry.name.endswith(suffix)]
        except FileNotFoundError:
            return []

    def _log_sizes(self):
        sizes = []
        for entry in self._entries(".db-wal"):
            try:
                sizes.append(os.stat(entry.path).st_size)
            except FileNotFoundError:
                pass
        return sizes
