/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_ways.c - harvest, copy, check.
 */
#include "tests/support/stress_ways.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* What has become of a page in a transaction. */
enum state {
	NOT_TAKEN = 0,
	TAKEN,
	COMMITTED,
	ABORTED,
};

enum {
	WORD_PAGES = 64,
	MAX_RUNS = 16,
	MAX_BUDGET_PAGES = 300,
	MAX_BUDGET_NS = 30000,
	MAX_PART_WORDS = 12,
	TRIES = 1000,
};

typedef unsigned long long ull;

void ways_init(struct ways *ways, struct guest *guest, uint64_t seed)
{
	uint64_t most = 0;

	for (size_t i = 0; i < guest->nr_slots; i++)
		if (most < guest->slots[i].nr_pages)
			most = guest->slots[i].nr_pages;
	*ways = (struct ways){
		.guest = guest,
		.random = stress_random_from(seed, 2000),
		.states = calloc((size_t)most, 1),
		.bitmap = calloc((size_t)(most / WORD_PAGES + 1),
				 sizeof(uint64_t)),
	};
	CHECK(ways->states && ways->bitmap, "memory for a slot's states");
}

void ways_fini(struct ways *ways)
{
	free(ways->states);
	free(ways->bitmap);
}

static void copy(struct ways *ways, struct guest_slot *slot,
		 struct gln_range range)
{
	guest_copy(ways->guest, slot, range);
	ways->nr_pages += range.count;
}

/* Did it fail as the backend was told to? Then it is tried again. */
static bool is_to_try_again(struct ways *ways, int err, unsigned int *tries)
{
	if (err == -EBUSY && ways->may_wait) {
		sched_yield();
		return true;
	}
	if (err != -SOFT_MMU_ERROR || !ways->may_fail)
		return false;
	CHECK(++*tries < TRIES, "the backend does not fail for ever");
	ways->nr_failed++;
	return true;
}

/* Transactions. */

static struct gln_harvest *begin_with(struct ways *ways,
				      const struct guest_slot *slot,
				      const struct gln_harvest_params *params)
{
	struct gln_harvest *harvest = NULL;
	unsigned int tries = 0;
	int err;

	do {
		err = gln_harvest_begin(ways->guest->vm, slot->id, params,
					&harvest);
		CHECK(!err == !!harvest, "no harvest after an error");
	} while (is_to_try_again(ways, err, &tries));
	CHECK(!err, "slot %u can be harvested, error %d", slot->id, err);
	ways->nr_harvests++;

	return harvest;
}

static struct gln_harvest *begin(struct ways *ways,
				 const struct guest_slot *slot)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = guest_strategy(),
	};

	return begin_with(ways, slot, &all);
}

static struct gln_harvest_report report_of(struct gln_harvest *harvest)
{
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};

	CHECK(!gln_harvest_report(harvest, &report), "there is a report");
	return report;
}

static void set_states(struct ways *ways, const struct guest_slot *slot,
		       struct gln_range range, enum state state)
{
	memset(ways->states + (range.first - slot->base), (int)state,
	       (size_t)range.count);
}

/* A run must lie in the slot, after *@end, and not touch what came before. */
static void check_run(const struct guest_slot *slot, struct gln_range run,
		      gln_gfn *end)
{
	CHECK(run.count > 0 && run.first >= *end, "runs ascend");
	CHECK(run.first == slot->base || run.first > *end,
	      "runs are maximal: %llx touches the one before", (ull)run.first);
	CHECK(run.first - slot->base < slot->nr_pages &&
		      run.count <= slot->nr_pages - (run.first - slot->base),
	      "runs lie in the slot");
	*end = run.first + run.count;
}

/* Walk what was taken and note it. Returns how many pages. */
static uint64_t walk(struct ways *ways, const struct guest_slot *slot,
		     struct gln_harvest *harvest)
{
	const size_t room = 1 + stress_below(&ways->random, MAX_RUNS);
	struct gln_range runs[MAX_RUNS];
	gln_gfn end = slot->base;
	uint64_t nr_pages = 0;
	size_t nr;

