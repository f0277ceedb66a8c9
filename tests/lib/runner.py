"""Runs the tests of one suite, a line for each; tests/run starts it inside the sandbox.

    python3 -m lib.runner SUITE [--only TEXT] [--counts FILE]      (in the folder tests)

A test that hangs is failed by an alarm. FILE gets "PASSED FAILED" for the sum. Modules that mostly
wait, and so say BESIDE = True, are run by a process of their own meanwhile; what it says comes last."""
import argparse
import json
import os
import re
import signal
import sys
import tempfile
import time
import traceback
import unittest

from lib import daemon, failures, promises

TEST_SECONDS = 240


def readable(test):
    """tests/api/test_users.py, class CreateUser, test_is_refused → "api/users: create user: is refused"."""
    parts = test.id().split(".")
    if len(parts) < 4:
        return test.id()
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", parts[-2]).lower()
    return f"{parts[0]}/{parts[1].removeprefix('test_')}: {words}: " + \
        parts[-1].removeprefix("test_").replace("_", " ")


class LineResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = 0
        self.subtest_failed = False

    def startTest(self, test):
        super().startTest(test)
        self.subtest_failed = False
        self.failed_before = self.failed
        self.skipped_before = len(self.skipped)
        self.began = time.monotonic()
        promises.take_runs()
        signal.alarm(TEST_SECONDS)

    def stopTest(self, test):
        signal.alarm(0)
        if self.subtest_failed:
            self.show_logs()
        proves = getattr(getattr(test, test._testMethodName), "proves", None)
        if proves and len(self.skipped) == self.skipped_before:  # what was not run shows nothing
            promises.record(*proves, promises.take_runs(), self.failed == self.failed_before,
                            readable(test))
        super().stopTest(test)

    def line(self, word, test):
        seconds = time.monotonic() - self.began if hasattr(self, "began") else 0
        said = f"{word:6} {seconds:6.2f}s  {readable(test)}"
        print(said, flush=True)
        if word == "FAILED":
            failures.note(said)

    def addSuccess(self, test):
        if self.subtest_failed:
            return
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skip            {readable(test)}: {reason}", flush=True)

    def addFailure(self, test, err):
        self.bad(test, err)

    def addError(self, test, err):
        self.bad(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            if not self.subtest_failed:
                self.failed += 1
                self.line("FAILED", test)
            self.subtest_failed = True
            self.explain(f"{subtest._subDescription()}", err)

    def bad(self, test, err):
        self.failed += 1
        self.line("FAILED", test)
        self.explain(test.id(), err)
        self.show_logs()

    def explain(self, name, err):
        """What went wrong and where, without the frames of the test machinery."""
        kind, value, trace = err
        frames = [f for f in traceback.extract_tb(trace) if "/unittest/" not in f.filename]
        print("    | " + name)
        for frame in frames:
            print(f"    |   {os.path.relpath(frame.filename)}:{frame.lineno}: {frame.line}")
        for line in "".join(traceback.format_exception_only(kind, value)).splitlines():
            print("    | " + line[:2000])
        sys.stdout.flush()

    def show_logs(self):
        for name, text in daemon.live_logs():
            print(f"    | --- last lines of {name}")
            for line in text.splitlines():
                print("    |   " + line[:300])
        sys.stdout.flush()


def alarm(_signal, _frame):
    raise AssertionError(f"the test has run for {TEST_SECONDS} s")


def pick(suite, only):
    """Flatten; keep the tests whose readable name or id holds the text."""
    tests = []
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            tests += pick(item, only)
        elif not only or only in readable(item) or only in item.id():
            tests.append(item)
    return tests


def run(tests):
    """(passed, failed)"""
    result = LineResult()
    unittest.TestSuite(tests).run(result)
    daemon.kill_leftovers()
    return result.passed, result.failed


class Beside:
    """Runs tests in a process of its own."""

    def __init__(self, tests):
        self.said = tempfile.TemporaryFile("w+")
        self.sum = tempfile.TemporaryFile("w+")
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(self.said.fileno(), 1)
            os.dup2(self.said.fileno(), 2)
            json.dump(run(tests), self.sum)
            self.sum.flush()
            sys.stdout.flush()
            os._exit(0)

    def end(self):
        """Wait for it, say what it said; (passed, failed)."""
        os.waitpid(self.pid, 0)
        self.said.seek(0)
        sys.stdout.write(self.said.read())
        self.sum.seek(0)
        try:
            return json.load(self.sum)
        except ValueError:
            print("FAILED the process that ran tests beside the others died")
            return 0, 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("suite")
    parser.add_argument("--only", default="")
    parser.add_argument("--counts")
    args = parser.parse_args()
    signal.signal(signal.SIGALRM, alarm)

    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    loader = unittest.TestLoader()
    found = loader.discover(os.path.join(here, args.suite), top_level_dir=here)
    tests = pick(found, args.only)
    waiting = [test for test in tests if getattr(sys.modules[type(test).__module__], "BESIDE", False)]
    tests = [test for test in tests if test not in waiting]
    other = Beside(waiting) if waiting else None
    passed, failed = run(tests)
    if other:
        more_passed, more_failed = other.end()
        passed, failed = passed + more_passed, failed + more_failed
    if passed + failed == 0:
        print(f"FAILED no test of {args.suite} is named so: {args.only}")
        failed += 1
    for error in loader.errors:
        print(error)
    if args.counts:
        with open(args.counts, "w") as counts:
            counts.write(f"{passed} {failed}\n")
    sys.exit(0 if failed == 0 and passed > 0 else 1)


if __name__ == "__main__":
    main()
