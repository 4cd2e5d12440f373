# SPDX-License-Identifier: BSD-2-Clause
"""What the command says, to the letter: golden/*.txt hold transcripts.

    $ glean help run      a command line, quoted as for a shell
    = 0                   its exit status
    > text                a line of its standard output
    ! text                a line of its standard error

`transcript_test.py GLEAN --write` writes the answers anew; read the diff.
"""

import glob
import os
import re
import shlex
import sys

from support import check, finish, glean

HERE = os.path.dirname(os.path.abspath(__file__))


def answer(line):
    """The transcript of one command line."""
    argv = shlex.split(line)
    assert argv[0] == "glean", line
    done = glean(*argv[1:])
    out = [f"> {text}".rstrip() for text in done.stdout.splitlines()]
    err = [f"! {text}".rstrip() for text in done.stderr.splitlines()]
    return [f"= {done.returncode}", *out, *err]


def blocks(path):
    """Comments and blank lines as they are, commands with what follows."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    for line in lines:
        if not re.match(r"[=>!]", line):
            yield line


def transcript(path):
    """What the file should be, by the command's own account."""
    text = []
    for line in blocks(path):
        text.append(line)
        if line.startswith("$ "):
            text += answer(line[2:])
    return text


def split_by_command(lines):
    parts, at = {}, None
    for line in lines:
        if line.startswith("$ "):
            at = line
        if at and line.strip() and not line.startswith("#"):
            parts.setdefault(at, []).append(line)
    return parts


def compare(path):
    with open(path, encoding="utf-8") as file:
        golden = split_by_command(file.read().splitlines())
    now = split_by_command(transcript(path))
    check(golden, f"{path} has commands")
    for line, expected in golden.items():
        check(now[line] == expected, f"{os.path.basename(path)}: {line}",
              "expected:", *expected, "got:", *now[line])


def check_shape(path):
    """Rules that hold for all transcripts, whatever the texts are."""
    with open(path, encoding="utf-8") as file:
        parts = split_by_command(file.read().splitlines())
    for line, text in parts.items():
        out = [t for t in text if t.startswith(">")]
        err = [t for t in text if t.startswith("!")]
        if text[1] == "= 0":
            check(not err, f"{line}: no error is printed on success")
            for t in out:
                check(len(t) - 2 <= 80, f"{line}: lines fit 80 columns", t)
        else:
            check(len(err) == 1, f"{line}: an error is one line", *text)
            check(not out, f"{line}: errors leave standard output empty")


def main():
    paths = sorted(glob.glob(os.path.join(HERE, "golden", "*.txt")))
    for path in paths:
        if "--write" in sys.argv:
            text = "\n".join(transcript(path)) + "\n"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        compare(path)
        check_shape(path)
    finish()


main()