	memset(ways->states, NOT_TAKEN, (size_t)slot->nr_pages);
	CHECK(!gln_harvest_next(harvest, runs, 0), "no room, no runs");
	while ((nr = gln_harvest_next(harvest, runs, room))) {
		CHECK(nr <= room, "no more runs than there is room for");
		for (size_t i = 0; i < nr; i++) {
			check_run(slot, runs[i], &end);
			set_states(ways, slot, runs[i], TAKEN);
			nr_pages += runs[i].count;
		}
	}
	CHECK(report_of(harvest).nr_pages == nr_pages,
	      "the report and the walk agree");

	return nr_pages;
}

/* The next run of pages in @state, from page *@page on. */
static bool next_in_state(const struct ways *ways,
			  const struct guest_slot *slot, enum state state,
			  uint64_t *page, struct gln_range *run)
{
	uint64_t first = *page;
	uint64_t end;

	while (first < slot->nr_pages && ways->states[first] != state)
		first++;
	end = first;
	while (end < slot->nr_pages && ways->states[end] == state)
		end++;
	*page = end;
	*run = (struct gln_range){slot->base + first, end - first};

	return run->count > 0;
}

static void copy_taken(struct ways *ways, struct guest_slot *slot)
{
	struct gln_range run;
	uint64_t page = 0;

	while (next_in_state(ways, slot, TAKEN, &page, &run))
		copy(ways, slot, run);
}

static void check_is_busy(struct ways *ways, const struct guest_slot *slot)
{
	const struct gln_harvest_params all = {.struct_bytes = sizeof(all)};
	const struct gln_clear_log clear = {
		.slot = slot->id,
		.bitmap = ways->bitmap,
	};
	struct gln_vm *const vm = ways->guest->vm;
	struct gln_harvest *none = NULL;

	CHECK(gln_harvest_begin(vm, slot->id, &all, &none) == -EBUSY && !none,
	      "one harvest of a slot at a time");
	CHECK(gln_get_dirty_log(vm, slot->id, ways->bitmap) == -EBUSY,
	      "no get while a harvest is open");
	CHECK(gln_clear_dirty_log(vm, &clear) == -EBUSY,
	      "no clear while a harvest is open");
	CHECK(gln_log_disable(vm, slot->id) == -EBUSY,
	      "logging goes on while a harvest is open");
	CHECK(gln_slot_remove(vm, slot->id) == -EBUSY,
	      "a slot stays while a harvest is open");
	CHECK(gln_log_enable(vm, slot->id, 0) == -EEXIST,
	      "a slot that is logged is logged");
	CHECK(gln_vm_destroy(vm) == -EBUSY,
	      "a VM stays while a harvest is open");
}

static void harvest_whole(struct ways *ways, struct guest_slot *slot)
{
	struct gln_harvest *const harvest = begin(ways, slot);

	walk(ways, slot, harvest);
	CHECK(report_of(harvest).next_page == slot->nr_pages,
	      "without a budget, to the end");
	if (stress_chance(&ways->random, 50))
		check_is_busy(ways, slot);
	copy_taken(ways, slot);
	gln_harvest_commit(harvest);
}

/* Pages that were aborted before must be in what is taken now. */
static void harvest_again(struct ways *ways, struct guest_slot *slot)
{
	uint8_t *const before = malloc((size_t)slot->nr_pages);
	struct gln_harvest *harvest;

	CHECK(before, "memory for states");
	memcpy(before, ways->states, (size_t)slot->nr_pages);
	harvest = begin(ways, slot);
	walk(ways, slot, harvest);
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		if (before[page] == ABORTED && ways->states[page] != TAKEN)
			ways->nr_lost++;
	copy_taken(ways, slot);
	gln_harvest_commit(harvest);
	free(before);
}

static void harvest_aborted(struct ways *ways, struct guest_slot *slot)
{
	struct gln_harvest *const harvest = begin(ways, slot);

	ways->nr_aborted += walk(ways, slot, harvest);
	gln_harvest_abort(harvest);
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		if (ways->states[page] == TAKEN)
			ways->states[page] = ABORTED;
	harvest_again(ways, slot);
}

