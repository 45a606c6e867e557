"""What operators do: backup, restore, fsck, retention; and a server that meets damaged files."""

import fcntl
import json
import pathlib
import sqlite3
import subprocess
import time
import unittest

from support import mqtt, wait
from support.server import Server, binary

WEEK_MS = 7 * 86400 * 1000
# Mondays, so that each week is one file.
WEEKS = [1_699_833_600_000 + n * WEEK_MS for n in range(3)]
FILES = ["2023-W46", "2023-W47", "2023-W48"]
POINTS = 500
VALUES = [n * n * 31 % 10007 / 10 for n in range(POINTS)]
SEALING = ("telemetry.journal_bytes_max=65536", "telemetry.seal_interval_ms=100")


def call(*words, status=0):
    """Run a sub-command; it must end with this status. Returns what it wrote to standard output,
    or (it failed) to both."""
    done = subprocess.run([binary(), *map(str, words)], capture_output=True, text=True,
                          check=False, timeout=wait.DEADLINE_S * 3)
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout if status == 0 else done.stdout + done.stderr


def send(server, device, start_ms, key="n", count=POINTS):
    """`count` points a second apart, acknowledged."""
    client = mqtt.Client(server.mqtt_port, username=device.token)
    for first in range(0, count, 100):
        rows = [{"ts": start_ms + i * 1000, "values": {key: VALUES[i]}}
                for i in range(first, first + 100)]
        client.publish_acked("v1/devices/me/telemetry", json.dumps(rows))
    client.disconnect()


def wait_sealed(server, points):
    wait.until(lambda: server.rest.metrics()["telemetry_sealed_points_total"] >= points
               and server.rest.metrics()["telemetry_unsealed_bytes"] == 0, "points sealed")


def telemetry(data, week):
    return data / "telemetry" / f"{FILES[week]}.db"


