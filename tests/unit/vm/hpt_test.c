/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_test.c - the gate before a hash table, and what goes through it (G10,
 * G11; H-51 to H-54, H-57, H-74, H-77, H-85).
 */
#include "tests/unit/guest.h"

#include <glean/hpt.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

enum {
	NR_VCPUS = 3,
	NR_CHANGES = 300, /* among vCPUs that come and go; */
	MAX_SECONDS = 10, /* as many as there is time for */
};

#define NS_PER_SECOND UINT64_C(1000000000)

static struct guest guest;
static struct gln_vcpu *vcpus[NR_VCPUS];

static void start(bool with_hpt)
{
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = &guest.fake.backend,
		.allocator = &guest.memory.allocator,
	};

	fake_allocator_init(&guest.memory);
	fake_backend_init(&guest.fake, GLN_CAP_COLLECT | GLN_CAP_FAULT);
	if (with_hpt)
		fake_backend_add_hpt(&guest.fake);
	cr_assert_eq(gln_vm_create(&params, &guest.vm), 0);
	for (uint32_t i = 0; i < NR_VCPUS; i++)
		vcpus[i] = guest_vcpu(&guest, i);
}

static void setup(void)
{
	start(true);
}

static void teardown(void)
{
	for (uint32_t i = 0; i < NR_VCPUS; i++)
		gln_vcpu_unregister(vcpus[i]);
	guest_stop(&guest);
}

static int allocate(uint32_t order)
{
	return gln_hpt_allocate(guest.vm, &order);
}

static uint64_t count(enum fake_call_kind kind)
{
	return guest.fake.nr_of[kind];
}

static const struct fake_call *last(enum fake_call_kind kind)
{
	const struct fake_call *const call =
		fake_backend_nth(&guest.fake, kind, count(kind) - 1);

	cr_assert(call);
	return call;
}

static void sleep_us(long us)
{
	const struct timespec pause = {0, us * 1000};

	nanosleep(&pause, NULL);
}

FixtureTest(gate, the_first_entry_sets_up_and_the_next_do_not)
{
	cr_assert_not(gln_vcpu_may_run(vcpus[0]));
	for (int i = 0; i < NR_VCPUS; i++) {
		cr_assert_eq(gln_vcpu_enter(vcpus[i]), 0);
		cr_assert(gln_vcpu_may_run(vcpus[i]));
		cr_assert_eq(count(FAKE_SET_UP), 1);
	}
	for (int i = 0; i < NR_VCPUS; i++) {
		gln_vcpu_leave(vcpus[i]);
		cr_assert_not(gln_vcpu_may_run(vcpus[i]));
	}
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(count(FAKE_SET_UP), 1);
}

FixtureTest(gate, who_could_not_enter_is_not_inside)
{
	guest.fake.fail_with = -ENOMEM;
	for (int i = 0; i < NR_VCPUS; i++) {
		guest.fake.fail_at[FAKE_SET_UP] = 1;
		cr_assert_eq(gln_vcpu_enter(vcpus[i]), -ENOMEM);
		cr_assert_not(gln_vcpu_may_run(vcpus[i]));
	}
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(allocate(20), -EBUSY);
}

FixtureTest(gate, nobody_allocates_while_a_vcpu_is_inside)
{
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(gln_vcpu_enter(vcpus[1]), 0);
	cr_assert_eq(allocate(20), -EBUSY);
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(allocate(20), -EBUSY);
	cr_assert_eq(count(FAKE_ALLOCATE), 0);
	cr_assert(gln_vcpu_may_run(vcpus[1]), "refused, so it runs on");
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);

	gln_vcpu_leave(vcpus[0]);
	gln_vcpu_leave(vcpus[1]);
	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(last(FAKE_ALLOCATE)->id, 20);
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(count(FAKE_SET_UP), 2, "what belongs to it is made anew");
}

