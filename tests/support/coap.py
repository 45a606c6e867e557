"""coap: one confirmable request at a time over UDP (RFC 7252), retransmitted until answered."""

import dataclasses
import os
import socket
import struct
import time
import urllib.parse

from support import wait

GET, POST, PUT, DELETE = 1, 2, 3, 4
URI_PATH, CONTENT_FORMAT, URI_QUERY = 11, 12, 15
CONFIRMABLE, ACKNOWLEDGEMENT, RESET = 0, 2, 3
RETRANSMIT_S = 2


@dataclasses.dataclass
class Answer:
    """code as "2.05"; separate: the answer came in a message of its own."""

    code: str
    payload: bytes
    content_format: int = None
    separate: bool = False


def option(delta, value):
    """One option with its delta from the one before; both below 269."""
    def nibble(number):
        return (number, b"") if number < 13 else (13, bytes([number - 13]))
    (d, d_more), (n, n_more) = nibble(delta), nibble(len(value))
    return bytes([d << 4 | n]) + d_more + n_more + value


def request_bytes(method, path, payload, message_id, token, content_format):
    """A confirmable request; path may hold a query."""
    parts = urllib.parse.urlsplit(path)
    options = [(URI_PATH, urllib.parse.unquote_to_bytes(part))
               for part in parts.path.split("/") if part]
    if content_format is not None:
        options.append((CONTENT_FORMAT, bytes([content_format]) if content_format else b""))
    options += [(URI_QUERY, part.encode()) for part in parts.query.split("&") if part]
    data = struct.pack("!BBH", 0x40 | len(token), method, message_id) + token
    number = 0
    for wanted, value in options:
        data += option(wanted - number, value)
        number = wanted
    return data + (b"\xff" + payload if payload else b"")


def parse(data):
    """(type, code, message id, token, {option: [values]}, payload)."""
    first, code, message_id = struct.unpack("!BBH", data[:4])
    at = 4 + (first & 15)
    token, options, number = data[4:at], {}, 0
    while at < len(data) and data[at] != 0xFF:
        delta, length = data[at] >> 4, data[at] & 15
        at += 1
        if delta == 13:
            delta, at = data[at] + 13, at + 1
        if length == 13:
            length, at = data[at] + 13, at + 1
        number += delta
        options.setdefault(number, []).append(data[at:at + length])
        at += length
    return first >> 4 & 3, code, message_id, token, options, data[at + 1:]


def code_text(code):
    return f"{code >> 5}.{code & 31:02d}"


def request(port, method, path, payload=b"", content_format=None, deadline_s=wait.DEADLINE_S):
    """Send and wait for the answer; acknowledges a separate one."""
    payload = payload if isinstance(payload, bytes) else payload.encode()
    token = os.urandom(4)
    message_id = int.from_bytes(os.urandom(2), "big")
    data = request_bytes(method, path, payload, message_id, token, content_format)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect(("127.0.0.1", port))
        udp.settimeout(RETRANSMIT_S)
        end, acknowledged = time.monotonic() + deadline_s, False
        udp.send(data)
        while time.monotonic() < end:
            try:
                kind, code, got_id, got_token, options, body = parse(udp.recv(65536))
            except socket.timeout:
                if not acknowledged:
                    udp.send(data)
                continue
            if kind == RESET and got_id == message_id:
                raise AssertionError("request was reset")
            if code == 0:
                acknowledged = acknowledged or got_id == message_id
            elif got_token == token:
                if kind == CONFIRMABLE:
                    udp.send(struct.pack("!BBH", 0x60, 0, got_id))
                formats = options.get(CONTENT_FORMAT)
                return Answer(code_text(code), body,
                              int.from_bytes(formats[0], "big") if formats else None,
                              kind != ACKNOWLEDGEMENT)
    raise wait.Late(f"no answer to {path}")
