/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark_test.c - from frames to bits: clipping to the slot, whatever is asked.
 *
 * G9, G11; H-11, H-13, H-16, H-23f (only the slot's own pages).
 */
#include "core/dirty/mark.h"

#include "tests/support/fake_allocator.h"
#include "tests/unit/require.h"

/* The last frame of a slot at the end of the frames of 4 KiB pages. */
#define LAST_FRAME ((UINT64_C(1) << 52) - 1)

enum { NR_PAGES = 130 };

static struct fake_allocator memory;
static struct slot slot;
static struct slot_set set;

static void start(gln_gfn base)
{
	struct log *log;

	fake_allocator_init(&memory);
	slot = (struct slot){.face = {.base = base, .nr_pages = NR_PAGES}};
	cr_assert_eq(
		glni_log_create(&memory.allocator, NR_PAGES, FENCE_BOTH, &log),
		0);
	slot.log = log;
	slot_publish_marks(&slot, log->live);
	cr_assert_eq(glni_slot_set_reserve(&set, &memory.allocator, &slot), 0);
	glni_slot_set_add(&set, &slot);
}

static void teardown(void)
{
	struct log *const log = slot.log;

	slot_publish_marks(&slot, NULL);
	slot.log = NULL;
	glni_log_destroy(&memory.allocator, log);
	glni_slot_set_remove(&set, &slot);
	glni_slot_set_fini(&set, &memory.allocator);
	cr_assert_eq(memory.nr_live, 0);
}

static void setup(void)
{
	start(1000);
}

/* Pages [first, end) of the slot, and no other, are marked. */
static bool has_marks(uint64_t first, uint64_t end)
{
	const struct bitmap *const live = slot.log->live;

	for (uint64_t i = 0; i < NR_PAGES; i++) {
		const uint64_t word = gln_load_relaxed(&live->words[i / 64]);

		if ((word >> i % 64 & 1) != (i >= first && i < end))
			return false;
	}

	return glni_bitmap_count(live) == end - first;
}

FixtureTest(slot_mark, a_range_is_clipped_to_the_slot)
{
	/* The slot is [1000, 1130). */
	static const struct {
		const char *what;
		struct gln_range range;
		uint64_t first, end;
	} cases[] = {
		{"nothing", {1000, 0}, 0, 0},
		{"the first page", {1000, 1}, 0, 1},
		{"the last page", {1129, 1}, 129, 130},
		{"all of it", {1000, 130}, 0, 130},
		{"far below", {0, 10}, 0, 0},
		{"up to the base", {900, 100}, 0, 0},
		{"one page over the base", {900, 101}, 0, 1},
		{"around", {900, 1000}, 0, 130},
		{"from inside past the end", {1100, 1000}, 100, 130},
		{"from the end on", {1130, 1}, 0, 0},
		{"far above", {UINT64_C(1) << 63, 1}, 0, 0},
		{"all frames", {0, UINT64_MAX}, 0, 130},
		{"from inside to the last number", {1001, UINT64_MAX}, 1, 130},
		{"the last number", {UINT64_MAX, 1}, 0, 0},
		{"past the last number", {UINT64_MAX, UINT64_MAX}, 0, 0},
		{"a sum that wraps into the slot",
		 {UINT64_MAX - 9, 1100},
		 0,
		 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snapshot *const snap = &slot.log->snap;
		const struct take_limits all = {.end = NR_PAGES,
						.max_pages = UINT64_MAX};

		cr_expect_eq(slot_mark_pages(&slot, cases[i].range),
			     cases[i].end - cases[i].first, "%s",
			     cases[i].what);
		cr_expect(has_marks(cases[i].first, cases[i].end), "%s",
			  cases[i].what);
		glni_bitmap_take(slot.log->live, snap, &all);
		glni_snapshot_reset(snap);
	}
}

FixtureTest(slot_mark, a_slot_without_a_log_takes_no_marks)
{
	struct slot plain = {.face = {.nr_pages = 10}};

	cr_assert_eq(slot_mark_pages(&plain, (struct gln_range){0, 10}), 0);
}

FixtureTest(slot_mark, a_frame_is_found_or_not)
{
	cr_assert_eq(dirty_mark(&set, 999), -ENOENT);
	cr_assert_eq(dirty_mark(&set, 1000), 1);
	cr_assert_eq(dirty_mark(&set, 1000), 0);
	cr_assert_eq(dirty_mark(&set, 1129), 1);
	cr_assert_eq(dirty_mark(&set, 1130), -ENOENT);
	cr_assert_eq(dirty_mark(&set, UINT64_MAX), -ENOENT);
	cr_assert_eq(glni_bitmap_count(slot.log->live), 2);
}

Test(slot_mark_high, the_last_frames_are_pages_like_any_other)
{
	start(LAST_FRAME - NR_PAGES + 1);
	cr_assert_eq(dirty_mark(&set, LAST_FRAME), 1);
	cr_assert_eq(dirty_mark(&set, LAST_FRAME + 1), -ENOENT);
	cr_assert(has_marks(NR_PAGES - 1, NR_PAGES));
	cr_assert_eq(slot_mark_pages(&slot, (struct gln_range){0, UINT64_MAX}),
		     NR_PAGES - 1);
	cr_assert(has_marks(0, NR_PAGES));
	teardown();
}