/* What was taken, as a log that others gave out: little-endian bits. */
static struct gln_source give_out(struct ways *ways,
				  const struct guest_slot *slot)
{
	uint8_t *const bytes = (uint8_t *)ways->bitmap;

	memset(bytes, 0, (size_t)(slot->nr_pages + 7) / 8);
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		if (ways->states[page] == TAKEN)
			bytes[page / 8] |= (uint8_t)(1U << page % 8);

	return (struct gln_source){
		.kind = GLN_SOURCE_BITMAP,
		.page_shift = ways->guest->page_shift,
		.data = bytes,
		.nr = slot->nr_pages,
		.first = slot->base,
	};
}

/*
 * One harvest makes the log of somebody else: what it took is protected, and
 * not copied. A second one gets that merged and, sometimes, is aborted.
 */
static void harvest_merged(struct ways *ways, struct guest_slot *slot)
{
	struct gln_harvest *harvest = begin(ways, slot);
	uint64_t nr_pages = walk(ways, slot, harvest);
	struct gln_source source = give_out(ways, slot);

	gln_harvest_commit(harvest);
	harvest = begin(ways, slot);
	CHECK(!gln_harvest_merge_sources(harvest, &source, 1) &&
		      source.nr_set == nr_pages,
	      "all pages of the other log are named");
	nr_pages = walk(ways, slot, harvest);
	CHECK(nr_pages >= source.nr_set, "what was merged is in the harvest");
	if (stress_chance(&ways->random, 500)) {
		copy_taken(ways, slot);
		gln_harvest_commit(harvest);
		return;
	}
	ways->nr_aborted += gln_harvest_abort(harvest);
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		if (ways->states[page] == TAKEN)
			ways->states[page] = ABORTED;
	harvest_again(ways, slot);
}

/* Commit or abort a piece of a run; a second time nothing is left of it. */
static void settle_piece(struct ways *ways, struct guest_slot *slot,
			 struct gln_harvest *harvest, struct gln_range run)
{
	const uint64_t skipped = stress_below(&ways->random, run.count);
	const struct gln_range piece = {
		.first = run.first + skipped,
		.count = 1 + stress_below(&ways->random, run.count - skipped),
	};
	const bool commits = stress_chance(&ways->random, 500);
	uint64_t nr;

	if (commits) {
		copy(ways, slot, piece);
		nr = gln_harvest_commit_range(harvest, piece);
	} else {
		nr = gln_harvest_abort_range(harvest, piece);
		ways->nr_aborted += nr;
	}
	CHECK(nr == piece.count, "what was taken can be settled");
	CHECK(!gln_harvest_commit_range(harvest, piece) &&
		      !gln_harvest_abort_range(harvest, piece),
	      "what was settled stays so");
	set_states(ways, slot, piece, commits ? COMMITTED : ABORTED);
}

/* Settle pieces of about half of the runs. */
static void settle_some(struct ways *ways, struct guest_slot *slot,
			struct gln_harvest *harvest)
{
	struct gln_range run;
	uint64_t page = 0;

	while (next_in_state(ways, slot, TAKEN, &page, &run))
		if (stress_chance(&ways->random, 500))
			settle_piece(ways, slot, harvest, run);
}

/* After a rewind the walk is over what was not settled, and that alone. */
static void check_rest(struct ways *ways, const struct guest_slot *slot,
		       struct gln_harvest *harvest)
{
	struct gln_range expected, got;
	uint64_t page = 0;

	gln_harvest_rewind(harvest);
	while (next_in_state(ways, slot, TAKEN, &page, &expected)) {
		CHECK(gln_harvest_next(harvest, &got, 1) == 1,
		      "what was not settled is walked again");
		CHECK(got.first == expected.first &&
			      got.count == expected.count,
		      "%llx + %llx is walked, %llx + %llx was left",
		      (ull)got.first, (ull)got.count, (ull)expected.first,
		      (ull)expected.count);
	}
	CHECK(!gln_harvest_next(harvest, &got, 1), "and nothing else is");
}

