"""The HTTP device API: uploads, attribute requests, refusals; with curl and by hand."""

import http.client
import json
import socket
import subprocess
import unittest

from support import wait
from support.case import ServerCase


class DeviceApi(ServerCase):

    def path(self, tail, token=None):
        return f"/api/v1/{token or self.device.token}/{tail}"

    def post(self, tail, text, token=None):
        return self.rest.post(self.path(tail, token), raw=text, token="")

    def get(self, tail):
        return self.rest.get(self.path(tail), token="")

    def assert_bad_request(self, answer):
        self.assertEqual(400, answer.status, answer)
        body = answer.json()
        self.assertEqual((400, 31), (body["status"], body["errorCode"]))
        self.assertTrue(body["message"])
        self.assertIsInstance(body["timestamp"], int)

    def test_telemetry_is_stored_when_answered(self):
        answer = self.post("telemetry", '{"h":1,"t":21.5}')
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.assert_latest({"h": 1, "t": 21.5})

    def test_curl_stores_telemetry(self):
        url = f"http://127.0.0.1:{self.server.http_port}{self.path('telemetry')}"
        done = subprocess.run(["curl", "-s", "-w", " %{http_code}", "-X", "POST", "-H",
                               "Content-Type: application/json", url, "-d", '{"c":1}'],
                              capture_output=True, text=True, timeout=wait.DEADLINE_S, check=True)
        self.assertEqual(" 200", done.stdout)
        self.assert_latest({"c": 1})

    def test_the_content_type_does_not_matter(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = self.rest.post(self.path("telemetry"), raw='{"k":2}', token="",
                                    headers={"Content-Type": kind})
            self.assertEqual(200, answer.status, kind)
        self.assert_latest({"k": 2})

    def test_empty_uploads_are_fine(self):
        for text in ("{}", "[]"):
            self.assertEqual(200, self.post("telemetry", text).status)

    def test_an_unknown_token_is_refused_without_a_body(self):
        for tail in ("telemetry", "attributes"):
            answer = self.post(tail, '{"h":1}', token="nope")
            self.assertEqual((401, b""), (answer.status, answer.body))

    def test_broken_bodies_are_told(self):
        for text in ('{"h":', "5", "null", '{"ts":"x","values":{"a":1}}', "[1]"):
            with self.subTest(text):
                self.assert_bad_request(self.post("telemetry", text))
        for text in ("[1]", '{"a":', "5"):
            with self.subTest(text):
                self.assert_bad_request(self.post("attributes", text))

    def test_a_missing_body_is_told(self):
        self.assertEqual(400, self.rest.post(self.path("telemetry"), token="").status)

    def test_attributes_both_ways(self):
        answer = self.post("attributes", '{"hw":"r2"}')
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 7})
        answer = self.get("attributes?clientKeys=hw&sharedKeys=rate")
        self.assertEqual((200, b'{"client":{"hw":"r2"},"shared":{"rate":7}}'),
                         (answer.status, answer.body))
        self.assertIn("application/json", answer.headers["Content-Type"])
        answer = self.get("attributes")
        self.assertEqual({"client": {"hw": "r2"}, "shared": {"rate": 7}}, answer.json())
        answer = self.get("attributes?clientKeys=none")
        self.assertEqual((200, b"{}"), (answer.status, answer.body))

    def test_unknown_paths_and_methods(self):
        self.assertEqual(404, self.get("nothing").status)
        for method in ("PUT", "DELETE", "PATCH"):
            answer = self.rest.call(method, self.path("telemetry"), raw="{}", token="")
            self.assertEqual(405, answer.status, method)

    def test_a_token_may_be_percent_encoded(self):
        token = "".join(f"%{ord(char):02X}" for char in self.device.token)
        self.assertEqual(200, self.post("telemetry", '{"p":1}', token=token).status)
        self.assert_latest({"p": 1})

    def test_a_chunked_body_is_read(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port,
                                                timeout=wait.DEADLINE_S)
        self.addCleanup(connection.close)
        connection.request("POST", self.path("telemetry"), iter([b'{"ch":', b"3}"]),
                           {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        self.assertEqual(200, connection.getresponse().status)
        self.assert_latest({"ch": 3})

    def test_a_connection_is_kept_for_many_requests(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port,
                                                timeout=wait.DEADLINE_S)
        self.addCleanup(connection.close)
        connection.connect()
        used = connection.sock
        for i in range(100):
            connection.request("POST", self.path("telemetry"), '{"k":%d}' % i)
            response = connection.getresponse()
            response.read()
            self.assertEqual(200, response.status)
            self.assertIs(used, connection.sock)
        self.assert_latest({"k": 99})

    def test_pipelined_requests_are_answered_in_order(self):
        raw = socket.create_connection(("127.0.0.1", self.server.http_port), wait.DEADLINE_S)
        self.addCleanup(raw.close)
        head = "Host: x\r\nContent-Length: 7\r\n\r\n"
        raw.sendall((f"POST {self.path('telemetry')} HTTP/1.1\r\n{head}" '{"a":1}'
                     f"GET {self.path('nothing')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                     ).encode())
        data = b""
        while more := raw.recv(65536):
            data += more
        codes = [line.split()[1] for line in data.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
        self.assertEqual([b"200", b"404"], codes)


class SizeLimits(ServerCase):

    settings = ("http.max_payload_size=4096",)

    def test_too_large_a_body_is_told_its_limit_however_it_is_sent(self):
        path = f"/api/v1/{self.device.token}/telemetry"
        body = json.dumps({"big": "x" * 5000})
        answer = self.rest.post(path, raw=body, token="")
        self.assertEqual((413, "Payload size exceeds the limit of 4096 bytes"),
                         (answer.status, answer.json()))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port,
                                                timeout=wait.DEADLINE_S)
        self.addCleanup(connection.close)
        try:
            connection.request("POST", path, iter([body.encode()]),
                               {"Transfer-Encoding": "chunked"}, encode_chunked=True)
            self.assertEqual(413, connection.getresponse().status)
        except (ConnectionError, http.client.RemoteDisconnected):
            pass  # the refusal may overtake the body
        self.assert_latest({"big": None})


class SlowClients(ServerCase):

    settings = ("http.header_timeout_ms=500",)

    def test_half_a_header_is_closed(self):
        raw = socket.create_connection(("127.0.0.1", self.server.http_port), wait.DEADLINE_S)
        self.addCleanup(raw.close)
        raw.sendall(b"POST /api/v1/x/telemetry HTTP/1.1\r\nHos")
        data = b""
        try:
            while more := raw.recv(65536):
                data += more
        except ConnectionResetError:
            pass  # closed with our half header unread
        self.assertNotIn(b" 200 ", data)

    def test_silence_is_closed(self):
        raw = socket.create_connection(("127.0.0.1", self.server.http_port), wait.DEADLINE_S)
        self.addCleanup(raw.close)
        self.assertEqual(b"", raw.recv(1))


if __name__ == "__main__":
    unittest.main()
