#!/usr/bin/python3
"""bench: how fast, and against what. Prints ratios taken in one run on one machine.

    tests/bench/bench.py [--quick] [--rounds N] [--json FILE] [--no-build] [SECTION ...]

Sections: mqtt sync idle start http coap ws micro history; without any, all. Builds the release preset
(with tests) and needs Debian's mosquitto and nginx-light, and for history's rival postgresql-15. The rivals alternate, A B A B, and medians are
shown with the smallest and largest value: on a shared machine less than 15 % is no verdict.
Traffic stays on the loopback interface. With --no-build, $PS_BUILD
may name another build directory.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PS_BUILD", ROOT / "build/release"))
TOOLS = BUILD / "tests/bench"
os.environ.setdefault("PS_SERVER", str(BUILD / "src/pacificsoft"))
sys.path.insert(0, str(ROOT / "tests"))

import history  # noqa: E402
from support import mqtt, wait  # noqa: E402
from support.rest import Rest  # noqa: E402
from support.server import Server  # noqa: E402

USERS = "BENCH"
NOISE = 0.15       # less than this from the goal is no verdict
SYNC_DELAY_US = 2000
WARMUP = 0.5       # s of load before what is measured
rows = []  # one dict a figure


def report(what, values, goal=None, at_least=True, unit="x", against="", form="{:.2f}"):
    """A figure with its spread; `goal` is what it should at least (or at most) be."""
    middle = statistics.median(values)
    sign = ">=" if at_least else "<="
    rows.append({"what": what, "goal": f"{sign} {goal:g} {unit}" if goal else "",
                 "measured": f"{spread(values, form)} {unit}", "against": against,
                 "verdict": verdict(middle, goal, at_least) if goal else "", "values": values})
    row = rows[-1]
    print(f"  {what}: {row['measured']} {against}  (goal {row['goal'] or 'none'}) "
          f"{row['verdict']}", flush=True)


def verdict(middle, goal, at_least):
    if abs(middle / goal - 1) < NOISE:
        return "within noise"
    return "reached" if (middle >= goal) == at_least else "missed"


def median_of(runs, key):
    return statistics.median(run[key] for run in runs)


def spread(values, form="{:.2f}"):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form} ({form} .. {form})".format(middle, low, high)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for_port(port):
    def is_open():
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0
    wait.until(is_open, f"port {port}")


class Rival:
    """A process of another kind, in a folder of its own."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.port, self.process = free_port(), None

    def __enter__(self):
        self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def ready(self):
        wait_for_port(self.port)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, children.read_text().split())]


class Mosquitto(Rival):
    def command(self):
        path = self.folder / "mosquitto.conf"
        path.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                        "persistence false\nlog_type none\nset_tcp_nodelay true\n")
        self.folder.chmod(0o755)
        return [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(path)]


class Nginx(Rival):
    def command(self):
        path = self.folder / "nginx.conf"
        path.write_text(
            f"worker_processes 2; daemon off; pid {self.folder}/pid; error_log stderr crit;\n"
            "events { worker_connections 4096; }\n"
            f"http {{ access_log off; client_body_temp_path {self.folder}/body;"
            f" proxy_temp_path {self.folder}/proxy; fastcgi_temp_path {self.folder}/fastcgi;"
            f" uwsgi_temp_path {self.folder}/uwsgi; scgi_temp_path {self.folder}/scgi;"
            f" keepalive_requests 100000000; server {{ listen 127.0.0.1:{self.port} reuseport;"
            " location / { return 200; } } }\n")
        return ["/usr/sbin/nginx", "-p", str(self.folder), "-c", str(path)]


class Anchor(Rival):
    """The bare server inside one of the load tools."""

    def __init__(self, tool, udp=False):
        super().__init__()
        self.tool, self.udp = tool, udp

    def command(self):
        return [str(TOOLS / self.tool), "anchor", "--port", str(self.port)]

    def ready(self):
        if self.udp:
            time.sleep(0.3)  # nothing to ask a bare UDP responder
        else:
            super().ready()


