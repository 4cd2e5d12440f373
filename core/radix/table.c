/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - tables: where they come from and where they go.
 *
 * Allocated outside faults, into caches; freed when nobody can walk them.
 */
#include "core/radix/radix.h"

static uint64_t phys_of(const struct radix *radix, const gln_word *table)
{
	return radix->host.phys_of ? radix->host.phys_of(radix->host.ctx, table)
				   : (uintptr_t)table;
}

static void table_free(struct radix *radix, gln_word *table, unsigned int level)
{
	gln_plat_mutex_lock(&radix->lock);
	gln_free(&radix->allocator, table, radix_table_bytes(radix, level));
	gln_plat_mutex_unlock(&radix->lock);
}

void glni_radix_empty(const struct radix *radix, gln_word *table)
{
	const unsigned int level = radix_last(radix);

	/* Relaxed: its pointer is published with release, later. */
	for (uint64_t i = 0; i < radix_nr_entries(radix, level); i++)
		gln_store_relaxed(&table[i], radix->format.empty);
}

/*
 * Aligned to its size, and within what an entry can hold. A root may be smaller
 * than a page; nothing but a register points to it.
 */
static bool can_be_pointed_to(const struct radix *radix, uint64_t hpa,
			      size_t bytes)
{
	const uint64_t page =
		hpa & ~((UINT64_C(1) << radix->geometry.page_shift) - 1);

	return !(hpa & (bytes - 1)) &&
	       radix_addr(radix, radix_addr_bits(radix, page)) == page;
}

static int table_new(struct radix *radix, unsigned int level, gln_word **made)
{
	const uint64_t empty = radix->format.empty;
	gln_word *table;
	uint64_t hpa;

	gln_plat_mutex_lock(&radix->lock);
	table = gln_alloc(&radix->allocator, radix_table_bytes(radix, level));
	gln_plat_mutex_unlock(&radix->lock);
	if (!table)
		return -ENOMEM;

	hpa = phys_of(radix, table);
	if (!can_be_pointed_to(radix, hpa, radix_table_bytes(radix, level))) {
		table_free(radix, table, level);
		return -ERANGE;
	}
	/* Relaxed: as in glni_radix_empty(). */
	for (uint64_t i = 0; empty && i < radix_nr_entries(radix, level); i++)
		gln_store_relaxed(&table[i], empty);

	*made = table;
	return 0;
}

int glni_radix_init(struct radix *radix)
{
	const uint64_t markers = radix->format.empty | radix->format.locked;
	int err;

	/* protect_run() relies on it. */
	gln_assert(!(radix->logging.page_clear & markers));
	err = gln_plat_mutex_init(&radix->lock);
	if (err)
		return err;
	err = table_new(radix, 0, &radix->root);
	if (err)
		gln_plat_mutex_fini(&radix->lock);

	return err;
}

void glni_radix_free_tree(struct radix *radix, gln_word *table,
			  unsigned int level)
{
	for (uint64_t i = 0;
	     level < radix_last(radix) && i < radix_nr_entries(radix, level);
	     i++) {
		/* Relaxed: nobody else is here. */
		const uint64_t entry = gln_load_relaxed(&table[i]);

		if (radix_is_table(radix, level, entry))
			glni_radix_free_tree(radix, radix_child(radix, entry),
					     level + 1);
	}
	/* Relaxed: a count orders nothing. */
	gln_fetch_add_relaxed(&radix->nr_tables, 0 - (uint64_t)(level > 0));
	table_free(radix, table, level);
}

void glni_radix_fini(struct radix *radix)
{
	glni_radix_free_tree(radix, radix->root, 0);
	gln_plat_mutex_fini(&radix->lock);
}

/* All tables below the root have one size: that of the last level. */
int glni_radix_fill(struct radix *radix, struct radix_cache *cache,
		    unsigned int nr)
{
	int err = 0;

	while (cache->nr < nr && !err) {
		err = table_new(radix, radix_last(radix),
				&cache->table[cache->nr]);
		cache->nr += !err;
	}

	return err;
}

void glni_radix_drain(struct radix *radix, struct radix_cache *cache)
{
	while (cache->nr)
		table_free(radix, cache->table[--cache->nr], radix_last(radix));
}

uint64_t glni_radix_pointer(const struct radix *radix, gln_word *table)
{
	return radix->format.table_base |
	       radix_addr_bits(radix, phys_of(radix, table));
}
