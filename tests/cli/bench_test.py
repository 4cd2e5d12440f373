# SPDX-License-Identifier: BSD-2-Clause
"""glean bench: names, selection, and Google Benchmark's JSON."""

import copy
import json
import os
import shutil
import statistics
import tempfile
import xml.etree.ElementTree

from support import check, clean_environment, finish, glean

PAGES = (1048576, 16777216, 268435456)
HUGE = 3221225472
DENSITIES = ("0", "1e-06", "1e-05", "0.0001", "0.001", "0.01", "0.1", "0.5",
             "1")
METHODS = ("glean", "exchange", "flip", "seed", "fetch-and", "read")
MARK_METHODS = ("glean", "view", "quick-view", "dirty-mark", "load-test",
                "load-call", "fetch-or")
MARKS = 65536
RANGES = 256
COALESCE_PAGES = (1048576, 134217728)
COALESCE_KINDS = (("0.01", "uniform"), ("0.1", "uniform"), ("0.5", "uniform"),
                  ("0.5", "alternating"), ("1", "uniform"))
MERGE_BYTES = ("4G", "256G")
MERGE_KINDS = (("0", "uniform", "new"), ("0.0001", "uniform", "new"),
               ("0.01", "clustered", "new"), ("0.01", "clustered", "old"),
               ("1", "uniform", "new"), ("1", "uniform", "old"))
MMU_DENSITIES = ("0", "0.0001", "0.01", "0.1", "0.5", "1")
LEAVES = (4096, 65536, 1048576)
GIB_PAGES = 1 << 18
FAULTS = 16384
HPTE_OPS = ("lock", "try_lock", "enter_remove/isa:2.07",
            "enter_remove/isa:3.0", "read/isa:2.07", "read/isa:3.0")
HPTE_CALLS = 1024
HPT_PAIRS = 16384
RESET_ORDERS = (20, 26, 30)
HPT_SIZES = {"64M": 1 << 14, "4G": 1 << 20, "64G": 1 << 24}
RESIZES = ((22, 1 << 16), (28, 1 << 20), (28, 1 << 22), (28, 1 << 23))

AUTO, EXCHANGE = "strategy:auto", "strategy:exchange"
PARALLEL = ((1048576, "0.01", AUTO), (16777216, "0", AUTO),
            (16777216, "0.0001", AUTO), (16777216, "1", AUTO),
            (16777216, "1", EXCHANGE), (16777216, "0.01", "backend:x86_ept"),
            (268435456, "0", AUTO), (268435456, "0.0001", AUTO),
            (268435456, "0.0001", EXCHANGE), (268435456, "1", AUTO),
            (268435456, "1", EXCHANGE))

# The rival that each suite's ratios are against.
BASELINES = {"harvest": "seed", "mark": "load-test", "mark_range": "fetch-or",
             "coalesce": "ctz-walk", "merge": "or", "fault": "mutex",
             "protect": "rmw", "split": "faults", "collapse": "remap",
             "mmu_harvest": "span", "hpte": "bare",
             "hpte_threads": "mutex", "hpt_reset": "memset",
             "hpt_harvest": "walk", "hpt_resize": "stop", "parallel": "plain"}


def harvest_names(pages):
    """Patterns differ where some pages are dirty and some are not; KVM's own
    log is of clean slots, and of 2^31 - 1 pages at most."""
    cases = [(p, d, pattern) for p in pages
             for pattern in ("uniform", "clustered", "alternating")
             for d in (DENSITIES if pattern == "uniform" else DENSITIES[1:-1])]
    if len(pages) == len(PAGES):
        cases.append((HUGE, "0", "uniform"))
    return [f"harvest/pages:{p}/density:{d}/pattern:{pattern}/method:{m}"
            for p, d, pattern in cases
            for m in METHODS + (("kvm",) if d == "0" and p < 2 ** 31 else ())]


def mark_names():
    names = [f"mark/kind:{k}/threads:{t}/method:{m}" for t in (1, 2)
             for k in ("dirty", "clean") for m in MARK_METHODS]
    return names + [f"mark_range/kind:{k}/pages:{p}/method:{m}"
                    for k in ("dirty", "clean") for p in (1, 64, 256, 4096)
                    for m in ("glean", "view", "fetch-or")]


def coalesce_names(pages):
    return [f"coalesce/pages:{p}/density:{d}/pattern:{pattern}/method:{m}"
            for p in pages for d, pattern in COALESCE_KINDS
            for m in ("glean", "ctz-walk", "read")]


