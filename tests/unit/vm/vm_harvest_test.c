/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_harvest_test.c - all slots of a VM as one transaction, alone and shared.
 *
 * G4 (exact runs), G5 (nothing lost, nothing twice), G6 (no allocation).
 */
#include "tests/unit/guest.h"

#include "core/dirty/parts.h"

/* Slots that are cut into parts, and one that is not. */
enum {
	FIRST_PAGES = 2 * PART_PAGES + 777,
	SECOND_BASE = FIRST_PAGES,
	SECOND_PAGES = PART_PAGES + 5,
	THIRD_BASE = SECOND_BASE + SECOND_PAGES + 100,
	THIRD_PAGES = 100,
	NR_FRAMES = THIRD_BASE + THIRD_PAGES,
	NR_SLOTS = 3,
	NR_PARTS = 3 + 2 + 1,
};

static const struct {
	uint32_t id;
	gln_gfn base;
	uint64_t nr_pages;
} slots[NR_SLOTS] = {
	{7, 0, FIRST_PAGES},
	{2, SECOND_BASE, SECOND_PAGES},
	{5, THIRD_BASE, THIRD_PAGES},
};

/* A byte a frame: dirty; how often it was handed out, protected, flushed. */
static uint8_t dirty[NR_FRAMES], seen[NR_FRAMES], protected[NR_FRAMES],
	flushed[NR_FRAMES];

/*
 * A backend whose calls come from any thread. It knows who is in a slot, and
 * fails when told to.
 */
static struct {
	struct gln_backend backend;
	struct gln_backend_ops ops;
	_Atomic uint32_t nr_in[NR_SLOTS];
	_Atomic uint32_t most_in;
	_Atomic uint64_t nr_protects;
	_Atomic uint64_t nr_collects;
	uint64_t fail_protect_at;
	uint64_t fail_collect_at;
	uint64_t nr_flushes;
	uint64_t nr_flushes_of_all;
	int flush_says;
} machine;

enum { FAILURE = -EIO };

static struct fake_allocator memory;
static struct gln_vm *vm;
static struct gln_workers *workers;

static size_t index_of(uint32_t id)
{
	size_t i = 0;

	while (slots[i].id != id)
		i++;
	return i;
}

static int protect(struct gln_backend *be, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	_Atomic uint32_t *const nr_in = &machine.nr_in[index_of(slot->id)];
	const uint32_t nr_now = atomic_fetch_add(nr_in, 1) + 1;
	uint32_t most = atomic_load(&machine.most_in);
	int err = 0;

	(void)be;
	while (nr_now > most &&
	       !atomic_compare_exchange_weak(&machine.most_in, &most, nr_now))
		;
	for (size_t i = 0; i < nr_ranges; i++)
		for (uint64_t j = 0; j < ranges[i].count; j++)
	protected[ranges[i].first + j]++;
	if (atomic_fetch_add(&machine.nr_protects, 1) + 1 ==
	    machine.fail_protect_at)
		err = FAILURE;
	atomic_fetch_sub(nr_in, 1);

	return err;
}

/* A plan ascends, and its ranges do not touch. */
static int flush(struct gln_backend *be, struct gln_backend_slot *slot,
		 const struct gln_flush *plan)
{
	uint64_t end = 0;

	(void)be;
	machine.nr_flushes++;
	if (plan->whole_slot)
		memset(&flushed[slot->base], 1, (size_t)slot->nr_pages);
	for (unsigned int i = 0; !plan->whole_slot && i < plan->nr_ranges;
	     i++) {
		const struct gln_range range = plan->ranges[i];

		require(!i || range.first > end, "range %u of a plan", i);
		end = range.first + range.count;
		memset(&flushed[range.first], 1, (size_t)range.count);
	}

	return machine.flush_says;
}

static int flush_all(struct gln_backend *be)
{
	(void)be;
	machine.nr_flushes_of_all++;
	memset(flushed, 1, sizeof(flushed));
	return machine.flush_says;
}

static int collect(struct gln_backend *be, struct gln_backend_slot *slot,
		   struct gln_range range)
{
	(void)be;
	(void)slot;
	(void)range;
	return atomic_fetch_add(&machine.nr_collects, 1) + 1 ==
			       machine.fail_collect_at
		       ? FAILURE
		       : 0;
}

