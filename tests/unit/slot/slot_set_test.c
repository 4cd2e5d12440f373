/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot_set_test.c - the sorted array of slots, against a list.
 *
 * G9 (any base, any size), G11 (any gfn); H-16 (64-bit arithmetic).
 */
#include "core/slot/slot.h"

#include <errno.h>
#include <string.h>

#include "core/base/bits.h"
#include "tests/support/fake_allocator.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

/* Frames of 4 KiB pages end here. */
#define NR_FRAMES (UINT64_C(1) << 52)

static struct fake_allocator memory;
static struct slot_set set;

static void setup(void)
{
	fake_allocator_init(&memory);
	memset(&set, 0, sizeof(set));
}

/* While they live: a set looks at all slots that are left. */
static void remove_all(void)
{
	const struct slot_array *array;

	while ((array = slot_array_get(&set)) && array->nr_slots)
		glni_slot_set_remove(&set, array->slots[0]);
}

static void teardown(void)
{
	remove_all();
	glni_slot_set_fini(&set, &memory.allocator);
	cr_assert_eq(memory.nr_live, 0);
}

static struct slot slot_of(uint32_t id, gln_gfn base, uint64_t nr_pages)
{
	return (struct slot){
		.face = {.id = id, .base = base, .nr_pages = nr_pages},
	};
}

static int add(struct slot *slot)
{
	const int err = glni_slot_set_reserve(&set, &memory.allocator, slot);

	if (!err)
		glni_slot_set_add(&set, slot);
	return err;
}

FixtureTest(slot_set, an_empty_set_holds_nothing)
{
	cr_assert_null(slot_find(&set, 0));
	cr_assert_null(slot_find(&set, UINT64_MAX));
	cr_assert_null(glni_slot_by_id(&set, 0));
	cr_assert_eq(slot_at_or_after(slot_array_get(&set), 0), 0);
}

FixtureTest(slot_set, overlap_at_every_relation_of_two_slots)
{
	static const struct {
		const char *what;
		gln_gfn base;
		uint64_t nr_pages;
		int err;
	} cases[] = {
		{"apart, below", 10, 80, 0},
		{"touching, below", 10, 90, 0},
		{"one page over the base", 10, 91, -EEXIST},
		{"over the base", 50, 100, -EEXIST},
		{"up to the end", 50, 150, -EEXIST},
		{"around", 50, 500, -EEXIST},
		{"from the base, shorter", 100, 1, -EEXIST},
		{"the same", 100, 100, -EEXIST},
		{"from the base, longer", 100, 101, -EEXIST},
		{"inside", 150, 10, -EEXIST},
		{"up to the end, from inside", 150, 50, -EEXIST},
		{"over the end", 150, 100, -EEXIST},
		{"from the last page", 199, 100, -EEXIST},
		{"touching, above", 200, 100, 0},
		{"apart, above", 201, 100, 0},
		{"everything there is", 0, NR_FRAMES, -EEXIST},
		{"the first page", 0, 1, 0},
		{"the last page", NR_FRAMES - 1, 1, 0},
		{"all below", 0, 100, 0},
		{"all above", 200, NR_FRAMES - 200, 0},
	};
	struct slot here = slot_of(1, 100, 100);

	cr_assert_eq(add(&here), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slot slot = slot_of(2, cases[i].base, cases[i].nr_pages);
		const int err = add(&slot);

		cr_expect_eq(err, cases[i].err, "%s", cases[i].what);
		if (!err)
			glni_slot_set_remove(&set, &slot);
		cr_assert_eq(slot_array_get(&set)->nr_slots, 1);
	}
}

FixtureTest(slot_set, a_slot_that_fits_between_two_is_not_an_overlap)
{
	struct slot a = slot_of(1, 0, 100);
	struct slot b = slot_of(2, 200, 100);
	struct slot between = slot_of(3, 100, 100);
	struct slot over_a = slot_of(3, 99, 101);
	struct slot over_b = slot_of(3, 100, 101);
	struct slot over_both = slot_of(3, 99, 102);

	cr_assert_eq(add(&a), 0);
	cr_assert_eq(add(&b), 0);
	cr_assert_eq(add(&over_a), -EEXIST);
	cr_assert_eq(add(&over_b), -EEXIST);
	cr_assert_eq(add(&over_both), -EEXIST);
	cr_assert_eq(add(&between), 0);
	cr_assert_eq(slot_find(&set, 99), &a);
	cr_assert_eq(slot_find(&set, 100), &between);
	cr_assert_eq(slot_find(&set, 199), &between);
	cr_assert_eq(slot_find(&set, 200), &b);
	remove_all();
}

