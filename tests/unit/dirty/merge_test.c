/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge_test.c - several logs into one: every kind, size, start and order
 * against a model that goes an element at a time.
 *
 * G1, G6, G9, G11; H-11, H-13, H-14, H-16. Each source lies against a page that
 * cannot be read, so that a byte too many ends the test.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "core/dirty/merge.h"

#include "tests/support/random.h"
#include "tests/unit/guest.h"

enum {
	ID = 3,
	MAX_PAGES = 48 * LINE_PAGES,
	MAX_ELEMENTS = 300000,
	/* As bytes, or as entries of a list that are few but far apart. */
	MAX_BYTES = 384 * 1024,
	MAX_SOURCES = GLN_MERGE_AT_ONCE + 4,
	NR_SEEDS = 800,
};

/* Memory between two pages that cannot be read. */
static struct arena {
	unsigned char *first;
	unsigned char *end;
} arenas[MAX_SOURCES];

static struct guest guest;
static uint8_t pages[MAX_PAGES];

static void setup(void)
{
	const size_t guard = (size_t)sysconf(_SC_PAGESIZE);

	guest_start(&guest, 0, 0);
	for (struct arena *a = arenas; a < ARRAY_END(arenas); a++) {
		unsigned char *map =
			mmap(NULL, MAX_BYTES + 2 * guard, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		cr_assert_neq((void *)map, MAP_FAILED);
		a->first = map + guard;
		a->end = a->first + MAX_BYTES;
		cr_assert_eq(
			mprotect(a->first, MAX_BYTES, PROT_READ | PROT_WRITE),
			0);
	}
}

static void teardown(void)
{
	const size_t guard = (size_t)sysconf(_SC_PAGESIZE);

	for (struct arena *a = arenas; a < ARRAY_END(arenas); a++)
		munmap(a->first - guard, MAX_BYTES + 2 * guard);
	guest_stop(&guest);
}

/* --- the model --- */

static bool is_big(const struct gln_source *source)
{
	return source->order == GLN_SOURCE_BIG ||
	       (source->order == GLN_SOURCE_HOST && host_is_big());
}

/* Of a bitmap: the byte that holds bit @bit. */
static uint64_t byte_of(const struct gln_source *source, uint64_t bit)
{
	return is_big(source) ? (bit / 8) ^ 7 : bit / 8;
}

static uint64_t stride_of(const struct gln_source *source)
{
	return source->stride_bytes ? source->stride_bytes : 8;
}

static uint64_t read_entry(const struct gln_source *source, uint64_t i)
{
	const unsigned char *from = (const unsigned char *)source->data +
				    (source->offset + i) * stride_of(source);
	uint64_t entry = 0;

	for (unsigned int j = 0; j < 8; j++)
		entry |= (uint64_t)from[j] << 8 * (is_big(source) ? 7 - j : j);
	return entry;
}

static bool read_element(const struct gln_source *source, uint64_t i)
{
	const unsigned char *const data = source->data;

	i += source->offset;
	if (source->kind == GLN_SOURCE_BYTES)
		return data[i] != 0;
	return data[byte_of(source, i)] >> i % 8 & 1;
}

/* A slot, and what a merge into it should come to. */
struct model {
	unsigned int page_shift;
	gln_gfn base;
	uint64_t nr_pages;
	uint8_t named[MAX_PAGES]; /* by the source at hand */
};

/* Frame @frame of a source is named. Returns how many pages that is. */
static uint64_t name_frame(struct model *model, unsigned int shift,
			   uint64_t frame)
{
	const uint64_t bytes_top = UINT64_MAX >> shift;
	const uint64_t from = model->base << model->page_shift;
	const uint64_t to = from + (model->nr_pages << model->page_shift) - 1;
	uint64_t first, last, nr = 0;

	if (frame > bytes_top)
		return 0;
	first = frame << shift;
	last = first + ((UINT64_C(1) << shift) - 1);
	if (last < from || first > to)
		return 0;
	first = (first > from ? first : from) >> model->page_shift;
	last = (last < to ? last : to) >> model->page_shift;
	for (gln_gfn gfn = first; gfn <= last; gfn++, nr++)
		model->named[gfn - model->base] = 1;
	return nr;
}

/* What a source must count. */
struct counts {
	uint64_t nr_set;
	uint64_t nr_new;
};

/* Merge one source into @pages, which says what it must count. */
static void model_merge(struct model *model, const struct gln_source *source,
			struct counts *counts)
{
	const bool is_list = source->kind == GLN_SOURCE_LIST;
	uint64_t repeated = 0;

	memset(model->named, 0, sizeof(model->named));
	for (uint64_t i = 0; i < source->nr; i++) {
		const uint64_t add = is_list ? read_entry(source, i) : i;

		if (add > UINT64_MAX - source->first)
			continue;
		if (is_list || read_element(source, i))
			repeated += name_frame(model, source->page_shift,
					       source->first + add);
	}
	*counts = (struct counts){0};
	for (uint64_t i = 0; i < model->nr_pages; i++) {
		counts->nr_set += model->named[i];
		counts->nr_new += model->named[i] && !pages[i];
		pages[i] |= model->named[i];
	}
	if (is_list)
		counts->nr_set = repeated;
}

/* --- what to merge --- */

static void set_element(const struct gln_source *source, uint64_t i)
{
	unsigned char *const data = (unsigned char *)(uintptr_t)source->data;

	i += source->offset;
	if (source->kind == GLN_SOURCE_BYTES)
		data[i] = (unsigned char)(1U << i % 8);
	else
		data[byte_of(source, i)] |= (unsigned char)(1U << i % 8);
}

static void write_entry(const struct gln_source *source, uint64_t i,
			uint64_t entry)
{
	unsigned char *const to = (unsigned char *)(uintptr_t)source->data +
				  (source->offset + i) * stride_of(source);

	for (unsigned int j = 0; j < 8; j++)
		to[j] = (unsigned char)(entry >>
					8 * (is_big(source) ? 7 - j : j));
}

/* The bytes of @source that may be read: [@first, @end) from its data on. */
static void extent(const struct gln_source *source, uint64_t *first,
		   uint64_t *end)
{
	const uint64_t last = source->offset + source->nr;

	switch (source->kind) {
	case GLN_SOURCE_BITMAP:
		*first = source->offset / 8;
		*end = gln_div_up(last, 8);
		if (is_big(source)) {
			*first = *first / 8 * 8;
			*end = gln_div_up(*end, 8) * 8;
		}
		break;
	case GLN_SOURCE_BYTES:
		*first = source->offset;
		*end = last;
		break;
	default:
		*first = source->offset * stride_of(source);
		*end = (last - 1) * stride_of(source) + 8;
	}
}

/* Put it against one of the two guards; fill what is not its own with ones. */
static void place(struct test_random *random, struct gln_source *source,
		  const struct arena *arena)
{
	uint64_t first, end, own_end;

	extent(source, &first, &end);
	own_end = end;
	require(end - first <= MAX_BYTES, "a source of %" PRIu64, end - first);
	source->data = test_random_chance(random, 128) ? arena->end - end
						       : arena->first - first;
	memset(arena->first, 0xff, MAX_BYTES);
	if (source->kind == GLN_SOURCE_LIST)
		return;
	memset((unsigned char *)(uintptr_t)source->data + first, 0,
	       own_end - first);
	/* Bits beside its own, in the same bytes. */
	if (source->kind == GLN_SOURCE_BITMAP) {
		struct gln_source around = *source;

		around.offset = 0;
		for (uint64_t i = is_big(source) ? source->offset / 64 * 64
						 : source->offset / 8 * 8;
		     i < source->offset; i++)
			set_element(&around, i);
		for (uint64_t i = source->offset + source->nr;
		     i % (is_big(source) ? 64 : 8); i++)
			set_element(&around, i);
	}
}

static void fill_list(struct test_random *random, const struct model *model,
		      const struct gln_source *source)
{
	const gln_gfn around =
		model->base << model->page_shift >> source->page_shift;
	const uint64_t nr =
		(model->nr_pages << model->page_shift >> source->page_shift) +
		8;

	for (uint64_t i = 0; i < source->nr; i++) {
		uint64_t entry = around - 4 - source->first +
				 test_random_below(random, nr);

		if (i && test_random_chance(random, 64))
			entry = read_entry(source, i - 1) + 1;
		if (test_random_chance(random, 16))
			entry = test_random_next(random);
		write_entry(source, i, entry);
	}
}

static void fill(struct test_random *random, const struct gln_source *source)
{
	static const unsigned int rates[] = {0, 1, 128, 255, 256};
	const uint64_t run = test_random_chance(random, 128) ? 1 : 700;
	const unsigned int rate = rates[test_random_below(random, 5)];

	for (uint64_t i = 0; i < source->nr;) {
		const bool is_set = test_random_chance(random, rate);
		uint64_t left = test_random_between(random, 1, run);

		for (; left && i < source->nr; left--, i++)
			if (is_set)
				set_element(source, i);
	}
}

static unsigned int random_shift(struct test_random *random, unsigned int vm)
{
	const uint64_t kind = test_random_below(random, 8);

	if (kind < 4)
		return vm;
	if (kind < 7)
		return (unsigned int)test_random_between(random, vm - 8,
							 vm + 9);
	return (unsigned int)test_random_below(random, 64);
}

static void make_source(struct test_random *random, const struct model *model,
			struct gln_source *source, const struct arena *arena)
{
	const uint64_t bytes_from = model->base << model->page_shift;
	uint64_t nr_frames, before, near;

	*source = (struct gln_source){
		.kind = (uint32_t)test_random_below(random, 3),
		.order = (uint32_t)test_random_below(random, 3),
		.page_shift = random_shift(random, model->page_shift),
		.offset = test_random_below(random, 200),
		.nr_set = 12345,
		.nr_new = 67890,
	};
	nr_frames =
		(model->nr_pages << model->page_shift >> source->page_shift) +
		2;
	near = bytes_from >> source->page_shift;
	before = gln_min(test_random_below(random, nr_frames / 4 + 70), near);
	if (test_random_chance(random, 64))
		before = 0;
	source->first = near - before;
	source->nr = test_random_between(random, 1, nr_frames * 5 / 4);
	if (test_random_chance(random, 96))
		source->nr = nr_frames + before;
	source->nr = gln_min(source->nr, MAX_ELEMENTS);
	if (source->kind == GLN_SOURCE_LIST) {
		source->nr = test_random_between(random, 1, 300);
		source->stride_bytes =
			(uint32_t)test_random_below(random, 3) * 8;
		if (test_random_chance(random, 128))
			source->first = test_random_next(random);
	}
	place(random, source, arena);
	if (source->kind == GLN_SOURCE_LIST)
		fill_list(random, model, source);
	else
		fill(random, source);
}

static struct model make_slot(struct test_random *random)
{
	struct model model = {
		.page_shift = (unsigned int)test_random_between(random, 12, 16),
		.base = test_random_below(random, UINT64_C(1) << 30),
		.nr_pages = test_random_between(random, 1, MAX_PAGES),
	};

	if (test_random_chance(random, 128))
		model.base -= model.base % 512;
	if (test_random_chance(random, 64))
		model.nr_pages = gln_max(model.nr_pages / 64 * 64, 64);
	guest_log_slot(&guest, ID, model.base, model.nr_pages);
	return model;
}

static void mark_some_before(struct test_random *random,
			     const struct model *model)
{
	const unsigned int rate = (unsigned int)test_random_below(random, 64);

	for (uint64_t i = 0; i < model->nr_pages; i++) {
		pages[i] = test_random_chance(random, rate);
		if (pages[i])
			gln_dirty_mark(guest.vm, model->base + i);
	}
}

/* --- the property --- */

/* What a merge came to, by source; returns the sum of those that are new. */
static uint64_t check_counts(struct model *model,
			     const struct gln_source *sources, size_t nr,
			     uint64_t seed)
{
	struct counts want;
	uint64_t nr_new = 0;

	for (unsigned int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < nr; i++) {
			const struct gln_source *const got = &sources[i];

			if ((got->kind == GLN_SOURCE_LIST) != turn)
				continue;
			model_merge(model, got, &want);
			require(got->nr_set == want.nr_set &&
					got->nr_new == want.nr_new,
				"seed %" PRIu64 ", source %zu: %" PRIu64
				" set, %" PRIu64 " new; not %" PRIu64
				", %" PRIu64,
				seed, i, got->nr_set, got->nr_new, want.nr_set,
				want.nr_new);
			nr_new += want.nr_new;
		}
	}
	return nr_new;
}

