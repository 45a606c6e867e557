"""Layering: the arrows between rooms point right, and only right.

    transport  ->  actors  ->  rules  ->  core

Reads the `#include "room/..."` lines under src. A room may include itself and the rooms to its
right. The composition root (main.c and what lies beside it) and cli see all, no room sees them. Protocols do not include each other (rest stands on
http; the front door is shared by what it serves). A file that defines a rule node has no header of
its own, so no node can include another.

    check_layering.py SRC_DIR       exit 0, or 1 with one line per wrong arrow
    check_layering.py --self-test   proves on made-up trees that wrong arrows are seen
"""

import pathlib
import re
import sys
import tempfile
import unittest

ROOMS = ["transport", "actors", "rules", "core"]  # left to right
PROTOCOLS = {"mqtt", "http", "rest", "coap", "ws", "front"}
SHARED_PROTOCOLS = {"rest": {"http", "front"}, "http": {"front"}, "ws": {"front"}}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
NODE_DEFINITION = re.compile(r"^const struct ps_node_kind\b", re.MULTILINE)


def room_complaint(source, target):
    """Why `source` must not include `target` (paths as tuples, rooted at src), or None."""
    room, wanted = source[0], target[0]
    if len(source) == 1 or room == "cli":
        return None
    if wanted not in ROOMS:
        return f"{wanted} is no room"
    if room not in ROOMS:
        return f"{room} is no room"
    if ROOMS.index(wanted) < ROOMS.index(room):
        return f"{wanted} is to the left of {room}"
    return None


def protocol_complaint(source, target):
    if source[0] != "transport" or target[0] != "transport" or len(target) < 3:
        return None
    theirs = target[1]
    if theirs not in PROTOCOLS:
        return None
    if len(source) < 3:
        return f"what protocols share must not know {theirs}"
    ours = source[1]
    if ours == theirs or theirs in SHARED_PROTOCOLS.get(ours, ()):
        return None
    return f"protocol {ours} must not know protocol {theirs}"


def complaints(src):
    """Every wrong arrow in the tree `src`, as text, in the order of the files."""
    found = []
    for path in sorted(src.rglob("*.[ch]")):
        source = path.relative_to(src).parts
        text = path.read_text(encoding="utf-8")
        name = "/".join(source)
        for included in INCLUDE.findall(text):
            target = tuple(included.split("/"))
            if not (src / included).is_file():
                found.append(f'{name}: "{included}" is not a file under src')
                continue
            if included.endswith(".c"):
                found.append(f'{name}: "{included}" is no header')
            why = room_complaint(source, target) or protocol_complaint(source, target)
            if why:
                found.append(f'{name}: "{included}": {why}')
        if source[:2] == ("rules", "nodes") and NODE_DEFINITION.search(text):
            if path.suffix == ".h" or path.with_suffix(".h").exists():
                found.append(f"{name}: a rule node must not have a header of its own")
    return found


class SelfTest(unittest.TestCase):
    """Each case is a tree; `wrong` is the file whose complaint must be the only one."""

    GOOD = {
        "main.c": '#include "server.h"\n#include "cli/run.h"\n',
        "server.h": '#include "transport/mqtt/a.h"\n#include "core/a.h"\n',
        "cli/run.h": '#include "core/a.h"\n',
        "core/a.h": "#include <stdio.h>\n",
        "core/storage/a.c": '#include "core/a.h"\n',
        "rules/run.h": '#include "core/a.h"\n',
        "rules/nodes/nodes.h": '#include "rules/run.h"\n',
        "rules/nodes/filter.c": '#include "rules/nodes/nodes.h"\nconst struct ps_node_kind A;\n',
        "actors/a.h": '#include "rules/run.h"\n#include "core/a.h"\n',
        "transport/session.h": '#include "actors/a.h"\n',
        "transport/mqtt/a.h": '#include "transport/session.h"\n',
        "transport/http/a.h": "",
        "transport/rest/a.c": '#include "transport/http/a.h"\n',
    }

    def complaints_with(self, extra):
        with tempfile.TemporaryDirectory() as root:
            src = pathlib.Path(root)
            for name, text in {**self.GOOD, **extra}.items():
                path = src / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return complaints(src)

    def test_a_good_tree_has_no_complaint(self):
        self.assertEqual(self.complaints_with({}), [])

    def test_each_wrong_arrow_is_seen(self):
        cases = {
            "core sees rules": ("core/b.c", '#include "rules/run.h"\n'),
            "core sees transport": ("core/b.c", '#include "transport/session.h"\n'),
            "core in a folder sees actors": ("core/storage/b.h", '#include "actors/a.h"\n'),
            "rules see actors": ("rules/b.c", '  #  include "actors/a.h"\n'),
            "actors see transport": ("actors/b.c", '#include "transport/mqtt/a.h"\n'),
            "a room sees the root": ("actors/b.c", '#include "server.h"\n'),
            "a room sees cli": ("transport/b.c", '#include "cli/run.h"\n'),
            "mqtt sees http": ("transport/mqtt/b.c", '#include "transport/http/a.h"\n'),
            "http sees rest": ("transport/http/b.c", '#include "transport/rest/b.h"\n'),
            "shared sees mqtt": ("transport/b.c", '#include "transport/mqtt/a.h"\n'),
            "a header not rooted at src": ("core/b.c", '#include "a.h"\n'),
            "a source included": ("core/b.c", '#include "core/storage/a.c"\n'),
            "a node with a header": ("rules/nodes/b.c", "const struct ps_node_kind B;\n"),
            "an unknown room": ("tools/b.c", '#include "core/a.h"\n'),
        }
        others = {"transport/rest/b.h": "", "rules/nodes/b.h": ""}
        for name, (path, text) in cases.items():
            with self.subTest(name):
                found = self.complaints_with({**others, path: text})
                self.assertEqual([line.split(":")[0] for line in found], [path], found)


def main():
    if sys.argv[1:] == ["--self-test"]:
        unittest.main(argv=sys.argv[:1])
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        sys.exit("usage: check_layering.py SRC_DIR | --self-test")
    found = complaints(pathlib.Path(sys.argv[1]))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
