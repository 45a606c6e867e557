"""flood: devices that send as fast as they are acknowledged, until the server is gone.

Three kinds: Pipeliner (raw MQTT, many publishes in flight, all in one loop), PahoDevice (a real
client library) and HttpDevice (one POST at a time). Each takes its messages from sources and tells
them what was acknowledged; acknowledgements that arrive after the kill count like any other, for
the server did send them.
"""

import collections
import http.client
import json
import selectors
import socket
import struct
import threading
import time

import paho.mqtt.client

import ledger
from support import mqtt

WINDOW = 64
PAHO_WINDOW = 20
GONE_S = 20  # a killed server's connections end well before


class Readings:
    """Telemetry of one device: a stretch of counters."""

    topic, path = "v1/devices/me/telemetry", "telemetry"

    def __init__(self, stretch):
        self.stretch = stretch

    def next(self):
        """(counter, payload)"""
        counter = self.stretch.send()
        values = ledger.values(self.stretch.device, counter)
        return counter, json.dumps({"ts": self.stretch.ts_of(counter), "values": values})

    def ack(self, counter):
        self.stretch.acked.add(counter)


class FleetingReadings(Readings):
    """Telemetry that lives LIFE_MS; the rule chain makes a time to live of the key `ttl`."""

    LIFE_MS = 2500

    def next(self):
        counter, ttl_s = self.stretch.send_until(int(time.time() * 1000) + self.LIFE_MS)
        values = {**ledger.values(self.stretch.device, counter), "ttl": ttl_s}
        return counter, json.dumps({"ts": self.stretch.ts_of(counter), "values": values})


class Attributes:
    """Client attributes of one device."""

    topic, path = "v1/devices/me/attributes", "attributes"

    def __init__(self, slots):
        self.slots = slots

    def next(self):
        counter, key = self.slots.send()
        return counter, json.dumps({key: counter})

    def ack(self, counter):
        self.slots.ack(counter)


class Flood:
    """Runs devices in threads of their own from start() until the server is gone.

    `killed` is set by whoever kills, just before: a connection that ends earlier is an error."""

    def __init__(self, devices, pipeliners):
        self.killed, self.acked, self.errors = threading.Event(), 0, []
        self.first_ack = threading.Event()
        self.threads = [threading.Thread(target=self._guarded, args=(device.run,))
                        for device in devices]
        self.threads.append(threading.Thread(target=self._guarded,
                                             args=(lambda flood: run_pipeliners(flood, pipeliners),
                                                   )))

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def join(self):
        for thread in self.threads:
            thread.join(GONE_S)
            if thread.is_alive():
                self.errors.append("a client still waits for a server that is gone")

    def count_acks(self, count):
        self.acked += count
        self.first_ack.set()

    def ended(self, what):
        if not self.killed.is_set():
            self.errors.append(f"{what}: the connection ended before the kill")

    def _guarded(self, run):
        try:
            run(self)
        except Exception as error:  # whatever it is, the round must report it and not hang
            self.errors.append(f"{type(error).__name__}: {error}")
        finally:
            self.first_ack.set()


