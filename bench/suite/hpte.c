/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: to lock an entry and publish it costs at most 1.15 times a bare
 * compare-exchange and release store of its line; to enter an entry and remove
 * it, by hypercall, at most 30 times that; to read one at most 5 times.
 *
 *	lock		wait for the entry's lock, and publish it unchanged
 *	try_lock	the same, one attempt
 *	enter_remove	H_ENTER into an empty group, and H_REMOVE: two calls,
 *			with whatever finds the slot and links the page
 *	read		H_READ of one entry
 *
 * One thread, everything in the nearest cache; the embedder's tlbie does
 * nothing. The rival is the same whatever the work.
 *
 * This is the one benchmark that sees what is inside of the library: the lock
 * is nothing that a library's user could call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/hpt.h"
#include "bench/suite/hpt_vm.h"

/* The library does not offer what its own lock waits with. */
#define gln_plat_relax hpte_bench_relax
#include "core/hpt/hpte.h"

/* A run's: so many that the runner's loop is a small part. */
#define OPS UINT64_C(1024)

#define ORDER	 GLN_HPT_ORDER_MIN
#define NR_PAGES UINT64_C(512)
#define PAGE	 UINT64_C(5)

#define LINE_BYTES 64

enum op { LOCK, TRY_LOCK, ENTER_REMOVE, READ };

static const struct op_case {
	const char *name;
	enum op op;
	enum gln_hpt_isa isa;
} op_cases[] = {
	{"lock", LOCK, GLN_HPT_ISA_2_07},
	{"try_lock", TRY_LOCK, GLN_HPT_ISA_2_07},
	{"enter_remove/isa:2.07", ENTER_REMOVE, GLN_HPT_ISA_2_07},
	{"enter_remove/isa:3.0", ENTER_REMOVE, GLN_HPT_ISA_3_0},
	{"read/isa:2.07", READ, GLN_HPT_ISA_2_07},
	{"read/isa:3.0", READ, GLN_HPT_ISA_3_0},
};

#define NR_CASES (sizeof(op_cases) / sizeof(op_cases[0]))

/*
 * @line:	the rival's, and what is locked.
 * @entry:	as the guest has it; @index: where it is, or its group begins.
 */
struct hpte_fixture {
	_Alignas(LINE_BYTES) struct hpte line;
	struct suite_fixture head;
	const struct op_case *op_case;
	struct hpt_vm vm;
	struct gln_hpte entry;
	uint64_t index;
};

static struct hpte_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct hpte_fixture *)(void *)((char *)head -
					       offsetof(struct hpte_fixture,
							head));
}

/* Nobody else is there to wait for. */
void hpte_bench_relax(unsigned int round)
{
	(void)round;
	abort();
}

/* --- the rival --- */

static int bare_run(struct suite_fixture *head, uint64_t *answer)
{
	gln_word *const word = &fixture_of(head)->line.v;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < OPS; i++) {
		uint64_t seen = 0;

		nr += atomic_compare_exchange_weak_explicit(
			word, &seen, 1, memory_order_acquire,
			memory_order_relaxed);
		atomic_store_explicit(word, 0, memory_order_release);
	}
	*answer = nr;
	return 0;
}

static int bare_prepare(struct suite_fixture *head)
{
	gln_store_relaxed(&fixture_of(head)->line.v, 0);
	return 0;
}

static int bare_check(struct suite_fixture *head)
{
	uint64_t nr;
	const int err = bare_run(head, &nr);

	return err || nr == head->answer ? err : -EBADMSG;
}

/* --- lock and publish --- */

static uint64_t lock_ops(struct hpte_fixture *f)
{
	const struct gln_hpte value = f->entry;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < OPS; i++) {
		nr += hpte_lock(&f->line) == value.v;
		hpte_publish(&f->line, value);
	}
	return nr;
}

static uint64_t try_lock_ops(struct hpte_fixture *f)
{
	const struct gln_hpte value = f->entry;
	uint64_t nr = 0;
	uint64_t v;

	for (uint64_t i = 0; i < OPS; i++) {
		if (!hpte_try_lock(&f->line, GLN_HPTE_V_HVLOCK, &v))
			continue;
		nr += v == value.v;
		hpte_publish(&f->line, value);
	}
	return nr;
}

/* Each word as it was, and the lock is a lock. */
static int check_line(struct hpte_fixture *f)
{
	uint64_t v;

	if (hpte_v(&f->line) != f->entry.v || hpte_r(&f->line) != f->entry.r)
		return -EBADMSG;
	if (!hpte_try_lock(&f->line, GLN_HPTE_V_HVLOCK, &v) ||
	    hpte_try_lock(&f->line, GLN_HPTE_V_HVLOCK, &v) ||
	    hpte_v(&f->line) != (f->entry.v | GLN_HPTE_V_HVLOCK))
		return -EBADMSG;
	hpte_publish(&f->line, f->entry);
	return 0;
}

/* --- hypercalls --- */

