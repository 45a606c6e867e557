"""A backup that is killed leaves the one before usable, and the next one whole.

The server seals and takes points all the while. `backup` is killed at random instants of the time
that a whole one takes; after each kill the target is restored and must hold at least what the last
finished backup held, and be clean.
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support import mqtt, wait
from support.server import Server, binary

SETTINGS = ("telemetry.range=day", "telemetry.journal_bytes_max=65536",
            "telemetry.seal_interval_ms=100")
START_MS, DAY_MS = 1_700_000_000_000, 86_400_000
KILLS = 8
DAYS = 3
BURST = 600


class BackupKill(unittest.TestCase):

    def setUp(self):
        self.server = Server(*SETTINGS)
        self.addCleanup(self.server.destroy)
        self.server.start()
        self.device = self.server.rest.login().create_device("recorder")
        self.target = self.server.directory / "backup"
        self.restored = self.server.directory / "restored"
        self.sent = 0
        self.random = random.Random(1)

    def send(self):
        """A burst of counters dealt out over some days, acknowledged."""
        client = mqtt.Client(self.server.mqtt_port, username=self.device.token)
        for _ in range(BURST // 100):
            rows = [{"ts": START_MS + n % DAYS * DAY_MS + n, "values": {"n": n}}
                    for n in range(self.sent, self.sent + 100)]
            client.publish_acked("v1/devices/me/telemetry", json.dumps(rows))
            self.sent += 100
        client.disconnect()

    def start_backup(self):
        return subprocess.Popen([binary(), "backup", "--data", str(self.server.data), "--to",
                                 str(self.target)], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def back_up(self):
        """A whole one; returns how long it took."""
        begin = time.monotonic()
        process = self.start_backup()
        output = process.communicate(timeout=wait.DEADLINE_S * 3)[0]
        self.assertEqual(0, process.returncode, output)
        return time.monotonic() - begin

    def call(self, *words):
        done = subprocess.run([binary(), *map(str, words)], capture_output=True, text=True,
                              check=False, timeout=wait.DEADLINE_S * 3)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def restored_counters(self):
        """What a server started on the restored backup answers."""
        shutil.rmtree(self.restored, ignore_errors=True)
        self.call("restore", "--from", self.target, "--data", self.restored)
        self.call("fsck", "--data", self.restored)
        other = Server(*SETTINGS)
        other.data = self.restored
        with other:
            other.rest.login()
            return [value for day in range(DAYS)
                    for _, value in other.rest.history(self.device, "n", START_MS + day * DAY_MS,
                                                       START_MS + (day + 1) * DAY_MS)]

    def test_the_backup_before_stays_usable_and_the_next_one_is_whole(self):
        self.send()
        whole_s = self.back_up()
        safe = self.sent
        for _ in range(KILLS):
            self.send()
            process = self.start_backup()
            # The instant is what is random here; nothing is waited for.
            time.sleep(self.random.uniform(0, whole_s))
            process.kill()
            process.communicate()
            if process.returncode == 0:
                safe = self.sent
            found = self.restored_counters()
            self.assertEqual(len(found), len(set(found)))
            self.assertLessEqual(set(range(safe)), set(found))
            self.assertLess(max(found), self.sent)
        self.back_up()
        self.assertEqual(list(range(self.sent)), sorted(self.restored_counters()))
        self.server.stop()


if __name__ == "__main__":
    unittest.main()
