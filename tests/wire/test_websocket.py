"""The WebSocket API: authentication, snapshots, updates in order, errors, slow readers."""

import time
import unittest
import uuid

from support import wait
from support.case import ServerCase
from support.ws import Closed, WebSocket

LEGACY = "/api/ws/plugins/telemetry"


class WsCase(ServerCase):

    def open(self, path="/api/ws", **options):
        session = WebSocket(self.server.http_port, path, **options)
        self.addCleanup(session.socket.close)
        return session

    def authenticated(self):
        session = self.open()
        session.send({"authCmd": {"cmdId": 0, "token": self.rest.token}})
        return session

    def command(self, cmd_id, kind="TIMESERIES", **members):
        return {"cmdId": cmd_id, "type": kind, "entityType": "DEVICE", "entityId": self.device.id,
                **members}

    def publish(self, text, device=None):
        answer = self.rest.post(f"/api/v1/{(device or self.device).token}/telemetry", raw=text,
                                token="")
        self.assertEqual(200, answer.status, answer)

    def assert_update(self, frame, cmd_id, data):
        """A data frame of this subscription; `data` is {key: [value, ...]} or {key: [[ts, v]]}."""
        self.assertEqual((cmd_id, 0, None),
                         (frame["subscriptionId"], frame["errorCode"], frame["errorMsg"]), frame)
        self.assertNotIn("cmdId", frame)
        plain = {key: [pair if isinstance(wanted, list) else pair[1]
                       for pair, wanted in zip(frame["data"].get(key, []), data[key])]
                 for key in data}
        self.assertEqual(data, plain, frame)
        self.assertEqual(set(data), set(frame["data"]))
        self.assertEqual({key: max(pair[0] for pair in frame["data"][key])
                          for key in frame["data"]}, frame["latestValues"])

    def assert_error(self, frame, cmd_id, code, text):
        self.assertEqual({"cmdId": cmd_id, "subscriptionId": cmd_id, "errorCode": code,
                          "errorMsg": text, "data": None, "latestValues": {}}, frame)


class Authentication(WsCase):

    def test_the_token_may_come_in_the_first_frame_with_commands(self):
        self.publish('{"temperature":21.5}')
        session = self.open()
        session.send({"authCmd": {"cmdId": 0, "token": self.rest.token},
                      "cmds": [self.command(1, scope="LATEST_TELEMETRY", keys="temperature")]})
        self.assert_update(session.recv(), 1, {"temperature": ["21.5"]})

    def test_success_is_silent(self):
        self.authenticated().expect_quiet()

    def test_the_token_may_come_in_the_address(self):
        for path in (LEGACY, "/api/ws"):
            session = self.open(f"{path}?token={self.rest.token}")
            session.send({"cmds": [self.command(1)]})
            self.assert_update(session.recv(), 1, {})

    def test_bad_tokens_close_the_session(self):
        session = self.open()
        session.send({"authCmd": {"cmdId": 0, "token": "x"}})
        session.expect_closed(1007)
        self.open(f"{LEGACY}?token=x").expect_closed(1011)

    def test_the_first_frame_must_authenticate(self):
        session = self.open()
        session.send({"cmds": []})
        session.expect_closed(1008, "Auth cmd is missing")
        session = self.open()
        session.send_text('{"authCmd":')
        session.expect_closed(1007)

    def test_an_unknown_endpoint_is_told_after_the_upgrade(self):
        self.open("/api/ws/plugins/nothing").expect_closed(1007, "Unknown session type")

    def test_a_frame_too_large_closes(self):
        session = self.authenticated()
        session.send_text('{"cmds":[],"x":"' + "x" * 33000 + '"}')
        session.expect_closed(1009)

    def test_a_binary_frame_closes(self):
        session = self.authenticated()
        session.send_frame(2, b"{}")
        session.expect_closed(1003)


