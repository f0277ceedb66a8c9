"""The promises of docs/reliability.md, and the evidence for them.

A test that shows one is marked with @proves; the runner then writes a line of JSON for it into the
file that PANEL_EVIDENCE names, and tests/faults/table makes the table of the lines."""
import json
import os

PROMISES = {
    "I1": "no acknowledged write is ever lost",
    "I2": "at most one container per instance",
    "I3": "nothing of ours is left after a delete, nothing else is touched",
    "I4": "every transitional state ends by its deadline, with a reason",
    "I5": "no crash, no sanitizer report, no leak",
    "I6": "memory, descriptors and threads stay bounded",
    "I7": "unauthenticated or unauthorised input has no effect",
    "I8": "after a fault, desired = observed within 10 s",
    "I9": "a bad node costs the others nothing",
}

_runs = 0


def proves(*promises, fault):
    """Mark a test method. fault: in the words of the table, the same for all tests of one fault."""
    assert promises and all(p in PROMISES for p in promises), promises

    def mark(test):
        test.proves = (promises, fault)
        return test
    return mark


def ran(times):
    """Called in a marked test: the fault was made `times` times in it (one, when nothing is said)."""
    global _runs
    _runs += times


def take_runs():
    """What was said since the last call, at least one."""
    global _runs
    runs, _runs = _runs, 0
    return max(runs, 1)


def record(promises, fault, runs, held, source):
    """One line of evidence. source: the test's readable name, or the command with its seed."""
    path = os.environ.get("PANEL_EVIDENCE")
    if not path:
        return
    line = {"promises": list(promises), "fault": fault, "runs": runs, "held": held, "source": source}
    with open(path, "a") as evidence:
        evidence.write(json.dumps(line) + "\n")
