"""The crash test as a whole can fail: a run in which one acknowledgement is a lie ends with 1."""

import pathlib
import subprocess
import sys
import unittest

KILL9 = pathlib.Path(__file__).with_name("kill9.py")


class Kill9(unittest.TestCase):

    def test_one_false_acknowledgement_fails_the_run(self):
        done = subprocess.run([sys.executable, "-B", str(KILL9), "--kills", "1", "--seed", "1",
                               "--longest", "0.1", "--lie"], capture_output=True, text=True,
                              timeout=300, check=False)
        self.assertEqual(1, done.returncode, done.stdout + done.stderr)
        self.assertIn(" lost=1 ", done.stdout)
        self.assertIn("in all: {'lost': 1}", done.stdout)


if __name__ == "__main__":
    unittest.main()
