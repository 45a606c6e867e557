"""The REST API: accounts and tokens, devices, telemetry, attributes, error bodies."""

import base64
import json
import unittest
import urllib.parse
import uuid

from support.case import ServerCase
from support.rest import CUSTOMER_A, SYSADMIN, TENANT, Rest, telemetry_path

NULL_ID = "13814000-1dd2-11b2-8080-808080808080"


class RestCase(ServerCase):

    def assert_error(self, answer, status, code, message=None):
        """The error body of the contract."""
        self.assertEqual(status, answer.status, answer)
        body = answer.json()
        self.assertEqual((status, code), (body["status"], body["errorCode"]), body)
        self.assertIsInstance(body["timestamp"], int)
        if message:
            self.assertIn(message, body["message"])

    def fresh_user(self, user):
        return Rest("127.0.0.1", self.server.http_port).login(user)


class Accounts(RestCase):

    def login(self, **body):
        return self.rest.post("/api/auth/login", body, token="")

    def test_login_gives_a_pair_with_the_promised_claims(self):
        answer = self.login(username=TENANT[0], password=TENANT[1])
        self.assertEqual(200, answer.status)
        self.assertIn("application/json", answer.headers["Content-Type"])
        pair = answer.json()
        self.assertEqual({"token", "refreshToken"}, set(pair))
        head, access, refresh = claims(pair["token"], 0), claims(pair["token"]), claims(
            pair["refreshToken"])
        self.assertEqual("HS512", head["alg"])
        self.assertEqual((TENANT[0], ["TENANT_ADMIN"], "thingsboard.io", True),
                         (access["sub"], access["scopes"], access["iss"], access["enabled"]))
        self.assertEqual(9000, access["exp"] - access["iat"])
        self.assertEqual(604800, refresh["exp"] - refresh["iat"])
        self.assertEqual(["REFRESH_TOKEN"], refresh["scopes"])
        self.assertEqual(access["sessionId"], refresh["sessionId"])
        self.assertEqual(NULL_ID, access["customerId"])

    def test_every_demo_account_may_log_in(self):
        for user, authority in ((SYSADMIN, "SYS_ADMIN"), (TENANT, "TENANT_ADMIN"),
                                (CUSTOMER_A, "CUSTOMER_USER")):
            rest = self.fresh_user(user)
            self.assertEqual(authority, rest.ok("GET", "/api/auth/user").json()["authority"])

    def test_bad_logins(self):
        name, password = TENANT
        self.assert_error(self.login(username=name, password="wrong"), 401, 10,
                          "Invalid username or password")
        self.assert_error(self.login(username="nobody@example.org", password=password), 401, 10,
                          "Invalid username or password")
        self.assert_error(self.login(username="", password=password), 401, 10,
                          "Authentication failed")
        self.assert_error(self.rest.post("/api/auth/login", raw='{"username":', token=""), 400, 31)
        self.assert_error(self.rest.get("/api/auth/login", token=""), 405, 31)

    def test_a_refresh_token_gives_a_new_pair(self):
        rest = self.fresh_user(TENANT)
        pair = rest.ok("POST", "/api/auth/token", {"refreshToken": rest.refresh_token},
                       token="").json()
        self.assertEqual(200, rest.get("/api/auth/user", token=pair["token"]).status)
        self.assertEqual(claims(rest.token)["sessionId"], claims(pair["token"])["sessionId"])
        self.assert_error(rest.post("/api/auth/token", {"refreshToken": rest.token}, token=""),
                          401, 10)
        self.assert_error(rest.get("/api/auth/user", token=rest.refresh_token), 401, 10)

    def test_missing_and_broken_tokens(self):
        self.assert_error(self.rest.get("/api/auth/user", token=""), 401, 10,
                          "Authentication failed")
        self.assert_error(self.rest.get("/api/auth/user", token="garbage"), 401, 10)
        self.assert_error(self.rest.get("/api/auth/user", token="",
                                        headers={"X-Authorization": self.rest.token}), 401, 10)
        head, body, signature = self.rest.token.split(".")
        other = ("A" if signature[0] != "A" else "B") + signature[1:]
        self.assert_error(self.rest.get("/api/auth/user", token=f"{head}.{body}.{other}"), 401, 11,
                          "Token has expired")
        unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
        answer = self.rest.get("/api/auth/user", token=f"{unsigned}.{body}.")
        self.assertEqual(401, answer.status)

    def test_the_standard_header_is_as_good(self):
        answer = self.rest.get("/api/auth/user", token="",
                               headers={"Authorization": f"Bearer {self.rest.token}"})
        self.assertEqual((200, "TENANT_ADMIN"), (answer.status, answer.json()["authority"]))

    def test_logout_ends_the_session_and_only_that(self):
        rest, other = self.fresh_user(TENANT), self.fresh_user(TENANT)
        answer = rest.post("/api/auth/logout")
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.assert_error(rest.get("/api/auth/user"), 401, 11)
        self.assertEqual(401, rest.post("/api/auth/token", {"refreshToken": rest.refresh_token},
                                        token="").status)
        self.assertEqual(200, other.get("/api/auth/user").status)