static void check_seed(uint64_t seed, const struct scan_kernel *kernel)
{
	static struct model model;
	struct test_random random = {seed};
	struct gln_source sources[MAX_SOURCES];
	const size_t nr = test_random_between(&random, 0, MAX_SOURCES);
	const uint64_t budget = test_random_chance(&random, 128)
					? test_random_between(&random, 1, 20)
					: UINT64_C(1) << 17;
	struct merge merge = {.sources = sources, .nr_sources = nr};
	uint64_t nr_calls;

	model = make_slot(&random);
	mark_some_before(&random, &model);
	for (size_t i = 0; i < nr; i++)
		make_source(&random, &model, &sources[i], &arenas[i]);
	require(glni_merge_is_valid(sources, nr), "seed %" PRIu64, seed);

	const struct slot *slot = glni_slot_by_id(&guest.vm->slots, ID);

	nr_calls = guest.memory.nr_calls;
	merge.page_shift = model.page_shift;
	slot->log->live->kernel = kernel;
	while (!glni_merge_some(&merge, slot, slot->log->live, budget))
		;
	require(guest.memory.nr_calls == nr_calls, "seed %" PRIu64, seed);

	check_counts(&model, sources, nr, seed);
	require(guest_has_marks(&guest, ID, pages), "seed %" PRIu64 ", %s",
		seed, kernel->name);
	gln_slot_remove(guest.vm, ID);
}

