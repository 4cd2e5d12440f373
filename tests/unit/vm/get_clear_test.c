/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * get_clear_test.c - the log as Linux KVM shapes it, with its error codes.
 *
 * G5 (marks are back after -EFAULT), G9 (little-endian, any size); H-02, H-04,
 * H-05, H-06 (only requested and set), H-07 (the range's rules), H-11, H-13,
 * H-14, H-23b, H-23c.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/guest.h"

enum { ID = 5, AS_SHIFT = 16 };

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, GLN_CAP_PROTECT | GLN_CAP_FLUSH, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

static size_t bitmap_bytes(uint64_t nr_pages)
{
	return gln_div_up(nr_pages, 64) * 8;
}

/* Bit i of the bitmap is bit i % 8 of byte i / 8, whatever the host. */
static uint8_t *to_bitmap(const uint8_t *pages, uint64_t nr_pages)
{
	uint8_t *const bitmap = calloc(1, bitmap_bytes(nr_pages));

	cr_assert_not_null(bitmap);
	for (uint64_t i = 0; i < nr_pages; i++)
		bitmap[i / 8] |= (uint8_t)(pages[i] << i % 8);

	return bitmap;
}

/* Get the log, byte by byte what @pages say and not a byte more. */
static void expect_log(const uint8_t *pages, uint64_t nr_pages, uint64_t seed)
{
	const size_t bytes = bitmap_bytes(nr_pages);
	uint8_t *const want = to_bitmap(pages, nr_pages);
	uint8_t *const got = malloc(bytes + 1);

	cr_assert_not_null(got);
	memset(got, 0x5a, bytes + 1);
	require(!gln_get_dirty_log(guest.vm, ID, got), "seed %" PRIu64, seed);
	require(!memcmp(got, want, bytes),
		"seed %" PRIu64 ": another bitmap of %" PRIu64 " pages", seed,
		nr_pages);
	require(got[bytes] == 0x5a, "seed %" PRIu64 ": a byte too many", seed);
	free(want);
	free(got);
}

/* The ranges of all protect calls are the runs of @pages. */
static void expect_protected(const uint8_t *pages, uint64_t nr_pages,
			     gln_gfn base, uint64_t seed)
{
	struct gln_range *const runs = calloc(nr_pages / 2 + 1, sizeof(*runs));
	const size_t nr = test_pages_runs(pages, nr_pages, base, runs);
	size_t at = 0;

	for (size_t i = 0; i < guest.fake.nr_calls; i++) {
		const struct fake_call *const call = &guest.fake.calls[i];

		if (call->kind != FAKE_PROTECT)
			continue;
		require(at + call->nr_ranges <= nr &&
				!memcmp(&guest.fake.ranges[call->first_range],
					&runs[at],
					call->nr_ranges * sizeof(*runs)),
			"seed %" PRIu64 ": other runs protected", seed);
		at += call->nr_ranges;
	}
	require(at == nr, "seed %" PRIu64 ": %zu of %zu runs protected", seed,
		at, nr);
	require(guest.fake.nr_of[FAKE_FLUSH] == (nr != 0),
		"seed %" PRIu64 ": flushes", seed);
	free(runs);
}

static int get(uint32_t slot, void *bitmap)
{
	return gln_get_dirty_log(guest.vm, slot, bitmap);
}

static int clear_range(uint64_t first_page, uint32_t num_pages,
		       const void *bitmap)
{
	const struct gln_clear_log clear = {
		.slot = ID,
		.num_pages = num_pages,
		.first_page = first_page,
		.bitmap = bitmap,
	};

	return gln_clear_dirty_log(guest.vm, &clear);
}

static int clear_slot(uint32_t slot, const void *bitmap)
{
	const struct gln_clear_log clear = {
		.slot = slot,
		.num_pages = 64,
		.bitmap = bitmap,
	};

	return gln_clear_dirty_log(guest.vm, &clear);
}

/* Numbers that both calls refuse. Slot 1 is there and not logged. */
static const struct number_case {
	const char *what;
	uint32_t number;
	int err;
} numbers[] = {
	{"another address space", 1U << AS_SHIFT | ID, -EINVAL},
	{"the last address space", UINT32_MAX, -EINVAL},
	{"a bit of address space alone", 1U << 31 | ID, -EINVAL},
	{"the first id out of bounds", GLN_SLOT_IDS, -EINVAL},
	{"the last number of this address space", 0xffff, -EINVAL},
	{"an id that has no slot", 6, -ENOENT},
	{"the last id", GLN_SLOT_IDS - 1, -ENOENT},
	{"a slot that is not logged", 1, -ENOENT},
};

FixtureTest(get, slot_numbers_have_these_errors)
{
	uint64_t bitmap[4];

	guest_add_slot(&guest, 1, 0, 200);
	guest_log_slot(&guest, ID, 200, 200);
	for (const struct number_case *c = numbers; c < ARRAY_END(numbers);
	     c++) {
		cr_expect_eq(get(c->number, bitmap), c->err, "%s", c->what);
		cr_expect_eq(clear_slot(c->number, bitmap), c->err, "%s",
			     c->what);
	}
	/* H-23b: none of these counts as a harvest that failed. */
	cr_assert_eq(guest_stats(&guest).failed_harvests, 0);
	cr_assert_eq(guest.fake.nr_calls, 0);
}

FixtureTest(get, takes_protects_and_gives_every_size_and_density)
{
	const uint8_t none[200] = {0};
	uint8_t pages[200];

	for (uint64_t nr = 1; nr <= 200; nr++) {
		for (uint64_t seed = 0; seed < NR_PATTERNS; seed++) {
			struct test_random random = {nr + seed};

			test_pages_fill(pages, nr, seed, &random);
			guest_log_slot(&guest, ID, nr % 64, nr);
			guest_mark(&guest, nr % 64, pages, nr);
			expect_log(pages, nr, seed);
			expect_protected(pages, nr, nr % 64, seed);
			require(guest_has_marks(&guest, ID, none),
				"seed %" PRIu64 ": marks are left", seed);
			expect_log(none, nr, seed);
			cr_assert_eq(gln_slot_remove(guest.vm, ID), 0);
		}
	}
}

/* More bitmap than goes over the edge at once: 64 KiB, 524288 pages. */
enum { LARGE_PAGES = 3 * 524288 + 100 };

FixtureTest(get, a_large_bitmap_goes_in_pieces)
{
	static uint8_t pages[LARGE_PAGES];
	static const uint64_t at[] = {
		0,	 524287,  524288,	   1048575,
		1048576, 1048577, 2 * 524288 + 63, LARGE_PAGES - 1,
	};

	guest_log_slot(&guest, ID, 3, LARGE_PAGES);
	for (const uint64_t *page = at; page < ARRAY_END(at); page++)
		pages[*page] = 1;
	guest_mark(&guest, 3, pages, LARGE_PAGES);
	expect_log(pages, LARGE_PAGES, 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 0);

	/* So much is dirty now that the bitmaps change places. */
	memset(pages, 1, sizeof(pages));
	for (unsigned int i = 0; i < 3; i++) {
		guest_mark(&guest, 3, pages, LARGE_PAGES);
		expect_log(pages, LARGE_PAGES, i);
		cr_assert_eq(guest_count_marks(&guest, ID), 0);
		cr_assert(guest_spare_is_clear(&guest, ID));
	}
}

FixtureTest(get, in_manual_mode_takes_and_protects_nothing)
{
	const uint8_t pages[200] = {[0] = 1, [64] = 1, [65] = 1, [199] = 1};

	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT), 0);
	guest_log_slot(&guest, ID, 100, 200);
	guest_mark(&guest, 100, pages, 200);
	for (unsigned int i = 0; i < 3; i++)
		expect_log(pages, 200, i);
	cr_assert_eq(guest.fake.nr_calls, 0);
	cr_assert(guest_has_marks(&guest, ID, pages));
	cr_assert_eq(guest_stats(&guest).harvested_pages, 0);
}