static int log_start(struct gln_backend *be, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	(void)be;
	(void)slot;
	(void)flags;
	return 0;
}

/* A VM with the slots above, all logged, and so many workers; 0: none. */
static void start(uint32_t caps, unsigned int nr_workers, uint32_t flags)
{
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = flags,
		.allocator = &memory.allocator,
	};

	fake_allocator_init(&memory);
	memset(&machine, 0, sizeof(machine));
	machine.ops = (struct gln_backend_ops){
		.name = "own",
		.caps = caps,
		.log_start = log_start,
		.protect = protect,
		.flush = flush,
		.collect = collect,
	};
	machine.backend.ops = &machine.ops;
	if (caps)
		params.backend = &machine.backend;
	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		const struct gln_slot_params slot = {
			.struct_bytes = sizeof(slot),
			.id = slots[i].id,
			.base = slots[i].base,
			.nr_pages = slots[i].nr_pages,
		};

		cr_assert_eq(gln_slot_add(vm, &slot), 0);
		cr_assert_eq(gln_log_enable(vm, slot.id, 0), 0);
	}
	workers = NULL;
	if (nr_workers)
		cr_assert_eq(gln_workers_create(nr_workers, &workers), 0);
}

static void stop(void)
{
	if (workers)
		gln_workers_destroy(workers);
	cr_assert_eq(gln_vm_destroy(vm), 0);
	cr_assert_eq(memory.nr_live, 0, "memory was leaked");
}

static struct log *log_of(size_t i)
{
	return glni_slot_by_id(&vm->slots, slots[i].id)->log;
}

/* Mark what is dirty, on top of what is marked. */
static void mark_dirty(void)
{
	static uint64_t words[FIRST_PAGES / 64 + 1];

	for (size_t i = 0; i < NR_SLOTS; i++) {
		const uint8_t *const pages = &dirty[slots[i].base];

		memset(words, 0, sizeof(words));
		for (uint64_t page = 0; page < slots[i].nr_pages; page++)
			words[page / 64] |= (uint64_t)pages[page] << page % 64;
		cr_assert_eq(gln_dirty_merge(vm, slots[i].id, 0, words,
					     slots[i].nr_pages),
			     0);
	}
}

/* Every slot with another pattern. Frames in no slot stay clean. */
static void fill(struct test_random *random)
{
	memset(dirty, 0, sizeof(dirty));
	for (size_t i = 0; i < NR_SLOTS; i++)
		test_pages_fill(&dirty[slots[i].base], slots[i].nr_pages,
				test_random_next(random) >> 8, random);
}

static void fill_all(void)
{
	memset(dirty, 0, sizeof(dirty));
	for (size_t i = 0; i < NR_SLOTS; i++)
		memset(&dirty[slots[i].base], 1, (size_t)slots[i].nr_pages);
}

static uint64_t nr_dirty(void)
{
	return test_pages_count(dirty, 0, NR_FRAMES);
}

/* Are exactly the dirty pages marked, and is nothing else anywhere? */
static bool all_is_marked(void)
{
	for (size_t i = 0; i < NR_SLOTS; i++) {
		const struct log *const log = log_of(i);
		const struct bitmap *const live = log->live;

		for (uint64_t page = 0; page < live->nr_pages; page++) {
			const uint64_t word =
				gln_load_relaxed(&live->words[page / 64]);

			if ((word >> page % 64 & 1) !=
			    dirty[slots[i].base + page])
				return false;
		}
		for (uint64_t j = 0; j < bitmap_nr_words(live->nr_pages); j++)
			if (log->snap.words[j])
				return false;
		for (uint64_t j = 0;
		     j < bitmap_summary_bytes(live->nr_pages) / 8; j++)
			if (log->snap.taken[j])
				return false;
	}

	return true;
}

static struct gln_vm_harvest_params params_of(
	enum gln_harvest_strategy strategy)
{
	return (struct gln_vm_harvest_params){
		.struct_bytes = sizeof(struct gln_vm_harvest_params),
		.strategy = strategy,
		.workers = workers,
	};
}

static struct gln_vm_harvest *begin(enum gln_harvest_strategy strategy)
{
	const struct gln_vm_harvest_params params = params_of(strategy);
	struct gln_vm_harvest *harvest = NULL;
	const int err = gln_vm_harvest_begin(vm, &params, &harvest);

