/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rev_test.c - the reverse map: packing, chains, and two owners of a word.
 */
#include "core/hpt/rev.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/hpt/table.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

enum {
	NR_RANDOM = 100000,
	NR_ENTRIES = 1 << (GLN_HPT_ORDER_MIN - GLN_HPT_ENTRY_SHIFT),
};

#define RC (GLN_HPTE_R_R | GLN_HPTE_R_C)

/* R as a guest of this table can have it: what a link leaves of the RPN. */
static uint64_t guest_mask(unsigned int order)
{
	const uint64_t rpn = gln_low_bits(hpt_rpn_bits(order)) << 12;

	return ~(GLN_HPTE_R_RPN | HPTE_R_MODIFIED) | (rpn & GLN_HPTE_R_RPN);
}

Test(rev, links_leave_what_the_header_says)
{
	cr_assert_eq(hpt_rpn_bits(GLN_HPT_ORDER_MIN), 48);
	cr_assert_eq(hpt_rpn_bits(39), 48);
	cr_assert_eq(hpt_rpn_bits(40), 46);
	cr_assert_eq(hpt_rpn_bits(GLN_HPT_ORDER_MAX), 34);
}

Test(rev, packing_loses_nothing_whatever_the_order)
{
	for (uint64_t seed = 0; seed < NR_RANDOM; seed++) {
		struct test_random random = {seed};
		const unsigned int order = (unsigned int)test_random_between(
			&random, GLN_HPT_ORDER_MIN, GLN_HPT_ORDER_MAX);
		const unsigned int bits = order - GLN_HPT_ENTRY_SHIFT;
		const uint64_t r =
			test_random_next(&random) & guest_mask(order);
		const uint64_t prev =
			test_random_next(&random) & gln_low_bits(bits);
		const uint64_t next =
			test_random_next(&random) & gln_low_bits(bits);
		const uint64_t a = rev_pack_a(bits, r, prev);
		const uint64_t b = rev_pack_b(bits, r, next);

		require(rev_link(bits, a) == prev && rev_link(bits, b) == next,
			"seed %" PRIu64 " order %u: links", seed, order);
		require((rev_r_of_rest(b) | rev_rpn(bits, a, b)) ==
				(r & ~REV_R_OWN),
			"seed %" PRIu64 " order %u: R", seed, order);
		require(!(b & REV_MODIFIED), "seed %" PRIu64, seed);
	}
}

/* As the picture in the header has it. */
Test(rev, packing_is_as_drawn)
{
	const uint64_t r = GLN_HPTE_R_PP0 | UINT64_C(0x00003ffffffff000) |
			   GLN_HPTE_R_C | GLN_HPTE_R_M | 2;

	cr_assert_eq(rev_pack_a(42, r, 7), UINT64_C(0xfffffc0000000007));
	cr_assert_eq(rev_pack_b(42, r, 9),
		     UINT64_C(0x003ffc0000000009) | UINT64_C(1) << 62 |
			     UINT64_C(1) << 60 | UINT64_C(1) << 57 |
			     UINT64_C(2) << 54);
	cr_assert_eq(rev_pack_a(14, r, 7), UINT64_C(0x0000ffffffffc007));
	cr_assert_eq(rev_pack_b(14, 0, 9), 9);
}

/* A reverse map without a table: nothing here looks at one. */

static struct rev array[NR_ENTRIES];

static struct hpt small_table(void)
{
	memset(array, 0, sizeof(array));
	return (struct hpt){
		.rev = array,
		.order = GLN_HPT_ORDER_MIN,
		.link_bits = GLN_HPT_ORDER_MIN - GLN_HPT_ENTRY_SHIFT,
		.nr_entries = NR_ENTRIES,
	};
}

#define SOME_R                                                          \
	(GLN_HPTE_R_PP0 | UINT64_C(0x2fedcba987654000) | GLN_HPTE_R_R | \
	 GLN_HPTE_R_M | GLN_HPTE_R_N | UINT64_C(0x0600) | 1)

Test(rev, an_unlinked_entry_keeps_all_of_r)
{
	struct hpt hpt = small_table();

	cr_assert_eq(glni_rev_guest(&hpt, 5, false, 0), 0);
	glni_rev_set_guest(&hpt, 5, false, UINT64_MAX);
	cr_assert_eq(glni_rev_guest(&hpt, 5, false, 0), ~HPTE_R_MODIFIED);
	glni_rev_set_guest(&hpt, 5, false, SOME_R);
	cr_assert_eq(glni_rev_guest(&hpt, 5, false, UINT64_MAX), SOME_R);
	glni_rev_or_rc(&hpt, 5, false, GLN_HPTE_R_C | GLN_HPTE_R_N);
	cr_assert_eq(glni_rev_guest(&hpt, 5, false, 0), SOME_R | GLN_HPTE_R_C);
	cr_assert_eq(glni_rev_guest(&hpt, 4, false, 0), 0);
	cr_assert_eq(glni_rev_guest(&hpt, 6, false, 0), 0);
}

