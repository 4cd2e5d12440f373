/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: a harvest of a guest with a hashed page table, a thousandth of it
 * dirty, is at least 50 times faster than a walk of every page's chain of
 * entries in search of C.
 *
 * All pages are mapped by 4 KiB, writable, one entry each. Before each harvest
 * the CPU has noted C in the entries of those that are dirty, having faulted
 * for the right to write where a harvest had taken it.
 *
 *	same	the guest writes the same pages over and over
 *	moved	what it writes are other pages than in the round before
 *
 *	glean	gln_harvest_begin() to gln_harvest_commit()
 *	walk	for each page, lock its chain's head, follow the chain, take C
 *		of each entry, unlock: as hypervisors do. It invalidates
 *		nothing and lets pages be written as before
 *	glance	the same without a lock: the least that a walk could do
 *
 * The rivals have heads and links of their own, side by side as the entries
 * are, and look for C in the same table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/hpt.h"
#include "bench/suite/hpt_vm.h"
#include "bench/suite/memory.h"
#include "bench/suite/truth.h"

#define RUNS 256

static const double dirty_share = 0.001;

/* @order: of a table of a 64th of the guest's bytes: two entries a group. */
static const struct size {
	const char *name;
	uint64_t nr_pages;
	unsigned int order;
} sizes[] = {
	{"64M", UINT64_C(1) << 14, 20},
	{"4G", UINT64_C(1) << 20, 26},
	{"64G", UINT64_C(1) << 24, 30},
};

#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define NR_MODES 2U
#define NR_QUICK NR_MODES
#define LARGE	 2U

static const char *const modes[NR_MODES] = {"same", "moved"};

/* --- the rivals' own structure --- */

/* A head: the first entry's index, and two bits. */
#define HEAD_LOCK    (UINT64_C(1) << 63)
#define HEAD_PRESENT (UINT64_C(1) << 62)
#define HEAD_INDEX   (HEAD_PRESENT - 1)

/* What stands beside each entry; chains are circular. */
struct link {
	uint64_t guest_r;
	uint32_t next;
	uint32_t prev;
};

/*
 * @truths:	what is dirty in turn; @turn says which of them is now.
 * @indices:	of each page's entry.
 * @heads, @links: the rivals'.
 * @found:	what a harvest, or a walk, came up with.
 */
struct harvest_fixture {
	struct suite_fixture head;
	const struct size *size;
	struct hpt_vm vm;
	bool is_moving;
	unsigned int turn;
	struct truth truths[2];
	struct truth found;
	uint64_t *indices;
	_Atomic uint64_t *heads;
	struct link *links;
};

static struct harvest_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct harvest_fixture *)(void *)head;
}

static const struct truth *truth_of(const struct harvest_fixture *f)
{
	return &f->truths[f->turn];
}

/* --- before each --- */

/* The guest writes a page: C, after a fault if it may not. */
static int write_page(struct harvest_fixture *f, uint64_t page)
{
	const int result = hpt_vm_fault(&f->vm, page, GLN_ACCESS_WRITE);

	if (result != GLN_FAULT_RELAXED && result != GLN_FAULT_SPURIOUS)
		return result < 0 ? result : -EBADMSG;
	hpt_vm_note(&hpt_vm_table(&f->vm)[f->indices[page]],
		    GLN_HPTE_R_R | GLN_HPTE_R_C);
	return 0;
}

static int write_pages(struct harvest_fixture *f)
{
	struct gln_range run = {0};
	int err = 0;

	while (!err &&
	       (run = truth_next_run(truth_of(f), run.first + run.count)).count)
		for (uint64_t i = 0; i < run.count && !err; i++)
			err = write_page(f, run.first + i);
	return err;
}

static int harvest(struct harvest_fixture *f, uint64_t *nr)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	const int err =
		gln_harvest_begin(f->vm.vm, HPT_VM_SLOT, &params, &harvest);

	if (!err)
		*nr = gln_harvest_commit(harvest);
	return err;
}

/*
 * What was written in the last round has been harvested, and nothing else is
 * writable; so is what was written then, and now what is dirty.
 */
