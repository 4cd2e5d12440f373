# SPDX-License-Identifier: BSD-2-Clause
"""Hold the tree to what every file and page of it owes.

    python3 cmake/check_tree.py [ROOT]

  licence     each source says BSD-2-Clause in its first lines
  words       no marks of unfinished work, no paths of somebody's machine
  manual      each public header has a page that names each of its functions,
              and mandoc finds nothing wrong with any page
  guarantees  docs/internals/guarantees.md has G1 to G11; what it cites exists
  hazards     docs/internals/hazards.md has a line for each hazard
"""
import pathlib
import re
import shutil
import subprocess
import sys

import glean_tree

LICENCE = re.compile(r'SPDX-License-Identifier"?: "?BSD-2-Clause')
LICENCE_LINES = 5  # a shebang or an opening bracket may come first
SOURCES = (".c", ".h", ".S", ".py", ".sh", ".cmake", ".in", ".md", ".json",
           ".1", ".3", "CMakeLists.txt", ".clang-format", ".clang-tidy",
           ".editorconfig", ".gitignore", ".ci/run")
# What a program printed, kept word for word to compare with.
GOLDEN = re.compile(r"(^|/)golden/")

# Spelt in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(?:" + "|".join(
    ("TO" "DO", "FIX" "ME", "XX" "X")) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}*])/(?:wo" "rk|fa" r"rm)/")

# glean.h includes the others, and says nothing of its own.
NO_PAGE = {"glean.h"}
HOOK_HEADER = "platform.h"  # its functions are the embedder's, not exported

NR_GUARANTEES = 11
HAZARDS = [f"H-{n:02}" for n in range(1, 24)] + \
          [f"H-23{letter}" for letter in "bcdef"]


def check_text(root, names, problems):
    for name in names:
        try:
            text = glean_tree.read(root, name)
        except UnicodeDecodeError:
            continue
        head = "\n".join(text.split("\n")[:LICENCE_LINES])
        if name.endswith(SOURCES) and not GOLDEN.search(name) \
                and not LICENCE.search(head):
            problems.append(f"{name}:1: no line `SPDX-License-Identifier: "
                            "BSD-2-Clause`")
        for number, line in enumerate(text.split("\n"), 1):
            for pattern in (UNFINISHED, MACHINE_PATH):
                match = pattern.search(line)
                if match:
                    problems.append(f"{name}:{number}: '{match.group(0)}' has "
                                    "no place in the tree")


def hooks(root):
    """Functions that an embedder supplies, from the platform header."""
    text = glean_tree.without_comments(
        glean_tree.read(root, f"include/glean/{HOOK_HEADER}"))
    return re.findall(r"\b(gln_plat_\w+)\s*\(", text)


def page_of(header):
    return f"docs/man/gln_{header[:-len('.h')]}.3"


def check_manual(root, names, problems):
    functions = glean_tree.public_functions(root)
    if HOOK_HEADER in functions:
        functions[HOOK_HEADER] = hooks(root)
    wanted = {page_of(header): named for header, named in functions.items()
              if header not in NO_PAGE}
    wanted["docs/man/glean.1"] = []

    for page, named in sorted(wanted.items()):
        if page not in names:
            problems.append(f"{page}: missing")
            continue
        text = glean_tree.read(root, page)
        for function in named:
            if not re.search(rf"\b{function}\b", text):
                problems.append(f"{page}: does not name {function}")

    mandoc = shutil.which("mandoc")
    for page in names:
        if mandoc and re.fullmatch(r"docs/man/.*\.[1-9]", page):
            said = subprocess.run([mandoc, "-T", "lint", "-W", "warning",
                                   page], cwd=root, capture_output=True,
                                  text=True)
            problems += [re.sub(r"^mandoc: ", "", line) for line in
                         (said.stdout + said.stderr).splitlines()]


def check_cited(root, page, text, problems):
    """Every path of this tree that a page cites exists."""
    tops = "core|backends|bench|tests|include|cmake|docs"
    for match in re.finditer(rf"(?<![\w./<-])(?:{tops})/[\w./*-]*\w", text):
        path = match.group(0)
        here = pathlib.Path(root)
        if not (list(here.glob(path)) if "*" in path
                else (here / path).exists()):
            line = text.count("\n", 0, match.start()) + 1
            problems.append(f"{page}:{line}: there is no {path}")


def check_guarantees(root, names, problems):
    page = "docs/internals/guarantees.md"
    if page not in names:
        problems.append(f"{page}: missing")
        return
    text = glean_tree.read(root, page)
    for n in range(1, NR_GUARANTEES + 1):
        if not re.search(rf"\bG{n}\b", text):
            problems.append(f"{page}: no G{n}")
    check_cited(root, page, text, problems)


def check_hazards(root, names, problems):
    page = "docs/internals/hazards.md"
    if page not in names:
        problems.append(f"{page}: missing")
        return
    text = glean_tree.read(root, page)
    for hazard in HAZARDS:
        if not re.search(rf"\b{hazard}\b", text):
            problems.append(f"{page}: no line for {hazard}")
    check_cited(root, page, text, problems)


def check(root):
    names = glean_tree.files(root)
    problems = []

    check_text(root, names, problems)
    check_manual(root, names, problems)
    check_guarantees(root, names, problems)
    check_hazards(root, names, problems)
    return problems


if __name__ == "__main__":
    sys.exit(glean_tree.report("tree", check(
        sys.argv[1] if len(sys.argv) > 1 else glean_tree.ROOT)))