FixtureTest(slot_set, an_id_is_taken_once)
{
	struct slot a = slot_of(7, 0, 10);
	struct slot b = slot_of(7, 100, 10);

	cr_assert_eq(add(&a), 0);
	cr_assert_eq(add(&b), -EEXIST);
	cr_assert_eq(glni_slot_by_id(&set, 7), &a);
	glni_slot_set_remove(&set, &a);
	cr_assert_null(glni_slot_by_id(&set, 7));
	cr_assert_eq(add(&b), 0);
	cr_assert_eq(glni_slot_by_id(&set, 7), &b);
}

FixtureTest(slot_set, every_boundary_near_the_end_of_the_frames_is_exact)
{
	struct slot low = slot_of(1, 0, 1);
	struct slot high = slot_of(2, NR_FRAMES - 3, 2);
	struct slot last = slot_of(3, NR_FRAMES - 1, 1);

	cr_assert_eq(add(&last), 0);
	cr_assert_eq(add(&low), 0);
	cr_assert_eq(add(&high), 0);
	cr_assert_eq(slot_find(&set, 0), &low);
	cr_assert_null(slot_find(&set, 1));
	cr_assert_null(slot_find(&set, NR_FRAMES - 4));
	cr_assert_eq(slot_find(&set, NR_FRAMES - 3), &high);
	cr_assert_eq(slot_find(&set, NR_FRAMES - 2), &high);
	cr_assert_eq(slot_find(&set, NR_FRAMES - 1), &last);
	cr_assert_null(slot_find(&set, NR_FRAMES));
	cr_assert_null(slot_find(&set, UINT64_C(1) << 63));
	cr_assert_null(slot_find(&set, UINT64_MAX));
	remove_all();
}

FixtureTest(slot_set, one_slot_may_hold_every_frame)
{
	struct slot all = slot_of(0, 0, NR_FRAMES);

	cr_assert_eq(add(&all), 0);
	cr_assert_eq(slot_find(&set, 0), &all);
	cr_assert_eq(slot_find(&set, NR_FRAMES - 1), &all);
	cr_assert_null(slot_find(&set, NR_FRAMES));
}

/* A published array never changes: readers may hold it. */
FixtureTest(slot_set, a_change_publishes_another_array)
{
	struct slot a = slot_of(1, 0, 10);
	struct slot b = slot_of(2, 20, 10);
	const struct slot_array *before;

	cr_assert_eq(add(&a), 0);
	before = slot_array_get(&set);
	cr_assert_eq(add(&b), 0);
	cr_assert_neq(slot_array_get(&set), before);
	cr_assert_eq(before->nr_slots, 1);
	cr_assert_eq(before->slots[0], &a);
	before = slot_array_get(&set);
	glni_slot_set_remove(&set, &a);
	cr_assert_neq(slot_array_get(&set), before);
	cr_assert_eq(before->nr_slots, 2);
}

FixtureTest(slot_set, without_memory_a_failed_add_changes_nothing)
{
	enum { NR = 40 };
	static struct slot slots[NR];

	for (uint32_t i = 0; i < NR; i++) {
		const uint64_t calls = memory.nr_calls;
		size_t nr_live;
		int err;

		slots[i] = slot_of(i, 100 * (NR - i), 100);
		memory.fail_at = 1;
		nr_live = memory.nr_live;
		err = add(&slots[i]);
		if (memory.nr_calls == calls) {
			/* There was room: no memory was needed. */
			cr_assert_eq(err, 0);
			memory.fail_at = 0;
			continue;
		}
		cr_assert_eq(err, -ENOMEM);
		cr_assert_eq(memory.nr_live, nr_live);
		cr_assert_null(slot_find(&set, 100 * (NR - i)));
		cr_assert_null(glni_slot_by_id(&set, i));
		cr_assert_eq(add(&slots[i]), 0);
	}
	for (uint32_t i = 0; i < NR; i++)
		cr_assert_eq(slot_find(&set, 100 * (NR - i) + 99), &slots[i]);
}

FixtureTest(slot_set, removing_needs_no_memory)
{
	enum { NR = 40 };
	static struct slot slots[NR];
	uint64_t calls;

	for (uint32_t i = 0; i < NR; i++) {
		slots[i] = slot_of(i, 100 * i, 100);
		cr_assert_eq(add(&slots[i]), 0);
	}
	calls = memory.nr_calls;
	for (uint32_t i = 0; i < NR; i++) {
		glni_slot_set_remove(&set, &slots[(7 * i) % NR]);
		cr_assert_eq(slot_array_get(&set)->nr_slots, NR - 1 - i);
	}
	cr_assert_eq(memory.nr_calls, calls);
}

enum { MODEL_SLOTS = 48, MODEL_FRAMES = 4096 };

