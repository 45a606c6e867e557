"""rest: the REST API and the HTTP device API, as far as tests need them.

Every call opens its own connection, so that tests cannot disturb each other; Rest.session() keeps
one open for tests about connections.
"""

import http.client
import json
import urllib.parse

from support import wait

TENANT = ("tenant@thingsboard.org", "tenant")
SYSADMIN = ("sysadmin@thingsboard.org", "sysadmin")
CUSTOMER_A = ("customerA@thingsboard.org", "customer")
TIMEOUT_S = wait.DEADLINE_S * 2


class Answer:
    """Status, headers and body of one response."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Device:
    """A device as tests know it."""

    def __init__(self, device_id, token, name):
        self.id, self.token, self.name = device_id, token, name


class Rest:
    """One server seen by one user at a time; login() changes the user."""

    def __init__(self, host, port):
        self.host, self.port, self.token, self.refresh_token = host, port, None, None
        self._made = 0

    # ---- plumbing ----

    def call(self, method, path, body=None, token=None, headers=None, raw=None):
        """Send; `body` goes as JSON, `raw` (bytes or text) as it is."""
        all_headers = {"Content-Type": "application/json"}
        bearer = self.token if token is None else token
        if bearer:
            all_headers["X-Authorization"] = f"Bearer {bearer}"
        all_headers.update(headers or {})
        data = json.dumps(body).encode() if body is not None else raw
        data = data.encode() if isinstance(data, str) else data
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, data, all_headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def delete(self, path, **options):
        return self.call("DELETE", path, **options)

    def ok(self, method, path, body=None, **options):
        """The answer of a call that must be answered 200."""
        answer = self.call(method, path, body, **options)
        assert answer.status == 200, f"{method} {path}: {answer}"
        return answer

    # ---- users ----

    def login(self, user=TENANT):
        """Become this (name, password); later calls carry the token."""
        pair = self.ok("POST", "/api/auth/login",
                       {"username": user[0], "password": user[1]}, token="").json()
        self.token, self.refresh_token = pair["token"], pair["refreshToken"]
        return self

    # ---- devices ----

    def create_device(self, name=None, **fields):
        """A new device and its access token."""
        self._made += 1
        name = name or f"device {self._made}"
        made = self.ok("POST", "/api/device", {"name": name, **fields}).json()
        device_id = made["id"]["id"]
        credentials = self.ok("GET", f"/api/device/{device_id}/credentials").json()
        return Device(device_id, credentials["credentialsId"], name)

    def latest(self, device, *keys):
        """{key: value} of the newest points, strictly typed; keys without value are None."""
        query = urllib.parse.urlencode({"keys": ",".join(keys), "useStrictDataTypes": "true"})
        rows = self.ok("GET", f"{telemetry_path(device)}/values/timeseries?{query}").json()
        return {key: rows[key][0]["value"] for key in rows}

    def latest_points(self, device, *keys):
        """{key: (ts, value)} of the newest points, strictly typed."""
        query = urllib.parse.urlencode({"keys": ",".join(keys), "useStrictDataTypes": "true"})
        rows = self.ok("GET", f"{telemetry_path(device)}/values/timeseries?{query}").json()
        return {key: (rows[key][0]["ts"], rows[key][0]["value"]) for key in rows}

    def history(self, device, key, start_ms=0, end_ms=1 << 60, limit=100000):
        """[(ts, value)] oldest first."""
        query = urllib.parse.urlencode({"keys": key, "startTs": start_ms, "endTs": end_ms,
                                        "limit": limit, "agg": "NONE",
                                        "useStrictDataTypes": "true", "orderBy": "ASC"})
        rows = self.ok("GET", f"{telemetry_path(device)}/values/timeseries?{query}").json()
        return sorted((point["ts"], point["value"]) for point in rows.get(key, []))

    def attributes(self, device, scope, *keys):
        """{key: value} of one scope; no keys = all."""
        query = "?" + urllib.parse.urlencode({"keys": ",".join(keys)}) if keys else ""
        path = f"{telemetry_path(device)}/values/attributes/{scope}{query}"
        return {row["key"]: row["value"] for row in self.ok("GET", path).json()}

    def save_attributes(self, device, scope, values):
        self.ok("POST", f"{telemetry_path(device)}/{scope}", values)

    def delete_attributes(self, device, scope, *keys):
        self.ok("DELETE", f"{telemetry_path(device)}/{scope}?keys={','.join(keys)}")

    def wait_latest(self, device, wanted):
        """Wait until the newest values of these keys are these."""
        return wait.until_equal(lambda: self.latest(device, *wanted), wanted, "latest values")

    def wait_attributes(self, device, scope, wanted):
        """Wait until these attributes are there with these values."""
        return wait.until_equal(lambda: self.attributes(device, scope, *wanted), wanted, scope)

    # ---- the process ----

    def metrics(self):
        """{"name{labels}": value} of the metrics page, without the prefix."""
        page = self.ok("GET", "/metrics", token="").body.decode()
        rows = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
        return {name.removeprefix("pacificsoft_"): float(value) for name, _, value in rows}


def telemetry_path(device):
    return f"/api/plugins/telemetry/DEVICE/{device.id}"
