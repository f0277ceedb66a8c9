"""Waiting without sleeps that hide races: poll until it holds, fail at a deadline."""
import time


def until(predicate, timeout, what, interval=0.02):
    """What predicate() returns as soon as that is true-ish; AssertionError after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(interval)


def hold(predicate, seconds, what, interval=0.05):
    """AssertionError when predicate() is not true-ish all through the next seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not predicate():
            raise AssertionError(f"did not hold for {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(interval)
