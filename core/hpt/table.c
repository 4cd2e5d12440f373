/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - make, empty and free a table and its reverse map.
 */
#include "core/hpt/table.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/pool.h"

static size_t table_bytes(const struct hpt *hpt)
{
	return (size_t)1 << hpt->order;
}

/* From the pool if it has one, and remember; else from the allocator. */
static int get_entries(struct hpt *hpt, const struct gln_allocator *allocator,
		       struct hpt_pool *pool)
{
	hpt->entries = pool ? glni_hpt_pool_take(pool, hpt->order) : NULL;
	if (!hpt->entries)
		return glni_hpt_table_alloc(allocator, hpt->order,
					    &hpt->entries);
	hpt->pool = pool;
	memset(hpt->entries, 0, table_bytes(hpt));
	return 0;
}

static void put_entries(const struct hpt *hpt,
			const struct gln_allocator *allocator)
{
	if (hpt->pool)
		glni_hpt_pool_give(hpt->pool, hpt->entries);
	else
		glni_hpt_table_free(allocator, hpt->order, hpt->entries);
}

int glni_hpt_init(struct hpt *hpt, const struct gln_allocator *allocator,
		  enum gln_hpt_isa isa, unsigned int order,
		  struct hpt_pool *pool)
{
	struct hpt made = {
		.isa = isa,
		.order = order,
		.link_bits = order - GLN_HPT_ENTRY_SHIFT,
		.nr_entries = UINT64_C(1) << (order - GLN_HPT_ENTRY_SHIFT),
		.group_mask =
			(UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1,
	};
	int err;

	err = get_entries(&made, allocator, pool);
	if (err)
		return err;
	made.rev = gln_alloc(allocator, table_bytes(&made));
	if (!made.rev) {
		put_entries(&made, allocator);
		return -ENOMEM;
	}
	*hpt = made;
	return 0;
}

void glni_hpt_fini(struct hpt *hpt, const struct gln_allocator *allocator)
{
	put_entries(hpt, allocator);
	gln_free(allocator, hpt->rev, table_bytes(hpt));
}

void glni_hpt_reset(struct hpt *hpt)
{
	memset(hpt->entries, 0, table_bytes(hpt));
	memset(hpt->rev, 0, table_bytes(hpt));
}
