/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - a set of pages of the guest, shaped as a dirty log: one bit a page,
 * little-endian whatever the host (log.h, G9).
 */
#ifndef BENCH_GLEAN_PAGES_H
#define BENCH_GLEAN_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include <glean/types.h>

/** Pages that a word of the set, and of a dirty log, stands for. */
#define PAGES_WORD UINT64_C(64)

/** struct pages - bit n % 64 of word n / 64, counted from its low byte up. */
struct pages {
	uint64_t *words;
	uint64_t nr_pages;
};

/** pages_init() - an empty set. Return: 0 or -ENOMEM. */
int pages_init(struct pages *pages, uint64_t nr_pages);
void pages_fini(struct pages *pages);

/** pages_add() - one page, below nr_pages; pages_fill() - all of them. */
void pages_add(struct pages *pages, uint64_t page);
void pages_fill(struct pages *pages);
void pages_clear(struct pages *pages);

/** pages_count() - how many bits are set, those past the end included. */
uint64_t pages_count(const struct pages *pages);

/**
 * pages_next_run() - the first run of pages at @page or after it and before
 * @end. Return: the run; its count is 0 if there is none.
 */
struct gln_range pages_next_run(const struct pages *pages, uint64_t page,
				uint64_t end);

/**
 * pages_take_runs() - the runs from *@page on and before @end.
 * @page:	out: where to go on; @end after the last.
 *
 * Return: how many there are in @runs; 0 if there are no more.
 */
size_t pages_take_runs(const struct pages *pages, uint64_t *page, uint64_t end,
		       struct gln_range *runs, size_t max_runs);

#endif
