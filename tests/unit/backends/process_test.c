/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process_test.c - every tracker sees every write, and no other.
 *
 * Each test is run on each tracker. One that does not work on this machine is
 * skipped, and says why.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/backends/rig.h"

enum { MAX_PAGES = 512 };

static struct gln_backend *create(enum gln_tracker tracker)
{
	char reason[GLN_REASON_BYTES];
	struct gln_backend *backend;
	const int err = gln_process_create(tracker, reason, &backend);

	if (err == -ENOTSUP || err == -EPERM)
		cr_skip_test("%s", reason);
	cr_assert_eq(err, 0, "%s", reason);
	return backend;
}

/* A test of each tracker; its body is given a backend. */
#define EACH_TRACKER(name)                                     \
	static void name(struct gln_backend *backend);         \
	static void on_##name(enum gln_tracker tracker)        \
	{                                                      \
		struct gln_backend *backend = create(tracker); \
                                                               \
		name(backend);                                 \
		gln_process_destroy(backend);                  \
	}                                                      \
	Test(pagemap_scan, name)                               \
	{                                                      \
		on_##name(GLN_TRACKER_PAGEMAP_SCAN);           \
	}                                                      \
	Test(uffd, name)                                       \
	{                                                      \
		on_##name(GLN_TRACKER_UFFD);                   \
	}                                                      \
	Test(mprotect, name)                                   \
	{                                                      \
		on_##name(GLN_TRACKER_MPROTECT);               \
	}                                                      \
	static void name(struct gln_backend *backend)

/* Harvest; exactly the pages with a 1 in @expected must be reported. */
static void expect(struct rig *rig, const unsigned char *expected,
		   const char *what)
{
	unsigned char got[MAX_PAGES];
	const long taken = rig_harvest(rig, got);

	cr_assert_geq(taken, 0, "%s: harvest says %ld", what, taken);
	for (size_t i = 0; i < rig->slot.nr_pages; i++)
		cr_assert_eq(got[i], expected[i],
			     "%s: page %zu of %zu: %d reported, %d written",
			     what, i, (size_t)rig->slot.nr_pages, got[i],
			     expected[i]);
	cr_assert_eq(atomic_load(&rig->strays), 0, "%s", what);
}

static void expect_one(struct rig *rig, size_t page, const char *what)
{
	unsigned char expected[MAX_PAGES] = {0};

	expected[page] = 1;
	expect(rig, expected, what);
}

static void expect_none(struct rig *rig, const char *what)
{
	const unsigned char expected[MAX_PAGES] = {0};

	expect(rig, expected, what);
}

/* Write each page with a chance of @percent, and note it. */
static void store_some(struct rig *rig, uint64_t *seed, unsigned int percent,
		       unsigned char *expected)
{
	for (size_t i = 0; i < rig->slot.nr_pages; i++) {
		expected[i] = rig_random(seed) % 100 < percent;
		if (expected[i])
			rig_store(rig, i);
	}
}

EACH_TRACKER(sees_exactly_what_is_written_at_any_size_and_density)
{
	static const unsigned int percents[] = {0, 1, 10, 50, 90, 100};
	char *memory = rig_map(200);
	uint64_t seed = 1;

	for (size_t pages = 1; pages <= 200; pages++) {
		unsigned char expected[MAX_PAGES];
		char what[80];
		struct rig rig;

		rig_init(&rig, backend, memory, pages, 1000 + pages);
		store_some(&rig, &seed, 50, expected);
		cr_assert_eq(rig_start(&rig, 0), 0);
		for (size_t i = 0; i < 6; i++) {
			snprintf(what, sizeof(what), "round %zu, %u percent", i,
				 percents[i]);
			store_some(&rig, &seed, percents[i], expected);
			expect(&rig, expected, what);
		}
		rig_stop(&rig);
		rig_fini(&rig);
		madvise(memory, rig.bytes, MADV_DONTNEED);
	}
	rig_unmap(memory, 200);
}