FixtureTest(get, manual_mode_takes_effect_at_once)
{
	const uint8_t pages[100] = {[7] = 1}, none[100] = {0};

	guest_log_slot(&guest, ID, 0, 100);
	guest_mark(&guest, 0, pages, 100);
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT), 0);
	expect_log(pages, 100, 0);
	expect_log(pages, 100, 1);
	cr_assert_eq(gln_log_set_mode(guest.vm, 0), 0);
	expect_log(pages, 100, 2);
	expect_log(none, 100, 3);
}

FixtureTest(get, initially_set_gives_every_page_and_none_past_the_end)
{
	static uint8_t ones[600];

	memset(ones, 1, sizeof(ones));
	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT |
							GLN_LOG_INITIALLY_SET),
		     0);
	for (uint64_t nr = 1; nr <= 600; nr += nr < 200 ? 1 : 13) {
		guest_log_slot(&guest, ID, 0, nr);
		expect_log(ones, nr, nr);
		cr_assert_eq(gln_slot_remove(guest.vm, ID), 0);
	}
}

FixtureTest(get, in_manual_mode_collects_what_the_hardware_knows)
{
	static struct guest other;
	uint8_t written[100] = {[9] = 1};
	uint8_t bitmap[16];

	guest_start(&other, ALL_CAPS, 0);
	cr_assert_eq(gln_log_set_mode(other.vm, GLN_LOG_MANUAL_PROTECT), 0);
	guest_log_slot(&other, ID, 0, 100);
	other.fake.written = written;
	other.fake.written_id = ID;
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert_eq(gln_get_dirty_log(other.vm, ID, bitmap), 0);
		cr_assert_eq(bitmap[1], 2);
	}
	cr_assert_eq(other.fake.nr_of[FAKE_PROTECT], 0);
	cr_assert_eq(other.fake.nr_of[FAKE_FLUSH], 0);

	/* When it cannot be asked, that is an error and not an empty log. */
	other.fake.fail_at[FAKE_COLLECT] = 1;
	cr_assert_eq(gln_get_dirty_log(other.vm, ID, bitmap), -EIO);
	cr_assert_eq(guest_count_marks(&other, ID), 1);
	cr_assert_eq(guest_stats(&other).failed_harvests, 1);
	guest_stop(&other);
}

