"""MQTT uplinks: what is stored, what is answered, and how bad publishes end."""

import unittest

from support.case import ServerCase

BIG = "1" * 70000


class Telemetry(ServerCase):

    def test_every_type_keeps_its_type(self):
        self.mqtt().publish_acked("v1/devices/me/telemetry",
                                  '{"t":22.5,"n":7,"b":true,"s":"x","j":{"a":[1]}}')
        self.assert_latest({"t": 22.5, "n": 7, "b": True, "s": "x", "j": {"a": [1]}})

    def test_unquoted_names_are_accepted(self):
        self.mqtt().publish_acked("v1/devices/me/telemetry", "{temperature:25}")
        self.assert_latest({"temperature": 25})

    def test_ts_and_values_keep_their_time_and_nothing_else(self):
        self.mqtt().publish_acked(
            "v2/t", '{"ts":1451649600512,"values":{"old":1},"metadata":{"x":1}}')
        self.assertEqual({"old": (1451649600512, 1)}, self.rest.latest_points(self.device, "old"))
        self.assert_latest({"metadata": None})

    def test_an_array_mixes_both_shapes(self):
        self.mqtt().publish_acked("v2/t/j",
                                  '[{"m1":1},{"ts":1451649600000,"values":{"m2":2}}]')
        points = self.rest.latest_points(self.device, "m1", "m2")
        self.assertEqual((1451649600000, 2), points["m2"])
        self.assertEqual(1, points["m1"][1])
        self.assertGreater(points["m1"][0], 1700000000000)

    def test_text_that_is_a_number_becomes_one(self):
        self.mqtt().publish_acked("v2/t",
                                  '{"c1":"42","c2":"3.50","c3":"007","c4":"1e5","c5":null}')
        self.assert_latest({"c1": 42, "c2": 3.5, "c3": 7, "c4": "1e5", "c5": None})

    def test_numbers_are_typed_by_their_spelling(self):
        self.mqtt().publish_acked(
            "v2/t", '{"d1":42.0,"d2":2.5e1,"d3":9223372036854775808,"e1":0.30000000000000004}')
        self.assert_latest({"d1": 42.0, "d2": 25, "d3": "9223372036854775808",
                            "e1": 0.30000000000000004})

    def test_empty_uploads_are_acknowledged_and_store_nothing(self):
        client = self.mqtt()
        client.publish_acked("v2/t", "{}")
        client.publish_acked("v2/t", "[]")
        path = f"/api/plugins/telemetry/DEVICE/{self.device.id}/keys/timeseries"
        self.assertEqual([], self.rest.ok("GET", path).json())

    def test_qos_0_is_stored_without_an_answer(self):
        client = self.mqtt()
        client.publish("v2/t", '{"q0":1}', qos=0)
        client.ping()
        self.rest.wait_latest(self.device, {"q0": 1})

    def test_retained_and_dup_flags_are_ignored(self):
        client = self.mqtt()
        packet_id = client.publish("v2/t", '{"r":1}', retain=True, dup=True)
        self.assertEqual(packet_id, client.expect("PUBACK").packet_id)
        self.assert_latest({"r": 1})

    def test_acknowledgements_come_in_the_order_of_receipt(self):
        client = self.mqtt()
        sent = [client.publish("v2/t", '{"n":%d}' % i) for i in range(200)]
        self.assertEqual(sent, [client.expect("PUBACK").packet_id for _ in sent])
        self.assert_latest({"n": 199})

    def test_client_attributes_are_stored(self):
        client = self.mqtt()
        client.publish_acked("v2/a", '{"fw":"v1.0","n":3}')
        client.publish_acked("v1/devices/me/attributes", '{"j":{"x":[1,2]}}')
        client.publish_acked("v2/a/j", '{"b":false}')
        self.assertEqual({"fw": "v1.0", "n": 3, "j": {"x": [1, 2]}, "b": False},
                         self.rest.attributes(self.device, "CLIENT_SCOPE"))


