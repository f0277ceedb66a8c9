"""Counts the test cases of cmocka programs that ctest ran: count_unit.py JUNIT_XML COUNTS_FILE.

A program that died before it could sum up counts as one failure. What it prints as
"evidence: PROMISE[,PROMISE]|FAULT|RUNS" is evidence (promises.py), held when the program passed."""
import re
import sys
import xml.etree.ElementTree as ElementTree

import failures
import promises


def sum_of(pattern, text):
    return sum(int(number) for number in re.findall(pattern, text))


def main():
    passed = failed = 0
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        text = case.findtext("system-out") or ""
        good = sum_of(r"\[  PASSED  \] (\d+) test", text)
        bad = sum_of(r"\[  FAILED  \] (\d+) test", text)
        if case.get("status") == "fail" and bad == 0:
            bad = 1
        for proved, fault, runs in re.findall(r"^evidence: ([I0-9,]+)\|([^|\n]+)\|(\d+)$", text, re.M):
            promises.record(proved.split(","), fault, int(runs), not bad, f"unit/{case.get('name')}")
        passed += good
        failed += bad
        said = f"{'FAILED' if bad else 'ok':6} {float(case.get('time')):6.2f}s  {case.get('name')}: " \
               f"{good} passed, {bad} failed"
        print(said)
        if bad:
            failures.note(said)
    with open(sys.argv[2], "w") as counts:
        counts.write(f"{passed} {failed}\n")


main()