class Telemetry(WsCase):

    def test_updates_follow_the_snapshot_with_the_keys_asked_for(self):
        self.publish('{"temperature":21.5}')
        session = self.authenticated()
        session.send({"cmds": [self.command(1, scope="LATEST_TELEMETRY", keys="temperature")]})
        self.assert_update(session.recv(), 1, {"temperature": ["21.5"]})
        now = int(time.time() * 1000) + 5000
        self.publish('{"ts":%d,"values":{"temperature":22,"humidity":40}}' % now)
        self.assert_update(session.recv(), 1, {"temperature": [[now, "22"]]})
        self.publish('{"ts":%d,"values":{"temperature":1}}' % (now - 60000))
        session.expect_quiet()

    def test_without_scope_older_points_are_pushed_too(self):
        self.publish('{"ts":2000,"values":{"k":2}}')
        session = self.authenticated()
        session.send({"cmds": [self.command(1, keys="k")]})
        self.assert_update(session.recv(), 1, {"k": [[2000, "2"]]})
        self.publish('{"ts":1000,"values":{"k":1}}')
        self.assert_update(session.recv(), 1, {"k": [[1000, "1"]]})

    def test_all_keys_of_a_device_without_data(self):
        session = self.open(f"{LEGACY}?token={self.rest.token}")
        session.send({"tsSubCmds": [{"entityType": "DEVICE", "entityId": self.device.id,
                                     "scope": "LATEST_TELEMETRY", "cmdId": 10}],
                      "historyCmds": [], "attrSubCmds": []})
        self.assertEqual({"subscriptionId": 10, "errorCode": 0, "errorMsg": None, "data": {},
                          "latestValues": {}}, session.recv())
        self.publish('{"new":true}')
        self.assert_update(session.recv(), 10, {"new": ["true"]})

    def test_a_key_without_value_is_null_in_the_snapshot(self):
        session = self.authenticated()
        session.send({"cmds": [self.command(1, keys="nothing")]})
        self.assert_update(session.recv(), 1, {"nothing": [None]})

    def test_a_window_is_aggregated_and_updates_are_raw(self):
        start = int(time.time() * 1000) // 1000 * 1000 - 10000
        values = ((0, 20), (500, 21), (2000, 22))
        for after, value in values:
            self.publish('{"ts":%d,"values":{"t":%d}}' % (start + after, value))
        session = self.authenticated()
        session.send({"cmds": [self.command(2, keys="t", startTs=start, timeWindow=4000,
                                            interval=2000, limit=100, agg="AVG")]})
        self.assert_update(session.recv(), 2,
                           {"t": [[start + 1000, "20.5"], [start + 3000, "22.0"]]})
        self.publish('{"ts":%d,"values":{"t":23}}' % (start + 3900))
        self.assert_update(session.recv(), 2, {"t": [[start + 3900, "23"]]})

    def test_history_is_one_answer(self):
        for ts, value in ((1000, 21.5), (2000, 22), (3000, 23)):
            self.publish('{"ts":%d,"values":{"t":%s}}' % (ts, value))
        session = self.authenticated()
        session.send({"cmds": [self.command(4, "TIMESERIES_HISTORY", keys="t", startTs=1000,
                                            endTs=3000, limit=2, agg="NONE")]})
        self.assert_update(session.recv(), 4, {"t": [[2000, "22"], [1000, "21.5"]]})
        self.publish('{"ts":4000,"values":{"t":24}}')
        session.expect_quiet()

    def test_unsubscribing_is_silent_and_final(self):
        session = self.authenticated()
        session.send({"cmds": [self.command(1, keys="t")]})
        session.recv()
        session.send({"cmds": [self.command(1, unsubscribe=True)]})
        session.expect_quiet()
        self.publish('{"t":1}')
        session.expect_quiet()

    def test_the_same_id_replaces_the_subscription(self):
        session = self.authenticated()
        session.send({"cmds": [self.command(1, keys="a")]})
        session.recv()
        session.send({"cmds": [self.command(1, keys="b")]})
        session.recv()
        self.publish('{"a":1,"b":2}')
        self.assert_update(session.recv(), 1, {"b": ["2"]})
        session.expect_quiet()

    def test_every_write_arrives_once_and_in_order_while_subscribing(self):
        client = self.mqtt()
        session = self.authenticated()
        sent = [client.publish("v2/t", '{"ts":%d,"values":{"n":%d}}' % (i, i))
                for i in range(1, 51)]
        session.send({"cmds": [self.command(1, keys="n")]})
        sent += [client.publish("v2/t", '{"ts":%d,"values":{"n":%d}}' % (i, i))
                 for i in range(51, 101)]
        for packet_id in sent:
            self.assertEqual(packet_id, client.expect("PUBACK").packet_id)
        seen = []
        while not seen or seen[-1] != 100:
            seen += [int(pair[1]) for pair in session.recv()["data"]["n"] if pair[1] is not None]
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual(list(range(seen[0], 101)), seen)

    def test_writes_of_every_transport_are_pushed(self):
        session = self.authenticated()
        session.send({"cmds": [self.command(1)]})
        session.recv()
        self.mqtt().publish_acked("v2/t", '{"mqtt":1}')
        self.assert_update(session.recv(), 1, {"mqtt": ["1"]})
        path = f"/api/plugins/telemetry/DEVICE/{self.device.id}/timeseries/ANY"
        self.rest.ok("POST", path, {"rest": {"j": [1]}})
        self.assert_update(session.recv(), 1, {"rest": ['{"j":[1]}']})


