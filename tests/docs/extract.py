#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Take the programs out of a page of the documents.

    extract.py PAGE DIRECTORY NAME...

A line `<!-- program: NAME -->` gives the fenced block after it to the program
NAME; blocks of one name are joined in order. The page must have exactly the
programs named. Each is written to DIRECTORY/NAME, with #line directives, so
that the compiler complains about the page.
"""
import pathlib
import re
import sys

MARK = re.compile(r"<!-- program: ([\w.]+) -->")
FENCE = "```"


def programs(page):
    """{name: text} of a page; SystemExit where it is not well formed."""
    found = {}
    name = None
    inside = False

    for number, line in enumerate(page.read_text(encoding="utf-8")
                                  .splitlines(keepends=True), 1):
        if inside and line.startswith(FENCE):
            name, inside = None, False
        elif inside:
            found[name].append(line)
        elif name and line.startswith(FENCE + "c"):
            inside = True
            found.setdefault(name, []).append(
                f'#line {number + 1} "{page.as_posix()}"\n')
        elif MARK.fullmatch(line.strip()):
            name = MARK.fullmatch(line.strip()).group(1)
        elif name and line.strip():
            sys.exit(f"{page}:{number}: a block of C was to follow the mark "
                     f"of {name}")
    if name:
        sys.exit(f"{page}: the block of {name} does not end")
    return {name: "".join(lines) for name, lines in found.items()}


def main(page, directory, *wanted):
    found = programs(pathlib.Path(page))

    if sorted(found) != sorted(wanted):
        sys.exit(f"{page}: has {sorted(found)}, and {sorted(wanted)} is built")
    for name, text in found.items():
        pathlib.Path(directory, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
