"""MQTT sessions: who may connect, how a session ends, subscriptions, attributes both ways."""

import json
import os
import unittest

from support import mqtt, wait
from support.case import ServerCase


class Connect(ServerCase):

    def test_a_wrong_token_is_refused(self):
        self.refused(5, username="nope")
        self.refused(0x86, username="nope", version=5)

    def test_nobody_is_refused_by_what_is_missing(self):
        self.refused(2, client_id="unknown")
        self.refused(0x85, client_id="unknown", version=5)
        self.refused(5, client_id="")
        self.refused(0x87, client_id="", version=5)

    def test_password_and_client_id_do_not_matter_with_a_token(self):
        self.mqtt(password="anything", client_id="whatever").ping()

    def test_no_session_is_ever_present(self):
        for version in (4, 5):
            client = self.mqtt(version=version, clean=False, client_id="x")
            self.assertFalse(client.connack.session_present)

    def test_version_3_1_connects(self):
        client = self.mqtt(version=3, client_id="old")
        client.publish_acked("v1/devices/me/telemetry", '{"old":1}')
        self.assert_latest({"old": 1})

    def test_version_3_1_limits_the_client_id(self):
        for client_id in ("", "x" * 24):
            client = mqtt.Client(self.server.mqtt_port, username=self.device.token, version=3,
                                 client_id=client_id)
            self.addCleanup(client.close)
            self.assertIs(client.connack, mqtt.CLOSED)

    def test_an_unknown_level_is_told(self):
        for level, code in ((2, 1), (6, 0x84)):
            client = mqtt.Client(self.server.mqtt_port, connect=False)
            self.addCleanup(client.close)
            data = bytearray(mqtt.connect_packet(self.device.token))
            data[8] = level
            client.send(bytes(data))
            answer = client.read()
            self.assertIsNot(answer, mqtt.CLOSED)
            self.assertEqual(("CONNACK", code), (answer.kind, answer.code))
            client.expect_closed()

    def test_the_first_packet_must_be_connect(self):
        client = mqtt.Client(self.server.mqtt_port, connect=False)
        self.addCleanup(client.close)
        client.send(b"\xc0\x00")
        client.expect_closed()

    def test_a_second_connect_ends_the_session(self):
        client = self.mqtt()
        client.send(mqtt.connect_packet(self.device.token))
        client.expect_closed()
        client = self.mqtt(version=5)
        client.send(mqtt.connect_packet(self.device.token, version=5))
        client.expect_disconnect(0x82)

    def test_packets_sent_behind_connect_are_served_after_it(self):
        client = mqtt.Client(self.server.mqtt_port, connect=False)
        self.addCleanup(client.close)
        publish = mqtt.packet(0x32, mqtt.text("v2/t") + b"\x00\x05" + b'{"early":1}')
        client.send(mqtt.connect_packet(self.device.token) + publish)
        self.assertEqual(0, client.expect("CONNACK").code)
        self.assertEqual(5, client.expect("PUBACK").packet_id)
        self.assert_latest({"early": 1})

    def test_connect_may_arrive_byte_by_byte(self):
        client = mqtt.Client(self.server.mqtt_port, connect=False)
        self.addCleanup(client.close)
        for byte in mqtt.connect_packet(self.device.token):
            client.send(bytes([byte]))
        self.assertEqual(0, client.expect("CONNACK").code)

    def test_version_5_is_told_the_limits(self):
        found = read_properties(self.mqtt(version=5, client_id="").connack.properties)
        self.assertEqual(1, found[0x24])          # Maximum QoS
        self.assertEqual(0, found[0x2A])          # Shared Subscription Available
        self.assertEqual(0, found[0x29])          # Subscription Identifier Available
        self.assertGreaterEqual(found[0x27], 65536)  # Maximum Packet Size
        self.assertIn(0x21, found)                # Receive Maximum
        self.assertIn(0x12, found)                # Assigned Client Identifier
        self.assertNotIn(0x25, found)             # Retain Available: retained publishes are taken


FOUR_BYTES, TWO_BYTES, ONE_BYTE = {0x11, 0x27}, {0x13, 0x21, 0x22}, {0x24, 0x25, 0x28, 0x29, 0x2A}


