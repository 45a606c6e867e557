"""case: test cases that share one running server per class."""

import unittest

from support import mqtt
from support.server import Server


class ServerCase(unittest.TestCase):
    """self.server runs with demo data, self.rest is logged in as its tenant administrator."""

    settings = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.settings)
        try:
            cls.server.start()
            cls.rest = cls.server.rest.login()
        except BaseException:
            cls.server.destroy()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            cls.server.stop()
        finally:
            cls.server.destroy()

    def setUp(self):
        self.device = self.rest.create_device(self.id())

    def mqtt(self, device=None, version=4, **options):
        """A connected MQTT client of this device (the test's own if none is given)."""
        device = device or self.device
        client = mqtt.Client(self.server.mqtt_port, username=device.token, version=version,
                             **options)
        self.addCleanup(client.close)
        self.assertIsNot(client.connack, mqtt.CLOSED)
        self.assertEqual(("CONNACK", 0), (client.connack.kind, client.connack.code))
        return client

    def refused(self, code, **options):
        """A CONNECT that must be answered with this code and the end of the connection."""
        client = mqtt.Client(self.server.mqtt_port, **options)
        self.addCleanup(client.close)
        self.assertIsNot(client.connack, mqtt.CLOSED)
        self.assertEqual(("CONNACK", code), (client.connack.kind, client.connack.code))
        client.expect_closed()

    def assert_latest(self, wanted, device=None):
        """These values are the newest ones now, with exactly these types."""
        have = self.rest.latest(device or self.device, *wanted)
        self.assertEqual(wanted, have)
        self.assertEqual({key: type(value) for key, value in wanted.items()},
                         {key: type(value) for key, value in have.items()})
