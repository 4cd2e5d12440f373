# SPDX-License-Identifier: BSD-2-Clause
"""glean bench: names, selection, and Google Benchmark's JSON."""

import json
import os
import statistics
import tempfile

from support import check, finish, glean

PAGES = (1048576, 16777216, 268435456)
DENSITIES = ("0", "1e-06", "0.0001", "0.01", "0.1", "0.5", "1")
MMU_DENSITIES = ("0", "0.0001", "0.01", "0.1", "0.5", "1")
LEAVES = (4096, 65536, 1048576)
GIB_PAGES = 1 << 18
FAULTS = 16384

# The rival that each suite's ratios are against.
BASELINES = {"harvest": "seed", "fault": "mutex", "protect": "rmw",
             "split": "pages", "collapse": "remap", "mmu_harvest": "span"}


def names(pages):
    return [f"harvest/pages:{p}/density:{d}/pattern:uniform/method:{m}"
            for p in pages for d in DENSITIES for m in ("glean", "seed")]


def mmu_names(leaves, densities):
    """The suites of second-stage tables, in their order."""
    cases = [(f"fault/kind:{k}/threads:{t}", ("glean", "mutex"))
             for t in (1, 2) for k in ("first", "permission", "spurious")]
    cases += [(f"protect/leaves:{n}/pattern:{p}", ("glean", "rmw", "descent"))
              for n in leaves for p in ("runs", "scattered")]
    cases += [(f"split/bytes:1G/blocks:{b}", ("glean", "pages"))
              for b in ("2M", "1G")]
    cases += [(f"collapse/bytes:1G/blocks:{b}", ("glean", "remap"))
              for b in ("2M", "1G")]
    cases += [(f"mmu_harvest/bytes:{what}/backend:x86_ept",
               ("glean", "span", "descent"))
              for what in ["1G/pattern:alternating",
                           *(f"64G/density:{d}" for d in densities)]]
    return [f"{case}/method:{m}" for case, methods in cases for m in methods]


def quick_names():
    return names(PAGES[:1]) + mmu_names(LEAVES[:1], ())


def fields(name):
    """What a name says: {"suite": "protect", "leaves": "4096", ...}."""
    suite, *rest = name.split("/")
    return {"suite": suite, **dict(part.split(":", 1) for part in rest)}


def check_list():
    done = glean("bench", "--list")
    check(done.stdout.splitlines() ==
          names(PAGES) + mmu_names(LEAVES, MMU_DENSITIES),
          "--list has every name", done.stdout)
    done = glean("bench", "--list", "--quick")
    check(done.stdout.splitlines() == quick_names(),
          "--quick has the small ones", done.stdout)
    done = glean("bench", "--list", "--filter", "density:(0|1)/.*:seed$")
    check(done.stdout.splitlines() == [n for n in names(PAGES) if
                                       ("density:0/" in n or "density:1/" in n)
                                       and n.endswith("seed")],
          "--filter takes an extended regular expression", done.stdout)


def check_context(context):
    kinds = {"date": str, "host_name": str, "executable": str,
             "num_cpus": int, "mhz_per_cpu": int, "cpu_scaling_enabled": bool,
             "caches": list, "load_avg": list, "library_version": str,
             "library_build_type": str, "glean_version": str, "compiler": str,
             "kernel": str, "cpu_model": str, "json_schema_version": int}
    for key, kind in kinds.items():
        check(type(context.get(key)) is kind, f"context: {key} is {kind}",
              context.get(key))
    for cache in context["caches"]:
        check(set(cache) == {"type", "level", "size", "num_sharing"},
              "a cache has its members", cache)


def harvest_counters(name):
    pages, density = int(name["pages"]), float(name["density"])
    return {"dirty_pages": int(density * pages + 0.5)}


def fault_counters(name):
    return {"faults": int(name["threads"]) * FAULTS}


def protect_counters(name):
    """Runs of 64 pages, 64 apart, from page 37 on: half of all pages."""
    leaves = int(name["leaves"])
    pages = 2 * leaves
    runs = len(range(37, pages, 128))
    counters = {"leaves": leaves, "backend_calls": 1, "backend_ranges": runs}
    if name["pattern"] == "scattered":
        counters["backend_ranges"] = None
    if name["method"] == "descent":
        counters.update(backend_calls=leaves, backend_ranges=leaves)
    if name["method"] == "rmw":
        counters.update(backend_calls=0, backend_ranges=0)
    return counters


def reshape_counters(_name):
    return {"pages": GIB_PAGES}


def mmu_harvest_counters(name):
    """Every second page of 1 GiB is dirty, the others writable."""
    dirty = GIB_PAGES // 2
    counters = {"dirty_pages": dirty, "backend_calls": None,
                "backend_ranges": dirty, "backend_flushes": 1,
                "leaves_changed": dirty, "clean_leaves_changed": 0,
                "clean_page_faults": 0}
    if name["method"] == "descent":
        counters.update(backend_calls=dirty)
    if name["method"] == "span":
        # Each word's last page is clean, and after its last dirty one.
        words = GIB_PAGES // 64
        clean = 31 * words
        counters.update(backend_calls=words, backend_ranges=words,
                        leaves_changed=dirty + clean,
                        clean_leaves_changed=clean, clean_page_faults=clean)
    return counters