static int prepare(struct suite_fixture *head)
{
	struct harvest_fixture *const f = fixture_of(head);
	uint64_t nr;
	int err = write_pages(f);

	/* The first of these takes what other rounds left, the second is it. */
	if (!err)
		err = harvest(f, &nr);
	if (!err)
		err = write_pages(f);
	if (!err)
		err = harvest(f, &nr);
	if (err)
		return err;
	if (f->is_moving)
		f->turn = !f->turn;
	truth_clear(&f->found);
	return write_pages(f);
}

/* --- glean --- */

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	return harvest(fixture_of(head), answer);
}

static int find(struct harvest_fixture *f)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_range runs[RUNS];
	struct gln_harvest *harvest;
	size_t nr;
	int err = gln_harvest_begin(f->vm.vm, HPT_VM_SLOT, &params, &harvest);

	if (err)
		return err;
	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS)))
		for (size_t i = 0; i < nr; i++)
			if (!truth_set_range(&f->found, runs[i]))
				err = -EBADMSG;
	gln_harvest_commit(harvest);
	return err;
}

static uint64_t nr_walked(const struct harvest_fixture *f)
{
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};

	return gln_hpt_stats(f->vm.vm, &stats) ? 0 : stats.harvest_walked;
}

static int glean_check(struct suite_fixture *head)
{
	struct harvest_fixture *const f = fixture_of(head);
	const uint64_t before = nr_walked(f);
	int err = find(f);

	head->counters[0] = nr_walked(f) - before;
	if (!err && !truth_same(&f->found, truth_of(f)))
		err = -EBADMSG;
	return err;
}

/* --- a walk --- */

/* The head, without the lock. */
static uint64_t lock_head(_Atomic uint64_t *head)
{
	uint64_t seen = atomic_load_explicit(head, memory_order_relaxed);

	do
		seen &= ~HEAD_LOCK;
	while (!atomic_compare_exchange_weak_explicit(
		head, &seen, seen | HEAD_LOCK, memory_order_acquire,
		memory_order_relaxed));
	return seen;
}

static void unlock_head(_Atomic uint64_t *head, uint64_t value)
{
	atomic_store_explicit(head, value, memory_order_release);
}

/* Has any entry of a chain C? It has it no longer. */
static bool take_c(const struct harvest_fixture *f, struct hpt_vm_pair *table,
		   uint64_t first)
{
	const uint64_t c = hpt_vm_number(GLN_HPTE_R_C);
	uint64_t index = first;
	bool is_dirty = false;

	do {
		_Atomic uint64_t *const r = &table[index].r;

		if (atomic_load_explicit(r, memory_order_relaxed) & c) {
			atomic_fetch_and_explicit(r, ~c, memory_order_relaxed);
			is_dirty = true;
		}
		index = f->links[index].next;
	} while (index != first);
	return is_dirty;
}

static void note_found(struct harvest_fixture *f, uint64_t page)
{
	f->found.words[page / 64] |= UINT64_C(1) << page % 64;
	f->found.nr_dirty++;
}

static int walk_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *const f = fixture_of(head);
	struct hpt_vm_pair *const table = hpt_vm_table(&f->vm);

	for (uint64_t page = 0; page < f->size->nr_pages; page++) {
		const uint64_t chain = lock_head(&f->heads[page]);

		if ((chain & HEAD_PRESENT) &&
		    take_c(f, table, chain & HEAD_INDEX))
			note_found(f, page);
		unlock_head(&f->heads[page], chain);
	}
	*answer = f->found.nr_dirty;
	return 0;
}

static int glance_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *const f = fixture_of(head);
	struct hpt_vm_pair *const table = hpt_vm_table(&f->vm);

	for (uint64_t page = 0; page < f->size->nr_pages; page++) {
		const uint64_t chain = atomic_load_explicit(
			&f->heads[page], memory_order_relaxed);

		if ((chain & HEAD_PRESENT) &&
		    take_c(f, table, chain & HEAD_INDEX))
			note_found(f, page);
	}
	*answer = f->found.nr_dirty;
	return 0;
}

static int check_walk(struct harvest_fixture *f, uint64_t nr)
{
	f->head.counters[0] = f->size->nr_pages;
	return nr == f->head.answer && truth_same(&f->found, truth_of(f))
		       ? 0
		       : -EBADMSG;
}