/* Bytes of which only the first @good can be touched. */
struct fenced {
	uint8_t *mapping;
	size_t mapping_bytes;
	uint8_t *bytes;
};

static void fenced_init(struct fenced *fenced, size_t good)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t head = gln_div_up(good, page) * page;

	fenced->mapping_bytes = head + (1 << 20);
	fenced->mapping =
		mmap(NULL, fenced->mapping_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(fenced->mapping, MAP_FAILED);
	memset(fenced->mapping, 0xff, head);
	cr_assert_eq(mprotect(fenced->mapping + head, 1 << 20, PROT_NONE), 0);
	fenced->bytes = fenced->mapping + head - good;
}

static void fenced_fini(struct fenced *fenced)
{
	munmap(fenced->mapping, fenced->mapping_bytes);
}

/* Neither call loses a mark to a bitmap of which @good bytes are there. */
static void expect_faults(uint64_t nr_pages, size_t good)
{
	static uint8_t pages[LARGE_PAGES];
	struct test_random random = {good};
	struct gln_stats stats;
	struct fenced fenced;

	test_pages_fill(pages, nr_pages, PATTERN_LONG_RUNS, &random);
	guest_log_slot(&guest, ID, 0, nr_pages);
	guest_mark(&guest, 0, pages, nr_pages);
	fenced_init(&fenced, good);

	cr_expect_eq(get(ID, fenced.bytes), -EFAULT, "%zu bytes", good);
	cr_expect(guest_has_marks(&guest, ID, pages), "%zu bytes", good);
	memset(fenced.mapping, 0xff,
	       (size_t)(fenced.bytes - fenced.mapping) + good);
	cr_expect_eq(clear_range(0, (uint32_t)nr_pages, fenced.bytes), -EFAULT,
		     "%zu bytes", good);
	cr_expect(guest_has_marks(&guest, ID, pages), "%zu bytes", good);

	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT), 0);
	cr_expect_eq(get(ID, fenced.bytes), -EFAULT, "%zu bytes", good);
	cr_expect(guest_has_marks(&guest, ID, pages), "%zu bytes", good);
	cr_assert_eq(gln_log_set_mode(guest.vm, 0), 0);
	cr_expect(guest_spare_is_clear(&guest, ID), "%zu bytes", good);

	stats = guest_stats(&guest);
	cr_expect_eq(stats.failed_harvests, 3);
	cr_expect_eq(stats.cleared_pages, 0);
	fenced_fini(&fenced);
	fake_backend_forget(&guest.fake);
	guest_stop(&guest);
	setup();
}

