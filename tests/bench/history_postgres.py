"""PostgreSQL with ThingsBoard's table, as a rival of the telemetry store.

A throw-away cluster in a temporary folder, reached through a Unix socket there, as user postgres
(its programs refuse to run as root) or as whoever runs this. Rows come in by COPY, ordered by time,
which is kinder than the inserts ThingsBoard does; the table is vacuumed before it is measured.
Reading is timed on the server (EXPLAIN ANALYZE, TIMING OFF), without the way to a client.
"""

import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PACKAGE = "postgresql-15"
ENTITY = "00000000-0000-4000-8000-000000000001"  # series 1 of history_store copy
TABLE = """
CREATE TABLE ts_kv (entity_id uuid NOT NULL, key int NOT NULL, ts bigint NOT NULL, bool_v boolean,
    str_v varchar(10000000), long_v bigint, dbl_v double precision, json_v json,
    CONSTRAINT ts_kv_pkey PRIMARY KEY (entity_id, key, ts));
"""
SETTINGS = {"listen_addresses": "''", "shared_buffers": "512MB", "max_wal_size": "4GB",
            "work_mem": "64MB", "jit": "off", "max_parallel_workers_per_gather": "0",
            "autovacuum": "off"}


def missing():
    """The package that has to be installed first, if any."""
    return "" if (BIN / "initdb").exists() else PACKAGE


class Postgres:
    def __init__(self):
        self.user = "postgres" if os.getuid() == 0 else ""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-postgres-"))
        self.data = self.folder / "data"
        self.started = False

    def __enter__(self):
        try:
            if self.user:
                account = pwd.getpwnam(self.user)
                os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.run("initdb", "-D", self.data, "-A", "trust", "-U", "bench", "--no-sync")
            options = " ".join(f"-c {key}={value}" for key, value in SETTINGS.items())
            self.run("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o",
                     f"-k {self.folder} {options}", "start")
            self.started = True
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.started:
            self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, program, *words):
        command = [str(BIN / program), *map(str, words)]
        return ["runuser", "-u", self.user, "--", *command] if self.user else command

    def run(self, program, *words, **more):
        return subprocess.run(self.command(program, *words), check=True, cwd="/", text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300,
                              **more).stdout

    def psql(self, sql, **more):
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                        "-U", "bench", "-d", "postgres", "-c", sql, **more)

    def fill(self, copy_command):
        """A new table with the rows that a command prints; bytes a row with its index."""
        self.psql("DROP TABLE IF EXISTS ts_kv")
        self.psql(TABLE)
        with subprocess.Popen(copy_command, stdout=subprocess.PIPE) as rows:
            self.psql("COPY ts_kv FROM STDIN", stdin=rows.stdout)
        if rows.returncode != 0:
            raise RuntimeError(f"{copy_command} failed")
        self.psql("VACUUM (FREEZE, ANALYZE) ts_kv")
        size, count = self.psql("SELECT pg_total_relation_size('ts_kv'), count(*) FROM ts_kv"
                                ).strip().split("|")
        return int(size) / int(count)

    def time_ms(self, sql):
        """Time on the server, the better of two runs."""
        plans = [self.psql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}") for _ in range(2)]
        return min(json.loads(plan)[0]["Execution Time"] for plan in plans)

    def read_ms(self):
        return self.time_ms(f"SELECT ts, dbl_v FROM ts_kv WHERE entity_id = '{ENTITY}' AND key = 7 "
                            "AND ts >= 0 AND ts < 9000000000000 ORDER BY ts")

    def aggregate_ms(self, interval_ms=86400000):
        return self.time_ms(f"SELECT ts / {interval_ms}, avg(dbl_v) FROM ts_kv WHERE "
                            f"entity_id = '{ENTITY}' AND key = 7 GROUP BY 1 ORDER BY 1")


def version():
    text = subprocess.run([str(BIN / "postgres"), "--version"], capture_output=True, text=True,
                          check=True).stdout
    return re.search(r"[\d.]+", text).group()
