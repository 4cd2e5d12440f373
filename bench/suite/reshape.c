/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims: splitting all blocks ahead of faults costs no more than the faults
 * that would split them; and putting blocks back costs less than taking the
 * memory away and faulting it in again.
 *
 *	split		glean	gln_mmu_split() of a logged slot
 *			faults	one write fault in each 2 MiB, which splits what
 *				maps it: both end with the same tables. Each
 *				fault also makes its page writable and marks it,
 *				which after glean is a fault still to come.
 *	collapse	glean	gln_log_disable()
 *			remap	logging ends and leaves pages alone; the slot is
 *				removed, added, and each block faulted in
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/suite/ept_guest.h"
#include "bench/suite/mmu.h"

#define PAGES_1G (UINT64_C(1) << 18)

/* Tables of other levels, and those that a vCPU keeps for its faults. */
#define OTHER_TABLES 32

static const struct block {
	const char *name;
	unsigned int order;
} blocks[] = {
	{"2M", EPT_GUEST_ORDER_2M},
	{"1G", EPT_GUEST_ORDER_1G},
};

#define NR_BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

/* @is_logged: and then all blocks are, or have been, split. */
struct reshape_fixture {
	struct suite_fixture head;
	struct ept_guest guest;
	bool is_logged;
};

static struct reshape_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct reshape_fixture *)(void *)head;
}

static uint64_t block_pages(const struct ept_guest *guest)
{
	return UINT64_C(1) << (guest->order - EPT_GUEST_ORDER_4K);
}

static int stop_log(struct reshape_fixture *f)
{
	const int err = gln_log_disable(f->guest.vm, EPT_GUEST_SLOT);

	if (!err)
		f->is_logged = false;
	return err;
}

/* Mapped by blocks: no table of pages is left. */
static int check_blocks(const struct reshape_fixture *f)
{
	return tables_in_use(&f->guest.tables) <= OTHER_TABLES ? 0 : -EBADMSG;
}

/*
 * Mapped by pages: each can be written, and no table is asked for to do it. The
 * vCPU has not topped up, so it could split a few blocks and no more.
 */
static int check_pages(struct reshape_fixture *f)
{
	const size_t nr = tables_in_use(&f->guest.tables);

	if (nr < PAGES_1G / TABLE_ENTRIES ||
	    nr > PAGES_1G / TABLE_ENTRIES + OTHER_TABLES)
		return -EBADMSG;
	for (uint64_t page = 0; page < PAGES_1G; page++) {
		const int result =
			gln_vcpu_fault(f->guest.vcpu, page, GLN_ACCESS_WRITE);

		if (result != GLN_FAULT_RELAXED && result != GLN_FAULT_SPURIOUS)
			return result < 0 ? result : -EBADMSG;
	}
	return 0;
}

/* --- split --- */

/* Blocks, protected: logging has just begun. */
static int split_prepare(struct suite_fixture *head)
{
	struct reshape_fixture *f = fixture_of(head);
	int err = f->is_logged ? stop_log(f) : 0;

	if (!err)
		err = ept_guest_map(&f->guest);
	if (!err)
		err = check_blocks(f);
	if (!err)
		err = gln_log_enable(f->guest.vm, EPT_GUEST_SLOT, 0);
	f->is_logged = !err;
	return err;
}

static int split_run(struct suite_fixture *head, uint64_t *answer)
{
	*answer = 0;
	return gln_mmu_split(fixture_of(head)->guest.vm, EPT_GUEST_SLOT, answer,
			     0);
}

/* The first page of each table that there is to be. */
static int faults_run(struct suite_fixture *head, uint64_t *answer)
{
	struct ept_guest *const guest = &fixture_of(head)->guest;
	uint64_t nr = 0;

	for (uint64_t page = 0; page < PAGES_1G; page += TABLE_ENTRIES) {
		const int result =
			ept_guest_fault(guest->vcpu, page, GLN_ACCESS_WRITE);

		if (result < 0)
			return result;
		nr += result == GLN_FAULT_RELAXED;
	}
	*answer = nr * TABLE_ENTRIES;
	return 0;
}

static int check_split(struct suite_fixture *head, uint64_t answer)
{
	return answer == head->answer ? check_pages(fixture_of(head))
				      : -EBADMSG;
}

static int split_check(struct suite_fixture *head)
{
	uint64_t answer;
	const int err = split_run(head, &answer);

	return err ? err : check_split(head, answer);
}

