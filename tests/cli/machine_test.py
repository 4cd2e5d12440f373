# SPDX-License-Identifier: BSD-2-Clause
"""glean run on models of CPUs: every table, every log, and what must fail.

A library that is broken on purpose must end in a copy that is wrong; else the
runs that verify would prove nothing.
"""

import itertools
import json

from run_shape import run_json
from support import (GUEST, GUEST_MIB, breakable_path, check, finish, glean,
                     is_sanitized)

# Options of each table, its page size, and the logs that it can keep.
TABLES = (
    (("x86_ept",), 4096, ("bitmap", "manual", "ring", "pml")),
    (("x86_ept", "--levels", "5"), 4096, ("bitmap", "manual", "ring", "pml")),
    (("arm_s2",), 4096, ("bitmap", "manual", "ring", "dbm")),
    (("arm_s2", "--granule", "16K"), 16384,
     ("bitmap", "manual", "ring", "dbm")),
    (("arm_s2", "--granule", "64K"), 65536,
     ("bitmap", "manual", "ring", "dbm")),
)
TRACKERS = {"bitmap": "write-protect", "manual": "write-protect",
            "ring": "ring", "pml": "pml", "dbm": "dbm"}
# Pages that map a guest with a hashed page table, and those of its log.
HPT_PAGES = (("4K", 4096, 4096), ("64K", 65536, 65536), ("16M", 1 << 24, 65536))
HPT_ISAS = ("2.07", "3.0")
# Whole pages of 16 MiB, however slow.
HPT_GUEST = ("--backend", "book3s_hv", "--memory",
             f"{max(GUEST_MIB, 32)}M")
HPT_BREAKS = ("skip-flush", "lose-dirty", "early-c", "reset-rmap",
              "publish-first")
BREAKS = ("skip-flush", "mark-first", "lose-dirty", "span")
# What the CPU keeps: no fault marks a page, so none can mark too soon.
CPU_LOGS = ("pml", "dbm")

# A guest that is surely written while it is copied, in places that are few.
BUSY = ("--vcpus", "8", "--rate", "0", "--max-rounds", "8", "--downtime", "1",
        "--pattern", "phases")

# One who writes, some pages often: nobody heals what is lost.
LONE = ("--vcpus", "1", "--rate", "0", "--max-rounds", "8", "--downtime", "1",
        "--pattern", "zipf")

# A race is not lost in every run: so many runs, of which one must show it.
TRIES = 10


def nr_dirtied(result):
    return sum(one["dirty_pages"] for one in result["rounds"][1:])


def check_tables():
    patterns = itertools.cycle(("uniform", "zipf", "sequential", "phases"))
    for table, page_bytes, logs in TABLES:
        dirtied = 0
        for log in logs:
            result = run_json("--backend", *table, "--log", log,
                              "--pattern", next(patterns))
            if not result:
                continue
            granule = page_bytes if table[0] == "arm_s2" else None
            check((result["backend"], result["log"], result["tracker"],
                   result["page_bytes"], result["granule"]) ==
                  (table[0], log, TRACKERS[log], page_bytes, granule),
                  "the object says what was asked for", result)
            check("model" in result["tracker_reason"],
                  "and that it is a model", result)
            check(result["faults"]["mapped"] > 0, "faults map the guest",
                  result)
            check(result["flushes"] > 0 or not nr_dirtied(result),
                  "what is protected is flushed", result)
            dirtied += nr_dirtied(result)
        check(dirtied > 0, f"{table}: guests were written meanwhile")


def check_blocks():
    """Blocks save faults; how they are split changes no result."""
    for backend in ("x86_ept", "arm_s2"):
        mapped = {}
        for blocks, split in (("on", "on"), ("on", "off"), ("off", "on")):
            result = run_json("--backend", backend, "--blocks", blocks,
                              "--eager-split", split, *BUSY)
            if result:
                mapped[blocks, split] = result["faults"]["mapped"]
        check(len(mapped) == 3 and
              mapped["on", "on"] < mapped["off", "on"],
              f"{backend}: blocks map more than a page with a fault", mapped)
        for log in ("manual", "ring"):
            run_json("--backend", backend, "--eager-split", "off", "--log", log)


def check_addresses():
    """Start levels and concatenated roots of many shapes, and 52 bits."""
    for granule, bits in (("4K", "32"), ("4K", "43"), ("4K", "52"),
                          ("16K", "36"), ("16K", "52"), ("64K", "32"),
                          ("64K", "48"), ("64K", "52")):
        run_json("--backend", "arm_s2", "--granule", granule, "--ipa-bits",
                 bits, "--memory", "8M")


