/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync_slot_main.c - calls the function that README.md shows, and sees that it
 * hands over each dirty page once, and again after an error.
 */
#include <glean/glean.h>

#include <errno.h>
#include <stdio.h>

enum { SLOT = 2, BASE = 130, NR_PAGES = 300 };

int sync_slot(struct gln_vm *vm, uint32_t slot,
	      int (*copy)(struct gln_range run));

static uint64_t nr_copied;
static int copy_result;

static int count_copies(struct gln_range run)
{
	nr_copied += run.count;
	return copy_result;
}

/* Does a sync end so, having handed over so many pages? */
static bool syncs(struct gln_vm *vm, int result, uint64_t nr_pages)
{
	nr_copied = 0;
	copy_result = result;
	if (sync_slot(vm, SLOT, count_copies) == result &&
	    nr_copied == nr_pages)
		return true;
	printf("sync_slot() handed over %llu pages, not %llu\n",
	       (unsigned long long)nr_copied, (unsigned long long)nr_pages);
	return false;
}

int main(void)
{
	const struct gln_vm_params params = {.struct_bytes = sizeof(params)};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT,
		.base = BASE,
		.nr_pages = NR_PAGES,
	};
	const struct gln_range written = {BASE + 60, 70};
	struct gln_vm *vm;
	bool good;

	if (gln_vm_create(&params, &vm))
		return 1;
	good = !gln_slot_add(vm, &slot) && !gln_log_enable(vm, SLOT, 0) &&
	       gln_dirty_mark_range(vm, written) == written.count &&
	       syncs(vm, -EIO, written.count) && syncs(vm, 0, written.count) &&
	       syncs(vm, 0, 0);
	return gln_vm_destroy(vm) || !good;
}
