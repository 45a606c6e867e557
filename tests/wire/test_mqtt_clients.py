"""The MQTT clients people have: mosquitto_pub and mosquitto_sub, paho 3.1.1 and 5."""

import queue
import subprocess
import unittest

import paho.mqtt.client as paho

from support import wait
from support.case import ServerCase


class Mosquitto(ServerCase):

    def run_pub(self, *words, token=None, version="311"):
        command = ["mosquitto_pub", "-d", "-h", "127.0.0.1", "-p", str(self.server.mqtt_port),
                   "-V", version, "-u", token or self.device.token, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=wait.DEADLINE_S * 2,
                              check=False)

    def test_pub_stores_with_every_version_and_qos(self):
        for version in ("31", "311", "5"):
            for qos in ("0", "1"):
                with self.subTest(version=version, qos=qos):
                    key = f"v{version}q{qos}"
                    done = self.run_pub("-q", qos, "-t", "v1/devices/me/telemetry", "-m",
                                        '{"%s":22.5}' % key, version=version)
                    self.assertEqual(0, done.returncode, done.stderr)
                    self.rest.wait_latest(self.device, {key: 22.5})

    def test_pub_with_qos_1_is_stored_when_it_returns(self):
        done = self.run_pub("-q", "1", "-t", "v1/devices/me/telemetry", "-m", "{temperature:25}")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("PUBACK", done.stdout)
        self.assert_latest({"temperature": 25})

    def test_pub_with_a_wrong_token_fails(self):
        done = self.run_pub("-q", "1", "-t", "v2/t", "-m", "{}", token="nope")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("not authorised", (done.stdout + done.stderr).lower())

    def test_sub_shows_a_shared_attribute(self):
        command = ["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.server.mqtt_port), "-d",
                   "-u", self.device.token, "-q", "1", "-t", "v1/devices/me/attributes", "-C", "1",
                   "-W", "60", "-v"]
        sub = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(sub.stdout.close)
        self.addCleanup(sub.kill)
        for line in sub.stdout:  # ends at SUBACK; -W ends it if that never comes
            if line.startswith("Subscribed"):
                break
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 6})
        rest = sub.stdout.read()
        self.assertEqual(0, sub.wait(wait.DEADLINE_S))
        self.assertIn('v1/devices/me/attributes {"rate":6}', rest)


class Paho(ServerCase):

    def connect(self, protocol):
        """A paho client with its loop running and what it received in .inbox."""
        client = paho.Client(client_id="paho", protocol=protocol)
        client.username_pw_set(self.device.token)
        client.inbox, client.connects, client.subacks = queue.Queue(), queue.Queue(), queue.Queue()
        client.on_message = lambda _client, _data, message: client.inbox.put(message)
        client.on_connect = lambda *arguments: client.connects.put(arguments[3])
        client.on_subscribe = lambda *arguments: client.subacks.put(arguments[3])
        client.connect("127.0.0.1", self.server.mqtt_port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.addCleanup(client.disconnect)
        self.assertEqual(0, client.connects.get(timeout=wait.DEADLINE_S))
        return client

    def check_publish(self, protocol):
        client = self.connect(protocol)
        for i in range(50):
            info = client.publish("v1/devices/me/telemetry", '{"n":%d}' % i, qos=1)
        info.wait_for_publish(wait.DEADLINE_S)
        self.assertTrue(info.is_published())
        self.rest.wait_latest(self.device, {"n": 49})

    def check_attributes(self, protocol):
        client = self.connect(protocol)
        client.subscribe([("v1/devices/me/attributes", 1),
                          ("v1/devices/me/attributes/response/+", 1)])
        client.subacks.get(timeout=wait.DEADLINE_S)
        client.publish("v1/devices/me/attributes", '{"model":"x"}', qos=1).wait_for_publish(
            wait.DEADLINE_S)
        client.publish("v1/devices/me/attributes/request/1", '{"clientKeys":"model"}', qos=1)
        answer = client.inbox.get(timeout=wait.DEADLINE_S)
        self.assertEqual("v1/devices/me/attributes/response/1", answer.topic)
        self.assertEqual(b'{"client":{"model":"x"}}', answer.payload)
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 6})
        self.assertEqual(b'{"rate":6}', client.inbox.get(timeout=wait.DEADLINE_S).payload)

    def test_version_4(self):
        self.check_publish(paho.MQTTv311)
        self.check_attributes(paho.MQTTv311)

    def test_version_5(self):
        self.check_publish(paho.MQTTv5)
        self.check_attributes(paho.MQTTv5)


if __name__ == "__main__":
    unittest.main()