def claims(token, part=1):
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class ShortTokens(RestCase):

    settings = ("auth.access_token_s=10",)

    def test_a_token_is_as_long_lived_as_configured(self):
        access = claims(self.rest.token)
        self.assertEqual(10, access["exp"] - access["iat"])


class Devices(RestCase):

    def save(self, query="", **device):
        return self.rest.post(f"/api/device{query}", device)

    def test_a_new_device_has_its_token_and_its_profile(self):
        made = self.save("?accessToken=S1TOK", name="S1", type="meter").json()
        self.assertEqual(("S1", "meter", 1), (made["name"], made["type"], made["version"]))
        self.assertEqual(NULL_ID, made["customerId"]["id"])
        self.assertEqual("DEVICE", made["id"]["entityType"])
        path = f"/api/device/{made['id']['id']}"
        credentials = self.rest.ok("GET", f"{path}/credentials").json()
        self.assertEqual(("ACCESS_TOKEN", "S1TOK"),
                         (credentials["credentialsType"], credentials["credentialsId"]))
        self.assertEqual(made, self.rest.ok("GET", path).json())
        self.assert_error(self.save(name="S1", type="meter"), 400, 31,
                          "Device with such name already exists!")
        self.assert_error(self.save("?accessToken=S1TOK", name="S2"), 400, 31,
                          "Device credentials are already assigned to another device!")
        self.assert_error(self.rest.get("/api/tenant/devices?deviceName=S2"), 404, 32)

    def test_bad_devices_are_refused(self):
        self.assert_error(self.save(type="meter"), 400, 31, "Device name should be specified!")
        self.assert_error(self.save(name=" "), 400, 31, "Device name should be specified!")
        self.assert_error(self.save(name="x" * 256), 400, 31, "255")
        self.assert_error(self.rest.post("/api/device", raw='{"name":"S3"'), 400, 31,
                          "JSON parse error")
        profile = {"id": str(uuid.uuid4()), "entityType": "DEVICE_PROFILE"}
        self.assert_error(self.save(name="S3", deviceProfileId=profile), 400, 31,
                          "Device is referencing non existing device profile!")

    def test_unknown_and_unreadable_ids(self):
        unknown = str(uuid.uuid4())
        self.assert_error(self.rest.get(f"/api/device/{unknown}"), 404, 32,
                          f"Device with id [{unknown}] is not found")
        self.assert_error(self.rest.get("/api/device/not-a-uuid"), 400, 31,
                          "Invalid UUID string: not-a-uuid")

    def test_a_customer_sees_only_its_own(self):
        customer = self.fresh_user(CUSTOMER_A)
        self.assert_error(customer.get(f"/api/device/{self.device.id}"), 403, 20)
        self.assert_error(customer.post("/api/device", {"name": "X"}), 403, 20)

    def test_lists_are_paged_searched_and_sorted(self):
        for name in ("list-b", "list-a", "LIST-c"):
            self.rest.create_device(name)
        query = "textSearch=list-&sortProperty=name&sortOrder=ASC"
        page = self.rest.ok("GET", f"/api/tenant/devices?pageSize=2&page=0&{query}").json()
        self.assertEqual((2, 3, True), (page["totalPages"], page["totalElements"], page["hasNext"]))
        self.assertEqual(2, len(page["data"]))
        more = self.rest.ok("GET", f"/api/tenant/devices?pageSize=2&page=1&{query}").json()
        self.assertEqual({"list-a", "list-b", "LIST-c"},
                         {row["name"] for row in page["data"] + more["data"]})
        self.assertFalse(more["hasNext"])
        beyond = self.rest.ok("GET", f"/api/tenant/devices?pageSize=2&page=9&{query}").json()
        self.assertEqual(([], 3, False), (beyond["data"], beyond["totalElements"],
                                          beyond["hasNext"]))

    def test_bad_pages_are_refused(self):
        self.assert_error(self.rest.get("/api/tenant/devices"), 400, 31, "pageSize")
        for query in ("pageSize=0&page=0", "pageSize=1&page=-1", "pageSize=x&page=0",
                      "pageSize=1&page=0&sortOrder=UP", "pageSize=1&page=0&sortProperty=wrong"):
            self.assert_error(self.rest.get(f"/api/tenant/devices?{query}"), 400, 31)

    def test_a_device_is_found_by_name(self):
        name = urllib.parse.quote(self.device.name)
        found = self.rest.ok("GET", f"/api/tenant/devices?deviceName={name}").json()
        self.assertEqual(self.device.id, found["id"]["id"])
        self.assert_error(self.rest.get("/api/tenant/devices?deviceName=nope"), 404, 32)

    def test_a_stale_version_is_a_conflict(self):
        path = f"/api/device/{self.device.id}"
        device = self.rest.ok("GET", path).json()
        self.rest.ok("POST", "/api/device", {**device, "label": "two"})
        self.assertEqual(2, self.rest.ok("GET", path).json()["version"])
        self.assert_error(self.rest.post("/api/device", {**device, "label": "three"}), 409, 35)
        del device["version"]
        self.rest.ok("POST", "/api/device", {**device, "label": "four"})
        self.assertEqual("four", self.rest.ok("GET", path).json()["label"])

    def test_a_deleted_device_is_gone(self):
        path = f"/api/device/{self.device.id}"
        answer = self.rest.delete(path)
        self.assertEqual((200, b""), (answer.status, answer.body))
        self.assert_error(self.rest.get(path), 404, 32)
        answer = self.rest.post(f"/api/v1/{self.device.token}/telemetry", raw="{}", token="")
        self.assertEqual(401, answer.status)


