/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots_test.c - slots come and go; every error they have.
 *
 * G9 (any base and size), G11; H-16, H-20 (what a removed slot had is counted),
 * H-83 of slots (nobody uses one that is gone).
 */
#include "tests/unit/guest.h"

static struct guest guest;

static void setup(void)
{
	guest_start(&guest, ALL_CAPS, 0);
}

static void teardown(void)
{
	guest_stop(&guest);
}

FixtureTest(slots, parameters_are_checked)
{
	const uint64_t nr_frames = UINT64_C(1) << 52;
	static const size_t wrong[] = {0, 7, sizeof(struct gln_slot_params) + 1,
				       SIZE_MAX};
	struct gln_slot_params params = {.nr_pages = 1};

	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		params.struct_bytes = *bytes;
		cr_assert_eq(gln_slot_add(guest.vm, &params), -EINVAL,
			     "%zu bytes", *bytes);
	}
	cr_assert_eq(guest_try_slot(&guest, GLN_SLOT_IDS, 0, 1), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, UINT32_MAX, 0, 1), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, 0, 0), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, nr_frames, 1), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, nr_frames - 1, 2), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, 1, nr_frames), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, 0, nr_frames + 1), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, 1, UINT64_MAX), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, UINT64_MAX, 1), -EINVAL);
	cr_assert_eq(guest_try_slot(&guest, 0, UINT64_MAX, UINT64_MAX),
		     -EINVAL);
	cr_assert_eq(guest.fake.nr_calls, 0);
	cr_assert_eq(guest_try_slot(&guest, GLN_SLOT_IDS - 1, 0, 1), 0);
}

FixtureTest(slots, a_slot_may_reach_the_end_of_the_address_space)
{
	for (unsigned int shift = 12; shift <= 16; shift++) {
		const uint64_t nr_frames = UINT64_C(1) << (64 - shift);
		const struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.page_shift = shift,
		};
		struct gln_slot_params slot = {.struct_bytes = sizeof(slot)};
		struct gln_vm *vm;

		cr_assert_eq(gln_vm_create(&params, &vm), 0);
		slot.base = nr_frames - 1;
		slot.nr_pages = 1;
		cr_assert_eq(gln_slot_add(vm, &slot), 0);
		slot.id = 1;
		slot.base = nr_frames - 2;
		slot.nr_pages = 2;
		cr_assert_eq(gln_slot_add(vm, &slot), -EEXIST);
		slot.base = nr_frames - 1;
		cr_assert_eq(gln_slot_add(vm, &slot), -EINVAL);
		slot.base = 0;
		slot.nr_pages = nr_frames - 1;
		cr_assert_eq(gln_slot_add(vm, &slot), 0);
		cr_assert_eq(gln_dirty_mark(vm, nr_frames - 1), 0);
		cr_assert_eq(gln_dirty_mark(vm, nr_frames), -ENOENT);
		cr_assert_eq(gln_vm_destroy(vm), 0);
	}
}

FixtureTest(slots, an_id_or_a_frame_has_one_slot)
{
	guest_add_slot(&guest, 1, 100, 100);
	cr_assert_eq(guest_try_slot(&guest, 1, 1000, 1), -EEXIST);
	cr_assert_eq(guest_try_slot(&guest, 2, 199, 1), -EEXIST);
	cr_assert_eq(guest_try_slot(&guest, 2, 0, 101), -EEXIST);
	guest_add_slot(&guest, 2, 200, 1);
	guest_add_slot(&guest, 3, 0, 100);
	cr_assert_eq(guest.fake.nr_slots, 3);
}

/*
 * A vCPU may be writing the frames that the refused slot claimed: a backend
 * that had it even for a moment could lead the write into the wrong memory,
 * unmarked.
 */
FixtureTest(slots, the_backend_never_sees_a_slot_that_is_refused)
{
	guest_log_slot(&guest, 1, 100, 100);
	cr_assert_eq(guest_try_slot(&guest, 1, 1000, 1), -EEXIST);
	cr_assert_eq(guest_try_slot(&guest, 2, 199, 1), -EEXIST);
	cr_assert_eq(guest.fake.nr_calls, 0);
}

FixtureTest(slots, a_failed_add_leaves_no_slot_at_the_backend)
{
	size_t nr_live;

	/* Two, so that both arrays of slots are there. */
	guest_add_slot(&guest, 8, 8000, 1);
	guest_add_slot(&guest, 9, 9000, 1);
	nr_live = guest.memory.nr_live;
	guest.fake.fail_at[FAKE_ATTACH] = 1;
	guest.fake.fail_with = -EPERM;
	cr_assert_eq(guest_try_slot(&guest, 1, 0, 100), -EPERM);
	cr_assert_eq(guest.memory.nr_live, nr_live);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), -ENOENT);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), -ENOENT);
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(guest.fake.nr_slots, 3);
}

