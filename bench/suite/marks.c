/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * marks.c - a small logged slot without a backend, and its rival: a bitmap.
 */
#include "bench/suite/marks.h"

#include <errno.h>
#include <string.h>

#include <glean/glean.h>

#include "bench/suite/memory.h"

static size_t words_bytes(const struct marks *marks)
{
	return (size_t)(marks->nr_pages / 64) * sizeof(*marks->words);
}

int marks_vm_create(uint64_t nr_pages, uint32_t vm_flags, struct gln_vm **vm)
{
	const struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.flags = vm_flags,
		.allocator = &suite_allocator,
	};
	const struct gln_slot_params slot_params = {
		.struct_bytes = sizeof(slot_params),
		.id = MARKS_SLOT,
		.nr_pages = nr_pages,
	};
	int err = gln_vm_create(&vm_params, vm);

	if (!err)
		err = gln_slot_add(*vm, &slot_params);
	if (!err)
		err = gln_log_enable(*vm, MARKS_SLOT, 0);
	return err;
}

int marks_init(struct marks *marks, uint64_t nr_pages, uint32_t vm_flags)
{
	*marks = (struct marks){.nr_pages = nr_pages};
	marks->words = suite_alloc(words_bytes(marks));
	return marks->words ? marks_vm_create(nr_pages, vm_flags, &marks->vm)
			    : -ENOMEM;
}

void marks_fini(struct marks *marks)
{
	if (marks->vm)
		gln_vm_destroy(marks->vm);
	suite_free(marks->words, words_bytes(marks));
}

int64_t marks_harvested(struct marks *marks)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	const int err =
		gln_harvest_begin(marks->vm, MARKS_SLOT, &params, &harvest);

	return err ? err : (int64_t)gln_harvest_commit(harvest);
}

int marks_drop(struct marks *marks)
{
	const int64_t nr = marks_harvested(marks);

	memset(marks->words, 0, words_bytes(marks));
	return nr < 0 ? (int)nr : 0;
}

void marks_set(struct marks *marks, struct gln_range range)
{
	gln_dirty_mark_range(marks->vm, range);
	for (uint64_t i = 0; i < range.count; i++) {
		const uint64_t page = range.first + i;

		marks->words[page / 64] |= UINT64_C(1) << page % 64;
	}
}