/* Every kernel that this CPU can run, in turn. */
static void check_seeds(uint64_t first, uint64_t end)
{
	size_t nr = 0;

	while (glni_scan_kernel(nr))
		nr++;
	for (uint64_t seed = first; seed < end; seed++) {
		const struct scan_kernel *kernel = glni_scan_kernel(seed % nr);

		if (!kernel->is_usable())
			kernel = glni_scan_kernel(0);
		check_seed(seed, kernel);
	}
}

FixtureTest(merge, comes_to_what_an_element_at_a_time_does)
{
	check_seeds(1, NR_SEEDS);
}

FixtureTest(merge, does_so_with_a_fence_on_each_side)
{
	guest_stop(&guest);
	guest_start(&guest, 0, GLN_VM_FULL_FENCE);
	check_seeds(NR_SEEDS, NR_SEEDS + NR_SEEDS / 4);
}

/* --- into an open harvest --- */

/* A harvest with some budget, so that some marks may stay in the log. */
static struct gln_harvest *begin_some(struct test_random *random,
				      const struct model *model)
{
	struct gln_harvest_params params = {.struct_bytes = sizeof(params)};
	struct gln_harvest *harvest = NULL;

	if (test_random_chance(random, 128))
		return guest_begin(&guest, ID);
	params.first_page = test_random_below(random, model->nr_pages);
	params.max_pages = test_random_between(random, 1, 2000);
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest), 0);
	return harvest;
}

