"""History: calendar buckets, thinned points, tables, long answers in slices, deletes, retention."""

import csv
import datetime
import http.client
import io
import json
import os
import pathlib
import socket
import threading
import time
import unittest
import urllib.parse
import uuid
import zoneinfo

from support import wait
from support.case import ServerCase
from support.rest import CUSTOMER_A, SYSADMIN, Rest, telemetry_path
from support.ws import WebSocket

SANITIZED = bool(os.environ.get("PS_SANITIZED"))
BASE_MS = 1700000000000
STEP_MS = 1000
MANY = 20_000 if SANITIZED else 200_000


class HistoryCase(ServerCase):

    def assert_error(self, answer, status, code, message=""):
        self.assertEqual(status, answer.status, answer)
        body = answer.json()
        self.assertEqual((status, code), (body["status"], body["errorCode"]), body)
        self.assertIn(message, body["message"])

    def save(self, points, ttl=None, device=None):
        """[(ts, {key: value})]"""
        path = f"{telemetry_path(device or self.device)}/timeseries/ANY"
        body = [{"ts": ts, "values": values} for ts, values in points]
        self.rest.ok("POST", path if ttl is None else f"{path}/{ttl}", body)

    def get(self, device=None, accept=None, **query):
        """A read of telemetry; keys of the query as REST has them."""
        path = f"{telemetry_path(device or self.device)}/values/timeseries"
        headers = {"Accept": accept} if accept else {}
        return self.rest.get(f"{path}?{urllib.parse.urlencode(query)}", headers=headers)

    def points(self, key="k", **query):
        """[(ts, value)] as the answer has them."""
        answer = self.get(keys=key, useStrictDataTypes="true", **query)
        self.assertEqual(200, answer.status, answer)
        return [(row["ts"], row["value"]) for row in answer.json().get(key, [])]

    def delete(self, **query):
        path = f"{telemetry_path(self.device)}/timeseries/delete"
        return self.rest.delete(f"{path}?{urllib.parse.urlencode(query)}")


def kyiv(year, month, day):
    """Midnight in Kyiv, in ms."""
    zone = zoneinfo.ZoneInfo("Europe/Kyiv")
    return int(datetime.datetime(year, month, day, tzinfo=zone).timestamp() * 1000)