def tool(name, *words):
    done = subprocess.run([str(TOOLS / name), *map(str, words)], capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stdout}{done.stderr}")
    if done.stdout.startswith("{"):
        return json.loads(done.stdout)
    return {key: float(value) for key, value in re.findall(r"(\w+)=([-\d.]+)", done.stdout)}


def set_filter_chain(rest, script="return msg.temperature > 20"):
    """Type switch, one Lua filter, save: the chain of the goals."""
    query = "/api/ruleChains?pageSize=10&page=0&textSearch=Root%20Rule"
    chain = rest.ok("GET", query).json()["data"][0]["id"]
    nodes = [("filter.msg_type_switch", {}),
             ("filter.script", {"script": script}),
             ("action.save_timeseries", {}), ("action.save_attributes", {"scope": "CLIENT_SCOPE"})]
    connections = [(0, 1, "Post telemetry"), (1, 2, "True"), (0, 3, "Post attributes")]
    rest.ok("POST", "/api/ruleChain/metadata", {
        "ruleChainId": chain, "firstNodeIndex": 0, "ruleChainConnections": [],
        "nodes": [{"type": kind, "name": kind, "configuration": config} for kind, config in nodes],
        "connections": [{"fromIndex": a, "toIndex": b, "type": t} for a, b, t in connections]})


@contextlib.contextmanager
def our_server(devices, sync_delay_us=0, settings=()):
    """Ours with the chain of the goals and this many devices, whose tokens are USERS and six
    digits."""
    server = Server(*settings)
    if sync_delay_us:
        os.environ.update(LD_PRELOAD=str(TOOLS / "libdelay_sync.so"),
                          DELAY_SYNC_US=str(sync_delay_us))
    try:
        server.start()
    except BaseException:
        server.destroy()
        raise
    finally:
        os.environ.pop("LD_PRELOAD", None)
    try:
        set_filter_chain(server.rest.login())
        make_devices(server, devices)
        yield server
        server.stop()
    finally:
        server.destroy()


def make_devices(server, count):
    """Over a few connections at a time, so that they share commits."""
    local = threading.local()

    def make(number):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", server.http_port,
                                                          timeout=60)
        body = json.dumps({"name": f"bench {number}"})
        local.connection.request("POST", f"/api/device?accessToken={USERS}{number:06d}", body,
                                 {"Content-Type": "application/json",
                                  "X-Authorization": f"Bearer {server.rest.token}"})
        answer = local.connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"device {number}: {answer.status} {text[:200]}"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(make, range(count)):
            pass


def metric(server, name):
    text = Rest("127.0.0.1", server.http_port).call("GET", "/metrics", token="").body.decode()
    return float(re.search(rf"^pacificsoft_{name} (\S+)$", text, re.M).group(1))


@contextlib.contextmanager
def all_stored(server):
    """What is measured inside must end in points: a refusal would be fast, and worth nothing. The
    caller appends numbers of messages, each of at least one point, to the list it gets."""
    counts, before = [], metric(server, "points_total")
    yield counts
    stored = metric(server, "points_total") - before
    assert stored >= sum(counts), f"{sum(counts)} messages were answered, {stored} points stored"


def mqtt_load(port, pid, users, connections, window, seconds, *words):
    return tool("mqtt_load", "--port", port, "--pid", pid, "--users", users, "--connections",
                connections, "--window", window, "--seconds", seconds, "--warmup", WARMUP, *words)


def bench_mqtt(options):
    shapes = [(100, 16, 6), (1000, 1, 1.2)]
    if not options.quick:
        shapes.append((9000, 1, 1))  # 20,000 descriptors a process is a common limit
    with our_server(max(shape[0] for shape in shapes)) as server, Mosquitto() as rival:
        for connections, window, goal in shapes:
            compare_mqtt(options, server, rival, connections, window, goal)