def check_corners():
    for backend, log in (("x86_ept", "bitmap"), ("x86_ept", "manual"),
                         ("x86_ept", "ring"), ("x86_ept", "pml"),
                         ("arm_s2", "manual"), ("arm_s2", "ring"),
                         ("arm_s2", "dbm")):
        args = ("--backend", backend, "--log", log)
        run_json(*args, "--memory", "4K", "--vcpus", "1")
        run_json(*args, "--memory", "260K", "--vcpus", "3", "--rate", "0",
                 "--max-rounds", "3")
        run_json(*args, *BUSY)
    run_json("--backend", "x86_ept", "--log", "ring", "--memory", "1M",
             "--vcpus", "40", "--rate", "1000")


def check_hpt():
    """Every page size in both formats, by both logs and segments."""
    patterns = itertools.cycle(("uniform", "zipf", "sequential", "phases"))
    logs = itertools.cycle(("bitmap", "manual", "bitmap"))
    segments = itertools.cycle((("256M", 1 << 28), ("1T", 1 << 40)))
    dirtied = 0
    for (page, page_bytes, log_bytes), isa in itertools.product(HPT_PAGES,
                                                                HPT_ISAS):
        log = next(logs)
        segment, segment_bytes = next(segments)
        result = run_json(*HPT_GUEST, "--page", page, "--isa", isa,
                          "--segment", segment, "--log", log, "--pattern",
                          next(patterns))
        if not result:
            continue
        hpt = result["hpt"]
        check((result["log"], result["tracker"], result["page_bytes"],
               hpt["isa"], hpt["page_bytes"], hpt["segment_bytes"]) ==
              (log, "changed-bit", log_bytes, isa, page_bytes, segment_bytes),
              "the object says what was asked for", result)
        check("model" in result["tracker_reason"], "and that it is a model",
              result)
        memory = result["guest_bytes"]
        check(hpt["table_bytes"] == 1 << hpt["order"] ==
              max(memory // 128, 1 << 18), "the table is by the rule", hpt)
        check(hpt["table_bytes"] + hpt["revmap_bytes"] <=
              2 * hpt["table_bytes"], "the reverse map is no larger", hpt)
        check(hpt["enters"] > memory // (2 << 20) and hpt["tlbies"] > 0,
              "the guest enters what it uses, and entries are invalidated",
              hpt) if page == "4K" else None
        dirtied += nr_dirtied(result)
    check(dirtied > 0, "guests were written meanwhile")


def check_hpt_corners():
    """Groups that are full, a resize now and then, one vCPU, many."""
    small = run_json(*HPT_GUEST[:2], "--memory", "128M", "--hpt-order", "18",
                     "--rate", "0", "--max-rounds", "4", "--pattern",
                     "uniform", "--vcpus", "4")
    if small:
        check(small["hpt"]["full"] > 0 and small["hpt"]["removes"] > 0 and
              small["hpt"]["secondaries"] > 0 and small["hpt"]["order"] == 18,
              "a small table has full groups, and victims", small["hpt"])
    for page, *_ in HPT_PAGES:
        result = run_json(*HPT_GUEST, "--page", page, "--resize", "on",
                          "--rate", "0", "--max-rounds", "4", "--downtime",
                          "1", "--vcpus", "4")
        if result:
            check(result["hpt"]["resizes"] > 0, "the table is resized", result)
    run_json(*HPT_GUEST[:2], "--memory", "4K", "--vcpus", "1")
    run_json(*HPT_GUEST[:2], "--memory", "260K", "--vcpus", "3", "--rate", "0",
             "--max-rounds", "3")
    run_json(*HPT_GUEST, *BUSY)
    run_json(*HPT_GUEST[:2], "--memory", "1M", "--vcpus", "40", "--rate",
             "1000")


def breaks_down(*args):
    """A run of a broken library, with a guest that cannot get on with it in
    some cases: true if it did not verify."""
    done = glean("run", "--json", *args, path=breakable_path())
    verified = done.returncode == 0
    check(done.returncode in (0, 1), f"{args}: it ends by itself", done)
    if done.stdout:
        result = json.loads(done.stdout)
        check(result["verified"] == verified and
              (result["mismatched_pages"] == 0 and
               result["hpt"]["in_order"]) == verified,
              f"{args}: status and verdict agree", done)
    return not verified


def check_hpt_breaks():
    tables = (("4K", "2.07", "4M"), ("64K", "3.0", "16M"))
    for page, isa, memory in tables[:1] if is_sanitized() else tables:
        args = ("--backend", "book3s_hv", "--page", page, "--isa", isa,
                "--memory")
        check(not breaks_down(*args, "16M" if is_sanitized() else "64M", *BUSY),
              f"book3s_hv {page}: what can be broken and is not, is right")
        for how in HPT_BREAKS:
            check(any(breaks_down(*args, memory, *LONE, "--break", how,
                                  "--seed", str(seed))
                      for seed in range(TRIES)),
                  f"book3s_hv {page}: --break {how} is seen")


def run_breakable(*args):
    """A run of what can be broken: its status, and its verdict."""
    done = glean(*GUEST, "--json", *args, path=breakable_path())
    try:
        result = json.loads(done.stdout)
    except ValueError:
        result = {"verified": None, "mismatched_pages": 0}
    check((done.returncode, result["verified"]) in ((0, True), (1, False)) and
          (result["mismatched_pages"] > 0) == (done.returncode == 1),
          f"{args}: status and verdict agree", done)
    return result["verified"]


def check_breaks():
    """Every way to break, with every log that it can break."""
    for (backend, *_), _, logs in (TABLES[0], TABLES[2]):
        for log in logs:
            args = ("--backend", backend, "--log", log, *BUSY)
            check(run_breakable(*args) is True,
                  f"{backend} {log}: what can be broken and is not, is right")
            for how in BREAKS:
                if how == "mark-first" and log in CPU_LOGS:
                    continue
                check(any(run_breakable(*args, "--break", how, "--seed",
                                        str(seed)) is False
                          for seed in range(TRIES)),
                      f"{backend} {log}: --break {how} is seen")


def check_what_cannot_be_broken():
    for args, line in (
            (("--break", "magic"), "--break: 'magic' is not a way to break: "
             "give skip-flush, mark-first, lose-dirty, span, early-c, "
             "reset-rmap or publish-first"),
            (("--break", "span", "--backend", "book3s_hv"), "--break: in the "
             "book3s_hv backend span breaks nothing: give skip-flush, "
             "lose-dirty, early-c, reset-rmap or publish-first"),
            (("--break", "early-c", "--backend", "x86_ept"), "--break: in the "
             "x86_ept backend early-c breaks nothing: give skip-flush, "
             "mark-first, lose-dirty or span"),
            (("--break", "mark-first", "--backend", "x86_ept", "--log", "pml"),
             "--break: with --log pml no fault marks, so mark-first breaks "
             "nothing: give --log bitmap, manual or ring"),
            (("--break", "mark-first", "--backend", "arm_s2", "--log", "dbm"),
             "--break: with --log dbm no fault marks, so mark-first breaks "
             "nothing: give --log bitmap, manual or ring"),
            (("--break", "span"), "--break: the process backend has none: "
             "leave out --break or give --backend x86_ept, arm_s2 or "
             "book3s_hv"),
            (("--break", "span", "--backend", "ref"), "--break: the ref "
             "backend has none: leave out --break or give --backend x86_ept, "
             "arm_s2 or book3s_hv")):
        done = glean("run", *args, path=breakable_path())
        check((done.returncode, done.stdout, done.stderr) ==
              (2, "", f"glean run: {line}\n"), f"{args} is refused", done)


def check_table():
    done = glean(*GUEST, "--backend", "arm_s2", "--granule", "16K", "--log",
                 "ring")
    lines = done.stdout.splitlines()
    rate = "5k" if is_sanitized() else "50k"
    check(done.returncode == 0 and lines[:3] ==
          [f"guest     {GUEST_MIB} MiB: {GUEST_MIB * 64} pages of 16 KiB, "
           f"2 vCPUs, uniform, {rate} pages/s", "backend   arm_s2, log ring",
           "tracker   ring: a write of a protected page faults, into a ring, "
           "in a model of Arm's stage 2"], "the table's header", done)


def main():
    check_tables()
    check_blocks()
    check_addresses()
    check_corners()
    check_hpt()
    check_hpt_corners()
    check_breaks()
    check_hpt_breaks()
    check_what_cannot_be_broken()
    check_table()
    finish()


main()
