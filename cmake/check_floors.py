# SPDX-License-Identifier: BSD-2-Clause
"""Hold the tree to its floors, from the #include lines.

    python3 cmake/check_floors.py [ROOT]

A file includes its own module and floors below it; the core never names a
backend; a backend meets the core in <glean/backend.h> only; the command sees
what any stranger sees; third-party headers stay at their posts. The tables
below are the whole of the rule.
"""
import re
import sys

import glean_tree

# Modules of the core, by floor. Two on one floor do not know each other.
FLOORS = {
    "core/base": 1,
    "core/sync": 2,
    "core/bitmap": 3,
    "core/radix": 3,
    "core/hpt": 4,  # above bitmap: what to look at in a harvest is one
    "core/slot": 4,
    "core/wp": 5,
    "core/dirty": 6,
    "core/vm": 7,
}

# What else may include which parts of the core, besides its own directory.
GUESTS = {
    "core/host": {"core/base", "core/sync", "core/bitmap"},
    "backends/process": {"core/base"},
    "backends/kvm": {"core/base"},
    "backends/model": {"core/base"},
    "backends/ref": set(),  # the oracle shares no code with the core
    "backends/x86_ept": {"core/base", "core/radix"},
    "backends/arm_s2": {"core/base", "core/radix"},
    "backends/book3s_hv": {"core/base", "core/hpt"},
}

# Built for libglean alone, so any C or system header will do.
HOSTED = {"core/host", "backends/process", "backends/kvm", "backends/ref",
          "backends/model"}

# The model of an MMU stands beside its backend, and shares an entry's layout
# with it and nothing else. It is hosted, and builds on what all models share.
MODEL = re.compile(r"backends/(x86_ept|arm_s2|book3s_hv)/model\w*\.[ch]")
ENTRY = re.compile(r"backends/(x86_ept|arm_s2)/entry\.h")
# The POWER backend has its entries from the engine below it.
ENGINE_ENTRY = {"backends/book3s_hv": "core/hpt/entry.h"}

# What no stranger could measure: the lock of an entry.
LOOKS_INSIDE = {("bench/suite/hpte.c", "core/hpt/hpte.h")}

# The C headers that the freestanding library may include.
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "limits.h"}

PUBLIC = {"stdint.h", "stddef.h", "stdbool.h"}

# The compiler's own headers, for the files that depend on the CPU.
COMPILER = {
    "core/bitmap/kernel": r"(cpuid|immintrin|arm_neon|altivec)\.h",
}

# What a freestanding module may include under `#if GLN_HOSTED`.
WHEN_HOSTED = {
    "core/base": r"errno\.h|sys/sdt\.h",
}

# Header pattern: directories that may include it.
POSTS = [
    (r"urcu.*", ("core/sync",)),
    (r"jemalloc/.*", ("core/host",)),
    (r"hwloc(/.*|\.h)", ("core/host",)),
    (r"criterion/.*", ("tests/unit", "tests/support")),
    (r"jansson\.h", ("bench", "core/host")),
]
STDATOMIC = "core/base/atomic.h"  # the one file of the core that knows it

BACKEND_NAMES = r"\b(?:gln|glni)_(?:backend_)?(process|ref|kvm|x86_ept" \
                r"|arm_s2|book3s_hv)_\w+"


def module_of(name):
    parts = name.split("/")
    if parts[0] in ("core", "backends") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def is_below(name, directory):
    return name == directory or name.startswith(directory + "/")


def includes(text):
    """(line, header, quoted, under GLN_HOSTED) of each #include."""
    depth = []
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        if not match:
            continue
        word, rest = match.groups()
        if word in ("if", "ifdef", "ifndef"):
            depth.append(word == "if" and
                         re.match(r"GLN_HOSTED\b", rest) is not None)
        elif word in ("else", "elif") and depth:
            depth[-1] = False
        elif word == "endif" and depth:
            depth.pop()
        elif word == "include":
            header = re.match(r'[<"]([^>"]+)[>"]', rest)
            if header:
                yield number, header.group(1), rest[0] == '"', any(depth)
            else:
                yield number, rest.strip(), True, any(depth)


