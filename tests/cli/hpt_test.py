# SPDX-License-Identifier: BSD-2-Clause
"""glean hpt: sizes by the rule, and tables as they are, live and recorded.

Records are read here once more, by this file's own arithmetic, and what the
command says of them must be what they say.
"""

import collections
import json
import os
import struct
import tempfile
import xml.etree.ElementTree as xml

from run_shape import run_json
from support import check, finish, glean, is_sanitized

ORDER_MIN, ORDER_MAX = 18, 46
PAGES = {"4K": 12, "64K": 16, "16M": 24}
V_BOLTED, V_SECONDARY, V_VALID = 0x10, 0x02, 0x01
GROUP = 8
# Of a live table; sanitizers are slow.
MEMORY_MIB = 32 if is_sanitized() else 256

SIZE = {"memory_bytes", "table_bytes", "revmap_bytes", "rmap_bytes",
        "total_bytes", "page_bytes", "rule", "order", "failures", "least",
        "nodes"}
HEALTH = {"order", "entries", "used", "used_share", "secondary_share",
          "bolted_share", "unknown", "groups", "chains", "predictions"}


def hpt_json(*args):
    """What `glean hpt` says to that, or None if it does not work."""
    done = glean("hpt", *args, "--json")
    what = " ".join(("glean hpt", *args))
    check(done.returncode == 0 and done.stderr == "", f"{what}: works", done)
    try:
        return json.loads(done.stdout)
    except ValueError as why:
        check(False, f"{what}: prints one JSON object", why, done.stdout)
        return None


def log2_up(number):
    return max(number - 1, 0).bit_length()


# --- sizes ---


def check_costs(what, cost):
    check(cost["revmap_bytes"] <= cost["table_bytes"],
          f"{what}: the reverse map is no larger than the table", cost)
    check(cost["total_bytes"] == cost["table_bytes"] + cost["revmap_bytes"] +
          cost["rmap_bytes"], f"{what}: the total is the sum", cost)