/* More runs than a tracker takes at a time. */
EACH_TRACKER(sees_every_other_page_of_many)
{
	enum { PAGES = 20001 };
	char *memory = rig_map(PAGES);
	unsigned char *out = malloc(PAGES);
	struct rig rig;

	rig_init(&rig, backend, memory, PAGES, 1);
	cr_assert_eq(rig_start(&rig, 0), 0);
	for (int round = 0; round < 2; round++) {
		size_t wrong = 0;

		for (size_t i = 0; i < PAGES; i += 2)
			rig_store(&rig, i);
		cr_assert_eq(rig_harvest(&rig, out), PAGES / 2 + 1);
		for (size_t i = 0; i < PAGES; i++)
			wrong += out[i] != (i % 2 == 0);
		cr_assert_eq(wrong, 0, "round %d", round);
	}
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, PAGES);
	free(out);
}

EACH_TRACKER(sees_the_pages_at_the_edges_and_not_their_neighbours)
{
	char *memory = rig_map(130);
	struct rig rig;

	/* The slot has pages 1 to 128; 0 and 129 are somebody else's. */
	rig_init(&rig, backend, memory + sysconf(_SC_PAGESIZE), 128, 63);
	cr_assert_eq(rig_start(&rig, 0), 0);
	memory[0] = 1;
	memory[129 * rig.page_bytes] = 1;
	expect_none(&rig, "only neighbours");
	rig_store(&rig, 0);
	expect_one(&rig, 0, "the first");
	rig_store(&rig, 127);
	expect_one(&rig, 127, "the last");
	rig_store(&rig, 63);
	expect_one(&rig, 63, "one in the middle");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 130);
}

EACH_TRACKER(loads_of_absent_pages_are_no_writes)
{
	char *memory = rig_map(8);
	struct rig rig;

	rig_init(&rig, backend, memory, 8, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	for (size_t i = 0; i < 8; i++)
		rig_load(&rig, i);
	expect_none(&rig, "loads");
	rig_store(&rig, 5);
	expect_one(&rig, 5, "a page that was only read");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 8);
}

/* Who discards memory marks it; here only writes after it are at stake. */
EACH_TRACKER(writes_of_discarded_pages_are_seen)
{
	char *memory = rig_map(8);
	unsigned char got[MAX_PAGES];
	struct rig rig;

	rig_init(&rig, backend, memory, 8, 0);
	for (size_t i = 0; i < 8; i++)
		rig_store(&rig, i);
	cr_assert_eq(rig_start(&rig, 0), 0);

	madvise(memory + 2 * rig.page_bytes, 4 * rig.page_bytes, MADV_DONTNEED);
	rig_load(&rig, 2);
	rig_store(&rig, 3);
	cr_assert_gt(rig_harvest(&rig, got), 0);
	cr_assert(got[3], "written after it was discarded");
	cr_assert(!got[0] && !got[1] && !got[6] && !got[7]);

	rig_store(&rig, 2);
	rig_store(&rig, 4);
	cr_assert_gt(rig_harvest(&rig, got), 0);
	cr_assert(got[2], "read, then written after it was discarded");
	cr_assert(got[4], "written a harvest after it was discarded");
	cr_assert(!got[0] && !got[1] && !got[6] && !got[7]);

	rig_store(&rig, 3);
	expect_one(&rig, 3, "tracked again");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 8);
}

EACH_TRACKER(pages_that_start_out_marked_are_tracked_once_taken)
{
	char *memory = rig_map(64);
	unsigned char all[MAX_PAGES];
	struct rig rig;

	rig_init(&rig, backend, memory, 64, 7);
	for (size_t i = 0; i < 32; i++)
		rig_store(&rig, i);
	cr_assert_eq(rig_start(&rig, GLN_LOG_START_ALL_MARKED), 0);
	for (size_t i = 0; i < 64; i++)
		atomic_store(&rig.marks[i], 1); /* as the core does */
	rig_store(&rig, 1);
	rig_store(&rig, 40);
	memset(all, 1, sizeof(all));
	expect(&rig, all, "all");
	expect_none(&rig, "nothing since");
	rig_store(&rig, 1);
	expect_one(&rig, 1, "one that was there");
	rig_store(&rig, 41);
	expect_one(&rig, 41, "one that was absent");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 64);
}

