/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_test.c - make and destroy a VM, register vCPUs; every error they have.
 *
 * G3 (vCPUs pay beforehand); outputs untouched on failure.
 */
#include <stdio.h>

#include "tests/unit/guest.h"

static struct guest guest;

/* What an output holds before a call that must not touch it. */
static struct gln_vm *const no_vm = (struct gln_vm *)&guest;

static int create(const struct gln_vm_params *params)
{
	struct gln_vm *vm = no_vm;
	const int err = gln_vm_create(params, &vm);

	if (err)
		cr_assert_eq(vm, no_vm, "a failed create touched its output");
	else
		cr_assert_eq(gln_vm_destroy(vm), 0);

	return err;
}

Test(vm, zeroed_members_take_defaults)
{
	const struct gln_vm_params params = {.struct_bytes = sizeof(params)};
	struct gln_vm *vm = NULL;

	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(vm->page_shift, 12);
	cr_assert_eq(vm->fence, glni_fence_form());
	cr_assert_null(vm->backend);
	cr_assert_eq(gln_vm_destroy(vm), 0);
}

Test(vm, a_full_fence_may_be_asked_for)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = GLN_VM_FULL_FENCE,
	};
	struct gln_vm *vm = NULL;

	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(vm->fence, FENCE_BOTH);
	cr_assert_eq(gln_vm_destroy(vm), 0);
}

Test(vm, quick_marks_need_the_heavy_fence)
{
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = GLN_VM_QUICK_MARKS,
	};
	struct gln_vm *vm = NULL;

	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(vm->fence, glni_fence_form() == FENCE_BOTH ? FENCE_BOTH
								: FENCE_GRACE);
	cr_assert_eq(gln_vm_destroy(vm), 0);
	params.flags |= GLN_VM_FULL_FENCE;
	cr_assert_eq(create(&params), -EINVAL);
	params.flags = GLN_VM_QUICK_MARKS << 1;
	cr_assert_eq(create(&params), -EINVAL);
}

Test(vm, a_structure_of_a_size_that_makes_no_sense_is_refused)
{
	static const size_t wrong[] = {
		0,
		1,
		sizeof(size_t) - 1,
		sizeof(struct gln_vm_params) + 1,
		SIZE_MAX,
	};

	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		const struct gln_vm_params params = {.struct_bytes = *bytes};

		cr_assert_eq(create(&params), -EINVAL, "%zu bytes", *bytes);
	}
}

Test(vm, a_shorter_structure_of_an_older_caller_is_understood)
{
	/* Behind the size there is only what must not be read. */
	struct gln_vm_params params;

	memset(&params, 0xff, sizeof(params));
	params.struct_bytes = sizeof(params.struct_bytes);
	cr_assert_eq(create(&params), 0);
	params.page_shift = 16;
	params.struct_bytes = offsetof(struct gln_vm_params, flags);
	cr_assert_eq(create(&params), 0);
}

Test(vm, page_shifts_from_12_to_16_and_no_other)
{
	static const unsigned int wrong[] = {1, 11, 17, 64, UINT32_MAX};

	for (unsigned int shift = 12; shift <= 16; shift++) {
		const struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.page_shift = shift,
		};

		cr_assert_eq(create(&params), 0, "%u", shift);
	}
	for (const unsigned int *shift = wrong; shift < ARRAY_END(wrong);
	     shift++) {
		const struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.page_shift = *shift,
		};

		cr_assert_eq(create(&params), -EINVAL, "%u", *shift);
	}
}

Test(vm, unknown_flags_are_refused)
{
	for (unsigned int bit = 2; bit < 32; bit++) {
		const struct gln_vm_params params = {
			.struct_bytes = sizeof(params),
			.flags = UINT32_C(1) << bit,
		};

		cr_assert_eq(create(&params), -EINVAL, "bit %u", bit);
	}
}

/* A VM on the fake backend, as the test left it. */
static int create_on_fake(void)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = &guest.fake.backend,
	};

	return create(&params);
}

Test(vm, a_backend_needs_a_call_for_each_capability)
{
	fake_backend_init(&guest.fake, ALL_CAPS);
	cr_assert_eq(create_on_fake(), 0);
	guest.fake.ops.protect = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);

	fake_backend_init(&guest.fake, ALL_CAPS);
	guest.fake.ops.collect = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);

	fake_backend_init(&guest.fake, ALL_CAPS);
	guest.fake.ops.flush = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);

	fake_backend_init(&guest.fake, GLN_CAP_PROTECT);
	guest.fake.ops.log_start = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);

	fake_backend_init(&guest.fake, GLN_CAP_COLLECT);
	guest.fake.ops.log_start = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);

	fake_backend_init(&guest.fake, ALL_CAPS);
	guest.fake.backend.ops = NULL;
	cr_assert_eq(create_on_fake(), -EINVAL);
}