def check_size(memory_mib, page):
    what = f"{memory_mib}M by {page}"
    told = hpt_json("size", "--memory", f"{memory_mib}M", "--page", page)
    if not told:
        return
    memory, shift = memory_mib << 20, PAGES[page]
    order = min(max(log2_up(-(-memory // 128)), ORDER_MIN), ORDER_MAX)
    check(set(told) == SIZE, f"{what}: has the members it should", told)
    check((told["order"], told["table_bytes"], told["page_bytes"]) ==
          (order, 1 << order, 1 << shift), f"{what}: by the rule", told)
    check(told["rmap_bytes"] == (memory >> min(shift, 16)) * 8,
          f"{what}: a head for each page of a slot", told)
    check(ORDER_MIN <= told["least"]["order"] <= told["order"],
          f"{what}: what would do is not more", told)
    check(0 <= told["failures"] <= told["least"]["failures"] < 0.01,
          f"{what}: and refuses little", told)
    check_costs(what, told)


def check_sizes():
    for memory_mib in (16, 64, 80, 1024, 4096, 5008, 1 << 20, 1 << 33):
        for page in PAGES:
            check_size(memory_mib, page)


def check_nodes():
    for nodes, sizes in (("1", [4096]), ("2", [2048, 2048]),
                         ("4", [1024] * 4), ("1G,3G", [1024, 3072]),
                         ("4096M", [4096]), ("1M,4095M", [1, 4095])):
        told = hpt_json("size", "--memory", "4G", "--nodes", nodes)
        if not told:
            continue
        check([n["memory_bytes"] >> 20 for n in told["nodes"]] == sizes,
              f"--nodes {nodes}: each has its memory", told["nodes"])
        for key in ("memory_bytes", "table_bytes", "rmap_bytes"):
            check(sum(n[key] for n in told["nodes"]) == told[key],
                  f"--nodes {nodes}: {key} of all nodes are all", told)
            for node, size in zip(told["nodes"], sizes):
                check(abs(node[key] - told[key] * size / 4096) < 2,
                      f"--nodes {nodes}: {key} by memory", node)
        for node in told["nodes"]:
            check_costs(f"--nodes {nodes}", node)
    told = hpt_json("size", "--memory", "4G", "--nodes", "1000")
    check(sum(n["table_bytes"] for n in told["nodes"]) == 1 << 25,
          "what does not divide evenly is all there, too")


# --- tables ---


def records(path):
    """(index, V, R) of each entry, and the number of entries told of."""
    with open(path, "rb") as file:
        data = file.read()
    at, end, entries = 0, 0, []
    while at < len(data):
        index, nr_valid, nr_invalid = struct.unpack_from(">IHH", data, at)
        check(index == end, "a full pass leaves nothing out", index, end)
        at += 8
        for i in range(nr_valid):
            entries.append((index + i, *struct.unpack_from(">QQ", data, at)))
            at += 16
        end = index + nr_valid + nr_invalid
    check(at == len(data), "the last record is whole")
    return entries, end


def check_invariants(what, told):
    """What holds of every table."""
    check(set(told) == HEALTH, f"{what}: has the members it should", told)
    groups = told["groups"]
    check(len(groups) == GROUP + 1 and
          sum(groups) == told["entries"] // GROUP and
          told["entries"] == 1 << (told["order"] - 4) and
          sum(i * nr for i, nr in enumerate(groups)) == told["used"],
          f"{what}: groups and entries add up", told)
    chains = told["chains"]
    check(sum(chains["lengths"]) == chains["pages"] <= told["used"] and
          (chains["pages"] == 0 or 1 <= chains["mean"] <= chains["longest"]),
          f"{what}: chains add up", told)
    orders = [p["order"] for p in told["predictions"]]
    check(orders == [o for o in range(told["order"] - 3, told["order"] + 4)
                     if ORDER_MIN <= o <= ORDER_MAX],
          f"{what}: orders around its own", told)
    failures = [p["failures"] for p in told["predictions"]]
    check(failures == sorted(failures, reverse=True),
          f"{what}: a larger table refuses no more", told)
    check(all(p["failures"] == 0 for p in told["predictions"]
              if p["order"] == told["order"]),
          f"{what}: and itself nothing of what is in it", told)


def check_against_records(what, told, path):
    entries, end = records(path)
    check(end == told["entries"], f"{what}: all entries are told of")
    groups = collections.Counter(index // GROUP for index, _, _ in entries)
    fill = collections.Counter(groups.values())
    fill[0] = end // GROUP - len(groups)
    check(told["groups"] == [fill[i] for i in range(GROUP + 1)],
          f"{what}: groups are filled as the records say", told)
    nr = len(entries) or 1
    for key, bit in (("secondary_share", V_SECONDARY),
                     ("bolted_share", V_BOLTED)):
        share = sum(bool(v & bit) for _, v, _ in entries) / nr
        check(abs(told[key] - share) < 1e-9, f"{what}: {key}", told, share)
    check(all(v & V_VALID and not v & 0x60 for _, v, _ in entries),
          f"{what}: entries are the guest's, without our own bits")


def check_recorded(folder):
    for page, isa in (("4K", "2.07"), ("4K", "3.0"), ("64K", "3.0")):
        what = f"saved, {page}, {isa}"
        path = os.path.join(folder, f"{page}-{isa}")
        ran = run_json("--backend", "book3s_hv", "--memory", "64M", "--page",
                       page, "--isa", isa, "--hpt-order", "18", "--rate",
                       "0", "--vcpus", "8", "--max-rounds", "3", "--hpt-save",
                       path)
        told = hpt_json("health", path)
        if not ran or not told:
            continue
        check(told["order"] == ran["hpt"]["order"] == 18,
              f"{what}: its order is seen", told)
        check(0 < told["used"] <= ran["hpt"]["enters"],
              f"{what}: it has what was entered", told)
        check(told["chains"]["longest"] == 1,
              f"{what}: whoever came, no page is in it twice", told)
        check_invariants(what, told)
        check_against_records(what, told, path)
        larger = hpt_json("health", path, "--order", "20")
        check(larger["order"] == 20 and larger["used"] == told["used"],
              f"{what}: or is said to be another", larger)


def check_live(folder):
    for page, isa, segment, order in (("4K", "3.0", "256M", None),
                                      ("4K", "2.07", "1T", None),
                                      ("4K", "3.0", "256M", "19"),
                                      ("64K", "2.07", "256M", None),
                                      ("16M", "3.0", "1T", None)):
        what = f"live, {page}, {isa}, {segment}, {order}"
        told = hpt_json("health", "--memory", f"{MEMORY_MIB}M", "--page", page,
                        "--isa", isa, "--segment", segment,
                        *(("--hpt-order", order) if order else ()))
        if not told:
            continue
        pages = (MEMORY_MIB << 20) >> PAGES[page]
        check_invariants(what, told)
        check(told["used"] == told["chains"]["pages"] <= pages and
              told["chains"]["longest"] == 1 and told["bolted_share"] == 0,
              f"{what}: each page is mapped once", told)
        fits = pages <= told["entries"] // 2
        check(not fits or told["used"] >= 0.99 * pages,
              f"{what}: what has room is in it", told)
        check(order or told["order"] == max(MEMORY_MIB.bit_length() - 1 + 13,
                                            ORDER_MIN),
              f"{what}: by the rule", told)
    crowded = hpt_json("health", "--memory", f"{MEMORY_MIB}M", "--hpt-order",
                       "18")
    if crowded and not is_sanitized():
        check(crowded["used_share"] > 0.9,
              "a table that is too small is full", crowded)
        check(crowded["predictions"][0]["failures"] == 0 and
              all(p["failures"] == 0 for p in crowded["predictions"]),
              "what is in it has room in larger ones", crowded)


def check_drawing(folder):
    path = os.path.join(folder, "fill.svg")
    done = glean("hpt", "health", "--memory", "64M", "--svg", path)
    check(done.returncode == 0, "it draws", done)
    root = xml.parse(path).getroot()
    kinds = collections.Counter(e.get("class") for e in root.iter())
    check(root.tag == "{http://www.w3.org/2000/svg}svg" and
          kinds["bar"] == GROUP + 1 and kinds["cell"] == 1024,
          "bars of 0 to 8 entries, and the table as a map", kinds)
    done = glean("hpt", "health", "--memory", "64M", "--svg",
                 os.path.join(folder, "none", "fill.svg"))
    check((done.returncode, done.stdout, len(done.stderr.splitlines())) ==
          (1, "", 1), "where it cannot draw, it says so", done)


def check_text():
    done = glean("hpt", "health", "--memory", "64M", "--seed", "3")
    told = hpt_json("health", "--memory", "64M", "--seed", "3")
    lines = done.stdout.splitlines()
    check(done.returncode == 0 and
          lines[0] == f"order        {told['order']}" and
          lines[1].startswith(f"in use       {told['used']} of "
                              f"{told['entries']} entries"),
          "the text says the same", done.stdout)
    check(all(len(line) <= 80 for line in lines), "in 80 columns", done.stdout)
    check("\033" not in done.stdout, "without escapes")


def check_bad_files(folder):
    good = struct.pack(">IHH", 0, 1, 100) + struct.pack(">QQ", 1, 0x1000)
    for name, data, words in (
            ("empty", b"", "it has no records"),
            ("short", good[:-1], "its last record is cut off"),
            ("header", good + b"1234", "its last record is cut off"),
            ("twice", good + good, "its records do not ascend"),
            ("text", b"not a table of any kind\n" * 100, "")):
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(data)
        done = glean("hpt", "health", path)
        check(done.returncode == 1 and done.stdout == "" and
              len(done.stderr.splitlines()) == 1 and
              f"'{path}' is no table's records: {words}" in done.stderr,
              f"{name}: it is refused", done)
    path = os.path.join(folder, "far")
    with open(path, "wb") as file:
        file.write(struct.pack(">IHH", 1 << 20, 0, 1))
    done = glean("hpt", "health", path, "--order", "18")
    check(done.returncode == 1 and "past the end" in done.stderr,
          "an order that its records do not fit is refused", done)
    done = glean("hpt", "health", folder)
    check(done.returncode == 2 and "Is a directory" in done.stderr,
          "a folder is no file", done)


def check_memory():
    for args in (("hpt", "health", "--hpt-order", "46"),
                 ("hpt", "health", "--memory", "1024T", "--page", "16M"),
                 ("run", "--backend", "book3s_hv", "--memory", "8M",
                  "--hpt-order", "46"),
                 ("run", "--backend", "book3s_hv", "--memory", "8M",
                  "--hpt-order", "45", "--resize", "on")):
        done = glean(*args)
        check((done.returncode, done.stdout,
               len(done.stderr.splitlines())) == (3, "", 1) and
              "need" in done.stderr and "available: give less" in done.stderr,
              f"{args}: a table that this machine cannot hold", done)


def check_full_disk():
    if not os.path.exists("/dev/full"):
        return
    done = glean("run", "--backend", "book3s_hv", "--memory", "8M", "--quiet",
                 "--hpt-save", "/dev/full")
    check((done.returncode, done.stderr) ==
          (1, "glean run: --hpt-save: '/dev/full' cannot be written: No space "
           "left on device\n"), "a full disk is told", done)
    with open("/dev/full", "w") as full:
        done = glean("hpt", "size", "--memory", "4G", stdout=full)
    check(done.returncode == 1 and len(done.stderr.splitlines()) == 1,
          "an answer that nobody received is no answer", done)


def main():
    check_sizes()
    check_nodes()
    with tempfile.TemporaryDirectory() as folder:
        check_recorded(folder)
        check_live(folder)
        check_drawing(folder)
        check_bad_files(folder)
    check_text()
    check_memory()
    check_full_disk()
    finish()


main()