static uint64_t enter_remove_ops(struct hpte_fixture *f)
{
	struct gln_vcpu *const vcpu = f->vm.vcpu;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < OPS; i++) {
		uint64_t args[GLN_HCALL_ARGS] = {0, f->index, f->entry.v,
						 f->entry.r};
		int64_t code = gln_hcall(vcpu, GLN_H_ENTER, args, args);

		args[1] = args[0];
		args[0] = 0;
		code |= gln_hcall(vcpu, GLN_H_REMOVE, args, args);
		nr += code == GLN_H_SUCCESS && args[0] == f->entry.v &&
		      args[1] == f->entry.r;
	}
	return nr;
}

static uint64_t read_ops(struct hpte_fixture *f)
{
	struct gln_vcpu *const vcpu = f->vm.vcpu;
	const uint64_t args[GLN_HCALL_ARGS] = {0, f->index};
	uint64_t rets[GLN_HCALL_ARGS];
	uint64_t nr = 0;

	for (uint64_t i = 0; i < OPS; i++)
		nr += gln_hcall(vcpu, GLN_H_READ, args, rets) ==
			      GLN_H_SUCCESS &&
		      rets[0] == f->entry.v && rets[1] == f->entry.r;
	return nr;
}

/* What hardware would see at an index: an entry for the page, or nothing. */
static bool memory_has(const struct hpte_fixture *f, uint64_t index,
		       bool is_there)
{
	const struct hpt_vm_pair *const entry = &hpt_vm_table(&f->vm)[index];
	const uint64_t v = hpt_vm_number(entry->v);
	/* Since ISA 3.0 the segment size is in R; here it is 0 in both. */
	const uint64_t bits = GLN_HPTE_V_COMPARE | GLN_HPTE_V_VALID |
			      GLN_HPTE_V_ABSENT | GLN_HPTE_V_HVLOCK;

	return (v & bits) == (is_there ? f->entry.v & bits : 0);
}

/* In the memory of the table the entry is where the guest was told. */
static int check_enter_remove(struct hpte_fixture *f)
{
	uint64_t args[GLN_HCALL_ARGS] = {0};
	uint64_t index;
	int err = hpt_vm_enter(&f->vm, PAGE, 0, &index);

	if (!err && (index != f->index || !memory_has(f, index, true)))
		err = -EBADMSG;
	if (err)
		return err;
	args[1] = index;
	if (gln_hcall(f->vm.vcpu, GLN_H_REMOVE, args, args))
		return -EBADMSG;
	return memory_has(f, index, false) ? 0 : -EBADMSG;
}

/* --- one iteration --- */

static int prepare(struct suite_fixture *head)
{
	struct hpte_fixture *const f = fixture_of(head);

	gln_store_relaxed(&f->line.v, hpt_vm_number(f->entry.v));
	gln_store_relaxed(&f->line.r, hpt_vm_number(f->entry.r));
	return 0;
}

static int run(struct suite_fixture *head, uint64_t *answer)
{
	struct hpte_fixture *const f = fixture_of(head);

	switch (f->op_case->op) {
	case LOCK:
		*answer = lock_ops(f);
		break;
	case TRY_LOCK:
		*answer = try_lock_ops(f);
		break;
	case ENTER_REMOVE:
		*answer = enter_remove_ops(f);
		break;
	case READ:
	default:
		*answer = read_ops(f);
		break;
	}
	return 0;
}

static int check(struct suite_fixture *head)
{
	struct hpte_fixture *const f = fixture_of(head);
	uint64_t nr;
	int err = run(head, &nr);

	if (!err && nr != head->answer)
		err = -EBADMSG;
	if (err)
		return err;
	switch (f->op_case->op) {
	case LOCK:
	case TRY_LOCK:
		return check_line(f);
	case ENTER_REMOVE:
		return check_enter_remove(f);
	case READ:
	default:
		return memory_has(f, f->index, true) ? 0 : -EBADMSG;
	}
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "hpte/op:%s", op_cases[index].name);
}

static void teardown(struct suite_fixture *head)
{
	struct hpte_fixture *const f = fixture_of(head);

	hpt_vm_fini(&f->vm);
	free(f);
}

/* An entry that the guest reads, or will enter. */
static int make_guest(struct hpte_fixture *f, uint64_t seed)
{
	const struct hpt_vm_params params = {
		.nr_pages = NR_PAGES,
		.order = ORDER,
		.isa = f->op_case->isa,
		.seed = seed,
	};
	const int err = hpt_vm_init(&f->vm, &params);

	if (err)
		return err;
	f->entry = hpt_vm_entry(&f->vm, PAGE);
	f->index = hpt_vm_group(&f->vm, PAGE, ORDER, f->entry.v);
	return f->op_case->op == READ ? hpt_vm_enter(&f->vm, PAGE, 0, NULL) : 0;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct hpte_fixture *const f = aligned_alloc(LINE_BYTES, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	*f = (struct hpte_fixture){.op_case = &op_cases[index]};
	f->head.answer = OPS;
	f->head.batch = OPS;
	f->head.repeatable = true;
	err = make_guest(f, seed);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", prepare, run, check},
	{"bare", bare_prepare, bare_run, bare_check},
};

const struct suite hpte_suite = {
	.name = "hpte",
	.claim = "an entry's lock costs what its exchange does, calls little "
		 "more",
	.counter = "ops",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_CASES,
	.nr_quick = NR_CASES,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
