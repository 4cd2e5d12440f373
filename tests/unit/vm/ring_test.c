/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_test.c - the dirty rings of a VM: what resets ask of the backend, what
 * does not fit, what consumers get wrong.
 *
 * G1 (nothing is lost where a ring ends), G5, G6, G11; H-34 (the backup
 * bitmap), H-46 (who is torn down first), H-48 (bounded resets).
 */
#include "tests/unit/guest.h"

#include <pthread.h>
#include <sched.h>

enum {
	ID = 7,
	BYTES = 4096,
	NR_ENTRIES = BYTES / 16,
	NR_SOFT = NR_ENTRIES - GLN_RING_RESERVED,
};

/* Any frame at which bits of a word are not bits of an address. */
#define BASE UINT64_C(1001)

static struct guest guest;
static struct gln_vcpu *vcpu;
static struct gln_ring_cursor cursor;

static struct gln_ring_cursor cursor_of(struct gln_vcpu *whose)
{
	struct gln_ring_cursor of = {.next = 0};

	cr_assert_eq(gln_vcpu_ring(whose, &of.entries, &of.nr_entries), 0);
	return of;
}

/* A VM with rings, one vCPU, and a logged slot of 100,000 pages. */
static void start(uint32_t caps, uint32_t flags)
{
	guest_start(&guest, caps, 0);
	cr_assert_eq(gln_ring_enable(guest.vm, BYTES, flags), 0);
	vcpu = guest_vcpu(&guest, 0);
	guest_log_slot(&guest, ID, BASE, 100000);
	cursor = cursor_of(vcpu);
}

static void setup(void)
{
	start(MMU_CAPS, 0);
}

static void teardown(void)
{
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

static void push(uint64_t page)
{
	cr_assert_eq(gln_vcpu_mark(vcpu, BASE + page), 1);
}

/* Fetch all there is. Returns how many. */
static int fetch_all(struct gln_ring_cursor *from)
{
	uint64_t offset;
	uint32_t slot;
	int nr = 0;

	while (gln_ring_fetch(from, &slot, &offset))
		nr++;
	return nr;
}

static void fetch_and_reset(void)
{
	const int nr = fetch_all(&cursor);

	cr_assert_eq(gln_ring_reset(guest.vm), nr);
}

/* The @n-th protect call was for @nr ranges, in pages of the slot. */
static void check_protect(size_t n, const struct gln_range *ranges, size_t nr)
{
	const struct fake_call *const call =
		fake_backend_nth(&guest.fake, FAKE_PROTECT, n);

	cr_assert(call, "no call %zu", n);
	cr_assert_eq(call->nr_ranges, nr, "call %zu: %zu", n, call->nr_ranges);
	for (size_t i = 0; i < nr; i++) {
		const struct gln_range *const is =
			&guest.fake.ranges[call->first_range + i];

		cr_assert_eq(is->first, BASE + ranges[i].first, "%zu, %zu", n,
			     i);
		cr_assert_eq(is->count, ranges[i].count, "%zu, %zu", n, i);
	}
}

Test(ring_enable, sizes_and_flags_have_these_errors)
{
	static const struct enable_case {
		uint32_t caps;
		uint64_t bytes;
		uint32_t flags;
		int result;
	} cases[] = {
		{0, 0, 0, -EINVAL},
		{0, 1, 0, -EINVAL},
		{0, 2048, 0, -EINVAL},
		{0, 4095, 0, -EINVAL},
		{0, 4097, 0, -EINVAL},
		{0, 12288, 0, -EINVAL},
		{0, 4096, 2, -EINVAL},
		{0, 4096, UINT32_MAX, -EINVAL},
		{0, UINT64_MAX, 0, -EINVAL},
		{0, UINT64_C(1) << 63, 0, -E2BIG},
		{0, UINT64_C(1) << 32, 0, -E2BIG},
		{0, 2 * 65536 * 16, 0, -E2BIG},
		{0, 65536 * 16, 0, 0},
		{0, 4096, 0, 0},
		{0, 4096, GLN_RING_WITH_BITMAP, 0},
		/* Room for what CPUs log: 576 entries, so 1024. */
		{MMU_CAPS | GLN_CAP_VCPU_LOGS, 8192, 0, -EINVAL},
		{MMU_CAPS | GLN_CAP_VCPU_LOGS, 16384, 0, 0},
		/* Dirty state that no vCPU brings. */
		{ALL_CAPS, 4096, 0, -EINVAL},
		{ALL_CAPS, 4096, GLN_RING_WITH_BITMAP, 0},
		{ALL_CAPS | GLN_CAP_VCPU_LOGS, 16384, 0, 0},
	};

	for (const struct enable_case *c = cases; c < ARRAY_END(cases); c++) {
		guest_start(&guest, c->caps, 0);
		cr_assert_eq(gln_ring_enable(guest.vm, c->bytes, c->flags),
			     c->result, "case %td", c - cases);
		vcpu = guest_vcpu(&guest, 0);
		cr_assert_eq(vcpu->ring.entries != NULL, !c->result);
		teardown();
	}
}

Test(ring_enable, comes_once_before_vcpus_and_with_a_bitmap_before_slots)
{
	guest_start(&guest, 0, 0);
	vcpu = guest_vcpu(&guest, 0);
	cr_assert_eq(gln_ring_enable(guest.vm, 4096, 0), -EINVAL);
	cr_assert_not(gln_ring_is_full(vcpu));
	gln_vcpu_unregister(vcpu);
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_ring_enable(guest.vm, 4096, GLN_RING_WITH_BITMAP),
		     -EINVAL);
	cr_assert_eq(gln_ring_reset(guest.vm), -EINVAL);
	cr_assert_eq(gln_ring_enable(guest.vm, 4096, 0), 0);
	cr_assert_eq(gln_ring_enable(guest.vm, 4096, 0), -EINVAL);
	cr_assert_eq(gln_ring_reset(guest.vm), 0);
	vcpu = guest_vcpu(&guest, 0);
	teardown();
}