EACH_TRACKER(logging_stops_and_starts_again)
{
	char *memory = rig_map(16);
	const struct gln_backend_ops *ops = backend->ops;
	struct gln_process_stats before = {.struct_bytes = sizeof(before)};
	struct gln_process_stats after = {.struct_bytes = sizeof(after)};
	struct rig rig;

	rig_init(&rig, backend, memory, 16, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	rig_store(&rig, 3);
	ops->log_stop(backend, &rig.slot);
	atomic_store(&rig.marks[3], 0);

	cr_assert_eq(gln_process_stats(backend, &before), 0);
	for (size_t i = 0; i < 16; i++)
		rig_store(&rig, i);
	cr_assert_eq(gln_process_stats(backend, &after), 0);
	cr_assert_eq(before.faults, after.faults, "stopped, but it faults");

	cr_assert_eq(ops->log_start(backend, &rig.slot, 0), 0);
	expect_none(&rig, "written while stopped");
	rig_store(&rig, 15);
	expect_one(&rig, 15, "after the restart");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 16);
}

EACH_TRACKER(detach_stops_logging)
{
	char *memory = rig_map(4);
	struct rig rig;

	rig_init(&rig, backend, memory, 4, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	backend->ops->detach(backend, &rig.slot);
	atomic_store(&rig.dead, true);
	rig_store(&rig, 2);
	cr_assert_eq(atomic_load(&rig.strays), 0);

	cr_assert_eq(rig_start(&rig, 0), 0, "attached once more");
	rig_store(&rig, 1);
	expect_one(&rig, 1, "the second time");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 4);
}

EACH_TRACKER(slots_side_by_side_are_kept_apart)
{
	enum { NR = 9, PAGES = 5 };
	char *memory = rig_map(NR * PAGES);
	struct rig rigs[NR];

	/* Attached in an order that is none, frames descending. */
	for (size_t i = 0; i < NR; i++) {
		const size_t n = i * 4 % NR;

		rig_init(&rigs[n], backend,
			 memory + n * PAGES * (size_t)sysconf(_SC_PAGESIZE),
			 PAGES, 10000 - 100 * n);
		cr_assert_eq(rig_start(&rigs[n], 0), 0);
	}
	for (size_t n = 0; n < NR; n++)
		rig_store(&rigs[n], n % PAGES);
	for (size_t n = 0; n < NR; n++)
		expect_one(&rigs[n], n % PAGES, "its own page");

	rig_stop(&rigs[4]);
	rig_store(&rigs[4], 0);
	rig_store(&rigs[3], PAGES - 1);
	rig_store(&rigs[5], 0);
	expect_one(&rigs[3], PAGES - 1, "below the one that left");
	expect_one(&rigs[5], 0, "above the one that left");

	for (size_t n = 0; n < NR; n++) {
		if (n != 4)
			rig_stop(&rigs[n]);
		cr_assert_eq(atomic_load(&rigs[n].strays), 0);
		rig_fini(&rigs[n]);
	}
	rig_unmap(memory, NR * PAGES);
}

EACH_TRACKER(memory_that_cannot_be_tracked_is_refused)
{
	char *memory = rig_map(4);
	const struct gln_backend_ops *ops = backend->ops;
	struct rig good, bad;

	rig_init(&good, backend, memory, 4, 0);
	rig_init(&bad, backend, memory, 4, 0);

	bad.slot.hva = NULL;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "no memory");
	bad.slot.hva = memory + 8;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "misaligned");
	bad.slot.hva = memory;
	bad.slot.page_shift++;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "large pages");
	bad.slot.page_shift -= 2;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "small pages");
	bad.slot.page_shift = 64;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "no pages");
	bad.slot.page_shift = good.slot.page_shift;
	bad.slot.nr_pages = UINT64_MAX;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "wraps");
	bad.slot.nr_pages = UINT64_MAX >> bad.slot.page_shift;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EINVAL, "wraps too");

	cr_assert_eq(ops->attach(backend, &good.slot), 0);
	bad.slot.nr_pages = 1;
	bad.slot.hva = memory + 3 * good.page_bytes;
	cr_assert_eq(ops->attach(backend, &bad.slot), -EEXIST, "overlaps");
	ops->detach(backend, &good.slot);

	rig_unmap(memory, 4);
	cr_assert_eq(ops->attach(backend, &good.slot), 0);
	cr_assert_lt(ops->log_start(backend, &good.slot, 0), 0, "unmapped");
	ops->detach(backend, &good.slot);
	rig_fini(&good);
	rig_fini(&bad);
}