def merge_names(sizes):
    return [f"merge/sources:5/bytes:{b}/aligned:{a}/density:{d}/pattern:{p}"
            f"/marks:{marks}/method:{m}"
            for b in sizes for a in (3, 5) for d, p, marks in MERGE_KINDS
            for m in ("glean", "snapshot", "or", "fetch-or")]


def mmu_names(leaves, densities):
    """The suites of second-stage tables, in their order."""
    cases = [(f"fault/kind:{k}/threads:{t}", ("glean", "mutex"))
             for t in (1, 2) for k in ("first", "permission", "spurious")]
    cases += [(f"protect/leaves:{n}/pattern:{p}", ("glean", "rmw", "descent"))
              for n in leaves for p in ("runs", "scattered")]
    cases += [(f"split/bytes:1G/blocks:{b}", ("glean", "faults"))
              for b in ("2M", "1G")]
    cases += [(f"collapse/bytes:1G/blocks:{b}", ("glean", "remap"))
              for b in ("2M", "1G")]
    cases += [(f"mmu_harvest/bytes:{what}/backend:x86_ept",
               ("glean", "span", "descent"))
              for what in ["1G/pattern:alternating",
                           *(f"64G/density:{d}" for d in densities)]]
    return [f"{case}/method:{m}" for case, methods in cases for m in methods]


def hpt_names(orders, sizes, resizes):
    """The suites of the hashed page table, in their order."""
    cases = [(f"hpte/op:{op}", ("glean", "bare")) for op in HPTE_OPS]
    cases += [(f"hpte_threads/op:enter_remove/threads:{t}",
               ("glean", "mutex")) for t in (1, 2)]
    cases += [(f"hpt_reset/order:{o}", ("glean", "memset")) for o in orders]
    cases += [(f"hpt_harvest/bytes:{s}/density:0.001/writes:{w}",
               ("glean", "walk", "glance"))
              for s in sizes for w in ("same", "moved")]
    cases += [(f"hpt_resize/order:{o}/pages:{p}", ("incremental", "stop"))
              for o, p in resizes]
    return [f"{case}/method:{m}" for case, methods in cases for m in methods]


def parallel_names(cases):
    return [f"parallel/pages:{p}/density:{d}/{how}/method:{m}"
            for p, d, how in cases
            for m in ("plain", *(f"workers-{n}" for n in (1, 2, 4, 8)))]


def all_names():
    return (harvest_names(PAGES) + mark_names() +
            coalesce_names(COALESCE_PAGES) + merge_names(MERGE_BYTES) +
            mmu_names(LEAVES, MMU_DENSITIES) +
            hpt_names(RESET_ORDERS, HPT_SIZES, RESIZES) +
            parallel_names(PARALLEL))


def quick_names():
    return (harvest_names(PAGES[:1]) + mark_names() +
            coalesce_names(COALESCE_PAGES[:1]) + merge_names(MERGE_BYTES[:1]) +
            mmu_names(LEAVES[:1], ()) +
            hpt_names(RESET_ORDERS[:1], list(HPT_SIZES)[:1], RESIZES[:1]) +
            parallel_names(PARALLEL[:1]))


def without(names, missing):
    return [n for n in names if n not in missing]


def fields(name):
    """What a name says: {"suite": "protect", "leaves": "4096", ...}."""
    suite, *rest = name.split("/")
    return {"suite": suite, **dict(part.split(":", 1) for part in rest)}


def check_list():
    done = glean("bench", "--list")
    check(done.stdout.splitlines() == all_names(), "--list has every name",
          done.stdout)
    done = glean("bench", "--list", "--quick")
    check(done.stdout.splitlines() == quick_names(),
          "--quick has the small ones", done.stdout)
    done = glean("bench", "--list", "--filter",
                 "^harvest/.*density:(0|1)/.*:seed$")
    check(done.stdout.splitlines() ==
          [n for n in harvest_names(PAGES) if
           ("density:0/" in n or "density:1/" in n) and n.endswith("seed")],
          "--filter takes an extended regular expression", done.stdout)


def check_context(context):
    kinds = {"date": str, "host_name": str, "executable": str,
             "num_cpus": int, "mhz_per_cpu": int, "cpu_scaling_enabled": bool,
             "caches": list, "load_avg": list, "library_version": str,
             "library_build_type": str, "glean_version": str, "compiler": str,
             "kernel": str, "cpu_model": str, "flags": str, "commit": str,
             "scan_kernel": str,
             "json_schema_version": int}
    for key, kind in kinds.items():
        check(type(context.get(key)) is kind, f"context: {key} is {kind}",
              context.get(key))
    for cache in context["caches"]:
        check(set(cache) == {"type", "level", "size", "num_sharing"},
              "a cache has its members", cache)


