/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * marks.h - a small logged slot without a backend, and its rival: a bitmap.
 */
#ifndef BENCH_SUITE_MARKS_H
#define BENCH_SUITE_MARKS_H

#include <stdint.h>

#include <glean/types.h>

struct gln_vm;

/** The slot's id; its first frame is 0. */
#define MARKS_SLOT 0U

/**
 * marks_vm_create() - a VM with one slot of @nr_pages, logged, nothing marked.
 *
 * Return: 0 or a negative errno; *@vm may be there even then, else it is left
 * as it was.
 */
int marks_vm_create(uint64_t nr_pages, uint32_t vm_flags, struct gln_vm **vm);

/** struct marks - of @nr_pages each, a multiple of 64. All zeroes is none. */
struct marks {
	uint64_t nr_pages;
	struct gln_vm *vm;
	uint64_t *words;
};

/** marks_init() - nothing marked, in a VM of @vm_flags. 0 or a negative errno;
 * then fini comes too.
 */
int marks_init(struct marks *marks, uint64_t nr_pages, uint32_t vm_flags);
void marks_fini(struct marks *marks);

/** marks_drop() - unmark all, in both. Return: 0, or what the library said. */
int marks_drop(struct marks *marks);

/** marks_set() - mark @range, in both. */
void marks_set(struct marks *marks, struct gln_range range);

/** marks_harvested() - take all marks of the slot. Return: how many there were,
 * or a negative errno.
 */
int64_t marks_harvested(struct marks *marks);

#endif
