/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c - a set of pages of the guest.
 */
#include "bench/glean/pages.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t nr_words(const struct pages *pages)
{
	return (pages->nr_pages + PAGES_WORD - 1) / PAGES_WORD;
}

int pages_init(struct pages *pages, uint64_t nr_pages)
{
	*pages = (struct pages){.nr_pages = nr_pages};
	pages->words = calloc(nr_words(pages), sizeof(*pages->words));
	return pages->words ? 0 : -ENOMEM;
}

void pages_fini(struct pages *pages)
{
	free(pages->words);
}

void pages_add(struct pages *pages, uint64_t page)
{
	const uint64_t bit = UINT64_C(1) << page % PAGES_WORD;

	pages->words[page / PAGES_WORD] |= htole64(bit);
}

void pages_fill(struct pages *pages)
{
	const uint64_t tail = pages->nr_pages % PAGES_WORD;
	const uint64_t nr = nr_words(pages);

	memset(pages->words, 0xff, nr * sizeof(*pages->words));
	if (tail)
		pages->words[nr - 1] = htole64((UINT64_C(1) << tail) - 1);
}

void pages_clear(struct pages *pages)
{
	memset(pages->words, 0, nr_words(pages) * sizeof(*pages->words));
}

uint64_t pages_count(const struct pages *pages)
{
	uint64_t nr = 0;

	for (uint64_t i = 0; i < nr_words(pages); i++)
		nr += (uint64_t)__builtin_popcountll(pages->words[i]);
	return nr;
}

/*
 * The first page from @page on that is in the set, or with @flip all ones that
 * is not in it; @end if there is none before.
 */
static uint64_t find(const struct pages *pages, uint64_t page, uint64_t end,
		     uint64_t flip)
{
	uint64_t seen = UINT64_MAX << page % PAGES_WORD;

	while (page < end) {
		const uint64_t first = page - page % PAGES_WORD;
		const uint64_t word = le64toh(pages->words[first / PAGES_WORD]);
		const uint64_t bits = (word ^ flip) & seen;

		if (bits) {
			page = first + (uint64_t)__builtin_ctzll(bits);
			break;
		}
		page = first + PAGES_WORD;
		seen = UINT64_MAX;
	}
	return page < end ? page : end;
}

struct gln_range pages_next_run(const struct pages *pages, uint64_t page,
				uint64_t end)
{
	const uint64_t first = find(pages, page, end, 0);
	const uint64_t after = find(pages, first, end, UINT64_MAX);

	return (struct gln_range){.first = first, .count = after - first};
}

size_t pages_take_runs(const struct pages *pages, uint64_t *page, uint64_t end,
		       struct gln_range *runs, size_t max_runs)
{
	size_t nr = 0;

	while (nr < max_runs && *page < end) {
		const struct gln_range run = pages_next_run(pages, *page, end);

		*page = run.first + run.count;
		if (run.count)
			runs[nr++] = run;
	}
	return nr;
}