def harvest_counters(name):
    pages, density = int(name["pages"]), float(name["density"])
    dirty = int(density * pages + 0.5)
    if name["pattern"] == "alternating":
        dirty = len(range(0, pages, int(1 / density + 0.5)))
    return {"dirty_pages": dirty}


def mark_counters(name):
    """What two threads mark is new to one of them."""
    return {"new_marks": MARKS if name["kind"] == "clean" else 0}


def mark_range_counters(name):
    pages = RANGES * int(name["pages"])
    return {"new_marks": pages if name["kind"] == "clean" else 0}


def merge_counters(name):
    """Sources in which there was anything."""
    return {"sources": 0 if name["density"] == "0" else 5}


def fault_counters(name):
    return {"faults": int(name["threads"]) * FAULTS}


def protect_counters(name):
    """Runs of 64 pages, 64 apart, from page 37 on: half of all pages. A call
    takes 64 of them."""
    leaves = int(name["leaves"])
    pages = 2 * leaves
    runs = len(range(37, pages, 128))
    counters = {"leaves": leaves, "backend_calls": (runs + 63) // 64,
                "backend_ranges": runs}
    if name["pattern"] == "scattered":
        counters.update(backend_calls=None, backend_ranges=None)
    if name["method"] == "descent":
        counters.update(backend_calls=leaves, backend_ranges=leaves)
    if name["method"] == "rmw":
        counters.update(backend_calls=0, backend_ranges=0)
    return counters


def reshape_counters(_name):
    return {"pages": GIB_PAGES}


def parallel_counters(name):
    return {"dirty_pages":
            int(float(name["density"]) * int(name["pages"]) + 0.5)}


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


def hpt_harvest_counters(name):
    """A harvest walks what it reports; and, if the guest writes elsewhere,
    what it reported before. Some of that may be the same."""
    pages = HPT_SIZES[name["bytes"]]
    dirty = int(pages * float(name["density"]) + 0.5)
    walked = pages
    if name["method"] == "glean":
        walked = dirty if name["writes"] == "same" else None
    return {"dirty_pages": dirty, "pages_walked": walked}


def hpt_resize_counters(name):
    """One page in a hundred has a bolted entry."""
    return {"bolted": int(int(name["pages"]) / 100 + 0.5), "pause_ns": None,
            "longest_step_ns": None, "steps": None}


COUNTERS = {"harvest": harvest_counters, "mark": mark_counters,
            "mark_range": mark_range_counters, "coalesce": harvest_counters,
            "merge": merge_counters,
            "fault": fault_counters, "protect": protect_counters,
            "split": reshape_counters, "collapse": reshape_counters,
            "mmu_harvest": mmu_harvest_counters,
            "hpte": lambda _name: {"ops": HPTE_CALLS},
            "hpte_threads":
                lambda name: {"pairs": int(name["threads"]) * HPT_PAIRS},
            "hpt_reset": lambda name: {"bytes": 2 << int(name["order"])},
            "hpt_harvest": hpt_harvest_counters,
            "hpt_resize": hpt_resize_counters,
            "parallel": parallel_counters}

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


def left_out(text):
    """Benchmarks that this machine cannot do: KVM's, and those for which it
    has too few CPUs."""
    lines = [line.split()[0] for line in text.splitlines()
             if "left out: this machine" in line]
    spare = ["kvm"] + [f"workers-{n}" for n in (2, 4, 8)
                       if n > os.cpu_count()]
    check(all(fields(n)["method"] in spare for n in lines),
          "only the kernel's own log and workers may be missing", lines)
    return lines


def check_table(text, expected_names):
    rows = [line.split() for line in text.splitlines()
            if "/method:" in line and "left out:" not in line]
    check([row[0] for row in rows] == expected_names, "a row a benchmark",
          text)
    for row in rows:
        check(len(row) == 5 and row[2] in ("ns", "us", "ms", "s") and
              row[3].endswith("%"), "a row has its columns", row)
        name = fields(row[0])
        if name["method"] == BASELINES[name["suite"]]:
            check(row[4] == "1.000", "the baseline is once itself", row)


def check_measuring():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        done = glean("bench", "--quick", "--json", path)
        small = without(quick_names(), left_out(done.stdout))
        check(done.returncode == 0 and done.stderr == "", "--json FILE", done)
        check_table(done.stdout, small)
        with open(path, encoding="utf-8") as file:
            check_json(file.read(), small, 3)

    some = [n for n in quick_names() if n.startswith("harvest/") and
            "density:0.01/" in n]
    done = glean("bench", "--quick", "--json", "-", "--repetitions", "5",
                 "--filter", "^harvest/.*density:0.01/")
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


