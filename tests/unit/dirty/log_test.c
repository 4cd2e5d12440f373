/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_test.c - a log is made whole or not at all.
 *
 * L3 (all memory comes with the log), G6, G9 (any size); -ENOMEM.
 */
#include "core/dirty/log.h"

#include <errno.h>
#include <string.h>

#include "tests/support/fake_allocator.h"
#include "tests/unit/require.h"

static const uint64_t sizes[] = {
	1, 63, 64, 65, 511, 512, 513, 32768, 32769, 600000,
};

static struct fake_allocator memory;

static void setup(void)
{
	fake_allocator_init(&memory);
}

static void teardown(void)
{
	cr_assert_eq(memory.nr_live, 0);
}

static bool is_zero(const void *bytes, uint64_t nr)
{
	const uint8_t *const b = bytes;

	for (uint64_t i = 0; i < nr; i++)
		if (b[i])
			return false;

	return true;
}

FixtureTest(log, a_new_log_is_empty_and_counts_all_its_memory)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		struct log *log = NULL;

		cr_assert_eq(glni_log_create(&memory.allocator, *nr, FENCE_ONE,
					     &log),
			     0);
		cr_assert_eq(log->bytes, memory.live_bytes);
		cr_assert_eq(log->live->nr_pages, *nr);
		cr_assert_eq(log->snap.nr_pages, *nr);
		cr_assert_eq(log->live->fence, FENCE_ONE);
		cr_assert(is_zero((void *)log->live->words,
				  bitmap_words_bytes(*nr)));
		cr_assert(is_zero((void *)log->live->summary,
				  bitmap_summary_bytes(*nr)));
		cr_assert(is_zero(log->snap.words, bitmap_words_bytes(*nr)));
		cr_assert(is_zero(log->snap.taken, bitmap_summary_bytes(*nr)));
		glni_log_destroy(&memory.allocator, log);
		cr_assert_eq(memory.nr_live, 0);
	}
}

FixtureTest(log, staging_is_bounded_and_holds_whole_words)
{
	for (const uint64_t *nr = sizes; nr < ARRAY_END(sizes); nr++) {
		struct log *log = NULL;

		cr_assert_eq(glni_log_create(&memory.allocator, *nr, FENCE_BOTH,
					     &log),
			     0);
		cr_assert_gt(log->staging_bytes, 0);
		cr_assert_leq(log->staging_bytes, STAGING_BYTES);
		cr_assert_eq(log->staging_bytes % GLN_WORD_BYTES, 0);
		memset(log->staging, 0xff, log->staging_bytes);
		glni_log_destroy(&memory.allocator, log);
	}
}

FixtureTest(log, without_memory_there_is_no_log_and_no_leak)
{
	uint64_t nth = 0;
	int err;

	do {
		struct log *const untouched = (struct log *)&memory;
		struct log *log = untouched;

		memory.fail_at = ++nth;
		err = glni_log_create(&memory.allocator, 40000, FENCE_BOTH,
				      &log);
		if (err) {
			cr_assert_eq(err, -ENOMEM);
			cr_assert_eq(log, untouched);
			cr_assert_eq(memory.nr_live, 0);
		} else {
			glni_log_destroy(&memory.allocator, log);
		}
	} while (err);
	/* The log, two bitmaps of two levels each, staging. */
	cr_assert_eq(nth, 7);
}

FixtureTest(log, a_size_that_no_memory_holds_is_refused)
{
	static const uint64_t absurd[] = {
		UINT64_C(1) << 52, (UINT64_C(1) << 52) - 1,
		UINT64_C(1) << 63, UINT64_MAX - 511,
		UINT64_MAX,
	};

	for (const uint64_t *nr = absurd; nr < ARRAY_END(absurd); nr++) {
		struct log *log = NULL;

		cr_assert_eq(glni_log_create(&memory.allocator, *nr, FENCE_BOTH,
					     &log),
			     -ENOMEM, "%" PRIu64 " pages", *nr);
		cr_assert_null(log);
		cr_assert_eq(memory.nr_live, 0);
	}
}
