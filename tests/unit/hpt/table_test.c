/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table_test.c - tables and their reverse maps are made whole or not at all;
 * those of a pool go back there.
 */
#include "core/hpt/table.h"

#include <errno.h>
#include <string.h>

#include "core/hpt/pool.h"
#include "tests/support/fake_allocator.h"
#include "tests/unit/require.h"

enum { ORDER = 20, BYTES = 1 << ORDER };

static bool is_empty(const struct hpt *hpt)
{
	const uint8_t *const bytes = (const void *)hpt->entries;

	for (uint64_t i = 0; i < hpt->nr_entries; i++)
		if (gln_load_relaxed(&hpt->rev[i].a) ||
		    gln_load_relaxed(&hpt->rev[i].b))
			return false;
	return !bytes[0] && !memcmp(bytes, bytes + 1, BYTES - 1);
}

static void use(struct hpt *hpt)
{
	hpte_publish(&hpt->entries[0], (struct gln_hpte){1, 2});
	hpte_publish(&hpt->entries[hpt->nr_entries - 1],
		     (struct gln_hpte){3, 4});
	glni_rev_set_guest(hpt, 0, false, 5);
	glni_rev_set_modified(hpt, hpt->nr_entries - 1, false);
}

Test(table, has_its_order_s_entries_groups_and_links)
{
	struct fake_allocator fake;
	struct hpt hpt;

	fake_allocator_init(&fake);
	for (unsigned int order = GLN_HPT_ORDER_MIN; order <= 24; order++) {
		cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator,
					   GLN_HPT_ISA_3_0, order, NULL),
			     0);
		cr_assert_eq(hpt.order, order);
		cr_assert_eq(hpt.isa, GLN_HPT_ISA_3_0);
		cr_assert_eq(hpt.nr_entries, UINT64_C(1) << (order - 4));
		cr_assert_eq(hpt.group_mask, (UINT64_C(1) << (order - 7)) - 1);
		cr_assert_eq(hpt.link_bits, order - 4);
		cr_assert_eq((uintptr_t)hpt.entries % (UINT64_C(1) << order),
			     0);
		cr_assert_eq(fake.live_bytes, UINT64_C(2) << order);
		glni_hpt_fini(&hpt, &fake.allocator);
		cr_assert_eq(fake.live_bytes, 0);
	}
}

Test(table, is_empty_when_new_and_when_reset)
{
	struct fake_allocator fake;
	struct hpt hpt;

	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, NULL),
		     0);
	cr_assert(is_empty(&hpt));
	use(&hpt);
	cr_assert_not(is_empty(&hpt));
	glni_hpt_reset(&hpt);
	cr_assert(is_empty(&hpt));
	glni_hpt_fini(&hpt, &fake.allocator);
}

Test(table, without_memory_there_is_none_and_nothing_is_left)
{
	struct fake_allocator fake;

	for (unsigned int fail_at = 1; fail_at <= 2; fail_at++) {
		struct hpt hpt = {.order = 99};

		fake_allocator_init(&fake);
		fake.fail_at = fail_at;
		cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator,
					   GLN_HPT_ISA_2_07, ORDER, NULL),
			     -ENOMEM);
		cr_assert_eq(fake.live_bytes, 0);
		cr_assert_eq(hpt.order, 99);
	}
}

Test(table, larger_than_the_machine_is_enomem)
{
	struct fake_allocator fake;
	struct hpt hpt;

	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator, GLN_HPT_ISA_2_07,
				   GLN_HPT_ORDER_MAX, NULL),
		     -ENOMEM);
	cr_assert_eq(fake.live_bytes, 0);
}

/* Aligns to a page and never to more. */
struct careless {
	struct fake_allocator fake;
	struct gln_allocator allocator;
};

enum { MISPLACED_BY = 4096 };

static void *misplaced_alloc(void *ctx, size_t bytes)
{
	struct fake_allocator *const fake = ctx;
	char *const memory = fake->allocator.alloc(fake, bytes + MISPLACED_BY);

	/* Not a power of two, so a page's alignment; make sure it is no more.
	 */
	return (uintptr_t)memory % bytes ? memory : memory + MISPLACED_BY;
}

static void misplaced_free(void *ctx, void *memory, size_t bytes)
{
	struct fake_allocator *const fake = ctx;
	char *block = memory;

	for (size_t i = 0; i < fake->nr_live; i++)
		if (block - (char *)fake->blocks[i].memory == MISPLACED_BY)
			block -= MISPLACED_BY;
	fake->allocator.free(fake, block, bytes + MISPLACED_BY);
}

