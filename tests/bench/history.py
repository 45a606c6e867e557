"""The section "history" of bench.py: what stored telemetry costs, and how fast it is read.

Data sets and what each program does are told in history_data.h, history_codec.c, history_store.c
and history_ingest.c; PostgreSQL in history_postgres.py.
"""

import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import history_postgres
from support import wait

CONNECTIONS = 9000
POINTS_SEALED = 20e6  # how many points a run with sealing takes at least
# Nothing is sealed while this server is measured.
UNSEALED = ("telemetry.journal_bytes_max=1073741824", "telemetry.seal_interval_ms=604800000")
SEALED = ("telemetry.range=day", "telemetry.ttl_days=1")
SEAL_BOUND = 8 << 20  # telemetry.journal_bytes_max: less may wait for its time
GOALS = {"bytes": 1.5, "written": 60, "read": 16, "year_ms": 20, "ingest": 0.8, "puback": 2}


def run(options, bench):
    """`bench` is the module bench: its tools, servers and report()."""
    print("  history_codec", flush=True)
    subprocess.run([str(bench.TOOLS / "history_codec")], check=True, timeout=300)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, optional_postgres() as postgres:
        space(options, bench, folder, postgres)
        reading(options, bench, folder, postgres)
        storage_ingest(options, bench, folder)
    server_ingest(options, bench)


class Nobody:
    """Stands in for PostgreSQL where it is not installed."""

    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


def optional_postgres():
    missing = history_postgres.missing()
    if not missing:
        return history_postgres.Postgres()
    print(f"  without PostgreSQL: apt-get install {missing}")
    return Nobody()


def copy_command(bench, name, points, series):
    return [str(bench.TOOLS / "history_store"), "copy", name, str(points), str(series)]


def space(options, bench, folder, postgres):
    """Bytes a point, everything on disk counted."""
    points = 200000 if options.quick else 2000000
    answer = json.loads(subprocess.run(
        [str(bench.TOOLS / "history_store"), "space", folder, str(points)], check=True,
        capture_output=True, text=True, timeout=1200).stdout)
    print(f"  bytes a point, {points} of each set from 20 series; in brackets what was written\n"
          f"    {'':16} {'ours':>16} {'one run':>8} {'clustered':>16}  PostgreSQL")
    for row in answer["sets"]:
        rows = (f"{postgres.fill(copy_command(bench, row['set'], points // 10, 20)):.1f}"
                if postgres else "-")
        print(f"    {row['set']:16} {row['bytes']:8.2f} ({row['written']:5.1f})"
              f" {row['settled']:8.2f} {row['clustered']:8.2f} ({row['clustered_written']:5.1f})"
              f"  {rows:>10}", flush=True)
    sensors = [row for row in answer["sets"] if row["sensor"]]
    bench.report("bytes a point on disk, mean of the sensors",
                 [statistics.mean(row["bytes"] for row in sensors)], GOALS["bytes"], False, "B",
                 f"clustered {statistics.mean(row['clustered'] for row in sensors):.1f}")
    bench.report("bytes written a point in all, mean of the sensors",
                 [statistics.mean(row["written"] for row in sensors)], GOALS["written"], False, "B")


def reading(options, bench, folder, postgres):
    for what, name, points in (("read", "temp 10 s", 1000000), ("year", "temp 60 s", 525600)):
        runs = [bench.tool("history_store", what, folder, points, 3 if options.quick else 7)
                for _ in range(1 if options.quick else 3)]
        theirs = ""
        if postgres:
            postgres.fill(copy_command(bench, name, 2 * points, 2))
            theirs = (f"; PostgreSQL {postgres.read_ms() * 1e6 / points:.0f} ns, "
                      f"{postgres.aggregate_ms():.0f} ms")
        ours = statistics.median(one["read_ns"] for one in runs)
        rows = statistics.median(one["clustered_read_ns"] for one in runs)
        days = statistics.median(one["clustered_aggregate_ms"] for one in runs)
        bench.report(f"{name}, reading {points} points, against clustered rows",
                     [one["clustered_read_ns"] / one["read_ns"] for one in runs],
                     GOALS["read"] if what == "read" else None,
                     against=f"{ours:.1f} and {rows:.0f} ns a point{theirs}")
        bench.report(f"{name}, {points} points to averages of a day",
                     [one["aggregate_ms"] for one in runs],
                     GOALS["year_ms"] if what == "year" else None, False, "ms",
                     f"clustered {days:.0f}{theirs}")


