"""Rule chains on the way from a device: saved by REST, live at once, in Lua."""

import json
import pathlib
import subprocess
import sys
import unittest

from support import wait
from support.case import ServerCase

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAVE = {"type": "action.save_timeseries", "name": "Save", "configuration": {}}


def script_node(kind, name, script):
    return {"type": kind, "name": name, "configuration": {"script": script}}


class Chains(ServerCase):

    def tearDown(self):
        self.rest.ok("POST", f"/api/ruleChain/{self.usual_root}/root")

    def setUp(self):
        super().setUp()
        page = self.rest.ok("GET", "/api/ruleChains?pageSize=100&page=0").json()
        self.usual_root = next(row["id"]["id"] for row in page["data"] if row["root"])

    def metadata(self, chain_id, nodes, connections):
        return {"ruleChainId": {"entityType": "RULE_CHAIN", "id": chain_id}, "firstNodeIndex": 0,
                "nodes": nodes, "ruleChainConnections": None,
                "connections": [{"fromIndex": one, "toIndex": two, "type": relation}
                                for one, two, relation in connections]}

    def make_root(self, nodes, connections):
        """A new chain with this graph that takes every message from now on."""
        chain = self.rest.ok("POST", "/api/ruleChain", {"name": self.id()}).json()["id"]["id"]
        saved = self.rest.ok("POST", "/api/ruleChain/metadata",
                             self.metadata(chain, nodes, connections)).json()
        self.rest.ok("POST", f"/api/ruleChain/{chain}/root")
        return chain, saved

    def test_a_filter_decides_what_is_stored(self):
        self.make_root([script_node("filter.script", "Hot?", "return msg.temperature > 20"), SAVE],
                       [(0, 1, "True")])
        client = self.mqtt()
        client.publish_acked("v2/t", '{"temperature":21}')
        client.publish_acked("v2/t", '{"temperature":19}')
        self.assert_latest({"temperature": 21})

    def test_a_transform_is_in_the_commit_that_is_acknowledged(self):
        script = "msg.f = msg.c * 9 / 5 + 32; return { msg = msg }"
        self.make_root([script_node("transform.script", "Fahrenheit", script), SAVE],
                       [(0, 1, "Success")])
        self.mqtt().publish_acked("v2/t", '{"c":100}')
        self.assert_latest({"c": 100, "f": 212.0})

    def test_a_switch_sends_along_every_relation_it_names(self):
        tag = "return { msg = { %s = msg.n } }"
        self.make_root(
            [script_node("filter.switch", "Route", 'return { "A", "B" }'),
             script_node("transform.script", "A", tag % "a"),
             script_node("transform.script", "B", tag % "b"), SAVE],
            [(0, 1, "A"), (0, 2, "B"), (1, 3, "Success"), (2, 3, "Success")])
        self.mqtt().publish_acked("v2/t", '{"n":5}')
        self.assert_latest({"a": 5, "b": 5})

    def test_an_array_from_a_transform_is_several_messages(self):
        script = 'return { { msg = { x = 1 } }, { msg = { y = 2 } } }'
        self.make_root([script_node("transform.script", "Two", script), SAVE], [(0, 1, "Success")])
        self.mqtt().publish_acked("v2/t", '{"n":1}')
        self.assert_latest({"x": 1, "y": 2})

    def test_a_saved_change_is_live_for_the_next_message(self):
        first = script_node("transform.script", "T", "return { msg = { v = 1 } }")
        chain, saved = self.make_root([first, SAVE], [(0, 1, "Success")])
        client = self.mqtt()
        client.publish_acked("v2/t", '{"n":1}')
        self.assert_latest({"v": 1})
        node = next(row for row in saved["nodes"] if row["name"] == "T")
        node["configuration"]["script"] = "return { msg = { v = 2 } }"
        del saved["version"]  # becoming the root was a change too
        self.rest.ok("POST", "/api/ruleChain/metadata", saved)
        client.publish_acked("v2/t", '{"n":1}')
        self.assert_latest({"v": 2})
        again = self.rest.ok("GET", f"/api/ruleChain/{chain}/metadata").json()
        self.assertEqual([], again["ruleChainConnections"])
        self.assertEqual(2, len(again["nodes"]))

    def test_a_failing_script_takes_the_failure_relation(self):
        self.make_root([script_node("transform.script", "Boom", "return msg.no.such"),
                        script_node("transform.script", "Note",
                                    "return { msg = { failed = true } }"), SAVE],
                       [(0, 1, "Failure"), (1, 2, "Success")])
        self.mqtt().publish_acked("v2/t", '{"n":1}')
        self.assert_latest({"failed": True})

    def test_a_failure_nobody_takes_is_kept_as_a_dead_letter_and_acknowledged(self):
        self.make_root([script_node("transform.script", "Boom", "error('no')"), SAVE],
                       [(0, 1, "Success")])
        before = self.rest.metrics()["dead_letters_total"]
        self.mqtt().publish_acked("v2/t", '{"n":1}')
        self.assertEqual(before + 1, self.rest.metrics()["dead_letters_total"])

    def test_an_endless_script_is_stopped_and_others_go_on(self):
        self.make_root([script_node("filter.script", "Loop",
                                    "while msg.bad do end; return true"), SAVE],
                       [(0, 1, "True")])
        other = self.rest.create_device(f"{self.id()} other")
        self.mqtt().publish("v2/t", '{"bad":1}')
        client = self.mqtt(other)
        for i in range(20):
            client.publish_acked("v2/t", '{"n":%d}' % i)
        self.assert_latest({"n": 19}, other)

    def test_graphs_that_cannot_be_are_refused(self):
        chain = self.rest.ok("POST", "/api/ruleChain", {"name": self.id()}).json()["id"]["id"]
        bad = script_node("filter.script", "Bad", "return msg. > 1")
        unknown = {"type": "filter.no_such", "name": "X", "configuration": {}}
        for name, nodes, connections in (
                ("to itself", [SAVE], [(0, 0, "Success")]),
                ("circle", [SAVE, SAVE], [(0, 1, "Success"), (1, 0, "Success")]),
                ("index out of range", [SAVE], [(0, 7, "Success")]),
                ("syntax error", [bad], []), ("unknown type", [unknown], [])):
            with self.subTest(name):
                answer = self.rest.post("/api/ruleChain/metadata",
                                        self.metadata(chain, nodes, connections))
                self.assertEqual((400, 31), (answer.status, answer.json()["errorCode"]), answer)

    def test_the_root_chain_cannot_be_deleted(self):
        answer = self.rest.delete(f"/api/ruleChain/{self.usual_root}")
        self.assertEqual((400, "Deletion of Root Tenant Rule Chain is prohibited!"),
                         (answer.status, answer.json()["message"]))

    def test_every_shipped_chain_loads_and_runs(self):
        for path in sorted((ROOT / "conf/rule_chains").glob("*.json")):
            with self.subTest(path.name):
                command = [sys.executable, str(ROOT / "scripts/load_chain"), "--root", "--url",
                           f"http://127.0.0.1:{self.server.http_port}", str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=False,
                                      timeout=wait.DEADLINE_S * 2)
                self.assertEqual(0, done.returncode, done.stdout + done.stderr)
                device = self.rest.create_device(f"{path.stem} device")
                client = self.mqtt(device)
                for case in json.loads(path.read_text(encoding="utf-8"))["examples"]:
                    client.publish_acked("v2/t", json.dumps(case["in"]))
                    self.assert_latest(case.get("latest", {}), device)
                    wanted = case.get("serverAttributes", {})
                    if wanted:
                        self.assertEqual(wanted, self.rest.attributes(device, "SERVER_SCOPE",
                                                                      *wanted))


if __name__ == "__main__":
    unittest.main()