FixtureTest(get, a_bitmap_that_is_not_there_loses_no_mark)
{
	/* 32 bytes, of which fewer are there. */
	expect_faults(200, 0);
	expect_faults(200, 1);
	expect_faults(200, 8);
	expect_faults(200, 31);
	/* Three pieces and some, of which the first few are there. */
	expect_faults(LARGE_PAGES, 65536 - 1);
	expect_faults(LARGE_PAGES, 65536);
	expect_faults(LARGE_PAGES, 2 * 65536 + 4096);
}

FixtureTest(get, a_null_bitmap_is_no_crash)
{
	guest_log_slot(&guest, ID, 0, 200);
	gln_dirty_mark(guest.vm, 3);
	cr_assert_eq(get(ID, NULL), -EFAULT);
	cr_assert_eq(clear_range(0, 200, NULL), -EFAULT);
	cr_assert_eq(guest_count_marks(&guest, ID), 1);
}

FixtureTest(get, an_exact_bitmap_is_long_enough)
{
	struct fenced fenced;

	guest_log_slot(&guest, ID, 0, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 200});
	fenced_init(&fenced, bitmap_bytes(200));
	cr_assert_eq(get(ID, fenced.bytes), 0);
	cr_assert_eq(fenced.bytes[25], 0);
	cr_assert_eq(fenced.bytes[31], 0);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 200});
	cr_assert_eq(clear_range(0, 200, fenced.bytes), 0);
	cr_assert_eq(clear_range(128, 72, fenced.bytes + 16), 0);
	fenced_fini(&fenced);
}

FixtureTest(get, puts_everything_back_when_the_backend_fails)
{
	static const enum fake_call_kind kinds[] = {FAKE_PROTECT, FAKE_FLUSH};
	uint8_t pages[300];
	uint64_t bitmap[5];

	for (size_t i = 0; i < sizeof(pages); i++)
		pages[i] = i % 3 == 0;
	guest_log_slot(&guest, ID, 0, 300);
	guest_mark(&guest, 0, pages, 300);
	memset(bitmap, 0xff, sizeof(bitmap));
	for (size_t i = 0; i < 2; i++) {
		for (uint64_t nth = 1; nth <= 2 - i; nth++) {
			guest.fake.fail_at[kinds[i]] = nth;
			cr_expect_eq(get(ID, bitmap), -EIO);
			cr_expect(guest_has_marks(&guest, ID, pages));
			memset(bitmap, 0xff, sizeof(bitmap));
			guest.fake.fail_at[kinds[i]] = nth;
			cr_expect_eq(clear_range(0, 300, bitmap), -EIO);
			cr_expect(guest_has_marks(&guest, ID, pages));
		}
	}
	cr_assert_eq(guest_stats(&guest).failed_harvests, 6);
	cr_assert_eq(guest_stats(&guest).cleared_pages, 0);
	expect_log(pages, 300, 0);
}

/* The slot has 200 pages, but for one case. */
static const struct clear_case {
	const char *what;
	uint64_t nr_pages;
	uint64_t first_page;
	uint32_t num_pages;
	int err;
} clears[] = {
	{"all of it", 200, 0, 200, 0},
	{"nothing", 200, 0, 0, 0},
	{"a word", 200, 0, 64, 0},
	{"the second word", 200, 64, 64, 0},
	{"whole words", 200, 0, 192, 0},
	{"the tail", 200, 192, 8, 0},
	{"a word and the tail", 200, 128, 72, 0},
	{"nothing, in the last word", 200, 192, 0, 0},
	{"nothing, at an aligned end", 192, 192, 0, 0},
	{"an aligned slot", 192, 0, 192, 0},
	{"a first page of 1", 200, 1, 64, -EINVAL},
	{"a first page of 63", 200, 63, 64, -EINVAL},
	{"a first page of 32", 200, 32, 128, -EINVAL},
	{"a tail that ends early", 200, 0, 199, -EINVAL},
	{"one page", 200, 0, 1, -EINVAL},
	{"63 pages", 200, 64, 63, -EINVAL},
	{"a tail that ends early, later", 200, 192, 7, -EINVAL},
	{"a page too many", 200, 0, 201, -EINVAL},
	{"a tail too long", 200, 192, 9, -EINVAL},
	{"whole words past the end", 200, 0, 256, -EINVAL},
	{"a word past the end", 200, 192, 64, -EINVAL},
	{"a word behind the end", 200, 256, 64, -EINVAL},
	{"nothing, behind the end", 200, 256, 0, -EINVAL},
	{"nothing, at an end that is not aligned", 200, 200, 0, -EINVAL},
	{"as many as there can be", 200, 0, UINT32_MAX, -EINVAL},
	{"far behind the end", 200, UINT64_C(1) << 63, 64, -EINVAL},
	{"a sum that wraps to 0", 200, UINT64_MAX - 63, 64, -EINVAL},
	{"a sum that wraps into the slot", 200, UINT64_MAX - 63, 128, -EINVAL},
	{"the last page number", 200, UINT64_MAX, 0, -EINVAL},
};

