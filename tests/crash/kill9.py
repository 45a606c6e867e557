"""kill9: SIGKILL at random instants under a flood; nothing acknowledged may be missing afterwards.

Devices flood over MQTT (a raw pipelining client and paho), HTTP and with client attributes; every
message carries its own counter, and a ledger keeps those whose yes arrived. After each kill the
server starts again on the same data and REST must show all of them. In every second round
transform.script is in the chain and adds a second key: both are there, or neither.

    kill9.py [--kills N] [--seed S]     PS_CRASH_FULL=1: 200 kills
"""

import argparse
import json
import os
import random
import sqlite3
import sys
import threading
import threading
import time

import paho.mqtt.client as paho

from ledger import BASE, Ledger
from support import mqtt
from support.rest import Rest
from support.server import Server

WINDOW = 64
TOPIC = "v1/devices/me/telemetry"
DOUBLE = "msg.twice = msg.n * 2 return { msg = msg, metadata = metadata, msgType = msgType }"


def message(counter):
    return {"ts": BASE + counter, "values": {"n": counter}}


def body(counter):
    return json.dumps(message(counter)).encode()


class Flood(threading.Thread):
    """Sends counters until the server is gone. One class a way of sending."""

    def __init__(self, server, device, ledger, doubled):
        super().__init__(daemon=True)
        self.server, self.device, self.ledger, self.doubled = server, device, ledger, doubled
        self.over = False

    def run(self):
        try:
            self.send_all()
        except (OSError, AssertionError, ValueError):
            pass  # killed while we talked to it

    def counter(self):
        return self.ledger.next(self.doubled)


class RawFlood(Flood):
    """MQTT, WINDOW publishes in flight."""

    def send_all(self):
        client = mqtt.Client(self.server.mqtt_port, username=self.device.token)
        in_flight, packet_id, unread = {}, 0, b""
        while not self.over:
            out = b""
            while len(in_flight) < WINDOW:
                counter, packet_id = self.counter(), packet_id % 65535 + 1
                in_flight[packet_id] = counter
                out += mqtt.packet(0x32, mqtt.text(TOPIC) + packet_id.to_bytes(2, "big") +
                                   body(counter))
            client.socket.sendall(out)
            data = client.socket.recv(65536)
            if not data:
                return
            unread += data
            while whole := mqtt.split_packet(unread):
                first, rest, unread = whole
                if first >> 4 == mqtt.PUBACK:
                    self.ledger.acked.add(in_flight.pop(int.from_bytes(rest[:2], "big")))


class PahoFlood(Flood):
    """MQTT with the library that most scripts use."""

    def send_all(self):
        sent, done = {}, []  # paho may tell of a PUBACK before publish() has returned
        client = paho.Client()
        client.username_pw_set(self.device.token)
        client.on_publish = lambda _client, _userdata, mid: done.append(mid)
        client.max_inflight_messages_set(20)
        client.connect("127.0.0.1", self.server.mqtt_port)
        client.loop_start()
        while not self.over:
            if len(sent) - len(done) < 20:
                counter = self.counter()
                sent[client.publish(TOPIC, body(counter), qos=1).mid] = counter
            else:
                time.sleep(0.001)
        client.disconnect()
        client.loop_stop()
        self.ledger.acked.update(sent[mid] for mid in done)


class HttpFlood(Flood):
    """HTTP, one request after the other."""

    def send_all(self):
        rest = Rest("127.0.0.1", self.server.http_port)
        while not self.over:
            counter = self.counter()
            answer = rest.call("POST", f"/api/v1/{self.device.token}/telemetry", message(counter))
            if answer.status == 200:
                self.ledger.acked.add(counter)


class AttributeFlood(Flood):
    """Client attributes over MQTT: the newest acknowledged value, or a later one, stays."""

    def send_all(self):
        client = mqtt.Client(self.server.mqtt_port, username=self.device.token)
        while not self.over:
            counter = self.counter()
            client.publish_acked("v1/devices/me/attributes", json.dumps({"n": counter}))
            self.ledger.acked.add(counter)


KINDS = [RawFlood, RawFlood, PahoFlood, HttpFlood, AttributeFlood]