/* Move what @harvest holds from @left to @pages. Returns how many. */
static uint64_t move_taken(const struct model *model,
			   struct gln_harvest *harvest, uint8_t *left)
{
	uint64_t nr;

	memset(pages, 0, sizeof(pages));
	nr = guest_walk(harvest, model->base, pages, model->nr_pages);
	for (uint64_t i = 0; i < model->nr_pages; i++)
		left[i] = left[i] && !pages[i];
	return nr;
}

/* Commit some range, and abort another. Returns how many pages. */
static uint64_t settle_some(struct test_random *random,
			    const struct model *model,
			    struct gln_harvest *harvest, uint8_t *left)
{
	uint64_t nr = 0;

	for (unsigned int turn = 0; turn < 2; turn++) {
		const uint64_t first =
			test_random_below(random, model->nr_pages);
		const struct gln_range range = {
			.first = model->base + first,
			.count = test_random_between(random, 1,
						     model->nr_pages - first),
		};

		nr += turn ? gln_harvest_abort_range(harvest, range)
			   : gln_harvest_commit_range(harvest, range);
		for (uint64_t i = first; i < first + range.count; i++) {
			left[i] |= turn && pages[i];
			pages[i] = 0;
		}
	}
	return nr;
}

/* Commit or abort: what becomes of @pages, and of what is @left in the log? */
static void check_end(struct test_random *random, const struct model *model,
		      struct gln_harvest *harvest, uint8_t *left, uint64_t seed)
{
	const bool commits = test_random_chance(random, 128);
	uint64_t nr_pages = 0, nr;

	for (uint64_t i = 0; i < model->nr_pages; i++) {
		nr_pages += pages[i];
		left[i] |= pages[i] && !commits;
	}
	nr = commits ? gln_harvest_commit(harvest) : gln_harvest_abort(harvest);
	require(nr == nr_pages, "seed %" PRIu64, seed);
	require(guest_has_marks(&guest, ID, left), "seed %" PRIu64, seed);
	require(guest_spare_is_clear(&guest, ID), "seed %" PRIu64, seed);
}

static void check_harvest_seed(uint64_t seed, const struct scan_kernel *kernel)
{
	static struct model model;
	static uint8_t left[MAX_PAGES], walked[MAX_PAGES];
	struct test_random random = {seed};
	struct gln_source sources[MAX_SOURCES];
	const size_t nr = test_random_between(&random, 0, MAX_SOURCES);
	struct gln_harvest *harvest;
	uint64_t nr_taken, nr_calls, nr_settled = 0;

	model = make_slot(&random);
	model.page_shift = guest.vm->page_shift;
	mark_some_before(&random, &model);
	if (test_random_chance(&random, 32)) {
		gln_harvest_commit(guest_begin(&guest, ID));
		memset(pages, 0, sizeof(pages));
	}
	memcpy(left, pages, sizeof(left));
	guest_log(&guest, ID)->maps[0].kernel = kernel;
	guest_log(&guest, ID)->maps[1].kernel = kernel;

	harvest = begin_some(&random, &model);
	nr_taken = move_taken(&model, harvest, left);
	if (test_random_chance(&random, 64))
		nr_settled = settle_some(&random, &model, harvest, left);
	for (size_t i = 0; i < nr; i++)
		make_source(&random, &model, &sources[i], &arenas[i]);
	nr_calls = guest.memory.nr_calls;
	cr_assert_eq(gln_harvest_merge_sources(harvest, sources, nr), 0);
	require(guest.memory.nr_calls == nr_calls, "seed %" PRIu64, seed);

	nr_taken += check_counts(&model, sources, nr, seed);
	memset(walked, 0, sizeof(walked));
	gln_harvest_rewind(harvest);
	require(guest_walk(harvest, model.base, walked, model.nr_pages) <=
			nr_taken - nr_settled,
		"seed %" PRIu64, seed);
	require(!memcmp(walked, pages, sizeof(walked)), "seed %" PRIu64 ", %s",
		seed, kernel->name);
	require(guest_report(harvest).nr_pages == nr_taken, "seed %" PRIu64,
		seed);
	check_end(&random, &model, harvest, left, seed);
	gln_slot_remove(guest.vm, ID);
}

FixtureTest(merge, adds_to_a_harvest_what_an_element_at_a_time_would)
{
	size_t nr = 0;

	while (glni_scan_kernel(nr))
		nr++;
	for (uint64_t seed = 1; seed < NR_SEEDS; seed++) {
		const struct scan_kernel *kernel = glni_scan_kernel(seed % nr);

		if (!kernel->is_usable())
			kernel = glni_scan_kernel(0);
		check_harvest_seed(seed, kernel);
	}
}

