/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_test.c - one ring: its states, its limits, and indices that wrap.
 *
 * G11 (what the consumer writes), R1 to R3; H-47. Several rings, and what a
 * reset asks of the backend: tests/unit/vm/ring_test.c.
 */
#include "tests/unit/guest.h"

#include "core/dirty/ring.h"

enum {
	NR_ENTRIES = 256,
	NR_SOFT = NR_ENTRIES - GLN_RING_RESERVED,
};

static struct fake_allocator memory;
static struct ring ring;
static struct gln_ring_cursor cursor;

static void setup(void)
{
	fake_allocator_init(&memory);
	cr_assert_eq(glni_ring_init(&ring, &memory.allocator, NR_ENTRIES,
				    GLN_RING_RESERVED),
		     0);
	cursor = (struct gln_ring_cursor){
		.entries = (void *)ring.entries,
		.nr_entries = NR_ENTRIES,
	};
}

static void teardown(void)
{
	glni_ring_fini(&ring, &memory.allocator);
	cr_assert_eq(memory.nr_live, 0);
}

/* Let the indices and the cursor stand at @index. */
static void start_at(uint32_t index)
{
	ring.dirty_index = index;
	ring.reset_index = index;
	cursor.next = index;
}

/* Free what was harvested, as a reset that has nothing to protect. */
static uint32_t reset(void)
{
	struct slot_set no_slots = {.spare = NULL};
	struct ring_reset all = {.slots = &no_slots};
	int err = glni_ring_look(&all, &ring);

	err = glni_ring_settle(&all, err);
	cr_assert_eq(err, 0);
	glni_ring_free_pending(&ring);
	return all.nr_entries;
}

static bool fetch(uint64_t *offset)
{
	uint32_t slot = 99;
	const bool is_there = gln_ring_fetch(&cursor, &slot, offset);

	cr_assert_eq(slot, is_there ? 7 : 99);
	return is_there;
}

FixtureTest(ring, an_entry_is_free_then_dirty_then_harvested_then_free)
{
	struct gln_ring_entry *const entry = cursor.entries;
	uint64_t offset = 99;

	cr_assert_not(fetch(&offset));
	cr_assert_eq(offset, 99);
	cr_assert_eq(entry->flags, 0);
	cr_assert(ring_push(&ring, 7, 1234));
	cr_assert_eq(entry->flags, GLN_RING_DIRTY);
	cr_assert_eq(entry->slot, 7);
	cr_assert_eq(entry->offset, 1234);
	cr_assert_eq(reset(), 0);
	cr_assert(fetch(&offset));
	cr_assert_eq(offset, 1234);
	cr_assert_eq(entry->flags, GLN_RING_RESET);
	cr_assert_eq(ring_used(&ring), 1);
	cr_assert_eq(reset(), 1);
	cr_assert_eq(entry->flags, 0);
	cr_assert_eq(ring_used(&ring), 0);
	cr_assert_not(fetch(&offset));
	cr_assert_eq(reset(), 0);
}

FixtureTest(ring, bit_0_of_a_harvested_entry_is_ignored)
{
	cr_assert(ring_push(&ring, 7, 1));
	cursor.entries[0].flags = GLN_RING_RESET | GLN_RING_DIRTY;
	cr_assert_eq(reset(), 1);
	cr_assert_eq(cursor.entries[0].flags, 0);
}

FixtureTest(ring, a_reset_stops_at_the_first_entry_not_harvested)
{
	uint64_t offset;

	for (uint64_t i = 0; i < 10; i++)
		cr_assert(ring_push(&ring, 7, i));
	cr_assert(fetch(&offset));
	cr_assert(fetch(&offset));
	cursor.entries[5].flags = GLN_RING_RESET;
	cr_assert_eq(reset(), 2);
	cr_assert_eq(ring_used(&ring), 8);
	for (uint64_t i = 2; i < 5; i++) {
		cr_assert(fetch(&offset));
		cr_assert_eq(offset, i);
	}
	cr_assert_eq(reset(), 4);
}

FixtureTest(ring, the_soft_limit_is_below_the_end_by_what_is_reserved)
{
	for (unsigned int i = 0; i < NR_ENTRIES; i++) {
		cr_assert_eq(ring_is_soft_full(&ring), i >= NR_SOFT, "%u", i);
		cr_assert(ring_push(&ring, 7, i), "%u", i);
	}
	cr_assert(ring_is_soft_full(&ring));
	cr_assert_not(ring_push(&ring, 7, NR_ENTRIES));
	cr_assert_eq(cursor.entries[0].offset, 0, "an entry was overwritten");
	cr_assert_eq(ring_used(&ring), NR_ENTRIES);
}

