/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histograms.c - read while they are written, they are never wrong by more than
 * what happens meanwhile, and no time is lost.
 *
 * Each of some threads harvests a slot of its own, as fast as it can, clean and
 * dirty in turn. One that stops nobody reads all histograms over and over:
 * counts only grow, percentiles ascend. In the end every harvest is counted.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include <glean/glean.h>

#include "core/base/atomic.h"
#include "tests/support/stress_frame.h"

enum {
	NR_HARVESTERS = 3,
	NR_PAGES = 5000,
	MIN_DIRTY = 100, /* harvests that found something */
};

/** struct harvester - a thread, its slot, and what it did. */
struct harvester {
	pthread_t thread;
	uint32_t slot;
	uint64_t nr_harvests;
	uint64_t nr_dirty;
};

static struct {
	struct gln_vm *vm;
	_Atomic uint32_t stop;
	struct harvester harvesters[NR_HARVESTERS];
} test;

static void harvest_once(struct harvester *self)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		/* A flip would have to hand out its snapshot, clean or not. */
		.strategy = GLN_HARVEST_EXCHANGE,
	};
	const bool is_dirty = self->nr_harvests % 2;
	struct gln_harvest *harvest;

	if (is_dirty)
		gln_dirty_mark(test.vm, self->slot * NR_PAGES +
						self->nr_harvests % NR_PAGES);
	CHECK(!gln_harvest_begin(test.vm, self->slot, &params, &harvest),
	      "the slot can be harvested");
	CHECK(gln_harvest_commit(harvest) == is_dirty, "it has its page");
	self->nr_harvests++;
	self->nr_dirty += is_dirty;
}

static void *harvest(void *arg)
{
	struct harvester *const self = arg;

	/* Relaxed: it says nothing but "enough". */
	while (!gln_load_relaxed(&test.stop))
		harvest_once(self);

	return NULL;
}

static struct gln_histogram read_histogram(enum gln_step step)
{
	struct gln_histogram histogram = {.struct_bytes = sizeof(histogram)};

	CHECK(!gln_vm_histogram(test.vm, step, &histogram), "it can be read");
	return histogram;
}

static uint64_t count_buckets(enum gln_step step)
{
	static struct gln_bucket buckets[GLN_MAX_BUCKETS];
	const size_t nr =
		gln_vm_buckets(test.vm, step, buckets, GLN_MAX_BUCKETS);
	uint64_t count = 0;

	for (size_t i = 0; i < nr; i++)
		count += buckets[i].count;

	return count;
}

/* Read all, and hold them to the last time. */
static void read_all(struct gln_histogram last[GLN_NR_STEPS])
{
	for (enum gln_step step = 0; step < GLN_NR_STEPS; step++) {
		const struct gln_histogram now = read_histogram(step);

		CHECK(now.count >= last[step].count, "counts only grow");
		CHECK(now.max_ns >= last[step].max_ns, "so does the longest");
		CHECK(now.p50_ns <= now.p90_ns && now.p90_ns <= now.p99_ns &&
			      now.p99_ns <= now.max_ns,
		      "percentiles ascend");
		CHECK(count_buckets(step) >= now.count, "buckets only grow");
		last[step] = now;
	}
}

static void start(void)
{
	const struct gln_vm_params vm = {.struct_bytes = sizeof(vm)};

	CHECK(!gln_vm_create(&vm, &test.vm), "a VM");
	for (uint32_t i = 0; i < NR_HARVESTERS; i++) {
		struct harvester *const h = &test.harvesters[i];
		const struct gln_slot_params slot = {
			.struct_bytes = sizeof(slot),
			.id = i,
			.base = i * NR_PAGES,
			.nr_pages = NR_PAGES,
		};

		h->slot = i;
		CHECK(!gln_slot_add(test.vm, &slot), "slot %" PRIu32, i);
		CHECK(!gln_log_enable(test.vm, i, 0), "its log");
		CHECK(!pthread_create(&h->thread, NULL, harvest, h),
		      "a thread");
	}
}

int main(int argc, char **argv)
{
	uint64_t ms = 1000, nr_reads = 0, nr_harvests = 0, nr_dirty = 0;
	const struct stress_option options[] = {{"ms", .number = &ms}};
	struct gln_histogram last[GLN_NR_STEPS] = {{0}};
	struct stress_soak soak;

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	start();
	for (soak = stress_soak(ms);
	     stress_goes_on(&soak, last[GLN_STEP_DELIVER].count >= MIN_DIRTY);
	     nr_reads++)
		read_all(last);
	/* Relaxed: see harvest(). */
	gln_store_relaxed(&test.stop, 1);
	for (uint32_t i = 0; i < NR_HARVESTERS; i++) {
		pthread_join(test.harvesters[i].thread, NULL);
		nr_harvests += test.harvesters[i].nr_harvests;
		nr_dirty += test.harvesters[i].nr_dirty;
	}

	read_all(last);
	CHECK(last[GLN_STEP_TAKE].count == nr_harvests, "every take");
	CHECK(last[GLN_STEP_BEGIN].count == nr_harvests, "every begin");
	CHECK(last[GLN_STEP_DELIVER].count == nr_dirty, "every delivery");
	CHECK(!last[GLN_STEP_PROTECT].count, "and nothing else");
	CHECK(last[GLN_STEP_BEGIN].sum_ns == last[GLN_STEP_TAKE].sum_ns,
	      "nor any other time");
	printf("%" PRIu64 " harvests, read %" PRIu64 " times meanwhile\n",
	       nr_harvests, nr_reads);
	CHECK(!gln_vm_destroy(test.vm), "and it ends");
	return stress_verdict(0);
}