FixtureTest(merge, gives_out_pages_of_a_harvest_that_took_none)
{
	const uint64_t word = UINT64_C(0x8000000000000001);
	struct gln_source source = {.page_shift = 12,
				    .order = GLN_SOURCE_HOST,
				    .data = &word,
				    .nr = 64,
				    .first = 700};
	struct gln_harvest *harvest;
	struct gln_range runs[3];

	guest_log_slot(&guest, ID, 100, 1000);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, runs, 3), 0);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &source, 1), 0);
	cr_assert_eq(gln_harvest_next(harvest, runs, 3), 2);
	cr_expect(runs[0].first == 700 && runs[0].count == 1);
	cr_expect(runs[1].first == 763 && runs[1].count == 1);
	cr_expect_eq(guest_report(harvest).nr_pages, 2);
	cr_expect_eq(gln_harvest_commit(harvest), 2);
	cr_expect_eq(guest_count_marks(&guest, ID), 0);
}

FixtureTest(merge, walks_again_only_if_there_is_something_new)
{
	const unsigned char first = 1, second = 3;
	struct gln_source old = {.page_shift = 12, .data = &first, .nr = 8};
	struct gln_source more = {.page_shift = 12, .data = &second, .nr = 8};
	struct gln_harvest *harvest;
	struct gln_range run;

	guest_log_slot(&guest, ID, 0, 100);
	gln_dirty_mark(guest.vm, 0);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &old, 1), 0);
	cr_expect_eq(gln_harvest_next(harvest, &run, 1), 0);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &more, 1), 0);
	cr_expect_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_expect(run.first == 0 && run.count == 2);
	gln_harvest_commit(harvest);
}

FixtureTest(merge, leaves_to_the_next_harvest_what_was_marked_since)
{
	const unsigned char bits = 3;
	struct gln_source source = {.page_shift = 12, .data = &bits, .nr = 8};
	struct gln_harvest *harvest;
	struct gln_range run;

	guest_log_slot(&guest, ID, 0, 100);
	harvest = guest_begin(&guest, ID);
	gln_dirty_mark(guest.vm, 1);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &source, 1), 0);
	cr_expect_eq(source.nr_new, 2);
	cr_expect_eq(gln_harvest_commit(harvest), 2);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_expect(run.first == 1 && run.count == 1);
	gln_harvest_commit(harvest);
}

FixtureTest(merge, asks_nothing_of_the_backend)
{
	const unsigned char bits = 0xff;
	struct gln_source source = {.page_shift = 12, .data = &bits, .nr = 8};
	struct gln_harvest *harvest;

	guest_stop(&guest);
	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, ID, 0, 100);
	harvest = guest_begin(&guest, ID);
	fake_backend_forget(&guest.fake);
	cr_assert_eq(gln_harvest_merge_sources(harvest, &source, 1), 0);
	cr_expect_eq(gln_harvest_commit(harvest), 8);
	cr_expect_eq(guest.fake.nr_calls, 0);
}

FixtureTest(merge, adds_to_one_slot_of_a_harvest_of_all)
{
	const struct gln_vm_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_vm_harvest_report report = {.struct_bytes = sizeof(report)};
	const unsigned char bits = 0x81;
	struct gln_source source = {
		.page_shift = 12, .data = &bits, .nr = 8, .first = 1000};
	struct gln_vm_harvest *all;

	for (unsigned int abort = 0; abort < 2; abort++) {
		guest_log_slot(&guest, ID, 0, 100);
		guest_log_slot(&guest, ID + 1, 1000, 100);
		gln_dirty_mark(guest.vm, 5);
		cr_assert_eq(gln_vm_harvest_begin(guest.vm, &params, &all), 0);
		cr_assert_eq(
			gln_harvest_merge_sources(
				gln_vm_harvest_slot(all, ID + 1), &source, 1),
			0);
		cr_assert_eq(gln_vm_harvest_report(all, &report), 0);
		cr_expect_eq(report.nr_pages, 3);
		cr_expect_eq(abort ? gln_vm_harvest_abort(all)
				   : gln_vm_harvest_commit(all),
			     3);
		cr_expect_eq(guest_count_marks(&guest, ID), abort);
		cr_expect_eq(guest_count_marks(&guest, ID + 1), 2 * abort);
		cr_expect(guest_spare_is_clear(&guest, ID + 1));
		gln_slot_remove(guest.vm, ID);
		gln_slot_remove(guest.vm, ID + 1);
	}
}

/* --- edges --- */

#define TOP (UINT64_C(1) << 52) /* frames of 4 KiB pages end here */

/* A source of ones, and which pages of the slot [100, 300) it names. */
static const unsigned char ones[80] = {255, 255, 255, 255, 255, 255,
				       255, 255, 255, 255, 255, 255};