FixtureTest(gate, a_failed_allocation_lets_vcpus_in_again)
{
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	gln_vcpu_leave(vcpus[0]);
	guest.fake.fail_at[FAKE_ALLOCATE] = 1;
	guest.fake.fail_with = -ENOMEM;
	cr_assert_eq(allocate(30), -ENOMEM);
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(count(FAKE_SET_UP), 1);
}

FixtureTest(gate, a_vcpu_that_is_unregistered_inside_has_left)
{
	struct gln_vcpu *const vcpu = guest_vcpu(&guest, 77);

	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert_eq(allocate(20), -EBUSY);
	gln_vcpu_unregister(vcpu);
	cr_assert_eq(allocate(20), 0);
}

/* Threads that enter while something is being changed. */

static atomic_uint nr_entered;
static bool may_run_inside;

static void *enter_thread(void *vcpu)
{
	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	nr_entered++;
	gln_vcpu_leave(vcpu);
	return NULL;
}

static pthread_t entering[NR_VCPUS];

static void let_them_try(struct fake_backend *fake, enum fake_call_kind kind)
{
	fake->in_change = NULL;
	(void)kind;
	for (int i = 0; i < NR_VCPUS; i++)
		cr_assert_eq(pthread_create(&entering[i], NULL, enter_thread,
					    vcpus[i]),
			     0);
	sleep_us(30000);
	cr_assert_eq(nr_entered, 0, "a vCPU is inside during a change");
}

static void join_them(void)
{
	for (int i = 0; i < NR_VCPUS; i++)
		pthread_join(entering[i], NULL);
	cr_assert_eq(nr_entered, NR_VCPUS);
	nr_entered = 0;
}

FixtureTest(gate, whoever_enters_waits_for_a_change)
{
	static char buffer[64];
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.flags = GLN_HPT_STREAM_WRITE,
	};
	struct gln_hpt_stream *stream;

	cr_assert_eq(gln_hpt_stream_open(guest.vm, &params, &stream), 0);
	for (int i = 0; i < 4; i++) {
		guest.fake.in_change = let_them_try;
		switch (i) {
		case 0:
			cr_assert_eq(allocate(20), 0);
			break;
		case 1:
			cr_assert_eq(gln_hpt_resize_commit(guest.vm, 20), 0);
			break;
		case 2:
			guest.fake.answer_stream = 64;
			cr_assert_eq(gln_hpt_stream_write(stream, buffer, 64),
				     64);
			break;
		case 3:
			cr_assert_eq(gln_hpt_check(guest.vm, NULL), -EIO);
			break;
		}
		join_them();
	}
	gln_hpt_stream_close(stream);
}

/* The gate as a whole: vCPUs come and go, and changes find nobody inside. */

static atomic_uint nr_inside;
static atomic_bool is_over;
static unsigned int nr_found_inside;
static uint64_t nr_changes;

static void *come_and_go(void *vcpu)
{
	uint64_t args[GLN_HCALL_ARGS] = {0};

	while (!is_over) {
		cr_assert_eq(gln_vcpu_enter(vcpu), 0);
		nr_inside++;
		for (int i = 0; i < 10; i++)
			cr_assert_eq(gln_hcall(vcpu, GLN_H_READ, args, args),
				     GLN_H_SUCCESS);
		nr_inside--;
		gln_vcpu_leave(vcpu);
		sleep_us(50);
	}
	return NULL;
}

static void look_inside(struct fake_backend *fake, enum fake_call_kind kind)
{
	(void)kind;
	nr_found_inside += nr_inside;
	nr_changes++;
	/* Notes have an end. */
	fake_backend_forget(fake);
}

