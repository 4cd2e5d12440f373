/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store_buffer.c - a vCPU that finds its bit set must not trust it before its
 * stores are out. (G1)
 *
 *	a vCPU				a harvester
 *	  store the bytes		  exchange the bit
 *	  store the entry: writable	  store the entry: not writable
 *	  load the bit: set, so done	  load the bytes: the copy
 *
 * Without a full fence on both sides, or a heavy one on the right, the vCPU's
 * stores may wait in its store buffer until the harvester has done all three:
 * the page is writable, not marked, and its copy is old.
 *
 * Two threads, each on a CPU of its own, meet before every trial. The page is
 * marked already, as by a device, and the vCPU stores first to lines that the
 * harvester's CPU owns: what follows waits behind them.
 *
 * With --view 1 the vCPU marks through a view, which is open before the trial
 * and has the slot already: all that it does is in its own code.
 *
 * With --enable 1 the right side switches logging on instead: it publishes the
 * log, then protects. The vCPU that found no log must have its entry out before
 * that; there the grace period is the fence.
 */
#include "tests/support/stress_frame.h"

#include <glean/glean.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/base/atomic.h"

enum {
	NR_LINES = 96, /* more than a store buffer holds */
	LINE_BYTES = 64,
	SLOT_ID = 1,
	GFN = 0x77,
	MAX_SKEW_SHIFT = 14,
	/* Before the CPU is given to somebody else: both must have one. */
	SPINS = 20000,
	MIN_TRIALS = 100,
};

#define ON_ITS_OWN_LINE __attribute__((aligned(LINE_BYTES)))

static struct {
	ON_ITS_OWN_LINE gln_word line[NR_LINES][LINE_BYTES / sizeof(gln_word)];
	ON_ITS_OWN_LINE gln_word bytes;
	ON_ITS_OWN_LINE gln_word entry; /* the number of the trial: writable */
	ON_ITS_OWN_LINE gln_word ready; /* the vCPU is, for this trial */
	ON_ITS_OWN_LINE gln_word go;	/* both shall, now */
	ON_ITS_OWN_LINE gln_word done;	/* the vCPU is, with this trial */
	ON_ITS_OWN_LINE struct gln_vm *vm;
	bool has_view;
	struct stress_random vcpu_random;
	struct stress_random random;
} shared;

/** struct settings - options, and their defaults. */
struct settings {
	uint64_t ms;
	uint64_t full_fence;
	uint64_t enable;
	uint64_t view;
	uint64_t until_lost;
	uint64_t seed;
};

/** struct counts - what came of the trials. */
struct counts {
	uint64_t trials;
	uint64_t lost_entries;
	uint64_t lost_bytes;
};

/* The smallest MMU: one entry. */

static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	(void)backend;
	(void)slot;
	(void)flags;
	gln_store_relaxed(&shared.entry, 0);
	return 0;
}

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	(void)backend;
	(void)slot;
	(void)ranges;
	(void)nr_ranges;
	/* Relaxed: the order under test is not the backend's to make. */
	gln_store_relaxed(&shared.entry, 0);
	return 0;
}

static const struct gln_backend_ops ops = {
	.name = "entry",
	.caps = GLN_CAP_PROTECT,
	.log_start = log_start,
	.protect = protect,
};

/* The two sides. */

static void await(gln_word *word, uint64_t value)
{
	for (unsigned int i = 0; gln_load_acquire(word) < value; i++)
		if (i % SPINS == SPINS - 1)
			sched_yield();
}

/* Short waits more often than long ones. */
static void skew(struct stress_random *random)
{
	const uint64_t most = UINT64_C(1)
			      << stress_below(random, MAX_SKEW_SHIFT + 1);

	for (uint64_t i = stress_below(random, most); i > 0; i--)
		gln_fence_compiler();
}

/* A fault, and a device's store, at once. Relaxed: it is for mark to order. */
static void write_and_mark(uint64_t trial, struct gln_view *view)
{
	for (unsigned int i = 0; i < NR_LINES; i++)
		gln_store_relaxed(&shared.line[i][0], trial);
	gln_store_relaxed(&shared.bytes, trial);
	gln_store_relaxed(&shared.entry, trial);
	if (view)
		gln_view_mark(view, GFN);
	else
		gln_dirty_mark(shared.vm, GFN);
}

/* One trial in a view. The page is marked already. */
static void try_in_view(uint64_t trial)
{
	struct gln_view view;

	gln_view_open(shared.vm, &view);
	gln_view_mark(&view, GFN);
	gln_store_release(&shared.ready, trial);
	await(&shared.go, trial);
	if (gln_load_relaxed(&shared.go) != UINT64_MAX) {
		skew(&shared.vcpu_random);
		write_and_mark(trial, &view);
	}
	gln_view_close(&view);
}

static void try_without(uint64_t trial)
{
	gln_store_release(&shared.ready, trial);
	await(&shared.go, trial);
	if (gln_load_relaxed(&shared.go) == UINT64_MAX)
		return;
	skew(&shared.vcpu_random);
	write_and_mark(trial, NULL);
}

