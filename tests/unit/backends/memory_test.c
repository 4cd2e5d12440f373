/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_test.c - when memory runs out a backend says -ENOMEM, keeps nothing,
 * and still works where it did.
 *
 * The program is linked with --wrap, so that each allocation of the library can
 * be made to fail in turn. Those of the C library are not wrapped.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <glean/ref.h>

#include "tests/unit/backends/rig.h"

enum { NR_SLOTS = 3, PAGES = 10, NEVER = -1 };

static long live;	   /* allocations not yet freed */
static long asked;	   /* allocations since the last attempt began */
static long fails = NEVER; /* the one of them that fails */

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void __wrap_free(void *memory);
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void __real_free(void *memory);

static bool must_fail(void)
{
	return asked++ == fails;
}

void *__wrap_malloc(size_t bytes)
{
	void *memory = must_fail() ? NULL : __real_malloc(bytes);

	live += memory != NULL;
	return memory;
}

void *__wrap_calloc(size_t n, size_t bytes)
{
	void *memory = must_fail() ? NULL : __real_calloc(n, bytes);

	live += memory != NULL;
	return memory;
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	void *moved = must_fail() ? NULL : __real_realloc(memory, bytes);

	live += moved && !memory;
	return moved;
}

void __wrap_free(void *memory)
{
	live -= memory != NULL;
	__real_free(memory);
}

/* All that is needed to make a backend, a number or ref. */
enum { REF = GLN_NR_TRACKERS + 1 };

static int create(int which, struct gln_backend **backend)
{
	if (which == REF)
		return gln_ref_create(backend);
	return gln_process_create((enum gln_tracker)which, NULL, backend);
}

static void destroy(int which, struct gln_backend *backend)
{
	if (which == REF)
		gln_ref_destroy(backend);
	else
		gln_process_destroy(backend);
}

/* Does a slot that was attached before the failure still do its work? */
static void expect_works(int which, struct rig *rig)
{
	const uint64_t gpa = rig->slot.base << rig->slot.page_shift;
	unsigned char out[PAGES];

	if (which == REF)
		cr_assert_eq(gln_ref_store(rig->backend, gpa, "x", 1), 0);
	else
		rig_store(rig, 0);
	cr_assert_eq(rig_harvest(rig, out), 1);
	cr_assert(out[0]);
}

/* Attach and log slot after slot. Return: 0 or the first error. */
static int start_all(struct rig *rigs, size_t *nr_started)
{
	for (*nr_started = 0; *nr_started < NR_SLOTS; ++*nr_started) {
		const int err = rig_start(&rigs[*nr_started], 0);

		if (err)
			return err;
	}

	return 0;
}

/* A life of a backend. Return: 0 or the first error. */
static int live_once(int which, char *memory, long failing)
{
	struct gln_backend *const none = NULL;
	struct gln_backend *backend = none;
	struct rig rigs[NR_SLOTS];
	size_t nr_started = 0;
	int err;

	asked = 0;
	fails = failing;
	err = create(which, &backend);
	if (err) {
		cr_assert_eq(backend, none);
		return err;
	}

	const long so_far = asked;

	fails = NEVER;
	for (size_t i = 0; i < NR_SLOTS; i++) {
		rig_init(&rigs[i], backend,
			 memory + i * PAGES * (size_t)sysconf(_SC_PAGESIZE),
			 PAGES, i * PAGES);
		rigs[i].slot.id = (uint32_t)i;
	}
	asked = so_far;
	fails = failing;
	err = start_all(rigs, &nr_started);
	fails = NEVER;
	for (size_t i = 0; i < NR_SLOTS; i++) {
		if (i < nr_started) {
			expect_works(which, &rigs[i]);
			rig_stop(&rigs[i]);
		}
		rig_fini(&rigs[i]);
	}
	destroy(which, backend);
	return err;
}

static void fail_each_in_turn(int which)
{
	char *memory = rig_map(NR_SLOTS * PAGES);
	const long before = live;
	long failing = 0;
	int err = live_once(which, memory, NEVER);

	if (err == -ENOTSUP || err == -EPERM)
		cr_skip_test("the tracker does not work here");
	cr_assert_eq(err, 0);
	cr_assert_eq(live, before, "%ld kept", live - before);
	do {
		err = live_once(which, memory, failing);
		cr_assert(!err || err == -ENOMEM, "allocation %ld: %d", failing,
			  err);
		cr_assert_eq(live, before, "allocation %ld: %ld kept", failing,
			     live - before);
		failing++;
	} while (err);
	cr_assert_gt(failing, 3);
	rig_unmap(memory, NR_SLOTS * PAGES);
}

Test(memory, of_auto_may_run_out)
{
	fail_each_in_turn(GLN_TRACKER_AUTO);
}

Test(memory, of_pagemap_scan_may_run_out)
{
	fail_each_in_turn(GLN_TRACKER_PAGEMAP_SCAN);
}

Test(memory, of_uffd_may_run_out)
{
	fail_each_in_turn(GLN_TRACKER_UFFD);
}

Test(memory, of_mprotect_may_run_out)
{
	fail_each_in_turn(GLN_TRACKER_MPROTECT);
}

Test(memory, of_ref_may_run_out)
{
	fail_each_in_turn(REF);
}
