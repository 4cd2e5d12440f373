/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parts.c - harvests of a whole VM, shared by workers, while vCPUs mark.
 *
 * A frame is a number. Markers make it grow, and mark; a harvest of the VM, cut
 * into parts, copies what it reports; some are aborted, in part or in whole. At
 * the end of a round the markers rest, one harvest more is made, and every copy
 * must equal its frame. What lies in clean lines meanwhile is marked by the
 * harvester: else there would be too little to share.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

#include "core/base/atomic.h"
#include "core/dirty/parts.h"
#include "tests/support/stress_frame.h"

enum {
	FIRST_PAGES = 2 * PART_PAGES + 77,
	SECOND_PAGES = PART_PAGES + 33,
	NR_FRAMES = FIRST_PAGES + SECOND_PAGES,
	MAX_MARKERS = 16,
	/* Every second mark is of one of so many frames on either side of where
	 * parts meet. */
	HOT_FRAMES = 16,
};

/** struct settings - options, and their defaults. */
struct settings {
	uint64_t ms;
	uint64_t round_ms;
	uint64_t markers;
	uint64_t workers;
	uint64_t flip;
	uint64_t full_fence;
	uint64_t until_lost;
	uint64_t seed;
};

/** struct marker - a thread that marks. */
struct marker {
	struct stress_random random;
	pthread_t thread;
	uint64_t nr_marks;
};

static _Atomic uint32_t frames[NR_FRAMES];
static uint32_t copies[NR_FRAMES];
static struct gln_vm *vm;
static struct marker markers[MAX_MARKERS];
static pthread_barrier_t round_edge;
static _Atomic bool is_running, is_over;

static uint64_t choose_frame(struct stress_random *random)
{
	const uint64_t edges[] = {PART_PAGES, FIRST_PAGES,
				  FIRST_PAGES + PART_PAGES};
	const uint64_t edge = edges[stress_below(random, ARRAY_SIZE(edges))];

	if (stress_chance(random, 500))
		return stress_below(random, NR_FRAMES);
	return edge - HOT_FRAMES + stress_below(random, 2 * HOT_FRAMES);
}

static void *run_marker(void *arg)
{
	struct marker *const marker = arg;

	for (;;) {
		pthread_barrier_wait(&round_edge);
		/* Relaxed: the barrier orders it. */
		if (gln_load_relaxed(&is_over))
			return NULL;
		/* Relaxed, all: marks and harvests are to order frames. */
		while (gln_load_relaxed(&is_running)) {
			const uint64_t frame = choose_frame(&marker->random);

			gln_fetch_add_relaxed(&frames[frame], 1);
			gln_dirty_mark(vm, frame);
			marker->nr_marks++;
		}
		pthread_barrier_wait(&round_edge);
	}
}

/* An abort is to find them all again, so nothing is copied before it. */
static void count(void *ctx, const struct gln_range *runs, size_t nr_runs)
{
	_Atomic uint64_t *const nr = ctx;

	for (size_t i = 0; i < nr_runs; i++)
		/* Relaxed: a count. */
		gln_fetch_add_relaxed(nr, runs[i].count);
}

static void copy(void *ctx, const struct gln_range *runs, size_t nr_runs)
{
	for (size_t i = 0; i < nr_runs; i++) {
		for (uint64_t j = 0; j < runs[i].count; j++)
			/* Relaxed: as the marker's. */
			copies[runs[i].first + j] =
				gln_load_relaxed(&frames[runs[i].first + j]);
	}
	count(ctx, runs, nr_runs);
}

/** struct tally - what came of it. */
struct tally {
	uint64_t nr_walked;
	uint64_t nr_shared;
	_Atomic uint64_t nr_pages;
	uint64_t nr_aborted;
};

static struct gln_vm_harvest *begin(struct gln_workers *workers,
				    enum gln_harvest_strategy strategy)
{
	const struct gln_vm_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
		.workers = workers,
	};
	struct gln_vm_harvest *harvest;
	const int err = gln_vm_harvest_begin(vm, &params, &harvest);

	CHECK(!err, "a harvest begins, error %d", err);
	return harvest;
}

typedef void (*visit_fn)(void *ctx, const struct gln_range *runs,
			 size_t nr_runs);

/*
 * Every page handed out was taken, and none twice. Without its grace period a
 * flip goes on changing: then what is lost is counted at the end.
 */
static void walk(struct gln_vm_harvest *harvest, visit_fn visit,
		 struct tally *tally, bool is_broken)
{
	struct gln_vm_harvest_report report = {.struct_bytes = sizeof(report)};
	/* Relaxed, all of it: nobody is at work. */
	const uint64_t before = gln_load_relaxed(&tally->nr_pages);
	uint64_t nr;

	gln_vm_harvest_each(harvest, visit, &tally->nr_pages);
	CHECK(!gln_vm_harvest_report(harvest, &report), "there is a report");
	nr = gln_load_relaxed(&tally->nr_pages) - before;
	CHECK(is_broken || nr == report.nr_pages,
	      "%" PRIu64 " pages handed out of %" PRIu64, nr, report.nr_pages);
	tally->nr_walked++;
	tally->nr_shared += report.is_shared;
}

/* What the harvest finds, and the marks that make it worth sharing. */
static struct gln_vm_harvest *begin_at_random(const struct settings *settings,
					      struct gln_workers *workers,
					      struct stress_random *random)
{
	const enum gln_harvest_strategy any =
		(enum gln_harvest_strategy)stress_below(random,
							GLN_HARVEST_FLIP + 1);

	for (uint64_t i = 0; i < NR_FRAMES; i += LINE_PAGES)
		gln_dirty_mark(vm, i);
	return begin(workers, settings->flip ? GLN_HARVEST_FLIP : any);
}

