"""Latest values after deletes: what is told is what a start finds again, also one after a kill."""

import json
import subprocess
import unittest
import urllib.parse
import uuid

from support import wait
from support.case import ServerCase
from support.rest import telemetry_path


class LatestCase(ServerCase):

    def setUp(self):
        self.device = self.rest.create_device(f"{self.id()} {uuid.uuid4()}")
        self.save(*[(ts, ts // 100) for ts in (1000, 2000, 3000)])

    def save(self, *points):
        body = [{"ts": ts, "values": {"k": value}} for ts, value in points]
        self.rest.ok("POST", f"{telemetry_path(self.device)}/timeseries/ANY", body)

    def publish(self, ts, value):
        """As a device with mosquitto_pub; it exits 0 once the message is acknowledged."""
        subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.server.mqtt_port),
                        "-u", self.device.token, "-t", "v1/devices/me/telemetry", "-q", "1",
                        "-m", json.dumps({"ts": ts, "values": {"k": value}})],
                       check=True, timeout=wait.DEADLINE_S)

    def delete(self, **query):
        query = urllib.parse.urlencode({"keys": "k", **query})
        answer = self.rest.delete(f"{telemetry_path(self.device)}/timeseries/delete?{query}")
        self.assertEqual((200, b""), (answer.status, answer.body), answer)

    def start_again(self, kill=True):
        """After a kill nothing is left but what was durable when it was answered."""
        if kill:
            self.server.kill()
            self.server.start()
        else:
            self.server.restart()
        type(self).rest = self.server.rest.login()

    def latest(self):
        ((ts, value),) = self.rest.latest_points(self.device, "k").values()
        return None if value is None else (ts, value)

    def history(self):
        return [ts for ts, _ in self.rest.history(self.device, "k")]

    def check(self, latest, history):
        self.assertEqual((latest, history), (self.latest(), self.history()))


class Deletes(LatestCase):

    def test_what_was_told_is_found_again(self):
        """Each rule of the latest value; [the delete], latest value, history."""
        span = {"startTs": 1500, "endTs": 3500}
        everything = {"deleteAllDataForKeys": "true"}
        cases = [
            ({**span, "deleteLatest": "false"}, (3000, 30), [1000]),
            ({**span}, None, [1000]),
            ({**span, "rewriteLatestIfDeleted": "true"}, (1000, 10), [1000]),
            ({**span, "endTs": 2500}, (3000, 30), [1000, 3000]),
            ({**everything}, None, []),
            ({**everything, "deleteLatest": "false"}, (3000, 30), []),
        ]
        for kill in (True, False):
            for query, latest, history in cases:
                with self.subTest(query=query, kill=kill):
                    self.setUp()
                    self.delete(**query)
                    self.start_again(kill)
                    self.check(latest, history)
                    self.start_again(not kill)  # what was looked up changes nothing
                    self.check(latest, history)

    def test_after_the_latest_is_gone_an_older_point_is_it(self):
        self.delete(startTs=1500, endTs=3500)
        self.publish(500, 5)
        self.start_again()
        self.check((500, 5), [500, 1000])
        self.publish(400, 4)  # older than the latest value that there is
        self.publish(700, 7)
        self.start_again()
        self.check((700, 7), [400, 500, 700, 1000])
        self.publish(1600, 16)
        self.publish(1500, 15)
        self.start_again()
        self.check((1600, 16), [400, 500, 700, 1000, 1500, 1600])

    def test_a_value_that_stays_gives_way_to_a_newer_point_only(self):
        self.delete(deleteAllDataForKeys="true", deleteLatest="false")
        self.publish(2999, 29)
        self.start_again()
        self.check((3000, 30), [2999])
        self.publish(3000, 31)  # as new, and later written
        self.start_again()
        self.check((3000, 31), [2999, 3000])
        self.delete(startTs=0, endTs=5000)
        self.start_again()
        self.check(None, [])

    def test_deletes_one_after_the_other(self):
        self.delete(startTs=2500, endTs=3500, deleteLatest="false")
        self.delete(startTs=500, endTs=1500, deleteLatest="false")
        self.start_again()
        self.check((3000, 30), [2000])
        self.delete(startTs=2500, endTs=3500, rewriteLatestIfDeleted="true")
        self.start_again()
        self.check((2000, 20), [2000])
        self.delete(startTs=2000, endTs=2001)
        self.publish(100, 1)
        self.delete(startTs=100, endTs=101, deleteLatest="false")
        self.start_again()
        self.check((100, 1), [])


class Sealed(LatestCase):
    """The same, and points leave the journal at once."""

    settings = ("telemetry.journal_bytes_max=1048576", "telemetry.seal_interval_ms=1000")

    def sealed(self):
        return self.rest.metrics()["telemetry_sealed_points_total"]

    def test_pins_outlive_the_journal(self):
        self.delete(startTs=1500, endTs=3500, deleteLatest="false")
        wait.until(lambda: self.sealed() > 0, "points were sealed")
        self.start_again()
        self.check((3000, 30), [1000])
        self.delete(startTs=2500, endTs=3500)
        before = self.sealed()
        self.publish(500, 5)
        wait.until(lambda: self.sealed() > before, "the older point was sealed")
        self.start_again()
        self.check((500, 5), [500, 1000])


if __name__ == "__main__":
    unittest.main()