static const struct {
	const char *what;
	struct gln_source source;
	uint64_t first, end;
} edges[] = {
	{"nothing", {.page_shift = 12}, 0, 0},
	{"the first page", {.page_shift = 12, .nr = 1, .first = 100}, 0, 1},
	{"the last page", {.page_shift = 12, .nr = 1, .first = 299}, 199, 200},
	{"just before", {.page_shift = 12, .nr = 1, .first = 99}, 0, 0},
	{"just after", {.page_shift = 12, .nr = 1, .first = 300}, 0, 0},
	{"over the base", {.page_shift = 12, .nr = 96, .first = 50}, 0, 46},
	{"over the end", {.page_shift = 12, .nr = 96, .first = 290}, 190, 200},
	{"the last of all frames",
	 {.page_shift = 12, .nr = 96, .first = UINT64_MAX - 3},
	 0,
	 0},
	{"bits that would wrap to the base",
	 {.page_shift = 12, .nr = 600, .first = UINT64_MAX - 99},
	 0,
	 0},
	{"frames that would shift to the base",
	 {.page_shift = 13, .nr = 1, .first = (UINT64_C(1) << 63) | 50},
	 0,
	 0},
	{"a page of 2^63 bytes", {.page_shift = 63, .nr = 1}, 0, 200},
	{"the other one", {.page_shift = 63, .nr = 1, .first = 1}, 0, 0},
	{"one byte", {.page_shift = 0, .nr = 1, .first = 102 * 4096 - 1}, 1, 2},
	{"two bytes",
	 {.page_shift = 0, .nr = 2, .first = 102 * 4096 - 1},
	 1,
	 3},
	{"half a page", {.page_shift = 11, .nr = 1, .first = 203}, 1, 2},
	{"two pages, one inside",
	 {.page_shift = 14, .nr = 1, .first = 24},
	 0,
	 0},
	{"four pages", {.page_shift = 14, .nr = 1, .first = 25}, 0, 4},
	{"a huge page over the base",
	 {.page_shift = 21, .nr = 1, .first = 0},
	 0,
	 200},
};

FixtureTest(merge, names_pages_wherever_a_source_begins_and_ends)
{
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct gln_source source = edges[i].source;

		source.data = ones;
		memset(pages, 0, sizeof(pages));
		memset(pages + edges[i].first, 1,
		       edges[i].end - edges[i].first);
		guest_log_slot(&guest, ID, 100, 200);
		cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID, &source, 1),
			     0, "%s", edges[i].what);
		cr_expect(guest_has_marks(&guest, ID, pages), "%s",
			  edges[i].what);
		cr_expect_eq(source.nr_set, edges[i].end - edges[i].first, "%s",
			     edges[i].what);
		cr_expect_eq(source.nr_new, source.nr_set, "%s", edges[i].what);
		gln_slot_remove(guest.vm, ID);
	}
}

FixtureTest(merge, reaches_the_last_frame_there_is)
{
	const uint64_t byte = UINT64_C(0x80);
	const uint64_t entries[] = {TOP - 1, TOP, UINT64_MAX};
	struct gln_source sources[] = {
		{.page_shift = 12, .data = &byte, .nr = 8, .first = TOP - 8},
		{.page_shift = 0,
		 .kind = GLN_SOURCE_BYTES,
		 .data = &byte,
		 .nr = 1,
		 .first = UINT64_MAX},
		{.page_shift = 12,
		 .kind = GLN_SOURCE_LIST,
		 .data = entries,
		 .order = GLN_SOURCE_HOST,
		 .nr = 3},
		{.page_shift = 0,
		 .kind = GLN_SOURCE_LIST,
		 .data = entries,
		 .order = GLN_SOURCE_HOST,
		 .nr = 1,
		 .offset = 2},
	};

	guest_log_slot(&guest, ID, TOP - 8, 8);
	sources[0].order = GLN_SOURCE_HOST;
	cr_assert_eq(gln_dirty_merge_sources(guest.vm, ID, sources, 4), 0);
	for (size_t i = 0; i < 4; i++) {
		cr_expect_eq(sources[i].nr_set, 1, "source %zu", i);
		cr_expect_eq(sources[i].nr_new, i == 0, "source %zu", i);
	}
	cr_assert_eq(guest_count_marks(&guest, ID), 1);
}

FixtureTest(merge, finds_far_sources_of_a_huge_slot)
{
	/* 12 TiB: more than one section, and most of it in no source. */
	const uint64_t nr_pages = UINT64_C(3) << 30;
	const unsigned char bits[] = {1, 128};
	struct gln_source sources[] = {
		{.page_shift = 12, .data = bits, .nr = 16},
		{.page_shift = 12,
		 .data = bits,
		 .nr = 16,
		 .first = nr_pages - 16},
	};
	struct gln_vm_params params = {.struct_bytes = sizeof(params)};
	struct gln_slot_params slot = {.struct_bytes = sizeof(slot),
				       .nr_pages = nr_pages};
	struct gln_range run[5];
	struct gln_harvest *harvest;
	struct gln_vm *vm;

	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(gln_slot_add(vm, &slot), 0);
	cr_assert_eq(gln_log_enable(vm, 0, 0), 0);
	cr_assert_eq(gln_dirty_merge_sources(vm, 0, sources, 2), 0);
	cr_expect_eq(sources[0].nr_new, 2);
	cr_expect_eq(sources[1].nr_new, 2);
	cr_assert_eq(gln_harvest_begin(
			     vm, 0,
			     &(struct gln_harvest_params){
				     .struct_bytes =
					     sizeof(struct gln_harvest_params)},
			     &harvest),
		     0);
	cr_assert_eq(gln_harvest_next(harvest, run, 5), 4);
	cr_expect_eq(run[0].first, 0);
	cr_expect_eq(run[1].first, 15);
	cr_expect_eq(run[2].first, nr_pages - 16);
	cr_expect_eq(run[3].first, nr_pages - 1);
	/* Into the harvest again: by the same sections, and nothing is new. */
	cr_assert_eq(gln_harvest_merge_sources(harvest, sources, 2), 0);
	cr_expect_eq(sources[1].nr_set, 2);
	cr_expect_eq(sources[1].nr_new, 0);
	sources[1].first -= 100;
	cr_assert_eq(gln_harvest_merge_sources(harvest, sources, 2), 0);
	cr_expect_eq(sources[1].nr_new, 2);
	cr_expect_eq(gln_harvest_commit(harvest), 6);
	gln_vm_destroy(vm);
}

