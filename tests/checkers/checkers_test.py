# SPDX-License-Identifier: BSD-2-Clause
"""Each rule of each checker, against a small tree that breaks it.

A tree is a dictionary of files. `clean` keeps every rule; each test changes
one thing in it and expects one complaint.
"""
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "cmake"))
sys.dont_write_bytecode = True

import check_floors  # noqa: E402
import check_sync_tags  # noqa: E402
import check_tree  # noqa: E402
import glean_tree  # noqa: E402

SPDX = "/* SPDX-License-Identifier: BSD-2-Clause */\n"

MARK = """\
void mark(void)
{
    /* sync mark.1 (release) -> take.1: bytes, then the bit. */
    gln_store_release(word, 1);
}
"""
TAKE = """\
void take(void)
{
    /*
     * sync take.1 (acquire) <- mark.1: the bytes behind
     * the bit.
     */
    gln_load_acquire(word);
}
"""


def tree_of(files):
    """A directory with these files, gone when it is dropped."""
    root = tempfile.TemporaryDirectory()
    for name, text in files.items():
        path = pathlib.Path(root.name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


class CheckerTest(unittest.TestCase):
    clean = {}
    checker = None

    def complaints(self, files):
        """What the checker says of `clean` with these files changed."""
        with tree_of({**self.clean, **files}) as root:
            return self.checker.check(root)

    def breaks(self, files, words):
        said = self.complaints(files)
        self.assertEqual(len(said), 1, said)
        self.assertIn(words, said[0])

    def keeps(self, files):
        self.assertEqual(self.complaints(files), [])


class Floors(CheckerTest):
    checker = check_floors
    clean = {
        "include/glean/types.h": "#include <stdint.h>\n",
        "include/glean/host.h": "#include <glean/types.h>\n",
        "include/glean/process.h": "#include <glean/types.h>\n",
        "core/base/atomic.h": "#include <stdatomic.h>\n",
        "core/base/errno.h": "#if GLN_HOSTED\n#include <errno.h>\n"
                     "#endif\n",
        "core/sync/rcu.h": "#if GLN_HOSTED\n#include <urcu-bp.h>\n"
                   "#endif\n",
        "core/bitmap/take.c": '#include "core/base/atomic.h"\n',
        "core/bitmap/kernel.c": "#include <cpuid.h>\n",
        "core/slot/slot.h": '#include "core/sync/rcu.h"\n',
        "core/host/pages.c": "#include <hwloc.h>\n#include <stdio.h>\n"
                     '#include "core/base/atomic.h"\n',
        "backends/ref/ref.c": "#include <pthread.h>\n"
                      "#include <glean/types.h>\n",
        "bench/glean/main.c": "#include <jansson.h>\n"
                      "#include <glean/types.h>\n",
        "tests/unit/slot/slot_test.c":
            "#include <criterion/criterion.h>\n"
            '#include "core/slot/slot.h"\n',
    }

    def test_a_clean_tree_passes(self):
        self.keeps({})

    def test_a_floor_does_not_look_up(self):
        self.breaks({"core/base/bits.h":
                     '#include "core/slot/slot.h"\n'}, "not below it")

    def test_neighbours_on_a_floor_do_not_meet(self):
        self.breaks({"core/radix/walk.c":
                     '#include "core/bitmap/take.c"\n'},
                    "not below it")

    def test_a_new_module_needs_a_floor(self):
        self.breaks({"core/attic/box.h": "\n"}, "has no floor")

    def test_a_new_backend_needs_its_line(self):
        self.breaks({"backends/vax/vax.h": "\n"}, "no known backend")

    def test_the_core_does_not_use_the_host(self):
        self.breaks({"core/host/pages.h": "\n", "core/vm/vm.c":
                     '#include "core/host/pages.h"\n'},
                    "may not include core/host")

    def test_the_host_stays_below_the_slots(self):
        self.breaks({"core/host/info.c":
                     '#include "core/slot/slot.h"\n'},
                    "may not include core/slot")

    def test_the_oracle_shares_no_code(self):
        self.breaks({"backends/ref/ref.h":
                     '#include "core/base/atomic.h"\n'},
                    "may not include core/base")

    def test_a_backend_sees_no_slot(self):
        self.breaks({"backends/process/uffd.c":
                     '#include "core/slot/slot.h"\n'},
                    "may not include core/slot")

    def test_backends_do_not_meet(self):
        self.breaks({"backends/ref/ref.h": "\n",
                     "backends/process/uffd.c":
                     '#include "backends/ref/ref.h"\n'},
                    "named by nobody")

    MODEL = {"backends/model/model.h": "#include <pthread.h>\n"
                                       '#include "core/base/atomic.h"\n',
             "backends/x86_ept/entry.h": "#include <stdint.h>\n",
             "backends/x86_ept/walk.h": "#include <stdint.h>\n",
             "backends/x86_ept/model.c":
                 "#include <errno.h>\n"
                 '#include "backends/model/model.h"\n'
                 '#include "backends/x86_ept/entry.h"\n'}

    def test_a_model_knows_the_entry_of_its_backend(self):
        self.keeps(self.MODEL)

    def test_a_model_shares_nothing_else(self):
        self.breaks({**self.MODEL, "backends/x86_ept/model.h":
                     '#include "backends/x86_ept/walk.h"\n'},
                    "a model knows entry.h")
        self.breaks({**self.MODEL, "core/radix/radix.h": "\n",
                     "backends/x86_ept/model.h":
                     '#include "core/radix/radix.h"\n'},
                    "a model knows entry.h")
        self.breaks({**self.MODEL, "backends/arm_s2/entry.h": "\n",
                     "backends/x86_ept/model.h":
                     '#include "backends/arm_s2/entry.h"\n'},
                    "a model knows entry.h")

    ENGINE = {"core/hpt/entry.h": '#include "core/base/atomic.h"\n',
              "core/hpt/table.h": '#include "core/hpt/entry.h"\n',
              "backends/book3s_hv/regs.h": "\n",
              "backends/model/model.h": "\n",
              "backends/book3s_hv/model.h":
                  '#include "backends/model/model.h"\n'
                  '#include "core/hpt/entry.h"\n'}

    def test_a_model_knows_the_entry_of_its_engine(self):
        self.keeps(self.ENGINE)

    def test_a_model_knows_nothing_else_of_an_engine(self):
        for header in ("core/hpt/table.h", "backends/book3s_hv/regs.h"):
            self.breaks({**self.ENGINE, "backends/book3s_hv/model.c":
                         f'#include "{header}"\n'},
                        "a model knows entry.h")
        self.breaks({**self.ENGINE, "backends/arm_s2/model.c":
                     '#include "core/hpt/entry.h"\n'},
                    "a model knows entry.h")

    def test_a_backend_does_not_use_its_model(self):
        self.breaks({**self.MODEL, "backends/x86_ept/model.h": "\n",
                     "backends/x86_ept/x86_ept.c":
                     '#include "backends/x86_ept/model.h"\n'},
                    "no part of its backend")
        self.breaks({**self.MODEL, "backends/x86_ept/x86_ept.c":
                     '#include "backends/model/model.h"\n'},
                    "named by nobody")

    def test_a_backend_beside_its_model_is_freestanding(self):
        self.breaks({**self.MODEL, "backends/x86_ept/x86_ept.c":
                     "#include <errno.h>\n"}, "freestanding")

    def test_the_core_names_no_backend(self):
        self.breaks({"core/vm/vm.c": "gln_process_create(0);\n"},
                    "gln_process_create")
        self.breaks({"core/vm/vm.c": "#include <glean/process.h>\n"},
                    "includes no <glean/process.h>")

    def test_a_backend_in_a_comment_is_no_name(self):
        self.keeps({"core/vm/vm.c": "/* not gln_process_create() */\n"})

    def test_the_command_is_a_stranger(self):
        self.breaks({"bench/glean/run.c":
                     '#include "core/base/atomic.h"\n'},
                    "as a stranger would")

    def test_public_headers_include_little(self):
        self.breaks({"include/glean/vm.h": "#include <stdio.h>\n"},
                    "a public header may include")
        self.breaks({"include/glean/vm.h":
                     '#include "core/base/atomic.h"\n'},
                    "a public header includes <glean/...> only")

    def test_one_file_knows_stdatomic(self):
        self.breaks({"core/slot/set.c": "#include <stdatomic.h>\n"},
                    "knows <stdatomic.h>")

    def test_third_parties_stay_at_their_posts(self):
        for header, name in (("urcu-bp.h", "core/slot/a.c"),
                             ("urcu/list.h", "bench/glean/a.c"),
                             ("jemalloc/jemalloc.h", "core/vm/a.c"),
                             ("hwloc.h", "backends/process/a.c"),
                             ("criterion/criterion.h",
                              "tests/stress/a.c"),
                             ("jansson.h", "core/vm/a.c")):
            self.breaks({name: f"#include <{header}>\n"},
                        "belongs to")

    def test_the_core_is_freestanding(self):
        self.breaks({"core/slot/set.c": "#include <stdlib.h>\n"},
                    "freestanding")
        self.breaks({"core/sync/a.h": "#include <urcu-bp.h>\n"},
                    "without #if GLN_HOSTED")
        self.breaks({"core/sync/a.h": "#if GLN_HOSTED\n#else\n"
                     "#include <urcu-bp.h>\n#endif\n"},
                    "without #if GLN_HOSTED")

    def test_paths_are_from_the_root(self):
        self.breaks({"core/slot/set.c": '#include "slot.h"\n'},
                    "from the root of the tree")
        self.breaks({"core/slot/set.c": "#include <glean/none.h>\n"},
                    "there is no include/glean/none.h")


class SyncTags(CheckerTest):
    checker = check_sync_tags
    page = "docs/internals/ordering.md"
    clean = {
        "core/dirty/mark.c": MARK,
        "core/dirty/take.c": TAKE,
        page: "mark.1 and take.1 pair up; see take.c\n",
    }

    def test_a_clean_tree_passes(self):
        self.keeps({})

    def test_an_access_needs_a_tag(self):
        self.breaks({"core/dirty/x.c": "void f(void)\n{\n"
                     "\tgln_load_acquire(word);\n}\n"},
                    "x.c:3: gln_load_acquire has no sync tag")
        self.breaks({"backends/process/x.c": "void f(void)\n{\n"
                     "\tgln_fence_seq_cst();\n}\n"}, "has no sync tag")
        self.breaks({"core/dirty/x.c": "void f(void)\n{\n"
                     "\tglni_fence_light(form);\n}\n"},
                    "has no sync tag")

    def test_a_tag_needs_the_order_of_its_access(self):
        said = self.complaints({"core/dirty/mark.c": MARK.replace(
            "gln_store_release(word, 1)",
            "gln_fetch_or_acq_rel(word, 1)")})
        self.assertEqual(len(said), 2, said)
        self.assertIn("has no sync tag of its order", said[0])
        self.assertIn("no such access follows", said[1])

    def test_a_tag_does_not_reach_the_next_function(self):
        self.breaks({"core/dirty/mark.c": MARK +
                     "void g(void)\n{\n\tgln_store_release(word, 2);\n"
                     "}\n"}, "mark.c:8: gln_store_release")

    def test_a_tag_does_not_reach_far(self):
        far = MARK.replace("    gln_store", "    x();\n" * 12 +
                           "    gln_store")
        said = self.complaints({"core/dirty/mark.c": far})
        self.assertEqual(len(said), 2, said)

    def test_a_tag_reaches_two_accesses_below_it(self):
        self.keeps({"core/dirty/mark.c": MARK.replace(
            "1);\n", "1);\n\tgln_store_release(word, 2);\n")})

    def test_a_tag_is_defined_once(self):
        self.breaks({"core/dirty/x.c": MARK}, "mark.1 is defined at")

    def test_a_partner_exists(self):
        said = self.complaints({"core/dirty/take.c": "\n",
                                self.page: "mark.1\n"})
        self.assertEqual(len(said), 1, said)
        self.assertIn("take.1, which is nowhere", said[0])

    def test_a_partner_names_it_back(self):
        self.breaks({
            "core/dirty/x.c": MARK.replace("mark.1", "mark.2"),
            self.page: "mark.1 mark.2 take.1\n",
        }, "take.1 does not name mark.2")

    def test_partners_do_not_point_the_same_way(self):
        said = self.complaints({
            "core/dirty/take.c": TAKE.replace("<-", "->")})
        self.assertEqual(len(said), 2, said)
        self.assertIn("both point ->", said[0])

    def test_a_comment_is_well_formed(self):
        said = self.complaints({"core/dirty/mark.c": MARK.replace(
            "-> take.1", "then take.1")})
        self.assertIn("a sync comment reads", said[0])
        self.breaks({"core/dirty/mark.c": MARK.replace(
            "take.1: bytes", "take.1, bytes")}, "after a colon")

    def test_an_order_is_known(self):
        said = self.complaints({"core/dirty/mark.c": MARK.replace(
            "(release)", "(releas)")})
        self.assertIn("'releas' is no order", said[0])

    def test_the_document_has_every_tag(self):
        self.breaks({self.page: "mark.1\n"}, "does not mention take.1")
        self.breaks({self.page: "mark.1 take.1 take.9\n"},
                    "mentions take.9, which is nowhere")

    def test_the_document_is_there(self):
        files = dict(self.clean)
        del files[self.page]
        with tree_of(files) as root:
            self.assertEqual(check_sync_tags.check(root),
                             [f"{self.page}: missing"])

    def test_atomics_go_through_one_header(self):
        self.breaks({"core/dirty/x.c": "int x = __atomic_load_n(p, 5);"
                     "\n"}, "__atomic_load_n")


class Tree(CheckerTest):
    checker = check_tree
    clean = {
        "include/glean/vm.h": SPDX +
            "/** gln_vm_old() is gone */\n"
            "#define GLN_PUBLIC x\n"
            "GLN_PUBLIC int gln_vm_create(\n\tint a);\n",
        "include/glean/platform.h": SPDX + "int gln_plat_alloc(int);\n",
        "docs/man/gln_vm.3": '.\\" SPDX-License-Identifier: '
            "BSD-2-Clause\n.Dd January 1, 2025\n.Dt GLN_VM 3\n.Os\n"
            ".Sh NAME\n.Nm gln_vm_create\n.Nd makes a VM\n"
            ".Sh DESCRIPTION\nIt makes one.\n",
        "docs/internals/guarantees.md":
            "<!-- SPDX-License-Identifier: BSD-2-Clause -->\n" +
            " ".join(f"G{n}" for n in range(1, 12)) +
            "\nsee include/glean/vm.h and include/glean/*.h\n",
        "docs/internals/hazards.md":
            "<!-- SPDX-License-Identifier: BSD-2-Clause -->\n" +
            " ".join(check_tree.HAZARDS) + "\n",
    }
    clean["docs/man/gln_platform.3"] = clean["docs/man/gln_vm.3"].replace(
        "gln_vm_create", "gln_plat_alloc").replace("GLN_VM", "GLN_PLATFORM")
    clean["docs/man/glean.1"] = clean["docs/man/gln_vm.3"].replace(
        "gln_vm_create", "glean").replace("GLN_VM 3", "GLEAN 1")

    def changed(self, name, old, new):
        self.assertIn(old, self.clean[name])
        return {name: self.clean[name].replace(old, new)}

    def test_a_clean_tree_passes(self):
        self.keeps({})

    def test_there_are_as_many_hazards_as_there_should_be(self):
        self.assertEqual(len(check_tree.HAZARDS), 28)

    def test_a_source_says_its_licence(self):
        self.breaks({"core/vm/vm.c": "int x;\n"}, "SPDX")
        self.breaks({"tests/cli/run.sh": "#!/bin/sh\n"}, "SPDX")

    def test_golden_output_stands_as_it_is(self):
        self.keeps({"tests/cli/golden/help.md": "usage\n"})

    def test_nothing_is_left_for_later(self):
        self.breaks({"core/vm/vm.c": SPDX + "/* TO" "DO: all */\n"},
                    "vm.c:2")

    def test_no_machine_is_named(self):
        self.breaks({"core/vm/vm.c": SPDX + '"/wo' 'rk/main"\n'},
                    "vm.c:2")

    def test_each_header_has_a_page(self):
        self.breaks({"include/glean/log.h": SPDX}, "gln_log.3: missing")

    def test_a_page_names_each_function(self):
        self.breaks(self.changed("docs/man/gln_vm.3", "gln_vm_create",
                                 "gln_vm_make"),
                    "does not name gln_vm_create")
        self.breaks(self.changed("docs/man/gln_platform.3",
                                 "gln_plat_alloc", "gln_plat_get"),
                    "does not name gln_plat_alloc")

    @unittest.skipUnless(check_tree.shutil.which("mandoc"), "no mandoc")
    def test_a_page_is_good_mdoc(self):
        said = self.complaints(self.changed(
            "docs/man/gln_vm.3", ".Sh DESCRIPTION",
            ".Nonsense\n.Sh DESCRIPTION"))
        self.assertTrue(any("gln_vm.3" in line for line in said), said)

    def test_each_guarantee_has_its_line(self):
        self.breaks(self.changed("docs/internals/guarantees.md", "G7 ",
                                 ""), "no G7")

    def test_what_is_cited_exists(self):
        for path in ("tests/unit/none_test.c", "core/none/*.c"):
            self.breaks(self.changed(
                "docs/internals/guarantees.md",
                "include/glean/vm.h", path),
                        f"there is no {path}")

    def test_each_hazard_has_its_line(self):
        self.breaks(self.changed("docs/internals/hazards.md", "H-10 ",
                                 ""), "no line for H-10")
        said = self.complaints(self.changed(
            "docs/internals/hazards.md", "H-23c", "H-23x"))
        self.assertEqual(said, ["docs/internals/hazards.md: no line for "
                                "H-23c"])


class Parsing(unittest.TestCase):
    def test_comments_and_strings_are_blanked_and_lines_kept(self):
        self.assertEqual(glean_tree.without_comments(
            'a /* b\n"c */ "d\\"e" // f\ng'),
                         'a     \n      "    "     \ng')

    def test_a_quoted_quote_opens_no_string(self):
        self.assertEqual(glean_tree.without_comments(
            "c == '\"' || d /* x */"), "c == ' ' || d        ")

    def test_a_function_pointer_is_no_function(self):
        with tree_of({"include/glean/x.h":
                      "GLN_PUBLIC const char *\ngln_a(void);\n"
                      "struct s { int (*gln_b)(void); };\n"
                      "GLN_PUBLIC extern const int gln_c;\n"
                      "GLN_PUBLIC uint64_t gln_d(int);\n"}) as root:
            self.assertEqual(glean_tree.public_functions(root),
                             {"x.h": ["gln_a", "gln_d"]})


if __name__ == "__main__":
    unittest.main()
