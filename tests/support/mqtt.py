"""mqtt: a client that shows every packet: what a polite library would hide is what tests look at.

    client = Client(port, username=token, version=5)      # sends CONNECT, reads CONNACK
    client.publish("v2/t", '{"a":1}')                     # -> packet id
    client.read()                                         # the next Packet, or CLOSED

Levels 3 (3.1), 4 (3.1.1) and 5. A QoS 1 downlink is acknowledged when it is read, unless ack=False.
"""

import dataclasses
import socket
import struct
import time

from support import wait

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 8, 9, 10, 11, 12, 13, 14
NAMES = ["", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
         "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]
CLOSED = "CLOSED"  # what read() returns when the server has closed the connection


@dataclasses.dataclass
class Packet:
    """One packet of the server; fields that its kind does not have keep their defaults."""

    kind: str
    code: int = 0
    packet_id: int = 0
    session_present: bool = False
    codes: tuple = ()
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retained: bool = False
    properties: bytes = b""


def text(value):
    """UTF-8 string of the protocol: length and bytes."""
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("!H", len(data)) + data


def packet(first_byte, body):
    """A whole packet with its remaining length."""
    length, left = b"", len(body)
    while True:
        length += bytes([left % 128 | (128 if left > 127 else 0)])
        left //= 128
        if not left:
            return bytes([first_byte]) + length + body


def connect_packet(username=None, password=None, client_id="", version=4, clean=True,
                   keep_alive_s=60, properties=b""):
    flags = (clean << 1) | ((username is not None) << 7) | ((password is not None) << 6)
    body = text("MQIsdp" if version == 3 else "MQTT") + bytes([version, flags])
    body += struct.pack("!H", keep_alive_s)
    if version == 5:
        body += bytes([len(properties)]) + properties
    body += text(client_id)
    body += b"".join(text(value) for value in (username, password) if value is not None)
    return packet(CONNECT << 4, body)


def split_packet(data):
    """(first byte, body, rest) of the first whole packet in data, or None."""
    length, shift = 0, 0
    for at in range(1, min(len(data), 5)):
        length |= (data[at] & 127) << shift
        shift += 7
        if data[at] < 128:
            end = at + 1 + length
            return (data[0], data[at + 1:end], data[end:]) if len(data) >= end else None
    return None


class Client:
    """A connection; after construction the CONNACK (or CLOSED) is in .connack."""

    def __init__(self, port, username=None, password=None, client_id="", version=4, clean=True,
                 keep_alive_s=60, properties=b"", connect=True, ack=True, receive_buffer=None):
        self.version, self.ack, self.last_id, self.unread = version, ack, 0, b""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wait.DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        self.connack = None
        if connect:
            self.send(connect_packet(username, password, client_id, version, clean, keep_alive_s,
                                     properties))
            self.connack = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close without DISCONNECT, as a device that loses power does."""
        self.socket.close()

    def disconnect(self):
        self.send(packet(DISCONNECT << 4, b""))
        self.close()

    def send(self, data):
        """Bytes as they are; a server that has closed already is for the next read to find out."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def next_id(self):
        self.last_id = self.last_id % 65535 + 1
        return self.last_id

    # ---- sending ----

    def publish(self, topic, payload, qos=1, packet_id=None, retain=False, dup=False):
        """Send a PUBLISH; returns its packet id (0 for QoS 0)."""
        data = payload if isinstance(payload, bytes) else payload.encode()
        packet_id = (packet_id or self.next_id()) if qos else 0
        body = text(topic) + (struct.pack("!H", packet_id) if qos else b"")
        body += b"\0" if self.version == 5 else b""
        self.send(packet(PUBLISH << 4 | dup << 3 | qos << 1 | retain, body + data))
        return packet_id

    def publish_acked(self, topic, payload, code=0):
        """Publish with QoS 1 and expect this answer for it."""
        packet_id = self.publish(topic, payload)
        answer = self.expect("PUBACK")
        assert (answer.packet_id, answer.code) == (packet_id, code), answer
        return answer

    def subscribe(self, *filters, qos=1):
        """Send a SUBSCRIBE; returns the codes of its SUBACK."""
        packet_id = self.next_id()
        body = struct.pack("!H", packet_id) + (b"\0" if self.version == 5 else b"")
        body += b"".join(text(one) + bytes([qos]) for one in filters)
        self.send(packet(SUBSCRIBE << 4 | 2, body))
        answer = self.expect("SUBACK")
        assert answer.packet_id == packet_id, answer
        return list(answer.codes)

    def unsubscribe(self, *filters):
        """Send an UNSUBSCRIBE; returns the codes of its UNSUBACK (none before MQTT 5)."""
        packet_id = self.next_id()
        body = struct.pack("!H", packet_id) + (b"\0" if self.version == 5 else b"")
        self.send(packet(UNSUBSCRIBE << 4 | 2, body + b"".join(text(one) for one in filters)))
        answer = self.expect("UNSUBACK")
        assert answer.packet_id == packet_id, answer
        return list(answer.codes)

    def ping(self):
        """PINGREQ and its answer: everything the server had to say before has been read or is
        an error here."""
        self.send(packet(PINGREQ << 4, b""))
        return self.expect("PINGRESP")

    # ---- reading ----

    def read(self, deadline_s=None):
        """The next packet, or CLOSED; wait.Late if there is none in time."""
        end = time.monotonic() + (deadline_s or wait.DEADLINE_S)
        while True:
            found = split_packet(self.unread)
            if found:
                first, body, self.unread = found
                return self._understand(first, body)
            left = end - time.monotonic()
            if left <= 0:
                raise wait.Late("no packet from the server")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except socket.timeout:
                continue
            except ConnectionError:
                data = b""
            if not data:
                return CLOSED
            self.unread += data

    def expect(self, kind):
        """The next packet, which must be of this kind."""
        got = self.read()
        assert got is not CLOSED and got.kind == kind, f"wanted {kind}, got {got}"
        return got

    def expect_closed(self):
        got = self.read()
        assert got is CLOSED, f"wanted the connection closed, got {got}"

    def expect_disconnect(self, code):
        """MQTT 5: a DISCONNECT with this reason, then the end. A reset may swallow the packet."""
        got = self.read()
        if got is CLOSED:
            return
        assert got.kind == "DISCONNECT" and got.code == code, got
        self.expect_closed()

    def expect_message(self, topic):
        """The next packet, which must be a PUBLISH on this topic."""
        got = self.expect("PUBLISH")
        assert got.topic == topic, got
        return got

    def read_until(self, kind):
        """(the first packet of this kind, all packets before it)."""
        before = []
        while True:
            got = self.read()
            assert got is not CLOSED, f"closed while waiting for {kind}; before: {before}"
            if got.kind == kind:
                return got, before
            before.append(got)

    def _understand(self, first, body):
        kind = NAMES[first >> 4]
        if kind == "PUBLISH":
            return self._understand_publish(first, body)
        got = Packet(kind)
        if kind == "CONNACK":
            got.session_present, got.code = bool(body[0]), body[1]
            got.properties = body[3:] if self.version == 5 else b""
        elif kind in ("SUBACK", "UNSUBACK"):
            got.packet_id = int.from_bytes(body[:2], "big")
            got.codes = tuple(body[3 + body[2]:] if self.version == 5 else body[2:])
        elif kind == "DISCONNECT":
            got.code = body[0] if body else 0
        elif kind.startswith("PUB"):
            got.packet_id = int.from_bytes(body[:2], "big")
            got.code = body[2] if len(body) > 2 else 0
        return got

    def _understand_publish(self, first, body):
        topic_len = int.from_bytes(body[:2], "big")
        at = 2 + topic_len
        got = Packet("PUBLISH", topic=body[2:at].decode(), qos=first >> 1 & 3,
                     retained=bool(first & 1))
        if got.qos:
            got.packet_id = int.from_bytes(body[at:at + 2], "big")
            at += 2
        if self.version == 5:
            at += 1 + body[at]
        got.payload = body[at:]
        if got.qos == 1 and self.ack:
            self.send(packet(PUBACK << 4, struct.pack("!H", got.packet_id)))
        return got