Test(ring_enable, without_rings_there_is_none_to_map)
{
	struct gln_ring_entry *entries = (void *)&guest;
	uint32_t nr = 99;

	guest_start(&guest, 0, 0);
	vcpu = guest_vcpu(&guest, 0);
	cr_assert_eq(gln_vcpu_ring(vcpu, &entries, &nr), -EINVAL);
	cr_assert_eq((void *)entries, &guest);
	cr_assert_eq(nr, 99);
	teardown();
}

FixtureTest(ring, what_a_vcpu_marks_is_in_its_ring_and_no_bitmap)
{
	uint64_t offset;
	uint32_t slot;

	push(5);
	push(5);
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert(gln_ring_fetch(&cursor, &slot, &offset));
		cr_assert_eq(slot, ID);
		cr_assert_eq(offset, 5);
	}
	cr_assert_not(gln_ring_fetch(&cursor, &slot, &offset));
	cr_assert_eq(guest_stats(&guest).ring_pushes, 2);
	cr_assert_eq(guest_stats(&guest).vcpu_marks, 2);
	cr_assert_eq(gln_vcpu_mark(vcpu, 0), -ENOENT);
	cr_assert_eq(gln_log_disable(guest.vm, ID), 0);
	cr_assert_eq(gln_vcpu_mark(vcpu, BASE), 0);
	cr_assert_eq(guest_stats(&guest).ring_pushes, 2);
}

FixtureTest(ring, neighbours_are_protected_together_and_flushed_once)
{
	const struct gln_range first[] = {{10, 3}, {73, 1}};
	const struct gln_range second[] = {{74, 1}};
	const struct gln_range third[] = {{9990, 11}};
	const struct fake_call *flush;

	push(10);
	push(12);
	push(11);
	push(73);
	push(74); /* 64 pages from the first */
	for (uint64_t page = 10000; page >= 9990; page--)
		push(page);
	push(10000);
	fetch_and_reset();
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 3);
	check_protect(0, first, 2);
	check_protect(1, second, 1);
	check_protect(2, third, 1);
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 1);
	flush = fake_backend_nth(&guest.fake, FAKE_FLUSH, 0);
	cr_assert_not(flush->whole_slot);
	cr_assert_eq(flush->nr_ranges, 3);
	cr_assert_eq(guest.fake.calls[guest.fake.nr_calls - 1].kind,
		     FAKE_FLUSH);
	cr_assert_eq(guest_stats(&guest).ring_resets, 17);
}

FixtureTest(ring, a_batch_never_forgets_a_page_at_its_top)
{
	const struct gln_range top[] = {{100, 1}, {163, 1}};
	const struct gln_range below[] = {{99, 1}};

	push(100);
	push(163);
	push(99); /* would push bit 63 out */
	fetch_and_reset();
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 2);
	check_protect(0, top, 2);
	check_protect(1, below, 1);
}