def joined(names):
    return " or ".join(", ".join(names).rsplit(", ", 1))


def check_kernels():
    """Each that this CPU runs measures alike; others are told apart."""
    kernels = json.loads(glean("info", "--json").stdout)["scan_kernels"]
    usable = [k["name"] for k in kernels if k["usable"]]
    some = ("bench", "--quick", "--repetitions", "1", "--json", "-",
            "--filter", "^harvest/.*density:0.01/.*:glean$")
    for name in usable:
        done = glean(*some, "--kernel", name)
        check(done.returncode == 0 and json.loads(done.stdout)["context"][
            "scan_kernel"] == name, f"--kernel {name} is used", done)
    done = glean(*some)
    check(json.loads(done.stdout)["context"]["scan_kernel"] == usable[-1],
          "else it is the best", done)
    for name in [k["name"] for k in kernels if not k["usable"]]:
        done = glean(*some, "--kernel", name)
        check(done.returncode == 2 and done.stdout == "" and done.stderr ==
              f"glean bench: --kernel: this CPU cannot run '{name}': give "
              f"{joined(usable)}\n", f"--kernel {name} is refused", done)
    done = glean("bench", "--list", "--kernel", "scala")
    check(done.returncode == 2 and done.stdout == "" and done.stderr ==
          "glean bench: --kernel: 'scala' is not a scan kernel: give "
          f"{joined(usable)}\n", "a wrong name is answered by the right ones",
          done)


# --- comparing and drawing what was measured, here made up ---

NAME = "harvest/pages:{}/density:{}/pattern:uniform/method:{}"


def entry(name, time, unit="ns", **more):
    return {"name": name, "run_name": name, "run_type": "iteration",
            "iterations": 1, "real_time": time, "cpu_time": time,
            "time_unit": unit, **more}


def write(folder, file, entries):
    path = os.path.join(folder, file)
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"context": {}, "benchmarks": entries}, out)
    return path


def times(name, *values, **more):
    return [entry(name, value, **more) for value in values]


def compared(folder, before, now, *args):
    """The verdicts, by name, the last line, and the exit status."""
    done = glean("bench", "--baseline", write(folder, "before", before),
                 "--results", write(folder, "now", now), *args)
    lines = done.stdout.splitlines()
    words = [line.split() for line in lines[1:-1]]
    return {w[0]: w[-1] for w in words}, lines[-1:], done


def check_verdicts(folder):
    level = (100, 101, 102, 103, 104)
    for what, before, now, verdict, status, *args in (
            ("slower", level, (120, 121, 122, 123, 124), "slower", 1),
            ("faster", level, (80, 81, 82, 83, 84), "faster", 0),
            ("equal", level, level, "same", 0),
            ("within the threshold", level, (104.5, 105, 105.5, 106, 106.5),
             "same", 0),
            ("past a smaller one", level, (104.5, 105, 105.5, 106, 106.5),
             "slower", 1, "--threshold", "1"),
            ("within a larger one", level, (120, 121, 122, 123, 124), "same",
             0, "--threshold", "30"),
            ("not significant", level, (90, 100, 120, 130, 95), "same", 0),
            ("a median alone says nothing", (50, 60, 100, 300, 400),
             (40, 70, 200, 310, 390), "same", 0),
            ("too few to tell", level[:3], (120, 121, 122), "undecided", 0)):
        verdicts, _, done = compared(folder, times("a", *before),
                                     times("a", *now), *args)
        check(verdicts == {"a": verdict} and done.returncode == status,
              f"compare: {what}", done)

    slow = times("a", *(0.12 + i / 1000 for i in range(5)), unit="us")
    verdicts, _, done = compared(folder, times("a", *level), slow)
    check(verdicts == {"a": "slower"}, "compare: units are minded", done)

    means = [entry("a_mean", 1, run_name="a", run_type="aggregate")]
    verdicts, last, done = compared(
        folder, times("a", *level) + times("old", *level),
        times("a", *level) + times("new", 1, 2) + times("b", 3) + means)
    check(verdicts == {"a": "same"} and done.returncode == 0 and
          last == ["0 slower, 0 faster, 1 the same; 1 only in the baseline, "
                   "2 not in it"], "compare: what only one has", done)
    verdicts, _, done = compared(
        folder, times("a", *level) + times("b", *level),
        times("a", *level) + times("b", *(2 * t for t in level)),
        "--filter", "^a$")
    check(verdicts == {"a": "same"} and done.returncode == 0,
          "compare: --filter", done)