EACH_TRACKER(a_page_of_a_huge_page_is_seen_alone)
{
	enum { HUGE_PAGES = 512 };
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const size_t huge_bytes = HUGE_PAGES * page_bytes;
	char *mapped = rig_map(2 * HUGE_PAGES);
	char *memory = (char *)(((uintptr_t)mapped + huge_bytes - 1) &
				~(uintptr_t)(huge_bytes - 1));
	struct rig rig;

	madvise(memory, huge_bytes, MADV_HUGEPAGE);
	rig_init(&rig, backend, memory, HUGE_PAGES, 0);
	memset(memory, 1, huge_bytes);
	cr_assert_eq(rig_start(&rig, 0), 0);
	rig_store(&rig, 77);
	expect_one(&rig, 77, "the first write");
	rig_store(&rig, 300);
	expect_one(&rig, 300, "the second write");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(mapped, 2 * HUGE_PAGES);
}

/* A system call writes a protected page: noticed, or refused. */
EACH_TRACKER(a_write_by_the_kernel_is_noticed_or_fails)
{
	char *memory = rig_map(4);
	int ends[2];
	struct rig rig;

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	rig_init(&rig, backend, memory, 4, 0);
	rig_store(&rig, 2);
	cr_assert_eq(rig_start(&rig, 0), 0);
	if (read(ends[0], memory + 2 * rig.page_bytes, 1) == 1) {
		cr_assert_neq(gln_process_tracker(backend),
			      GLN_TRACKER_MPROTECT);
		expect_one(&rig, 2, "by the kernel");
	} else {
		cr_assert_eq(errno, EFAULT);
		cr_assert_neq(gln_process_tracker(backend),
			      GLN_TRACKER_PAGEMAP_SCAN);
		expect_none(&rig, "refused");
	}
	close(ends[0]);
	close(ends[1]);
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 4);
}

EACH_TRACKER(two_backends_do_not_disturb_each_other)
{
	struct gln_backend *other = create(gln_process_tracker(backend));
	char *memory = rig_map(20);
	struct rig one, two;

	rig_init(&one, backend, memory, 10, 0);
	rig_init(&two, other, memory + one.bytes, 10, 0);
	cr_assert_eq(rig_start(&one, 0), 0);
	cr_assert_eq(rig_start(&two, 0), 0);
	rig_store(&one, 9);
	rig_store(&two, 0);
	expect_one(&one, 9, "the one");
	expect_one(&two, 0, "the other");
	rig_stop(&one);
	rig_store(&one, 1);
	rig_store(&two, 1);
	expect_one(&two, 1, "alone");
	rig_stop(&two);
	gln_process_destroy(other);
	rig_fini(&one);
	rig_fini(&two);
	rig_unmap(memory, 20);
}

/*
 * Writers that count up in random pages, while pages are harvested and copied.
 * After a last harvest the copy must be equal.
 */
struct guest {
	struct rig rig;
	atomic_bool stop;
	atomic_ulong writes;
};

static atomic_ulong *cell(const struct rig *rig, size_t page)
{
	return (atomic_ulong *)(void *)(rig->memory + page * rig->page_bytes);
}

static void *write_at_random(void *arg)
{
	struct guest *guest = arg;
	uint64_t seed = (uint64_t)(uintptr_t)&seed;
	unsigned long writes = 0;

	while (!atomic_load(&guest->stop)) {
		const size_t page =
			rig_random(&seed) % guest->rig.slot.nr_pages;

		atomic_fetch_add_explicit(cell(&guest->rig, page), 1,
					  memory_order_relaxed);
		writes++;
	}

	atomic_fetch_add(&guest->writes, writes);
	return NULL;
}

static void copy_pages(const struct rig *rig, const unsigned char *out,
		       unsigned long *copy)
{
	for (size_t i = 0; i < rig->slot.nr_pages; i++) {
		if (out[i])
			copy[i] = atomic_load_explicit(cell(rig, i),
						       memory_order_relaxed);
	}
}

static bool is_over(const struct timespec *start, double seconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) +
		       (double)(now.tv_nsec - start->tv_nsec) / 1e9 >
	       seconds;
}

