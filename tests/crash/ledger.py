"""ledger: what each device was told "yes" to, and whether the server still has it.

A counter is sent as the point (ts = BASE + counter, n = counter). `acked` holds the counters whose
yes arrived; `findings()` says what a query of the server lacks or shows differently. A counter that
was sent but not acknowledged may be there or not; there it must be right as well.
"""

BASE = 1_700_000_000_000


class Ledger:
    """Counters of one device."""

    def __init__(self, name):
        self.name = name
        self.sent = 0
        self.acked = set()
        self.doubled = set()  # those sent through the chain that adds the key "twice"

    def next(self, doubled=False):
        """A counter that was never used before."""
        self.sent += 1
        if doubled:
            self.doubled.add(self.sent)
        return self.sent

    def findings(self, points, twice):
        """Complaints about [(ts, value)] of the keys "n" and "twice"."""
        wrong = []
        stored = {}
        for ts, value in points:
            counter = ts - BASE
            if counter in stored:
                wrong.append(f"{self.name}: counter {counter} is there twice")
            stored[counter] = value
            if value != counter:
                wrong.append(f"{self.name}: counter {counter} has the value {value}")
            if not 1 <= counter <= self.sent:
                wrong.append(f"{self.name}: counter {counter} was never sent")
        lost = sorted(self.acked - stored.keys())
        if lost:
            wrong.append(f"{self.name}: {len(lost)} acknowledged counters are lost, first {lost[0]}")
        twice = {ts - BASE: value for ts, value in twice}
        for counter in stored:
            if counter in self.doubled and twice.get(counter) != 2 * counter:
                wrong.append(f"{self.name}: counter {counter} is there, its double is not")
        return wrong