def storage_ingest(options, bench, folder):
    """The storage path alone, as fast as it goes: no transport, no rule chain before it."""
    for series in (100000, 1000000):
        points = 5000000 if options.quick else 20000000
        runs = [bench.tool("history_ingest", series, points, 1, folder)
                for _ in range(1 if options.quick else 3)]
        against = "{:.2f} and {:.2f} M/s; CPU {:.0f} and {:.0f} ns; written {:.0f} and {:.0f} B" \
            .format(*(statistics.median(one[way][key] for one in runs) / scale for key, scale in
                      (("rate", 1e6), ("cpu_ns", 1), ("written", 1))
                      for way in ("with", "without")))
        bench.report(f"storage path alone, saturated, {series} series: with keeper against without",
                     [one["rate"][0] for one in runs], against=against)
        bench.report("    the same, all of it sealed at the end",
                     [one["drained"][0] for one in runs])


def server_ingest(options, bench):
    """Points a second through MQTT and the rule chain, with sealing and without, in turn."""
    connections = 1000 if options.quick else CONNECTIONS
    for series in (100000,) if options.quick else (100000, 1000000):
        keys = series // connections + 1
        values = {"temperature": 21.53}  # the chain's filter asks for it
        values |= {f"key{i}": 21.5 + i / 100 if i % 2 else 40 + i for i in range(1, keys)}
        payload = json.dumps(values, separators=(",", ":"))
        with (bench.our_server(connections, settings=UNSEALED) as without,
              bench.our_server(connections, settings=SEALED) as sealed):
            ingest = Ingest(bench, connections, keys, payload, options.seconds)
            for server in (without, sealed):
                ingest.make_series(server)
            compare_ingest(options, bench, (without, sealed), ingest)


class Ingest:
    """One kind of load."""

    def __init__(self, bench, connections, keys, payload, seconds):
        self.bench, self.connections, self.keys = bench, connections, keys
        self.payload, self.seconds = payload, seconds

    def send(self, server):
        run = self.bench.mqtt_load(server.mqtt_port, server.process.pid, self.bench.USERS,
                                   self.connections, 1, self.seconds, "--payload", self.payload)
        return run | {"points": run["acked"] * self.keys, "rate": run["rate"] * self.keys}

    def make_series(self, server):
        """The first message of a series costs more: it makes it known."""
        while self.bench.metric(server, "series") < self.connections * self.keys:
            self.send(server)
        self.drain(server)

    def drain(self, server):
        """Waits until the keeper has nothing left to seal or merge. Returns how long, in s."""
        start = time.monotonic()

        def is_at_rest():
            before = keeper_cpu_s(server)
            time.sleep(0.1)
            busy = keeper_cpu_s(server) - before >= 0.02
            return not busy and (server.settings == UNSEALED or self.waiting(server) <= SEAL_BOUND)
        wait.until(is_at_rest, "the keeper to be done", 300)
        return time.monotonic() - start

    def waiting(self, server):
        return self.bench.metric(server, "telemetry_unsealed_bytes")


def keeper_cpu_s(server):
    """CPU time of the thread that seals and merges."""
    for task in pathlib.Path(f"/proc/{server.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == "keeper":
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise RuntimeError("the server has no thread named keeper")


def compare_ingest(options, bench, servers, ingest):
    """`sustained` counts the time until all that was sent is sealed and merged as well, so that
    no work is left to somebody else's turn."""
    pairs, rests = [], []
    sealed_before = bench.metric(servers[1], "telemetry_sealed_points_total")
    cpu_before = keeper_cpu_s(servers[1])
    with bench.all_stored(servers[0]) as one_count, bench.all_stored(servers[1]) as other_count:
        while len(pairs) < options.rounds or (
                not options.quick and sum(pair[1]["points"] for pair in pairs) < POINTS_SEALED):
            pairs.append([ingest.send(server) for server in servers])
            rests.append(ingest.drain(servers[1]))
            one_count.append(pairs[-1][0]["points"])
            other_count.append(pairs[-1][1]["points"])
    sealed = bench.metric(servers[1], "telemetry_sealed_points_total") - sealed_before
    cpu_ns = (keeper_cpu_s(servers[1]) - cpu_before) * 1e9 / sealed
    rates = [statistics.median(pair[i]["rate"] for pair in pairs) / 1e6 for i in (1, 0)]
    spent = options.seconds + bench.WARMUP
    what = f"{ingest.connections * ingest.keys} series, {ingest.keys} keys a message"
    bench.report(f"MQTT ingest, {what}: sustained with sealing, against not",
                 [with_["rate"] * spent / (spent + rest) / without["rate"]
                  for (without, with_), rest in zip(pairs, rests)], GOALS["ingest"],
                 against=f"{rates[0]:.2f} and {rates[1]:.2f} M points/s while sending; then at rest "
                         f"after {statistics.median(rests):.1f} s; {sealed / 1e6:.1f} M points "
                         f"sealed, {cpu_ns:.0f} ns CPU of the keeper each")
    bench.report("    while sending alone",
                 [with_["rate"] / without["rate"] for without, with_ in pairs])
    bench.report("    PUBACK p99 while sealing, against not",
                 [with_["p99_us"] / without["p99_us"] for without, with_ in pairs],
                 GOALS["puback"], False)
