"""The process: starting, saying what it is, refusing bad settings, stopping, counting."""

import json
import os
import signal
import subprocess
import unittest

from support import mqtt, wait
from support.case import ServerCase
from support.rest import telemetry_path
from support.server import Server, binary


def call(*words, environment=None):
    return subprocess.run([binary(), *words], capture_output=True, text=True, check=False,
                          timeout=wait.DEADLINE_S, env={**os.environ, **(environment or {})})


class CommandLine(unittest.TestCase):

    def test_version(self):
        self.assertRegex(call("version").stdout, r"^pacificsoft \d+\.\d+\.\d+\n$")

    def test_check_config(self):
        done = call("check-config", "--set", "http.port=0")
        self.assertEqual((0, "settings are valid\n"), (done.returncode, done.stdout))
        done = call("check-config", "--set", "http.prot=0")
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("did you mean http.port?", done.stderr)
        done = call("check-config", environment={"PACIFICSOFT_MQTT_PORT": "70000"})
        self.assertEqual(1, done.returncode)
        self.assertIn("from 0 to 65535", done.stderr)

    def test_run_refuses_what_check_config_refuses(self):
        done = call("run", "--set", "http.prot=0")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("did you mean http.port?", done.stderr)

    def test_an_unknown_command_is_refused(self):
        done = call("fly")
        self.assertEqual((2, ""), (done.returncode, done.stdout))
        self.assertIn("Usage: pacificsoft", done.stderr)


class Life(ServerCase):

    def test_probes_answer(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(200, self.rest.get(path, token="").status)

    def test_every_message_is_stored_refused_dropped_or_in_flight(self):
        client = self.mqtt(version=5)
        for _ in range(20):
            client.publish_acked("v2/t", '{"a":1}')
        client.publish_acked("v2/t", "5", code=0x99)
        self.rest.post(f"/api/v1/{self.device.token}/telemetry", raw="{", token="")
        self.rest.ok("POST", f"{telemetry_path(self.device)}/timeseries/ANY", {"a": 1})

        def balance():
            page = self.rest.metrics()
            return page["messages_received_total"] - sum(
                page[f"messages_{name}"]
                for name in ("stored_total", "refused_total", "dropped_total", "in_flight"))

        wait.until_equal(balance, 0, "balance of messages")
        page = self.rest.metrics()
        self.assertEqual(0, page["messages_in_flight"])
        self.assertGreaterEqual(page["messages_stored_total"], 20)
        self.assertGreaterEqual(page["messages_refused_total"], 2)
        self.assertEqual(1, page['transport_messages_total{transport="rest"}'])

    def test_sigusr1_and_sighup_disturb_nobody(self):
        client = self.mqtt()
        for one in (signal.SIGUSR1, signal.SIGHUP):
            self.server.process.send_signal(one)
            client.publish_acked("v2/t", '{"a":1}')
        client.ping()


class Stop(unittest.TestCase):

    def test_stopping_answers_what_was_taken_and_exits_cleanly(self):
        with Server() as server:
            rest = server.rest.login()
            device = rest.create_device("stopper")
            client = mqtt.Client(server.mqtt_port, username=device.token)
            for i in range(500):
                client.publish("v2/t", '{"ts":%d,"values":{"n":%d}}' % (i, i))
            first = client.expect("PUBACK")
            server.stop()
            acknowledged = 1
            while (got := client.read()) is not mqtt.CLOSED:
                acknowledged += got.kind == "PUBACK"
            client.close()
            self.assertEqual(1, first.packet_id)
            server.start()
            stored = server.rest.login().history(device, "n")
            self.assertGreaterEqual(len(stored), acknowledged)
            self.assertEqual(list(range(len(stored))), [value for _, value in stored])

    def test_killed_and_started_again_it_knows_what_it_acknowledged(self):
        with Server() as server:
            rest = server.rest.login()
            device = rest.create_device("survivor")
            client = mqtt.Client(server.mqtt_port, username=device.token)
            for i in range(100):
                client.publish_acked("v2/t", '{"ts":%d,"values":{"n":%d}}' % (i, i))
            server.kill()
            client.close()
            server.start()
            stored = server.rest.login().history(device, "n")
            self.assertEqual(list(range(100)), [value for _, value in stored])

    def test_a_busy_port_is_told(self):
        with Server() as server:
            done = call("run", "--data", str(server.directory / "other"), "--set",
                        f"http.port={server.http_port}", "--set", "mqtt.port=0", "--set",
                        "coap.port=0")
            self.assertNotEqual(0, done.returncode)
            self.assertIn(str(server.http_port), done.stderr)

    def test_without_demo_there_are_no_known_passwords(self):
        with Server(demo=False) as server:
            answer = server.rest.post("/api/auth/login", token="", body={
                "username": "tenant@thingsboard.org", "password": "tenant"})
            self.assertEqual(401, answer.status)

    def test_json_log_lines_are_json(self):
        with Server("log.format=json") as server:
            server.rest.login()
            server.stop()
            lines = server.log().splitlines()
            self.assertTrue(lines)
            for line in lines:
                self.assertIn("event", json.loads(line))


if __name__ == "__main__":
    unittest.main()
