# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of the command share: run it, check, say what was wrong.

A test is a script `NAME_test.py GLEAN [SABOTEUR [BREAKABLE]]`: the command; a
library for LD_PRELOAD that makes the library under it fail (saboteur.c), or the
word `sanitized` in its place: guests are smaller and slower then; the command
once more, on a library that `--break` can break. It exits 0 if all its checks
hold, 1 after printing those that do not, 77 if it cannot run here.
"""

import os
import subprocess
import sys

# Seconds after which a command counts as hung: sanitizers are slow, and so is a
# machine that others use too.
PATIENCE = 600

_failures = []
_checks = 0


def glean_path():
    return os.path.abspath(sys.argv[1])


def breakable_path():
    return os.path.abspath(sys.argv[3])


def is_sanitized():
    return "sanitized" in sys.argv[2:]


def saboteur_path():
    return os.path.abspath(sys.argv[2])


# Most tests' guest, in MiB, and what makes a run of it short.
GUEST_MIB = 8 if is_sanitized() else 64
GUEST = ("run", "--memory", f"{GUEST_MIB}M",
         *(("--rate", "5000") if is_sanitized() else ()))


def clean_environment(**changes):
    """An environment in which nothing asks for colour, or against it."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("NO_COLOR", "TERM", "LD_PRELOAD")}
    env.update(LC_ALL="C", **changes)
    return env


def glean(*args, env=None, stdout=subprocess.PIPE, before=None, path=None):
    """Run the command, or the one at @path; its output as text. @before is
    called in the child."""
    return subprocess.run([path or glean_path(), *args], stdin=subprocess.DEVNULL,
                          stdout=stdout, stderr=subprocess.PIPE,
                          env=env or clean_environment(), text=True,
                          preexec_fn=before,
                          timeout=PATIENCE)


def check(holds, what, *evidence):
    """Note a failure, with what may explain it, and go on."""
    global _checks
    _checks += 1
    if not holds:
        _failures.append(what)
        print("FAILED:", what)
        for item in evidence:
            print("   ", str(item).rstrip().replace("\n", "\n    "))
    return holds


def skip(reason):
    print("skip:", reason)
    sys.exit(77)


def finish():
    if not _checks:
        print("nothing was checked")
        sys.exit(1)
    print(f"{_checks} checks, {len(_failures)} failed")
    sys.exit(1 if _failures else 0)