static int walk_check(struct suite_fixture *head)
{
	uint64_t nr;
	const int err = walk_run(head, &nr);

	return err ? err : check_walk(fixture_of(head), nr);
}

static int glance_check(struct suite_fixture *head)
{
	uint64_t nr;
	const int err = glance_run(head, &nr);

	return err ? err : check_walk(fixture_of(head), nr);
}

/* --- cases --- */

static bool is_default(size_t index)
{
	return index / NR_MODES < LARGE;
}

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "hpt_harvest/bytes:%s/density:%g/writes:%s",
		 sizes[index / NR_MODES].name, dirty_share,
		 modes[index % NR_MODES]);
}

static size_t pages_bytes(const struct harvest_fixture *f)
{
	return (size_t)f->size->nr_pages * sizeof(*f->heads);
}

static size_t links_bytes(const struct harvest_fixture *f)
{
	return sizeof(*f->links) << (f->size->order - GLN_HPT_ENTRY_SHIFT);
}

static void teardown(struct suite_fixture *head)
{
	struct harvest_fixture *const f = fixture_of(head);

	suite_free((void *)f->heads, pages_bytes(f));
	suite_free(f->links, links_bytes(f));
	suite_free(f->indices, pages_bytes(f));
	truth_fini(&f->truths[0]);
	truth_fini(&f->truths[1]);
	truth_fini(&f->found);
	hpt_vm_fini(&f->vm);
	free(f);
}

/* Two sets of pages; hardly any in both. */
static int make_truths(struct harvest_fixture *f, uint64_t seed)
{
	const uint64_t nr_pages = f->size->nr_pages;
	const uint64_t nr = truth_share(dirty_share, nr_pages);
	int err = truth_init(&f->truths[0], nr_pages);

	if (!err)
		err = truth_init(&f->truths[1], nr_pages);
	if (!err)
		err = truth_init(&f->found, nr_pages);
	if (err)
		return err;
	truth_uniform(&f->truths[0], nr, seed);
	truth_uniform(&f->truths[1], nr, seed + 1);
	f->head.answer = nr;
	return 0;
}

/* Every page has its entry; the log begins, so that none may be written. */
static int make_guest(struct harvest_fixture *f, uint64_t seed)
{
	const struct hpt_vm_params params = {
		.nr_pages = f->size->nr_pages,
		.order = f->size->order,
		.isa = GLN_HPT_ISA_3_0,
		.seed = seed,
	};
	int err = hpt_vm_init(&f->vm, &params);

	if (err)
		return err;
	f->indices = suite_alloc(pages_bytes(f));
	if (!f->indices)
		return -ENOMEM;
	for (uint64_t page = 0; page < params.nr_pages && !err; page++)
		err = hpt_vm_enter(&f->vm, page, 0, &f->indices[page]);
	return err ? err : gln_log_enable(f->vm.vm, HPT_VM_SLOT, 0);
}

static int make_rivals(struct harvest_fixture *f)
{
	f->heads = suite_alloc(pages_bytes(f));
	f->links = suite_alloc(links_bytes(f));
	if (!f->heads || !f->links)
		return -ENOMEM;
	for (uint64_t page = 0; page < f->size->nr_pages; page++) {
		const uint64_t index = f->indices[page];

		f->heads[page] = HEAD_PRESENT | index;
		f->links[index] = (struct link){
			.guest_r = hpt_vm_entry(&f->vm, page).r,
			.next = (uint32_t)index,
			.prev = (uint32_t)index,
		};
	}
	return 0;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct harvest_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->size = &sizes[index / NR_MODES];
	f->is_moving = index % NR_MODES;
	err = make_truths(f, seed);
	if (!err)
		err = make_guest(f, seed);
	if (!err)
		err = make_rivals(f);
	if (err) {
		teardown(&f->head);
		return err;
	}
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", prepare, glean_run, glean_check},
	{"walk", prepare, walk_run, walk_check},
	{"glance", prepare, glance_run, glance_check},
};

const struct suite hpt_harvest_suite = {
	.name = "hpt_harvest",
	.claim = "a harvest of C bits costs what was written, not what is "
		 "mapped",
	.counter = "dirty_pages",
	.counters = {"pages_walked"},
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_SIZES * NR_MODES,
	.nr_quick = NR_QUICK,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
