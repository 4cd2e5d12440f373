# SPDX-License-Identifier: BSD-2-Clause
"""glean run: every tracker that works here, every pattern, and its JSON."""

import json
import re

from run_shape import run_json
from support import GUEST, GUEST_MIB, check, finish, glean, is_sanitized

PAGE_BYTES = None
GUEST_BYTES = GUEST_MIB << 20
PATTERNS = ("uniform", "zipf", "sequential", "phases")

def trackers():
    """Those that work here, best first."""
    info = json.loads(glean("info", "--json").stdout)
    return [t["name"] for t in info["trackers"] if t["works"]]


def check_patterns(backend, tracker, *args):
    """All patterns. A busy machine may keep the vCPUs of one guest from
    running while it is copied, but not those of four."""
    nr_dirtied = 0
    for pattern in PATTERNS:
        result = run_json("--pattern", pattern, "--backend", backend, *args)
        if not result:
            continue
        check((result["backend"], result["tracker"], result["pattern"],
               result["guest_bytes"]) ==
              (backend, tracker, pattern, GUEST_BYTES),
              "the object says what was asked for", result)
        nr_dirtied += sum(one["dirty_pages"] for one in result["rounds"][1:])
    check(nr_dirtied > 0,
          f"{backend} {tracker}: guests were written meanwhile")


def check_trackers():
    good = trackers()
    check(good, "a tracker works here")
    for tracker in good:
        check_patterns("process", tracker, "--tracker", tracker)
    result = run_json()
    if result:
        check(result["tracker"] == good[0], "auto takes the first that works",
              result["tracker"], good)


def check_manual():
    """The log as Linux KVM shapes it, where no table is the library's."""
    for args in (("--backend", "ref"), *(("--tracker", t) for t in trackers())):
        result = run_json("--log", "manual", *args)
        if result:
            check((result["log"], result["granule"]) == ("manual", None),
                  "the object says which log", result)


def check_corners():
    for args in (("--memory", "4K", "--vcpus", "1"),
                 ("--memory", "4K", "--vcpus", "256", "--rate", "1000"),
                 ("--memory", "260K", "--vcpus", "3"),
                 ("--memory", "1M", "--rate", "0", "--max-rounds", "3"),
                 ("--rate", "0", "--max-rounds", "4", "--downtime", "1"),
                 ("--memory", "1M", "--seed", "9223372036854775807")):
        if PAGE_BYTES == 4096:
            run_json(*args)
    result = run_json("--max-rounds", "1")
    if result:
        check(not result["converged"] and len(result["rounds"]) == 2,
              "vCPUs are stopped when rounds run out", result)
    result = run_json("--rate", "2000", "--downtime", "1000")
    if result:
        check(result["converged"] and len(result["rounds"]) == 3,
              "a quiet guest stops after the first round that shows it",
              result)


# A line of the table, its figures in their columns.
ROW = re.compile(r" {0,4}\d+ +\d+ +\d+\.\d( +[\d.]+ [num]?s){4}"
                 r" +([\d.]+[kM]?/s|-)")


def check_table(text, what):
    lines = text.splitlines()
    rate = "5k" if is_sanitized() else "50k"
    check(lines[0] == f"guest     {GUEST_MIB} MiB: {GUEST_MIB * 256} pages of "
          f"4 KiB, 2 vCPUs, uniform, {rate} pages/s", f"{what}: the guest",
          text)
    check(lines[1] == "backend   process", f"{what}: the backend", text)
    check(re.match(r"tracker   [a-z-]+ taken: .", lines[2]),
          f"{what}: the tracker", text)
    head = lines.index("round dirty pages       MiB     take  protect    flush"
                       "     copy   dirty rate")
    foot = lines.index("", head)
    check(foot - head > 2, f"{what}: has rows", text)
    for line in lines[head + 1:foot]:
        check(ROW.fullmatch(line), f"{what}: a row has its columns", line)
        check(len(line) == len(lines[head]), f"{what}: columns align", line)
    check(re.fullmatch(r"total     [\d.]+ m?s in \d+ rounds",
                       lines[foot + 1]), f"{what}: total", text)
    check(re.fullmatch(r"downtime  [\d.]+ [um]?s, target 50 ms: .*",
                       lines[foot + 2]), f"{what}: downtime", text)
    check(lines[foot + 3] == f"verified  yes: {GUEST_MIB * 256} pages "
          "compared, every byte is the same", f"{what}: verdict", text)
    check("\033" not in text and "\r" not in text,
          f"{what}: no escapes in a pipe")


def check_outputs():
    done = glean(*GUEST)
    check(done.returncode == 0 and done.stderr == "", "a run says nothing of "
          "errors", done.stderr)
    if PAGE_BYTES == 4096:
        check_table(done.stdout, "the table")
        done = glean(*GUEST, "--json")
        check_table(done.stderr, "the table beside JSON")

    done = glean(*GUEST, "--quiet")
    check((done.returncode, done.stdout, done.stderr) == (0, "", ""),
          "--quiet says nothing", done)
    done = glean(*GUEST, "--quiet", "--json")
    check(done.stderr == "" and json.loads(done.stdout)["verified"],
          "--quiet --json is the object alone", done)


def main():
    global PAGE_BYTES
    PAGE_BYTES = json.loads(glean("info", "--json").stdout)["page_bytes"]
    check_trackers()
    check_patterns("ref", "none")
    check_manual()
    check_corners()
    check_outputs()
    finish()


main()