/* Linked, key and N are the entry's own, here KEY_LO 0x200. */
Test(rev, a_linked_entry_keeps_what_the_entry_does_not_say)
{
	struct hpt hpt = small_table();
	const uint64_t own = UINT64_C(0x0200);
	const uint64_t kept = SOME_R & ~REV_R_OWN;

	glni_rev_set_guest(&hpt, 5, false, SOME_R);
	glni_rev_link(&hpt, 5, 5);
	cr_assert_eq(glni_rev_guest(&hpt, 5, true, own), kept | own);
	cr_assert_eq(glni_rev_guest(&hpt, 5, true, ~REV_R_OWN), kept);
	glni_rev_or_rc(&hpt, 5, true, GLN_HPTE_R_C | GLN_HPTE_R_N);
	cr_assert_eq(glni_rev_guest(&hpt, 5, true, own),
		     kept | own | GLN_HPTE_R_C);
	glni_rev_set_guest(&hpt, 5, true, 2 | GLN_HPTE_R_I);
	cr_assert_eq(glni_rev_guest(&hpt, 5, true, own),
		     (kept & GLN_HPTE_R_RPN) | own | 2 | GLN_HPTE_R_I);
	cr_assert_eq(glni_rev_next(&hpt, 5), 5);
	cr_assert_eq(glni_rev_unlink(&hpt, 5, SOME_R), 5);
	cr_assert_eq(glni_rev_guest(&hpt, 5, false, 0), SOME_R);
}

Test(rev, modified_is_taken_once_linked_or_not)
{
	for (unsigned int linked = 0; linked < 2; linked++) {
		struct hpt hpt = small_table();

		glni_rev_set_guest(&hpt, 5, false, SOME_R);
		if (linked)
			glni_rev_link(&hpt, 5, 5);
		cr_assert_not(glni_rev_take_modified(&hpt, 5, linked));
		glni_rev_set_modified(&hpt, 5, linked);
		cr_assert_eq(glni_rev_guest(&hpt, 5, linked, SOME_R), SOME_R);
		cr_assert(glni_rev_take_modified(&hpt, 5, linked));
		cr_assert_not(glni_rev_take_modified(&hpt, 5, linked));
	}
}

Test(rev, modified_outlives_a_link_and_its_end)
{
	struct hpt hpt = small_table();

	glni_rev_set_modified(&hpt, 5, false);
	glni_rev_link(&hpt, 5, 5);
	glni_rev_set_guest(&hpt, 5, true, SOME_R);
	glni_rev_unlink(&hpt, 5, SOME_R);
	glni_rev_set_guest(&hpt, 5, false, 0);
	cr_assert(glni_rev_take_modified(&hpt, 5, false));

	glni_rev_link(&hpt, 5, 5);
	cr_assert_not(glni_rev_take_modified(&hpt, 5, true));
	glni_rev_unlink(&hpt, 5, UINT64_MAX);
	cr_assert_not(glni_rev_take_modified(&hpt, 5, false));
}

/* The chain from @head is these @nr entries in order, both ways round. */
static void require_chain(const struct hpt *hpt, const uint64_t *want,
			  size_t nr, uint64_t seed)
{
	for (size_t i = 0; i < nr; i++) {
		const uint64_t next = want[(i + 1) % nr];

		require(glni_rev_next(hpt, want[i]) == next,
			"seed %" PRIu64 ": %zu of %zu", seed, i, nr);
		require(glni_rev_prev(hpt, next) == want[i],
			"seed %" PRIu64 ": back to %zu of %zu", seed, i, nr);
	}
}

Test(rev, chains_of_one_two_three_and_many_keep_their_order)
{
	static const size_t lengths[] = {1, 2, 3, 4, 1000};

	for (const size_t *nr = lengths; nr < ARRAY_END(lengths); nr++) {
		struct hpt hpt = small_table();
		uint64_t chain[1000];

		for (size_t i = 0; i < *nr; i++) {
			chain[i] = (i * 7919 + NR_ENTRIES - 1) % NR_ENTRIES;
			glni_rev_link(&hpt, chain[i], chain[0]);
		}
		require_chain(&hpt, chain, *nr, 0);
	}
}