def compare_mqtt(options, server, rival, connections, window, goal):
    ours, theirs = [], []
    commits, messages = metric(server, "commits_total"), metric(server, "batch_messages_total")
    with all_stored(server) as counts:
        for _ in range(options.rounds):
            ours.append(mqtt_load(server.mqtt_port, server.process.pid, USERS, connections, window,
                                  options.seconds))
            counts.append(3 * ours[-1]["acked"])
            theirs.append(mqtt_load(rival.port, rival.process.pid, "", connections, window,
                                    options.seconds))
    commits = metric(server, "commits_total") - commits
    messages = metric(server, "batch_messages_total") - messages
    assert all(run["out_of_order"] == 0 for run in ours), "PUBACKs in the wrong order"
    shape = f"{connections} x {window}"
    for name, runs in (("ours", ours), ("mosquitto", theirs)):
        print(f"    {shape} {name}: {spread([r['rate'] for r in runs], '{:.0f}')} msg/s, user "
              f"{median_of(runs, 'user_ns'):.0f} ns, system {median_of(runs, 'system_ns'):.0f} ns "
              f"a message, PUBACK p50 {median_of(runs, 'p50_us'):.0f} us, p99 "
              f"{median_of(runs, 'p99_us'):.0f} us; generator "
              f"{median_of(runs, 'generator_ns'):.0f} ns")
    report(f"MQTT {shape}, against mosquitto",
           [a["rate"] / b["rate"] for a, b in zip(ours, theirs)], goal,
           against=f"{median_of(ours, 'rate') / 1000:.0f} and "
                   f"{median_of(theirs, 'rate') / 1000:.0f} k/s")
    report(f"user CPU a message, {shape}", [run["user_ns"] / 1000 for run in ours], 1.5, False,
           "us", against=f"mosquitto {median_of(theirs, 'user_ns') / 1000:.2f}")
    report(f"messages a commit, {shape}", [messages / max(commits, 1)], unit="", form="{:.0f}")


def bench_sync(options):
    """2 ms more for each sync, on a server of its own beside the other."""
    with our_server(1000) as fast, our_server(1000, SYNC_DELAY_US) as slow:
        pairs = [[mqtt_load(server.mqtt_port, server.process.pid, USERS, 1000, 1, options.seconds)
                  for server in (slow, fast)] for _ in range(options.rounds)]
    report("MQTT 1000 x 1, 2 ms more a sync, against itself",
           [late["rate"] / usual["rate"] for late, usual in pairs], 0.6,
           against="p50 {:.1f} and {:.1f} ms".format(
               *(statistics.median(pair[i]["p50_us"] for pair in pairs) / 1000 for i in (0, 1))))


def bench_idle(options):
    connections = 2000 if options.quick else 9000
    key = "bytes_per_further_connection"
    with our_server(connections) as server:
        server.restart()  # what making the devices took is not what connections take
        rss = resident_mb(server.process.pid)
        ours = tool("mqtt_load", "--port", server.mqtt_port, "--pid", server.process.pid, "--users",
                    USERS, "--connections", connections, "--idle", 1)
    with Mosquitto() as rival:
        theirs = tool("mqtt_load", "--port", rival.port, "--pid", rival.process.pid,
                      "--connections", connections, "--idle", 1)
    report(f"memory of one of {connections} idle connections", [ours[key]], 1024, False, "B",
           f"mosquitto {theirs[key]:.0f}", "{:.0f}")
    report(f"resident, idle, {connections} devices stored", [rss], 20, False, "MB",
           f"mosquitto {theirs['rss_before_kb'] / 1024:.1f}")


