# SPDX-License-Identifier: BSD-2-Clause
"""The probes of the built library are those of the guide, and can be used.

    probes_test.py notes LIBRARY
	what readelf finds is the table of docs/guide/observe.md, and the script
	in docs/bpftrace uses nothing else
    probes_test.py bpftrace PROGRAM
	that script, on a program that harvests: it sees harvests
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/guide/observe.md"
SCRIPT = ROOT / "docs/bpftrace/harvest.bt"

SKIP = 77
LOOK_S = 2         # how long the tracer looks, once it has begun
PATIENCE_S = 60    # how long it may take to begin, or to end
PROGRAM_MS = 60000 # longer than all that; it is stopped at the end

ROW = re.compile(r"^\| `(\w+)` \| (`\w+`(?:, `\w+`)*) \|", re.M)
NOTE = re.compile(r"Provider: (\w+)\s+Name: (\w+)\s+Location:[^\n]*\n"
                  r"\s+Arguments:([^\n]*)")
USE = re.compile(r"^usdt:\*:glean:(\w+)\n\{(.*?)\n\}", re.M | re.S)


def skip(why):
    print(f"skip: {why}")
    sys.exit(SKIP)


def documented():
    """{probe: number of arguments} of the guide's table."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text[text.index("| probe | arguments |"):]
    return {name: arguments.count(",") + 1
            for name, arguments in ROW.findall(table)}


def check_notes(library):
    readelf = shutil.which("readelf")
    if not readelf:
        skip("no readelf: it is in Debian's binutils")
    said = subprocess.run([readelf, "--notes", "--wide", library], check=True,
                          capture_output=True, text=True).stdout
    wanted = documented()
    seen = set()
    problems = []

    for provider, name, arguments in NOTE.findall(said):
        nr = len(re.findall(r"-?\d+@", arguments))
        seen.add(name)
        if provider != "glean":
            problems.append(f"{name}: its provider is {provider}")
        elif name not in wanted:
            problems.append(f"{name}: not in {GUIDE}")
        elif nr != wanted[name]:
            problems.append(f"{name}: has {nr} arguments: {arguments}; "
                            f"the guide says {wanted[name]}")
    problems += [f"{name}: in the guide, not in {library}"
                 for name in sorted(set(wanted) - seen)]

    uses = USE.findall(SCRIPT.read_text(encoding="utf-8"))
    if not uses:
        problems.append(f"{SCRIPT}: uses no probe")
    for name, body in uses:
        highest = max(map(int, re.findall(r"\barg(\d)", body)), default=0)
        if highest >= wanted.get(name, 0):
            problems.append(f"{SCRIPT}: {name} has no arg{highest}")

    for problem in problems:
        print(problem)
    print(f"{len(seen)} probes")
    return 1 if problems else 0


def wait_for(text, path, process):
    """True once @text is in the file; False if the process ended before."""
    for _ in range(PATIENCE_S * 10):
        if text in path.read_text(encoding="utf-8", errors="replace"):
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


def trace(bpftrace, pid):
    """What the script says about a process; None if it cannot begin."""
    path = pathlib.Path("bpftrace.out")
    with open(path, "w", encoding="utf-8") as out:
        tracer = subprocess.Popen([bpftrace, "-p", str(pid), str(SCRIPT)],
                                  stdout=out, stderr=subprocess.STDOUT)
    begun = wait_for("Attaching", path, tracer)
    if begun:
        time.sleep(LOOK_S)
    tracer.send_signal(signal.SIGINT)
    try:
        tracer.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.wait()
    said = path.read_text(encoding="utf-8", errors="replace")
    print(said)
    return said if begun else None


def check_bpftrace(program):
    bpftrace = shutil.which("bpftrace")
    if not bpftrace:
        skip("no bpftrace: it is in Debian's bpftrace")
    if os.geteuid() != 0:
        skip("bpftrace is for root")
    traced = subprocess.Popen([program, "--ms", str(PROGRAM_MS)],
                              stdout=subprocess.DEVNULL)
    try:
        said = trace(bpftrace, traced.pid)
    finally:
        traced.kill()
        traced.wait()
    if said is None or "@" not in said and "ERROR" in said:
        skip("bpftrace cannot attach to a probe here")

    missing = [name for name in ("@harvests", "@take_ns", "@deliver_ns",
                                 "@committed_pages")
               if not re.search(rf"^{name}: *\n?.*[1-9]", said, re.M)]
    for name in missing:
        print(f"{name}: not seen")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit({"notes": check_notes, "bpftrace": check_bpftrace}[sys.argv[1]](
        sys.argv[2]))