Test(rev, the_first_the_last_and_one_between_can_leave)
{
	for (size_t gone = 0; gone < 3; gone++) {
		struct hpt hpt = small_table();
		uint64_t chain[3] = {9, 3, 6};
		uint64_t next;

		for (size_t i = 0; i < 3; i++)
			glni_rev_link(&hpt, chain[i], chain[0]);
		next = glni_rev_unlink(&hpt, chain[gone], 0);
		cr_assert_eq(next, chain[(gone + 1) % 3]);
		memmove(&chain[gone], &chain[gone + 1],
			(2 - gone) * sizeof(chain[0]));
		require_chain(&hpt, chain, 2, gone);
		cr_assert_eq(glni_rev_unlink(&hpt, chain[0], 0), chain[1]);
		cr_assert_eq(glni_rev_unlink(&hpt, chain[1], 0), chain[1]);
	}
}

/* Chains as a list would have them, and R as it was set. */

enum { NR_CHAINS = 5, NR_USED = 64, NR_STEPS = 200000 };

static struct {
	uint64_t chains[NR_CHAINS][NR_USED];
	size_t lengths[NR_CHAINS];
	struct {
		size_t chain; /* NR_CHAINS: in none */
		uint64_t r;
		bool is_modified;
	} entries[NR_USED];
} model;

/* Entries that the model numbers stand far apart, the last one included. */
static uint64_t index_of(size_t i)
{
	return i * (NR_ENTRIES / NR_USED) + NR_ENTRIES / NR_USED - 1;
}

static void join(struct hpt *hpt, size_t i, size_t chain)
{
	const size_t at = model.lengths[chain]++;

	model.entries[i].chain = chain;
	model.chains[chain][at] = index_of(i);
	glni_rev_link(hpt, index_of(i), model.chains[chain][0]);
}

static void part(struct hpt *hpt, size_t i, uint64_t seed)
{
	const size_t chain = model.entries[i].chain;
	uint64_t *const list = model.chains[chain];
	const size_t nr = model.lengths[chain]--;
	size_t at = 0;
	uint64_t next;

	while (list[at] != index_of(i))
		at++;
	next = glni_rev_unlink(hpt, index_of(i), model.entries[i].r);
	require(next == list[(at + 1) % nr], "seed %" PRIu64, seed);
	memmove(&list[at], &list[at + 1], (nr - at - 1) * sizeof(*list));
	model.entries[i].chain = NR_CHAINS;
}

static void touch(struct hpt *hpt, struct test_random *random, size_t i)
{
	const bool linked = model.entries[i].chain < NR_CHAINS;
	const uint64_t value = test_random_next(random) & ~HPTE_R_MODIFIED;
	uint64_t *const r = &model.entries[i].r;

	switch (test_random_below(random, 3)) {
	case 0:
		glni_rev_set_guest(hpt, index_of(i), linked, value);
		*r = linked ? (*r & (GLN_HPTE_R_RPN | REV_R_OWN)) |
				      (value & ~(GLN_HPTE_R_RPN | REV_R_OWN))
			    : value;
		break;
	case 1:
		glni_rev_or_rc(hpt, index_of(i), linked, value & RC);
		*r |= value & RC;
		break;
	default:
		glni_rev_set_modified(hpt, index_of(i), linked);
		model.entries[i].is_modified = true;
	}
}

static void step(struct hpt *hpt, struct test_random *random, uint64_t seed)
{
	const size_t i = test_random_below(random, NR_USED);
	const bool linked = model.entries[i].chain < NR_CHAINS;

	if (test_random_chance(random, 128))
		touch(hpt, random, i);
	else if (linked)
		part(hpt, i, seed);
	else
		join(hpt, i, test_random_below(random, NR_CHAINS));
}

static void require_model(struct hpt *hpt, uint64_t seed)
{
	for (size_t chain = 0; chain < NR_CHAINS; chain++)
		require_chain(hpt, model.chains[chain], model.lengths[chain],
			      seed);
	for (size_t i = 0; i < NR_USED; i++) {
		const bool linked = model.entries[i].chain < NR_CHAINS;
		const uint64_t r = model.entries[i].r;

		require(glni_rev_guest(hpt, index_of(i), linked, r) == r,
			"seed %" PRIu64 ": R of %zu", seed, i);
		require(glni_rev_take_modified(hpt, index_of(i), linked) ==
				model.entries[i].is_modified,
			"seed %" PRIu64 ": MODIFIED of %zu", seed, i);
		model.entries[i].is_modified = false;
	}
}

