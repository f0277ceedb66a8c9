"""Waiting without sleeps that hide races: poll until it holds, fail at a deadline."""
import time

# Tests name deadlines of a machine with nothing else to do. Beside two other lanes of tests, with
# sanitizers, all takes longer, and a deadline only says when to give up: speed is the bench's matter.
PATIENCE = 4


def patient(seconds):
    """The deadline of a machine that does other things too."""
    return seconds * PATIENCE


def until(predicate, timeout, what, interval=0.02):
    """What predicate() returns as soon as that is true-ish; AssertionError after patient(timeout)."""
    deadline = time.monotonic() + patient(timeout)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {patient(timeout):g} s: {what() if callable(what) else what}")
        time.sleep(interval)


def hold(predicate, seconds, what, interval=0.05):
    """AssertionError when predicate() is not true-ish all through the next seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not predicate():
            raise AssertionError(f"did not hold for {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(interval)
