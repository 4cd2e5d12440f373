/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - tables allocated beforehand, all of one order.
 *
 * A large table wants as much memory in one piece, which a host that has been
 * up for long may not find. A pool has it from the start, and its VMs take
 * turns.
 */
#ifndef GLN_CORE_HPT_POOL_H
#define GLN_CORE_HPT_POOL_H

#include <glean/platform.h>

#include "core/hpt/table.h"

/** A table that nobody has: what it is chained with lies in itself. */
struct hpt_spare {
	struct hpt_spare *next;
};

/**
 * struct hpt_pool - the tables.
 *
 * @lock:	of @spares and @nr_spares. Nothing is called with it.
 */
struct hpt_pool {
	struct gln_allocator allocator;
	unsigned int order;
	uint32_t nr_tables;
	struct gln_plat_mutex lock;
	struct hpt_spare *spares;
	uint32_t nr_spares;
};

/**
 * glni_hpt_pool_init() - allocate @nr_tables of @order; 0 is a pool that has
 * none.
 *
 * Return: 0; -ENOMEM; -ERANGE if the allocator did not align a table to its
 * size. On failure nothing is allocated.
 */
int glni_hpt_pool_init(struct hpt_pool *pool,
		       const struct gln_allocator *allocator,
		       unsigned int order, uint32_t nr_tables);

/** glni_hpt_pool_fini() - free them. All must be back. */
void glni_hpt_pool_fini(struct hpt_pool *pool);

/**
 * glni_hpt_table_alloc() - the memory of one table, zeroed.
 * glni_hpt_table_free() - give it back.
 *
 * Return: 0; -ENOMEM; -ERANGE if it is not aligned to its size, as hardware
 * finds entries by OR-ing into its address; @entries is untouched then.
 */
int glni_hpt_table_alloc(const struct gln_allocator *allocator,
			 unsigned int order, struct hpte **entries);
void glni_hpt_table_free(const struct gln_allocator *allocator,
			 unsigned int order, struct hpte *entries);

#endif
