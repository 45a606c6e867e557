"""The JavaScript clients people have: npm's mqtt, ws and coap, run by node (see node/)."""

import json
import os
import pathlib
import subprocess
import unittest

from support import wait
from support.case import ServerCase

NODE = pathlib.Path(__file__).resolve().parent / "node"


@unittest.skipUnless((NODE / "node_modules").is_dir(), "scripts/test installs node_modules")
class NodeClients(ServerCase):

    def run_script(self, name):
        """Run node/NAME with the server's ports and a device; its last line is JSON."""
        environment = {**os.environ, "PORTS": json.dumps({
            "http": self.server.http_port, "mqtt": self.server.mqtt_port,
            "coap": self.server.coap_port}),
            "DEVICE": json.dumps({"id": self.device.id, "token": self.device.token}),
            "JWT": self.rest.token}
        done = subprocess.run(["node", str(NODE / name)], capture_output=True, text=True,
                              check=False, timeout=wait.DEADLINE_S * 3, env=environment)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def test_mqtt_publishes_and_receives_with_both_versions(self):
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 6})
        said = self.run_script("mqtt.mjs")
        self.assertEqual({"4": {"shared": {"rate": 6}}, "5": {"shared": {"rate": 6}}}, said)
        self.assert_latest({"v4": 49, "v5": 49})

    def test_ws_sees_what_a_device_sends(self):
        said = self.run_script("ws.mjs")
        self.assertEqual([{}, {"temperature": "22.5"}], said)

    def test_coap_posts_and_reads(self):
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 7})
        said = self.run_script("coap.mjs")
        self.assertEqual({"post": "2.01", "get": "2.05", "body": {"shared": {"rate": 7}},
                          "broken": "4.00"}, said)
        self.assert_latest({"js": 1})


if __name__ == "__main__":
    unittest.main()
