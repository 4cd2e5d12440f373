/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ref_test.c - the oracle is right about what can be seen by looking at it.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <glean/ref.h>

#include "tests/unit/backends/rig.h"

enum { PAGES = 70, BASE = 1000 };

struct fixture {
	struct gln_backend *backend;
	struct rig rig;
	unsigned char out[PAGES];
	uint8_t written[PAGES];
};

static void setup(struct fixture *f, uint32_t flags)
{
	cr_assert_eq(gln_ref_create(&f->backend), 0);
	rig_init(&f->rig, f->backend, rig_map(PAGES), PAGES, BASE);
	f->rig.slot.id = 3;
	cr_assert_eq(rig_start(&f->rig, flags), 0);
}

static void teardown(struct fixture *f)
{
	cr_assert_eq(atomic_load(&f->rig.strays), 0);
	rig_stop(&f->rig);
	rig_unmap(f->rig.memory, PAGES);
	rig_fini(&f->rig);
	gln_ref_destroy(f->backend);
}

static uint64_t gpa_of(const struct fixture *f, size_t page)
{
	return (uint64_t)(BASE + page) << f->rig.slot.page_shift;
}

static int store(struct fixture *f, size_t page)
{
	return gln_ref_store(f->backend, gpa_of(f, page) + 8, "glean", 5);
}

static long written(struct fixture *f)
{
	long nr = 0;

	cr_assert_eq(gln_ref_take_written(f->backend, 3, f->written, PAGES), 0);
	for (size_t i = 0; i < PAGES; i++)
		nr += f->written[i];

	return nr;
}

Test(ref, a_store_is_in_memory_and_in_both_logs)
{
	struct fixture f;

	setup(&f, 0);
	cr_assert_eq(store(&f, 0), 0);
	cr_assert_eq(store(&f, 69), 0);
	cr_assert_eq(memcmp(f.rig.memory + 8, "glean", 5), 0);
	cr_assert_eq(
		memcmp(f.rig.memory + 69 * f.rig.page_bytes + 8, "glean", 5),
		0);
	cr_assert_eq(rig_harvest(&f.rig, f.out), 2);
	cr_assert(f.out[0] && f.out[69]);
	cr_assert_eq(written(&f), 2);
	cr_assert(f.written[0] && f.written[69]);
	cr_assert_eq(written(&f), 0, "taken");
	teardown(&f);
}

Test(ref, a_page_faults_once_until_it_is_protected_again)
{
	struct fixture f;

	setup(&f, 0);
	cr_assert_eq(store(&f, 7), 0);
	atomic_store(&f.rig.marks[7], 0); /* taken, but not protected */
	cr_assert_eq(store(&f, 7), 0);
	cr_assert_eq(atomic_load(&f.rig.marks[7]), 0, "no fault, no mark");
	cr_assert_eq(written(&f), 1, "but the oracle knows");

	atomic_store(&f.rig.marks[7], 1);
	cr_assert_eq(rig_harvest(&f.rig, f.out), 1);
	cr_assert_eq(store(&f, 7), 0);
	cr_assert_eq(atomic_load(&f.rig.marks[7]), 1, "protected by a harvest");
	teardown(&f);
}

Test(ref, pages_that_start_out_marked_are_not_protected)
{
	struct fixture f;

	setup(&f, GLN_LOG_START_ALL_MARKED);
	cr_assert_eq(store(&f, 5), 0);
	cr_assert_eq(atomic_load(&f.rig.marks[5]), 0);
	atomic_store(&f.rig.marks[5], 1);
	cr_assert_eq(rig_harvest(&f.rig, f.out), 1);
	cr_assert_eq(store(&f, 5), 0);
	cr_assert_eq(store(&f, 6), 0);
	cr_assert_eq(rig_harvest(&f.rig, f.out), 1, "only 5 was protected");
	cr_assert(f.out[5]);
	teardown(&f);
}

Test(ref, writes_without_logging_are_known_to_the_oracle_only)
{
	struct fixture f;

	setup(&f, 0);
	f.backend->ops->log_stop(f.backend, &f.rig.slot);
	cr_assert_eq(store(&f, 9), 0);
	cr_assert_eq(atomic_load(&f.rig.marks[9]), 0);
	cr_assert_eq(written(&f), 1);
	cr_assert(f.written[9]);
	teardown(&f);
}

Test(ref, protects_exact_ranges)
{
	struct fixture f;
	const struct gln_range ranges[] = {
		{BASE, 1}, {BASE + 63, 2}, {BASE + 69, 1}};

	setup(&f, GLN_LOG_START_ALL_MARKED);
	cr_assert_eq(f.backend->ops->protect(f.backend, &f.rig.slot, ranges, 3),
		     0);
	for (size_t i = 0; i < PAGES; i++)
		cr_assert_eq(store(&f, i), 0);
	for (size_t i = 0; i < PAGES; i++)
		cr_assert_eq(atomic_load(&f.rig.marks[i]),
			     i == 0 || i == 63 || i == 64 || i == 69,
			     "page %zu", i);
	teardown(&f);
}

