# SPDX-License-Identifier: BSD-2-Clause
"""Hold every ordered access of the library to a sync tag, and tags to pairs.

    python3 cmake/check_sync_tags.py [ROOT]

A tag is one end of an ordering edge, written above the access it is about:

    /* sync mark.1 (release) -> harvest.1: guest's bytes, then the bit. */

  T1  An ordered access of core/ or backends/ (gln_*_acquire, _release,
      _acq_rel, _seq_cst, glni_fence_light, glni_fence_heavy, ...) has a tag of its
      order in a comment at most NEAR lines above it in the same function.
  T2  A tag is defined once.
  T3  A tag's partners exist, name it back, and do not point the same way.
  T4  A tag of an atomic order stands above such an access: a comment whose
      code has gone is worse than none.
  T5  Every tag has its place in docs/internals/ordering.md, and that page
      names no tag that is gone.
  T6  No atomic goes round core/base/atomic.h: its names carry the order.
"""
import re
import sys

import glean_tree

NEAR = 12  # lines between the end of a comment and an access it covers
DOCUMENT = "docs/internals/ordering.md"

# Where the primitives are defined; whoever calls them carries the tag.
DEFINITIONS = ("core/base/atomic.h", "core/sync/fence.h", "core/sync/fence.c")

# Orders an access may be tagged with, and the accesses themselves.
ACCESS = re.compile(
    r"\b(?:gln_\w+?_(acquire|release|acq_rel|seq_cst)"
    r"|(glni_fence_light|glni_fence_heavy|glni_fence_taken"
    r"|gln_fence_compiler))\s*\(")
FENCES = {
    "glni_fence_light": {"seq_cst", "light"},
    "glni_fence_heavy": {"seq_cst", "heavy"},
    "glni_fence_taken": {"seq_cst", "heavy"},
    "gln_fence_compiler": {"seq_cst", "light", "compiler"},
}
# A compiler fence is half of a heavy fence's pair only when a tag says so.
NEEDS_NO_TAG = {"gln_fence_compiler"}

# Orders that are no atomic of ours: a grace period, a lock, a system call.
OTHER_ORDERS = {"grace", "lock", "syscall", "fork", "signal"}
ORDERS = {"acquire", "release", "acq_rel", "seq_cst", "light", "heavy",
          "compiler"} | OTHER_ORDERS

# C11's and the compilers' own atomics, which only atomic.h may use.
RAW = re.compile(r"\b(?:__atomic_\w+|__sync_\w+|atomic_\w+)\s*\(")

NAME = r"[a-z][a-z0-9_]*\.[0-9]+"
TAG = re.compile(rf"\bsync ({NAME}) \((\w+)\) (<->|<-|->) "
                 rf"({NAME}(?:, {NAME})*)")
ATTEMPT = re.compile(rf"\bsync ({NAME})")


class Tag:
    def __init__(self, where, name, order, arrow, partners):
        self.where = where
        self.name = name
        self.order = order
        self.arrow = arrow
        self.partners = partners


def comments(text):
    """(first line, last line, words) of each block comment."""
    for match in re.finditer(r"/\*.*?\*/", text, re.S):
        first = text.count("\n", 0, match.start()) + 1
        body = re.sub(r"\n\s*\*?", " ", match.group(0)[2:-2])
        yield (first, first + match.group(0).count("\n"),
               re.sub(r"\s+", " ", body))


def function_ends(code):
    """Lines on which a function, or anything at file level, closes."""
    return [number for number, line in enumerate(code.split("\n"), 1)
            if line.startswith("}")]


def accesses(code):
    """(line, what was called, orders its tag may have)"""
    for number, line in enumerate(code.split("\n"), 1):
        if line.lstrip().startswith("#"):
            continue
        for match in ACCESS.finditer(line):
            order, fence = match.groups()
            yield (number, match.group(0).rstrip("( \t"),
                   FENCES[fence] if fence else {order})