static void harvest_at_random(const struct settings *settings,
			      struct gln_workers *workers,
			      struct stress_random *random, struct tally *tally)
{
	struct gln_vm_harvest *const harvest =
		begin_at_random(settings, workers, random);
	const struct gln_range some = {stress_below(random, NR_FRAMES),
				       stress_below(random, NR_FRAMES)};

	if (stress_chance(random, 200)) {
		walk(harvest, count, tally, settings->until_lost);
		tally->nr_aborted += gln_vm_harvest_abort(harvest);
		return;
	}
	if (stress_chance(random, 300))
		tally->nr_aborted += gln_harvest_abort_range(
			gln_vm_harvest_slot(harvest, 1), some);
	gln_vm_harvest_each(harvest, copy, &tally->nr_pages);
	gln_vm_harvest_commit(harvest);
}

/* Returns how many frames the round lost. */
static uint64_t run_round(const struct settings *settings,
			  struct gln_workers *workers,
			  struct stress_random *random, struct tally *tally)
{
	const uint64_t end = stress_now_ns() + stress_ms(settings->round_ms);
	struct gln_vm_harvest *harvest;
	uint64_t lost = 0;

	gln_store_relaxed(&is_running, true);
	pthread_barrier_wait(&round_edge);
	while (stress_now_ns() < end)
		harvest_at_random(settings, workers, random, tally);
	gln_store_relaxed(&is_running, false);
	pthread_barrier_wait(&round_edge);

	/* One takes what is live; what lies elsewhere is lost. */
	harvest = begin(workers, GLN_HARVEST_EXCHANGE);
	walk(harvest, copy, tally, settings->until_lost);
	gln_vm_harvest_commit(harvest);
	for (uint64_t i = 0; i < NR_FRAMES; i++)
		lost += copies[i] != gln_load_relaxed(&frames[i]);
	CHECK(settings->until_lost ||
		      !gln_vm_harvest_commit(begin(workers, GLN_HARVEST_FLIP)),
	      "when nobody marks, nothing is left");

	return lost;
}

static void make_vm(const struct settings *settings)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = settings->full_fence ? GLN_VM_FULL_FENCE : 0,
	};
	const struct gln_slot_params slots[] = {
		{.struct_bytes = sizeof(slots[0]),
		 .id = 1,
		 .nr_pages = FIRST_PAGES},
		{.struct_bytes = sizeof(slots[0]),
		 .id = 2,
		 .base = FIRST_PAGES,
		 .nr_pages = SECOND_PAGES},
	};

	CHECK(!gln_vm_create(&params, &vm), "a VM");
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++)
		CHECK(!gln_slot_add(vm, &slots[i]) &&
			      !gln_log_enable(vm, slots[i].id, 0),
		      "slots that are logged");
}

static void start_markers(const struct settings *settings)
{
	const unsigned int nr = (unsigned int)settings->markers;

	CHECK(nr && nr <= MAX_MARKERS, "from 1 to %d markers", MAX_MARKERS);
	pthread_barrier_init(&round_edge, NULL, nr + 1);
	for (unsigned int i = 0; i < nr; i++) {
		markers[i].random = stress_random_from(settings->seed, i);
		CHECK(!pthread_create(&markers[i].thread, NULL, run_marker,
				      &markers[i]),
		      "a marker");
	}
}

static uint64_t stop_markers(const struct settings *settings)
{
	uint64_t nr_marks = 0;

	gln_store_relaxed(&is_over, true);
	pthread_barrier_wait(&round_edge);
	for (unsigned int i = 0; i < settings->markers; i++) {
		pthread_join(markers[i].thread, NULL);
		nr_marks += markers[i].nr_marks;
	}

	return nr_marks;
}

static bool has_happened(const struct settings *settings,
			 const struct tally *tally)
{
	return tally->nr_walked && tally->nr_aborted &&
	       (tally->nr_shared || settings->workers == 1);
}

static uint64_t run(const struct settings *settings)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	struct stress_random random = stress_random_from(settings->seed, 1000);
	struct gln_workers *workers;
	struct tally tally = {0};
	uint64_t lost = 0, nr_marks;

	make_vm(settings);
	CHECK(!gln_workers_create((unsigned int)settings->workers, &workers),
	      "workers");
	start_markers(settings);
	while (stress_goes_on(&soak, has_happened(settings, &tally)) &&
	       !(settings->until_lost && lost))
		lost += run_round(settings, workers, &random, &tally);
	nr_marks = stop_markers(settings);
	gln_workers_destroy(workers);
	CHECK(!gln_vm_destroy(vm), "the VM is not in use");

	printf("parts; %" PRIu64 " workers, %" PRIu64 " markers, seed %" PRIu64
	       "\n%" PRIu64 " marks, %" PRIu64 " walks checked, %" PRIu64
	       " shared, of %" PRIu64 " pages, %" PRIu64 " pages aborted\n",
	       settings->workers, settings->markers, settings->seed, nr_marks,
	       tally.nr_walked, tally.nr_shared,
	       gln_load_relaxed(&tally.nr_pages), tally.nr_aborted);
	return lost;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.ms = 2000,
		.round_ms = 150,
		.markers = 2,
		.workers = 3,
	};
	const struct stress_option options[] = {
		{"ms", &settings.ms, NULL},
		{"round-ms", &settings.round_ms, NULL},
		{"markers", &settings.markers, NULL},
		{"workers", &settings.workers, NULL},
		{"flip", &settings.flip, NULL},
		{"full-fence", &settings.full_fence, NULL},
		{"until-lost", &settings.until_lost, NULL},
		{"seed", &settings.seed, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);

	return stress_verdict(run(&settings));
}