FixtureTest(gate, no_change_ever_finds_a_vcpu_inside)
{
	const uint64_t end_ns = gln_plat_now_ns() + MAX_SECONDS * NS_PER_SECOND;
	unsigned int nr_busy = 0;

	guest.fake.in_change = look_inside;
	for (int i = 0; i < NR_VCPUS; i++)
		cr_assert_eq(pthread_create(&entering[i], NULL, come_and_go,
					    vcpus[i]),
			     0);
	while (nr_changes < NR_CHANGES && gln_plat_now_ns() < end_ns) {
		const int err = allocate(18);

		cr_assert(!err || err == -EBUSY);
		nr_busy += err != 0;
	}
	is_over = true;
	for (int i = 0; i < NR_VCPUS; i++)
		pthread_join(entering[i], NULL);
	cr_assert_eq(nr_found_inside, 0);
	cr_assert_gt(nr_changes, 0, "busy %u times", nr_busy);
}

/* Resizing. */

static void see_that_it_must_leave(struct fake_backend *fake)
{
	(void)fake;
	may_run_inside = gln_vcpu_may_run(vcpus[0]);
	cr_assert_eq(count(FAKE_COMMIT), 0, "nobody is in, then it is changed");
}

FixtureTest(resize, whoever_is_inside_at_a_commit_is_kicked_and_may_not_run)
{
	guest.fake.can_kick = true;
	guest.fake.in_kick = see_that_it_must_leave;
	may_run_inside = true;
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 21), 0);
	cr_assert_not(may_run_inside);
	cr_assert_eq(count(FAKE_KICK), 1);
	cr_assert_eq(last(FAKE_COMMIT)->id, 21);
	cr_assert(gln_vcpu_may_run(vcpus[0]), "it is over");

	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 22), 0);
	cr_assert_eq(count(FAKE_KICK), 1, "nobody was in, nobody is kicked");
}

FixtureTest(resize, without_a_kick_a_commit_is_refused_and_used_up)
{
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 21), -EBUSY);
	cr_assert_eq(count(FAKE_COMMIT), 0);
	cr_assert_eq(last(FAKE_PREPARE)->id, 0, "canceled");
	cr_assert(gln_vcpu_may_run(vcpus[0]));
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 21), 0);
}

static int64_t resize_hcall(uint64_t nr, uint64_t flags, uint64_t order)
{
	uint64_t args[GLN_HCALL_ARGS] = {flags, order};

	return gln_hcall(vcpus[0], nr, args, args);
}

FixtureTest(resize, a_guest_is_told_in_the_words_of_papr)
{
	static const struct {
		int prepare, commit;
		int64_t code_of_prepare, code_of_commit;
	} cases[] = {
		{0, 0, GLN_H_SUCCESS, GLN_H_SUCCESS},
		{1, -EINVAL, GLN_H_LONG_BUSY_ORDER_100_MSEC, GLN_H_PARAMETER},
		{100, -ENXIO, GLN_H_LONG_BUSY_ORDER_100_MSEC, GLN_H_CLOSED},
		{-EINVAL, -EBUSY, GLN_H_PARAMETER, GLN_H_BUSY},
		{-ENOMEM, -ENOMEM, GLN_H_NO_MEM, GLN_H_NO_MEM},
		{-ERANGE, -ENOSPC, GLN_H_RESOURCE, GLN_H_PTEG_FULL},
		{-EIO, -EIO, GLN_H_HARDWARE, GLN_H_HARDWARE},
	};

	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest.fake.answer_prepare = cases[i].prepare;
		guest.fake.answer_commit = cases[i].commit;
		cr_assert_eq(resize_hcall(GLN_H_RESIZE_HPT_PREPARE, 0, 19),
			     cases[i].code_of_prepare, "%zu", i);
		cr_assert_eq(last(FAKE_PREPARE)->id, 19);
		cr_assert_eq(resize_hcall(GLN_H_RESIZE_HPT_COMMIT, 0, 19),
			     cases[i].code_of_commit, "%zu", i);
		cr_assert_eq(last(FAKE_COMMIT)->id, 19);
		cr_assert(gln_vcpu_may_run(vcpus[0]), "it is inside again");
	}
	cr_assert_eq(count(FAKE_KICK), 0, "the caller itself is out");
}

