/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.h - a bitmap, a snapshot, and the byte-a-page model of both.
 *
 * Memory is exactly as long as the core says, and the snapshot's words start
 * out as garbage: leftovers mean nothing (B4).
 */
#ifndef GLN_TESTS_UNIT_BITMAP_FIXTURE_H
#define GLN_TESTS_UNIT_BITMAP_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/bitmap/kernel.h"
#include "tests/support/pages.h"
#include "tests/unit/require.h"

static const enum fence_form fence_forms[] = {FENCE_BOTH, FENCE_ONE,
					      FENCE_GRACE};

enum { NR_FENCE_FORMS = sizeof(fence_forms) / sizeof(fence_forms[0]) };

/**
 * struct fixture - what is tested, and the truth.
 *
 * @live:	pages marked in @bm.
 * @taken:	pages in @snap.
 */
struct fixture {
	struct bitmap bm;
	struct snapshot snap;
	uint8_t *live;
	uint8_t *taken;
};

/* Whole lines, aligned as the VM's allocator aligns them. */
static inline void *fixture_lines(uint64_t nr_pages, int byte)
{
	const size_t bytes = bitmap_words_bytes(nr_pages);
	void *const lines = aligned_alloc(GLN_CACHE_LINE, bytes);

	cr_assert_not_null(lines);
	return memset(lines, byte, bytes);
}

static inline void fixture_init(struct fixture *f, uint64_t nr_pages,
				enum fence_form fence)
{
	const size_t summary_bytes = bitmap_summary_bytes(nr_pages);
	const int garbage = 0xa7;

	f->bm.nr_pages = nr_pages;
	f->bm.words = fixture_lines(nr_pages, 0);
	f->bm.summary = calloc(1, summary_bytes);
	f->bm.fence = fence;
	f->bm.kernel = glni_best_kernel();
	f->snap.nr_pages = nr_pages;
	f->snap.words = fixture_lines(nr_pages, garbage);
	f->snap.taken = calloc(1, summary_bytes);
	f->live = calloc(nr_pages, 1);
	f->taken = calloc(nr_pages, 1);
	cr_assert(f->bm.summary && f->snap.taken && f->live && f->taken);
	bitmap_find_levels(&f->bm);
}

static inline void fixture_fini(struct fixture *f)
{
	free(f->bm.words);
	free(f->bm.summary);
	free(f->snap.words);
	free(f->snap.taken);
	free(f->live);
	free(f->taken);
}

/* Mark, page by page, what @live says. */
static inline void fixture_mark_live(struct fixture *f)
{
	for (uint64_t i = 0; i < f->bm.nr_pages; i++)
		if (f->live[i])
			bitmap_mark(&f->bm, i);
}

/* Mark pages of a pattern that were not marked yet. */
static inline void fixture_fill(struct fixture *f, uint64_t pattern,
				struct test_random *random)
{
	test_pages_fill(f->live, f->bm.nr_pages, pattern, random);
	fixture_mark_live(f);
}

/* Forget all of the snapshot, as a commit does. */
static inline void fixture_forget_taken(struct fixture *f)
{
	glni_snapshot_reset(&f->snap);
	memset(f->taken, 0, f->snap.nr_pages);
}

static inline uint64_t fixture_word(const uint8_t *pages, uint64_t nr_pages,
				    uint64_t word)
{
	uint64_t bits = 0;

	for (uint64_t i = word * 64; i < nr_pages && i < word * 64 + 64; i++)
		bits |= (uint64_t)pages[i] << i % 64;

	return bits;
}

static inline bool fixture_line_bit(const uint64_t *lines, uint64_t line)
{
	return lines[line / 64] >> line % 64 & 1;
}

/* B1 above the summary: over each word that is not 0 there is a bit. */
static inline void fixture_check_levels(const struct fixture *f,
					const char *what, uint64_t seed)
{
	uint64_t nr = bitmap_nr_summary_words(f->bm.nr_pages);

	for (unsigned int i = 0; i < f->bm.nr_upper; i++) {
		for (uint64_t word = 0; word < nr; word++)
			require(!gln_load_relaxed(
					&bitmap_level(&f->bm, i)[word]) ||
					fixture_line_bit((const uint64_t *)
								 f->bm.upper[i],
							 word / LINE_WORDS),
				"%s, %" PRIu64 " pages, seed %" PRIu64
				": word %" PRIu64 " of level %u is not "
				"summarised (B1)",
				what, f->bm.nr_pages, seed, word, i);
		nr = bitmap_nr_words_above(nr);
	}
}

/* B1, B3, B4, and that marks are where the model says. */
static inline void fixture_check(const struct fixture *f, const char *what,
				 uint64_t seed)
{
	const uint64_t nr_pages = f->bm.nr_pages;
	const uint64_t nr_lines = gln_div_up(nr_pages, LINE_PAGES);
	const uint64_t *const summary = (const uint64_t *)f->bm.summary;

	for (uint64_t i = 0; i < nr_lines * LINE_WORDS; i++) {
		const uint64_t live = fixture_word(f->live, nr_pages, i);
		const uint64_t taken = fixture_word(f->taken, nr_pages, i);

		require(gln_load_relaxed(&f->bm.words[i]) == live,
			"%s, %" PRIu64 " pages, seed %" PRIu64 ": word %" PRIu64
			" of the marks",
			what, nr_pages, seed, i);
		require(snapshot_word(&f->snap, i) == taken,
			"%s, %" PRIu64 " pages, seed %" PRIu64 ": word %" PRIu64
			" of the snapshot",
			what, nr_pages, seed, i);
		require(!live || fixture_line_bit(summary, i / LINE_WORDS),
			"%s, %" PRIu64 " pages, seed %" PRIu64 ": word %" PRIu64
			" has no summary bit (B1)",
			what, nr_pages, seed, i);
	}
	fixture_check_levels(f, what, seed);
	for (uint64_t line = nr_lines; line % 64; line++)
		require(!fixture_line_bit(summary, line) &&
				!fixture_line_bit(f->snap.taken, line),
			"%s, %" PRIu64 " pages, seed %" PRIu64 ": line %" PRIu64
			" does not exist (B3)",
			what, nr_pages, seed, line);
}

/* B2: no summary bit is left. */
static inline bool fixture_summary_is_clear(const struct fixture *f)
{
	const uint64_t nr = bitmap_nr_summary_words(f->bm.nr_pages);

	for (uint64_t i = 0; i < nr; i++)
		if (gln_load_relaxed(&f->bm.summary[i]))
			return false;

	return true;
}

#endif
