"""kill9: acknowledged means kept, also when the process is killed.

Each round floods the server over MQTT (raw and pipelined, and with a real client library) and HTTP,
kills it with SIGKILL, starts it again on the same data directory and reads
everything back over REST. See ledger for what must agree. Meanwhile the server seals its journal
five times a second or at its smallest bound, into files of a day each, merges, and drops files whose
points are expired. Two kills of three come at a random instant, the third as a range file is being
written by a seal, or a merge. Variations by round:

    every second    a transform.script in the rule chain, and a device whose points live for seconds
    every third     syncs take 2 ms longer, so that more kills hit a commit in progress
    every fifth     the server is killed once more while it starts; every second time of these, as
                    it drops a file, if it does

At the end everything ever sent is read once more, after one more kill and after a clean stop, and
SQLite and fsck check the files. A SIGKILL leaves the page cache alone: this proves the order of
commit and acknowledgement and the recovery; that the disk keeps what was synced is tests/powercut's.

    kill9.py [--full] [--kills N] [--seed S] [--longest SECONDS] [--minutes M] [--lie]

Progress goes to standard output after every tenth round, with an estimate of what is left. The end
tells how many kills fell into which work (wreck.py: as far as the files show it); with --full a work
that was never hit is a problem. --full (200 kills) takes some four minutes, 40 kills one; --minutes
ends the rounds early. The exit status is 0 if nothing was lost.

--lie acknowledges one counter that was never sent: the run must then fail, which test_kill9 checks.
"""

import argparse
import collections
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ledger
import wreck
from flood import (Attributes, FleetingReadings, Flood, HttpDevice, PahoDevice, Pipeliner,
                   Readings)
from support.server import SANITIZER, Server, binary

PIPELINERS = 4
PAGE = 80000       # counters per query and day
GAP = 1000         # counters left out between two rounds, where nothing may be found
SYNC_DELAY_US = 2000
SAVED_CHAIN = [("filter.msg_type_switch", {}), ("action.save_timeseries", {}),
               ("action.save_attributes", {"scope": "CLIENT_SCOPE"})]
SETTINGS = ("telemetry.range=day", "telemetry.journal_bytes_max=65536",
            "telemetry.seal_interval_ms=200")
KILLS, KILLS_FULL = 40, 200
HIT = ("seal", "merge", "retired run")  # what 200 kills must have hit
TRANSFORM = ("transform.script", {"script": "msg.doubled = msg.counter * 2\n"
                                            "if msg.ttl then metadata.TTL = "
                                            "string.format('%d', msg.ttl); msg.ttl = nil end\n"
                                            "return { msg = msg, metadata = metadata, "
                                            "msgType = msgType }"})


class Failed(Exception):
    """The round cannot go on."""


class Device:
    """A device of the test and all that is known of what it sent."""

    def __init__(self, number, made):
        self.number, self.id, self.token = number, made.id, made.token
        self.stretches, self.slots = [], ledger.Slots(number)

    def stretch(self, transformed, fleeting=False):
        """A new stretch, some way after the last."""
        first = self.stretches[-1].end + GAP if self.stretches else GAP
        new = (ledger.FleetingStretch(self.number, first, transformed, len(self.stretches))
               if fleeting else ledger.Stretch(self.number, first, transformed))
        self.stretches.append(new)
        return new


class CrashedServer(Server):
    """A server that is started with slow syncs, or killed while it starts, if so asked."""

    delay_library = os.environ.get("PS_DELAY_SYNC")

    def start(self, slow_syncs=False):
        library = self.delay_library
        if not slow_syncs or not library or os.environ.get("PS_SANITIZED"):
            return super().start()  # a sanitizer's library wants to be the first
        os.environ.update(LD_PRELOAD=library, DELAY_SYNC_US=str(SYNC_DELAY_US))
        try:
            return super().start()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["DELAY_SYNC_US"]

    def start_and_kill(self, after_s, as_it_drops):
        """Start, and kill it after that long (or earlier, as it drops a file), ready or not."""
        def kill():
            if as_it_drops:
                wreck.Moment(self.data).wait("drop", after_s)
            if self.process:
                self.process.kill()
        timer = threading.Timer(0 if as_it_drops else after_s, kill)
        timer.start()
        try:
            super().start()
        except AssertionError:
            if self.process.returncode != -9:
                raise
        timer.join()
        self.kill()


