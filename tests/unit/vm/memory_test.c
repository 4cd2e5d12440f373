/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_test.c - each allocation fails in turn; and none happens in the steady
 * state.
 *
 * G6; -ENOMEM: clean error, nothing leaked, nothing changed, and the operation
 * works afterwards.
 */
#include "tests/unit/guest.h"

static struct guest guest;

typedef int (*operation)(void);

/*
 * Let the first, second, ... allocation of @op fail until it succeeds. Returns
 * how many it makes.
 */
static uint64_t fail_each(const char *what, operation op)
{
	uint64_t nth = 0;
	int err;

	do {
		const size_t nr_live = guest.memory.nr_live;
		const uint64_t live_bytes = guest.memory.live_bytes;
		const unsigned int nr_slots = guest.fake.nr_slots;
		const unsigned int nr_logged = guest.fake.nr_logged;

		guest.memory.fail_at = ++nth;
		err = op();
		if (!err)
			break;
		cr_assert_eq(err, -ENOMEM, "%s, allocation %" PRIu64, what,
			     nth);
		cr_assert_eq(guest.memory.fail_at, 0);
		cr_assert_eq(guest.memory.nr_live, nr_live, "%s leaks", what);
		cr_assert_eq(guest.memory.live_bytes, live_bytes);
		cr_assert_eq(guest.fake.nr_slots, nr_slots, "%s", what);
		cr_assert_eq(guest.fake.nr_logged, nr_logged, "%s", what);
	} while (true);
	guest.memory.fail_at = 0;

	return nth - 1;
}

static int create(void)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = &guest.fake.backend,
		.allocator = &guest.memory.allocator,
	};
	struct gln_vm *const untouched = (struct gln_vm *)&guest;
	struct gln_vm *vm = untouched;
	const int err = gln_vm_create(&params, &vm);

	if (err)
		cr_assert_eq(vm, untouched);
	else
		guest.vm = vm;
	return err;
}

static uint32_t next_slot;

static int add_slot(void)
{
	const int err = guest_try_slot(&guest, next_slot, 100 * next_slot, 100);

	if (err) {
		cr_assert_eq(gln_dirty_mark(guest.vm, 100 * next_slot),
			     -ENOENT);
		cr_assert_eq(gln_slot_remove(guest.vm, next_slot), -ENOENT);
	} else {
		next_slot++;
	}
	return err;
}

static int enable(void)
{
	const struct gln_stats before = guest_stats(&guest);
	const int err = gln_log_enable(guest.vm, 3, GLN_LOG_ENABLE_ALL_MARKED);
	const struct gln_stats after = guest_stats(&guest);

	if (err) {
		cr_assert_eq(gln_dirty_mark(guest.vm, 300), 0);
		cr_assert_eq(gln_log_disable(guest.vm, 3), -ENOENT);
		cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
	}
	return err;
}

static int register_vcpu(void)
{
	struct gln_vcpu *const untouched = (struct gln_vcpu *)&guest;
	struct gln_vcpu *vcpu = untouched;
	const int err = gln_vcpu_register(guest.vm, 1, &vcpu);

	if (err)
		cr_assert_eq(vcpu, untouched);
	else
		gln_vcpu_unregister(vcpu);
	return err;
}

Test(memory, each_allocation_fails_cleanly)
{
	uint64_t nr = 0;

	fake_allocator_init(&guest.memory);
	fake_backend_init(&guest.fake, ALL_CAPS);
	cr_assert_geq(fail_each("create", create), 1);
	cr_assert_geq(fail_each("register", register_vcpu), 1);
	/* Far enough for the array of slots to grow, several times. */
	while (next_slot < 40)
		nr += fail_each("add", add_slot);
	cr_assert_gt(nr, 40);
	cr_assert_geq(fail_each("enable", enable), 6);
	cr_assert_eq(guest_count_marks(&guest, 3), 100);
	guest_stop(&guest);
}

/* The calls of a whole round of the steady state. */
static void run_steady_state(const struct gln_vcpu *vcpu)
{
	uint64_t bitmap[16];
	const struct gln_clear_log clear = {
		.slot = 1,
		.num_pages = 1000,
		.bitmap = bitmap,
	};
	struct gln_harvest *harvest;
	struct gln_range runs[8];

	gln_dirty_mark(guest.vm, 1);
	gln_vcpu_mark((struct gln_vcpu *)vcpu, 2);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 5000});
	gln_dirty_mark_bytes(guest.vm, 12345, 99999);
	memset(bitmap, 0x5a, sizeof(bitmap));
	cr_assert_eq(gln_dirty_merge(guest.vm, 1, 0, bitmap, 1000), 0);

	harvest = guest_begin(&guest, 1);
	guest_report(harvest);
	while (gln_harvest_next(harvest, runs, 8))
		gln_harvest_commit_range(harvest, runs[0]);
	gln_harvest_rewind(harvest);
	gln_harvest_abort_range(harvest, (struct gln_range){0, 500});
	gln_harvest_commit(harvest);
	gln_harvest_abort(guest_begin(&guest, 1));
	cr_assert_eq(gln_get_dirty_log(guest.vm, 1, bitmap), 0);
	gln_dirty_mark_range(guest.vm, (struct gln_range){0, 1000});
	memset(bitmap, 0xff, sizeof(bitmap));
	cr_assert_eq(gln_clear_dirty_log(guest.vm, &clear), 0);
	guest_stats(&guest);
}

Test(memory, the_steady_state_allocates_nothing)
{
	struct gln_vcpu *vcpu;
	uint64_t nr_calls;

	guest_start(&guest, ALL_CAPS, 0);
	guest_log_slot(&guest, 1, 0, 1000);
	cr_assert_eq(gln_vcpu_register(guest.vm, 1, &vcpu), 0);
	nr_calls = guest.memory.nr_calls;
	for (unsigned int i = 0; i < 20; i++) {
		run_steady_state(vcpu);
		fake_backend_forget(&guest.fake);
	}
	cr_assert_eq(guest.memory.nr_calls, nr_calls);
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

Test(memory, removing_and_disabling_need_none)
{
	uint64_t nr_calls;

	guest_start(&guest, ALL_CAPS, 0);
	for (uint32_t id = 0; id < 20; id++)
		guest_log_slot(&guest, id, 1000 * id, 1000);
	nr_calls = guest.memory.nr_calls;
	cr_assert_eq(gln_log_disable(guest.vm, 7), 0);
	for (uint32_t id = 0; id < 20; id++)
		cr_assert_eq(gln_slot_remove(guest.vm, id), 0);
	cr_assert_eq(guest.memory.nr_calls, nr_calls);
	guest_stop(&guest);
}