Test(rev, random_links_and_changes_agree_with_a_list)
{
	const uint64_t seed = 4711;
	struct test_random random = {seed};
	struct hpt hpt = small_table();

	for (size_t i = 0; i < NR_USED; i++)
		model.entries[i].chain = NR_CHAINS;
	for (unsigned int i = 0; i < NR_STEPS; i++) {
		step(&hpt, &random, seed);
		if (i % 16 == 0)
			require_model(&hpt, seed);
	}
	require_model(&hpt, seed);
}

/*
 * The ends of the largest table whose reverse map this machine can address:
 * nothing of it takes memory but the pages looked at.
 */
Test(rev, links_reach_the_last_entry_of_the_largest_table)
{
	unsigned int order = GLN_HPT_ORDER_MAX;
	struct hpt hpt;
	uint64_t chain[3];
	uint64_t r;
	void *memory;

	do
		memory = mmap(NULL, (size_t)1 << order, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
	while (memory == MAP_FAILED && --order > 36);
	if (memory == MAP_FAILED)
		cr_skip_test("no address space for order 37");
	hpt = (struct hpt){
		.rev = memory,
		.order = order,
		.link_bits = order - GLN_HPT_ENTRY_SHIFT,
		.nr_entries = UINT64_C(1) << (order - GLN_HPT_ENTRY_SHIFT),
	};
	/* Past 32 bits: H-84. */
	chain[0] = hpt.nr_entries - 1;
	chain[1] = (hpt.nr_entries >> 1) + 1;
	chain[2] = 0;
	r = guest_mask(order) & ~REV_R_OWN;

	for (size_t i = 0; i < 3; i++) {
		glni_rev_set_guest(&hpt, chain[i], false, r);
		glni_rev_link(&hpt, chain[i], chain[0]);
	}
	require_chain(&hpt, chain, 3, order);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(glni_rev_guest(&hpt, chain[i], true, 0), r,
			     "order %u", order);
	cr_assert_eq(glni_rev_unlink(&hpt, chain[0], r), chain[1]);
	require_chain(&hpt, chain + 1, 2, order);
	munmap(memory, (size_t)1 << order);
}

/*
 * One thread has entry 0 and changes what is in it; the other has the head, and
 * changes who stands beside entry 0.
 */

enum { NR_NEIGHBOURS = 3, NR_ROUNDS = 300000 };

static struct hpt shared;
static gln_word nr_done;

static void *change_attributes(void *arg)
{
	struct test_random random = {1};
	uint64_t r = SOME_R & ~REV_R_OWN;

	for (unsigned int i = 0; i < NR_ROUNDS; i++) {
		const uint64_t value = test_random_next(&random);
		const uint64_t keep = GLN_HPTE_R_RPN | REV_R_OWN;

		require(glni_rev_guest(&shared, 0, true, 0) == r,
			"round %u: R changed", i);
		require(glni_rev_take_modified(&shared, 0, true) == (i % 2),
			"round %u: MODIFIED changed", i);
		glni_rev_set_guest(&shared, 0, true, value);
		glni_rev_or_rc(&shared, 0, true, value << 1);
		if (i % 2 == 0)
			glni_rev_set_modified(&shared, 0, true);
		r = (r & keep) | (value & ~(keep | HPTE_R_MODIFIED)) |
		    (value << 1 & RC);
		r &= ~REV_R_OWN;
	}
	gln_fetch_add_relaxed(&nr_done, 1);
	return arg;
}

static void *change_neighbours(void *arg)
{
	while (!gln_load_relaxed(&nr_done)) {
		uint64_t chain[NR_NEIGHBOURS + 1] = {0};

		for (uint64_t i = 1; i <= NR_NEIGHBOURS; i++) {
			chain[i] = i * (NR_ENTRIES / 4) - 1;
			glni_rev_set_guest(&shared, chain[i], false, SOME_R);
			glni_rev_link(&shared, chain[i], 0);
			require_chain(&shared, chain, i + 1, i);
		}
		for (uint64_t i = 1; i <= NR_NEIGHBOURS; i++)
			glni_rev_unlink(&shared, chain[i], SOME_R);
		require_chain(&shared, chain, 1, 0);
	}
	return arg;
}

Test(rev, links_and_attributes_change_at_once_and_nothing_is_lost)
{
	pthread_t threads[2];

	shared = small_table();
	glni_rev_set_guest(&shared, 0, false, SOME_R);
	glni_rev_link(&shared, 0, 0);
	cr_assert_eq(pthread_create(&threads[0], NULL, change_attributes, NULL),
		     0);
	cr_assert_eq(pthread_create(&threads[1], NULL, change_neighbours, NULL),
		     0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	cr_assert_eq(glni_rev_next(&shared, 0), 0);
}