	require(!err && harvest, "a harvest of the VM: %d", err);
	return harvest;
}

static struct gln_vm_harvest_report report_of(struct gln_vm_harvest *harvest)
{
	struct gln_vm_harvest_report report = {.struct_bytes = sizeof(report)};

	cr_assert_eq(gln_vm_harvest_report(harvest, &report), 0);
	return report;
}

static _Atomic uint64_t nr_runs_seen;

static void see(void *ctx, const struct gln_range *runs, size_t nr_runs)
{
	(void)ctx;
	atomic_fetch_add(&nr_runs_seen, nr_runs);
	for (size_t i = 0; i < nr_runs; i++)
		for (uint64_t j = 0; j < runs[i].count; j++)
			seen[runs[i].first + j]++;
}

static void see_all(struct gln_vm_harvest *harvest)
{
	memset(seen, 0, sizeof(seen));
	nr_runs_seen = 0;
	gln_vm_harvest_each(harvest, see, NULL);
}

static void forget_calls(void)
{
	memset(protected, 0, sizeof(protected));
	memset(flushed, 0, sizeof(flushed));
	machine.nr_protects = 0;
	machine.nr_collects = 0;
	machine.most_in = 0;
	machine.nr_flushes = 0;
	machine.nr_flushes_of_all = 0;
}

static bool all_dirty_is_flushed(void)
{
	for (size_t i = 0; i < NR_FRAMES; i++)
		if (dirty[i] && !flushed[i])
			return false;

	return true;
}

/* Maximal runs of dirty frames, slot by slot, cut where parts end or not. */
static uint64_t count_runs(uint64_t part_pages)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < NR_SLOTS; i++) {
		const uint8_t *const pages = &dirty[slots[i].base];

		for (uint64_t page = 0; page < slots[i].nr_pages; page++)
			nr += pages[page] &&
			      (page % part_pages == 0 || !pages[page - 1]);
	}

	return nr;
}

/* One harvest, checked against the truth on all sides; then another. */
static void expect_truth(uint64_t seed, uint32_t caps, unsigned int nr_workers,
			 enum gln_harvest_strategy strategy)
{
	struct test_random random = {seed};
	struct gln_vm_harvest_report report;
	struct gln_vm_harvest *harvest;

	fill(&random);
	mark_dirty();
	forget_calls();
	harvest = begin(strategy);
	see_all(harvest);
	report = report_of(harvest);
	require(!memcmp(seen, dirty, sizeof(dirty)),
		"seed %" PRIu64 ": other pages are handed out", seed);
	require(report.nr_pages == nr_dirty() && report.nr_slots == NR_SLOTS,
		"seed %" PRIu64 ": %" PRIu64 " pages of %" PRIu64 " slots",
		seed, report.nr_pages, report.nr_slots);
	require(nr_runs_seen ==
			count_runs(report.is_shared ? PART_PAGES : NR_FRAMES),
		"seed %" PRIu64 ": runs are not maximal", seed);
	require(!report.is_shared || nr_workers > 1,
		"seed %" PRIu64 ": shared with nobody", seed);
	if (caps & GLN_CAP_PROTECT) {
		require(!memcmp(protected, dirty, sizeof(dirty)),
			"seed %" PRIu64 ": other pages are protected", seed);
		require(all_dirty_is_flushed(),
			"seed %" PRIu64 ": a page was not flushed", seed);
		require((caps & GLN_CAP_PARTS) || machine.most_in <= 1,
			"seed %" PRIu64 ": two were in a slot", seed);
	}

	/* What was aborted is found again. */
	require(gln_vm_harvest_abort(harvest) == nr_dirty() && all_is_marked(),
		"seed %" PRIu64 ": an abort put other pages back", seed);
	harvest = begin(strategy);
	see_all(harvest);
	require(!memcmp(seen, dirty, sizeof(dirty)),
		"seed %" PRIu64 ": an abort lost or made some", seed);
	require(gln_vm_harvest_commit(harvest) == nr_dirty(),
		"seed %" PRIu64 ": pages committed", seed);
	memset(dirty, 0, sizeof(dirty));
	require(all_is_marked(), "seed %" PRIu64 ": something is left", seed);
}