FixtureTest(resize, a_guests_numbers_do_no_harm)
{
	static const uint64_t nrs[] = {GLN_H_RESIZE_HPT_PREPARE,
				       GLN_H_RESIZE_HPT_COMMIT};

	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(resize_hcall(nrs[i], 1, 20), GLN_H_PARAMETER);
		cr_assert_eq(resize_hcall(nrs[i], 0, 47), GLN_H_PARAMETER);
		cr_assert_eq(resize_hcall(nrs[i], 0, UINT64_C(20) | 1ULL << 32),
			     GLN_H_PARAMETER, "cut off, it would be 20");
		cr_assert_eq(resize_hcall(nrs[i], 0, UINT64_MAX),
			     GLN_H_PARAMETER);
	}
	cr_assert_eq(count(FAKE_PREPARE), 0);
	cr_assert_eq(count(FAKE_COMMIT), 0);
}

FixtureTest(resize, a_guest_gets_the_kind_that_was_asked_for_last)
{
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	resize_hcall(GLN_H_RESIZE_HPT_PREPARE, 0, 20);
	cr_assert_eq(last(FAKE_PREPARE)->flags, GLN_HPT_RESIZE_BY_GUEST);
	guest.fake.answer_prepare = 100;
	cr_assert_eq(gln_hpt_resize_prepare(guest.vm, 20,
					    GLN_HPT_RESIZE_INCREMENTAL),
		     100);
	cr_assert_eq(last(FAKE_PREPARE)->flags, GLN_HPT_RESIZE_INCREMENTAL);
	resize_hcall(GLN_H_RESIZE_HPT_PREPARE, 0, 20);
	cr_assert_eq(last(FAKE_PREPARE)->flags,
		     GLN_HPT_RESIZE_INCREMENTAL | GLN_HPT_RESIZE_BY_GUEST);

	guest.fake.answer_prepare = -EINVAL;
	cr_assert_eq(gln_hpt_resize_prepare(guest.vm, 20, 0x80), -EINVAL);
	resize_hcall(GLN_H_RESIZE_HPT_PREPARE, 0, 20);
	cr_assert_eq(last(FAKE_PREPARE)->flags,
		     GLN_HPT_RESIZE_INCREMENTAL | GLN_HPT_RESIZE_BY_GUEST);
}

FixtureTest(resize, a_commit_that_spoils_the_table_leaves_its_vcpu_outside)
{
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	guest.fake.has_table = false;
	guest.fake.fail_at[FAKE_SET_UP] = 1;
	cr_assert_eq(resize_hcall(GLN_H_RESIZE_HPT_COMMIT, 0, 20),
		     GLN_H_HARDWARE);
	cr_assert_not(gln_vcpu_may_run(vcpus[0]));
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(allocate(20), 0, "it is not counted");
}

FixtureTest(resize, its_longest_pause_is_reported)
{
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};

	cr_assert_eq(gln_hpt_stats(guest.vm, &stats), 0);
	cr_assert_eq(stats.resize_pause_ns, 0);
	guest.fake.in_change = let_them_try;
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 20), 0);
	join_them();
	cr_assert_eq(gln_hpt_resize_commit(guest.vm, 20), 0);
	cr_assert_eq(gln_hpt_stats(guest.vm, &stats), 0);
	cr_assert_geq(stats.resize_pause_ns, 30000000, "the first took 30 ms");
	cr_assert_lt(stats.resize_pause_ns, 10000000000);
}

/* Hypercalls, faults, streams. */

FixtureTest(hcall, a_table_that_is_being_changed_is_waited_for)
{
	uint64_t args[GLN_HCALL_ARGS] = {41};
	uint64_t rets[GLN_HCALL_ARGS] = {0};

	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	guest.fake.nr_too_hard = 3;
	guest.fake.answer_hcall = GLN_H_NOT_FOUND;
	cr_assert_eq(gln_hcall(vcpus[0], GLN_H_ENTER, args, rets),
		     GLN_H_NOT_FOUND);
	cr_assert_eq(rets[0], 42);
	cr_assert_eq(guest.fake.nr_hcalls, 4);
}

