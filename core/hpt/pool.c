/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - allocate tables, beforehand or not.
 */
#include "core/hpt/pool.h"

#include "core/base/assert.h"
#include "core/base/errno.h"
#include "core/base/memory.h"

/* Bits of a size: an order-46 table is more than some machines can name. */
enum { SIZE_BITS = sizeof(size_t) * 8 };

int glni_hpt_table_alloc(const struct gln_allocator *allocator,
			 unsigned int order, struct hpte **entries)
{
	if (order >= SIZE_BITS)
		return -ENOMEM;

	const size_t bytes = (size_t)1 << order;
	void *const memory = gln_alloc(allocator, bytes);

	if (!memory)
		return -ENOMEM;
	if ((uintptr_t)memory & (bytes - 1)) {
		gln_free(allocator, memory, bytes);
		return -ERANGE;
	}
	*entries = memory;
	return 0;
}

void glni_hpt_table_free(const struct gln_allocator *allocator,
			 unsigned int order, struct hpte *entries)
{
	gln_free(allocator, entries, (size_t)1 << order);
}

struct hpte *glni_hpt_pool_take(struct hpt_pool *pool, unsigned int order)
{
	struct hpt_spare *spare;

	if (order != pool->order)
		return NULL;
	gln_plat_mutex_lock(&pool->lock);
	spare = pool->spares;
	if (spare) {
		pool->spares = spare->next;
		pool->nr_spares--;
	}
	gln_plat_mutex_unlock(&pool->lock);
	return (void *)spare;
}

void glni_hpt_pool_give(struct hpt_pool *pool, struct hpte *entries)
{
	struct hpt_spare *const spare = (void *)entries;

	gln_plat_mutex_lock(&pool->lock);
	spare->next = pool->spares;
	pool->spares = spare;
	pool->nr_spares++;
	gln_assert(pool->nr_spares <= pool->nr_tables);
	gln_plat_mutex_unlock(&pool->lock);
}

static void free_spares(struct hpt_pool *pool)
{
	struct hpt_spare *spare;

	while ((spare = pool->spares)) {
		pool->spares = spare->next;
		glni_hpt_table_free(&pool->allocator, pool->order,
				    (void *)spare);
	}
}

static int allocate_tables(struct hpt_pool *pool)
{
	int err = 0;

	for (uint32_t i = 0; i < pool->nr_tables && !err; i++) {
		struct hpte *entries;

		err = glni_hpt_table_alloc(&pool->allocator, pool->order,
					   &entries);
		if (!err)
			glni_hpt_pool_give(pool, entries);
	}
	return err;
}

int glni_hpt_pool_init(struct hpt_pool *pool,
		       const struct gln_allocator *allocator,
		       unsigned int order, uint32_t nr_tables)
{
	int err;

	*pool = (struct hpt_pool){
		.allocator = *allocator,
		.order = order,
		.nr_tables = nr_tables,
	};
	err = gln_plat_mutex_init(&pool->lock);
	if (err)
		return err;

	err = allocate_tables(pool);
	if (err) {
		free_spares(pool);
		gln_plat_mutex_fini(&pool->lock);
	}
	return err;
}

void glni_hpt_pool_fini(struct hpt_pool *pool)
{
	gln_assert(pool->nr_spares == pool->nr_tables);
	free_spares(pool);
	gln_plat_mutex_fini(&pool->lock);
}