class Attributes(WsCase):

    def test_a_scope_is_followed_until_its_key_is_deleted(self):
        self.rest.save_attributes(self.device, "SERVER_SCOPE", {"active": False, "other": 1})
        session = self.authenticated()
        session.send({"cmds": [self.command(3, "ATTRIBUTES", scope="SERVER_SCOPE",
                                            keys="active")]})
        self.assert_update(session.recv(), 3, {"active": ["false"]})
        self.rest.save_attributes(self.device, "SERVER_SCOPE", {"active": True})
        self.assert_update(session.recv(), 3, {"active": ["true"]})
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"active": 5})
        session.expect_quiet()
        self.rest.delete_attributes(self.device, "SERVER_SCOPE", "active")
        self.assert_update(session.recv(), 3, {"active": [[0, ""]]})


class Errors(WsCase):

    def test_errors_name_the_command_and_leave_the_others_alone(self):
        session = self.authenticated()
        session.send({"cmds": [self.command(1, keys="t")]})
        session.recv()
        session.send_text('{"cmds":[')
        self.assert_error(session.recv(), 1, 2, "Failed to parse the payload")
        session.send({"cmds": [{"cmdId": 20, "type": "TIMESERIES", "entityType": "DEVICE"}]})
        self.assert_error(session.recv(), 20, 2, "Device id is empty!")
        session.send({"cmds": [self.command(-1)]})
        self.assert_error(session.recv(), -1, 2, "Cmd id is negative value!")
        session.send({"cmds": [self.command(5, "TIMESERIES_HISTORY", startTs=0, endTs=1)]})
        self.assert_error(session.recv(), 5, 2, "Keys are empty!")
        for kind in ("TIMESERIES", "ATTRIBUTES"):
            session.send({"cmds": [{**self.command(21, kind), "entityId": str(uuid.uuid4())}]})
            self.assert_error(session.recv(), 21, 3, "Unauthorized")
        self.publish('{"t":1}')
        self.assert_update(session.recv(), 1, {"t": ["1"]})


class AuthenticationTimeout(WsCase):

    settings = ("ws.auth_timeout_ms=300",)

    def test_silence_closes(self):
        self.open().expect_closed(1008, "")


class Logout(WsCase):

    def test_logging_out_closes_the_sessions_of_that_login(self):
        session = self.authenticated()
        session.expect_quiet()
        self.rest.ok("POST", "/api/auth/logout")
        try:
            session.expect_closed(1008, "Token has expired")
        finally:
            self.rest.login()


class Liveness(WsCase):

    settings = ("ws.ping_interval_ms=200", "ws.ping_timeout_ms=1000")

    def test_who_answers_pings_stays(self):
        session = self.authenticated()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            with self.assertRaises(wait.Late):
                session.recv(0.5)
        session.expect_quiet()

    def test_who_is_silent_is_closed(self):
        session = self.authenticated()
        session.send_frame = lambda *_: None  # from now on no pong leaves
        try:
            while True:
                session.recv_frame()
        except Closed as closed:
            self.assertIn(closed.code, (4500, 1006))


class SlowReader(WsCase):

    settings = ("ws.queue_frames_max=50", "ws.queue_bytes_max=65536")

    def test_who_does_not_read_is_closed_and_others_see_no_delay(self):
        slow = self.open(receive_buffer=4096)
        slow.send({"authCmd": {"cmdId": 0, "token": self.rest.token}, "cmds": [self.command(1)]})
        fast = self.authenticated()
        fast.send({"cmds": [self.command(1)]})
        fast.recv()
        client = self.mqtt()
        text, count = "x" * 20000, 0
        name = "ws_slow_readers_closed_total"
        while not self.rest.metrics()[name]:
            count += 1
            self.assertLess(count, 5000, "the slow reader was never closed")
            client.publish_acked("v2/t", '{"ts":%d,"values":{"v":"%s"}}' % (count, text))
            self.assertEqual(count, fast.recv()["data"]["v"][0][0])


if __name__ == "__main__":
    unittest.main()
