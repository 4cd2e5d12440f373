# SPDX-License-Identifier: BSD-2-Clause
"""What the JSON of `glean run` is like, whatever it ran on."""

import json

from support import GUEST, check, glean

NUMBER, TEXT, TRUTH, LIST, OBJECT = (int,), (str,), (bool,), (list,), (dict,)
MAYBE_NUMBER = (int, type(None))
MAYBE_OBJECT = (dict, type(None))

RUN = {
    "backend": TEXT, "tracker": TEXT, "tracker_reason": TEXT,
    "log": TEXT, "granule": MAYBE_NUMBER, "guest_bytes": NUMBER, "page_bytes": NUMBER, "vcpus": NUMBER,
    "pattern": TEXT, "rate": NUMBER, "seed": NUMBER,
    "downtime_target_ns": NUMBER, "max_rounds": NUMBER, "rounds": LIST,
    "converged": TRUTH, "downtime_ns": NUMBER, "total_ns": NUMBER,
    "faults": OBJECT, "protect_calls": NUMBER, "flushes": NUMBER,
    "steps": OBJECT,
    "hpt": MAYBE_OBJECT,
    "mismatched_pages": NUMBER, "verified": TRUTH,
}
FAULTS = {
    "mapped": NUMBER, "relaxed": NUMBER, "spurious": NUMBER,
    "retried": NUMBER,
}
STEPS = {
    "collect": OBJECT, "take": OBJECT, "protect": OBJECT, "flush": OBJECT,
    "begin": OBJECT, "deliver": OBJECT,
}
STEP = {
    "count": NUMBER, "p50_ns": NUMBER, "p90_ns": NUMBER, "p99_ns": NUMBER,
    "max_ns": NUMBER,
}
HPT = {
    "isa": TEXT, "page_bytes": NUMBER, "segment_bytes": NUMBER,
    "order": NUMBER, "table_bytes": NUMBER, "revmap_bytes": NUMBER,
    "rmap_bytes": NUMBER, "enters": NUMBER, "full": NUMBER,
    "secondaries": NUMBER, "removes": NUMBER, "faults": NUMBER,
    "tlbies": NUMBER, "flushes": NUMBER, "harvest_walked": NUMBER,
    "harvest_dirty": NUMBER, "resizes": NUMBER, "resize_pause_ns": NUMBER,
    "resize_step_ns": NUMBER, "in_order": TRUTH, "wrong": TEXT,
}
ROUND = {
    "round": NUMBER, "dirty_pages": NUMBER, "runs": NUMBER, "take_ns": NUMBER,
    "protect_ns": NUMBER, "flush_ns": NUMBER, "copy_ns": NUMBER,
    "interval_ns": NUMBER, "stopped": TRUTH,
}


def check_members(what, value, members):
    check(set(value) == set(members), f"{what}: has the members it should",
          sorted(set(value) ^ set(members)))
    for key, kind in members.items():
        check(type(value.get(key)) in kind, f"{what}: {key} is {kind}",
              value.get(key))
        if type(value.get(key)) is int:
            check(value[key] >= 0, f"{what}: {key} is not negative")


def check_steps(what, steps):
    check_members(f"{what}, steps", steps, STEPS)
    for name, step in steps.items():
        check_members(f"{what}, step {name}", step, STEP)
        check(step["p50_ns"] <= step["p90_ns"] <= step["p99_ns"]
              <= step["max_ns"], f"{what}, step {name}: percentiles ascend",
              step)
        check(step["count"] > 0 or step["max_ns"] == 0,
              f"{what}, step {name}: without a time there is no longest", step)


def check_rounds(what, result):
    pages = result["guest_bytes"] // result["page_bytes"]
    rounds = result["rounds"]
    for i, one in enumerate(rounds):
        check_members(f"{what}, round {i}", one, ROUND)
        check(one["round"] == i, f"{what}: rounds count from 0", one)
        check(one["runs"] <= one["dirty_pages"] <= pages,
              f"{what}, round {i}: runs <= dirty pages <= pages", one)
        check(one["stopped"] == (i == len(rounds) - 1),
              f"{what}, round {i}: only the last has stopped vCPUs", one)
    check(rounds[0]["dirty_pages"] == pages and rounds[0]["runs"] == 1,
          f"{what}: round 0 takes everything as one run", rounds[0])
    check(2 <= len(rounds) <= result["max_rounds"] + 1,
          f"{what}: at least two rounds, and no more than asked for")


def run_json(*args):
    """A run of the usual guest; what @args say of it comes last, and counts.
    It verifies. Its JSON, checked as such, or None if that failed."""
    args = (*GUEST, "--json", *args)
    what = " ".join(("glean", *args))
    done = glean(*args)
    check(done.returncode == 0, f"{what}: exits 0", done.returncode,
          done.stderr)
    try:
        result = json.loads(done.stdout)
    except ValueError as why:
        check(False, f"{what}: standard output is one JSON object", why,
              done.stdout)
        return None
    check_members(what, result, RUN)
    check_members(f"{what}, faults", result["faults"], FAULTS)
    check_steps(what, result["steps"])
    check((result["hpt"] is not None) == (result["backend"] == "book3s_hv"),
          f"{what}: the one with a hashed page table tells of it")
    if result["hpt"]:
        check_members(f"{what}, hpt", result["hpt"], HPT)
        check(result["hpt"]["in_order"] and not result["hpt"]["wrong"],
              f"{what}: the table is in order", result["hpt"])
    check_rounds(what, result)
    check(result["verified"] and result["mismatched_pages"] == 0,
          f"{what}: verified", result)
    check(0 < result["downtime_ns"] <= result["total_ns"],
          f"{what}: the downtime is a part of the total", result)
    check("\033" not in done.stderr, f"{what}: no escapes in a pipe")
    return result