EACH_TRACKER(no_write_is_lost_while_writers_run)
{
	enum { PAGES = 256, WRITERS = 3 };
	const double seconds = 0.4;
	char *memory = rig_map(PAGES);
	unsigned long copy[PAGES] = {0};
	unsigned char out[PAGES];
	pthread_t writers[WRITERS];
	struct guest guest = {0};
	struct timespec start;
	size_t lost = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	rig_init(&guest.rig, backend, memory, PAGES, 0);
	cr_assert_eq(rig_start(&guest.rig, 0), 0);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_at_random, &guest);
	while (!is_over(&start, seconds)) {
		cr_assert_geq(rig_harvest(&guest.rig, out), 0);
		copy_pages(&guest.rig, out, copy);
	}
	atomic_store(&guest.stop, true);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	cr_assert_geq(rig_harvest(&guest.rig, out), 0);
	copy_pages(&guest.rig, out, copy);

	for (size_t i = 0; i < PAGES; i++)
		lost += copy[i] != atomic_load(cell(&guest.rig, i));
	cr_assert_eq(lost, 0, "%zu pages lost", lost);
	cr_assert_gt(atomic_load(&guest.writes), PAGES);
	expect_none(&guest.rig, "all are stopped");
	rig_stop(&guest.rig);
	rig_fini(&guest.rig);
	rig_unmap(memory, PAGES);
}

EACH_TRACKER(slots_come_and_go_under_writers)
{
	enum { PAGES = 64, WRITERS = 3 };
	const double seconds = 0.8;
	char *memory = rig_map(PAGES);
	unsigned char out[PAGES];
	pthread_t writers[WRITERS];
	struct guest guest = {0};
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	rig_init(&guest.rig, backend, memory, PAGES, 0);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_at_random, &guest);
	for (unsigned int i = 0; !is_over(&start, seconds); i++) {
		const uint32_t flags = i & 1 ? GLN_LOG_START_ALL_MARKED : 0;

		cr_assert_eq(rig_start(&guest.rig, flags), 0);
		if (i & 2)
			cr_assert_geq(rig_harvest(&guest.rig, out), 0);
		rig_stop(&guest.rig);
	}
	atomic_store(&guest.stop, true);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	cr_assert_eq(atomic_load(&guest.rig.strays), 0,
		     "marked after it was detached");
	rig_fini(&guest.rig);
	rig_unmap(memory, PAGES);
}

/*
 * A harvest right after the mark, before the writer goes on: it takes the mark
 * and protects, so the write that follows must be marked once more. Were the
 * page marked before it is made writable, that write would be lost.
 */
static void harvest_once(struct rig *rig)
{
	unsigned char out[MAX_PAGES];

	rig->hook = NULL;
	if (rig_harvest(rig, out) != 1)
		atomic_fetch_add(&rig->strays, 1);
}

EACH_TRACKER(a_harvest_between_mark_and_write_loses_nothing)
{
	char *memory = rig_map(4);
	struct rig rig;

	if (!(backend->ops->caps & GLN_CAP_PROTECT))
		cr_skip_test("the kernel makes the steps in one");

	rig_init(&rig, backend, memory, 4, 0);
	for (size_t i = 0; i < 2; i++)
		rig_store(&rig, i);
	cr_assert_eq(rig_start(&rig, 0), 0);
	/* One that is there, and one that is not. */
	for (size_t i = 1; i < 3; i++) {
		madvise(memory + 2 * rig.page_bytes, rig.page_bytes,
			MADV_DONTNEED);
		rig.hook = harvest_once;
		rig_store(&rig, i);
		cr_assert_eq(rig.hook, NULL);
		expect_one(&rig, i, "written after the harvest");
	}
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 4);
}

/* A mark that takes its time, and somebody who detaches meanwhile. */
static atomic_bool mark_has_begun;
static atomic_bool mark_has_ended;

static void dawdle(struct rig *rig)
{
	const struct timespec a_while = {.tv_nsec = 100 * 1000 * 1000};

	rig->hook = NULL;
	atomic_store(&mark_has_begun, true);
	nanosleep(&a_while, NULL);
	atomic_store(&mark_has_ended, true);
}

static void *store_once(void *arg)
{
	rig_store(arg, 0);
	return NULL;
}

