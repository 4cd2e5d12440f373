/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - make and free a log.
 */
#include "core/dirty/log.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/bitmap/kernel.h"

/* Bitmaps of more pages than this have sizes that may not fit in size_t. */
#define MAX_LOG_PAGES ((uint64_t)SIZE_MAX / 4)

static size_t staging_bytes(uint64_t nr_pages)
{
	return (size_t)gln_min(bitmap_words_bytes(nr_pages), STAGING_BYTES);
}

static uint64_t map_bytes(uint64_t nr_pages)
{
	return bitmap_words_bytes(nr_pages) + bitmap_summary_bytes(nr_pages);
}

static void map_fini(const struct gln_allocator *from, struct bitmap *map)
{
	gln_free(from, map->summary,
		 (size_t)bitmap_summary_bytes(map->nr_pages));
	gln_free(from, map->words, (size_t)bitmap_words_bytes(map->nr_pages));
}

static int map_init(const struct gln_allocator *from, struct bitmap *map,
		    uint64_t nr_pages, enum fence_form fence)
{
	map->nr_pages = nr_pages;
	map->fence = fence;
	map->kernel = glni_chosen_kernel();
	map->words = gln_alloc(from, (size_t)bitmap_words_bytes(nr_pages));
	map->summary = gln_alloc(from, (size_t)bitmap_summary_bytes(nr_pages));
	bitmap_find_levels(map);

	return map->words && map->summary ? 0 : -ENOMEM;
}

void glni_log_destroy(const struct gln_allocator *from, struct log *log)
{
	gln_free(from, log->staging, log->staging_bytes);
	map_fini(from, &log->maps[1]);
	map_fini(from, &log->maps[0]);
	gln_free(from, log, sizeof(*log));
}

int glni_log_create(const struct gln_allocator *from, uint64_t nr_pages,
		    enum fence_form fence, struct log **out)
{
	struct log *log;
	int err;

	if (nr_pages > MAX_LOG_PAGES)
		return -ENOMEM;
	log = gln_alloc(from, sizeof(*log));
	if (!log)
		return -ENOMEM;

	log->staging_bytes = staging_bytes(nr_pages);
	log->bytes =
		sizeof(*log) + log->staging_bytes + 2 * map_bytes(nr_pages);
	err = map_init(from, &log->maps[0], nr_pages, fence);
	if (!err)
		err = map_init(from, &log->maps[1], nr_pages, fence);
	if (!err) {
		log->staging = gln_alloc(from, log->staging_bytes);
		err = log->staging ? 0 : -ENOMEM;
	}
	if (err) {
		glni_log_destroy(from, log);
		return err;
	}

	strategy_init(&log->strategy);
	log_make_live(log, &log->maps[0]);
	*out = log;
	return 0;
}