FixtureTest(clear, ranges_have_these_rules)
{
	uint64_t ones[4];

	memset(ones, 0xff, sizeof(ones));
	for (const struct clear_case *c = clears; c < ARRAY_END(clears); c++) {
		const uint64_t nr = c->nr_pages;
		uint64_t want = nr;

		guest_log_slot(&guest, ID, 7, nr);
		gln_dirty_mark_range(guest.vm, (struct gln_range){7, nr});
		if (!c->err)
			want -= c->num_pages;
		cr_expect_eq(clear_range(c->first_page, c->num_pages, ones),
			     c->err, "%s", c->what);
		cr_expect_eq(guest_count_marks(&guest, ID), want, "%s",
			     c->what);
		cr_assert_eq(gln_slot_remove(guest.vm, ID), 0);
	}
	cr_assert_eq(guest_stats(&guest).failed_harvests, 0);
}

/*
 * Clear a random range with a random bitmap; what is cleared and protected is
 * what was asked for and marked, and nothing else.
 */
static void clear_at_random(uint64_t seed, uint64_t max_pages)
{
	static uint8_t marks[LARGE_PAGES], asked[LARGE_PAGES + 64],
		hit[LARGE_PAGES];
	struct test_random random = {seed};
	const uint64_t nr = test_random_between(&random, 1, max_pages);
	const uint64_t first = test_random_below(&random, nr / 64 + 1) * 64;
	const uint64_t words =
		test_random_below(&random, (nr - first) / 64 + 1);
	const uint64_t num =
		test_random_chance(&random, 128) ? words * 64 : nr - first;
	const gln_gfn base = test_random_below(&random, 1000);
	uint8_t *bitmap;

	test_pages_fill(marks, nr, seed, &random);
	/* Bits past the range's end are there, and are ignored. */
	test_pages_fill(asked, num + 64, seed / 5, &random);
	bitmap = to_bitmap(asked, gln_div_up(num, 64) * 64);
	guest_log_slot(&guest, ID, base, nr);
	guest_mark(&guest, base, marks, nr);

	memset(hit, 0, nr);
	for (uint64_t i = first; i < first + num; i++) {
		hit[i] = asked[i - first] && marks[i];
		marks[i] &= (uint8_t)!hit[i];
	}
	require(!clear_range(first, (uint32_t)num, bitmap),
		"seed %" PRIu64 ": %" PRIu64 " pages, [%" PRIu64 ", +%" PRIu64
		")",
		seed, nr, first, num);
	require(guest_has_marks(&guest, ID, marks) &&
			guest_spare_is_clear(&guest, ID),
		"seed %" PRIu64 ": other marks are left", seed);
	expect_protected(hit, nr, base, seed);
	free(bitmap);
	cr_assert_eq(gln_slot_remove(guest.vm, ID), 0);
	fake_backend_forget(&guest.fake);
}

FixtureTest(clear, takes_and_protects_what_is_asked_for_and_marked)
{
	for (uint64_t seed = 0; seed < 3000; seed++)
		clear_at_random(seed, 200);
	for (uint64_t seed = 0; seed < 100; seed++)
		clear_at_random(seed, 5000);
}