class Telemetry(RestCase):

    def post_series(self, body, **options):
        return self.rest.post(f"{telemetry_path(self.device)}/timeseries/ANY", body, **options)

    def values(self, query):
        return self.rest.get(f"{telemetry_path(self.device)}/values/timeseries?{query}")

    def test_what_is_saved_is_read_as_text_or_typed(self):
        answer = self.post_series({"temperature": 21.5, "on": True, "note": "a"})
        self.assertEqual((200, b""), (answer.status, answer.body))
        rows = self.values("keys=temperature,on").json()
        self.assertEqual({"temperature", "on"}, set(rows))
        self.assertEqual(("21.5", "true"), (rows["temperature"][0]["value"],
                                            rows["on"][0]["value"]))
        self.assert_latest({"temperature": 21.5, "on": True})

    def test_a_key_without_value_is_null(self):
        rows = self.values("keys=foo").json()
        self.assertIsNone(rows["foo"][0]["value"])

    def save_three(self):
        points = [{"ts": 1000 * i, "values": {"k": 10 * i}} for i in (1, 2, 3)]
        self.assertEqual(200, self.post_series(points).status)

    def test_history_is_newest_first_and_limited(self):
        self.save_three()
        rows = self.values("keys=k&startTs=0&endTs=4000&agg=NONE&limit=2").json()
        self.assertEqual([{"ts": 3000, "value": "30"}, {"ts": 2000, "value": "20"}], rows["k"])
        rows = self.values("keys=k&startTs=1000&endTs=3000").json()
        self.assertEqual([2000, 1000], [row["ts"] for row in rows["k"]])
        rows = self.values("keys=k&startTs=0&endTs=4000&orderBy=ASC").json()
        self.assertEqual([1000, 2000, 3000], [row["ts"] for row in rows["k"]])

    def test_history_is_aggregated_by_interval(self):
        self.save_three()
        rows = self.values("keys=k&startTs=0&endTs=4000&interval=2000&agg=AVG").json()
        self.assertEqual([{"ts": 1000, "value": "10.0"}, {"ts": 3000, "value": "25.0"}], rows["k"])

    def test_too_many_intervals_are_refused(self):
        answer = self.values("keys=k&startTs=0&endTs=10000000&interval=1&agg=AVG")
        self.assert_error(answer, 400, 31)

    def test_the_same_time_is_overwritten(self):
        for value in (1, 2):
            self.post_series({"ts": 5000, "values": {"same": value}})
        self.assertEqual([(5000, 2)], self.rest.history(self.device, "same"))

    def test_an_older_point_is_history_but_not_the_latest(self):
        self.post_series({"ts": 9000, "values": {"o": "new"}})
        self.post_series({"ts": 8000, "values": {"o": "old"}})
        self.assert_latest({"o": "new"})
        self.assertEqual([(8000, "old"), (9000, "new")], self.rest.history(self.device, "o"))

    def test_bad_telemetry_is_refused(self):
        for text in ("oops", "5", "{}", '{"":1}', '{"a":'):
            with self.subTest(text):
                self.assert_error(self.post_series(None, raw=text), 400, 31)

    def test_the_body_may_have_any_content_type(self):
        answer = self.post_series(None, raw='{"ct":1}', headers={"Content-Type": "text/plain"})
        self.assertEqual(200, answer.status)
        self.assert_latest({"ct": 1})

    def test_telemetry_of_an_unknown_device_is_not_found(self):
        path = f"/api/plugins/telemetry/DEVICE/{uuid.uuid4()}"
        self.assert_error(self.rest.get(f"{path}/values/timeseries?keys=a"), 404, 32)
        self.assert_error(self.rest.post(f"{path}/timeseries/ANY", {"a": 1}), 404, 32)

    def test_a_restart_forgets_nothing(self):
        device = self.device
        self.post_series({"kept": 1.5})
        self.save_three()
        self.rest.save_attributes(device, "SERVER_SCOPE", {"attr": {"x": 1}})
        self.server.restart()
        type(self).rest = self.server.rest.login()
        self.assert_latest({"kept": 1.5, "k": 30})
        self.assertEqual(3, len(self.rest.history(device, "k")))
        self.assertEqual({"attr": {"x": 1}}, self.rest.attributes(device, "SERVER_SCOPE", "attr"))


