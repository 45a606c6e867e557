"""server: a Pacificsoft of its own for a test: free ports, empty data directory, demo data.

    with Server("http.threads=1") as server:
        server.http_port, server.mqtt_port, server.coap_port, server.rest

The binary is $PS_SERVER (set by CTest). Stopping asserts a clean exit: status 0 and nothing from a
sanitizer in the log. Only the process started here is ever signalled.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from support import wait
from support.rest import Rest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"(ERROR|WARNING): (Address|Thread|Leak|UndefinedBehavior)Sanitizer"
                       r"|runtime error:")


def binary():
    """Path of the server under test."""
    return os.environ.get("PS_SERVER") or str(ROOT / "build/dev/src/pacificsoft")


class Server:
    """One server process and its directory; may be stopped or killed and started again."""

    def __init__(self, *settings, demo=True, options=()):
        self.settings, self.demo, self.options = settings, demo, options
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pacificsoft-wire-"))
        self.data = self.directory / "data"
        self.log_path = self.directory / "log"
        self.process = None
        self.http_port = self.mqtt_port = self.coap_port = 0
        self.rest = None

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.destroy()
            raise

    def __exit__(self, kind, value, traceback):
        try:
            self.stop(check=kind is None)
        finally:
            self.destroy()

    def command(self):
        words = [binary(), "run", "--data", str(self.data), "--ready-file", str(self.ready_file),
                 "--set", "http.port=0", "--set", "mqtt.port=0", "--set", "coap.port=0"]
        if self.demo:
            words.append("--demo")
        for setting in self.settings:
            words += ["--set", setting]
        return words + list(self.options)

    @property
    def ready_file(self):
        return self.directory / "ready.json"

    def start(self):
        """Start and wait until the server says it is ready."""
        assert self.process is None, "already running"
        self.ready_file.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.directory)
        ready = wait.until(self._read_ready, "server ready", 60)
        self.http_port, self.mqtt_port = ready["http"], ready["mqtt"]
        self.coap_port = ready["coap"]
        assert ready["pid"] == self.process.pid
        self.rest = Rest("127.0.0.1", self.http_port)
        return self

    def _read_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"server ended with {self.process.returncode}:\n{self.log()}")
        try:
            return json.loads(self.ready_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def stop(self, check=True, deadline_s=60):
        """SIGTERM and wait; with `check` the exit must be clean."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"server did not stop in {deadline_s} s:\n{self.log()}") from None
        if check:
            log = self.log()
            assert status == 0 and not SANITIZER.search(log), f"server exit {status}:\n{log}"

    def kill(self):
        """SIGKILL, as a power cut would."""
        process, self.process = self.process, None
        process.kill()
        process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        """What the server wrote, its last part."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")[-20000:]
        except FileNotFoundError:
            return ""

    def destroy(self):
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
