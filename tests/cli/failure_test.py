# SPDX-License-Identifier: BSD-2-Clause
"""When things go wrong under the command: status, one line, no crash.

A saboteur (saboteur.c) makes the library fail; signals and a full disk come
from here. Sanitizers must be loaded first, so saboteurs are left out there.
"""

import json
import os
import re
import signal
import subprocess

from support import (GUEST, GUEST_MIB, PATIENCE, check, clean_environment, finish,
                     glean, glean_path, is_sanitized, saboteur_path)

# A guest that is surely written while it is copied.
BUSY = (*GUEST, "--vcpus", "4", "--rate", "0", "--max-rounds", "3")


def sabotaged(what, *args):
    return glean(*args, env=clean_environment(LD_PRELOAD=saboteur_path(),
                                              SABOTAGE=what))


def check_lost_writes():
    """Marks that are thrown away must show as bytes that differ."""
    for more in ((), ("--backend", "ref"), ("--tracker", "mprotect")):
        done = sabotaged("lose", *BUSY, "--json", *more)
        result = json.loads(done.stdout)
        check(done.returncode == 1 and result["verified"] is False and
              result["mismatched_pages"] > 0,
              f"lost writes are seen {more}", done)
    done = sabotaged("lose", *BUSY)
    check(done.returncode == 1 and re.search(
          r"^verified  NO: \d+ of 16384 pages differ$", done.stdout, re.M),
          "lost writes are told", done.stdout)
    done = sabotaged("none", *GUEST, "--json")
    check(done.returncode == 0, "without sabotage it is verified", done)


def check_errors():
    for what, status, line in (
            ("wild", 1, "walking a harvest failed: Numerical result out of "
             "range"),
            ("answer", 1, "walking a harvest failed: Numerical result out of "
             "range"),
            ("harvest", 1, "harvesting failed: Input/output error"),
            ("enable", 1, "switching on the log failed: Operation not "
             "supported"),
            ("vcpu", 3, "starting the vCPUs failed: Cannot allocate memory"),
            ("memory", 3, "making the VM failed: Cannot allocate memory"),
            ("tracker", 3, "--tracker: sabotaged")):
        done = sabotaged(what, *GUEST, "--json")
        check((done.returncode, done.stdout,
               done.stderr.splitlines()[-1:]) ==
              (status, "", [f"glean run: {line}"]), f"sabotage: {what}", done)

    for what, status, line in (
            ("answer", 1, "the answer is wrong"),
            ("wild", 1, "the answer is wrong"),
            ("harvest", 1, "Input/output error"),
            ("enable", 1, "Operation not supported"),
            ("memory", 3, "not enough memory")):
        done = sabotaged(what, "bench", "--quick", "--filter",
                         "density:0.5/.*:glean")
        check(done.returncode == status and done.stderr ==
              "glean bench: harvest/pages:1048576/density:0.5/pattern:uniform/"
              f"method:glean: {line}\n", f"bench, sabotage: {what}", done)


def check_machines():
    """What fails under a vCPU, or in a log of its own kind."""
    stuck = ("--pattern", "uniform", "--blocks", "off", *BUSY[len(GUEST):])
    for what, status, line, *args in (
            ("fault", 1, "storing to the guest failed: Bad address", *stuck),
            ("mmio", 1, "storing to the guest failed: Input/output error",
             *stuck),
            ("ring", 1, "fetching from a ring failed: Numerical result out of "
             "range", "--log", "ring", *stuck),
            ("reset", 1, "resetting the rings failed: Numerical result out of "
             "range", "--log", "ring", *stuck),
            ("clear", 1, "clearing the dirty log failed: Input/output error",
             "--log", "manual"),
            ("vcpu", 3, "starting the vCPUs failed: Cannot allocate memory"),
            ("enable", 1, "switching on the log failed: Operation not "
             "supported")):
        for backend in ("x86_ept", "arm_s2"):
            done = sabotaged(what, *GUEST, "--json", "--backend", backend,
                             *args)
            check((done.returncode, done.stdout,
                   done.stderr.splitlines()[-1:]) ==
                  (status, "", [f"glean run: {line}"]),
                  f"{backend}, sabotage: {what}", done)


def check_signals():
    for number, name in ((signal.SIGINT, "SIGINT"),
                         (signal.SIGTERM, "SIGTERM")):
        job = subprocess.Popen(
            [glean_path(), "run", "--memory", f"{max(256, GUEST_MIB)}M", "--rate",
             "0", "--downtime", "1", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=clean_environment())
        line = "the table starts"
        while line and not line.startswith("round "):
            line = job.stderr.readline()
        job.send_signal(number)
        out, err = job.communicate(timeout=PATIENCE)
        check(job.returncode == 128 + number, f"{name}: 128 and its number",
              job.returncode, err)
        check(out == "", f"{name}: no half answer", out)


def check_full_disk():
    for args in (("--version",), ("help",), ("info",), ("info", "--json"),
                 ("bench", "--list"), GUEST, (*GUEST, "--json")):
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = glean(*args, stdout=full)
        check(done.returncode == 1 and done.stderr.splitlines()[-1:] and
              done.stderr.splitlines()[-1].startswith("glean"),
              f"a full disk is told: {args}", done)


def check_memory():
    page = os.sysconf("SC_PAGESIZE")
    for size in ("1", str(page - 1), str(page + 1), "16777217"):
        done = glean("run", "--memory", size)
        check((done.returncode, done.stdout, done.stderr) ==
              (2, "", f"glean run: --memory: '{size}' is not a whole number "
               f"of pages: give a multiple of {page // 1024} KiB\n"),
              f"--memory {size} is no number of pages", done)
    for size in ("1T", "4096T", "8388607T"):
        done = glean("run", "--memory", size)
        check(done.returncode == 3 and done.stdout == "" and re.fullmatch(
              r"glean run: --memory: a guest of [\d.]+ TiB and its copy need "
              r"[\d.]+ TiB and this machine has [\d.]+ [KMGT]iB available: "
              r"give \d+M or less\n", done.stderr),
              f"--memory {size} is too much here", done)


def main():
    check_signals()
    check_full_disk()
    check_memory()
    if not is_sanitized():
        check_lost_writes()
        check_errors()
        check_machines()
    finish()


main()