def read_properties(data):
    """{identifier: value} of the property kinds a CONNACK may hold."""
    found = {}
    while data:
        kind, data = data[0], data[1:]
        if kind in FOUR_BYTES | TWO_BYTES | ONE_BYTE:
            size = 4 if kind in FOUR_BYTES else 2 if kind in TWO_BYTES else 1
            found[kind], data = int.from_bytes(data[:size], "big"), data[size:]
        else:
            size = int.from_bytes(data[:2], "big")
            found[kind], data = data[2:2 + size], data[2 + size:]
    return found


class BasicCredentials(ServerCase):

    def give_basic(self, **value):
        path = f"/api/device/{self.device.id}/credentials"
        record = self.rest.ok("GET", path).json()
        record.update(credentialsType="MQTT_BASIC", credentialsId=None,
                      credentialsValue=json.dumps(value))
        self.rest.ok("POST", "/api/device/credentials", record)

    def connect(self, **options):
        client = mqtt.Client(self.server.mqtt_port, **options)
        self.addCleanup(client.close)
        return client.connack.code

    def test_all_that_is_set_must_match(self):
        self.give_basic(clientId="c2", userName="u2", password="p2")
        self.assertEqual(0, self.connect(username="u2", password="p2", client_id="c2"))
        self.assertEqual(5, self.connect(username="u2", password="bad", client_id="c2"))
        self.assertEqual(5, self.connect(username="u2", password="p2", client_id="zz"))
        self.assertEqual(5, self.connect(username="u2", client_id="c2"))

    def test_a_client_id_alone_may_be_the_credentials(self):
        self.give_basic(clientId="only-id", userName=None, password=None)
        self.assertEqual(0, self.connect(client_id="only-id"))
        self.assertEqual(2, self.connect(client_id="other-id"))

    def test_the_old_token_ends_with_the_change_and_so_does_its_session(self):
        client = self.mqtt(version=5)
        self.give_basic(clientId="c3", userName="u3", password="p3")
        client.expect_disconnect(0x98)
        self.assertEqual(5, self.connect(username=self.device.token))


class End(ServerCase):

    def test_a_second_session_of_the_device_ends_the_first(self):
        first = self.mqtt()
        self.mqtt().ping()
        first.expect_closed()
        first = self.mqtt(version=5)
        self.mqtt().ping()
        first.expect_disconnect(0x8E)

    def test_deleting_the_device_ends_its_session(self):
        client = self.mqtt(version=5)
        self.rest.ok("DELETE", f"/api/device/{self.device.id}")
        client.expect_disconnect(0x98)
        self.refused(5, username=self.device.token)

    def test_disconnect_closes_at_once(self):
        client = self.mqtt()
        client.send(b"\xe0\x00")
        client.expect_closed()


class Silence(ServerCase):

    settings = ("mqtt.connect_timeout_ms=300", "transport.session_inactivity_timeout_ms=1500")

    def test_who_never_says_connect_is_closed(self):
        client = mqtt.Client(self.server.mqtt_port, connect=False)
        self.addCleanup(client.close)
        client.expect_closed()

    def test_half_a_connect_does_not_help(self):
        client = mqtt.Client(self.server.mqtt_port, connect=False)
        self.addCleanup(client.close)
        client.send(mqtt.connect_packet(self.device.token)[:-3])
        client.expect_closed()

    def test_a_session_without_any_packet_is_closed(self):
        self.mqtt(keep_alive_s=0).expect_closed()


class Subscribe(ServerCase):

    def test_qos_2_is_granted_as_1(self):
        client = self.mqtt()
        self.assertEqual([1], client.subscribe("v1/devices/me/attributes", qos=2))
        self.assertEqual([0], client.subscribe("v1/devices/me/attributes", qos=0))

    def test_filters_of_no_device_are_refused_and_the_connection_stays(self):
        client = self.mqtt()
        self.assertEqual([0x80], client.subscribe("#"))
        self.assertEqual([0x80, 1, 0x80], client.subscribe("wrong/topic", "v2/a", "$share/g/v2/a"))
        client.ping()

    def test_version_5_codes(self):
        client = self.mqtt(version=5)
        self.assertEqual([0x8F], client.subscribe("#"))
        self.assertEqual([0x11], client.unsubscribe("v2/a"))
        self.assertEqual([1], client.subscribe("v2/a"))
        self.assertEqual([0], client.unsubscribe("v2/a"))
        self.assertEqual([0x8F], client.unsubscribe("no/topic"))

    def test_tails_that_match_only_own_topics_are_granted(self):
        client = self.mqtt()
        for one in ("v1/devices/me/#", "v2/#", "v1/devices/me/attributes/response/7"):
            self.assertEqual([1], client.subscribe(one), one)