Test(vm_harvest, by_any_number_of_workers_is_the_truth)
{
	static const uint32_t all_caps[] = {
		0,
		GLN_CAP_PROTECT | GLN_CAP_FLUSH,
		ALL_CAPS | GLN_CAP_PARTS,
	};
	static const unsigned int nrs[] = {0, 1, 2, 5};
	uint64_t seed = 1;

	for (const uint32_t *caps = all_caps; caps < ARRAY_END(all_caps);
	     caps++) {
		for (const unsigned int *nr = nrs; nr < ARRAY_END(nrs); nr++) {
			start(*caps, *nr,
			      seed % 2 ? 0 : (uint32_t)GLN_VM_FULL_FENCE);
			for (enum gln_harvest_strategy s = GLN_HARVEST_AUTO;
			     s <= GLN_HARVEST_FLIP; s++)
				expect_truth(seed++, *caps, *nr, s);
			stop();
		}
	}
}

Test(vm_harvest, beginning_has_these_errors)
{
	static const size_t wrong[] = {
		0,
		7,
		sizeof(struct gln_vm_harvest_params) + 1,
		SIZE_MAX,
	};
	struct gln_workers none = {.nr_workers = 2};
	struct gln_vm_harvest_params params;
	struct gln_vm_harvest *const untouched = (void *)&memory;
	struct gln_vm_harvest *harvest = untouched;
	struct gln_harvest *one;

	start(0, 0, 0);
	memset(dirty, 0, sizeof(dirty));
	params = params_of(GLN_HARVEST_FLIP + 1);
	cr_expect_eq(gln_vm_harvest_begin(vm, &params, &harvest), -EINVAL);
	params = params_of(GLN_HARVEST_AUTO);
	params.workers = &none;
	cr_expect_eq(gln_vm_harvest_begin(vm, &params, &harvest), -EINVAL);
	params.workers = NULL;
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		params.struct_bytes = *bytes;
		cr_expect_eq(gln_vm_harvest_begin(vm, &params, &harvest),
			     -EINVAL);
	}

	/* One slot that is held is enough; the others are let go again. */
	params = params_of(GLN_HARVEST_AUTO);
	cr_assert_eq(gln_harvest_begin(vm, 5,
				       &(struct gln_harvest_params){
					       .struct_bytes = sizeof(size_t)},
				       &one),
		     0);
	cr_expect_eq(gln_vm_harvest_begin(vm, &params, &harvest), -EBUSY);
	gln_harvest_commit(one);
	for (size_t i = 0; i < NR_SLOTS; i++)
		cr_assert_eq(gln_log_disable(vm, slots[i].id), 0);
	cr_expect_eq(gln_vm_harvest_begin(vm, &params, &harvest), -ENOENT);
	cr_expect_eq(harvest, untouched, "a failed begin touched its output");
	cr_expect_eq(guest_stats(&(struct guest){.vm = vm}).failed_harvests, 0);
	stop();
}

Test(vm_harvest, of_rings_alone_finds_what_is_marked_elsewhere)
{
	const struct gln_vm_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_vm_harvest *harvest;

	start(0, 0, 0);
	cr_assert_eq(gln_ring_enable(vm, 65536, 0), 0);
	cr_assert_eq(gln_vm_harvest_begin(vm, &params, &harvest), -ENXIO);
	glni_bitmap_mark_range(log_of(1)->live, 8, 2);
	cr_assert_eq(gln_vm_harvest_begin(vm, &params, &harvest), 0);
	cr_assert_eq(report_of(harvest).nr_slots, 1);
	cr_assert_eq(gln_vm_harvest_commit(harvest), 2);
	stop();
}