FixtureTest(clear, a_large_bitmap_comes_in_pieces)
{
	enum { SPREAD = 100000 };
	static uint8_t ones[LARGE_PAGES];
	uint8_t *bitmap;

	memset(ones, 1, sizeof(ones));
	bitmap = to_bitmap(ones, LARGE_PAGES);
	guest_log_slot(&guest, ID, 0, LARGE_PAGES);
	for (uint64_t i = 524287; i < LARGE_PAGES; i += SPREAD)
		gln_dirty_mark_range(guest.vm, (struct gln_range){i, 2});
	gln_dirty_mark(guest.vm, LARGE_PAGES - 1);
	cr_assert_eq(clear_range(0, LARGE_PAGES, bitmap), 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
	cr_assert_eq(guest_stats(&guest).cleared_pages, 2 * 11 + 1);
	free(bitmap);
}

FixtureTest(clear, get_then_clear_in_parts_reports_each_page_once)
{
	enum { NR = 1000 };

	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT |
							GLN_LOG_INITIALLY_SET),
		     0);
	guest_log_slot(&guest, ID, 0, NR);
	for (unsigned int i = 0; i < 3; i++) {
		const uint64_t want = i ? 300 : NR;
		uint64_t bitmap[(NR + 63) / 64];

		cr_assert_eq(get(ID, bitmap), 0);
		fake_backend_forget(&guest.fake);
		/* Written after the get, before the clear: in both. */
		gln_dirty_mark(guest.vm, 100);
		for (uint64_t page = 0; page < 960; page += 64)
			cr_assert_eq(clear_range(page, 64, &bitmap[page / 64]),
				     0);
		cr_assert_eq(clear_range(960, 40, &bitmap[15]), 0);
		cr_assert_eq(guest_stats(&guest).cleared_pages, NR + i * 300);
		cr_assert_eq(guest_count_marks(&guest, ID), 0);
		cr_assert_leq(guest.fake.nr_of[FAKE_PROTECT], want / 40 + 1);
		gln_dirty_mark_range(guest.vm, (struct gln_range){50, 300});
	}
}

FixtureTest(clear, marks_that_no_get_reported_stay)
{
	const uint8_t later[200] = {[64] = 1, [65] = 1};
	uint64_t bitmap[4];

	cr_assert_eq(gln_log_set_mode(guest.vm, GLN_LOG_MANUAL_PROTECT), 0);
	guest_log_slot(&guest, ID, 0, 200);
	gln_dirty_mark(guest.vm, 3);
	cr_assert_eq(get(ID, bitmap), 0);
	guest_mark(&guest, 0, later, 200);
	cr_assert_eq(clear_range(0, 200, bitmap), 0);
	cr_assert(guest_has_marks(&guest, ID, later));
}

FixtureTest(clear, works_outside_manual_mode_too)
{
	const uint64_t ones[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
				  UINT64_MAX};

	guest_log_slot(&guest, ID, 0, 200);
	gln_dirty_mark_range(guest.vm, (struct gln_range){10, 10});
	cr_assert_eq(clear_range(0, 200, ones), 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 1);
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 1);
}

FixtureTest(clear, of_nothing_marked_asks_nothing_of_the_backend)
{
	const uint64_t ones[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
				  UINT64_MAX};
	const uint64_t zeros[4] = {0};

	guest_log_slot(&guest, ID, 0, 200);
	cr_assert_eq(clear_range(0, 200, ones), 0);
	gln_dirty_mark(guest.vm, 0);
	cr_assert_eq(clear_range(0, 200, zeros), 0);
	cr_assert_eq(guest.fake.nr_calls, 0);
	cr_assert_eq(guest_count_marks(&guest, ID), 1);
}

/* KVM's structure, so that a VMM's code moves over as it is. */
FixtureTest(clear, is_asked_for_as_kvm_is)
{
	cr_assert_eq(sizeof(struct gln_clear_log), 24);
	cr_assert_eq(offsetof(struct gln_clear_log, slot), 0);
	cr_assert_eq(offsetof(struct gln_clear_log, num_pages), 4);
	cr_assert_eq(offsetof(struct gln_clear_log, first_page), 8);
	cr_assert_eq(offsetof(struct gln_clear_log, bitmap), 16);
}