FixtureTest(hcall, a_fault_has_one_access_and_known_flags)
{
	static const uint32_t bad[] = {0, GLN_ACCESS_READ | GLN_ACCESS_WRITE,
				       GLN_ACCESS_WRITE | GLN_ACCESS_EXEC, 8,
				       UINT32_MAX};
	struct gln_hpt_fault fault = {.access = 0};

	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	for (const uint32_t *b = bad; b < ARRAY_END(bad); b++) {
		fault.access = *b;
		cr_assert_eq(gln_hpt_fault(vcpus[0], &fault), -EINVAL);
	}
	fault.access = GLN_ACCESS_EXEC;
	fault.flags = 2;
	cr_assert_eq(gln_hpt_fault(vcpus[0], &fault), -EINVAL);
	cr_assert_eq(count(FAKE_FAULT), 0);

	fault.flags = GLN_HPT_PROBLEM;
	for (int answer = -1; answer <= GLN_FAULT_REFLECT; answer++) {
		guest.fake.answer = answer;
		cr_assert_eq(gln_hpt_fault(vcpus[0], &fault), answer);
	}
	cr_assert_eq(guest_stats(&guest).faults_mapped, 1);
	cr_assert_eq(guest_stats(&guest).faults_retried, 1);
}

FixtureTest(hcall, radix_calls_do_not_reach_a_hash_table)
{
	uint64_t next = 0;

	guest_log_slot(&guest, 1, 0, 100);
	cr_assert_eq(gln_vcpu_topup(vcpus[0]), 0);
	cr_assert_eq(gln_vcpu_fault(vcpus[0], 0, GLN_ACCESS_READ), -ENOTSUP);
	guest.fake.ops.split = NULL;
	cr_assert_eq(gln_mmu_split(guest.vm, 1, &next, 0), 0);
	cr_assert_eq(next, 100);
	cr_assert_eq(gln_mmu_unmap(guest.vm, (struct gln_range){0, 10}), 0);
	cr_assert_eq(count(FAKE_UNMAP), 1);
}

FixtureTest(hcall, the_backend_finds_slots)
{
	const struct gln_backend *const backend = &guest.fake.backend;
	bool is_closed = true;

	guest_log_slot(&guest, 5, 100, 100);
	cr_assert_eq(backend->owner, guest.vm);
	cr_assert_null(backend->slot_at(backend, 99, &is_closed));
	cr_assert_null(backend->slot_at(backend, 200, &is_closed));
	cr_assert_eq(backend->slot_at(backend, 199, &is_closed)->id, 5);
	cr_assert_not(is_closed);
}

static bool was_closed;

static void see_closed(struct fake_backend *fake)
{
	fake->backend.slot_at(&fake->backend, 150, &was_closed);
}

FixtureTest(hcall, the_backend_learns_that_a_slot_is_being_unmapped)
{
	guest_log_slot(&guest, 5, 100, 100);
	guest.fake.in_unmap = see_closed;
	cr_assert_eq(gln_mmu_unmap(guest.vm, (struct gln_range){100, 1}), 0);
	cr_assert(was_closed);
	see_closed(&guest.fake);
	cr_assert_not(was_closed);
}