class Parameters(HistoryCase):

    def test_calendar_buckets_end_at_local_midnight(self):
        """Each kind of interval over a change to summer time."""
        start, end = kyiv(2024, 3, 20), kyiv(2024, 4, 16)
        edges = {
            "WEEK": [kyiv(2024, 3, 24), kyiv(2024, 3, 31), kyiv(2024, 4, 7), kyiv(2024, 4, 14)],
            "WEEK_ISO": [kyiv(2024, 3, 25), kyiv(2024, 4, 1), kyiv(2024, 4, 8), kyiv(2024, 4, 15)],
            "MONTH": [kyiv(2024, 4, 1)],
            "QUARTER": [kyiv(2024, 4, 1)],
        }
        hour = 3_600_000
        self.save([(ts, {"k": 1}) for ts in range(start, end, hour)])
        for kind, inner in edges.items():
            with self.subTest(kind):
                bounds = [start, *inner, end]
                wanted = [(low + (high - low) // 2, (high - low) // hour)
                          for low, high in zip(bounds, bounds[1:])]
                self.assertEqual(wanted, self.points(startTs=start, endTs=end, agg="COUNT",
                                                     intervalType=kind, timeZone="Europe/Kyiv"))

    def test_points_are_thinned(self):
        values = [(BASE_MS + i, (i * 37) % 1001) for i in range(5000)]
        self.save([(ts, {"k": value}) for ts, value in values])
        span = {"startTs": BASE_MS, "endTs": BASE_MS + 5000}
        extremes = {max(value for _, value in values), min(value for _, value in values)}
        for kind in ("MINMAX", "LTTB"):
            with self.subTest(kind):
                up = self.points(points=100, downsample=kind, orderBy="ASC", **span)
                down = self.points(points=100, downsample=kind, orderBy="DESC", **span)
                self.assertEqual(up, down[::-1])
                self.assertLessEqual(len(up), 100)
                self.assertGreater(len(up), 50)
                self.assertLessEqual(set(up), set(values))
                self.assertEqual(sorted(up), up)
                if kind == "MINMAX":
                    self.assertLessEqual(extremes, {value for _, value in up})

    def test_what_cannot_be_meant_is_refused(self):
        for query in ({"points": 5}, {"intervalType": "YEAR"}, {"timeZone": "Mars/Olympus"}, {"agg": "avg"},
                      {"timeZone": "../../etc/passwd"}, {"downsample": "MINMAX"},
                      {"downsample": "X", "points": 5}, {"downsample": "LTTB", "points": 1},
                      {"downsample": "LTTB", "points": 9, "agg": "AVG", "interval": 1000},
                      {"limit": 0}, {"orderBy": "UP"}, {"agg": "AVG", "interval": 1}):
            with self.subTest(query):
                self.assert_error(self.get(keys="k", startTs=0, endTs=10 ** 12, **query), 400, 31)

    def test_the_alias_path_is_the_same(self):
        self.save([(1000, {"k": 1}), (2000, {"k": 2})])
        path = f"{telemetry_path(self.device)}/values/timeseries/history"
        answer = self.rest.get(f"{path}?keys=k&startTs=0&endTs=5000&agg=SUM&interval=5000")
        self.assertEqual({"k": [{"ts": 2500, "value": "3"}]}, answer.json())
        self.assert_error(self.rest.get(f"{path}?keys=k&startTs=0"), 400, 31, "endTs")


class Tables(HistoryCase):

    def rows(self, answer):
        self.assertEqual(200, answer.status, answer)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/csv"))
        return list(csv.reader(io.StringIO(answer.body.decode(), newline="")))

    def test_a_table_reads_back_what_was_stored(self):
        texts = ["plain", 'say "hi", you', "two\r\nlines", "ünïcode", "", " blanks "]
        self.save([(i, {"text": text, "n": i}) for i, text in enumerate(texts)])
        self.save([(100, {"j": {"a": [1, "x"]}, "b": True, "d": 0.1})])
        rows = self.rows(self.get(keys="text,n,j,b,d", startTs=0, endTs=200, orderBy="ASC",
                                  accept="text/csv"))
        self.assertEqual(["ts", "iso", "text", "n", "j", "b", "d"], rows[0])
        for i, text in enumerate(texts):
            self.assertEqual([str(i), f"1970-01-01T00:00:00.00{i}Z", text, str(i), "", "", ""],
                             rows[1 + i])
        self.assertEqual(["100", "1970-01-01T00:00:00.100Z", "", "", '{"a":[1,"x"]}', "true",
                          "0.1"], rows[-1])

    def test_buckets_and_thinned_points_make_tables_too(self):
        self.save([(ts, {"k": ts, "x": 1}) for ts in range(0, 1000, 10)])
        rows = self.rows(self.get(keys="k,x", startTs=0, endTs=1000, agg="MAX", interval=500,
                                  accept="text/csv"))
        self.assertEqual([["250", "1970-01-01T00:00:00.250Z", "490", "1"],
                          ["750", "1970-01-01T00:00:00.750Z", "990", "1"]], rows[1:])
        rows = self.rows(self.get(keys="k", startTs=0, endTs=1000, points=10, downsample="LTTB",
                                  accept="text/csv"))
        self.assertEqual((11, "990", "0"), (len(rows), rows[1][0], rows[-1][0]))

    def test_the_client_chooses(self):
        self.save([(1, {"k": 1})])
        for accept, kind in ((None, "application/json"), ("*/*", "application/json"),
                             ("application/json, text/csv", "application/json"),
                             ("text/csv;q=0.5, application/json;q=0.6", "application/json"),
                             ("text/csv, */*;q=0.1", "text/csv"),
                             ("text/csv;q=0.7, application/json;q=0.6", "text/csv")):
            with self.subTest(accept):
                answer = self.get(keys="k", startTs=0, endTs=2, accept=accept)
                self.assertTrue(answer.headers["Content-Type"].startswith(kind), answer.headers)
        self.assert_error(self.get(keys="k", startTs=0, endTs=2, agg="X", accept="text/csv"),
                          400, 31)


class LongAnswers(HistoryCase):
    """One device with MANY points, two threads for readers, one for HTTP."""

    settings = ("storage.reader_threads=2", "http.threads=1")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.long = cls.rest.create_device("long history")
        for first in range(0, MANY, 10_000):
            body = [{"ts": BASE_MS + i * STEP_MS, "values": {"v": value(i)}}
                    for i in range(first, first + 10_000)]
            cls.rest.ok("POST", f"{telemetry_path(cls.long)}/timeseries/ANY", body)

    def request(self, accept="text/csv", receive_buffer=None, **query):
        """A socket on which the whole history was asked for."""
        query = {"keys": "v", "startTs": 0, "endTs": 1 << 60, "orderBy": "ASC", **query}
        path = f"{telemetry_path(self.long)}/values/timeseries?{urllib.parse.urlencode(query)}"
        client = socket.socket()
        self.addCleanup(client.close)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.settimeout(wait.DEADLINE_S)
        client.connect(("127.0.0.1", self.server.http_port))
        client.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
                        f"X-Authorization: Bearer {self.rest.token}\r\n\r\n").encode())
        return client

    def memory_kib(self, name):
        pid = self.server.process.pid
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise AssertionError(name)

    def test_a_long_table_is_whole_and_costs_little_memory(self):
        pid = self.server.process.pid
        self.get(device=self.long, keys="v", startTs=0, endTs=1 << 60, accept="text/csv")
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
        before = self.memory_kib("VmRSS")
        answer = self.get(device=self.long, keys="v", startTs=0, endTs=1 << 60, orderBy="ASC",
                          accept="text/csv")
        grown = self.memory_kib("VmHWM") - before
        self.assertEqual("chunked", answer.headers["Transfer-Encoding"])
        lines = answer.body.decode().split("\r\n")
        self.assertEqual(("ts,iso,v", ""), (lines[0], lines[-1]))
        self.assertEqual(MANY, len(lines) - 2)
        for i, line in enumerate(lines[1:-1]):
            ts, _, text = line.split(",")
            self.assertEqual((BASE_MS + i * STEP_MS, value(i)), (int(ts), float(text)))
        if not SANITIZED:
            self.assertLess(grown, 30 * 1024)
        print(f"{len(answer.body)} bytes of CSV, {grown} KiB more memory", flush=True)

    def test_long_json_is_whole_in_both_orders(self):
        for order in ("ASC", "DESC"):
            rows = self.get(device=self.long, keys="v,none", startTs=0, endTs=1 << 60,
                            limit=10 ** 9, orderBy=order).json()
            self.assertEqual(["v"], list(rows))
            have = [row["ts"] for row in rows["v"]][::1 if order == "ASC" else -1]
            self.assertEqual([BASE_MS + i * STEP_MS for i in range(MANY)], have)

    def test_a_limit_cuts_a_long_answer(self):
        limit = MANY - 7
        rows = self.get(device=self.long, keys="v", startTs=0, endTs=1 << 60, limit=limit).json()
        self.assertEqual(limit, len(rows["v"]))
        self.assertEqual(BASE_MS + 7 * STEP_MS, rows["v"][-1]["ts"])
        table = self.get(device=self.long, keys="v", startTs=0, endTs=1 << 60, limit=limit,
                         accept="text/csv").body.decode()
        self.assertEqual(limit, table.count("\r\n") - 1)

    def test_slow_readers_hold_nobody_up(self):
        slow = [self.request(receive_buffer=4096) for _ in range(8)]
        for client in slow:
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200"))
        time.sleep(0.2)  # until their sockets are full
        begin = time.monotonic()
        for _ in range(20):
            self.assertEqual(100, len(self.get(device=self.long, keys="v", startTs=0,
                                               endTs=1 << 60).json()["v"]))
        self.assertLess(time.monotonic() - begin, wait.DEADLINE_S)
        self.assertTrue(slow[0].recv(4096))

    def test_a_client_that_leaves_is_forgotten(self):
        before = self.rest.metrics()['connections{transport="http"}']
        for i in range(20):
            client = self.request()
            if i % 2:
                client.recv(5000)
            client.close()
        wait.until(lambda: self.rest.metrics()['connections{transport="http"}'] <= before,
                   "connections closed")
        self.assertEqual(200, self.rest.get("/healthz").status)

    def test_the_connection_goes_on_behind_a_long_answer(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port, timeout=60)
        self.addCleanup(connection.close)
        query = urllib.parse.urlencode({"keys": "v", "startTs": 0, "endTs": 1 << 60})
        path = f"{telemetry_path(self.long)}/values/timeseries?{query}"
        headers = {"X-Authorization": f"Bearer {self.rest.token}", "Accept": "text/csv"}
        for method in ("GET", "GET"):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            self.assertEqual(MANY + 1, answer.read().count(b"\r\n"))
        connection.request("HEAD", path, headers=headers)
        answer = connection.getresponse()
        self.assertEqual((200, b""), (answer.status, answer.read()))

    def test_z_a_stop_does_not_wait_for_readers(self):
        """Slow ones and fast ones. Last, as its name has it."""
        clients = [self.request(receive_buffer=4096) for _ in range(3)]
        for client in clients:
            client.recv(100)
        fast = [threading.Thread(target=drain, args=(self.request(),)) for _ in range(3)]
        for thread in fast:
            thread.start()
        begin = time.monotonic()
        self.server.stop()
        for thread in fast:
            thread.join()
        self.assertLess(time.monotonic() - begin, 5 if not SANITIZED else 30)
        type(self).server.start()
        type(self).rest = self.server.rest.login()
        self.assertEqual(100, len(self.get(device=self.long, keys="v", startTs=0,
                                           endTs=1 << 60).json()["v"]))


