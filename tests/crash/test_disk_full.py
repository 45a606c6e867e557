"""A disk that fills to its last byte under load, on a small file system in memory.

Promised: what was acknowledged is readable, before and after; what is refused is refused readably
on MQTT 5 (PUBACK 0x97), MQTT 3.1.1 (closed without PUBACK), HTTP (507) and CoAP (5.00); reading and
logging in go on; the server starts on a full disk; it takes points again by itself when there is
space. Needs the right to mount; skipped without it.
"""

import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

from support import coap, mqtt, wait
from support.server import Server

MB = 1 << 20
DISK_MB = 64
BASE_MS = 1_700_000_000_000
QUOTA_EXCEEDED = 0x97
REFUSALS_WANTED = 3
PAD = 1500  # bytes of each message: the disk must fill within seconds


class Disk:
    """A file system of its own; fill() takes what is left of it, free() gives it back."""

    def __init__(self, size_mb=DISK_MB):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="pacificsoft-disk-"))
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs",
                               str(self.path)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.path.rmdir()
            raise unittest.SkipTest(f"cannot mount a small disk here: {done.stderr.strip()}")

    def free_bytes(self):
        fs = os.statvfs(self.path)
        return fs.f_bavail * fs.f_frsize

    def fill(self, leave=0):
        """Take all but `leave` bytes; whatever others free meanwhile, too."""
        with open(self.path / "filler", "ab", buffering=0) as file:
            try:
                while (left := self.free_bytes() - leave) > 0:
                    file.write(b"\1" * min(left, MB))
            except OSError:
                pass

    def free(self):
        (self.path / "filler").unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.path)], check=False)
        self.path.rmdir()


