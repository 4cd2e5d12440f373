/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.h - memory for the tables of an MMU, side by side, so that all of them
 * can be kept as they are, put back, and compared.
 *
 * What a benchmark changes it must change back before the next iteration; by
 * copying tables that takes a hundredth of the time that faults would.
 */
#ifndef BENCH_SUITE_TABLES_H
#define BENCH_SUITE_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include <glean/types.h>

/** A table of x86: 512 entries of 8 bytes. */
enum { TABLE_ENTRIES = 512 };

/** struct table - as the CPU walks it. */
struct table {
	uint64_t entry[TABLE_ENTRIES];
};

/**
 * struct tables - room for @max, of which the first @nr were ever in use.
 *
 * @allocator:	for the backend: tables come from here, all else from malloc().
 * @kept:	copies, by place; NULL before tables_keep().
 * @unused:	places of tables that were freed, @nr_unused of them.
 */
struct tables {
	struct gln_allocator allocator;
	size_t max;
	size_t nr;
	size_t nr_unused;
	struct table *memory;
	struct table *kept;
	size_t *unused;
};

/** tables_init() - Return: 0 or -ENOMEM. */
int tables_init(struct tables *tables, size_t max);
void tables_fini(struct tables *tables);

static inline size_t tables_in_use(const struct tables *tables)
{
	return tables->nr - tables->nr_unused;
}

/** tables_keep() - copy all that are in use. Return: 0 or -ENOMEM. */
int tables_keep(struct tables *tables);
/** tables_put_back() - make one what it was then; nobody else uses it. */
void tables_put_back(struct tables *tables, size_t place);

#endif