FixtureTest(slots, the_backend_sees_what_was_asked_for)
{
	struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = 9,
		.base = 77,
		.nr_pages = 33,
		.hva = &guest,
	};
	const struct gln_backend_slot *face;

	cr_assert_eq(gln_slot_add(guest.vm, &params), 0);
	face = &glni_slot_by_id(&guest.vm->slots, 9)->face;
	cr_assert_eq(face->id, 9);
	cr_assert_eq(face->page_shift, 12);
	cr_assert_eq(face->base, 77);
	cr_assert_eq(face->nr_pages, 33);
	cr_assert_eq(face->hva, &guest);
	cr_assert_not_null(face->mark);
}

FixtureTest(slots, a_backend_may_mark_anything)
{
	struct gln_backend_slot *face;

	guest_log_slot(&guest, 1, 100, 100);
	face = &glni_slot_by_id(&guest.vm->slots, 1)->face;
	face->mark(face, 0, 100);
	face->mark(face, 200, UINT64_MAX);
	face->mark(face, UINT64_MAX, UINT64_MAX);
	face->mark(face, 150, 0);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
	face->mark(face, 99, 2);
	face->mark(face, 199, UINT64_MAX);
	cr_assert_eq(guest_count_marks(&guest, 1), 2);
	cr_assert_eq(gln_log_disable(guest.vm, 1), 0);
	face->mark(face, 100, 100);
}

FixtureTest(slots, removing_has_these_errors)
{
	cr_assert_eq(gln_slot_remove(guest.vm, GLN_SLOT_IDS), -EINVAL);
	cr_assert_eq(gln_slot_remove(guest.vm, UINT32_MAX), -EINVAL);
	cr_assert_eq(gln_slot_remove(guest.vm, 0), -ENOENT);
	guest_add_slot(&guest, 0, 0, 1);
	cr_assert_eq(gln_slot_remove(guest.vm, 0), 0);
	cr_assert_eq(gln_slot_remove(guest.vm, 0), -ENOENT);
}

FixtureTest(slots, is_not_removed_while_it_is_harvested)
{
	struct gln_harvest *harvest;

	guest_log_slot(&guest, 1, 0, 100);
	guest_log_slot(&guest, 2, 100, 100);
	gln_dirty_mark(guest.vm, 5);
	harvest = guest_begin(&guest, 1);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), -EBUSY);
	cr_assert_eq(gln_slot_remove(guest.vm, 2), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 6), 1);
	gln_harvest_commit(harvest);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(gln_dirty_mark(guest.vm, 6), -ENOENT);
}

FixtureTest(slots, marks_that_go_with_a_slot_are_counted)
{
	guest_log_slot(&guest, 1, 0, 1000);
	gln_dirty_mark_range(guest.vm, (struct gln_range){10, 30});
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(guest_stats(&guest).dropped_pages, 30);
	guest_log_slot(&guest, 1, 0, 1000);
	cr_assert_eq(guest_count_marks(&guest, 1), 0);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(guest_stats(&guest).dropped_pages, 30);
}

FixtureTest(slots, logging_stops_before_a_slot_is_detached)
{
	guest_log_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(guest.fake.nr_calls, 2);
	cr_assert_eq(guest.fake.calls[0].kind, FAKE_LOG_STOP);
	cr_assert_eq(guest.fake.calls[1].kind, FAKE_DETACH);
}

FixtureTest(slots, hundreds_come_and_go)
{
	enum { NR = 300 };

	for (uint32_t id = 0; id < NR; id++)
		guest_add_slot(&guest, id * 100, 10 * (NR - id), 10);
	for (uint32_t id = 0; id < NR; id += 2)
		cr_assert_eq(gln_slot_remove(guest.vm, id * 100), 0);
	for (uint32_t id = 0; id < NR; id++)
		cr_assert_eq(gln_dirty_mark(guest.vm, 10 * (NR - id)),
			     id % 2 ? 0 : -ENOENT);
	cr_assert_eq(guest.fake.nr_slots, NR / 2);
}

FixtureTest(slots, a_backend_without_attach_and_detach_will_do)
{
	guest.fake.ops.attach = NULL;
	guest.fake.ops.detach = NULL;
	guest_add_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_slot_remove(guest.vm, 1), 0);
	cr_assert_eq(guest.fake.nr_calls, 0);
}
