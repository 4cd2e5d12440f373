/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.c - make and free a log.
 */
#include "core/dirty/log.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/bitmap/kernel.h"

/* Bitmaps of more pages than this have sizes that do not fit in size_t. */
#define MAX_LOG_PAGES ((uint64_t)SIZE_MAX / 4 * 8)

static size_t staging_bytes(uint64_t nr_pages)
{
	return (size_t)gln_min(bitmap_words_bytes(nr_pages), STAGING_BYTES);
}

static uint64_t log_bytes(uint64_t nr_pages)
{
	return sizeof(struct log) + staging_bytes(nr_pages) +
	       2 * bitmap_words_bytes(nr_pages) +
	       2 * bitmap_summary_bytes(nr_pages);
}

void glni_log_destroy(const struct gln_allocator *from, struct log *log)
{
	const uint64_t nr_pages = log->live.nr_pages;
	const size_t words_bytes = (size_t)bitmap_words_bytes(nr_pages);
	const size_t summary_bytes = (size_t)bitmap_summary_bytes(nr_pages);

	gln_free(from, log->staging, log->staging_bytes);
	gln_free(from, log->snap.taken, summary_bytes);
	gln_free(from, log->snap.words, words_bytes);
	gln_free(from, log->live.summary, summary_bytes);
	gln_free(from, log->live.words, words_bytes);
	gln_free(from, log, sizeof(*log));
}

int glni_log_create(const struct gln_allocator *from, uint64_t nr_pages,
		    enum fence_form fence, struct log **out)
{
	const size_t words_bytes = (size_t)bitmap_words_bytes(nr_pages);
	const size_t summary_bytes = (size_t)bitmap_summary_bytes(nr_pages);
	struct log *log;

	if (nr_pages > MAX_LOG_PAGES)
		return -ENOMEM;
	log = gln_alloc(from, sizeof(*log));
	if (!log)
		return -ENOMEM;

	log->bytes = log_bytes(nr_pages);
	log->live.nr_pages = nr_pages;
	log->live.fence = fence;
	log->live.kernel = glni_best_kernel();
	log->live.words = gln_alloc(from, words_bytes);
	log->live.summary = gln_alloc(from, summary_bytes);
	log->snap.nr_pages = nr_pages;
	log->snap.words = gln_alloc(from, words_bytes);
	log->snap.taken = gln_alloc(from, summary_bytes);
	log->staging_bytes = staging_bytes(nr_pages);
	log->staging = gln_alloc(from, log->staging_bytes);
	if (!log->live.words || !log->live.summary || !log->snap.words ||
	    !log->snap.taken || !log->staging) {
		glni_log_destroy(from, log);
		return -ENOMEM;
	}

	*out = log;
	return 0;
}