static void careless_init(struct careless *careless)
{
	fake_allocator_init(&careless->fake);
	careless->allocator = (struct gln_allocator){
		.alloc = misplaced_alloc,
		.free = misplaced_free,
		.ctx = &careless->fake,
	};
}

Test(table, not_aligned_to_its_size_is_erange)
{
	struct careless careless;
	struct hpt hpt = {.order = 99};
	struct hpt_pool pool;

	careless_init(&careless);
	cr_assert_eq(glni_hpt_init(&hpt, &careless.allocator, GLN_HPT_ISA_2_07,
				   ORDER, NULL),
		     -ERANGE);
	cr_assert_eq(hpt.order, 99);
	cr_assert_eq(careless.fake.live_bytes, 0);
	cr_assert_eq(glni_hpt_pool_init(&pool, &careless.allocator, ORDER, 1),
		     -ERANGE);
	cr_assert_eq(careless.fake.live_bytes, 0);
}

Test(table, of_a_pool_goes_back_and_is_empty_when_taken_again)
{
	struct fake_allocator fake;
	struct hpt_pool pool;
	struct hpte *entries;
	struct hpt hpt;

	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_pool_init(&pool, &fake.allocator, ORDER, 1), 0);
	cr_assert_eq(fake.live_bytes, BYTES);
	cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, &pool),
		     0);
	cr_assert_eq(hpt.pool, &pool);
	cr_assert_eq(fake.live_bytes, 2 * BYTES); /* and the reverse map */
	entries = hpt.entries;
	use(&hpt);
	glni_hpt_fini(&hpt, &fake.allocator);
	cr_assert_eq(fake.live_bytes, BYTES);

	cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, &pool),
		     0);
	cr_assert_eq(hpt.entries, entries);
	cr_assert(is_empty(&hpt));
	glni_hpt_fini(&hpt, &fake.allocator);
	glni_hpt_pool_fini(&pool);
	cr_assert_eq(fake.live_bytes, 0);
}

Test(table, of_another_order_or_an_exhausted_pool_is_allocated)
{
	struct fake_allocator fake;
	struct hpt_pool pool;
	struct hpt first, second, other;

	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_pool_init(&pool, &fake.allocator, ORDER, 1), 0);
	cr_assert_eq(glni_hpt_init(&other, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER - 1, &pool),
		     0);
	cr_assert_null(other.pool);
	cr_assert_eq(glni_hpt_init(&first, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, &pool),
		     0);
	cr_assert_eq(first.pool, &pool);
	cr_assert_eq(glni_hpt_init(&second, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, &pool),
		     0);
	cr_assert_null(second.pool);
	glni_hpt_fini(&first, &fake.allocator);
	glni_hpt_fini(&second, &fake.allocator);
	glni_hpt_fini(&other, &fake.allocator);
	glni_hpt_pool_fini(&pool);
	cr_assert_eq(fake.live_bytes, 0);
}

Test(table, of_a_pool_goes_back_if_there_is_no_reverse_map)
{
	struct fake_allocator fake;
	struct hpt_pool pool;
	struct hpt hpt;

	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_pool_init(&pool, &fake.allocator, ORDER, 1), 0);
	fake.fail_at = 1;
	cr_assert_eq(glni_hpt_init(&hpt, &fake.allocator, GLN_HPT_ISA_2_07,
				   ORDER, &pool),
		     -ENOMEM);
	cr_assert_eq(pool.nr_spares, 1);
	glni_hpt_pool_fini(&pool);
	cr_assert_eq(fake.live_bytes, 0);
}

Test(table, a_pool_is_allocated_whole_or_not_at_all)
{
	struct fake_allocator fake;
	struct hpt_pool pool;

	for (unsigned int fail_at = 1; fail_at <= 3; fail_at++) {
		fake_allocator_init(&fake);
		fake.fail_at = fail_at;
		cr_assert_eq(
			glni_hpt_pool_init(&pool, &fake.allocator, ORDER, 3),
			-ENOMEM);
		cr_assert_eq(fake.live_bytes, 0);
	}
	fake_allocator_init(&fake);
	cr_assert_eq(glni_hpt_pool_init(&pool, &fake.allocator, ORDER, 0), 0);
	cr_assert_null(glni_hpt_pool_take(&pool, ORDER));
	glni_hpt_pool_fini(&pool);
}