FixtureTest(stream, calls_reach_the_backends_stream)
{
	static char buffer[64];
	struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.flags = GLN_HPT_STREAM_BOLTED,
	};
	struct gln_hpt_stream *const untouched = (void *)&guest;
	struct gln_hpt_stream *stream = untouched;

	guest.fake.fail_at[FAKE_STREAM_OPEN] = 1;
	guest.fake.fail_with = -ENOENT;
	cr_assert_eq(gln_hpt_stream_open(guest.vm, &params, &stream), -ENOENT);
	params.struct_bytes = 4;
	cr_assert_eq(gln_hpt_stream_open(guest.vm, &params, &stream), -EINVAL);
	params.struct_bytes = sizeof(params);
	guest.memory.fail_at = 1;
	cr_assert_eq(gln_hpt_stream_open(guest.vm, &params, &stream), -ENOMEM);
	cr_assert_eq(stream, untouched);

	cr_assert_eq(gln_hpt_stream_open(guest.vm, &params, &stream), 0);
	cr_assert_eq(last(FAKE_STREAM_OPEN)->flags, GLN_HPT_STREAM_BOLTED);
	guest.fake.answer_stream = 48;
	guest.fake.nr_too_hard = 2;
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, 64), 48);
	cr_assert_eq(count(FAKE_STREAM_READ), 3, "a change is waited for");
	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(gln_hpt_stream_read(stream, buffer, 64), 48);
	cr_assert_eq(gln_hpt_stream_write(stream, buffer, 64), -EBUSY);
	cr_assert(gln_vcpu_may_run(vcpus[0]));
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(gln_hpt_stream_write(stream, buffer, 63), 48);
	cr_assert_eq(last(FAKE_STREAM_WRITE)->nr_pages, 63);
	gln_hpt_stream_close(stream);
	cr_assert_eq(count(FAKE_STREAM_CLOSE), 1);
}

FixtureTest(stream, figures_and_checks_are_handed_on)
{
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};
	const char *why = NULL;

	cr_assert_eq(gln_vcpu_enter(vcpus[0]), 0);
	cr_assert_eq(gln_hpt_check(guest.vm, &why), -EBUSY);
	gln_vcpu_leave(vcpus[0]);
	cr_assert_eq(gln_hpt_check(guest.vm, &why), -EIO);
	cr_assert_str_eq(why, "I1: it is a fake");
	cr_assert_eq(gln_hpt_check(guest.vm, NULL), -EIO);

	guest.fake.nr_hcalls = 12;
	cr_assert_eq(gln_hpt_stats(guest.vm, &stats), 0);
	cr_assert_eq(stats.enters, 12);
	stats = (struct gln_hpt_stats){
		.struct_bytes = offsetof(struct gln_hpt_stats, enters),
		.enters = 99,
	};
	cr_assert_eq(gln_hpt_stats(guest.vm, &stats), 0);
	cr_assert_eq(stats.enters, 99, "beyond what the caller has");
	stats.struct_bytes = sizeof(stats) + 1;
	cr_assert_eq(gln_hpt_stats(guest.vm, &stats), -EINVAL);
	cr_assert_eq(gln_hpt_resize_work(guest.vm, 7), 1);
	cr_assert_eq(last(FAKE_WORK)->nr_pages, 7);
	cr_assert_eq(gln_hpt_mmio_generation(guest.vm), 0);
	cr_assert_eq(allocate(20), 0);
	cr_assert_eq(gln_hpt_mmio_generation(guest.vm), 1);
}

/* The edge: an order comes from memory that the caller names. */

FixtureTest(allocate, an_order_out_of_bounds_changes_nothing)
{
	static const uint32_t bad[] = {0, 1, 17, 47, 64, 1U << 31, UINT32_MAX};

	for (const uint32_t *b = bad; b < ARRAY_END(bad); b++) {
		uint32_t order = *b;

		cr_assert_eq(gln_hpt_allocate(guest.vm, &order), -EINVAL);
		cr_assert_eq(order, *b);
	}
	cr_assert_eq(count(FAKE_ALLOCATE), 0);
	for (uint32_t order = 18; order <= 46; order++) {
		uint32_t got = order;

		cr_assert_eq(gln_hpt_allocate(guest.vm, &got), 0);
		cr_assert_eq(got, order);
		cr_assert_eq(last(FAKE_ALLOCATE)->id, order);
	}
}