def set_chain(rest, doubled):
    """The root chain saves telemetry and attributes, with or without a script before."""
    root = rest.ok("GET", "/api/ruleChains?pageSize=10&page=0&textSearch=Root%20Rule").json()
    chain = root["data"][0]["id"]
    nodes = [{"type": "filter.msg_type_switch", "name": "Type", "configuration": {}},
             {"type": "action.save_timeseries", "name": "Save", "configuration": {}},
             {"type": "action.save_attributes", "name": "Keep",
              "configuration": {"scope": "CLIENT_SCOPE"}},
             {"type": "transform.script", "name": "Double", "configuration": {"script": DOUBLE}}]
    connections = [(0, 3 if doubled else 1, "Post telemetry"), (3, 1, "Success"),
                   (0, 2, "Post attributes")]
    rest.ok("POST", "/api/ruleChain/metadata",
            {"ruleChainId": chain, "firstNodeIndex": 0, "nodes": nodes, "ruleChainConnections": [],
             "connections": [{"fromIndex": a, "toIndex": b, "type": relation}
                             for a, b, relation in connections]})


class Campaign:
    """One server, its devices and their ledgers, killed again and again."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.server = Server()
        self.devices, self.ledgers = [], []

    def prepare(self):
        self.server.start()
        self.server.rest.login()
        for i, kind in enumerate(KINDS):
            self.devices.append(self.server.rest.create_device(f"crash {i}"))
            self.ledgers.append(Ledger(f"{kind.__name__} {i}"))

    def flood_and_kill(self, doubled):
        set_chain(self.server.rest, doubled)
        floods = [kind(self.server, device, ledger, doubled)
                  for kind, device, ledger in zip(KINDS, self.devices, self.ledgers)]
        for flood in floods:
            flood.start()
        time.sleep(self.rng.uniform(0.05, 0.6))  # the instant of the power cut
        self.server.kill()
        for flood in floods:
            flood.over = True
            flood.join(60)
            assert not flood.is_alive(), f"{flood.ledger.name} does not end"
        self.server.start()
        self.server.rest.login()

    def findings(self, since):
        """Complaints about everything after the counters in `since`."""
        wrong = []
        for kind, device, ledger, first in zip(KINDS, self.devices, self.ledgers, since):
            if kind is AttributeFlood:
                value = self.server.rest.attributes(device, "CLIENT_SCOPE").get("n", 0)
                if value < max(ledger.acked, default=0) or value > ledger.sent:
                    wrong.append(f"{ledger.name}: {value} stored, {max(ledger.acked)} acknowledged")
                continue
            start = BASE + first + 1
            part = Ledger(ledger.name)
            part.sent, part.doubled = ledger.sent, ledger.doubled
            part.acked = {counter for counter in ledger.acked if counter > first}
            history = self.server.rest.history
            wrong += part.findings(history(device, "n", start, limit=10_000_000),
                                   history(device, "twice", start, limit=10_000_000))
        return wrong

    def integrity(self):
        self.server.stop()
        path = self.server.data / "pacificsoft.db"
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute("PRAGMA integrity_check").fetchone()[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=200 if os.environ.get("PS_CRASH_FULL") else 50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}")

    campaign = Campaign(options.seed)
    wrong = []
    try:
        campaign.prepare()
        for kill in range(options.kills):
            since = [ledger.sent for ledger in campaign.ledgers]
            campaign.flood_and_kill(doubled=kill % 2 == 1)
            wrong += [f"kill {kill}: {text}" for text in campaign.findings(since)]
        wrong += [f"at the end: {text}" for text in campaign.findings([0] * len(KINDS))]
        integrity = campaign.integrity()
        if integrity != "ok":
            wrong.append(f"integrity check: {integrity}")
    finally:
        campaign.server.destroy()

    for ledger in campaign.ledgers:
        print(f"{ledger.name}: {ledger.sent} sent, {len(ledger.acked)} acknowledged")
        if not ledger.acked:
            wrong.append(f"{ledger.name}: nothing was ever acknowledged")
    print(f"{options.kills} kills, {len(wrong)} complaints")
    for text in wrong[:20]:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