FixtureTest(ring, pages_out_of_order_flush_the_whole_slot)
{
	push(1000);
	push(10);
	fetch_and_reset();
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 1);
	cr_assert(fake_backend_nth(&guest.fake, FAKE_FLUSH, 0)->whole_slot);
}

FixtureTest(ring, every_page_fetched_is_protected_and_no_other)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct test_random random = {seed};
		const uint64_t spread = 1 + test_random_below(&random, 400);
		uint8_t pages[1000] = {0}, is[1000] = {0};

		fake_backend_forget(&guest.fake);
		for (unsigned int i = 0; i < 150; i++) {
			const uint64_t page =
				test_random_below(&random, spread);

			push(page);
			pages[page] = 1;
		}
		fetch_and_reset();
		for (size_t i = 0; i < guest.fake.nr_calls; i++) {
			const struct fake_call *c = &guest.fake.calls[i];

			for (size_t r = 0;
			     c->kind == FAKE_PROTECT && r < c->nr_ranges; r++) {
				const struct gln_range *range =
					&guest.fake.ranges[c->first_range + r];

				test_pages_set(is, range->first - BASE,
					       range->first - BASE +
						       range->count);
			}
		}
		require(!memcmp(pages, is, sizeof(pages)), "seed %" PRIu64,
			seed);
	}
}

FixtureTest(ring, rings_of_many_vcpus_and_slots_share_the_flushes)
{
	struct gln_vcpu *const other = guest_vcpu(&guest, 1);
	struct gln_ring_cursor others = cursor_of(other);

	guest_log_slot(&guest, 8, 500000, 1000);
	push(1);
	cr_assert_eq(gln_vcpu_mark(vcpu, 500001), 1);
	push(2);
	cr_assert_eq(gln_vcpu_mark(other, BASE + 3), 1);
	cr_assert_eq(gln_vcpu_mark(other, 500002), 1);
	cr_assert_eq(fetch_all(&cursor), 3);
	cr_assert_eq(fetch_all(&others), 2);
	cr_assert_eq(gln_ring_reset(guest.vm), 5);
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 2);
	cr_assert_eq(gln_ring_reset(guest.vm), 0);
	cr_assert_eq(guest.fake.nr_of[FAKE_FLUSH], 2);
	gln_vcpu_unregister(other);
}

FixtureTest(ring, hostile_entries_are_freed_and_ask_nothing_of_the_backend)
{
	static const struct gln_ring_entry hostile[] = {
		{0, ID, 100000},
		{0, ID, UINT64_MAX},
		{0, ID, UINT64_MAX - 1000},
		{0, ID | 1 << 16, 0},
		{0, UINT32_MAX, 0},
		{0, 8, 0},
		{0, 9, 0},
		{0, ID, UINT64_C(1) << 63},
	};

	guest_add_slot(&guest, 9, 500000, 100); /* not logged */
	fake_backend_forget(&guest.fake);
	for (size_t i = 0; i < ARRAY_END(hostile) - hostile; i++)
		push(i);
	cr_assert_eq(fetch_all(&cursor), ARRAY_END(hostile) - hostile);
	for (size_t i = 0; i < ARRAY_END(hostile) - hostile; i++) {
		cursor.entries[i] = hostile[i];
		cursor.entries[i].flags = GLN_RING_RESET | 0xf0;
	}
	cr_assert_eq(gln_ring_reset(guest.vm), ARRAY_END(hostile) - hostile);
	cr_assert_eq(guest.fake.nr_calls, 0);
	push(99999);
	fetch_and_reset();
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 1);
}

FixtureTest(ring, random_bytes_in_entries_never_lead_out_of_a_slot)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct test_random random = {seed};
		uint32_t words[4];

		fake_backend_forget(&guest.fake);
		for (unsigned int i = 0; i < 100; i++)
			gln_vcpu_mark(vcpu, BASE + i);
		for (unsigned int i = 0; i < NR_ENTRIES; i++) {
			for (unsigned int w = 0; w < 4; w++)
				words[w] = (uint32_t)test_random_next(&random);
			words[0] |= GLN_RING_RESET;
			if (test_random_chance(&random, 128))
				words[1] = ID;
			if (test_random_chance(&random, 192))
				words[3] = 0, words[2] %= 100010;
			memcpy(&cursor.entries[i], words, sizeof(words));
		}
		/* What it asked of the backend was checked there. */
		cr_assert_leq(gln_ring_reset(guest.vm), NR_ENTRIES,
			      "seed %" PRIu64, seed);
	}
	cursor.next = vcpu->ring.dirty_index;
}

