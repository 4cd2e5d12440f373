# SPDX-License-Identifier: BSD-2-Clause
"""Hold the built libraries to their interface, as nm sees it.

    python3 cmake/check_symbols.py shared NM libglean.so
	exports exactly the functions that the headers mark GLN_PUBLIC
    python3 cmake/check_symbols.py core NM libglean-core.a
	needs nothing but four functions of C and the hooks of platform.h
    python3 cmake/check_symbols.py prefix NM libglean.a
	defines no global name that could meet one of the embedder's
"""
import re
import subprocess
import sys

import glean_tree

HOSTED_HEADERS = {"process.h", "ref.h", "host.h", "model.h", "workers.h"}
FOUR = {"memcpy", "memmove", "memset", "memcmp"}
# The linker's own, wherever position-independent code is made.
LINKER = {"_GLOBAL_OFFSET_TABLE_", ".TOC."}
# What sys/sdt.h defines for its probes: weak, and the same in everybody's code.
PROBES = "_.stapsdt.base"


def symbols(nm, library, *options):
    """{name: type} as nm tells them."""
    said = subprocess.run([nm, *options, library], check=True,
                          capture_output=True, text=True).stdout
    return {match.group(2): match.group(1) for match in
            re.finditer(r"^[0-9a-f ]* ([A-Za-z]) (\S+)$", said, re.M)}


def declared():
    functions = glean_tree.public_functions(glean_tree.ROOT)
    return {name for header in functions.values() for name in header}


def check_shared(nm, library):
    exported = {name.split("@")[0] for name in symbols(
        nm, library, "-D", "--defined-only", "--extern-only")}
    wanted = declared()
    return [f"{name}: declared GLN_PUBLIC, not exported"
            for name in sorted(wanted - exported)] + \
           [f"{name}: exported, not declared GLN_PUBLIC"
            for name in sorted(exported - wanted)]


def check_core(nm, library):
    undefined = set(symbols(nm, library, "-u"))
    defined = set(symbols(nm, library, "--defined-only"))
    platform = glean_tree.without_comments(glean_tree.read(
        glean_tree.ROOT, "include/glean/platform.h"))
    hooks = set(re.findall(r"\b(gln_plat_\w+)\s*\(", platform))
    functions = glean_tree.public_functions(glean_tree.ROOT)
    wanted = {name for header, named in functions.items()
              if header not in HOSTED_HEADERS for name in named}
    return [f"{name}: needed, and no embedder has it" for name in
            sorted(undefined - defined - FOUR - hooks - LINKER)] + \
           [f"{name}: declared GLN_PUBLIC, not defined" for name in
            sorted(wanted - defined)]


def check_prefix(nm, library):
    return [f"{name}: a global name needs the prefix gln_ or glni_"
            for name in sorted(symbols(nm, library, "--defined-only",
                                       "--extern-only"))
            if not name.startswith(("gln_", "glni_")) and name != PROBES]


if __name__ == "__main__":
    kind, nm, library = sys.argv[1:4]
    sys.exit(glean_tree.report(f"symbols of {library}", {
        "shared": check_shared,
        "core": check_core,
        "prefix": check_prefix,
    }[kind](nm, library)))