class QosTwo(ServerCase):

    def test_version_4_completes_the_handshake_and_stores_once(self):
        client = self.mqtt()
        before = self.rest.metrics()["messages_received_total"]
        for dup in (False, True):  # the same id again before PUBREL is the same message
            client.publish("v2/t", '{"two":2}', qos=2, packet_id=7, dup=dup)
            self.assertEqual(7, client.expect("PUBREC").packet_id)
        client.send(b"\x62\x02\x00\x07")
        self.assertEqual(7, client.expect("PUBCOMP").packet_id)
        self.assert_latest({"two": 2})
        self.assertEqual(before + 1, self.rest.metrics()["messages_received_total"])

    def test_version_5_is_told_that_qos_2_is_not_supported(self):
        client = self.mqtt(version=5)
        client.publish("v2/t", '{"two":2}', qos=2)
        client.expect_disconnect(0x9B)


class BadPublishes(ServerCase):

    BAD_PAYLOADS = ['{"a":', "5", "null", "", "[1]", '{"a":1,}', '{"ts":1,"values":5}',
                    '{"ts":"x","values":{"a":1}}', '{"ts":true,"values":{"a":1}}', "{}{}"]

    def test_version_4_qos_1_is_closed_without_acknowledgement(self):
        for payload in self.BAD_PAYLOADS:
            with self.subTest(payload):
                client = self.mqtt()
                client.publish("v2/t", payload)
                client.expect_closed()

    def test_version_4_qos_0_is_closed(self):
        client = self.mqtt()
        client.publish("v2/t", '{"a":', qos=0)
        client.expect_closed()

    def test_version_5_qos_1_gets_the_reason_and_stays_open(self):
        client = self.mqtt(version=5)
        for payload in self.BAD_PAYLOADS:
            with self.subTest(payload):
                client.publish_acked("v2/t", payload, code=0x99)
        client.publish_acked("v2/a", "[1]", code=0x99)
        client.publish_acked("v2/t", '{"a":1}')
        self.assert_latest({"a": 1})

    def test_version_5_qos_0_is_disconnected_with_the_reason(self):
        client = self.mqtt(version=5)
        client.publish("v2/t", "5", qos=0)
        client.expect_disconnect(0x99)

    def test_unknown_topics_are_acknowledged_and_stay_open(self):
        client = self.mqtt()
        client.publish_acked("some/topic", "1")
        client.publish("some/topic", "1", qos=0)
        client.ping()
        client = self.mqtt(version=5)
        client.publish_acked("some/topic", "1", code=0x90)
        client.publish("some/topic", "1", qos=0)
        client.ping()

    def test_gateway_topics_are_not_for_plain_devices(self):
        payload = '{"X":[{"a":1}]}'
        client = self.mqtt()
        client.publish_acked("v1/gateway/telemetry", payload)
        client = self.mqtt(version=5)
        client.publish_acked("v1/gateway/telemetry", payload, code=0x87)
        client.ping()

    def test_a_packet_over_the_limit_ends_the_connection(self):
        client = self.mqtt()
        client.publish("v2/t", BIG)
        client.expect_closed()
        client = self.mqtt(version=5)
        client.publish("v2/t", BIG)
        client.expect_disconnect(0x95)

    def test_the_largest_packet_is_taken(self):
        topic, head, tail = "v2/t", '{"big":"', '"}'
        room = 65536 - 2 - len(topic) - 2 - len(head) - len(tail)
        self.mqtt().publish_acked(topic, head + "x" * room + tail)
        self.assert_latest({"big": "x" * room})

    def test_malformed_packets_end_the_connection(self):
        wild = {"topic longer than packet": b"\x32\x05\xff\xff\x61\x00\x01",
                "QoS 3": b"\x36\x07\x00\x04v2/t\x00",
                "packet id 0": b"\x32\x08\x00\x04v2/t\x00\x00",
                "wildcard topic": b"\x32\x07\x00\x03v/#\x00\x01", "reserved type": b"\x00\x00",
                "length of five bytes": b"\x30\xff\xff\xff\xff\x01",
                "subscribe without filter": b"\x82\x02\x00\x01",
                "subscribe with wrong flags": b"\x80\x06\x00\x01\x00\x01a\x00",
                "topic not UTF-8": b"\x32\x07\x00\x03\xff\xfe\xfd\x00\x01"}
        for name, data in wild.items():
            with self.subTest(name):
                client = self.mqtt()
                client.send(data)
                client.expect_closed()

    def test_a_late_answer_to_a_forgotten_rpc_is_acknowledged(self):
        self.mqtt().publish_acked("v2/r/res/987654", '{"late":1}')


if __name__ == "__main__":
    unittest.main()