FixtureTest(ring, a_failing_backend_leaves_what_was_harvested_harvested)
{
	static const enum fake_call_kind kinds[] = {FAKE_PROTECT, FAKE_FLUSH};

	push(1);
	push(1000);
	cr_assert_eq(fetch_all(&cursor), 2);
	for (const enum fake_call_kind *k = kinds; k < ARRAY_END(kinds); k++) {
		for (uint64_t nth = 1; nth <= (*k == FAKE_PROTECT ? 2 : 1);
		     nth++) {
			guest.fake.fail_at[*k] = nth;
			cr_assert_eq(gln_ring_reset(guest.vm), -EIO);
			cr_assert_eq(cursor.entries[0].flags, GLN_RING_RESET);
			cr_assert_eq(cursor.entries[1].flags, GLN_RING_RESET);
			cr_assert_eq(guest_stats(&guest).ring_resets, 0);
		}
	}
	cr_assert_eq(gln_ring_reset(guest.vm), 2);
	/* No slot is left claimed. */
	gln_dirty_mark_range(guest.vm, (struct gln_range){BASE, 1});
	gln_harvest_commit(guest_begin(&guest, ID));
}

Test(ring, an_open_harvest_keeps_its_slot_and_no_other)
{
	struct gln_harvest *harvest;

	start(MMU_CAPS, GLN_RING_WITH_BITMAP);
	guest_log_slot(&guest, 8, 500000, 1000);
	harvest = guest_begin(&guest, ID);
	push(1);
	cr_assert_eq(fetch_all(&cursor), 1);
	cr_assert_eq(gln_ring_reset(guest.vm), -EBUSY);
	gln_harvest_commit(harvest);
	cr_assert_eq(gln_ring_reset(guest.vm), 1);

	cr_assert_eq(gln_vcpu_mark(vcpu, 500001), 1);
	push(2);
	cr_assert_eq(gln_vcpu_mark(vcpu, 500002), 1);
	cr_assert_eq(fetch_all(&cursor), 3);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_ring_reset(guest.vm), 1);
	cr_assert_eq(gln_ring_reset(guest.vm), -EBUSY);
	gln_harvest_abort(harvest);
	cr_assert_eq(gln_ring_reset(guest.vm), 2);
	teardown();
}

FixtureTest(ring, a_full_ring_refuses_faults_and_the_reserve_takes_the_rest)
{
	for (uint64_t i = 0; i < NR_SOFT; i++) {
		cr_assert_not(gln_ring_is_full(vcpu));
		push(i);
	}
	cr_assert(gln_ring_is_full(vcpu));
	cr_assert_eq(gln_vcpu_fault(vcpu, BASE, GLN_ACCESS_WRITE),
		     GLN_FAULT_RING_FULL);
	cr_assert_eq(guest.fake.nr_of[FAKE_FAULT], 0);
	for (uint64_t i = NR_SOFT; i < NR_ENTRIES; i++)
		push(i);
	cr_assert_eq(guest_stats(&guest).ring_overflows, 0);

	fetch_and_reset();
	cr_assert_not(gln_ring_is_full(vcpu));
	cr_assert_eq(gln_vcpu_fault(vcpu, BASE, GLN_ACCESS_WRITE),
		     GLN_FAULT_MAPPED);
}

FixtureTest(ring, what_does_not_fit_is_marked_and_can_be_harvested)
{
	struct gln_harvest_params params = {.struct_bytes = sizeof(params)};
	struct gln_harvest *harvest = NULL;
	struct gln_range run;

	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest),
		     -ENXIO);
	for (uint64_t i = 0; i < NR_ENTRIES; i++)
		push(i);
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest),
		     -ENXIO);
	cr_assert_eq(gln_vcpu_mark(vcpu, BASE + 5000), 1);
	cr_assert_eq(gln_vcpu_mark(vcpu, BASE + 5000), 0);
	cr_assert_eq(guest_stats(&guest).ring_overflows, 2);
	cr_assert_eq(guest_stats(&guest).ring_pushes, NR_ENTRIES);
	harvest = guest_begin(&guest, ID);
	cr_assert_eq(gln_harvest_next(harvest, &run, 1), 1);
	cr_assert_eq(run.first, BASE + 5000);
	cr_assert_eq(gln_harvest_commit(harvest), 1);
	cr_assert_eq(gln_harvest_begin(guest.vm, ID, &params, &harvest),
		     -ENXIO);
}

