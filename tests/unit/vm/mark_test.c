/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark_test.c - the public ways to mark, with friendly and hostile arguments.
 *
 * G2 (no invention), G9, G11; H-13, H-14 (little-endian), H-15 (page shifts),
 * H-16, H-21 (byte ranges).
 */
#include "tests/unit/guest.h"

/* Frames of 4 KiB pages end here. */
#define NR_FRAMES (UINT64_C(1) << 52)

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, 0, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

static uint64_t mark_range(gln_gfn first, uint64_t count)
{
	const struct gln_range range = {first, count};

	return gln_dirty_mark_range(guest.vm, range);
}

/* Forget all marks of a slot. */
static void clean(uint32_t id)
{
	gln_harvest_commit(guest_begin(&guest, id));
}

FixtureTest(mark, a_frame_is_new_marked_not_logged_or_nowhere)
{
	guest_log_slot(&guest, 1, 100, 100);
	guest_add_slot(&guest, 2, 300, 100);
	cr_assert_eq(gln_dirty_mark(guest.vm, 100), 1);
	cr_assert_eq(gln_dirty_mark(guest.vm, 100), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 199), 1);
	cr_assert_eq(gln_dirty_mark(guest.vm, 300), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 99), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, 200), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, NR_FRAMES), -ENOENT);
	cr_assert_eq(gln_dirty_mark(guest.vm, UINT64_MAX), -ENOENT);
	cr_assert_eq(guest_count_marks(&guest, 1), 2);
}

FixtureTest(mark, an_empty_vm_has_no_frames)
{
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), -ENOENT);
	cr_assert_eq(mark_range(0, UINT64_MAX), 0);
	cr_assert_eq(gln_dirty_mark_bytes(guest.vm, 0, UINT64_MAX), 0);
}

FixtureTest(mark, a_vcpu_marks_alike_and_counts)
{
	struct gln_vcpu *vcpu;

	guest_log_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_vcpu_register(guest.vm, 3, &vcpu), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 5), 1);
	cr_assert_eq(gln_vcpu_mark(vcpu, 5), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 6), 1);
	cr_assert_eq(gln_vcpu_mark(vcpu, 100), -ENOENT);
	cr_assert_eq(guest_stats(&guest).vcpu_marks, 4);
	cr_assert_eq(guest_stats(&guest).vcpu_new_marks, 2);
	gln_vcpu_unregister(vcpu);
	cr_assert_eq(guest_stats(&guest).vcpu_marks, 4);
	cr_assert_eq(guest_stats(&guest).vcpu_new_marks, 2);
}

FixtureTest(mark, the_slot_of_the_last_mark_may_go_move_and_come_back)
{
	struct gln_vcpu *const vcpu = guest_vcpu(&guest, 3);

	guest_log_slot(&guest, 1, 1000, 100);
	cr_assert_eq(gln_vcpu_mark(vcpu, 1050), 1);
	/* It is another number in the array now. */
	guest_log_slot(&guest, 2, 0, 100);
	cr_assert_eq(gln_vcpu_mark(vcpu, 1050), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 50), 1);
	cr_assert_eq(gln_slot_move(guest.vm, 1, 2000), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 1050), -ENOENT);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2050), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2051), 1);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2050), -ENOENT);
	/* Its memory, and its frames, are another slot's. */
	guest_add_slot(&guest, 3, 2000, 100);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2050), 0);
	cr_assert_eq(gln_log_enable(guest.vm, 3, 0), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2050), 1);
	cr_assert_eq(gln_log_disable(guest.vm, 3), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 2050), 0);
	cr_assert_eq(gln_slot_remove(guest.vm, 3), 0);
	cr_assert_eq(gln_slot_remove(guest.vm, 2), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, 50), -ENOENT);
	cr_assert_eq(guest_stats(&guest).vcpu_marks, 11);
	cr_assert_eq(guest_stats(&guest).vcpu_new_marks, 4);
	gln_vcpu_unregister(vcpu);
}