def drain(client):
    """Read to the end of the connection, whatever end that is."""
    try:
        while client.recv(65536):
            pass
    except OSError:
        pass


def value(i):
    return (i * 7919 % 1000) / 10


class Deletes(HistoryCase):

    def setUp(self):
        super().setUp()
        self.save([(1000, {"k": 10}), (2000, {"k": 20}), (3000, {"k": 30})])

    def watch(self):
        session = WebSocket(self.server.http_port)
        self.addCleanup(session.socket.close)
        session.send({"authCmd": {"cmdId": 0, "token": self.rest.token},
                      "cmds": [{"cmdId": 1, "type": "TIMESERIES", "entityType": "DEVICE",
                                "entityId": self.device.id, "scope": "LATEST_TELEMETRY",
                                "keys": "k"}]})
        self.assertEqual({"k": [[3000, "30"]]}, session.recv()["data"])
        return session

    def history(self):
        return [ts for ts, _ in self.points(startTs=0, endTs=10 ** 13)]

    def latest(self):
        ((ts, have),) = self.rest.latest_points(self.device, "k").values()
        return None if have is None else (ts, have)

    def test_a_range_goes_and_the_latest_with_it(self):
        session = self.watch()
        answer = self.delete(keys="k", startTs=2000, endTs=3001)
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.assertEqual(([1000], None), (self.history(), self.latest()))
        self.assertEqual({"k": [[0, ""]]}, session.recv()["data"])
        self.save([(2500, {"k": 25})])
        self.assertEqual({"k": [[2500, "25"]]}, session.recv()["data"])
        self.assertEqual((2500, 25), self.latest())

    def test_the_newest_point_before_takes_the_place_of_the_latest(self):
        session = self.watch()
        self.delete(keys="k", startTs=2000, endTs=3001, rewriteLatestIfDeleted="true")
        self.assertEqual(([1000], (1000, 10)), (self.history(), self.latest()))
        frame = session.recv()["data"]
        if frame == {"k": [[0, ""]]}:
            frame = session.recv()["data"]
        self.assertEqual({"k": [[1000, "10"]]}, frame)

    def test_the_latest_may_stay(self):
        session = self.watch()
        self.delete(keys="k", startTs=2000, endTs=3001, deleteLatest="false")
        self.assertEqual(([1000], (3000, 30)), (self.history(), self.latest()))
        session.expect_quiet()

    def test_a_delete_is_for_ever(self):
        self.delete(keys="k", startTs=2000, endTs=3001, rewriteLatestIfDeleted="true")
        self.save([(2500, {"other": 1})])
        self.server.restart()
        type(self).rest = self.server.rest.login()
        self.assertEqual(([1000], (1000, 10)), (self.history(), self.latest()))
        self.delete(keys="k", deleteAllDataForKeys="true")
        self.save([(2000, {"k": 22})])
        self.server.restart()
        type(self).rest = self.server.rest.login()
        self.assertEqual(([2000], (2000, 22)), (self.history(), self.latest()))

    def test_bad_and_forbidden_deletes(self):
        self.assert_error(self.delete(keys="k"), 400, 31)
        self.assert_error(self.delete(keys="k", startTs=5), 400, 31)
        self.assert_error(self.delete(deleteAllDataForKeys="true"), 400, 31)
        path = f"{telemetry_path(self.device)}/timeseries/delete?keys=k&deleteAllDataForKeys=true"
        customer = Rest("127.0.0.1", self.server.http_port).login(CUSTOMER_A)
        self.assert_error(customer.delete(path), 403, 20)
        unknown = f"/api/plugins/telemetry/DEVICE/{uuid.uuid4()}/timeseries/delete"
        self.assert_error(self.rest.delete(f"{unknown}?keys=k&deleteAllDataForKeys=true"), 404, 32)
        self.assertEqual([3000, 2000, 1000], self.history())


