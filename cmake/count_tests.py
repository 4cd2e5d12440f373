# SPDX-License-Identifier: BSD-2-Clause
"""Sum up what ctest wrote, for tests/run.sh.

    python3 cmake/count_tests.py LANE JUNIT.xml NOTES

prints `PASSED FAILED SKIPPED`, and adds to NOTES a line for each test that
failed or was skipped, with the reason: `skip: REASON`, as the test said last.
"""
import re
import sys
import xml.etree.ElementTree


def reason(case):
    said = re.findall(r"^\s*skip: (.+?)\s*$", case.findtext("system-out", ""),
                      re.M)
    if said:
        return said[-1]
    skipped = case.find("skipped")
    return (skipped.get("message") if skipped is not None else None) \
        or "gives no reason"


def main(lane, junit, notes):
    count = {"pass": 0, "fail": 0, "skip": 0}

    with open(notes, "a", encoding="utf-8") as out:
        for case in xml.etree.ElementTree.parse(junit).iter("testcase"):
            name = case.get("name")
            if case.find("skipped") is not None:
                count["skip"] += 1
                print(f"skipped  {lane}: {name}: {reason(case)}", file=out)
            elif case.get("status") == "run" and \
                    case.find("failure") is None:
                count["pass"] += 1
            else:
                count["fail"] += 1
                print(f"failed   {lane}: {name}", file=out)
    print(count["pass"], count["fail"], count["skip"])


if __name__ == "__main__":
    main(*sys.argv[1:])