/* B1: whoever set the page's bit may not have come to the levels above it. */
Test(mark, a_marked_page_has_every_level_above_it_set_again)
{
	/* The smallest slot whose summary has two levels above it. */
	const uint64_t nr_pages = LINE_PAGES * LINE_PAGES * LINE_PAGES + 1;
	const uint64_t page = nr_pages - 1;
	struct gln_vcpu *vcpu;
	struct bitmap *live;

	guest_start(&guest, 0, 0);
	guest_log_slot(&guest, 1, 0, nr_pages);
	vcpu = guest_vcpu(&guest, 3);
	live = guest_log(&guest, 1)->live;
	cr_assert_eq(live->nr_upper, 2);
	cr_assert_eq(gln_vcpu_mark(vcpu, page), 1);
	for (unsigned int i = 0; i < 2 * (live->nr_upper + 1); i++) {
		const unsigned int level = i / 2;
		const uint64_t bit = page >> (LINE_SHIFT * (level + 1));
		gln_word *const word =
			&bitmap_level(live, level)[bit / GLN_WORD_BITS];
		const uint64_t mask = UINT64_C(1) << bit % GLN_WORD_BITS;

		gln_fetch_and_relaxed(word, ~mask);
		cr_assert_eq(i % 2 ? gln_vcpu_mark(vcpu, page)
				   : gln_dirty_mark(guest.vm, page),
			     0);
		cr_assert(gln_load_relaxed(word) & mask, "level %u", level);
	}
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

enum { CHANGE_SLOTS = 5, CHANGE_STRIDE = 300 };

/* struct places - slots that come, go and move, and their marks. */
struct places {
	uint64_t nr_pages[CHANGE_SLOTS]; /* 0: there is none */
	uint64_t at[CHANGE_SLOTS]; /* which place it has; no two the same */
	bool is_logged[CHANGE_SLOTS];
	uint8_t marks[CHANGE_SLOTS][CHANGE_STRIDE];
};

/* Have slots @a and @b change places, as long as there is only one of them. */
static void change_places(struct places *places, uint32_t a, uint32_t b)
{
	const uint64_t at = places->at[a];

	if (!places->nr_pages[a] || places->nr_pages[b])
		return;
	places->at[a] = places->at[b];
	places->at[b] = at;
	cr_assert_eq(gln_slot_move(guest.vm, a, places->at[a] * CHANGE_STRIDE),
		     0);
}

static void add_slot(struct places *places, struct test_random *random,
		     uint32_t id)
{
	const uint64_t nr = test_random_between(random, 1, CHANGE_STRIDE);

	guest_add_slot(&guest, id, places->at[id] * CHANGE_STRIDE, nr);
	places->nr_pages[id] = nr;
	places->is_logged[id] = test_random_below(random, 3) != 0;
	memset(places->marks[id], 0, CHANGE_STRIDE);
	if (places->is_logged[id])
		cr_assert_eq(gln_log_enable(guest.vm, id, 0), 0);
}

static void change_slots(struct places *places, struct test_random *random)
{
	const uint32_t id = (uint32_t)test_random_below(random, CHANGE_SLOTS);

	if (!places->nr_pages[id]) {
		add_slot(places, random, id);
	} else if (test_random_below(random, 2)) {
		change_places(
			places, id,
			(uint32_t)test_random_below(random, CHANGE_SLOTS));
	} else {
		cr_assert_eq(gln_slot_remove(guest.vm, id), 0);
		places->nr_pages[id] = 0;
	}
}

/* What a mark of a frame returns; notes the mark. */
static int place_mark(struct places *places, gln_gfn gfn)
{
	const uint64_t page = gfn % CHANGE_STRIDE;
	uint32_t id = 0;
	int is_new;

	while (places->at[id] != gfn / CHANGE_STRIDE)
		id++;
	if (page >= places->nr_pages[id])
		return -ENOENT;
	is_new = places->is_logged[id] && !places->marks[id][page];
	places->marks[id][page] = 1;
	return is_new;
}

static void mark_some_places(struct places *places, struct gln_vcpu *vcpu,
			     struct test_random *random, uint64_t seed)
{
	for (unsigned int i = 0; i < 8; i++) {
		const gln_gfn gfn = test_random_below(
			random, (uint64_t)CHANGE_SLOTS * CHANGE_STRIDE);
		const bool is_vcpus = test_random_below(random, 3) != 0;
		const int want = place_mark(places, gfn);
		const int got = is_vcpus ? gln_vcpu_mark(vcpu, gfn)
					 : gln_dirty_mark(guest.vm, gfn);

		require(got == want,
			"seed %" PRIu64 ": frame %" PRIu64 ": %d, not %d", seed,
			gfn, got, want);
	}
}

FixtureTest(mark, marks_among_random_changes_of_slots_agree_with_the_model)
{
	struct gln_vcpu *const vcpu = guest_vcpu(&guest, 3);

	for (uint64_t seed = 0; seed < 20; seed++) {
		static struct places places;
		struct test_random random = {seed};

		memset(&places, 0, sizeof(places));
		for (uint32_t id = 0; id < CHANGE_SLOTS; id++)
			places.at[id] = id;
		for (unsigned int i = 0; i < 60; i++) {
			change_slots(&places, &random);
			mark_some_places(&places, vcpu, &random, seed);
		}
		for (uint32_t id = 0; id < CHANGE_SLOTS; id++)
			if (places.nr_pages[id])
				cr_assert_eq(gln_slot_remove(guest.vm, id), 0);
	}
	gln_vcpu_unregister(vcpu);
}

FixtureTest(mark, a_range_covers_slots_and_holes)
{
	/* [100, 200) not logged [200, 264) | hole | [300, 310) [310, 311) */
	guest_log_slot(&guest, 1, 100, 100);
	guest_add_slot(&guest, 2, 200, 64);
	guest_log_slot(&guest, 3, 300, 10);
	guest_log_slot(&guest, 4, 310, 1);
	cr_assert_eq(mark_range(0, 100), 0);
	cr_assert_eq(mark_range(199, 101), 1);
	cr_assert_eq(mark_range(264, 36), 0);
	cr_assert_eq(mark_range(0, 301), 100);
	cr_assert_eq(mark_range(309, 2), 2);
	cr_assert_eq(mark_range(0, UINT64_MAX), 8);
	cr_assert_eq(mark_range(0, UINT64_MAX), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 100);
	cr_assert_eq(guest_count_marks(&guest, 3), 10);
	cr_assert_eq(guest_count_marks(&guest, 4), 1);
}

FixtureTest(mark, hostile_ranges_end_where_frames_end)
{
	guest_log_slot(&guest, 1, 0, 10);
	guest_log_slot(&guest, 2, NR_FRAMES - 10, 10);
	cr_assert_eq(mark_range(UINT64_MAX, 1), 0);
	cr_assert_eq(mark_range(UINT64_MAX, UINT64_MAX), 0);
	cr_assert_eq(mark_range(NR_FRAMES, UINT64_MAX), 0);
	cr_assert_eq(mark_range(UINT64_MAX - 5, 100), 0);
	cr_assert_eq(mark_range(5, 0), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
	cr_assert_eq(mark_range(NR_FRAMES - 1, UINT64_MAX), 1);
	cr_assert_eq(mark_range(9, UINT64_MAX), 1 + 9);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	cr_assert_eq(guest_count_marks(&guest, 2), 10);
}

FixtureTest(mark, random_ranges_over_random_slots_agree_with_the_model)
{
	enum { NR_SLOTS = 9, STRIDE = 200, NR_MODEL = NR_SLOTS * STRIDE };

	for (uint64_t seed = 0; seed < 30; seed++) {
		static uint8_t logged[NR_MODEL], marks[NR_MODEL];
		struct test_random random = {seed};

		memset(logged, 0, sizeof(logged));
		memset(marks, 0, sizeof(marks));
		for (uint32_t id = 0; id < NR_SLOTS; id++) {
			const uint64_t nr =
				test_random_between(&random, 1, STRIDE);

			guest_log_slot(&guest, id, id * STRIDE, nr);
			memset(&logged[id * STRIDE], 1, nr);
		}
		for (unsigned int i = 0; i < 60; i++) {
			const uint64_t first =
				test_random_below(&random, NR_MODEL);
			const uint64_t end =
				test_random_between(&random, first, NR_MODEL);
			uint64_t want = 0;

			for (uint64_t j = first; j < end; j++) {
				want += logged[j] && !marks[j];
				marks[j] |= logged[j];
			}
			require(mark_range(first, end - first) == want,
				"seed %" PRIu64 ": [%" PRIu64 ", %" PRIu64 ")",
				seed, first, end);
		}
		for (uint32_t id = 0; id < NR_SLOTS; id++) {
			require(guest_has_marks(&guest, id,
						&marks[id * STRIDE]),
				"seed %" PRIu64 ": slot %" PRIu32, seed, id);
			cr_assert_eq(gln_slot_remove(guest.vm, id), 0);
		}
	}
}

static const struct bytes_case {
	const char *what;
	uint64_t gpa;
	uint64_t bytes;
	uint64_t first, end; /* pages marked, of a slot of 200 from gpa 0 */
} bytes_cases[] = {
	{"no byte at all", 0, 0, 0, 0},
	{"no byte inside", 5000, 0, 0, 0},
	{"the very first byte", 0, 1, 0, 1},
	{"the first page", 0, 4096, 0, 1},
	{"one byte into the second page", 0, 4097, 0, 2},
	{"the last byte of a page", 4095, 1, 0, 1},
	{"two bytes over a boundary", 4095, 2, 0, 2},
	{"a page that is not aligned", 100, 4096, 0, 2},
	{"a page less a byte, not aligned", 100, 4095, 0, 2},
	{"up to the end of a page, not aligned", 100, 3996, 0, 1},
	{"two pages, not aligned", 4196, 8192, 1, 4},
	{"the second page", 4096, 4096, 1, 2},
	{"the last byte", 200 * 4096 - 1, 1, 199, 200},
	{"past the last byte", 200 * 4096, 1, 0, 0},
	{"over the end of the slot", 199 * 4096 + 5, 100000, 199, 200},
	{"every byte there is", 0, UINT64_MAX, 0, 200},
	{"from the second byte on", 1, UINT64_MAX, 0, 200},
	{"a range that wraps", 4096, UINT64_MAX, 1, 200},
	{"the last byte of the address space", UINT64_MAX, 1, 0, 0},
	{"one that wraps from there", UINT64_MAX, UINT64_MAX, 0, 0},
};

FixtureTest(mark, bytes_mark_each_page_they_touch)
{
	guest_log_slot(&guest, 1, 0, 200);
	for (const struct bytes_case *c = bytes_cases;
	     c < ARRAY_END(bytes_cases); c++) {
		uint8_t want[200] = {0};

		test_pages_set(want, c->first, c->end);
		cr_expect_eq(gln_dirty_mark_bytes(guest.vm, c->gpa, c->bytes),
			     c->end - c->first, "%s", c->what);
		cr_expect(guest_has_marks(&guest, 1, want), "%s", c->what);
		clean(1);
	}
}

FixtureTest(mark, bytes_at_the_end_of_the_address_space_are_marked)
{
	guest_log_slot(&guest, 1, NR_FRAMES - 2, 2);
	cr_assert_eq(gln_dirty_mark_bytes(guest.vm, UINT64_MAX, 1), 1);
	clean(1);
	cr_assert_eq(gln_dirty_mark_bytes(guest.vm, UINT64_MAX, UINT64_MAX), 1);
	clean(1);
	cr_assert_eq(gln_dirty_mark_bytes(guest.vm, UINT64_MAX - 4096, 4097),
		     2);
	clean(1);
	cr_assert_eq(gln_dirty_mark_bytes(guest.vm, UINT64_MAX - 8191, 8192),
		     2);
}

FixtureTest(mark, bytes_follow_the_page_shift)
{
	for (unsigned int shift = 12; shift <= 16; shift++) {
		const uint64_t page = UINT64_C(1) << shift;
		const struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.page_shift = shift,
		};
		const struct gln_slot_params slot = {
			.struct_bytes = sizeof(slot),
			.base = 3,
			.nr_pages = 10,
		};
		struct gln_vm *vm;

		cr_assert_eq(gln_vm_create(&params, &vm), 0);
		cr_assert_eq(gln_slot_add(vm, &slot), 0);
		cr_assert_eq(gln_log_enable(vm, 0, 0), 0);
		cr_assert_eq(gln_dirty_mark_bytes(vm, 3 * page - 1, 1), 0);
		cr_assert_eq(gln_dirty_mark_bytes(vm, 3 * page - 1, 2), 1);
		cr_assert_eq(gln_dirty_mark_bytes(vm, 4 * page - 1, 2), 1);
		cr_assert_eq(gln_dirty_mark_bytes(vm, 6 * page, page), 1);
		cr_assert_eq(gln_dirty_mark_bytes(vm, 13 * page - 1, page), 1);
		cr_assert_eq(gln_dirty_mark(vm, 3), 0);
		cr_assert_eq(gln_dirty_mark(vm, 4), 0);
		cr_assert_eq(gln_dirty_mark(vm, 5), 1);
		cr_assert_eq(gln_dirty_mark(vm, 6), 0);
		cr_assert_eq(gln_dirty_mark(vm, 7), 1);
		cr_assert_eq(gln_dirty_mark(vm, 12), 0);
		cr_assert_eq(gln_vm_destroy(vm), 0);
	}
}

static int merge(uint32_t id, uint64_t first_page, const void *bits,
		 uint64_t nr_pages)
{
	return gln_dirty_merge(guest.vm, id, first_page, bits, nr_pages);
}

FixtureTest(mark, merging_has_these_errors)
{
	const uint64_t ones[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
				  UINT64_MAX};

	guest_log_slot(&guest, 1, 0, 200);
	guest_add_slot(&guest, 2, 200, 200);
	cr_assert_eq(merge(GLN_SLOT_IDS, 0, ones, 64), -EINVAL);
	cr_assert_eq(merge(UINT32_MAX, 0, ones, 64), -EINVAL);
	cr_assert_eq(merge(3, 0, ones, 64), -ENOENT);
	cr_assert_eq(merge(2, 0, ones, 64), -ENOENT);
	cr_assert_eq(merge(1, 1, ones, 64), -EINVAL);
	cr_assert_eq(merge(1, 63, ones, 1), -EINVAL);
	cr_assert_eq(merge(1, 0, ones, 201), -EINVAL);
	cr_assert_eq(merge(1, 64, ones, 137), -EINVAL);
	cr_assert_eq(merge(1, 192, ones, 9), -EINVAL);
	cr_assert_eq(merge(1, 256, ones, 0), -EINVAL);
	cr_assert_eq(merge(1, 256, ones, 1), -EINVAL);
	cr_assert_eq(merge(1, UINT64_MAX - 63, ones, 64), -EINVAL);
	cr_assert_eq(merge(1, UINT64_MAX - 63, ones, 128), -EINVAL);
	cr_assert_eq(merge(1, 64, ones, UINT64_MAX), -EINVAL);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
	cr_assert_eq(merge(1, 0, NULL, 0), 0);
	cr_assert_eq(merge(1, 192, NULL, 0), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
}

/* Bit i of the bitmap is bit i % 8 of byte i / 8, whatever the host. */
static void to_bytes(uint8_t *bytes, size_t nr_bytes, const uint8_t *pages,
		     uint64_t nr_pages)
{
	memset(bytes, 0, nr_bytes);
	for (uint64_t i = 0; i < nr_pages; i++)
		bytes[i / 8] |= (uint8_t)(pages[i] << i % 8);
}

FixtureTest(mark, merging_ors_a_little_endian_bitmap_in)
{
	enum { MAX_PAGES = 1000, MAX_WORDS = (MAX_PAGES + 63) / 64 };

	for (uint64_t seed = 0; seed < 400; seed++) {
		struct test_random random = {seed};
		const uint64_t nr = test_random_between(&random, 1, MAX_PAGES);
		const uint64_t first =
			test_random_below(&random, nr / 64 + 1) * 64;
		const uint64_t some =
			test_random_between(&random, 0, nr - first);
		uint8_t marks[MAX_PAGES] = {0}, theirs[MAX_PAGES + 64];
		uint64_t bits[MAX_WORDS + 1];

		guest_log_slot(&guest, 1, seed, nr);
		test_pages_fill(marks, nr, seed, &random);
		guest_mark(&guest, seed, marks, nr);
		/* Bits from @some on are there, and are ignored. */
		test_pages_fill(theirs, sizeof(theirs), seed / 7, &random);
		to_bytes((uint8_t *)bits, sizeof(bits), theirs,
			 gln_div_up(some, 64) * 64);

		cr_assert_eq(merge(1, first, bits, some), 0);
		for (uint64_t i = 0; i < some; i++)
			marks[first + i] |= theirs[i];
		require(guest_has_marks(&guest, 1, marks), "seed %" PRIu64,
			seed);
		cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	}
}

FixtureTest(mark, merging_reads_no_word_too_many)
{
	/* AddressSanitizer watches the end of this. */
	uint64_t *const bits = malloc(2 * sizeof(*bits));

	cr_assert_not_null(bits);
	bits[0] = UINT64_MAX;
	bits[1] = UINT64_MAX;
	guest_log_slot(&guest, 1, 0, 65);
	cr_assert_eq(merge(1, 0, bits, 65), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 65);
	clean(1);
	cr_assert_eq(merge(1, 64, bits + 1, 1), 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	free(bits);
}