static void *vcpu_main(void *arg)
{
	(void)arg;
	stress_pin(1);
	for (uint64_t trial = 1;; trial++) {
		if (shared.has_view)
			try_in_view(trial);
		else
			try_without(trial);
		if (gln_load_relaxed(&shared.go) == UINT64_MAX)
			return NULL;
		gln_store_release(&shared.done, trial);
	}
}

/* Own the lines that the vCPU will store to first. */
static void own_lines(void)
{
	for (unsigned int i = 0; i < NR_LINES; i++)
		gln_store_relaxed(&shared.line[i][1], 1);
}

/* Harvest; was the page reported, and what was in it then? */
static bool harvest(uint64_t *copy)
{
	/* Not by a flip, which would wait for a view. */
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = GLN_HARVEST_EXCHANGE,
	};
	struct gln_harvest *harvest;
	struct gln_range run;
	bool reported;

	CHECK(!gln_harvest_begin(shared.vm, SLOT_ID, &all, &harvest),
	      "a harvest can begin");
	/* Relaxed: guest memory. */
	*copy = gln_load_relaxed(&shared.bytes);
	reported = gln_harvest_next(harvest, &run, 1) > 0;
	gln_harvest_commit(harvest);

	return reported;
}

/*
 * What runs beside the vCPU; a page that the log has from then on may be
 * written. Returns what a copy made after it holds.
 */
static uint64_t harvest_beside(void)
{
	uint64_t copy;

	harvest(&copy);
	return copy;
}

static uint64_t enable_beside(void)
{
	CHECK(!gln_log_enable(shared.vm, SLOT_ID, 0), "logging can start");
	return gln_load_relaxed(&shared.bytes);
}

/* Before it: a page that is marked, or is not logged. */
static void prepare(bool enables)
{
	if (enables)
		CHECK(!gln_log_disable(shared.vm, SLOT_ID), "logging can stop");
	else
		gln_dirty_mark(shared.vm, GFN);
}

static void try_once(bool enables, uint64_t trial, struct counts *counts)
{
	uint64_t copy;
	uint64_t last_copy;
	uint64_t entry;

	prepare(enables);
	own_lines();
	await(&shared.ready, trial);
	gln_store_release(&shared.go, trial);
	skew(&shared.random);
	copy = enables ? enable_beside() : harvest_beside();
	await(&shared.done, trial);

	entry = gln_load_relaxed(&shared.entry);
	counts->trials++;
	if (harvest(&last_copy))
		return;
	if (entry)
		counts->lost_entries++;
	if (copy != trial)
		counts->lost_bytes++;
}

static void run_trials(const struct settings *settings, struct counts *counts)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	pthread_t vcpu;

	CHECK(!pthread_create(&vcpu, NULL, vcpu_main, NULL),
	      "a thread can be made");
	while (stress_goes_on(&soak, counts->trials >= MIN_TRIALS) &&
	       !(settings->until_lost && counts->lost_entries))
		try_once(settings->enable, counts->trials + 1, counts);
	await(&shared.ready, counts->trials + 1);
	gln_store_release(&shared.go, UINT64_MAX);
	pthread_join(vcpu, NULL);
}

static void run_vm(const struct settings *settings, struct counts *counts)
{
	struct gln_backend backend = {.ops = &ops};
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = settings->full_fence ? GLN_VM_FULL_FENCE : 0,
		.backend = &backend,
	};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT_ID,
		.base = GFN,
		.nr_pages = 1,
	};

	CHECK(!gln_vm_create(&params, &shared.vm), "a VM can be made");
	CHECK(!gln_slot_add(shared.vm, &slot), "a slot can be added");
	CHECK(!gln_log_enable(shared.vm, SLOT_ID, 0), "logging can start");
	run_trials(settings, counts);
	CHECK(!gln_vm_destroy(shared.vm), "nothing uses the VM any more");
}

int main(int argc, char **argv)
{
	struct settings settings = {.ms = 3000};
	const struct stress_option options[] = {
		{"ms", &settings.ms, NULL},
		{"full-fence", &settings.full_fence, NULL},
		{"enable", &settings.enable, NULL},
		{"view", &settings.view, NULL},
		{"until-lost", &settings.until_lost, NULL},
		{"seed", &settings.seed, NULL},
	};
	struct counts counts = {0};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);
	shared.random = stress_random_from(settings.seed, 0);
	shared.vcpu_random = stress_random_from(settings.seed, 1);
	if (stress_pin(0) < 2)
		stress_skip("one CPU reorders nothing that it shows itself");

	shared.has_view = settings.view;
	run_vm(&settings, &counts);
	printf("store_buffer, %s beside a vCPU; %s, seed %" PRIu64 "\n",
	       settings.enable ? "logging enabled" : "harvests",
	       settings.full_fence ? "full fences" : "the platform's fence",
	       settings.seed);
	printf("%" PRIu64 " trials, %" PRIu64 " entries and %" PRIu64
	       " bytes lost\n",
	       counts.trials, counts.lost_entries, counts.lost_bytes);
	return stress_verdict(counts.lost_entries + counts.lost_bytes);
}