def payload(counter, pad=PAD):
    pad = random.Random(counter).randbytes(pad // 2).hex()
    return json.dumps({"ts": BASE_MS + counter, "values": {"n": counter, "pad": pad}})


class Sender:
    """One device that sends counters one by one; remembers what was acknowledged and how it was
    refused. A thread of its own runs `run` until `stop` is set."""

    pad = PAD

    def __init__(self, server, device):
        self.server, self.device = server, device
        self.next, self.acked, self.refused = 0, [], 0
        self.error = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while not self.stop.is_set():
                self.step()
        except Exception as error:  # told by the test, which is another thread
            self.error = f"{type(self).__name__}: {type(error).__name__}: {error}"

    def step(self):
        counter, self.next = self.next, self.next + 1
        if self.send(payload(counter, self.pad)):
            self.acked.append(counter)
        else:
            self.refused += 1

    def send(self, text):
        """True: acknowledged; False: refused, as this transport should; anything else raises."""
        raise NotImplementedError

    def close(self):
        pass


class Mqtt5(Sender):

    def __init__(self, server, device):
        super().__init__(server, device)
        self.client = mqtt.Client(server.mqtt_port, username=device.token, version=5)

    def send(self, text):
        packet_id = self.client.publish("v1/devices/me/telemetry", text)
        answer = self.client.expect("PUBACK")
        assert answer.packet_id == packet_id and answer.code in (0, QUOTA_EXCEEDED), answer
        return answer.code == 0

    def close(self):
        self.client.close()


class Mqtt311(Sender):
    client = None

    def send(self, text):
        if not self.client:
            self.client = mqtt.Client(self.server.mqtt_port, username=self.device.token)
            assert self.client.connack is not mqtt.CLOSED and self.client.connack.code == 0, \
                self.client.connack
        self.client.publish("v1/devices/me/telemetry", text)
        answer = self.client.read()
        if answer is not mqtt.CLOSED:
            assert answer.kind == "PUBACK", answer
            return True
        self.close()
        return False

    def close(self):
        if self.client:
            self.client.close()
            self.client = None


class Http(Sender):

    def send(self, text):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port,
                                                timeout=wait.DEADLINE_S)
        connection.request("POST", f"/api/v1/{self.device.token}/telemetry", text,
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 200:
            return True
        assert answer.status == 507, f"{answer.status} {body}"
        told = json.loads(body)
        assert told["status"] == 507 and "full" in told["message"].lower(), told
        return False


class Coap(Sender):
    pad = 200  # in one datagram

    def send(self, text):
        answer = coap.request(self.server.coap_port, coap.POST,
                              f"/api/v1/{self.device.token}/telemetry", text, 50)
        if answer.code == "2.04" or answer.code == "2.01":
            return True
        assert answer.code == "5.00" and b"full" in answer.payload.lower(), answer
        return False


SENDERS = (Mqtt5, Mqtt311, Http, Coap)


class DiskFull(unittest.TestCase):

    def run(self, result=None):
        """A failure is told with the server's log."""
        problems, self.logs = len(result.failures) + len(result.errors), []
        super().run(result)
        if len(result.failures) + len(result.errors) > problems:
            print(*self.logs)
        return result

    def start(self, *settings, disk_mb=DISK_MB):
        self.disk = Disk(disk_mb)
        self.addCleanup(self.disk.unmount)
        self.server = Server("telemetry.journal_bytes_max=1048576",
                             "telemetry.seal_interval_ms=500", "storage.checkpoint_bytes=1048576",
                             *settings)
        self.addCleanup(self.server.destroy)
        self.addCleanup(lambda: self.logs.append(self.server.log()))
        self.server.data = self.disk.path / "data"
        self.server.start()
        self.server.rest.login()
        self.senders = [kind(self.server, self.server.rest.create_device(kind.__name__))
                        for kind in SENDERS]

    def run_senders(self):
        for sender in self.senders:
            sender.stop.clear()
            sender.thread = threading.Thread(target=sender._run)
            sender.thread.start()
            self.addCleanup(sender.stop.set)

    def stop_senders(self):
        for sender in self.senders:
            sender.stop.set()
        for sender in self.senders:
            sender.thread.join(wait.DEADLINE_S * 3)
            self.assertFalse(sender.thread.is_alive())
            sender.close()
            self.assertIsNone(sender.error)

    def assert_no_error(self):
        self.assertEqual([], [sender.error for sender in self.senders if sender.error])
        self.assertIsNone(self.server.process.poll(), self.server.log())

    def wait_all(self, condition, what, deadline_s=120):
        def check():
            self.assert_no_error()
            return all(condition(sender) for sender in self.senders)
        wait.until(check, what, deadline_s)

    def wait_all_refused(self):
        before = [sender.refused for sender in self.senders]
        self.wait_all(lambda sender: sender.refused
                      >= before[self.senders.index(sender)] + REFUSALS_WANTED,
                      "refused on all transports")

    def wait_all_acked(self):
        before = [len(sender.acked) for sender in self.senders]
        self.wait_all(lambda sender: len(sender.acked) > before[self.senders.index(sender)] + 3,
                      "taken on all transports")

    def assert_ledger(self):
        """Every acknowledged point is readable."""
        for sender in self.senders:
            found = [value for _, value in self.server.rest.history(sender.device, "n")]
            self.assertEqual([], sorted(set(sender.acked) - set(found)), type(sender).__name__)
            self.assertLessEqual(len(found), sender.next)
            self.assertEqual(len(found), len(set(found)))

    def assert_serves(self):
        """What does not add points goes on."""
        self.server.rest.login()
        for sender in self.senders:
            self.assertEqual(200, self.server.rest.get(
                f"/api/device/{sender.device.id}").status)
        self.assertEqual(200, self.server.rest.get("/readyz", token="").status)

    # ---- tests ----

    def test_above_the_reserve_all_is_refused_readably_and_nothing_is_lost(self):
        self.start("storage.reserve_bytes=8388608")
        self.run_senders()
        self.wait_all_acked()
        self.disk.fill(leave=16 * MB)  # the load takes the rest
        self.wait_all_refused()
        self.assertGreater(self.disk.free_bytes(), 2 * MB)
        self.assertEqual(1, self.server.rest.metrics()["disk_refusing"])
        self.assertIn(b'"diskFull":true', self.server.rest.get("/readyz", token="").body)
        self.assertIn("event=disk_full", self.server.log())
        self.assert_serves()
        self.ask_real_clients()
        self.disk.free()
        self.wait_all_acked()
        self.assertEqual(0, self.server.rest.metrics()["disk_refusing"])
        self.stop_senders()
        self.assert_ledger()
        self.assert_balance()
        self.server.restart()
        self.server.rest.login()
        self.assert_ledger()
        self.server.stop()

    def test_filled_to_the_brim_by_others_it_serves_starts_and_comes_back(self):
        self.start("storage.reserve_bytes=8388608")
        self.run_senders()
        self.wait_all_acked()
        self.disk.fill()
        self.wait_all_refused()
        self.disk.fill()
        self.assert_serves()
        self.stop_senders()
        self.assert_ledger()

        self.server.kill()
        self.disk.fill()
        self.start_full()
        self.server.stop()
        self.disk.fill()
        self.start_full()
        self.disk.fill()
        self.run_senders()
        self.wait_all_refused()
        self.disk.free()
        self.wait_all_acked()
        self.stop_senders()
        self.assert_ledger()
        self.server.stop()

    def start_full(self):
        """A start with not one byte left."""
        self.assertEqual(0, self.disk.free_bytes())
        self.server.start()
        self.server.rest.login()
        self.assert_serves()
        self.assert_ledger()
        self.reconnect()

    def reconnect(self):
        for sender in self.senders:
            sender.close()
            if isinstance(sender, Mqtt5):
                sender.client = mqtt.Client(self.server.mqtt_port, username=sender.device.token,
                                            version=5)

    def test_without_reserve_what_the_disk_cannot_take_is_refused_and_nothing_is_lost(self):
        self.start("storage.reserve_bytes=0")
        self.run_senders()
        self.wait_all_acked()
        self.disk.fill(leave=4 * MB)
        self.wait_all_refused()
        self.disk.fill()
        self.wait_all_refused()
        self.disk.free()
        self.wait_all_acked()
        self.stop_senders()
        self.assert_ledger()
        self.server.kill()
        self.server.start()
        self.server.rest.login()
        self.assert_ledger()
        self.server.stop()

    def test_where_the_oldest_may_go_new_points_are_taken(self):
        self.start("storage.reserve_bytes=8388608", "storage.shed_oldest=true",
                   "telemetry.range=day", disk_mb=2 * DISK_MB)
        device = self.server.rest.create_device("old")
        client = mqtt.Client(self.server.mqtt_port, username=device.token)
        day_ms = 86400 * 1000
        for day in range(6):
            for n in range(2000):
                pad = random.Random(n).randbytes(PAD // 2).hex()
                client.publish("v1/devices/me/telemetry", json.dumps(
                    {"ts": BASE_MS - (9 - day) * day_ms + n, "values": {"n": n, "pad": pad}}))
            for n in range(2000):
                client.expect("PUBACK")
        client.close()
        # The keeper has the lowest priority: beside other work this may take its time.
        wait.until(lambda: self.server.rest.metrics()["telemetry_unsealed_bytes"] == 0, "sealed",
                   300)
        self.assertEqual(12000, self.count_old(device))
        self.disk.fill(leave=7 * MB)
        shed = 'telemetry_files_deleted_total{reason="disk_full"}'
        wait.until(lambda: self.server.rest.metrics()[shed] >= 1
                   and self.disk.free_bytes() >= 8 * MB, "oldest files deleted", 120)
        for sender in self.senders:
            wait.until(lambda sender=sender: sender.step() or sender.acked, "taken")
        first, last = BASE_MS - 9 * day_ms, BASE_MS - 4 * day_ms
        self.assertEqual(0, self.count_old(device, first, first + day_ms))
        self.assertEqual(2000, self.count_old(device, last, last + day_ms))
        self.assertIn("reason=disk_full", self.server.log())
        for sender in self.senders:
            sender.close()
        self.server.stop()

    def count_old(self, device, start_ms=0, end_ms=BASE_MS):
        return len(self.server.rest.history(device, "n", start_ms, end_ms))

    def ask_real_clients(self):
        """What a user sees who has only the usual tools."""
        token = self.senders[2].device.token
        url = f"http://127.0.0.1:{self.server.http_port}/api/v1/{token}/telemetry"
        if shutil.which("curl"):
            done = subprocess.run(["curl", "-s", "-w", " %{http_code}", "-d", '{"a":1}', url],
                                  capture_output=True, text=True, check=False, timeout=60)
            self.assertRegex(done.stdout, r"(?i)full.* 507$")
        if shutil.which("mosquitto_pub"):
            done = subprocess.run(["mosquitto_pub", "-p", str(self.server.mqtt_port), "-u", token,
                                   "-V", "5", "-q", "1", "-t", "v1/devices/me/telemetry", "-m",
                                   '{"a":1}'], capture_output=True, text=True, check=False,
                                  timeout=60)
            self.assertIn("Quota exceeded", done.stdout + done.stderr)
        if shutil.which("coap-client"):
            done = subprocess.run(["coap-client", "-m", "post", "-e", '{"a":1}',
                                   f"coap://127.0.0.1:{self.server.coap_port}/api/v1/{token}"
                                   "/telemetry"], capture_output=True, text=True, check=False,
                                  timeout=60)
            self.assertRegex(done.stdout + done.stderr, r"(?i)5\.00.*full")

    def assert_balance(self):
        """received = stored + refused + dropped + in flight"""
        def open_messages():
            page = self.server.rest.metrics()
            return page["messages_received_total"] - sum(
                page[f"messages_{name}_total"] for name in ("stored", "refused", "dropped"))
        wait.until_equal(open_messages, 0, "messages without an end")
        self.assertGreater(self.server.rest.metrics()['refused_total{reason="storage"}'], 0)


if __name__ == "__main__":
    unittest.main()