static void harvest_in_parts(struct ways *ways, struct guest_slot *slot)
{
	struct gln_harvest *const harvest = begin(ways, slot);

	walk(ways, slot, harvest);
	settle_some(ways, slot, harvest);
	check_rest(ways, slot, harvest);
	if (stress_chance(&ways->random, 500)) {
		copy_taken(ways, slot);
		gln_harvest_commit(harvest);
	} else {
		gln_harvest_abort(harvest);
		for (uint64_t page = 0; page < slot->nr_pages; page++)
			if (ways->states[page] == TAKEN)
				ways->states[page] = ABORTED;
	}
	harvest_again(ways, slot);
}

/* One of many harvests: from @first on, within a budget. Returns the cursor. */
static uint64_t harvest_some(struct ways *ways, struct guest_slot *slot,
			     uint64_t first)
{
	struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.first_page = first,
	};
	struct gln_harvest_report report;
	struct gln_harvest *harvest;
	struct gln_range run;
	uint64_t page = 0;

	if (stress_chance(&ways->random, 700))
		params.max_pages =
			1 + stress_below(&ways->random, MAX_BUDGET_PAGES);
	if (stress_chance(&ways->random, 300))
		params.max_ns = 1 + stress_below(&ways->random, MAX_BUDGET_NS);
	harvest = begin_with(ways, slot, &params);
	walk(ways, slot, harvest);

	report = report_of(harvest);
	CHECK(!params.max_pages || report.nr_pages <= params.max_pages,
	      "%llu pages are within the budget of %llu", (ull)report.nr_pages,
	      (ull)params.max_pages);
	CHECK(report.next_page > first && report.next_page <= slot->nr_pages,
	      "from page %llu on there is progress, not %llu (of %llu; budget "
	      "%llu pages, %llu ns)",
	      (ull)first, (ull)report.next_page, (ull)slot->nr_pages,
	      (ull)params.max_pages, (ull)params.max_ns);
	while (next_in_state(ways, slot, TAKEN, &page, &run))
		CHECK(run.first - slot->base >= first &&
			      run.first - slot->base + run.count <=
				      report.next_page,
		      "pages lie between the cursors");
	copy_taken(ways, slot);
	gln_harvest_commit(harvest);

	return report.next_page;
}

static void harvest_by_budget(struct ways *ways, struct guest_slot *slot)
{
	uint64_t page = 0;

	while (page < slot->nr_pages)
		page = harvest_some(ways, slot, page);
}

/* The log as KVM shapes it: little-endian bits, whatever the host. */

static bool test_bit(const uint64_t *bitmap, uint64_t page)
{
	const uint8_t *const bytes = (const uint8_t *)bitmap;

	return bytes[page / 8] >> page % 8 & 1;
}

static uint64_t nr_words(uint64_t nr_pages)
{
	return (nr_pages + WORD_PAGES - 1) / WORD_PAGES;
}

/* Get, into a bitmap full of ones, and note what is set as taken. */
static uint64_t get(struct ways *ways, const struct guest_slot *slot)
{
	uint64_t nr_pages = 0;
	unsigned int tries = 0;
	int err;

	do {
		memset(ways->bitmap, 0xff,
		       (size_t)nr_words(slot->nr_pages) * sizeof(uint64_t));
		err = gln_get_dirty_log(ways->guest->vm, slot->id,
					ways->bitmap);
	} while (is_to_try_again(ways, err, &tries));
	CHECK(!err, "slot %u has a log, error %d", slot->id, err);
	ways->nr_harvests++;

	for (uint64_t page = 0; page < slot->nr_pages; page++) {
		ways->states[page] =
			test_bit(ways->bitmap, page) ? TAKEN : NOT_TAKEN;
		nr_pages += ways->states[page] == TAKEN ? 1 : 0;
	}
	for (uint64_t page = slot->nr_pages; page % WORD_PAGES; page++)
		CHECK(!test_bit(ways->bitmap, page),
		      "bits past the end are written 0");

	return nr_pages;
}

static void set_log_mode(struct ways *ways, uint32_t mode)
{
	if (ways->keeps_mode)
		return;
	CHECK(!gln_log_set_mode(ways->guest->vm, mode), "mode %u is known",
	      mode);
}

static void harvest_by_get(struct ways *ways, struct guest_slot *slot)
{
	set_log_mode(ways, 0);
	get(ways, slot);
	copy_taken(ways, slot);
}