class Attributes(ServerCase):

    def test_a_request_finds_what_exists(self):
        client = self.mqtt()
        client.publish_acked("v2/a", '{"fw":"v1.0"}')
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 5})
        self.assertEqual([1], client.subscribe("v1/devices/me/attributes/response/+"))
        client.publish("v1/devices/me/attributes/request/1",
                       '{"clientKeys":"fw,zz","sharedKeys":"rate,"}')
        got, _ = client.read_until("PUBLISH")
        self.assertEqual("v1/devices/me/attributes/response/1", got.topic)
        self.assertEqual(b'{"client":{"fw":"v1.0"},"shared":{"rate":5}}', got.payload)

    def test_a_request_is_answered_without_subscription(self):
        client = self.mqtt()
        client.publish("v2/a/req/j/9", '{"sharedKeys":"none"}')
        got, _ = client.read_until("PUBLISH")
        self.assertEqual(("v2/a/res/j/9", b"{}", 1), (got.topic, got.payload, got.qos))

    def test_an_empty_request_asks_for_everything(self):
        client = self.mqtt()
        client.publish_acked("v2/a", '{"one":1}')
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"two": {"x": [1]}})
        client.publish("v1/devices/me/attributes/request/2", "{}")
        got, _ = client.read_until("PUBLISH")
        self.assertEqual({"client": {"one": 1}, "shared": {"two": {"x": [1]}}},
                         json.loads(got.payload))

    def test_shared_attributes_are_pushed_to_who_subscribed(self):
        client = self.mqtt()
        self.assertEqual([1], client.subscribe("v2/a"))
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 6})
        got = client.expect_message("v2/a")
        self.assertEqual((b'{"rate":6}', 1, False), (got.payload, got.qos, got.retained))
        self.rest.save_attributes(self.device, "SERVER_SCOPE", {"hidden": 1})
        self.rest.delete_attributes(self.device, "SHARED_SCOPE", "rate")
        self.assertEqual(b'{"deleted":["rate"]}', client.expect_message("v2/a").payload)

    def test_nothing_is_pushed_to_who_did_not_subscribe(self):
        client = self.mqtt()
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 6})
        client.ping()
        client.subscribe("v2/a")
        client.unsubscribe("v2/a")
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 7})
        client.ping()

    def test_the_latest_flavour_is_the_live_one(self):
        client = self.mqtt()
        client.subscribe("v1/devices/me/attributes")
        client.subscribe("v2/a/j", qos=0)
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 8})
        self.assertEqual(b'{"rate":8}', client.expect_message("v2/a/j").payload)
        client.unsubscribe("v1/devices/me/attributes")  # not the live one: nothing ends
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 9})
        self.assertEqual(b'{"rate":9}', client.expect_message("v2/a/j").payload)


class SlowReader(ServerCase):

    settings = ("mqtt.output_bytes_max=65536",)

    def test_who_does_not_read_costs_its_bounded_buffer_and_then_its_connection(self):
        client = self.mqtt(receive_buffer=4096)
        client.subscribe("v2/a")
        value = "x" * 30000
        # Nobody reads: kernel buffers fill, then ours, then the server lets go of the client.
        name = 'connections{transport="mqtt"}'
        wait.until(lambda: self.rest.save_attributes(self.device, "SHARED_SCOPE", {"v": value})
                   or self.rest.metrics()[name] == 0, "slow reader disconnected", 60)


class Keepalive(ServerCase):

    @unittest.skipUnless(os.environ.get("PS_SLOW_TESTS"), "waits for the 60 s floor of keep-alive")
    def test_silence_beyond_the_keep_alive_ends_the_session(self):
        client = self.mqtt(version=5, keep_alive_s=1)
        self.assertEqual("DISCONNECT", client.read(90).kind)


if __name__ == "__main__":
    unittest.main()