def check_file(name, text, tags, problems):
    """T1, T2 and T4 for one file; adds its tags to tags."""
    code = glean_tree.without_comments(text)
    ends = function_ends(code)
    tagged = []  # (last line of the comment, tag)

    for first, last, words in comments(text):
        found = list(TAG.finditer(words))
        if len(ATTEMPT.findall(words)) != len(found):
            problems.append(f"{name}:{first}: a sync comment reads `sync "
                            "NAME.N (order) <-> NAME.N[, NAME.N]: the loss "
                            "it prevents`, arrows <->, -> or <-")
        for match in found:
            tag = Tag(f"{name}:{first}", match.group(1), match.group(2),
                      match.group(3), match.group(4).split(", "))
            if not words[match.end():].startswith(":"):
                problems.append(f"{tag.where}: {tag.name} does not say, "
                                "after a colon, what it orders")
            if tag.order not in ORDERS:
                problems.append(f"{tag.where}: '{tag.order}' is no order")
            if tag.name in tags:
                problems.append(f"{tag.where}: {tag.name} is defined at "
                                f"{tags[tag.name].where} already")
            tags.setdefault(tag.name, tag)
            tagged.append((last, tag))

    def covers(last, line):
        return 0 <= line - last <= NEAR and \
            not any(last < end < line for end in ends)

    seen = list(accesses(code))
    for line, what, orders in seen:
        near = {tag.order for last, tag in tagged if covers(last, line)}
        if name not in DEFINITIONS and what not in NEEDS_NO_TAG \
                and not near & orders:
            problems.append(
                f"{name}:{line}: {what} has no sync tag " +
                (f"of its order (near are: {', '.join(sorted(near))})"
                 if near else "above it"))
    for last, tag in tagged:
        if tag.order not in OTHER_ORDERS and not any(
                tag.order in orders and covers(last, line)
                for line, _, orders in seen):
            problems.append(f"{tag.where}: {tag.name} ({tag.order}): no such "
                            "access follows it")


def check_raw(name, text, problems):
    """T6 for one file."""
    code = glean_tree.without_comments(text)
    for number, line in enumerate(code.split("\n"), 1):
        for match in RAW.finditer(line):
            problems.append(f"{name}:{number}: {match.group(0)[:-1]}: use a "
                            "name of core/base/atomic.h, which carries the "
                            "order")


def check_pairs(tags, problems):
    """T3."""
    for tag in tags.values():
        for partner in tag.partners:
            other = tags.get(partner)
            if not other:
                problems.append(f"{tag.where}: {tag.name} names {partner}, "
                                "which is nowhere")
            elif tag.name not in other.partners:
                problems.append(f"{other.where}: {other.name} does not name "
                                f"{tag.name}, which names it ({tag.where})")
            elif tag.arrow == other.arrow and tag.arrow != "<->":
                problems.append(f"{tag.where}: {tag.name} and {partner} both "
                                f"point {tag.arrow}")


def check_document(root, tags, problems):
    """T5."""
    if DOCUMENT not in glean_tree.files(root, (".md",)):
        problems.append(f"{DOCUMENT}: missing")
        return
    text = glean_tree.read(root, DOCUMENT)
    modules = {name.split(".")[0] for name in tags}
    named = set(re.findall(rf"(?<![\w./]){NAME}(?![\w/])", text))
    for name in sorted(set(tags) - named):
        problems.append(f"{DOCUMENT}: does not mention {name} "
                        f"({tags[name].where})")
    for name in sorted(named - set(tags)):
        if name.split(".")[0] in modules:
            problems.append(f"{DOCUMENT}: mentions {name}, which is nowhere")


def check(root):
    tags, problems = {}, []

    for name in glean_tree.files(root, (".c", ".h")):
        if name.startswith(("core/", "backends/")):
            text = glean_tree.read(root, name)
            check_file(name, text, tags, problems)
            if name not in DEFINITIONS:
                check_raw(name, text, problems)
    check_pairs(tags, problems)
    check_document(root, tags, problems)
    return problems


if __name__ == "__main__":
    sys.exit(glean_tree.report("sync tags", check(
        sys.argv[1] if len(sys.argv) > 1 else glean_tree.ROOT)))