/* Clear what get has set among pages [first, first + count), and copy it. */
static void clear_part(struct ways *ways, struct guest_slot *slot,
		       uint64_t first, uint64_t count)
{
	const struct gln_clear_log clear = {
		.slot = slot->id,
		.num_pages = (uint32_t)count,
		.first_page = first,
		.bitmap = ways->bitmap + first / WORD_PAGES,
	};
	unsigned int tries = 0;
	int err;

	do {
		err = gln_clear_dirty_log(ways->guest->vm, &clear);
	} while (is_to_try_again(ways, err, &tries));
	CHECK(!err, "pages %llu + %llu can be cleared, error %d", (ull)first,
	      (ull)count, err);
	for (uint64_t page = first; page < first + count; page++)
		if (ways->states[page] == TAKEN)
			copy(ways, slot,
			     (struct gln_range){slot->base + page, 1});
}

static void clear_parts(struct ways *ways, struct guest_slot *slot,
			uint64_t skip_permille)
{
	uint64_t count;

	for (uint64_t page = 0; page < slot->nr_pages; page += count) {
		count = WORD_PAGES *
			(1 + stress_below(&ways->random, MAX_PART_WORDS));
		if (count > slot->nr_pages - page)
			count = slot->nr_pages - page;
		if (!stress_chance(&ways->random, skip_permille))
			clear_part(ways, slot, page, count);
	}
}

static void harvest_by_get_and_clear(struct ways *ways, struct guest_slot *slot)
{
	uint64_t nr;

	set_log_mode(ways, GLN_LOG_MANUAL_PROTECT);
	nr = get(ways, slot);
	if (ways->is_quiet)
		CHECK(get(ways, slot) == nr, "get leaves the marks");
	clear_parts(ways, slot, 250);
	get(ways, slot);
	clear_parts(ways, slot, 0);
	if (ways->is_quiet)
		CHECK(!get(ways, slot), "all that was cleared is clear");
	set_log_mode(ways, 0);
}

const struct way way_whole = {"whole", harvest_whole};
const struct way way_in_parts = {"in parts", harvest_in_parts};
const struct way way_aborted = {"aborted first", harvest_aborted};
const struct way way_merged = {"merged", harvest_merged};
const struct way way_budget = {"by budget", harvest_by_budget};
const struct way way_get = {"by get", harvest_by_get};
/*
 * Rings. The lock keeps vCPUs from resetting beside an open harvest, and what
 * they fetched meanwhile from being copied before its reset.
 */

static void copy_fetched(struct ways *ways, struct guest_slot *slot)
{
	for (uint64_t page = 0; page < slot->nr_pages; page++) {
		if (!slot->fetched[page])
			continue;
		slot->fetched[page] = 0;
		copy(ways, slot, (struct gln_range){slot->base + page, 1});
	}
}

/* What no ring had room for, or no vCPU wrote. */
static void harvest_the_rest(struct ways *ways, struct guest_slot *slot)
{
	const struct gln_harvest_params all = {.struct_bytes = sizeof(all)};
	struct gln_harvest *harvest;
	struct gln_range runs[MAX_RUNS];
	unsigned int tries = 0;
	size_t nr;
	int err;

	do {
		err = gln_harvest_begin(ways->guest->vm, slot->id, &all,
					&harvest);
	} while (is_to_try_again(ways, err, &tries));
	CHECK(!err || err == -ENXIO, "the rest can be harvested, error %d",
	      err);
	if (err)
		return;
	while ((nr = gln_harvest_next(harvest, runs, MAX_RUNS)))
		for (size_t i = 0; i < nr; i++)
			copy(ways, slot, runs[i]);
	gln_harvest_commit(harvest);
}

static void harvest_by_rings(struct ways *ways, struct guest_slot *slot)
{
	guest_drain_rings(ways->guest);
	pthread_mutex_lock(&ways->guest->rings_lock);
	copy_fetched(ways, slot);
	harvest_the_rest(ways, slot);
	pthread_mutex_unlock(&ways->guest->rings_lock);
	ways->nr_harvests++;
}

const struct way way_get_clear = {"by get and clear", harvest_by_get_and_clear};
const struct way way_rings = {"by rings", harvest_by_rings};