Test(vm_harvest, excludes_changes_and_other_harvests_until_its_end)
{
	struct gln_vm_harvest_params params;
	struct gln_vm_harvest *harvest, *other;
	struct gln_harvest *one;

	start(0, 2, 0);
	params = params_of(GLN_HARVEST_AUTO);
	harvest = begin(GLN_HARVEST_AUTO);
	cr_expect_eq(gln_vm_harvest_begin(vm, &params, &other), -EBUSY);
	cr_expect_eq(gln_vm_destroy(vm), -EBUSY);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		const struct gln_harvest_params all = {
			.struct_bytes = sizeof(all),
		};

		cr_expect_eq(gln_harvest_begin(vm, slots[i].id, &all, &one),
			     -EBUSY);
		cr_expect_eq(gln_log_disable(vm, slots[i].id), -EBUSY);
		cr_expect_eq(gln_slot_remove(vm, slots[i].id), -EBUSY);
	}
	cr_expect_eq(gln_vm_harvest_commit(harvest), 0);
	cr_expect_eq(gln_vm_harvest_abort(begin(GLN_HARVEST_FLIP)), 0);
	stop();
}

Test(vm_harvest, holds_what_is_logged_and_nothing_else)
{
	struct gln_vm_harvest *harvest;

	start(0, 0, 0);
	fill_all();
	mark_dirty();
	cr_assert_eq(gln_log_disable(vm, 2), 0);
	harvest = begin(GLN_HARVEST_AUTO);
	cr_expect_null(gln_vm_harvest_slot(harvest, 2));
	cr_expect_null(gln_vm_harvest_slot(harvest, 1));
	cr_expect_not_null(gln_vm_harvest_slot(harvest, 7));
	cr_expect_eq(report_of(harvest).nr_slots, 2);
	cr_expect_eq(gln_vm_harvest_commit(harvest), FIRST_PAGES + THIRD_PAGES);
	stop();
}

/* Whatever fails, on however many threads, everything is as before. */
static void expect_all_back(enum gln_harvest_strategy strategy)
{
	const struct gln_vm_harvest_params params = params_of(strategy);
	struct gln_vm_harvest *harvest = NULL;

	cr_assert_eq(gln_vm_harvest_begin(vm, &params, &harvest), FAILURE);
	cr_assert_null(harvest);
	cr_assert(all_is_marked(), "a failure lost or made marks");
	machine.fail_protect_at = 0;
	machine.fail_collect_at = 0;
	machine.flush_says = 0;
	cr_assert_eq(gln_vm_harvest_abort(begin(strategy)), nr_dirty());
	cr_assert(all_is_marked());
}

Test(vm_harvest, that_fails_in_one_part_puts_all_back)
{
	for (unsigned int nr_workers = 1; nr_workers <= 3; nr_workers++) {
		start(ALL_CAPS | GLN_CAP_PARTS, nr_workers, 0);
		fill_all();
		mark_dirty();
		for (enum gln_harvest_strategy s = GLN_HARVEST_EXCHANGE;
		     s <= GLN_HARVEST_FLIP; s++) {
			/* Without sharing there are fewer calls. */
			for (uint64_t nr = 1; nr <= NR_SLOTS; nr++) {
				forget_calls();
				machine.fail_protect_at = nr;
				expect_all_back(s);
				forget_calls();
				machine.fail_collect_at = nr;
				expect_all_back(s);
			}
			forget_calls();
			machine.flush_says = FAILURE;
			expect_all_back(s);
			cr_expect_eq(machine.nr_flushes, 1 + NR_SLOTS);
		}
		cr_expect_eq(
			guest_stats(&(struct guest){.vm = vm}).failed_harvests,
			2 * (2 * NR_SLOTS + 1));
		gln_vm_harvest_commit(begin(GLN_HARVEST_FLIP));
		stop();
	}
}

Test(vm_harvest, allocates_nothing)
{
	uint64_t nr_before;

	start(ALL_CAPS | GLN_CAP_PARTS, 3, 0);
	fill_all();
	nr_before = memory.nr_calls;
	for (enum gln_harvest_strategy s = GLN_HARVEST_AUTO;
	     s <= GLN_HARVEST_FLIP; s++) {
		struct gln_vm_harvest *harvest;

		mark_dirty();
		harvest = begin(s);
		see_all(harvest);
		cr_expect(report_of(harvest).is_shared);
		gln_vm_harvest_abort(harvest);
		gln_vm_harvest_commit(begin(s));
	}
	cr_assert_eq(memory.nr_calls, nr_before);
	stop();
}