class Questions(HistoryCase):
    """The same over WebSocket."""

    def ask(self, **members):
        with WebSocket(self.server.http_port) as session:
            session.send({"authCmd": {"cmdId": 0, "token": self.rest.token},
                          "cmds": [{"cmdId": 4, "type": "TIMESERIES_HISTORY",
                                    "entityType": "DEVICE", "entityId": self.device.id,
                                    "keys": "k", **members}]})
            return session.recv()

    def test_buckets_and_thinning(self):
        start, end = kyiv(2024, 3, 1), kyiv(2024, 5, 1)
        self.save([(ts, {"k": 1}) for ts in range(start, end, 3_600_000)])
        span = {"startTs": start, "endTs": end}
        frame = self.ask(agg="COUNT", intervalType="MONTH", timeZoneId="Europe/Kyiv", **span)
        april = kyiv(2024, 4, 1)
        self.assertEqual([[start + (april - start) // 2, str(31 * 24 - 1)],
                          [april + (end - april) // 2, str(30 * 24)]], frame["data"]["k"])
        frame = self.ask(points=50, downsample="MINMAX", **span)
        self.assertLessEqual(len(frame["data"]["k"]), 50)
        self.assertGreater(frame["data"]["k"][0][0], frame["data"]["k"][-1][0])
        frame = self.ask(intervalType=None, timeZoneId=None, downsample=None, limit=2, **span)
        self.assertEqual(2, len(frame["data"]["k"]))

    def test_a_window_is_thinned_before_it_goes_on_live(self):
        self.save([(BASE_MS + i, {"k": i}) for i in range(1000)])
        with WebSocket(self.server.http_port) as session:
            session.send({"authCmd": {"cmdId": 0, "token": self.rest.token},
                          "cmds": [{"cmdId": 4, "type": "TIMESERIES", "entityType": "DEVICE",
                                    "entityId": self.device.id, "keys": "k", "startTs": BASE_MS,
                                    "timeWindow": 10 ** 6, "points": 20, "downsample": "LTTB"}]})
            self.assertEqual(20, len(session.recv()["data"]["k"]))
            self.save([(BASE_MS + 5000, {"k": -1})])
            self.assertEqual({"k": [[BASE_MS + 5000, "-1"]]}, session.recv()["data"])

    def test_bad_members_are_told(self):
        for members in ({"intervalType": "YEAR"}, {"downsample": "X", "points": 9}, {"points": 9},
                        {"agg": "AVG", "interval": 1},
                        {"downsample": "LTTB"}, {"timeZoneId": 5},
                        {"agg": "AVG", "intervalType": "MONTH", "timeZoneId": "Mars/Olympus"}):
            with self.subTest(members):
                frame = self.ask(startTs=0, endTs=10 ** 10, **members)
                self.assertEqual((4, 2), (frame["cmdId"], frame["errorCode"]), frame)


class TimeToLive(HistoryCase):

    def test_what_is_expired_is_not_there(self):
        now = int(time.time() * 1000)
        self.save([(now - 60_000, {"k": 1}), (now, {"k": 2})], ttl=30)
        self.save([(now - 60_000, {"for_ever": 1})], ttl=0)
        self.assertEqual([(now, 2)], self.points(startTs=0, endTs=10 ** 13))
        self.assertEqual([(now - 60_000, 1)], self.points("for_ever", startTs=0, endTs=10 ** 13))
        for ttl in ("-1", "x", "9" * 20):
            path = f"{telemetry_path(self.device)}/timeseries/ANY/{ttl}"
            self.assert_error(self.rest.post(path, {"k": 1}), 400, 31)

    def test_the_preview_is_for_the_administrator(self):
        path = "/api/admin/telemetry/retention"
        self.assert_error(self.rest.get(path), 403, 20)
        administrator = Rest("127.0.0.1", self.server.http_port).login(SYSADMIN)
        for row in administrator.ok("GET", path).json():
            self.assertLessEqual({"file", "startTs", "endTs", "points", "bytes", "deletedAtTs"},
                                 set(row))


class Sealed(HistoryCase):
    """What is in files already: sealed ten times a second."""

    settings = ("telemetry.seal_interval_ms=100", "telemetry.range=day", "telemetry.ttl_days=30000")
    DAY_MS = 86_400_000

    def files(self):
        administrator = Rest("127.0.0.1", self.server.http_port).login(SYSADMIN)
        rows = administrator.ok("GET", "/api/admin/telemetry/retention").json()
        return {row["file"]: row for row in rows}

    def sealed(self, name, points):
        return wait.until(lambda: self.files().get(name, {"points": 0})["points"] >= points,
                          f"{points} points in {name}")

    def test_a_device_of_three_days(self):
        """Histories, buckets, tables and deletes over several files."""
        day = self.DAY_MS
        first = 1_600_000_000_000 // day * day
        times = [first + i * day // 100 for i in range(300)]
        self.save([(ts, {"k": i}) for i, ts in enumerate(times)])
        names = [datetime.datetime.fromtimestamp((first + i * day) / 1000, datetime.timezone.utc)
                 .strftime("%Y-%m-%d") for i in range(3)]
        for name in names:
            self.sealed(name, 100)
        row = self.files()[names[1]]
        self.assertEqual((first + day, first + 2 * day, 100),
                         (row["startTs"], row["endTs"], row["points"]))
        self.assertGreater(row["bytes"], 0)
        self.assertEqual(times[199] + 30000 * day, row["deletedAtTs"])

        self.assertEqual(list(zip(times, range(300))),
                         self.points(startTs=0, endTs=10 ** 13, limit=1000, orderBy="ASC"))
        self.assertEqual([(first + day // 2, 100), (first + day * 3 // 2, 100),
                          (first + day * 5 // 2, 100)],
                         self.points(startTs=first, endTs=first + 3 * day, agg="COUNT",
                                     interval=day))
        table = self.get(keys="k", startTs=0, endTs=10 ** 13, accept="text/csv").body.decode()
        self.assertEqual(301, table.count("\r\n"))
        self.assertEqual(10, len(self.points(startTs=first, endTs=first + 3 * day, points=10,
                                             downsample="MINMAX")))

        self.delete(keys="k", startTs=times[50], endTs=times[299] + 1,
                    rewriteLatestIfDeleted="true")
        wanted = list(zip(times, range(50)))
        self.assertEqual(wanted, self.points(startTs=0, endTs=10 ** 13, limit=1000, orderBy="ASC"))
        self.assertEqual({"k": wanted[-1]}, self.rest.latest_points(self.device, "k"))
        self.save([(times[100], {"k": "late"})])
        self.server.restart()
        type(self).rest = self.server.rest.login()
        wanted.append((times[100], "late"))
        self.assertEqual(wanted, self.points(startTs=0, endTs=10 ** 13, limit=1000, orderBy="ASC"))
        self.assertEqual({"k": wanted[-1]}, self.rest.latest_points(self.device, "k"))

    def test_a_damaged_file_is_named_and_the_rest_is_served(self):
        day = self.DAY_MS
        first = 1_500_000_000_000 // day * day
        self.save([(first + i, {"k": i}) for i in range(1000)])
        self.save([(first + day, {"k": "next day"})])
        name = datetime.datetime.fromtimestamp(first / 1000, datetime.timezone.utc)
        name = name.strftime("%Y-%m-%d")
        self.sealed(name, 1000)
        self.server.stop()
        path = self.server.data / "telemetry" / f"{name}.db"
        path.write_bytes(b"not a database " * 1000)
        self.server.start()
        type(self).rest = self.server.rest.login()
        self.assertEqual([(first + day, "next day")], self.points(startTs=0, endTs=10 ** 13))
        answer = self.rest.get("/readyz", token="")
        self.assertEqual(200, answer.status)
        body = answer.json()
        self.assertEqual((True, 1), (body["ready"], body["damagedCount"]), body)
        self.assertIn(name, body["damagedFiles"][0])


class Readiness(HistoryCase):

    def test_a_healthy_server_has_nothing_to_add(self):
        answer = self.rest.get("/readyz", token="")
        self.assertEqual((200, {"ready": True}), (answer.status, json.loads(answer.body)))


if __name__ == "__main__":
    unittest.main()