def check_own(name, header):
    """An include of a file of this tree, by its path from the root."""
    module, target = module_of(name), module_of(header)

    if module == "tests":
        return None
    if module == "include":
        return "a public header includes <glean/...> only"
    if MODEL.fullmatch(name):
        if target in ("backends/model", "core/base"):
            return None
        if target == module and (MODEL.fullmatch(header)
                                 or ENTRY.fullmatch(header)):
            return None
        if header == ENGINE_ENTRY.get(module):
            return None
        return "a model knows entry.h of its backend, and nothing else of it"
    if MODEL.fullmatch(header):
        return "a model is no part of its backend"
    if module == target:
        return None
    if (name, header) in LOOKS_INSIDE:
        return None
    if module == "bench":
        return "bench includes <glean/...> only, as a stranger would"
    if target == "backends" or target.startswith("backends/"):
        return "a backend is named by nobody but itself"
    if module in FLOORS and target in FLOORS:
        if FLOORS[target] < FLOORS[module]:
            return None
        return (f"{module} is on floor {FLOORS[module]}, "
                f"{target} on {FLOORS[target]}: not below it")
    allowed = GUESTS.get(module)
    if allowed is not None and target in allowed:
        return None
    return f"{module} may not include {target}"


def check_system(name, header, hosted):
    """An include of a header of C, the system or a third party."""
    module = module_of(name)

    if header == "stdatomic.h" and module.startswith(("core/", "backends/")) \
            and module != "backends/ref":
        return None if name == STDATOMIC else \
            f"only {STDATOMIC} knows <stdatomic.h>"
    for pattern, posts in POSTS:
        if re.fullmatch(pattern, header):
            if not any(is_below(name, post) for post in posts):
                return f"<{header}> belongs to {' and '.join(posts)} only"
            if module in FLOORS and not hosted:
                return f"<{header}> without #if GLN_HOSTED"
            return None
    if module == "include":
        return None if header in PUBLIC else \
            f"a public header may include {', '.join(sorted(PUBLIC))} only"
    if module in FLOORS or module in GUESTS and module not in HOSTED \
            and not MODEL.fullmatch(name):
        if header in FREESTANDING:
            return None
        extra = WHEN_HOSTED.get(module)
        if hosted and extra and re.fullmatch(extra, header):
            return None
        for stem, pattern in COMPILER.items():
            if name.startswith(stem) and re.fullmatch(pattern, header):
                return None
        return f"{module} is freestanding: no <{header}>"
    return None


def check_include(root_names, name, header, quoted, hosted):
    module = module_of(name)

    if header.startswith("glean/"):
        public = "include/" + header
        if public not in root_names:
            return f"there is no {public}"
        if quoted:
            return f"public headers are included as <{header}>"
        if module in FLOORS and header in ("glean/process.h", "glean/ref.h",
                                           "glean/host.h", "glean/glean.h"):
            return f"the freestanding core includes no <{header}>"
        return None
    if not quoted:
        return check_system(name, header, hosted)
    if header not in root_names:
        return f'write "{header}" as a path from the root of the tree'
    return check_own(name, header)


def check(root):
    names = set(glean_tree.files(root, (".c", ".h")))
    problems = []

    for name in sorted(names):
        module = module_of(name)
        if module.startswith("core/") and module != "core/host" \
                and module not in FLOORS:
            problems.append(f"{name}: {module} has no floor; give it one in "
                            "cmake/check_floors.py")
        if module.startswith("backends/") and module not in GUESTS:
            problems.append(f"{name}: {module} is no known backend; name it "
                            "in cmake/check_floors.py")
        text = glean_tree.read(root, name)
        for number, header, quoted, hosted in includes(text):
            why = check_include(names, name, header, quoted, hosted)
            if why:
                problems.append(f"{name}:{number}: {why}")
        if module.startswith("core/"):
            code = glean_tree.without_comments(text)
            for number, line in enumerate(code.split("\n"), 1):
                for found in re.finditer(BACKEND_NAMES, line):
                    problems.append(f"{name}:{number}: the core names a "
                                    f"backend: {found.group(0)}")
    return problems


if __name__ == "__main__":
    sys.exit(glean_tree.report("floors", check(
        sys.argv[1] if len(sys.argv) > 1 else glean_tree.ROOT)))
