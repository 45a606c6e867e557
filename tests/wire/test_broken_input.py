"""Broken input: random and mutated packets on every transport crash nothing and leak nothing.

The seed is printed with a failure; PS_SEED repeats a run, PS_BROKEN_PACKETS sets the number.
"""

import collections
import os
import random
import socket
import unittest

from support import coap, mqtt
from support.case import ServerCase
from support.ws import TEXT, Closed, WebSocket

COUNT = int(os.environ.get("PS_BROKEN_PACKETS", "10000"))
SEED = int(os.environ.get("PS_SEED", random.SystemRandom().randrange(1 << 32)))
GROWTH_MAX_KB = 64 * 1024
OPEN_MAX = 64


def mutate(rng, data):
    """The bytes with a few of them changed, removed, doubled or cut off."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at:at + rng.randrange(1, 8)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randrange(1, 8))
        else:
            del data[at:]
    return bytes(data)


class BrokenInput(ServerCase):

    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)
        self.open = collections.deque()
        self.addCleanup(self.check_alive)
        self.addCleanup(self.close_all)

    def close_all(self):
        while self.open:
            self.close_one(self.open.popleft())

    def resident_kb(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def check_alive(self):
        self.assertIsNone(self.server.process.poll(), f"seed {SEED}: {self.server.log()}")
        client = self.mqtt(self.rest.create_device(f"{self.id()} after"))
        client.publish_acked("v2/t", '{"alive":1}')

    def run_many(self, send_one):
        """Send COUNT packets, watching the memory after the first half."""
        for i in range(COUNT):
            if i == COUNT // 2:
                before = self.resident_kb()
            send_one(self.rng, i)
        if not os.environ.get("PS_SANITIZED"):  # sanitizers keep freed memory
            self.assertLess(self.resident_kb() - before, GROWTH_MAX_KB, f"seed {SEED}")

    def send_tcp(self, port, data):
        """Send; what comes back is read when the connection has waited behind OPEN_MAX others, so
        a server that waits for the rest of a request costs the test no time."""
        raw = socket.create_connection(("127.0.0.1", port), 5)
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed already
        self.open.append(raw)
        if len(self.open) > OPEN_MAX:
            self.close_one(self.open.popleft())

    @staticmethod
    def close_one(raw):
        raw.setblocking(False)
        try:
            while raw.recv(65536):
                pass
        except OSError:
            pass
        raw.close()

    def test_mqtt(self):
        token = self.device.token
        connect = {version: mqtt.connect_packet(token, version=version, client_id="c")
                   for version in (3, 4, 5)}
        publish = mqtt.packet(0x32, mqtt.text("v2/t") + b"\x00\x05" + b'{"a":[1,{"b":"c"}]}')
        publish5 = mqtt.packet(0x32, mqtt.text("v2/t") + b"\x00\x05\x00" + b'{"a":1.5e3}')
        subscribe = mqtt.packet(0x82, b"\x00\x06" + mqtt.text("v2/a") + b"\x01")
        subscribe5 = mqtt.packet(0x82, b"\x00\x06\x00" + mqtt.text("v2/a") + b"\x01")
        ping = b"\xc0\x00"

        def send_one(rng, _):
            version = rng.choice((3, 4, 5))
            rest = publish5 + subscribe5 + ping if version == 5 else publish + subscribe + ping
            if rng.random() < 0.3:
                data = mutate(rng, connect[version]) + rest
            elif rng.random() < 0.9:
                data = connect[version] + mutate(rng, rest)
            else:
                data = connect[version] + rng.randbytes(rng.randrange(200))
            self.send_tcp(self.server.mqtt_port, data)

        self.run_many(send_one)

    def test_http(self):
        body = b'{"a":[1,{"b":"c"}]}'
        requests = [
            b"POST /api/v1/%s/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"
            % (self.device.token.encode(), len(body), body),
            b"GET /api/v1/%s/attributes?clientKeys=a,b HTTP/1.1\r\nHost: x\r\n\r\n"
            % self.device.token.encode(),
            b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n"
            b'{"username":"x"}',
            b"GET /api/tenant/devices?pageSize=10&page=0 HTTP/1.1\r\nHost: x\r\n"
            b"X-Authorization: Bearer %s\r\n\r\n" % self.rest.token.encode(),
            b"GET /api/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        ]
        self.run_many(lambda rng, _: self.send_tcp(self.server.http_port,
                                                   mutate(rng, rng.choice(requests))))

    def test_coap(self):
        path = f"/api/v1/{self.device.token}/telemetry"
        port = self.server.coap_port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", port))
            udp.setblocking(False)

            def send_one(rng, i):
                data = coap.request_bytes(rng.choice((1, 2, 3, 4)), path, b'{"a":[1]}', i & 0xFFFF,
                                          rng.randbytes(4), rng.choice((None, 50)))
                try:
                    udp.send(mutate(rng, data))
                    while udp.recv(65536):
                        pass
                except (BlockingIOError, ConnectionError):
                    pass
                if i % 50 == 0:  # keep pace: a real request is answered after what came before
                    self.assertEqual("2.01", coap.request(port, coap.POST, path, '{"a":1}').code)

            self.run_many(send_one)

    def test_websocket(self):
        command = ('{"cmds":[{"cmdId":1,"type":"TIMESERIES","entityType":"DEVICE","entityId":"%s",'
                   '"keys":"a,b","startTs":1,"timeWindow":5,"interval":1,"limit":3,"agg":"AVG"}]}'
                   % self.device.id).encode()
        sessions = []

        def open_session():
            session = WebSocket(self.server.http_port, f"/api/ws?token={self.rest.token}")
            sessions[:] = [session]
            return session

        def send_one(rng, i):
            session = sessions[0] if sessions else open_session()
            try:
                if rng.random() < 0.05:
                    session.socket.sendall(rng.randbytes(rng.randrange(1, 100)))
                    session.socket.close()
                    session = open_session()
                session.send_frame(TEXT, mutate(rng, command))
                if i % 20 == 0:
                    session.send_frame(9, b"sync")
                    while session.recv_frame()[0] != 10:
                        pass
            except (Closed, ConnectionError):
                session.socket.close()
                sessions.clear()

        self.run_many(send_one)
        for session in sessions:
            session.socket.close()


if __name__ == "__main__":
    unittest.main()
