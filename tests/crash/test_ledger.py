"""The checker of the crash test can fail: every kind of disagreement is seen and named."""

import unittest

from ledger import FleetingStretch, Problems, Slots, Stretch, expected, ts_of


def rows_of(counters, device=3, transformed=False):
    """What an honest server answers for these counters."""
    found = {}
    for counter in counters:
        for key, value in expected(device, counter, transformed).items():
            found.setdefault(key, []).append((ts_of(counter), value))
    return found


def stretch_of(sent, acked, first=100, transformed=False):
    stretch = Stretch(3, first, transformed)
    for _ in range(sent):
        stretch.send()
    stretch.acked.update(acked)
    return stretch


class StretchCheck(unittest.TestCase):

    def check(self, stretch, found):
        problems = Problems()
        self.count = stretch.check(found, problems)
        return dict(problems.counts)

    def test_everything_acknowledged_is_there(self):
        self.assertEqual({}, self.check(stretch_of(5, {100, 102}), rows_of(range(100, 105))))
        self.assertEqual(5, self.count)

    def test_what_was_not_acknowledged_may_be_missing(self):
        self.assertEqual({}, self.check(stretch_of(5, {100}), rows_of([100])))
        self.assertEqual(1, self.count)

    def test_transformed_readings_carry_their_new_key(self):
        stretch = stretch_of(2, {100, 101}, transformed=True)
        self.assertEqual({}, self.check(stretch, rows_of([100, 101], transformed=True)))
        self.assertEqual({"half": 2}, self.check(stretch, rows_of([100, 101])))

    def test_a_wrongly_acknowledged_counter_is_lost(self):
        self.assertEqual({"lost": 1}, self.check(stretch_of(5, {100, 103}), rows_of([100, 101])))

    def test_nothing_found_loses_everything(self):
        self.assertEqual({"lost": 2}, self.check(stretch_of(5, {100, 103}), {}))

    def test_a_doubled_point_is_seen(self):
        found = rows_of([100])
        found["check"] *= 2
        self.assertEqual({"doubled": 1}, self.check(stretch_of(1, {100}), found))

    def test_a_wrong_value_is_seen(self):
        found = rows_of([100])
        found["check"] = [(ts_of(100), 1)]
        self.assertEqual({"wrong": 1}, self.check(stretch_of(1, {100}), found))

    def test_a_message_that_is_half_there_is_seen_even_unacknowledged(self):
        found = rows_of([100])
        del found["check"]
        self.assertEqual({"half": 1}, self.check(stretch_of(1, set()), found))

    def test_a_counter_that_was_never_sent_is_a_phantom(self):
        self.assertEqual({"phantom": 1}, self.check(stretch_of(1, {100}), rows_of([100, 101])))


    def test_a_counter_on_another_day_is_a_phantom(self):
        found = rows_of([100])
        found["check"] = [(ts_of(101) - 1, value) for _, value in found["check"]]
        self.assertEqual({"phantom": 1}, self.check(stretch_of(1, {100}), found))

    def test_a_stretch_is_found_in_its_spans_and_nowhere_else(self):
        spans = stretch_of(40, ()).spans(100, 140)
        for counter in range(90, 150):
            hits = sum(start <= ts_of(counter) < end for start, end in spans)
            self.assertEqual(1 if 100 <= counter < 140 else 0, hits)


class FleetingCheck(unittest.TestCase):

    NOW_MS = 1_800_000_000_000

    def setUp(self):
        self.stretch = FleetingStretch(3, 100, False)
        for _ in range(3):  # they expire at the end of the second before this
            self.stretch.acked.add(self.stretch.send_until(self.NOW_MS)[0])

    def check(self, counters, asked_ms):
        problems, found = Problems(), {}
        for counter in counters:
            for key, value in expected(3, counter, False).items():
                found.setdefault(key, []).append((self.stretch.ts_of(counter), value))
        self.stretch.asked_ms = asked_ms
        self.stretch.check(found, problems)
        return dict(problems.counts)

    def test_before_they_expire_all_must_be_there(self):
        asked = (self.NOW_MS - 3000, self.NOW_MS - 2000)
        self.assertEqual({}, self.check([100, 101, 102], asked))
        self.assertEqual({"lost": 1}, self.check([100, 101], asked))

    def test_while_they_expire_they_may_be_there(self):
        asked = (self.NOW_MS - 2000, self.NOW_MS)
        self.assertEqual({}, self.check([100, 101, 102], asked))
        self.assertEqual({}, self.check([], asked))

    def test_only_while_they_expire_they_may_be_half_there(self):
        for asked_ms, want in (((self.NOW_MS - 3000, self.NOW_MS - 2000), {"half": 3}),
                               ((self.NOW_MS - 2000, self.NOW_MS), {})):
            problems = Problems()
            self.stretch.asked_ms = asked_ms
            self.stretch.check({"counter": [(self.stretch.ts_of(counter), counter)
                                            for counter in (100, 101, 102)]}, problems)
            self.assertEqual(want, dict(problems.counts))

    def test_what_is_expired_must_not_be_shown(self):
        asked = (self.NOW_MS, self.NOW_MS)
        self.assertEqual({}, self.check([], asked))
        self.assertEqual({"expired": 2}, self.check([100, 102], asked))


class SlotsCheck(unittest.TestCase):

    def setUp(self):
        self.slots = Slots(3)
        for _ in range(2 * Slots.SLOTS):
            self.slots.send()

    def check(self, found):
        problems = Problems()
        self.slots.check(found, problems)
        return dict(problems.counts)

    def test_the_acknowledged_value_or_a_later_one_is_right(self):
        self.slots.ack(1)
        self.assertEqual({}, self.check({"slot1": 1}))
        self.assertEqual({}, self.check({"slot1": 1 + Slots.SLOTS}))

    def test_an_older_or_missing_value_is_lost(self):
        self.slots.ack(1 + Slots.SLOTS)
        self.assertEqual({"lost": 1}, self.check({"slot1": 1}))
        self.assertEqual({"lost": 1}, self.check({}))

    def test_a_value_that_was_never_sent_is_wrong(self):
        self.slots.ack(1)
        self.assertEqual({"wrong": 1}, self.check({"slot1": 1 + 2 * Slots.SLOTS}))
        self.assertEqual({"wrong": 1}, self.check({"slot1": 2 + Slots.SLOTS}))


if __name__ == "__main__":
    unittest.main()