def check_run_against_baseline(folder):
    """A run against what it cannot reach, and against what it must."""
    args = ("bench", "--quick", "--repetitions", "5", "--filter",
            "^mark_range/kind:dirty/pages:64/")
    names = [n for n in mark_names() if "kind:dirty/pages:64/" in n]
    for what, factor, status in (("ages", 1e6, 0), ("no time", 1e-6, 1)):
        before = [e for n in names
                  for e in times(n, *(factor * t for t in range(1, 6)))]
        path = write(folder, "before", before)
        out = os.path.join(folder, "json")
        done = glean(*args, "--baseline", path, "--json", out)
        check(done.returncode == status, f"a run against {what}", done)
        with open(out, encoding="utf-8") as file:
            check(len(json.load(file)["benchmarks"]) == len(names) * (5 + 4),
                  "slower or not, the results are there")


def check_bad_files(folder):
    good = times("a", 1, 2, 3)
    for what, entries in (
            ("a name that drives a terminal", times("a\x1b[2J", 1)),
            ("no name", [{k: v for k, v in good[0].items()
                          if k not in ("name", "run_name")}]),
            ("no time", [{k: v for k, v in good[0].items()
                          if k != "real_time"}]),
            ("a time that is text", times("a", "1")),
            ("a negative time", times("a", -1)),
            ("an unknown unit", times("a", 1, unit="weeks")),
            ("a thousand and one repetitions", times("a", *range(1001))),
            ("an entry that is a number", [1]), ("no array", 1)):
        verdicts, _, done = compared(folder, copy.deepcopy(entries), good)
        check(done.returncode == 2 and verdicts == {} and
              "is not what --json writes" in done.stderr and
              len(done.stderr.splitlines()) == 1, f"a file with {what}", done)
    _, _, done = compared(folder, good, times("b", 1))
    check(done.returncode == 2 and "has none of these" in done.stderr,
          "nothing in common", done)


def check_plots(folder):
    results = [e for p in PAGES[:2] for d in ("0", "1e-06", "0.01", "1")
               for i, m in enumerate(("glean", "seed"))
               for e in times(NAME.format(p, d, m), 100 + i, 90 + i)]
    odd = "'`rm -rf`\"$(x)"
    results += [e for d in ("0.1", "1") for e in
                times(f"suite/{odd}/density:{d}/method:m", 7 * float(d))]
    path = write(folder, "results", results)
    out = os.path.join(folder, "curves")
    nowhere = clean_environment(PATH=folder)
    done = glean("bench", "--results", path, "--plot", out, env=nowhere)
    check(done.returncode == 3 and done.stderr == "glean bench: --plot: "
          "gnuplot is not installed: apt-get install gnuplot-nox\n",
          "without gnuplot the remedy is told", done)
    if not shutil.which("gnuplot"):
        print("skip: no gnuplot: apt-get install gnuplot-nox")
        return

    done = glean("bench", "--results", path, "--plot", out)
    names = [f"density-harvest-pages-{p}-pattern-uniform" for p in PAGES[:2]]
    names += ["density-suite-__rm_-rf____x_",
              "clean-harvest-density-0-pattern-uniform"]
    check(done.returncode == 0 and done.stderr == "" and
          done.stdout.splitlines() ==
          [os.path.join(out, f"{n}.svg") for n in names], "--plot DIR", done)
    check(sorted(os.listdir(out)) ==
          sorted(n + end for n in names for end in (".svg", ".gp")),
          "a chart each, and what it was made from", os.listdir(out))
    for name in names[:2]:
        text = "".join(xml.etree.ElementTree.parse(
            os.path.join(out, f"{name}.svg")).getroot().itertext())
        check("glean" in text and "seed" in text, "a curve a method", text)

    done = glean("bench", "--results", path, "--plot", out, "--filter",
                 "density:1/")
    check(done.returncode == 2 and "nothing to draw" in done.stderr,
          "one density makes no curve", done)
    done = glean("bench", "--results", path, "--plot", "/dev/null/curves")
    check(done.returncode == 2 and "cannot be made" in done.stderr,
          "no folder", done)


def check_afterwards():
    with tempfile.TemporaryDirectory() as folder:
        check_verdicts(folder)
        check_run_against_baseline(folder)
        check_bad_files(folder)
        check_plots(folder)


def main():
    check_list()
    check_measuring()
    check_kernels()
    check_afterwards()
    finish()


main()