class Attributes(RestCase):

    def test_a_scope_is_written_and_read(self):
        path = telemetry_path(self.device)
        answer = self.rest.post(f"{path}/SHARED_SCOPE", {"limit": 30})
        self.assertEqual(200, answer.status)
        rows = self.rest.ok("GET", f"{path}/values/attributes/SHARED_SCOPE?keys=limit").json()
        self.assertEqual([("limit", 30)], [(row["key"], row["value"]) for row in rows])
        self.assertGreater(rows[0]["lastUpdateTs"], 1700000000000)

    def test_scopes_do_not_mix(self):
        self.rest.save_attributes(self.device, "SERVER_SCOPE", {"x": 1})
        self.rest.save_attributes(self.device, "SHARED_SCOPE", {"x": 2})
        self.assertEqual({"x": 1}, self.rest.attributes(self.device, "SERVER_SCOPE", "x"))
        self.assertEqual({"x": 2}, self.rest.attributes(self.device, "SHARED_SCOPE", "x"))
        self.rest.delete_attributes(self.device, "SERVER_SCOPE", "x")
        self.assertEqual({}, self.rest.attributes(self.device, "SERVER_SCOPE", "x"))
        self.assertEqual({"x": 2}, self.rest.attributes(self.device, "SHARED_SCOPE", "x"))

    def test_the_devices_own_scope_and_unknown_ones_are_refused(self):
        path = telemetry_path(self.device)
        self.assert_error(self.rest.post(f"{path}/CLIENT_SCOPE", {"a": 1}), 400, 31)
        self.assert_error(self.rest.post(f"{path}/BAD_SCOPE", {"a": 1}), 400, 31)
        self.assert_error(self.rest.post(f"{path}/SERVER_SCOPE", [1]), 400, 31)
        self.assert_error(self.rest.post(f"{path}/SERVER_SCOPE", {}), 400, 31)


class Paths(RestCase):

    def test_unknown_paths_and_wrong_methods_are_told(self):
        self.assert_error(self.rest.get("/api/nope"), 404, 32)
        answer = self.rest.call("PUT", "/api/device", {})
        self.assert_error(answer, 405, 31)
        self.assertIn("POST", answer.headers["Allow"])

    def test_answers_are_not_cached_and_may_be_read_from_any_origin(self):
        answer = self.rest.get("/api/auth/user", headers={"Origin": "http://example.org"})
        self.assertIn("no-store", answer.headers["Cache-Control"])
        self.assertIn(answer.headers["Access-Control-Allow-Origin"], ("*", "http://example.org"))
        answer = self.rest.call("OPTIONS", "/api/device", token="", headers={
            "Origin": "http://example.org", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-authorization"})
        self.assertEqual(200, answer.status)


if __name__ == "__main__":
    unittest.main()