FixtureTest(ring, without_a_bitmap_these_calls_say_so)
{
	uint64_t bits[2000] = {1};
	const struct gln_clear_log clear = {
		.slot = ID,
		.num_pages = 64,
		.bitmap = bits,
	};

	cr_assert_eq(gln_get_dirty_log(guest.vm, ID, bits), -ENXIO);
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), -ENXIO);
	cr_assert_eq(gln_dirty_mark(guest.vm, BASE), -ENXIO);
	cr_assert_eq(gln_dirty_merge(guest.vm, ID, 0, bits, 64), -ENXIO);
	cr_assert_eq(guest_count_marks(&guest, ID), 0);
	guest_add_slot(&guest, 8, 500000, 100);
	cr_assert_eq(gln_log_enable(guest.vm, 8, GLN_LOG_ENABLE_ALL_MARKED),
		     -EINVAL);
	cr_assert_eq(gln_log_disable(guest.vm, 8), -ENOENT);
	cr_assert_eq(gln_log_enable(guest.vm, 8, 0), 0);
	/* This one cannot refuse. */
	cr_assert_eq(
		gln_dirty_mark_range(guest.vm, (struct gln_range){BASE, 10}),
		10);
	cr_assert_eq(gln_harvest_commit(guest_begin(&guest, ID)), 10);
}

Test(ring, with_a_bitmap_it_has_what_no_vcpu_wrote)
{
	uint64_t bits[2000] = {0};

	start(MMU_CAPS, GLN_RING_WITH_BITMAP);
	push(3);
	cr_assert_eq(gln_dirty_mark(guest.vm, BASE + 4), 1);
	cr_assert_eq(gln_get_dirty_log(guest.vm, ID, bits), 0);
	cr_assert_eq(bits[0], 1 << 4);
	cr_assert_eq(gln_dirty_mark(guest.vm, BASE + 5), 1);
	cr_assert_eq(gln_harvest_commit(guest_begin(&guest, ID)), 1);
	fetch_and_reset();
	guest_add_slot(&guest, 8, 500000, 100);
	cr_assert_eq(gln_log_enable(guest.vm, 8, GLN_LOG_ENABLE_ALL_MARKED), 0);
	teardown();
}

FixtureTest(ring, an_unregistered_vcpu_leaves_its_pages_marked)
{
	static const gln_gfn cpu_log[] = {BASE + 40, BASE + 41, 0};
	struct gln_vcpu *const other = guest_vcpu(&guest, 1);
	struct gln_ring_cursor others = cursor_of(other);
	uint64_t offset;
	uint32_t slot;

	for (uint64_t i = 0; i < 10; i++)
		cr_assert_eq(gln_vcpu_mark(other, BASE + i), 1);
	/* Two reset, two harvested, and one of them forged. */
	for (unsigned int i = 0; i < 2; i++)
		cr_assert(gln_ring_fetch(&others, &slot, &offset));
	cr_assert_eq(gln_ring_reset(guest.vm), 2);
	for (unsigned int i = 0; i < 2; i++)
		cr_assert(gln_ring_fetch(&others, &slot, &offset));
	others.entries[3].offset = 1 << 20;
	guest.fake.cpu_log = cpu_log;
	guest.fake.nr_cpu_log = 3;
	gln_vcpu_unregister(other);
	cr_assert_eq(guest_count_marks(&guest, ID), 7 + 2);
	cr_assert_eq(gln_harvest_commit(guest_begin(&guest, ID)), 9);
}

