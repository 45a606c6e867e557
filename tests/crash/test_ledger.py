"""The checker of the crash test can fail: every kind of disagreement is seen and named."""

import unittest

from ledger import BASE_MS, Problems, Slots, Stretch, expected


def rows_of(counters, device=3, transformed=False):
    """What an honest server answers for these counters."""
    found = {}
    for counter in counters:
        for key, value in expected(device, counter, transformed).items():
            found.setdefault(key, []).append((BASE_MS + counter, value))
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
        found["check"] = [(BASE_MS + 100, 1)]
        self.assertEqual({"wrong": 1}, self.check(stretch_of(1, {100}), found))

    def test_a_message_that_is_half_there_is_seen_even_unacknowledged(self):
        found = rows_of([100])
        del found["check"]
        self.assertEqual({"half": 1}, self.check(stretch_of(1, set()), found))

    def test_a_counter_that_was_never_sent_is_a_phantom(self):
        self.assertEqual({"phantom": 1}, self.check(stretch_of(1, {100}), rows_of([100, 101])))


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
