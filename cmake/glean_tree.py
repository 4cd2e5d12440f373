# SPDX-License-Identifier: BSD-2-Clause
"""The tree, as the checkers and tests/run.sh see it.

    python3 cmake/glean_tree.py [SUFFIX...]

prints the files that belong to the tree, one a line: what git tracks or would
track, or, where there is no git, everything outside build/.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def _git_files(root):
    """None where git is missing, or the tree is no repository of its own."""
    git = ["git", "-c", "safe.directory=*", "-C", str(root)]
    try:
        top = subprocess.run(git + ["rev-parse", "--show-toplevel"],
                             capture_output=True, text=True)
        if top.returncode or not os.path.samefile(top.stdout.strip(), root):
            return None
        said = subprocess.run(
            git + ["ls-files", "-z", "--cached", "--others",
                   "--exclude-standard"],
            capture_output=True, text=True, check=True)
    except OSError:
        return None
    return [name for name in said.stdout.split("\0") if name]


def _found_files(root):
    names = []
    for here, directories, files in os.walk(root):
        below = os.path.relpath(here, root)
        directories[:] = [d for d in directories
                          if d not in (".git", "__pycache__")
                          and not (below == "." and d == "build")]
        names += [os.path.normpath(os.path.join(below, f)) for f in files]
    return names


def files(root=ROOT, suffixes=()):
    """Paths below root, sorted, of files that exist."""
    names = _git_files(root)
    if names is None:
        names = _found_files(root)
    return sorted(name for name in set(names)
                  if (not suffixes or name.endswith(tuple(suffixes)))
                  and os.path.isfile(os.path.join(root, name)))


def read(root, name):
    return pathlib.Path(root, name).read_text(encoding="utf-8")


def without_comments(text):
    """C text with comments and string contents blanked, lines kept."""
    def blank(match):
        token = match.group(0)
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[-1]

    comment = r"/\*.*?\*/|//[^\n]*"
    string = r'"(?:\\.|[^"\\\n])*"'
    character = r"'(?:\\.|[^'\\\n])*'"
    return re.sub("|".join((comment, string, character)), blank, text,
                  flags=re.S)


def public_functions(root):
    """{header name: [function marked GLN_PUBLIC, ...]}"""
    found = {}
    for name in files(root, (".h",)):
        if not name.startswith("include/glean/"):
            continue
        text = without_comments(read(root, name))
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        found[os.path.basename(name)] = re.findall(
            r"\bGLN_PUBLIC\b[^;(]*?\b(\w+)\s*\(", text)
    return found


def report(checker, problems):
    """Print problems as `file:line: what` and give the exit status."""
    for problem in problems:
        print(problem)
    print(f"{checker}: {len(problems)} problems" if problems
          else f"{checker}: ok")
    return 1 if problems else 0


if __name__ == "__main__":
    print("\n".join(files(ROOT, tuple(sys.argv[1:]))))
