"""The CoAP device API, with libcoap's client and by hand."""

import os
import shutil
import subprocess
import unittest

from support import coap, wait
from support.case import ServerCase

JSON = 50


class Coap(ServerCase):

    def path(self, tail, token=None):
        return f"/api/v1/{token or self.device.token}/{tail}"

    def request(self, method, tail, payload=b"", token=None, **options):
        return coap.request(self.server.coap_port, method, self.path(tail, token), payload,
                            **options)

    def code(self, method, tail, payload=b"", **options):
        return self.request(method, tail, payload, **options).code

    def test_telemetry_is_stored_when_answered(self):
        self.assertEqual("2.01", self.code(coap.POST, "telemetry", '{"co":1}'))
        self.assert_latest({"co": 1})

    def test_the_content_format_does_not_matter(self):
        for content_format in (None, 0, JSON):
            self.assertEqual("2.01", self.code(coap.POST, "telemetry", '{"f":1}',
                                               content_format=content_format))

    def test_feature_names_ignore_case(self):
        self.assertEqual("2.01", self.code(coap.POST, "TeleMetry", '{"case":1}'))
        self.assert_latest({"case": 1})

    def test_empty_uploads_are_fine(self):
        for payload in ("{}", "[]"):
            self.assertEqual("2.01", self.code(coap.POST, "telemetry", payload))

    def test_broken_payloads_are_told(self):
        for payload in ('{"co":', "5", "null", "[1]", '{"ts":"x","values":{"a":1}}', ""):
            self.assertEqual("4.00", self.code(coap.POST, "telemetry", payload), payload)
        for payload in ("[1]", "5", '{"a":'):
            self.assertEqual("4.00", self.code(coap.POST, "attributes", payload), payload)

    def test_an_unknown_token_is_refused(self):
        self.assertEqual("4.01", self.code(coap.POST, "telemetry", '{"co":1}', token="nope"))
        self.assertEqual("4.01", self.code(coap.GET, "attributes", token="nope"))

    def test_attributes_both_ways(self):
        self.assertEqual("2.01", self.code(coap.POST, "attributes", '{"hw":"r2"}'))
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 8})
        answer = self.request(coap.GET, "attributes?clientKeys=hw&sharedKeys=rate")
        self.assertEqual(("2.05", b'{"client":{"hw":"r2"},"shared":{"rate":8}}'),
                         (answer.code, answer.payload))
        self.assertEqual(JSON, answer.content_format)
        self.assertEqual("4.04", self.code(coap.GET, "attributes?clientKeys=none"))

    def test_what_cannot_be_asked_is_a_bad_request(self):
        self.assertEqual("4.00", self.code(coap.GET, "rpc"))
        self.assertEqual("4.00", self.code(coap.GET, "telemetry"))
        self.assertEqual("4.00", self.code(coap.POST, "foo", "1"))

    def test_wrong_methods_and_foreign_paths(self):
        for method in (coap.PUT, coap.DELETE):
            self.assertEqual("4.05", self.code(method, "telemetry", "1"))
        self.assertEqual("4.04", coap.request(self.server.coap_port, coap.GET, "/foo").code)

    def test_a_repeated_message_is_stored_once_and_answered_again(self):
        data = coap.request_bytes(coap.POST, self.path("telemetry"), b'{"once":1}', 0x1234,
                                  b"tokn", None)
        before = self.rest.metrics()["messages_received_total"]
        answers = []
        with coap.socket.socket(coap.socket.AF_INET, coap.socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", self.server.coap_port))
            udp.settimeout(wait.DEADLINE_S)
            for _ in range(2):
                udp.send(data)
                answers.append(udp.recv(2000))
        self.assertEqual(answers[0][1], answers[1][1])
        self.assertEqual(before + 1, self.rest.metrics()["messages_received_total"])


class LibcoapClient(ServerCase):
    """coap-client of Debian's libcoap3-bin, under whatever name it is installed."""

    NAMES = ("coap-client", "coap-client-notls", "coap-client-openssl", "coap-client-gnutls")

    def run_client(self, *words, path):
        program = next(filter(None, map(shutil.which, self.NAMES)))
        url = f"coap://127.0.0.1:{self.server.coap_port}/api/v1/{path}"
        done = subprocess.run([program, "-B", "20", *words, url], capture_output=True, text=True,
                              timeout=wait.DEADLINE_S * 2, check=False, env=os.environ)
        return done.stdout + done.stderr

    def test_post_then_get(self):
        output = self.run_client("-m", "post", "-t", "application/json", "-e", '{"lib":1}',
                                 path=f"{self.device.token}/telemetry")
        self.assertNotRegex(output, r"[45]\.\d\d")
        self.assert_latest({"lib": 1})
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"rate": 8})
        output = self.run_client("-m", "get",
                                 path=f"{self.device.token}/attributes?sharedKeys=rate")
        self.assertIn('{"shared":{"rate":8}}', output)

    def test_a_large_body_travels_in_blocks(self):
        text = "x" * 5000
        self.run_client("-m", "post", "-e", '{"blocks":"%s"}' % text,
                        path=f"{self.device.token}/telemetry")
        self.assert_latest({"blocks": text})

    def test_a_wrong_token_is_told(self):
        output = self.run_client("-m", "post", "-e", "{}", path="nope/telemetry")
        self.assertIn("4.01", output)


if __name__ == "__main__":
    unittest.main()