Test(vm_harvest, is_flushed_once_where_the_backend_can)
{
	start(GLN_CAP_PROTECT | GLN_CAP_FLUSH, 2, 0);
	fill_all();
	mark_dirty();
	gln_vm_harvest_abort(begin(GLN_HARVEST_FLIP));
	cr_expect_eq(machine.nr_flushes, NR_SLOTS);
	cr_expect(all_dirty_is_flushed());

	forget_calls();
	machine.ops.flush_all = flush_all;
	gln_vm_harvest_commit(begin(GLN_HARVEST_FLIP));
	cr_expect_eq(machine.nr_flushes, 0);
	cr_expect_eq(machine.nr_flushes_of_all, 1);

	/* One slot alone is flushed as ever; and nothing, not at all. */
	forget_calls();
	gln_dirty_mark(vm, SECOND_BASE + 3);
	gln_vm_harvest_commit(begin(GLN_HARVEST_EXCHANGE));
	cr_expect_eq(machine.nr_flushes, 1);
	gln_vm_harvest_commit(begin(GLN_HARVEST_AUTO));
	cr_expect_eq(machine.nr_flushes + machine.nr_flushes_of_all, 1);
	stop();
}

/* Prices are those of a slot's harvest: see join_test.c. */
Test(vm_harvest, protects_short_gaps_where_prices_say_so)
{
	static const uint8_t joined[] = {1, 1, 1, 1, 0, 0};
	struct gln_vm_harvest *harvest;

	start(GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_GAPS, 2, 0);
	machine.backend.prices = (struct gln_prices){
		.range = 100,
		.page = 10,
		.false_protect = 10,
	};
	memset(dirty, 0, sizeof(dirty));
	dirty[0] = dirty[3] = 1;
	dirty[SECOND_BASE - 1] = 1;
	mark_dirty();
	forget_calls();
	harvest = begin(GLN_HARVEST_FLIP);
	see_all(harvest);
	cr_expect_eq(memcmp(seen, dirty, sizeof(dirty)), 0);
	cr_expect_eq(memcmp(protected, joined, sizeof(joined)), 0);
	cr_expect_eq(memcmp(flushed, joined, sizeof(joined)), 0);
	cr_expect_eq(test_pages_count(protected, 0, NR_FRAMES), 5);
	cr_expect_eq(report_of(harvest).nr_pages, 3);
	cr_expect_eq(report_of(harvest).nr_runs, 2);
	cr_expect_eq(gln_vm_harvest_commit(harvest), 3);
	stop();
}

Test(vm_harvest, is_not_shared_when_there_is_little_to_do)
{
	struct gln_vm_harvest *harvest;

	start(0, 4, 0);
	for (uint64_t i = 0; i < SHARE_LINES - 1; i++)
		gln_dirty_mark(vm, i * LINE_PAGES);
	harvest = begin(GLN_HARVEST_EXCHANGE);
	cr_expect_not(report_of(harvest).is_shared);
	gln_vm_harvest_abort(harvest);
	gln_dirty_mark(vm, SECOND_BASE + SECOND_PAGES - 1);
	harvest = begin(GLN_HARVEST_EXCHANGE);
	cr_expect(report_of(harvest).is_shared);
	cr_expect_eq(gln_vm_harvest_commit(harvest), SHARE_LINES);
	stop();
}

/* Workers have no part in a harvest of nothing, until it holds something. */
Test(vm_harvest, is_shared_for_what_was_merged_into_it)
{
	static uint8_t all[FIRST_PAGES / 8];
	struct gln_source source = {
		.page_shift = 12,
		.data = all,
		.nr = FIRST_PAGES / 8 * 8,
	};
	struct gln_vm_harvest *harvest;

	start(0, 2, 0);
	memset(all, 0xff, sizeof(all));
	harvest = begin(GLN_HARVEST_EXCHANGE);
	cr_assert_eq(
		gln_harvest_merge_sources(
			gln_vm_harvest_slot(harvest, slots[0].id), &source, 1),
		0);
	see_all(harvest);
	cr_expect(report_of(harvest).is_shared);
	cr_expect_eq(test_pages_count(seen, 0, NR_FRAMES), source.nr);
	cr_expect_eq(gln_vm_harvest_commit(harvest), source.nr);
	stop();
}