def resident_mb(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def first_answer_ms(command, port, ask, end=signal.SIGTERM):
    """From exec until ask(port) gets its answer; it is tried again and again."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() - started < 60:
            try:
                if ask(port):
                    return (time.monotonic() - started) * 1000
            except OSError:
                time.sleep(0.0005)
        raise RuntimeError(f"no answer in 60 s: {' '.join(command)}")
    finally:
        process.send_signal(end)
        process.wait()


def puback(token, topic="v1/devices/me/telemetry"):
    def ask(port):
        with mqtt.Client(port, username=token) as client:
            if client.connack is mqtt.CLOSED or client.connack.code:
                return False
            client.publish_acked(topic, '{"a":1}')
            return True
    return ask


def any_connack(port):
    with mqtt.Client(port, username="nobody") as client:
        return client.connack is not mqtt.CLOSED


def our_command(data, port):
    return [os.environ["PS_SERVER"], "run", "--data", str(data), "--set", "http.port=0", "--set",
            "coap.port=0", "--set", f"mqtt.port={port}"]


def bench_start(options):
    """An empty directory has no device, so the refusal of one counts there."""
    first, again, full, rival = [], [], [], []
    with our_server(100) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server.stop()
        few = [(pathlib.Path(folder) / f"new{i}", free_port()) for i in range(options.rounds)]
        for path, port in few:
            first.append(first_answer_ms(our_command(path, port), port, any_connack))
            again.append(first_answer_ms(our_command(server.data, port), port,
                                         puback(f"{USERS}000000")))
            with Mosquitto() as mosquitto:
                command = mosquitto.command()
                mosquitto.process.terminate()
                mosquitto.process.wait()
                rival.append(first_answer_ms(command, mosquitto.port, puback(None)))
        server.start()
        run = mqtt_load(server.mqtt_port, server.process.pid, USERS, 100, 16, options.seconds)
        server.stop()
        for _, port in few:
            full.append(first_answer_ms(our_command(server.data, port), port,
                                        puback(f"{USERS}000000")))
    points = run["acked"] * 3 / 1e6
    mosquitto_ms = f"mosquitto {statistics.median(rival):.0f}"
    report("start to the first CONNACK, empty directory", first, 100, False, "ms", mosquitto_ms,
           "{:.0f}")
    report("start to the first PUBACK, 100 devices", again, 100, False, "ms", mosquitto_ms,
           "{:.0f}")
    report(f"start to the first PUBACK, {points:.1f} M points in the journal", full, unit="ms",
           form="{:.0f}")
    start_with_history(options)


def start_with_history(options):
    """After kill -9, with files full of points and a journal that is nearly full."""
    points, times = 5000000 if options.quick else 100000000, []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = subprocess.run([str(TOOLS / "history_fill"), folder, str(points)], check=True,
                              capture_output=True, text=True, timeout=3600).stdout.strip()
        for extra in [["--demo"]] + [[]] * options.rounds:
            port = free_port()
            times.append(first_answer_ms(our_command(data, port) + extra, port,
                                         puback("A1_TEST_TOKEN"), signal.SIGKILL))
    report(f"start after a kill to the first PUBACK, {points / 1e6:.0f} M points of 100,000 series",
           times[1:], 1000, False, "ms", form="{:.0f}")


def bench_http(options):
    path = f"/api/v1/{USERS}000000/telemetry"
    pairs = []
    with our_server(1) as server, Nginx() as rival, all_stored(server) as counts:
        for _ in range(options.rounds):
            pairs.append([http_load(port, path, pids, options.seconds)
                          for port, pids in ((server.http_port, [server.process.pid]),
                                             (rival.port, rival.pids()))])
            counts.append(pairs[-1][0]["requests_per_s"] * options.seconds * 0.9)
    assert all(run["failed"] == 0 for pair in pairs for run in pair), "answers that are not 2xx"
    report("HTTP POST, 100 connections, against nginx",
           [ours["requests_per_s"] / nginx["requests_per_s"] for ours, nginx in pairs], 0.75,
           against="{:.0f} and {:.0f} k/s, CPU {:.1f} and {:.1f} us".format(
               *(statistics.median(pair[i]["requests_per_s"] for pair in pairs) / 1000
                 for i in (0, 1)),
               *(statistics.median(pair[i]["server_cpu_us"] for pair in pairs) for i in (0, 1))))


def http_load(port, path, pids, seconds):
    words = [word for pid in pids for word in ("--pid", pid)]
    return tool("http_post", "--port", port, "--path", path, "--connections", 100, "--seconds",
                seconds, *words)


def bench_coap(options):
    words = ("--token", f"{USERS}000000", "--seconds", options.seconds)
    runs = []
    with our_server(1) as server, Anchor("coap_load", udp=True) as rival, (
            all_stored(server)) as counts:
        for _ in range(options.rounds):
            runs.append([tool("coap_load", "load", "--port", port, "--clients", clients, *words)
                         ["requests_per_s"]
                         for port, clients in ((server.coap_port, 100), (rival.port, 100),
                                               (server.coap_port, 9000))])
            counts.append((runs[-1][0] + runs[-1][2]) * options.seconds * 0.9)
    report("CoAP CON POST, 100 clients, against a bare responder",
           [ours / bare for ours, bare, _ in runs], 0.35,
           against="{:.0f} and {:.0f} k/s".format(*(statistics.median(run[i] for run in runs) / 1000
                                                    for i in (0, 1))))
    report("CoAP CON POST, 9,000 clients, against its own 100",
           [many / ours for ours, _, many in runs], 0.8)


def bench_ws(options):
    ratios, late = [], []
    with our_server(1) as server, Anchor("ws_fanout") as rival:
        set_filter_chain(server.rest, "return msg.temperature >= 0")  # ws_fanout counts from 0
        query = "/api/tenant/devices?deviceName=bench%200"
        device = server.rest.ok("GET", query).json()["id"]["id"]
        words = ("--subscribers", 1000, "--device", device, "--token", f"{USERS}000000", "--jwt",
                 server.rest.token, "--seconds", options.seconds)
        for _ in range(options.rounds):
            ours, anchor = (tool("ws_fanout", "load", "--port", port, *words)["frames_per_s"]
                            for port in (server.http_port, rival.port))
            ratios.append(ours / anchor)
            late.append(tool("ws_fanout", "load", "--port", server.http_port, *words, "--rate", 10)
                        ["p99_ms"])
    report("WebSocket fan-out to 1,000, against a write loop", ratios, 0.75)
    report("WebSocket, value to frame, p99 at 10 updates/s", late, 20, False, "ms")


def bench_micro(_options):
    for name in ("micro_scanner", "micro_lua", "micro_mailbox", "micro_commit"):
        print(f"  {name}", flush=True)
        subprocess.run([str(TOOLS / name)], check=True, timeout=300)


def bench_history(options):
    history.run(options, sys.modules[__name__])


SECTIONS = {"mqtt": bench_mqtt, "sync": bench_sync, "idle": bench_idle, "start": bench_start,
            "http": bench_http, "coap": bench_coap, "ws": bench_ws, "micro": bench_micro,
            "history": bench_history}


def build():
    for command in (["cmake", "--preset", "release", "-DPS_TESTS=ON"],
                    ["cmake", "--build", "--preset", "release"]):
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def print_table(options):
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end, {options.rounds} "
          f"rounds of {options.seconds} s, median (smallest .. largest)\n")
    columns = ("what", "goal", "measured", "verdict", "against")
    widths = [max([len(row[column]) for row in rows] or [0]) for column in columns]
    for row in rows:
        print("  ".join(f"{row[column]:{width}}"
                        for column, width in zip(columns, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 2 s, fewer connections")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--no-build", action="store_true", help="measure what is built")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = 2 if options.quick else 4
    # A stop from outside ends through the same clean-up as everything else.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not options.no_build:
        build()
    failed = []
    for name in options.sections or SECTIONS:
        print(f"{name}:", flush=True)
        try:
            SECTIONS[name](options)
        except (RuntimeError, AssertionError, OSError, subprocess.SubprocessError) as error:
            failed.append(f"{name} could not be measured: {str(error)[-500:]}")
            print(f"  {failed[-1]}", flush=True)
    print_table(options)
    for text in failed:
        print(text)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
