# SPDX-License-Identifier: BSD-2-Clause
"""Leave one compile command for each source, for checkers that read text.

    python3 cmake/one_command_each.py COMPILE_COMMANDS.json DIRECTORY

The first that compiles it for libglean, or else the first. Sources that are
made while building are left out. Prints the names of those that are left.
"""
import json
import os
import sys

import glean_tree


def is_hosted(entry):
    return "-DGLN_HOSTED=1" in entry["command"]


def main(commands, directory):
    sources = {os.path.join(glean_tree.ROOT, name)
               for name in glean_tree.files(glean_tree.ROOT, (".c",))}
    best = {}

    with open(commands, encoding="utf-8") as source:
        for entry in json.load(source):
            name = entry["file"]
            if name in sources and (name not in best or is_hosted(entry)
                                    and not is_hosted(best[name])):
                best[name] = entry
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "compile_commands.json"), "w",
              encoding="utf-8") as target:
        json.dump(list(best.values()), target, indent=1)
    print("\n".join(sorted(best)))


if __name__ == "__main__":
    main(*sys.argv[1:])