FixtureTest(ring, room_comes_back_one_by_one)
{
	uint64_t offset;

	for (unsigned int i = 0; i < NR_ENTRIES; i++)
		cr_assert(ring_push(&ring, 7, i));
	for (unsigned int i = 0; i < NR_ENTRIES; i++) {
		cr_assert(fetch(&offset));
		cr_assert_eq(offset, i);
		cr_assert_eq(reset(), 1);
		cr_assert_eq(ring_is_soft_full(&ring),
			     NR_ENTRIES - i - 1 >= NR_SOFT, "%u", i);
	}
}

FixtureTest(ring, indices_wrap_at_32_bits)
{
	static const uint32_t starts[] = {
		UINT32_MAX, UINT32_MAX - 10, UINT32_MAX - NR_ENTRIES,
		INT32_MAX,  INT32_MAX - 10u, 1u << 31};
	uint64_t offset;

	for (const uint32_t *s = starts; s < ARRAY_END(starts); s++) {
		start_at(*s);
		for (unsigned int i = 0; i < NR_ENTRIES; i++) {
			cr_assert_eq(ring_is_soft_full(&ring), i >= NR_SOFT);
			cr_assert(ring_push(&ring, 7, i));
		}
		cr_assert_not(ring_push(&ring, 7, 0));
		for (unsigned int i = 0; i < NR_ENTRIES; i++) {
			cr_assert(fetch(&offset));
			cr_assert_eq(offset, i);
		}
		cr_assert_not(fetch(&offset));
		cr_assert_eq(reset(), NR_ENTRIES);
		cr_assert_eq(ring_used(&ring), 0);
		cr_assert_eq(ring.reset_index, *s + NR_ENTRIES);
	}
}

FixtureTest(ring, entries_that_were_never_pushed_are_not_reset)
{
	for (unsigned int i = 0; i < NR_ENTRIES; i++)
		cursor.entries[i].flags = GLN_RING_RESET;
	/* The one that a push may be about to count: R3. */
	cr_assert_leq(reset(), 1);
	for (unsigned int i = 0; i < 10; i++) {
		cursor.entries[1].flags = GLN_RING_RESET;
		cr_assert_eq(reset(), 0);
	}
	cr_assert_not(ring_is_soft_full(&ring));
	cr_assert(ring_push(&ring, 7, 1));
	cr_assert_geq(ring_used(&ring), 0);
	for (unsigned int i = 0; i < NR_ENTRIES; i++)
		cr_assert(ring_push(&ring, 7, i), "%u", i);
	cr_assert_not(ring_push(&ring, 7, 0));
}

FixtureTest(ring, an_entry_shown_and_not_counted_yet_can_be_reset)
{
	uint64_t offset;

	/* A push, up to where its index moves. */
	cursor.entries[0] = (struct gln_ring_entry){GLN_RING_DIRTY, 7, 5};
	cr_assert(fetch(&offset));
	cr_assert_eq(reset(), 1);
	ring.dirty_index++;
	cr_assert_eq(ring_used(&ring), 0);
	cr_assert(ring_push(&ring, 7, 6));
	cr_assert(fetch(&offset));
	cr_assert_eq(offset, 6);
	cr_assert_eq(reset(), 1);
}

FixtureTest(ring, random_use_agrees_with_a_plain_queue)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct test_random random = {seed};
		uint64_t pushed = 0, fetched = 0, freed = 0, offset = 0;

		memset(cursor.entries, 0, NR_ENTRIES * sizeof(*cursor.entries));
		start_at((uint32_t)test_random_next(&random));
		for (unsigned int i = 0; i < 2000; i++) {
			const uint64_t what = test_random_below(&random, 16);
			const bool room = pushed - freed < NR_ENTRIES;

			if (what < 9) {
				cr_assert_eq(ring_push(&ring, 7, pushed), room,
					     "seed %" PRIu64, seed);
				pushed += room;
			} else if (what < 15) {
				cr_assert_eq(fetch(&offset), fetched < pushed,
					     "seed %" PRIu64, seed);
				if (fetched < pushed)
					cr_assert_eq(offset, fetched++,
						     "seed %" PRIu64, seed);
			} else {
				cr_assert_eq(reset(), fetched - freed,
					     "seed %" PRIu64, seed);
				freed = fetched;
			}
		}
	}
}