COUNTERS = {"harvest": harvest_counters, "fault": fault_counters,
            "protect": protect_counters, "split": reshape_counters,
            "collapse": reshape_counters, "mmu_harvest": mmu_harvest_counters}

MEASURED = {"name", "run_name", "run_type", "repetitions", "threads",
            "repetition_index", "iterations", "real_time", "cpu_time",
            "time_unit"}


def check_counters(name, run):
    """Those of the suite, and no others; None is any number above 0."""
    expected = COUNTERS[fields(name)["suite"]](fields(name))
    check(set(run) - MEASURED == set(expected), f"{name}: its counters", run)
    for key, value in expected.items():
        check(run[key] > 0 if value is None else run[key] == value,
              f"{name}: {key} is {value}", run)


def check_iterations(name, runs, repetitions):
    threads = int(fields(name).get("threads", 1))
    check([r["repetition_index"] for r in runs] == list(range(repetitions)),
          f"{name}: every repetition, in order", runs)
    for run in runs:
        check(run["name"] == name and run["repetitions"] == repetitions and
              run["threads"] == threads and run["time_unit"] == "ns" and
              run["iterations"] >= 1 and run["real_time"] > 0 and
              run["cpu_time"] >= 0, f"{name}: a repetition", run)
        check_counters(name, run)


def check_aggregates(name, runs, aggregates):
    times = [r["real_time"] for r in runs]
    mean = statistics.fmean(times)
    deviation = statistics.stdev(times) if len(times) > 1 else 0
    expected = {"mean": mean, "median": statistics.median(times),
                "stddev": deviation, "cv": deviation / mean}
    check([a["aggregate_name"] for a in aggregates] == list(expected),
          f"{name}: its aggregates", aggregates)
    for one in aggregates:
        kind = one["aggregate_name"]
        check(one["name"] == f"{name}_{kind}" and
              one["iterations"] == len(runs), f"{name}: {kind}", one)
        check(abs(one["real_time"] - expected[kind]) <= 1e-6 * mean,
              f"{name}: {kind} is right", one, expected)
        for key in set(runs[0]) - MEASURED:
            check(one[key] == (runs[0][key] if kind in ("mean", "median")
                               else 0), f"{name}: {kind} has {key}", one)


def check_json(text, expected_names, repetitions):
    result = json.loads(text)
    check(set(result) == {"context", "benchmarks"}, "two members", result)
    check_context(result["context"])
    entries = result["benchmarks"]
    check({e["run_name"] for e in entries} == set(expected_names),
          "every benchmark asked for, and no other")
    for name in expected_names:
        mine = [e for e in entries if e["run_name"] == name]
        runs = [e for e in mine if e["run_type"] == "iteration"]
        check_iterations(name, runs, repetitions)
        check_aggregates(name, runs, [e for e in mine if
                                      e["run_type"] == "aggregate"])


def check_table(text, expected_names):
    rows = [line.split() for line in text.splitlines()
            if "/method:" in line]
    check([row[0] for row in rows] == expected_names, "a row a benchmark",
          text)
    for row in rows:
        check(len(row) == 5 and row[2] in ("ns", "us", "ms", "s") and
              row[3].endswith("%"), "a row has its columns", row)
        name = fields(row[0])
        if name["method"] == BASELINES[name["suite"]]:
            check(row[4] == "1.000", "the baseline is once itself", row)


def check_measuring():
    all_small = quick_names()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        done = glean("bench", "--quick", "--json", path)
        check(done.returncode == 0 and done.stderr == "", "--json FILE", done)
        check_table(done.stdout, all_small)
        with open(path, encoding="utf-8") as file:
            check_json(file.read(), all_small, 3)

    some = [n for n in names(PAGES[:1]) if "density:0.01/" in n]
    done = glean("bench", "--quick", "--json", "-", "--repetitions", "5",
                 "--filter", "density:0.01/")
    check(done.returncode == 0, "--json -", done)
    check_json(done.stdout, some, 5)
    check_table(done.stderr, some)

    done = glean("bench", "--quick", "--repetitions", "1", "--seed", "7",
                 "--filter", "density:0.1/.*glean")
    check(done.stdout.splitlines()[-1].endswith(" -"),
          "without the baseline there is no ratio", done.stdout)

    with open("/dev/full", "w", encoding="utf-8") as full:
        done = glean("bench", "--quick", "--json", "-", "--filter",
                     "density:0/", stdout=full)
    check(done.returncode == 1, "a full disk is told", done)
    done = glean("bench", "--quick", "--json", "/dev/full", "--filter",
                 "density:0/")
    check(done.returncode == 1 and "cannot be written" in done.stderr,
          "a full disk is told", done)


def main():
    check_list()
    check_measuring()
    finish()


main()