class Operator(unittest.TestCase):
    """Three weeks of points of one device, sealed into three files."""

    def setUp(self):
        self.server = Server(*SEALING)
        self.addCleanup(self.server.destroy)
        self.server.start()
        self.rest = self.server.rest.login()
        self.device = self.rest.create_device("recorder")
        for week in WEEKS:
            send(self.server, self.device, week)
        wait_sealed(self.server, 3 * POINTS)
        self.target = self.server.directory / "backup"

    def values(self, week, server=None, key="n"):
        rest = (server or self.server).rest
        if not rest.token:
            rest.login()
        return [value for _, value in
                rest.history(self.device, key, WEEKS[week], WEEKS[week] + WEEK_MS)]

    def serve(self, data):
        """A second server on this directory."""
        other = Server(*SEALING)
        self.addCleanup(other.destroy)
        other.data = data
        return other.start()

    # ---- backup and restore ----

    def test_a_backup_of_a_running_server_comes_back_whole(self):
        said = call("backup", "--data", self.server.data, "--to", self.target)
        self.assertIn("4 files copied", said)
        send(self.server, self.device, WEEKS[0], key="later")
        restored = self.server.directory / "restored"
        self.assertIn("4 files", call("restore", "--from", self.target, "--data", restored))
        self.assertIn("clean", call("fsck", "--data", restored))
        other = self.serve(restored)
        other.rest.login()
        for week in range(3):
            self.assertEqual(VALUES, self.values(week, other))
        self.assertEqual([], self.values(0, other, "later"))
        other.stop()
        self.server.stop()

    def test_the_second_backup_copies_only_what_changed(self):
        call("backup", "--data", self.server.data, "--to", self.target)
        send(self.server, self.device, WEEKS[1] + 10_000_000)
        wait_sealed(self.server, 4 * POINTS)
        said = call("backup", "--data", self.server.data, "--to", self.target)
        self.assertIn("2 files copied", said)
        self.assertIn("2 unchanged", said)
        restored = self.server.directory / "restored"
        call("restore", "--from", self.target, "--data", restored)
        self.server.stop()
        other = self.serve(restored)
        self.assertEqual(2 * POINTS, len(self.values(1, other)))
        other.stop()

    def test_what_was_damaged_in_the_target_is_copied_again(self):
        call("backup", "--data", self.server.data, "--to", self.target)
        stored = next((self.target / "telemetry").glob(f"{FILES[1]}-*.db"))
        flip(stored, stored.stat().st_size // 2)
        said = call("backup", "--data", self.server.data, "--to", self.target)
        self.assertIn("2 files copied", said)
        self.assertIn("2 unchanged", said)
        call("restore", "--from", self.target, "--data", self.server.directory / "restored")
        self.server.stop()

    def test_a_copy_of_what_is_damaged_now_stays_in_the_target(self):
        call("backup", "--data", self.server.data, "--to", self.target)
        stored = next((self.target / "telemetry").glob(f"{FILES[1]}-*.db"))
        self.damage(1, lambda path: path.write_bytes(b"x" * 100_000))
        self.assert_named(1)
        for _ in range(2):
            said = call("backup", "--data", self.server.data, "--to", self.target, status=1)
            self.assertIn("1 damaged files are not in it", said)
            self.assertIn(f"{stored.name} of an earlier backup is kept", said)
            self.assertTrue(stored.exists())
        self.server.stop()
        (self.server.data / "telemetry" / f"{FILES[1]}.db.damaged").unlink()
        call("fsck", "--data", self.server.data, "--rebuild", status=1)
        said = call("backup", "--data", self.server.data, "--to", self.target)
        self.assertNotIn("kept", said)
        self.assertFalse(stored.exists())

    def test_backups_while_points_pour_in_have_what_was_acknowledged_before(self):
        client = mqtt.Client(self.server.mqtt_port, username=self.device.token)
        self.addCleanup(client.close)
        sent = 0
        for n in range(3):
            for _ in range(20):
                rows = [{"ts": WEEKS[2] + 50_000_000 + (sent + i) * 1000, "values": {"c": sent + i}}
                        for i in range(50)]
                client.publish_acked("v1/devices/me/telemetry", json.dumps(rows))
                sent += 50
            backup = subprocess.Popen([binary(), "backup", "--data", str(self.server.data), "--to",
                                       str(self.target)], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True)
            before = sent
            while backup.poll() is None:
                client.publish_acked("v1/devices/me/telemetry",
                                     json.dumps({"ts": WEEKS[2] + 50_000_000 + sent * 1000,
                                                 "values": {"c": sent}}))
                sent += 1
            self.assertEqual(0, backup.returncode, backup.stdout.read())
            backup.stdout.close()
            restored = self.server.directory / f"restored{n}"
            call("restore", "--from", self.target, "--data", restored)
            self.assertIn("clean", call("fsck", "--data", restored))
            other = self.serve(restored)
            found = self.values(2, other, "c")
            self.assertGreaterEqual(len(found), before)
            self.assertEqual(list(range(len(found))), found)
            other.stop()
        client.disconnect()
        self.server.stop()

    def test_restore_refuses_what_would_harm(self):
        call("backup", "--data", self.server.data, "--to", self.target)
        self.assertIn("not empty",
                      call("restore", "--from", self.target, "--data", self.server.data, status=1))
        listed = json.loads((self.target / "backup.json").read_text(encoding="utf-8"))
        stored = self.target / listed["files"][1]["stored"]
        flip(stored, stored.stat().st_size // 2)
        restored = self.server.directory / "restored"
        self.assertIn("checksum",
                      call("restore", "--from", self.target, "--data", restored, status=1))
        done = subprocess.run([binary(), "run", "--data", str(restored)], capture_output=True,
                              text=True, check=False, timeout=wait.DEADLINE_S)
        self.assertNotEqual(0, done.returncode)
        self.assertIn("a restore was interrupted", done.stderr)
        self.server.stop()

    def test_backup_and_fsck_refuse_what_makes_no_sense(self):
        data = self.server.data
        for target in (data, data / "backup", data / "telemetry", data / ".." / data.name / "b"):
            self.assertIn("is inside of the data directory",
                          call("backup", "--data", data, "--to", target, status=2))
        self.assertFalse((data / "backup").exists())
        self.server.stop()
        (data / "restore.partial").touch()
        for words in (("backup", "--data", data, "--to", self.target), ("fsck", "--data", data)):
            self.assertIn("a restore was interrupted", call(*words, status=2))

    def test_while_a_backup_runs_nothing_is_deleted(self):
        with open(self.server.data / "backup.lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            self.server.settings += ("telemetry.ttl_days=1",)
            self.server.restart()
            self.server.rest.login()
            self.assertEqual([], self.values(0))  # expired, so not shown
            sealed = self.server.rest.metrics()["telemetry_sealed_points_total"]
            send(self.server, self.device, int(time.time() * 1000) - 1_000_000)
            wait_sealed(self.server, sealed + POINTS)
            for week in range(3):
                self.assertTrue(telemetry(self.server.data, week).exists())
        self.server.restart()
        for week in range(3):
            wait.until(lambda week=week: not telemetry(self.server.data, week).exists(), "deleted")
        self.server.stop()

    def test_retention_tells_what_goes_when(self):
        said = call("retention", "--data", self.server.data)
        self.assertRegex(said, r"(?m)^2023-W46 +500 +[\d.]+ k?B  never$")
        said = call("retention", "--data", self.server.data, "--set", "telemetry.ttl_days=3650")
        self.assertRegex(said, r"(?m)^2023-W48 +500 +[\d.]+ k?B  2033-\d\d-\d\d \d\d:\d\d:\d\d UTC$")
        self.assertRegex(said, r"(?m)^all +1500 ")
        self.server.stop()

    # ---- fsck ----

    def test_fsck_refuses_beside_a_server_and_finds_it_clean_after(self):
        self.assertIn("another process uses",
                      call("fsck", "--data", self.server.data, status=2))
        self.server.stop()
        said = call("fsck", "--data", self.server.data)
        self.assertIn("3 files", said)
        self.assertIn("clean", said)

    def test_fsck_rebuilds_a_lost_manifest(self):
        self.server.stop()
        with sqlite3.connect(self.server.data / "pacificsoft.db") as db:
            db.executescript("DELETE FROM telemetry_run; DELETE FROM telemetry_file;"
                             "DELETE FROM series; DELETE FROM telemetry_state;")
        db.close()
        self.assertIn("the manifest knows none", call("fsck", "--data", self.server.data, status=1))
        call("fsck", "--data", self.server.data, "--rebuild", status=1)
        self.assertIn("clean", call("fsck", "--data", self.server.data))
        self.server.start()
        for week in range(3):
            self.assertEqual(VALUES, self.values(week))
        # And it goes on from there: new ids, new rows, nothing taken for sealed.
        send(self.server, self.device, WEEKS[0], key="new")
        self.assertEqual(VALUES, self.values(0, key="new"))
        self.server.restart()
        self.assertEqual(VALUES, self.values(0, key="new"))
        self.server.stop()

    # ---- damage ----

    def assert_serves_the_rest(self, damaged):
        """The other weeks are answered, new points are taken and sealed."""
        self.server.rest.login()
        for week in range(3):
            if week != damaged:
                self.assertEqual(VALUES, self.values(week))
        send(self.server, self.device, WEEKS[damaged], key="fresh")
        self.assertEqual(VALUES, self.values(damaged, key="fresh"))

    def damage(self, week, how):
        """Stop, damage, start, read the damaged week; returns what is left of it."""
        self.server.stop()
        how(telemetry(self.server.data, week))
        self.server.start()
        self.server.rest.login()
        answer = self.server.rest.get(
            f"/api/plugins/telemetry/DEVICE/{self.device.id}/values/timeseries?keys=n"
            f"&startTs={WEEKS[week]}&endTs={WEEKS[week] + WEEK_MS}&limit=10000&agg=NONE")
        self.assertIn(answer.status, (200, 500))
        return answer

    def assert_named(self, week):
        """Log, metric and readyz say which file it is; it was set aside."""
        aside = self.server.data / "telemetry" / f"{FILES[week]}.db.damaged"
        wait.until(aside.exists, "file set aside")
        wait.until_equal(
            lambda: self.server.rest.metrics()['telemetry_files{state="damaged"}'], 1, "metric")
        ready = self.server.rest.get("/readyz", token="")
        self.assertEqual(200, ready.status)
        self.assertIn(FILES[week], ready.body.decode())
        self.assertIn(FILES[week], self.server.log())

    def assert_partly_damaged(self, week):
        """Log, metric and readyz say which file damage was met in; it is still used."""
        wait.until_equal(
            lambda: self.server.rest.metrics()['telemetry_files{state="partly_damaged"}'], 1,
            "metric")
        self.assertGreaterEqual(self.server.rest.metrics()["telemetry_damage_met_total"], 1)
        self.assertEqual(0, self.server.rest.metrics()['telemetry_files{state="damaged"}'])
        ready = self.server.rest.get("/readyz", token="")
        self.assertEqual(200, ready.status)
        self.assertEqual({"ready": True, "damagedFiles": [f"{FILES[week]}.db"], "damagedCount": 1},
                         ready.json())
        self.assertRegex(self.server.log(), f"event=damage_met file={FILES[week]} ")

    def assert_undamaged(self):
        metrics = self.server.rest.metrics()
        self.assertEqual(0, metrics['telemetry_files{state="damaged"}'])
        self.assertEqual(0, metrics['telemetry_files{state="partly_damaged"}'])
        self.assertEqual({"ready": True}, self.server.rest.get("/readyz", token="").json())

    def test_a_file_the_server_set_aside_is_saved_by_a_rebuild(self):
        """It is found at start or by a query; new points of its week go to a new file."""
        meta = []

        def lose_meta(path):
            with sqlite3.connect(path) as db:
                meta.extend(db.execute("SELECT key, value FROM meta"))
                db.execute("DELETE FROM meta")
            db.close()
        self.damage(1, lose_meta)
        self.assert_named(1)
        self.assert_serves_the_rest(1)
        self.server.stop()
        with sqlite3.connect(self.server.data / "telemetry" / f"{FILES[1]}.db.damaged") as db:
            db.executemany("INSERT INTO meta VALUES(?, ?)", meta)
        db.close()
        call("fsck", "--data", self.server.data, status=1)
        said = call("fsck", "--data", self.server.data, "--rebuild", status=1)
        self.assertIn(f"{FILES[1]}.db: {POINTS} points of", said)
        self.assertIn("clean", call("fsck", "--data", self.server.data))
        self.server.start()
        self.server.rest.login()
        self.assertEqual(VALUES, self.values(1))
        self.assertEqual(VALUES, self.values(1, key="fresh"))
        self.assert_undamaged()
        self.server.stop()

    def test_flipped_bytes_cost_their_file_and_nothing_else(self):
        def flip_all(path):
            for offset in range(100, path.stat().st_size, 500):
                flip(path, offset)
        self.damage(1, flip_all)
        self.assert_named(1)
        self.assert_serves_the_rest(1)
        self.server.restart()
        self.assert_serves_the_rest(1)
        self.server.stop()

    def test_one_flipped_bit_costs_its_block_and_nothing_else(self):
        send(self.server, self.device, WEEKS[2], key="other")
        wait_sealed(self.server, 4 * POINTS)

        def flip_block(path):
            with sqlite3.connect(path) as db:
                number, body = db.execute("SELECT id, body FROM block ORDER BY id").fetchone()
                body = body[:-20] + bytes([body[-20] ^ 1]) + body[-19:]
                db.execute("UPDATE block SET body = ? WHERE id = ?", (body, number))
            db.close()
        answer = self.damage(2, flip_block)
        self.assertEqual(200, answer.status)
        self.assertLess(len(answer.json().get("n", [])), POINTS)
        self.assert_partly_damaged(2)
        self.assertEqual(VALUES, self.values(2, key="other"))
        self.assert_serves_the_rest(2)
        self.server.stop()
        said = call("fsck", "--data", self.server.data, status=1)
        self.assertRegex(said, f"problem: {FILES[2]}.db: run 1, block of series [0-9]+: ")
        said = call("backup", "--data", self.server.data, "--to", self.target, status=1)
        self.assertIn(f"{telemetry(self.server.data, 2)}: run 1, block of series", said)
        self.assertIn("run fsck", said)
        said = call("fsck", "--data", self.server.data, "--rebuild", status=1)
        self.assertIn(f"{FILES[2]}.db set aside", said)
        self.assertRegex(said, f"{FILES[2]}.db: [0-9]+ points of [0-9]+ blocks kept")
        self.assertIn("clean", call("fsck", "--data", self.server.data))
        kept = self.server.data / "telemetry" / f"{FILES[2]}.db.before-rebuild"
        self.assertTrue(kept.exists())
        self.server.start()
        self.server.rest.login()
        self.assertEqual(VALUES, self.values(2, key="other"))
        self.assertEqual(VALUES, self.values(2, key="fresh"))
        self.assert_serves_the_rest(2)
        self.server.restart()
        self.server.rest.login()
        self.assertEqual(VALUES, self.values(2, key="other"))
        self.assert_undamaged()
        self.assertIn("copied", call("backup", "--data", self.server.data, "--to", self.target))
        self.server.stop()

    def test_a_file_cut_short_costs_itself_and_nothing_else(self):
        self.damage(0, lambda path: truncate(path, 5000))
        self.assert_named(0)
        self.assert_serves_the_rest(0)
        self.server.stop()

    def test_a_file_of_garbage_costs_itself_and_nothing_else(self):
        self.damage(2, lambda path: path.write_bytes(b"this is no database" * 1000))
        self.assert_named(2)
        self.assert_serves_the_rest(2)
        self.server.stop()

    def test_a_missing_file_costs_itself_and_nothing_else(self):
        answer = self.damage(1, pathlib.Path.unlink)
        self.assertEqual({}, answer.json())
        self.assert_serves_the_rest(1)
        self.server.stop()

    def test_a_damaged_journal_row_costs_itself_and_nothing_else(self):
        self.server.settings = ("telemetry.seal_interval_ms=3600000",)
        self.server.restart()
        self.server.rest.login()
        send(self.server, self.device, WEEKS[0], key="unsealed", count=200)
        self.server.stop()
        with sqlite3.connect(self.server.data / "pacificsoft.db") as db:
            rows = [row for (row,) in db.execute("SELECT seq FROM journal ORDER BY seq")]
            self.assertGreaterEqual(len(rows), 2)
            db.execute("UPDATE journal SET points = x'02ffffffffffffffffffff' WHERE seq = ?",
                       (rows[-1],))
        db.close()
        self.assertIn(f"journal row {rows[-1]} ",
                      call("fsck", "--data", self.server.data, status=1))
        self.server.start()
        self.assertRegex(self.server.log(), r"telemetry_loaded.*damaged_rows=1")
        self.server.rest.login()
        self.assertEqual(VALUES[:100], self.values(0, key="unsealed"))
        self.assertEqual(VALUES, self.values(0))
        self.server.settings = SEALING
        self.server.restart()
        self.assert_serves_the_rest(1)
        self.server.stop()


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x55]))


def truncate(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


if __name__ == "__main__":
    unittest.main()