Test(ref, stores_that_fit_no_page_are_refused)
{
	struct fixture f;
	const char data[16] = "glean";

	setup(&f, 0);
	const uint64_t end = gpa_of(&f, 1);

	cr_assert_eq(gln_ref_store(f.backend, end - 16, data, 16), 0);
	cr_assert_eq(gln_ref_store(f.backend, end - 15, data, 16), -EINVAL);
	cr_assert_eq(gln_ref_store(f.backend, end - 1, data, SIZE_MAX),
		     -EINVAL);
	cr_assert_eq(gln_ref_store(f.backend, end, data, 0), -EINVAL);
	cr_assert_eq(gln_ref_store(f.backend, gpa_of(&f, 0) - 1, data, 1),
		     -EFAULT);
	cr_assert_eq(gln_ref_store(f.backend, gpa_of(&f, PAGES), data, 1),
		     -EFAULT);
	cr_assert_eq(gln_ref_store(f.backend, 0, data, 1), -EFAULT);
	cr_assert_eq(gln_ref_store(f.backend, UINT64_MAX, data, 1), -EFAULT);
	cr_assert_eq(written(&f), 1);
	cr_assert_eq(rig_harvest(&f.rig, f.out), 1);
	teardown(&f);
}

Test(ref, the_oracle_is_asked_about_a_slot_it_has)
{
	struct fixture f;

	setup(&f, 0);
	cr_assert_eq(gln_ref_take_written(f.backend, 4, f.written, PAGES),
		     -ENOENT);
	cr_assert_eq(gln_ref_take_written(f.backend, 3, f.written, PAGES - 1),
		     -EINVAL);
	cr_assert_eq(gln_ref_take_written(f.backend, 3, f.written, PAGES + 1),
		     -EINVAL);
	teardown(&f);
}

Test(ref, a_slot_without_memory_takes_no_store)
{
	struct fixture f;
	struct rig blind;

	setup(&f, 0);
	rig_init(&blind, f.backend, NULL, 4, 0);
	cr_assert_eq(rig_start(&blind, 0), 0);
	cr_assert_eq(gln_ref_store(f.backend, 0, "x", 1), -EFAULT);
	cr_assert_eq(store(&f, 1), 0);
	rig_stop(&blind);
	rig_fini(&blind);
	teardown(&f);
}

/* Under AddressSanitizer malloc() ends the program unless it is told not to. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

Test(ref, memory_that_cannot_be_had_is_an_error)
{
	struct fixture f;
	struct rig vast;

	setup(&f, 0);
	rig_init(&vast, f.backend, f.rig.memory, 1, 0);
	vast.slot.nr_pages = UINT64_C(1) << 52;
	cr_assert_eq(rig_start(&vast, 0), -ENOMEM);
	rig_fini(&vast);
	teardown(&f);
}

/* Each writer counts in its own cells; a harvester copies what is reported. */
struct writer {
	struct fixture *f;
	size_t first;
	pthread_t thread;
};

static void *count_up(void *arg)
{
	const struct writer *writer = arg;

	for (uint64_t n = 1; n <= 3000; n++) {
		const size_t page = writer->first + n * 2 % PAGES;

		if (gln_ref_store(writer->f->backend, gpa_of(writer->f, page),
				  &n, sizeof(n)))
			return arg;
	}

	return NULL;
}

Test(ref, no_write_is_lost_while_writers_run)
{
	struct fixture f;
	struct writer writers[2];
	unsigned char ever[PAGES] = {0};

	setup(&f, 0);
	for (size_t i = 0; i < 2; i++) {
		writers[i] = (struct writer){.f = &f, .first = i};
		pthread_create(&writers[i].thread, NULL, count_up, &writers[i]);
	}
	for (int round = 0; round < 2000; round++) {
		cr_assert_geq(rig_harvest(&f.rig, f.out), 0);
		for (size_t i = 0; i < PAGES; i++)
			ever[i] |= f.out[i];
	}
	for (size_t i = 0; i < 2; i++) {
		void *failed;

		pthread_join(writers[i].thread, &failed);
		cr_assert_not(failed);
	}
	cr_assert_geq(rig_harvest(&f.rig, f.out), 0);
	for (size_t i = 0; i < PAGES; i++)
		ever[i] |= f.out[i];
	cr_assert_geq(written(&f), PAGES - 1);
	cr_assert_eq(memcmp(ever, f.written, PAGES), 0);
	teardown(&f);
}
