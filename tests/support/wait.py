"""wait: deadlines for tests. Nothing sleeps for a fixed time: one waits for what must happen."""

import os
import time

# Sanitizer builds are slower; a deadline is how long a failure takes, not a success.
DEADLINE_S = float(os.environ.get("PS_DEADLINE_S", "20"))
POLL_S = 0.01


class Late(AssertionError):
    """What was waited for did not happen in time."""


def until(condition, what, deadline_s=DEADLINE_S):
    """The first true result of condition(); Late if there is none in time."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise Late(f"{what}: not within {deadline_s:g} s")
        time.sleep(POLL_S)


def until_equal(read, wanted, what, deadline_s=DEADLINE_S):
    """Wait until read() == wanted; the message of Late tells what it was instead."""
    seen = []

    def matches():
        seen[:] = [read()]
        return seen[0] == wanted

    try:
        until(matches, what, deadline_s)
    except Late as late:
        raise Late(f"{late}; wanted {wanted!r}, have {seen[0]!r}") from None
    return wanted