EACH_TRACKER(detach_waits_for_a_mark_under_way)
{
	char *memory = rig_map(1);
	pthread_t writer;
	struct rig rig;

	if (!(backend->ops->caps & GLN_CAP_PROTECT))
		cr_skip_test("nothing marks but a collect");

	rig_init(&rig, backend, memory, 1, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	rig.hook = dawdle;
	pthread_create(&writer, NULL, store_once, &rig);
	while (!atomic_load(&mark_has_begun))
		sched_yield();
	rig_stop(&rig);
	cr_assert(atomic_load(&mark_has_ended));
	pthread_join(writer, NULL);
	rig_fini(&rig);
	rig_unmap(memory, 1);
}

EACH_TRACKER(counts_faults_or_scans)
{
	const bool scans = backend->ops->caps & GLN_CAP_COLLECT;
	struct gln_process_stats stats = {.struct_bytes = sizeof(stats)};
	unsigned char out[MAX_PAGES];
	char *memory = rig_map(10);
	struct rig rig;

	cr_assert_eq(gln_process_stats(backend, &stats), 0);
	cr_assert_eq(stats.faults, 0);
	cr_assert_eq(stats.scans, 0);

	rig_init(&rig, backend, memory, 10, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	rig_store(&rig, 4);
	rig_store(&rig, 4);
	rig_store(&rig, 9);
	cr_assert_eq(rig_harvest(&rig, out), 2);
	cr_assert_eq(gln_process_stats(backend, &stats), 0);
	cr_assert_eq(stats.faults, scans ? 0 : 2);
	cr_assert_eq(stats.scans, scans ? 1 : 0);
	cr_assert_eq(stats.over_reported, 0);
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 10);
}

/* Is memory of @address backed by a huge page? By the kernel's own word. */
static bool is_huge(const char *address)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	bool within = false;
	bool huge = false;
	char line[512];

	cr_assert(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long start, end, kib;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			within = start <= (uintptr_t)address &&
				 end > (uintptr_t)address;
		if (within && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			huge = kib > 0;
	}
	fclose(file);

	return huge;
}

Test(pagemap_scan, a_huge_page_made_while_logging_is_counted)
{
	enum { HUGE_PAGES = 512 };
	struct gln_backend *backend = create(GLN_TRACKER_PAGEMAP_SCAN);
	const size_t huge_bytes = HUGE_PAGES * (size_t)sysconf(_SC_PAGESIZE);
	struct gln_process_stats stats = {.struct_bytes = sizeof(stats)};
	char *mapped = rig_map(2 * HUGE_PAGES);
	char *memory = (char *)(((uintptr_t)mapped + huge_bytes - 1) &
				~(uintptr_t)(huge_bytes - 1));
	unsigned char out[HUGE_PAGES];
	struct rig rig;

	rig_init(&rig, backend, memory, HUGE_PAGES, 0);
	madvise(memory, huge_bytes, MADV_HUGEPAGE);
	memset(memory, 1, huge_bytes);
	cr_assert_eq(rig_start(&rig, 0), 0);
	madvise(memory, huge_bytes, MADV_DONTNEED);
	rig_store(&rig, 5);
	if (!is_huge(memory))
		cr_skip_test("this kernel made no huge page");
	cr_assert_eq(rig_harvest(&rig, out), HUGE_PAGES);
	cr_assert_eq(gln_process_stats(backend, &stats), 0);
	cr_assert_eq(stats.over_reported, HUGE_PAGES - 1);
	rig_store(&rig, 6);
	expect_one(&rig, 6, "split again");
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(mapped, 2 * HUGE_PAGES);
	gln_process_destroy(backend);
}

Test(pagemap_scan, a_foreign_mapping_in_a_slot_is_an_error_that_loses_nothing)
{
	struct gln_backend *backend = create(GLN_TRACKER_PAGEMAP_SCAN);
	char *memory = rig_map(8);
	unsigned char out[MAX_PAGES];
	struct rig rig;

	rig_init(&rig, backend, memory, 8, 0);
	cr_assert_eq(rig_start(&rig, 0), 0);
	rig_store(&rig, 1);
	cr_assert_neq(mmap(memory + 4 * rig.page_bytes, rig.page_bytes,
			   PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
		      MAP_FAILED);
	rig_store(&rig, 6);
	cr_assert_eq(rig_harvest(&rig, out), -EPERM);
	for (size_t i = 0; i < 8; i++)
		cr_assert(atomic_load(&rig.marks[i]), "page %zu", i);
	rig_stop(&rig);
	rig_fini(&rig);
	rig_unmap(memory, 8);
	gln_process_destroy(backend);
}

/* Choosing a tracker. */

static void expect_one_line(const char *reason, const char *who)
{
	const size_t length = strnlen(reason, GLN_REASON_BYTES);

	cr_assert_gt(length, 0, "%s", who);
	cr_assert_lt(length, GLN_REASON_BYTES, "%s", who);
	cr_assert_eq(strchr(reason, '\n'), NULL, "%s", who);
}

Test(process, every_tracker_has_a_name_and_a_reason)
{
	for (int i = 1; i <= GLN_NR_TRACKERS; i++) {
		const enum gln_tracker tracker = (enum gln_tracker)i;
		char reason[GLN_REASON_BYTES];
		struct gln_backend *backend;

		memset(reason, 0x55, sizeof(reason));
		const int err = gln_tracker_probe(tracker, reason);

		cr_assert(err == 0 || err == -ENOTSUP || err == -EPERM);
		expect_one_line(reason, gln_tracker_name(tracker));
		cr_log_info("%s: %s", gln_tracker_name(tracker), reason);

		memset(reason, 0x55, sizeof(reason));
		cr_assert_eq(gln_process_create(tracker, reason, &backend),
			     err);
		expect_one_line(reason, gln_tracker_name(tracker));
		if (err)
			continue;
		cr_assert_eq(gln_process_tracker(backend), tracker);
		gln_process_destroy(backend);
	}
	cr_assert_str_eq(gln_tracker_name(GLN_TRACKER_AUTO), "auto");
	cr_assert_str_eq(gln_tracker_name(GLN_TRACKER_PAGEMAP_SCAN),
			 "pagemap-scan");
	cr_assert_str_eq(gln_tracker_name(GLN_TRACKER_UFFD), "uffd");
	cr_assert_str_eq(gln_tracker_name(GLN_TRACKER_MPROTECT), "mprotect");
}

Test(process, auto_takes_the_first_that_works)
{
	char reason[GLN_REASON_BYTES];
	struct gln_backend *backend;
	int first = 1;

	while (gln_tracker_probe((enum gln_tracker)first, reason))
		first++;
	cr_assert_eq(gln_process_create(GLN_TRACKER_AUTO, reason, &backend), 0);
	cr_assert_eq((int)gln_process_tracker(backend), first);
	expect_one_line(reason, "auto");
	gln_process_destroy(backend);

	cr_assert_eq(gln_process_create(GLN_TRACKER_AUTO, NULL, &backend), 0);
	gln_process_destroy(backend);
}

Test(process, wrong_numbers_are_refused)
{
	const enum gln_tracker beyond = (enum gln_tracker)(GLN_NR_TRACKERS + 1);
	const enum gln_tracker below = (enum gln_tracker) - 1;
	struct gln_backend *const none = NULL;
	struct gln_backend *backend = none;
	char reason[GLN_REASON_BYTES];

	cr_assert_eq(gln_tracker_name(beyond), NULL);
	cr_assert_eq(gln_tracker_name(below), NULL);
	cr_assert_eq(gln_tracker_probe(GLN_TRACKER_AUTO, reason), -EINVAL);
	cr_assert_eq(gln_tracker_probe(beyond, reason), -EINVAL);
	cr_assert_eq(gln_process_create(beyond, reason, &backend), -EINVAL);
	expect_one_line(reason, "beyond");
	cr_assert_eq(gln_process_create(below, NULL, &backend), -EINVAL);
	cr_assert_eq(backend, none);
}

Test(process, statistics_are_sized_by_the_caller)
{
	struct gln_backend *backend = create(GLN_TRACKER_AUTO);
	struct gln_process_stats stats;

	memset(&stats, 0x55, sizeof(stats));
	stats.struct_bytes = 0;
	cr_assert_eq(gln_process_stats(backend, &stats), -EINVAL);
	stats.struct_bytes = sizeof(stats) + 1;
	cr_assert_eq(gln_process_stats(backend, &stats), -EINVAL);
	cr_assert_eq(stats.faults, UINT64_C(0x5555555555555555));

	stats.struct_bytes = offsetof(struct gln_process_stats, scans);
	cr_assert_eq(gln_process_stats(backend, &stats), 0);
	cr_assert_eq(stats.faults, 0);
	cr_assert_eq(stats.scans, UINT64_C(0x5555555555555555));
	gln_process_destroy(backend);
}
