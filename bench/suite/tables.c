/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.c - memory for the tables of an MMU.
 */
#include "bench/suite/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/suite/memory.h"

/* What an allocator must align to when it is not a table. */
#define SMALL_ALIGN 64

static struct table *table_alloc(struct tables *tables)
{
	struct table *table;

	if (tables->nr_unused)
		table = &tables->memory[tables->unused[--tables->nr_unused]];
	else if (tables->nr < tables->max)
		table = &tables->memory[tables->nr++];
	else
		return NULL;

	return memset(table, 0, sizeof(*table));
}

static void *alloc(void *ctx, size_t bytes)
{
	const size_t units = (bytes + SMALL_ALIGN - 1) / SMALL_ALIGN;
	void *memory;

	if (bytes == sizeof(struct table))
		return table_alloc(ctx);
	memory = aligned_alloc(SMALL_ALIGN, units * SMALL_ALIGN);
	return memory ? memset(memory, 0, bytes) : NULL;
}

static void give_back(void *ctx, void *memory, size_t bytes)
{
	struct tables *const tables = ctx;

	if (!memory)
		return;
	if (bytes != sizeof(struct table))
		free(memory);
	else
		tables->unused[tables->nr_unused++] =
			(size_t)((struct table *)memory - tables->memory);
}

int tables_init(struct tables *tables, size_t max)
{
	*tables = (struct tables){
		.allocator = {alloc, give_back, tables},
		.max = max,
		.memory = suite_alloc(max * sizeof(struct table)),
		.unused = calloc(max, sizeof(*tables->unused)),
	};
	if (tables->memory && tables->unused)
		return 0;
	tables_fini(tables);
	return -ENOMEM;
}

void tables_fini(struct tables *tables)
{
	suite_free(tables->memory, tables->max * sizeof(struct table));
	suite_free(tables->kept, tables->max * sizeof(struct table));
	free(tables->unused);
}

int tables_keep(struct tables *tables)
{
	if (!tables->kept)
		tables->kept = suite_alloc(tables->max * sizeof(struct table));
	if (!tables->kept)
		return -ENOMEM;
	memcpy(tables->kept, tables->memory, tables->nr * sizeof(struct table));
	return 0;
}

void tables_put_back(struct tables *tables, size_t place)
{
	tables->memory[place] = tables->kept[place];
}