/* struct model - slots in no order; those in use are in the set. */
struct model {
	struct slot slots[MODEL_SLOTS];
	bool used[MODEL_SLOTS];
	gln_gfn origin; /* of the frames that the slots are drawn from */
};

static struct slot *model_find(struct model *model, gln_gfn gfn)
{
	for (size_t i = 0; i < MODEL_SLOTS; i++)
		if (model->used[i] && gfn >= model->slots[i].face.base &&
		    gfn - model->slots[i].face.base <
			    model->slots[i].face.nr_pages)
			return &model->slots[i];

	return NULL;
}

static bool model_overlaps(struct model *model, const struct slot *slot)
{
	for (uint64_t i = 0; i < slot->face.nr_pages; i++)
		if (model_find(model, slot->face.base + i))
			return true;

	return false;
}

static void add_or_remove(struct model *model, struct test_random *random,
			  uint64_t seed)
{
	const uint32_t i = (uint32_t)test_random_below(random, MODEL_SLOTS);
	struct slot *const slot = &model->slots[i];
	uint64_t first;
	int want;

	if (model->used[i]) {
		glni_slot_set_remove(&set, slot);
		model->used[i] = false;
		return;
	}

	first = test_random_below(random, MODEL_FRAMES);
	*slot = slot_of(i, model->origin + first,
			test_random_between(
				random, 1, gln_min(200, MODEL_FRAMES - first)));
	want = model_overlaps(model, slot) ? -EEXIST : 0;
	require(add(slot) == want, "seed %" PRIu64 ": slot %" PRIu32, seed, i);
	model->used[i] = !want;
}

static void check_order(uint64_t seed)
{
	const struct slot_array *const array = slot_array_get(&set);

	for (size_t i = 1; array && i < array->nr_slots; i++) {
		const struct gln_backend_slot *const face =
			&array->slots[i - 1]->face;

		require(face->base + face->nr_pages <=
				array->slots[i]->face.base,
			"seed %" PRIu64 ": slot %zu is out of order", seed, i);
	}
}

static void check_largest(struct model *model, uint64_t seed)
{
	const struct slot_array *const array = slot_array_get(&set);
	uint64_t nr_pages = 0;

	for (size_t i = 0; i < MODEL_SLOTS; i++)
		if (model->used[i])
			nr_pages = gln_max(nr_pages,
					   model->slots[i].face.nr_pages);
	if (!array)
		return;
	require(!array->largest == !nr_pages, "seed %" PRIu64, seed);
	require(!nr_pages || (array->largest->face.nr_pages == nr_pages &&
			      slot_find(&set, array->largest->face.base) ==
				      array->largest),
		"seed %" PRIu64 ": the largest is another one", seed);
}

/* Every frame around every boundary, in any slot or none. */
static void check_lookups(struct model *model, uint64_t seed)
{
	const struct slot_array *const array = slot_array_get(&set);

	for (size_t i = 0; i < MODEL_SLOTS; i++) {
		const struct gln_backend_slot *const face =
			&model->slots[i].face;
		const gln_gfn near[] = {face->base - 1, face->base,
					face->base + face->nr_pages - 1,
					face->base + face->nr_pages};

		require(glni_slot_by_id(&set, (uint32_t)i) ==
				(model->used[i] ? &model->slots[i] : NULL),
			"seed %" PRIu64 ": id %zu", seed, i);
		for (const gln_gfn *gfn = near; gfn < ARRAY_END(near); gfn++) {
			struct slot *const want = model_find(model, *gfn);
			size_t at;

			require(slot_find(&set, *gfn) == want,
				"seed %" PRIu64 ": gfn %#" PRIx64, seed, *gfn);
			at = slot_at_or_after(array, *gfn);
			require(!want || array->slots[at] == want,
				"seed %" PRIu64 ": gfn %#" PRIx64, seed, *gfn);
		}
	}
}

FixtureTest(slot_set, random_changes_agree_with_a_list)
{
	static struct model model;

	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct test_random random = {seed};

		memset(&model, 0, sizeof(model));
		if (seed % 2)
			model.origin = NR_FRAMES - MODEL_FRAMES;
		for (unsigned int i = 0; i < 200; i++) {
			add_or_remove(&model, &random, seed);
			check_order(seed);
			check_largest(&model, seed);
			check_lookups(&model, seed);
		}
		for (size_t i = 0; i < MODEL_SLOTS; i++)
			if (model.used[i])
				glni_slot_set_remove(&set, &model.slots[i]);
	}
}

FixtureTest(slot_set, one_claim_at_a_time)
{
	struct slot slot = slot_of(0, 0, 1);

	cr_assert(slot_try_claim(&slot));
	cr_assert_not(slot_try_claim(&slot));
	slot_release(&slot);
	cr_assert(slot_try_claim(&slot));
}