FixtureTest(merge, counts_a_page_for_the_first_that_names_it)
{
	const unsigned char low = 0x0f, all = 0xff;
	const uint64_t frame = 2;
	struct gln_source sources[] = {
		{.page_shift = 12,
		 .kind = GLN_SOURCE_LIST,
		 .data = &frame,
		 .order = GLN_SOURCE_HOST,
		 .nr = 1},
		{.page_shift = 12, .data = &low, .nr = 8},
		{.page_shift = 12, .data = &all, .nr = 8},
	};
	static const uint64_t want[][2] = {{1, 0}, {4, 3}, {8, 4}};

	guest_log_slot(&guest, ID, 0, 100);
	gln_dirty_mark(guest.vm, 0);
	cr_assert_eq(gln_dirty_merge_sources(guest.vm, ID, sources, 3), 0);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(sources[i].nr_set, want[i][0], "source %zu", i);
		cr_expect_eq(sources[i].nr_new, want[i][1], "source %zu", i);
	}
	cr_assert_eq(gln_dirty_merge_sources(guest.vm, ID, sources, 3), 0);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(sources[i].nr_set, want[i][0], "source %zu", i);
		cr_expect_eq(sources[i].nr_new, 0, "source %zu", i);
	}
}

/* --- from one section to the next --- */

/* Go on with a merge, as a section of so many lines would. */
static bool merge_lines(struct merge *merge, uint64_t nr_lines)
{
	const struct slot *slot = glni_slot_by_id(&guest.vm->slots, ID);

	merge->page_shift = guest.vm->page_shift;
	return glni_merge_some(merge, slot, slot->log->live, nr_lines);
}

FixtureTest(merge, misses_no_frame_of_a_slot_that_moves_meanwhile)
{
	static unsigned char bits[40 * LINE_PAGES / 8];
	const uint64_t frame = UINT64_C(22) * LINE_PAGES + 3;
	struct gln_source source = {
		.page_shift = 12, .data = bits, .nr = 8 * sizeof(bits)};
	struct merge merge = {.sources = &source, .nr_sources = 1};
	const gln_gfn base = UINT64_C(5) * LINE_PAGES;

	bits[frame / 8] = 1U << frame % 8;
	guest_log_slot(&guest, ID, 0, 30 * LINE_PAGES);
	cr_assert_not(merge_lines(&merge, 20));
	cr_assert_eq(gln_slot_move(guest.vm, ID, base), 0);
	gln_harvest_commit(guest_begin(&guest, ID));
	while (!merge_lines(&merge, 20))
		;
	memset(pages, 0, sizeof(pages));
	pages[frame - base] = 1;
	cr_expect(guest_has_marks(&guest, ID, pages));
	cr_expect_eq(source.nr_new, 1);
}

/* More sources than a pass has, the first of which names the frame. */
FixtureTest(merge, misses_none_of_a_pass_that_has_ended)
{
	static unsigned char bits[40 * LINE_PAGES / 8];
	const uint64_t frame = UINT64_C(33) * LINE_PAGES + 3;
	struct gln_source sources[GLN_MERGE_AT_ONCE + 1];
	struct merge merge = {.sources = sources,
			      .nr_sources = GLN_MERGE_AT_ONCE + 1};
	const gln_gfn base = UINT64_C(5) * LINE_PAGES;

	memset(bits, 0, sizeof(bits));
	for (size_t i = 0; i < merge.nr_sources; i++)
		sources[i] = (struct gln_source){.page_shift = 12};
	sources[0].data = bits;
	sources[0].nr = 8 * sizeof(bits);
	bits[frame / 8] = 1U << frame % 8;
	guest_log_slot(&guest, ID, 0, 30 * LINE_PAGES);
	while (!merge.next)
		cr_assert_not(merge_lines(&merge, 20));
	cr_assert_eq(gln_slot_move(guest.vm, ID, base), 0);
	gln_harvest_commit(guest_begin(&guest, ID));
	while (!merge_lines(&merge, 20))
		;
	memset(pages, 0, sizeof(pages));
	pages[frame - base] = 1;
	cr_expect(guest_has_marks(&guest, ID, pages));
}