FixtureTest(ring, entries_outlive_a_log_and_a_slot)
{
	push(1);
	push(2);
	cr_assert_eq(gln_log_disable(guest.vm, ID), 0);
	cr_assert_eq(fetch_all(&cursor), 2);
	cr_assert_eq(gln_ring_reset(guest.vm), 2);
	cr_assert_eq(gln_log_enable(guest.vm, ID, 0), 0);
	push(50000);
	push(1);
	cr_assert_eq(gln_slot_remove(guest.vm, ID), 0);
	guest_log_slot(&guest, ID, BASE, 100); /* the id again, but smaller */
	cr_assert_eq(fetch_all(&cursor), 2);
	cr_assert_eq(gln_ring_reset(guest.vm), 2);
	cr_assert_eq(guest.fake.nr_of[FAKE_PROTECT], 1);
}

FixtureTest(ring, registering_needs_memory_and_nothing_else_does)
{
	struct gln_vcpu *other = NULL;
	const size_t nr_live = guest.memory.nr_live;
	uint64_t nr_calls;

	for (uint64_t nth = 1; nth <= 2; nth++) {
		guest.memory.fail_at = nth;
		cr_assert_eq(gln_vcpu_register(guest.vm, 1, &other), -ENOMEM);
		cr_assert_eq(guest.memory.nr_live, nr_live);
		cr_assert_eq(guest.fake.nr_vcpus, 1);
	}
	guest.fake.fail_at[FAKE_VCPU_ATTACH] = 1;
	cr_assert_eq(gln_vcpu_register(guest.vm, 1, &other), -EIO);
	cr_assert_eq(guest.memory.nr_live, nr_live);
	cr_assert_null(other);

	nr_calls = guest.memory.nr_calls;
	for (unsigned int i = 0; i < 1000; i++) {
		guest.fake.to_mark = true;
		cr_assert_eq(gln_vcpu_fault(vcpu, BASE + i, GLN_ACCESS_WRITE),
			     GLN_FAULT_MAPPED);
		gln_vcpu_exit(vcpu);
		if (i % 50 == 49)
			fetch_and_reset();
		if (i % 50 == 49)
			fake_backend_forget(&guest.fake);
	}
	cr_assert_eq(guest_stats(&guest).ring_resets, 1000);
	cr_assert_eq(guest.memory.nr_calls, nr_calls);
}

/* Pages that a vCPU's thread pushes beside a consumer and a resetter. */
enum { NR_RACED = 300000 };

static _Atomic bool is_fetched;

static void *push_all(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < NR_RACED; i++) {
		while (gln_ring_is_full(vcpu))
			sched_yield();
		gln_vcpu_mark(vcpu, BASE + i % 100000);
	}
	return NULL;
}

/* Returns the first page that came out of turn, or NULL. */
static void *fetch_in_turn(void *arg)
{
	uint64_t nr = 0, offset;
	uint32_t slot;
	void *wrong = NULL;

	(void)arg;
	while (nr < NR_RACED) {
		if (!gln_ring_fetch(&cursor, &slot, &offset)) {
			sched_yield();
			continue;
		}
		if (slot != ID || offset != nr % 100000)
			wrong = &cursor.entries[nr % NR_ENTRIES];
		nr++;
	}
	is_fetched = true;
	return wrong;
}

Test(ring, pushing_fetching_and_resetting_run_beside_each_other)
{
	pthread_t pusher, fetcher;
	uint64_t nr = 0;
	bool is_last;
	void *wrong;

	start(0, 0);
	/* The indices wrap on the way. */
	vcpu->ring.dirty_index = UINT32_MAX - NR_RACED / 2;
	vcpu->ring.reset_index = UINT32_MAX - NR_RACED / 2;
	cursor.next = UINT32_MAX - NR_RACED / 2;
	is_fetched = false;
	cr_assert_eq(pthread_create(&fetcher, NULL, fetch_in_turn, NULL), 0);
	cr_assert_eq(pthread_create(&pusher, NULL, push_all, NULL), 0);
	do {
		int freed;

		is_last = is_fetched;
		freed = gln_ring_reset(guest.vm);
		cr_assert_geq(freed, 0);
		nr += (uint64_t)freed;
		if (!freed)
			sched_yield();
	} while (!is_last);
	cr_assert_eq(pthread_join(pusher, NULL), 0);
	cr_assert_eq(pthread_join(fetcher, &wrong), 0);
	cr_assert_null(wrong);
	cr_assert_eq(nr, NR_RACED);
	cr_assert_eq(guest_stats(&guest).ring_pushes, NR_RACED);
	cr_assert_eq(guest_stats(&guest).ring_resets, NR_RACED);
	cr_assert_eq(guest_stats(&guest).ring_overflows, 0);
	teardown();
}