Test(vm, a_backend_may_leave_out_what_backend_h_says)
{
	fake_backend_init(&guest.fake, 0);
	guest.fake.ops.log_start = NULL;
	guest.fake.ops.log_stop = NULL;
	guest.fake.ops.attach = NULL;
	guest.fake.ops.detach = NULL;
	cr_assert_eq(create_on_fake(), 0);

	fake_backend_init(&guest.fake, ALL_CAPS);
	guest.fake.ops.log_stop = NULL;
	guest.fake.ops.attach = NULL;
	guest.fake.ops.detach = NULL;
	cr_assert_eq(create_on_fake(), 0);
}

Test(vm, half_an_allocator_is_refused)
{
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.allocator = &guest.memory.allocator,
	};

	fake_allocator_init(&guest.memory);
	cr_assert_eq(create(&params), 0);
	guest.memory.allocator.free = NULL;
	cr_assert_eq(create(&params), -EINVAL);
	fake_allocator_init(&guest.memory);
	guest.memory.allocator.alloc = NULL;
	cr_assert_eq(create(&params), -EINVAL);
}

Test(vm, destroying_takes_slots_and_logs_along)
{
	guest_start(&guest, ALL_CAPS, 0);
	for (uint32_t id = 0; id < 20; id++)
		guest_log_slot(&guest, id, 1000 * id, 100 + id);
	for (uint32_t id = 20; id < 30; id++)
		guest_add_slot(&guest, id, 1000 * id, 100 + id);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 100000});
	fake_backend_forget(&guest.fake);
	guest_stop(&guest);
	cr_assert_eq(guest.fake.nr_of[FAKE_LOG_STOP], 20);
	cr_assert_eq(guest.fake.nr_of[FAKE_DETACH], 30);
}

Test(vm, is_not_destroyed_while_a_harvest_is_open)
{
	struct gln_harvest *harvest;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, 1, 0, 100);
	guest_log_slot(&guest, 2, 100, 100);
	gln_dirty_mark(guest.vm, 150);
	harvest = guest_begin(&guest, 2);
	cr_assert_eq(gln_vm_destroy(guest.vm), -EBUSY);
	cr_assert_eq(gln_dirty_mark(guest.vm, 0), 1);
	gln_harvest_abort(harvest);
	cr_assert_eq(guest_count_marks(&guest, 2), 1);
	guest_stop(&guest);
}

Test(vm, is_not_destroyed_while_a_vcpu_is_registered)
{
	struct gln_vcpu *vcpu;

	guest_start(&guest, 0, 0);
	cr_assert_eq(gln_vcpu_register(guest.vm, 0, &vcpu), 0);
	cr_assert_eq(gln_vm_destroy(guest.vm), -EBUSY);
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

Test(vm, vcpus_have_ids_of_their_own)
{
	static const uint32_t ids[] = {0, 1, 77, UINT32_MAX};
	enum { NR = sizeof(ids) / sizeof(ids[0]) };
	struct gln_vcpu *vcpus[NR];

	guest_start(&guest, 0, 0);
	for (size_t i = 0; i < NR; i++) {
		struct gln_vcpu *const untouched = (struct gln_vcpu *)&guest;
		struct gln_vcpu *again = untouched;

		cr_assert_eq(gln_vcpu_register(guest.vm, ids[i], &vcpus[i]), 0);
		cr_assert_eq(gln_vcpu_register(guest.vm, ids[i], &again),
			     -EEXIST);
		cr_assert_eq(again, untouched);
	}
	/* Out of the middle, the end and the beginning of the list. */
	gln_vcpu_unregister(vcpus[1]);
	cr_assert_eq(gln_vcpu_register(guest.vm, 1, &vcpus[1]), 0);
	gln_vcpu_unregister(vcpus[0]);
	gln_vcpu_unregister(vcpus[1]);
	gln_vcpu_unregister(vcpus[3]);
	gln_vcpu_unregister(vcpus[2]);
	guest_stop(&guest);
}

Test(vm, two_vms_share_nothing)
{
	static struct guest other;

	guest_start(&guest, ALL_CAPS, 0);
	guest_start(&other, ALL_CAPS, 0);
	guest_log_slot(&guest, 1, 0, 100);
	guest_log_slot(&other, 1, 0, 100);
	cr_assert_eq(gln_dirty_mark(guest.vm, 5), 1);
	cr_assert_eq(guest_count_marks(&other, 1), 0);
	cr_assert_eq(gln_dirty_mark(other.vm, 5), 1);
	guest_stop(&other);
	cr_assert_eq(guest_count_marks(&guest, 1), 1);
	guest_stop(&guest);
}

Test(vm, the_library_is_as_old_as_its_headers)
{
	char want[32];

	snprintf(want, sizeof(want), "%d.%d.%d", GLN_VERSION_MAJOR,
		 GLN_VERSION_MINOR, GLN_VERSION_PATCH);
	cr_assert_str_eq(gln_version(), want);
}
