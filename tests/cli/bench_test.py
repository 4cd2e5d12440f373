# SPDX-License-Identifier: BSD-2-Clause
"""glean bench: names, selection, and Google Benchmark's JSON."""

import json
import os
import statistics
import tempfile

from support import check, finish, glean

PAGES = (1048576, 16777216, 268435456)
DENSITIES = ("0", "1e-06", "0.0001", "0.01", "0.1", "0.5", "1")


def names(pages):
    return [f"harvest/pages:{p}/density:{d}/pattern:uniform/method:{m}"
            for p in pages for d in DENSITIES for m in ("glean", "seed")]


def check_list():
    done = glean("bench", "--list", "--filter", "^harvest/")
    check(done.stdout.splitlines() == names(PAGES), "--list has every name",
          done.stdout)
    done = glean("bench", "--list", "--quick")
    check(done.stdout.splitlines() == names(PAGES[:1]),
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


def check_iterations(name, runs, repetitions):
    pages = int(name.split("/")[1].split(":")[1])
    density = float(name.split("/")[2].split(":")[1])
    check([r["repetition_index"] for r in runs] == list(range(repetitions)),
          f"{name}: every repetition, in order", runs)
    for run in runs:
        check(run["name"] == name and run["repetitions"] == repetitions and
              run["threads"] == 1 and run["time_unit"] == "ns" and
              run["iterations"] >= 1 and run["real_time"] > 0 and
              run["cpu_time"] >= 0, f"{name}: a repetition", run)
        check(run["dirty_pages"] == int(density * pages + 0.5),
              f"{name}: its dirty pages are those asked for", run)


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
            if line.startswith("harvest/")]
    check([row[0] for row in rows] == expected_names, "a row a benchmark",
          text)
    for row in rows:
        check(len(row) == 5 and row[2] in ("ns", "us", "ms", "s") and
              row[3].endswith("%"), "a row has its columns", row)
        if row[0].endswith("method:seed"):
            check(row[4] == "1.000", "the baseline is once itself", row)


def check_measuring():
    all_small = names(PAGES[:1])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        done = glean("bench", "--quick", "--json", path)
        check(done.returncode == 0 and done.stderr == "", "--json FILE", done)
        check_table(done.stdout, all_small)
        with open(path, encoding="utf-8") as file:
            check_json(file.read(), all_small, 3)

    some = [n for n in all_small if "density:0.01/" in n]
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