static int faults_check(struct suite_fixture *head)
{
	uint64_t answer;
	const int err = faults_run(head, &answer);

	return err ? err : check_split(head, answer);
}

/* --- collapse --- */

/* Logged, and mapped by pages. */
static int collapse_prepare(struct suite_fixture *head)
{
	struct reshape_fixture *f = fixture_of(head);
	struct tap *const tap = &f->guest.tap;
	int err;

	tap->ops.log_stop = tap->real->log_stop;
	if (f->is_logged)
		return 0;
	err = ept_guest_map(&f->guest);
	if (!err)
		err = ept_guest_split(&f->guest);
	f->is_logged = !err;
	return err;
}

/* As for a backend that leaves pages as they are when logging ends. */
static int remap_prepare(struct suite_fixture *head)
{
	const int err = collapse_prepare(head);

	fixture_of(head)->guest.tap.ops.log_stop = NULL;
	return err;
}

static int collapse_run(struct suite_fixture *head, uint64_t *answer)
{
	struct reshape_fixture *f = fixture_of(head);

	*answer = f->guest.nr_pages;
	return stop_log(f);
}

static int remap_run(struct suite_fixture *head, uint64_t *answer)
{
	struct reshape_fixture *f = fixture_of(head);
	int err = stop_log(f);

	if (!err)
		err = gln_slot_remove(f->guest.vm, EPT_GUEST_SLOT);
	if (!err)
		err = ept_guest_add_slot(&f->guest);
	if (!err)
		err = ept_guest_map(&f->guest);
	*answer = f->guest.nr_pages;
	return err;
}

/* Blocks, all of which the guest may write. */
static int check_collapse(struct reshape_fixture *f)
{
	int err = check_blocks(f);

	for (gln_gfn gfn = 0; gfn < f->guest.nr_pages && !err;
	     gfn += block_pages(&f->guest))
		if (gln_vcpu_fault(f->guest.vcpu, gfn, GLN_ACCESS_WRITE) !=
		    GLN_FAULT_SPURIOUS)
			err = -EBADMSG;
	return err;
}

static int collapse_check(struct suite_fixture *head)
{
	uint64_t answer;
	const int err = collapse_run(head, &answer);

	return err ? err : check_collapse(fixture_of(head));
}

static int remap_check(struct suite_fixture *head)
{
	uint64_t answer;
	const int err = remap_run(head, &answer);

	return err ? err : check_collapse(fixture_of(head));
}

/* --- cases --- */

static void name_split(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "split/bytes:1G/blocks:%s", blocks[index].name);
}

static void name_collapse(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes, "collapse/bytes:1G/blocks:%s",
		 blocks[index].name);
}

static void teardown(struct suite_fixture *head)
{
	struct reshape_fixture *f = fixture_of(head);

	if (f->guest.backend)
		f->guest.tap.ops.log_stop = f->guest.tap.real->log_stop;
	ept_guest_fini(&f->guest);
	free(f);
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	struct reshape_fixture *f = calloc(1, sizeof(*f));
	int err;

	(void)seed;
	if (!f)
		return -ENOMEM;
	err = ept_guest_init(&f->guest, PAGES_1G, blocks[index].order);
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->head.answer = PAGES_1G;
	*fixture = &f->head;
	return 0;
}

static const struct rival split_rivals[] = {
	{"glean", split_prepare, split_run, split_check},
	{"faults", split_prepare, faults_run, faults_check},
};

const struct suite split_suite = {
	.name = "split",
	.claim = "blocks split at once cost no more than a fault for each",
	.counter = "pages",
	.rivals = split_rivals,
	.nr_rivals = sizeof(split_rivals) / sizeof(split_rivals[0]),
	.baseline = 1,
	.nr_cases = NR_BLOCKS,
	.nr_quick = NR_BLOCKS,
	.name_case = name_split,
	.setup = setup,
	.teardown = teardown,
};

static const struct rival collapse_rivals[] = {
	{"glean", collapse_prepare, collapse_run, collapse_check},
	{"remap", remap_prepare, remap_run, remap_check},
};

const struct suite collapse_suite = {
	.name = "collapse",
	.claim = "blocks come back sooner than memory that was taken away",
	.counter = "pages",
	.rivals = collapse_rivals,
	.nr_rivals = sizeof(collapse_rivals) / sizeof(collapse_rivals[0]),
	.baseline = 1,
	.nr_cases = NR_BLOCKS,
	.nr_quick = NR_BLOCKS,
	.name_case = name_collapse,
	.setup = setup,
	.teardown = teardown,
};