class CrashTest:

    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.problems = ledger.Problems()
        self.kills = self.sent = self.acked = self.found = 0
        self.work, self.hit = {}, collections.Counter()
        self.begun, self.rounds = time.monotonic(), 0
        self.server = CrashedServer(*SETTINGS)
        self.token, self.root, self.devices = None, None, []
        self.restart_s = []

    # ---- the server ----

    def start(self, **how):
        begin = time.monotonic()
        self.server.start(**how)
        self.restart_s.append(time.monotonic() - begin)
        rest = self.server.rest
        if self.token is None:
            self.token = rest.login().token
        rest.token = self.token  # tokens stay valid over a restart
        return rest

    def kill(self):
        self.server.kill()
        self.count_kill()

    def count_kill(self):
        self.kills += 1
        self.hit.update(wreck.look(self.server.data) or {"none of these"})

    def make_devices(self, rest):
        count = PIPELINERS + 4  # attributes, fleeting, paho, HTTP
        self.devices = [Device(number, rest.create_device(f"crash {number}"))
                        for number in range(count)]
        chains = rest.ok("GET", "/api/ruleChains?pageSize=100&page=0").json()["data"]
        self.root = next(chain["id"] for chain in chains if chain["root"])

    def set_chain(self, rest, transformed):
        """Switch -> [transform ->] save; attributes -> save."""
        nodes = SAVED_CHAIN + ([TRANSFORM] if transformed else [])
        steps = [(0, 1, "Post telemetry"), (0, 2, "Post attributes")]
        if transformed:
            steps = [(0, 3, "Post telemetry"), (3, 1, "Success"), (0, 2, "Post attributes")]
        rest.ok("POST", "/api/ruleChain/metadata", {
            "ruleChainId": self.root, "firstNodeIndex": 0,
            "nodes": [{"type": kind, "name": f"node {at}", "configuration": configuration}
                      for at, (kind, configuration) in enumerate(nodes)],
            "connections": [{"fromIndex": source, "toIndex": target, "type": relation}
                            for source, target, relation in steps]})

    # ---- one round ----

    def round(self, number):
        transformed = number % 2 == 1
        self.set_chain(self.server.rest, transformed)
        flood = self.flood(transformed)
        if not flood.first_ack.wait(20):
            raise Failed("nothing was acknowledged in 20 s")
        # The instant of the kill is what is random here; nothing is waited for.
        time.sleep(self.random.uniform(0.0, self.options.longest))
        if number % 3 == 2:
            kind = "merge" if number % 6 == 5 else "write"
            wreck.Moment(self.server.data).wait(kind, 2 * self.options.longest)
        flood.killed.set()
        self.kill()
        flood.join()
        if flood.errors:
            raise Failed("; ".join(flood.errors))
        if number % 5 == 4:
            self.server.start_and_kill(self.random.uniform(0.0, 0.3), number % 10 == 9)
            self.count_kill()
        rest = self.start(slow_syncs=number % 3 == 1)
        if self.options.lie and number == 0:
            self.devices[0].stretches[-1].acked.add(self.devices[0].stretches[-1].send())
        self.check([device.stretches[-1] for device in self.devices if device.stretches], rest)

    def flood(self, transformed):
        *raw, attributes, fleeting, paho_device, http_device = self.devices
        mqtt_port, http_port = self.server.mqtt_port, self.server.http_port
        pipeliners = [Pipeliner(mqtt_port, device.token, Readings(device.stretch(transformed)))
                      for device in raw]
        pipeliners.append(Pipeliner(mqtt_port, attributes.token, Attributes(attributes.slots)))
        if transformed:
            stretch = fleeting.stretch(transformed, fleeting=True)
            pipeliners.append(Pipeliner(mqtt_port, fleeting.token, FleetingReadings(stretch)))
        others = [PahoDevice(mqtt_port, paho_device.token,
                             Readings(paho_device.stretch(transformed))),
                  HttpDevice(http_port, http_device.token,
                             [Readings(http_device.stretch(transformed)),
                              Attributes(http_device.slots)])]
        return Flood(others, pipeliners).start()

    # ---- reading back ----

    def check(self, stretches, rest):
        """Compare these stretches and all attributes with what the server has."""
        found = 0
        for stretch in stretches:
            found += stretch.check(self.read_back(rest, stretch), self.problems)
        for device in self.devices:
            if device.slots.acked:
                device.slots.check(rest.attributes(device, "CLIENT_SCOPE"), self.problems)
        if self.problems:
            raise Failed("the ledger disagrees")
        return found

    def read_back(self, rest, stretch):
        """{key: [(ts, value)]} of a stretch and half the gaps on both sides."""
        device, result = self.devices[stretch.device], {}
        end = stretch.end + GAP // 2
        begin_ms = time.time() * 1000
        for first in range(stretch.first - GAP // 2, end, PAGE):
            for start_ms, end_ms in stretch.spans(first, min(first + PAGE, end)):
                query = urllib.parse.urlencode({
                    "keys": ",".join(ledger.KEYS + (ledger.DOUBLED,)), "agg": "NONE",
                    "useStrictDataTypes": "true", "orderBy": "ASC", "limit": 2 * PAGE,
                    "startTs": start_ms, "endTs": end_ms})
                path = f"/api/plugins/telemetry/DEVICE/{device.id}/values/timeseries?{query}"
                for key, points in rest.ok("GET", path).json().items():
                    result.setdefault(key, []).extend((point["ts"], point["value"])
                                                      for point in points)
        stretch.asked_ms = (begin_ms, time.time() * 1000)
        return result

    # ---- the whole ----

    def run(self):
        self.make_devices(self.start())
        end = self.begun + 60 * self.options.minutes if self.options.minutes else None
        for number in range(self.options.kills):
            if end and time.monotonic() > end:
                print(f"time is up: {self.options.kills - number} rounds are left out", flush=True)
                break
            self.round(number)
            self.rounds += 1
            if self.rounds % 10 == 0:
                self.tell()
        self.kill()
        check_databases(self.server.data, self.problems)
        self.check_all(self.start())
        self.server.stop()
        check_databases(self.server.data, self.problems)
        self.work = work_done(self.server.data)
        self.check_all(self.start())
        self.server.stop()
        check_with_fsck(self.server.data, self.problems)
        idle = [name for name, count in self.work.items() if count == 0]
        if idle and self.rounds >= KILLS:
            self.problems.add("idle", f"nothing was {', '.join(idle)} meanwhile")
        missed = [name for name in HIT if not self.hit[name]]
        if missed and self.rounds >= KILLS_FULL:
            self.problems.add("idle", f"no kill fell into {', '.join(missed)}")

    def tell(self):
        self.count()
        took_s = time.monotonic() - self.begun
        left_s = took_s / self.rounds * (self.options.kills - self.rounds)
        print(f"{self.rounds} of {self.options.kills} rounds, {self.kills} kills: {self.acked} "
              f"acknowledged, {took_s:.0f} s, about {left_s:.0f} s left", flush=True)

    def check_all(self, rest):
        self.found = self.check([stretch for device in self.devices
                                 for stretch in device.stretches], rest)

    def count(self):
        stretches = [stretch for device in self.devices for stretch in device.stretches]
        self.sent = sum(stretch.end - stretch.first for stretch in stretches)
        self.acked = sum(len(stretch.acked) for stretch in stretches)

    def report(self):
        self.count()
        lost = self.problems.counts["lost"]
        starts = sorted(self.restart_s)
        print(f"kills={self.kills} sent={self.sent} acked={self.acked} found={self.found} "
              f"lost={lost} attributes={sum(device.slots.next for device in self.devices)} "
              f"start_median_s={starts[len(starts) // 2]:.3f} start_max_s={starts[-1]:.3f} "
              f"seed={self.options.seed}")
        print(" ".join(f"{name}={count}" for name, count in self.work.items()))
        print("kills that fell into: "
              + ", ".join(f"{name} {count}" for name, count in self.hit.most_common()))
        for text in self.problems.told:
            print(f"  {text}")
        if self.problems:
            print(f"  in all: {dict(self.problems.counts)}")


def check_databases(data, problems):
    """PRAGMA integrity_check."""
    with tempfile.TemporaryDirectory(prefix="pacificsoft-crash-") as folder:
        databases = wreck.copies(data, pathlib.Path(folder))
        if not databases:
            problems.add("database", f"no database in {data}")
        for path in databases:
            database = sqlite3.connect(path)
            answer = database.execute("PRAGMA integrity_check").fetchall()
            database.close()
            if answer != [("ok",)]:
                problems.add("database", f"{path.name}: {answer[:5]}")
        for path in data.glob("telemetry/*.damaged*"):
            problems.add("database", f"{path.name} was set aside")


def check_with_fsck(data, problems):
    """The product's own look at every checksum and at manifest against files."""
    done = subprocess.run([binary(), "fsck", "--data", str(data)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        problems.add("database", f"fsck: {done.stdout.decode(errors='replace')[-500:]}")


def work_done(data):
    """{what: how much} of what went on beside the flood, as the manifest tells it."""
    with tempfile.TemporaryDirectory(prefix="pacificsoft-crash-") as folder:
        wreck.copies(data, pathlib.Path(folder))
        database = sqlite3.connect(pathlib.Path(folder) / "pacificsoft.db")
        state = dict(database.execute("SELECT key, value FROM telemetry_state"))
        files = database.execute("SELECT count(*) FROM telemetry_file").fetchone()[0]
        levels = database.execute("SELECT coalesce(max(level), 0) FROM telemetry_run").fetchone()[0]
        database.close()
    return {"sealed": state.get("sealed_seq", 0), "merged": levels,
            "dropped": state.get("next_file", 1) - 1 - files}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", default="PS_CRASH_FULL" in os.environ,
                        help=f"{KILLS_FULL} kills")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--longest", type=float, default=0.6, help="longest flood, seconds")
    parser.add_argument("--minutes", type=float, help="begin no round after so long")
    parser.add_argument("--lie", action="store_true")
    options = parser.parse_args()
    options.kills = options.kills or (KILLS_FULL if options.full else KILLS)
    print(f"seed={options.seed}", flush=True)
    test, failed = CrashTest(options), None
    try:
        test.run()
    except (Failed, AssertionError) as error:
        failed = f"{type(error).__name__}: {error}"
    finally:
        log = test.server.log_path.read_text(errors="replace") if (
            test.server.log_path.exists()) else ""
        test.server.destroy()
    test.report()
    if SANITIZER.search(log):
        failed = "a sanitizer reported"
    if failed:
        print(f"FAILED {failed}\n--- the server's log, its end ---\n{log[-3000:]}")
    return 1 if failed or test.problems else 0


if __name__ == "__main__":
    sys.exit(main())
