# SPDX-License-Identifier: BSD-2-Clause
"""Sum up what ctest wrote, for tests/run.sh.

    python3 cmake/count_tests.py LANE JUNIT.xml NOTES

prints `PASSED FAILED SKIPPED`, and adds to NOTES a line for each test that
failed or was skipped, with the reason: `skip: REASON`, as the test said last.
A Criterion program is as many tests as it says it ran.
"""
import re
import sys
import xml.etree.ElementTree


def last_reason(output):
    said = re.findall(r"^\s*skip: (.+?)\s*$", output, re.M)
    return said[-1] if said else "gives no reason"


def tests_of(case):
    """(name, status, reason) of each test that a ctest case is."""
    name, output = case.get("name"), case.findtext("system-out", "")
    inner = [(f"{name}: {test}", word, why) for word, test, why in re.findall(
        r"^\[(PASS|FAIL|SKIP)\] (\S+::\S+?):? (.*)$", output, re.M)]

    if case.find("skipped") is not None:
        return [(name, "SKIP", last_reason(output))]
    if case.get("status") == "run" and case.find("failure") is None:
        return inner or [(name, "PASS", "")]
    if not any(status == "FAIL" for _, status, _ in inner):
        inner.append((name, "FAIL", ""))
    return inner


def main(lane, junit, notes):
    count = {"PASS": 0, "FAIL": 0, "SKIP": 0}

    with open(notes, "a", encoding="utf-8") as out:
        for case in xml.etree.ElementTree.parse(junit).iter("testcase"):
            for name, status, why in tests_of(case):
                count[status] += 1
                if status == "SKIP":
                    print(f"skipped  {lane}: {name}: {why}", file=out)
                elif status == "FAIL":
                    print(f"failed   {lane}: {name}", file=out)
    print(count["PASS"], count["FAIL"], count["SKIP"])


if __name__ == "__main__":
    main(*sys.argv[1:])
