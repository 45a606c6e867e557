"""ledger: what was sent, what was acknowledged, and whether what is found afterwards agrees.

A message of the crash test is one counter: a reading with the time stamp BASE_MS + counter whose
values all follow from the counter and the device. So for every counter there is exactly one right
answer, and the check is counting:

    acknowledged, not found     lost
    found twice                 doubled
    found with other values     wrong
    found, never sent           phantom
    found, some keys missing    half

A counter that was sent and not acknowledged may be there or not, but never half. Pure: no server,
no clock.
"""

import collections

BASE_MS = 1_700_000_000_000
KEYS = ("counter", "check")
DOUBLED = "doubled"  # added by the transform.script of some rounds


def values(device, counter):
    """What a device sends for this counter."""
    return {"counter": counter, "check": counter * 7 + device}


def expected(device, counter, transformed):
    """What must be readable for it."""
    result = values(device, counter)
    if transformed:
        result[DOUBLED] = counter * 2
    return result


class Problems:
    """Counts by kind, and the first few in words."""

    SHOWN = 20

    def __init__(self):
        self.counts = collections.Counter()
        self.told = []

    def add(self, kind, text):
        self.counts[kind] += 1
        if len(self.told) < self.SHOWN:
            self.told.append(f"{kind}: {text}")

    def __bool__(self):
        return bool(self.counts)


class Stretch:
    """The counters of one device between two kills: [first, end), some of them acknowledged."""

    def __init__(self, device, first, transformed):
        self.device, self.first, self.end, self.transformed = device, first, first, transformed
        self.acked = set()

    def send(self):
        """The next counter."""
        counter = self.end
        self.end += 1
        return counter

    def keys(self):
        return KEYS + ((DOUBLED,) if self.transformed else ())

    def check(self, found, problems):
        """Compare with found = {key: [(ts, value)]} of this stretch; returns how many counters of
        it are there."""
        rows = self._rows(found, problems)
        for counter, row in rows.items():
            want = expected(self.device, counter, self.transformed)
            name = f"device {self.device} counter {counter}"
            if not self.first <= counter < self.end:
                problems.add("phantom", f"{name} was never sent")
            elif row.keys() != want.keys():
                problems.add("half", f"{name} has only {sorted(row)}")
            elif row != want:
                problems.add("wrong", f"{name} is {row}, not {want}")
        for counter in sorted(self.acked - rows.keys()):
            problems.add("lost", f"device {self.device} counter {counter} was acknowledged")
        return len(rows)

    def _rows(self, found, problems):
        """{counter: {key: value}}"""
        rows = {}
        for key, points in found.items():
            for ts, value in points:
                counter = ts - BASE_MS
                row = rows.setdefault(counter, {})
                if key in row:
                    problems.add("doubled", f"device {self.device} counter {counter} key {key}")
                row[key] = value
        return rows


class Slots:
    """Attributes of one device: slot n % SLOTS holds n. Later values replace earlier ones, so a
    slot must hold the last acknowledged one or one sent after it."""

    SLOTS = 16

    def __init__(self, device):
        self.device, self.next = device, 0
        self.sent, self.acked = {}, {}

    def send(self):
        """(counter, key)"""
        counter, self.next = self.next, self.next + 1
        self.sent[counter % self.SLOTS] = counter
        return counter, f"slot{counter % self.SLOTS}"

    def ack(self, counter):
        slot = counter % self.SLOTS
        self.acked[slot] = max(counter, self.acked.get(slot, -1))

    def check(self, found, problems):
        """Compare with found = {key: value}."""
        for slot, counter in self.acked.items():
            value = found.get(f"slot{slot}")
            name = f"device {self.device} slot {slot}"
            if value is None or value < counter:
                problems.add("lost", f"{name} is {value}, acknowledged was {counter}")
            elif value > self.sent[slot] or value % self.SLOTS != slot:
                problems.add("wrong", f"{name} is {value}, never sent")