class Pipeliner:
    """A raw MQTT connection with WINDOW publishes of one source in flight."""

    def __init__(self, port, token, source):
        self.client = mqtt.Client(port, username=token)
        assert self.client.connack.code == 0, self.client.connack
        self.socket = self.client.socket
        self.socket.setblocking(False)
        self.source, self.unread, self.unsent = source, b"", b""
        self.in_flight = collections.OrderedDict()  # packet id: counter, oldest first

    def fill(self):
        """Publish until the window is full. True: the socket took everything."""
        parts = [self.unsent]
        while len(self.in_flight) < WINDOW:
            counter, payload = self.source.next()
            packet_id = self.client.next_id()
            self.in_flight[packet_id] = counter
            parts.append(mqtt.packet(mqtt.PUBLISH << 4 | 2, mqtt.text(self.source.topic)
                                     + struct.pack("!H", packet_id) + payload.encode()))
        self.unsent = b"".join(parts)
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        except BlockingIOError:
            pass
        return not self.unsent

    def read(self):
        """Number of new acknowledgements; None at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return 0
        except ConnectionError:
            return None
        if not data:
            return None
        data = self.unread + data
        whole = len(data) // 4 * 4
        self.unread = data[whole:]
        for kind, packet_id in struct.iter_unpack("!HH", data[:whole]):
            assert kind == mqtt.PUBACK << 12 | 2, f"unexpected packet {kind:04x}"
            oldest, counter = self.in_flight.popitem(last=False)
            assert packet_id == oldest, f"PUBACK {packet_id}, wanted {oldest}"
            self.source.ack(counter)
        return whole // 4


def run_pipeliners(flood, pipeliners):
    """All of them in one loop, until each has seen the end of its connection."""
    with selectors.DefaultSelector() as selector:
        for one in pipeliners:
            one.fill()
            selector.register(one.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
        while selector.get_map():
            ready = selector.select(GONE_S)
            assert ready, "no acknowledgement and no end of the connection"
            for key, events in ready:
                serve_pipeliner(flood, selector, key.data, events)


def serve_pipeliner(flood, selector, one, events):
    acked = one.read() if events & selectors.EVENT_READ else 0
    try:
        if acked is not None:
            flood.count_acks(acked)
            done = one.fill()
            wanted = selectors.EVENT_READ | (0 if done else selectors.EVENT_WRITE)
            selector.modify(one.socket, wanted, one)
            return
    except ConnectionError:
        if one.read() is not None:  # acknowledgements that came before the end
            return
    selector.unregister(one.socket)
    one.client.close()
    flood.ended(f"MQTT on {one.source.topic}")


class PahoDevice:
    """Telemetry by the reference Python client, QoS 1; it must not reconnect by itself, so its loop
    is turned here."""

    def __init__(self, port, token, source):
        self.source, self.in_flight, self.answer = source, {}, None
        self.client = paho.mqtt.client.Client(client_id=f"paho {token}", clean_session=True)
        self.client.username_pw_set(token)
        self.client.max_inflight_messages_set(PAHO_WINDOW)
        self.client.on_connect = self._connected
        self.client.on_publish = self._published
        self.flood = None
        self.client.connect("127.0.0.1", port)

    def _connected(self, _client, _userdata, _flags, code):
        self.answer = code

    def _published(self, _client, _userdata, packet_id):
        self.source.ack(self.in_flight.pop(packet_id))
        self.flood.count_acks(1)

    def run(self, flood):
        self.flood = flood
        end = time.monotonic() + GONE_S
        while self.client.loop(0.05) == paho.mqtt.client.MQTT_ERR_SUCCESS:
            assert self.answer in (None, 0), f"CONNACK {self.answer}"
            assert not flood.killed.is_set() or time.monotonic() < end, "still connected"
            while self.answer == 0 and len(self.in_flight) < PAHO_WINDOW:
                counter, payload = self.source.next()
                self.in_flight[self.client.publish(self.source.topic, payload, 1).mid] = counter
        flood.ended("paho")


class HttpDevice:
    """POSTs of its sources in turn on one keep-alive connection; 200 is the acknowledgement."""

    def __init__(self, port, token, sources):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GONE_S)
        self.token, self.sources = token, sources

    def run(self, flood):
        try:
            while True:
                for source in self.sources:
                    self._post(flood, source)
        except (ConnectionError, http.client.HTTPException, socket.timeout):
            flood.ended("HTTP")
        finally:
            self.connection.close()

    def _post(self, flood, source):
        counter, payload = source.next()
        self.connection.request("POST", f"/api/v1/{self.token}/{source.path}", payload,
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, f"HTTP {answer.status}: {body[:200]}"
        source.ack(counter)
        flood.count_acks(1)