Test(vm_harvest, settles_in_part_slot_by_slot)
{
	struct gln_vm_harvest *harvest;
	struct gln_harvest *one;
	struct gln_range run;

	for (unsigned int nr_workers = 1; nr_workers <= 2; nr_workers++) {
		start(0, nr_workers, 0);
		fill_all();
		mark_dirty();
		harvest = begin(GLN_HARVEST_FLIP);
		one = gln_vm_harvest_slot(harvest, 2);
		cr_assert_eq(gln_harvest_next(one, &run, 1), 1);
		cr_expect_eq(run.first, SECOND_BASE);
		cr_expect_eq(run.count, SECOND_PAGES);
		cr_expect_eq(gln_harvest_commit_range(
				     one, (struct gln_range){0, UINT64_MAX}),
			     SECOND_PAGES);
		memset(&dirty[SECOND_BASE], 0, SECOND_PAGES);
		see_all(harvest);
		cr_expect_eq(memcmp(seen, dirty, sizeof(dirty)), 0);
		cr_expect_eq(report_of(harvest).nr_pages,
			     nr_dirty() + SECOND_PAGES);
		cr_expect_eq(gln_vm_harvest_abort(harvest), nr_dirty());
		cr_expect(all_is_marked());
		stop();
	}
}

static void see_and_ask(void *ctx, const struct gln_range *runs, size_t nr_runs)
{
	see(NULL, runs, nr_runs);
	cr_assert_eq(report_of(ctx).nr_pages, nr_dirty());
}

Test(vm_harvest, can_be_asked_for_its_report_in_a_visit)
{
	struct gln_vm_harvest *harvest;

	start(0, 0, 0);
	fill_all();
	mark_dirty();
	harvest = begin(GLN_HARVEST_FLIP);
	memset(seen, 0, sizeof(seen));
	gln_vm_harvest_each(harvest, see_and_ask, harvest);
	cr_expect_eq(memcmp(seen, dirty, sizeof(dirty)), 0);
	cr_expect_eq(gln_vm_harvest_commit(harvest), nr_dirty());
	stop();
}

Test(vm_harvest, is_in_the_histogram_of_what_its_caller_does)
{
	struct gln_histogram histogram = {.struct_bytes = sizeof(histogram)};

	start(0, 2, 0);
	fill_all();
	mark_dirty();
	gln_vm_harvest_commit(begin(GLN_HARVEST_FLIP));
	cr_assert_eq(gln_vm_histogram(vm, GLN_STEP_DELIVER, &histogram), 0);
	cr_expect_eq(histogram.count, 1);
	stop();
}

Test(vm_harvest, reports_no_more_than_there_is_room_for)
{
	struct gln_vm_harvest_report report, before;
	struct gln_vm_harvest *harvest;

	start(0, 0, 0);
	harvest = begin(GLN_HARVEST_AUTO);
	memset(&report, 0xa5, sizeof(report));
	report.struct_bytes = sizeof(report) + 1;
	before = report;
	cr_expect_eq(gln_vm_harvest_report(harvest, &report), -EINVAL);
	cr_expect_eq(memcmp(&report, &before, sizeof(report)), 0);
	report.struct_bytes = offsetof(struct gln_vm_harvest_report, nr_pages);
	before = report;
	before.nr_slots = NR_SLOTS;
	cr_expect_eq(gln_vm_harvest_report(harvest, &report), 0);
	cr_expect_eq(memcmp(&report, &before, sizeof(report)), 0);
	gln_vm_harvest_commit(harvest);
	stop();
}

/* Workers of the embedder's: none who comes will do, and more than there are
 * parts do no harm. */
static unsigned int nr_calls_of_work;

static void call_in_turn(struct gln_workers *of, void (*work)(void *arg),
			 void *arg)
{
	(void)of;
	for (unsigned int i = 0; i < nr_calls_of_work; i++)
		work(arg);
}

Test(vm_harvest, takes_whatever_workers_it_is_given)
{
	struct gln_workers own = {.nr_workers = 64, .run = call_in_turn};
	uint64_t seed = 1000;

	start(ALL_CAPS | GLN_CAP_PARTS, 0, 0);
	workers = &own;
	for (nr_calls_of_work = 0; nr_calls_of_work <= NR_PARTS + 2;
	     nr_calls_of_work++)
		expect_truth(seed++, ALL_CAPS, 64, guest_strategy());
	workers = NULL;
	stop();
}
