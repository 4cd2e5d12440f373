# SPDX-License-Identifier: BSD-2-Clause
"""glean info: its text, its JSON, and that they say the same."""

import glob
import json
import os
import re

from support import check, finish, glean

TRACKERS = ["pagemap-scan", "uffd", "mprotect"]


def memory_totals(page_bytes):
    """All of it, and what the nodes have: a young machine gives them theirs
    bit by bit."""
    nodes = 0
    for path in glob.glob("/sys/devices/system/node/node*/meminfo"):
        with open(path, encoding="utf-8") as file:
            nodes += int(re.search(r"MemTotal: +(\d+) kB", file.read())[1])
    return os.sysconf("SC_PHYS_PAGES") * page_bytes, nodes * 1024


def check_json(info):
    check(set(info) == {"version", "cpu", "kernel", "memory_bytes",
                        "page_bytes", "numa_nodes", "backends", "trackers",
                        "scan_kernels"}, "info has its members", info)
    check(set(info["cpu"]) == {"model", "cpus", "l1d_bytes", "l2_bytes",
                               "l3_bytes", "heavy_fence"},
          "cpu has its members", info["cpu"])
    system = os.uname()
    check(info["kernel"] == f"{system.sysname} {system.release} "
          f"{system.machine}", "the kernel is this one", info["kernel"])
    check(info["cpu"]["cpus"] == len(os.sched_getaffinity(0)),
          "CPUs are those that may be used", info["cpu"])
    check(info["page_bytes"] == os.sysconf("SC_PAGESIZE"), "page size", info)
    check(info["numa_nodes"] >= 1, "at least one NUMA node", info)
    totals = memory_totals(info["page_bytes"])
    check(any(abs(info["memory_bytes"] - t) <= t / 10 for t in totals),
          "memory is about what the system says", info["memory_bytes"],
          totals)

    check([b["name"] for b in info["backends"]] ==
          ["process", "ref", "x86_ept", "arm_s2", "book3s_hv"],
          "backends", info["backends"])
    check([t["name"] for t in info["trackers"]] == TRACKERS,
          "trackers, best first", info["trackers"])
    for tracker in info["trackers"]:
        check(tracker["works"] in (True, False) and tracker["reason"] and
              "\n" not in tracker["reason"],
              "a tracker has a reason of one line", tracker)
    chosen = [k for k in info["scan_kernels"] if k["chosen"]]
    check(len(chosen) == 1 and chosen[0]["usable"],
          "one scan kernel is chosen, and can be used",
          info["scan_kernels"])


def check_text(text, info):
    check(text.startswith(f"glean         {info['version']}\n"),
          "the version comes first", text)
    for part in [info["cpu"]["model"], info["kernel"]] + [
            t["reason"] for t in info["trackers"]] + [
            k["name"] for k in info["scan_kernels"]]:
        check(part in text, f"the text says {part}", text)
    for tracker in info["trackers"]:
        yes = "yes" if tracker["works"] else "no "
        check(f" {tracker['name']:<13} {yes}  {tracker['reason']}\n" in text,
              f"the text has a line for {tracker['name']}", text)
    check("\033" not in text, "no escapes")


def main():
    done = glean("info", "--json")
    check(done.returncode == 0 and done.stderr == "", "info --json works",
          done)
    info = json.loads(done.stdout)
    check_json(info)
    done = glean("info")
    check(done.returncode == 0 and done.stderr == "", "info works", done)
    check_text(done.stdout, info)
    version = glean("--version").stdout
    check(version == f"glean {info['version']}\n", "versions agree", version)
    finish()


main()
