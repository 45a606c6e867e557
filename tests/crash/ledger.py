"""ledger: what was sent, what was acknowledged, and whether what is found afterwards agrees.

A message of the crash test is one counter: a reading whose time stamp and values all follow from
the counter and the device. Counters are dealt out over DAYS days, so that the points of every
moment go to several files. So for every counter there is exactly one right answer, and the check is
counting:

    acknowledged, not found     lost
    found twice                 doubled
    found with other values     wrong
    found, never sent           phantom
    found, some keys missing    half
    found, expired              expired

A counter that was sent and not acknowledged may be there or not, but never half. A fleeting counter
lies in a day of its stretch, has a time to live, and may be missing from the instant on at which it
expires. Pure: no server, no clock.
"""

import collections

DAY_MS = 86_400_000
DAYS = 4
BASE_MS = 19_675 * DAY_MS            # 2023-11-14
FLEETING_MS = BASE_MS - 400 * DAY_MS  # a year earlier
KEYS = ("counter", "check")
DOUBLED = "doubled"  # added by the transform.script of some rounds


def ts_of(counter):
    """Time stamp of a counter: counters are far fewer than a day has milliseconds."""
    return BASE_MS + counter % DAYS * DAY_MS + counter


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

    base_ms, days = BASE_MS, DAYS

    def __init__(self, device, first, transformed):
        self.device, self.first, self.end, self.transformed = device, first, first, transformed
        self.acked = set()

    def ts_of(self, counter):
        return ts_of(counter)

    def spans(self, first, end):
        """[(start_ms, end_ms)] in which counters of [first, end) lie."""
        return [(self.base_ms + day * DAY_MS + first, self.base_ms + day * DAY_MS + end)
                for day in range(self.days)]

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
            elif row.keys() != want.keys() and not self.vanishes(counter):
                problems.add("half", f"{name} has only {sorted(row)}")
            elif any(want.get(key) != value for key, value in row.items()):
                problems.add("wrong", f"{name} is {row}, not {want}")
        for counter in sorted(self.must_be_there() - rows.keys()):
            problems.add("lost", f"device {self.device} counter {counter} was acknowledged")
        return len(rows)

    def must_be_there(self):
        return self.acked

    def vanishes(self, _counter):
        """May it have lost some of its keys while they were asked for one by one?"""
        return False

    def _rows(self, found, problems):
        """{counter: {key: value}}"""
        rows = {}
        for key, points in found.items():
            for ts, value in points:
                counter = (ts - self.base_ms) % DAY_MS
                if ts != self.ts_of(counter):
                    problems.add("phantom", f"device {self.device} key {key} ts {ts}")
                row = rows.setdefault(counter, {})
                if key in row:
                    problems.add("doubled", f"device {self.device} counter {counter} key {key}")
                row[key] = value
        return rows


class FleetingStretch(Stretch):
    """A stretch of counters that expire, on a day of its own, so that the whole file of that day
    does. Before each check the times are told between which the server was asked."""

    days = 1

    def __init__(self, device, first, transformed, day=0):
        super().__init__(device, first, transformed)
        self.base_ms = FLEETING_MS + day * DAY_MS
        self.gone_ms = {}  # counter: when it expires
        self.asked_ms = (0, 0)

    def ts_of(self, counter):
        return self.base_ms + counter

    def send_until(self, gone_ms):
        """(counter, time to live in seconds) of the next counter, which expires then or just
        before."""
        counter = self.send()
        ttl_s = (gone_ms - self.ts_of(counter)) // 1000
        self.gone_ms[counter] = self.ts_of(counter) + ttl_s * 1000
        return counter, ttl_s

    def must_be_there(self):
        return {counter for counter in self.acked if self.gone_ms[counter] > self.asked_ms[1]}

    def vanishes(self, counter):
        return self.asked_ms[0] < self.gone_ms[counter] <= self.asked_ms[1]

    def check(self, found, problems):
        count = super().check(found, problems)
        for counter in self._rows(found, Problems()):
            if self.gone_ms.get(counter, 1 << 62) <= self.asked_ms[0]:
                problems.add("expired", f"device {self.device} counter {counter} is still shown")
        return count


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
