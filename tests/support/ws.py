"""ws: a WebSocket client (RFC 6455) for text frames that shows close codes and reasons."""

import base64
import hashlib
import json
import os
import socket
import struct
import time

from support import wait

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Closed(Exception):
    """The server closed the session: .code (1006 if without a close frame) and .reason."""

    def __init__(self, code, reason):
        super().__init__(f"closed {code} {reason!r}")
        self.code, self.reason = code, reason


class WebSocket:
    """An open session; recv() answers pings on its way."""

    def __init__(self, port, path="/api/ws", receive_buffer=None):
        self.unread = b""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wait.DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                             "Origin: http://example.org\r\n\r\n").encode())
        head = self._read_head().split("\r\n")
        assert " 101 " in head[0], head
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert any(line.lower() == f"sec-websocket-accept: {wanted}".lower() for line in head), head

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _read_head(self):
        end = time.monotonic() + wait.DEADLINE_S
        while b"\r\n\r\n" not in self.unread:
            self._receive(end)
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        return head.decode()

    def _receive(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise wait.Late("nothing from the server")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            raise wait.Late("nothing from the server") from None
        except ConnectionError:
            data = b""
        if not data:
            raise Closed(1006, "")
        self.unread += data

    # ---- sending ----

    def send_frame(self, opcode, data):
        mask, length = os.urandom(4), len(data)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        try:
            self.socket.sendall(head + mask + masked)
        except ConnectionError:
            pass  # the next read tells

    def send_text(self, text):
        self.send_frame(TEXT, text.encode())

    def send(self, value):
        self.send_text(json.dumps(value))

    # ---- reading ----

    def _take_frame(self):
        data = self.unread
        if len(data) < 2:
            return None
        length, at = data[1] & 127, 2
        if length > 125:
            size = 2 if length == 126 else 8
            if len(data) < 2 + size:
                return None
            length, at = int.from_bytes(data[2:2 + size], "big"), 2 + size
        if len(data) < at + length:
            return None
        self.unread = data[at + length:]
        return data[0], data[at:at + length]

    def recv_frame(self, deadline_s=None):
        """(opcode, data) of the next whole message that is no ping; Closed at the end."""
        end = time.monotonic() + (deadline_s or wait.DEADLINE_S)
        message, kind = b"", None
        while True:
            frame = self._take_frame()
            if frame is None:
                self._receive(end)
                continue
            first, data = frame
            opcode = first & 15
            if opcode == PING:
                self.send_frame(PONG, data)
            elif opcode == CLOSE:
                code = int.from_bytes(data[:2], "big") if len(data) >= 2 else 1005
                raise Closed(code, data[2:].decode(errors="replace"))
            elif opcode == PONG:
                return PONG, data
            else:
                kind, message = kind or opcode, message + data
                if first & 0x80:
                    return kind, message

    def recv(self, deadline_s=None):
        """The next text message, as JSON."""
        kind, data = self.recv_frame(deadline_s)
        assert kind == TEXT, kind
        return json.loads(data)

    def expect_closed(self, code, reason=None):
        """The session must end with this code, whatever came before."""
        try:
            while True:
                self.recv_frame()
        except Closed as closed:
            assert closed.code == code, closed
            assert reason is None or closed.reason == reason, closed
            return closed

    def expect_quiet(self):
        """Nothing was waiting for us: a ping of ours is the next thing that is answered."""
        self.send_frame(PING, b"quiet?")
        kind, data = self.recv_frame()
        assert (kind, data) == (PONG, b"quiet?"), (kind, data)