FixtureTest(allocate, a_pointer_to_nothing_changes_nothing)
{
	uint32_t *const page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(page, MAP_FAILED);
	*page = 20;
	cr_assert_eq(gln_hpt_allocate(guest.vm, NULL), -EFAULT);
	mprotect(page, 4096, PROT_NONE);
	cr_assert_eq(gln_hpt_allocate(guest.vm, page), -EFAULT);
	mprotect(page, 4096, PROT_READ);
	cr_assert_eq(gln_hpt_allocate(guest.vm, page), -EFAULT,
		     "the order obtained could not be told");
	cr_assert_eq(count(FAKE_ALLOCATE), 0);
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	cr_assert_eq(gln_hpt_allocate(guest.vm, page), 0);
	munmap(page, 4096);
}

/* Backends without a hash table. */

static void no_hash_table(struct gln_vm *vm, struct gln_vcpu *vcpu)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};
	struct gln_hpt_fault fault = {.access = GLN_ACCESS_READ};
	uint64_t args[GLN_HCALL_ARGS] = {1, 2, 3};
	struct gln_hpt_stream *stream;
	uint32_t order = 20;

	cr_assert_eq(gln_hpt_allocate(vm, &order), -ENOTTY);
	cr_assert_eq(gln_hpt_resize_prepare(vm, 20, 0), -ENOTTY);
	cr_assert_eq(gln_hpt_resize_work(vm, 1), -ENOTTY);
	cr_assert_eq(gln_hpt_resize_commit(vm, 20), -ENOTTY);
	cr_assert_eq(gln_hpt_stream_open(vm, &params, &stream), -ENOTTY);
	cr_assert_eq(gln_hpt_stats(vm, &stats), -ENOTTY);
	cr_assert_eq(gln_hpt_check(vm, NULL), -ENOTTY);
	cr_assert_eq(gln_hpt_mmio_generation(vm), 0);

	cr_assert_eq(gln_vcpu_enter(vcpu), 0);
	cr_assert(gln_vcpu_may_run(vcpu));
	cr_assert_eq(gln_hpt_fault(vcpu, &fault), -ENOTTY);
	for (uint64_t nr = 0; nr < 0x400; nr += 4)
		cr_assert_eq(gln_hcall(vcpu, nr, args, args), GLN_H_FUNCTION);
	cr_assert_eq(args[0], 1);
	gln_vcpu_leave(vcpu);
	cr_assert(gln_vcpu_may_run(vcpu));
}

Test(no_table, a_backend_without_one_says_so)
{
	start(false);
	no_hash_table(guest.vm, vcpus[0]);
	teardown();
}

Test(no_table, a_vm_without_a_backend_says_so)
{
	struct gln_vcpu *vcpu;

	guest_start(&guest, 0, 0);
	vcpu = guest_vcpu(&guest, 0);
	no_hash_table(guest.vm, vcpu);
	gln_vcpu_unregister(vcpu);
	guest_stop(&guest);
}

Test(no_table, a_backend_is_whole_or_refused)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.backend = &guest.fake.backend,
	};
	const size_t nr = sizeof(guest.fake.hpt_ops) / sizeof(void *);
	struct gln_vm *vm;

	fake_backend_init(&guest.fake, GLN_CAP_COLLECT | GLN_CAP_FAULT);
	for (size_t i = 0; i < nr; i++) {
		fake_backend_add_hpt(&guest.fake);
		memset((char *)&guest.fake.hpt_ops + i * sizeof(void *), 0,
		       sizeof(void *));
		cr_assert_eq(gln_vm_create(&params, &vm), -EINVAL, "%zu", i);
	}
	fake_backend_add_hpt(&guest.fake);
	guest.fake.ops.caps = GLN_CAP_COLLECT;
	cr_assert_eq(gln_vm_create(&params, &vm), -EINVAL);
	guest.fake.ops.caps = GLN_CAP_COLLECT | GLN_CAP_FAULT;
	cr_assert_eq(gln_vm_create(&params, &vm), 0);
	cr_assert_eq(gln_vm_destroy(vm), 0);
}
