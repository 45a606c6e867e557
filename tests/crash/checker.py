"""checker: the ledger finds what it is there to find."""

import unittest

from ledger import BASE, Ledger


class Checker(unittest.TestCase):

    def setUp(self):
        self.ledger = Ledger("d")
        for _ in range(5):
            self.ledger.next()
        self.ledger.acked = {1, 2, 3}
        self.points = [(BASE + counter, counter) for counter in (1, 2, 3)]

    def test_all_there_is_fine(self):
        self.assertEqual([], self.ledger.findings(self.points, []))

    def test_an_unacknowledged_one_may_be_there(self):
        self.assertEqual([], self.ledger.findings(self.points + [(BASE + 5, 5)], []))

    def test_a_lost_one_is_found(self):
        self.ledger.acked.add(4)
        self.assertIn("1 acknowledged counters are lost, first 4",
                      self.ledger.findings(self.points, [])[0])

    def test_a_wrong_value_is_found(self):
        self.points[1] = (BASE + 2, 7)
        self.assertIn("counter 2 has the value 7", self.ledger.findings(self.points, [])[0])

    def test_one_that_was_never_sent_is_found(self):
        self.assertIn("never sent", self.ledger.findings(self.points + [(BASE + 9, 9)], [])[0])

    def test_half_a_message_is_found(self):
        counter = self.ledger.next(doubled=True)
        points = self.points + [(BASE + counter, counter)]
        self.assertIn("its double is not", self.ledger.findings(points, [])[0])
        self.assertEqual([], self.ledger.findings(points, [(BASE + counter, 2 * counter)]))


if __name__ == "__main__":
    unittest.main()