/* An entry that was cut where the slot was; it names all of where it is. */
FixtureTest(merge, misses_none_of_an_entry_that_was_cut)
{
	const uint64_t entry = 0;
	struct gln_source source = {.page_shift = 12 + 15, /* 64 lines */
				    .kind = GLN_SOURCE_LIST,
				    .order = GLN_SOURCE_HOST,
				    .data = &entry,
				    .nr = 1};
	struct merge merge = {.sources = &source, .nr_sources = 1};

	guest_log_slot(&guest, ID, 0, 30 * LINE_PAGES);
	while (!merge.rest.count)
		cr_assert_not(merge_lines(&merge, 10));
	cr_assert_eq(gln_slot_move(guest.vm, ID, UINT64_C(30) * LINE_PAGES), 0);
	gln_harvest_commit(guest_begin(&guest, ID));
	while (!merge_lines(&merge, 10))
		;
	memset(pages, 0, sizeof(pages));
	memset(pages, 1, (size_t)30 * LINE_PAGES);
	cr_expect(guest_has_marks(&guest, ID, pages));
}

FixtureTest(merge, reads_an_entry_once_however_long_it_takes)
{
	uint64_t entry = 0;
	struct gln_source source = {.page_shift = 12 + 14, /* 32 lines */
				    .kind = GLN_SOURCE_LIST,
				    .order = GLN_SOURCE_HOST,
				    .data = &entry,
				    .nr = 1};
	struct merge merge = {.sources = &source, .nr_sources = 1};
	const uint64_t nr = UINT64_C(32) * LINE_PAGES;

	guest_log_slot(&guest, ID, 0, 48 * LINE_PAGES);
	while (!merge.rest.count)
		cr_assert_not(merge_lines(&merge, 20));
	entry = 1;
	cr_assert(merge_lines(&merge, 20));
	memset(pages, 0, sizeof(pages));
	memset(pages, 1, nr);
	cr_expect(guest_has_marks(&guest, ID, pages));
	cr_expect_eq(source.nr_set, nr);
}

/* --- errors --- */

static const uint64_t word = UINT64_MAX;
static const struct gln_source good = {
	.page_shift = 12, .data = &word, .nr = 64, .nr_set = 7};
static const struct {
	const char *what;
	struct gln_source source;
} bad[] = {
	{"an unknown kind", {.kind = 3, .page_shift = 12}},
	{"an unknown order", {.order = 3, .page_shift = 12}},
	{"a page of 2^64 bytes", {.page_shift = 64}},
	{"no data", {.page_shift = 12, .nr = 1}},
	{"a bitmap with a stride", {.page_shift = 12, .stride_bytes = 8}},
	{"a list whose entries overlap",
	 {.kind = GLN_SOURCE_LIST, .stride_bytes = 7}},
	{"more bits than a number has",
	 {.data = &bad, .page_shift = 12, .offset = 2, .nr = UINT64_MAX - 1}},
	{"more entries than a number has bytes",
	 {.kind = GLN_SOURCE_LIST, .data = &bad, .nr = UINT64_C(1) << 61}},
	{"as many to leave out",
	 {.kind = GLN_SOURCE_LIST,
	  .data = &bad,
	  .nr = 1,
	  .offset = UINT64_C(1) << 61}},
};

FixtureTest(merge, refuses_what_makes_no_sense_and_touches_nothing)
{
	guest_log_slot(&guest, ID, 0, 64);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gln_source sources[] = {good, bad[i].source};

		cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID, sources, 2),
			     -EINVAL, "%s", bad[i].what);
		cr_expect_eq(sources[0].nr_set, 7, "%s", bad[i].what);
	}

	struct gln_source source = good;

	cr_expect_eq(
		gln_dirty_merge_sources(guest.vm, GLN_SLOT_IDS, &source, 1),
		-EINVAL);
	cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID + 1, &source, 1),
		     -ENOENT);
	cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID, NULL, 0), 0);
	cr_expect_eq(guest_count_marks(&guest, ID), 0);

	cr_assert_eq(gln_log_disable(guest.vm, ID), 0);
	cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID, &source, 1),
		     -ENOENT);
	cr_expect_eq(gln_dirty_merge_sources(guest.vm, ID, NULL, 0), -ENOENT);
	cr_expect_eq(source.nr_set, 7);
}

FixtureTest(merge, into_a_harvest_refuses_the_same)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, ID, 0, 64);
	harvest = guest_begin(&guest, ID);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct gln_source sources[] = {good, bad[i].source};

		cr_expect_eq(gln_harvest_merge_sources(harvest, sources, 2),
			     -EINVAL, "%s", bad[i].what);
		cr_expect_eq(sources[0].nr_set, 7, "%s", bad[i].what);
	}
	cr_expect_eq(gln_harvest_merge_sources(harvest, NULL, 0), 0);
	cr_expect_eq(gln_harvest_commit(harvest), 0);
}

FixtureTest(merge, does_not_mark_where_rings_are_all_there_is)
{
	struct gln_source source = good;

	cr_assert_eq(gln_ring_enable(guest.vm, 16384, 0), 0);
	guest_log_slot(&guest, ID, 0, 64);
	cr_assert_eq(gln_dirty_merge_sources(guest.vm, ID, &source, 1), -ENXIO);
	cr_assert_eq(source.nr_set, 7);
}
