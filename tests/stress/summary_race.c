/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * summary_race.c - a mark that has returned is in the next harvest. (G1, B1)
 *
 * A few markers share a few pages, all under one or two bits of the summary: so
 * one marker finds the bit set that another is about to set, and a late summary
 * bit of a line that is empty again. Each marker writes a page, marks it, and
 * announces that through a variable of its own. The harvester reads what was
 * announced, then harvests: the copies it has after that must be as new as
 * what was announced. That a later harvest may come by is no excuse here.
 *
 * With --view N a marker marks through a view, and opens a new one after each N
 * marks.
 */
#include "tests/support/stress_frame.h"

#include <glean/glean.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "core/base/atomic.h"

enum {
	MAX_MARKERS = 8,
	NR_PAGES = 3 * 512, /* three lines under one word of the summary */
	NR_PLACES = 4,
	SLOT_ID = 2,
	BASE = 0x1001,
	PLACE_BITS = 16,
	MAX_PAUSE = 400,
	YIELD_MARKS = 1024, /* between two offers of the CPU to others */
	/*
	 * With --levels, lines are that far apart: each under a line of the
	 * summary of its own, all under one or two bits of the top level.
	 */
	FAR_PAGES = 3 * 512 * 512,
	LINE_PAGES = 512,
	MIN_TAKEN = 1000, /* pages */
};

/** struct marker - what a thread has written and announced. */
struct marker {
	struct gln_vm *vm;
	unsigned int index;
	struct stress_random random;
	struct gln_view view;
	gln_word *pages; /* NR_PAGES of MAX_MARKERS words */
	_Atomic uint32_t *stop;
	/* sequence << PLACE_BITS | page */
	__attribute__((aligned(64))) gln_word announced;
};

/** struct settings - options, and their defaults. */
struct settings {
	uint64_t ms;
	uint64_t markers;
	uint64_t full_fence;
	uint64_t quick; /* quick marks */
	uint64_t pin;
	uint64_t flip; /* harvest by flip, else by exchange */
	uint64_t levels;
	uint64_t view; /* marks to one; 0: none */
	uint64_t until_lost;
	uint64_t seed;
};

static struct race {
	struct gln_vm *vm;
	struct settings settings;
	gln_word pages[NR_PAGES * MAX_MARKERS];
	uint64_t copies[NR_PAGES * MAX_MARKERS];
	struct marker markers[MAX_MARKERS];
	pthread_t threads[MAX_MARKERS];
	_Atomic uint32_t stop;
	uint64_t harvests;
	uint64_t empty;
	uint64_t taken;
	uint64_t lost;
} race;

/* Where the slot has a page of ours; and back. */
static uint64_t to_slot(uint64_t page)
{
	if (!race.settings.levels)
		return page;
	return page / LINE_PAGES * FAR_PAGES + page % LINE_PAGES;
}

static uint64_t from_slot(uint64_t page)
{
	if (!race.settings.levels)
		return page;
	return page / FAR_PAGES * LINE_PAGES + page % FAR_PAGES;
}

/* One page for all, one beside it, one in the next word, one in other lines. */
static uint64_t choose_page(struct marker *marker)
{
	const uint64_t places[NR_PLACES] = {
		0,
		1 + marker->index,
		64 + marker->index,
		512 * (1 + marker->index % 2) + 3,
	};

	return places[stress_below(&marker->random, NR_PLACES)];
}

static void pause_a_while(struct marker *marker)
{
	for (uint64_t i = stress_below(&marker->random, MAX_PAUSE); i > 0; i--)
		gln_fence_compiler();
}

static void mark(struct marker *marker, uint64_t sequence, gln_gfn gfn)
{
	if (!race.settings.view) {
		gln_dirty_mark(marker->vm, gfn);
		return;
	}
	if (sequence % race.settings.view == 0) {
		gln_view_close(&marker->view);
		gln_view_open(marker->vm, &marker->view);
	}
	gln_view_mark(&marker->view, gfn);
}

/* Give the CPU away; not in a view, which others wait for. */
static void yield(struct marker *marker)
{
	if (race.settings.view)
		gln_view_close(&marker->view);
	sched_yield();
	if (race.settings.view)
		gln_view_open(marker->vm, &marker->view);
}

static void *marker_main(void *arg)
{
	struct marker *const marker = arg;

	if (race.settings.pin)
		stress_pin(1 + marker->index);
	if (race.settings.view)
		gln_view_open(marker->vm, &marker->view);
	for (uint64_t sequence = 1; !gln_load_relaxed(marker->stop);
	     sequence++) {
		const uint64_t page = choose_page(marker);

		/* Relaxed: guest memory; the mark orders it. */
		gln_store_relaxed(
			&marker->pages[page * MAX_MARKERS + marker->index],
			sequence);
		mark(marker, sequence, BASE + to_slot(page));
		/* Release: the mark, before the news of it. */
		gln_store_release(&marker->announced,
				  sequence << PLACE_BITS | page);
		pause_a_while(marker);
		if (sequence % YIELD_MARKS == 0)
			yield(marker);
	}
	if (race.settings.view)
		gln_view_close(&marker->view);

	return NULL;
}

static void copy_page(uint64_t page)
{
	for (unsigned int i = 0; i < MAX_MARKERS; i++)
		race.copies[page * MAX_MARKERS + i] =
			gln_load_relaxed(&race.pages[page * MAX_MARKERS + i]);
}

static void harvest(void)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = race.settings.flip ? GLN_HARVEST_FLIP
					       : GLN_HARVEST_EXCHANGE,
	};
	struct gln_harvest *harvest;
	struct gln_range run;
	uint64_t nr = 0;

	CHECK(!gln_harvest_begin(race.vm, SLOT_ID, &all, &harvest),
	      "a harvest can begin");
	while (gln_harvest_next(harvest, &run, 1)) {
		for (uint64_t i = 0; i < run.count; i++)
			copy_page(from_slot(run.first - BASE) + i);
		nr += run.count;
	}
	gln_harvest_commit(harvest);

	race.harvests++;
	race.taken += nr;
	race.empty += nr ? 0 : 1;
}

/* Is what this marker announced in the copies? */
static void check(unsigned int index, uint64_t announced)
{
	const uint64_t page = announced & ((1U << PLACE_BITS) - 1);
	const uint64_t sequence = announced >> PLACE_BITS;
	uint64_t *const copy = &race.copies[page * MAX_MARKERS + index];

	if (*copy >= sequence)
		return;
	race.lost++;
	*copy = sequence; /* counted */
}

static void harvest_and_check(void)
{
	uint64_t announced[MAX_MARKERS];

	/* Acquire: the mark, with the news of it. */
	for (unsigned int i = 0; i < race.settings.markers; i++)
		announced[i] = gln_load_acquire(&race.markers[i].announced);
	harvest();
	for (unsigned int i = 0; i < race.settings.markers; i++)
		check(i, announced[i]);
}

static void start_markers(void)
{
	for (unsigned int i = 0; i < race.settings.markers; i++) {
		race.markers[i] = (struct marker){
			.vm = race.vm,
			.index = i,
			.random = stress_random_from(race.settings.seed, i),
			.pages = race.pages,
			.stop = &race.stop,
		};
		CHECK(!pthread_create(&race.threads[i], NULL, marker_main,
				      &race.markers[i]),
		      "a thread can be made");
	}
}

static void run_race(void)
{
	const struct stress_soak soak = stress_soak(race.settings.ms);

	if (race.settings.pin)
		stress_pin(0);
	start_markers();
	while (stress_goes_on(&soak, race.taken >= MIN_TAKEN) &&
	       !(race.settings.until_lost && race.lost))
		harvest_and_check();

	gln_store_relaxed(&race.stop, 1);
	for (unsigned int i = 0; i < race.settings.markers; i++)
		pthread_join(race.threads[i], NULL);
	harvest_and_check();
}

static void run_vm(void)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = (race.settings.full_fence ? GLN_VM_FULL_FENCE : 0) |
			 (race.settings.quick ? GLN_VM_QUICK_MARKS : 0),
	};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT_ID,
		.base = BASE,
		.nr_pages = to_slot(NR_PAGES - 1) + 1,
	};

	CHECK(!gln_vm_create(&params, &race.vm), "a VM can be made");
	CHECK(!gln_slot_add(race.vm, &slot), "a slot can be added");
	CHECK(!gln_log_enable(race.vm, SLOT_ID, 0), "logging can start");
	run_race();
	CHECK(!gln_vm_destroy(race.vm), "nothing uses the VM any more");
}

int main(int argc, char **argv)
{
	const struct stress_option options[] = {
		{"ms", &race.settings.ms, NULL},
		{"markers", &race.settings.markers, NULL},
		{"full-fence", &race.settings.full_fence, NULL},
		{"quick", &race.settings.quick, NULL},
		{"pin", &race.settings.pin, NULL},
		{"flip", &race.settings.flip, NULL},
		{"levels", &race.settings.levels, NULL},
		{"view", &race.settings.view, NULL},
		{"until-lost", &race.settings.until_lost, NULL},
		{"seed", &race.settings.seed, NULL},
	};

	race.settings = (struct settings){.ms = 3000, .markers = 3};
	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	CHECK(race.settings.markers <= MAX_MARKERS, "at most %d markers",
	      MAX_MARKERS);
	race.settings.seed = stress_seed(race.settings.seed);
	run_vm();

	printf("summary_race; %" PRIu64 " markers, %s, seed %" PRIu64 "\n",
	       race.settings.markers,
	       race.settings.flip	  ? "flips"
	       : race.settings.full_fence ? "full fences"
	       : race.settings.quick	  ? "quick marks"
					  : "the platform's fence",
	       race.settings.seed);
	printf("%" PRIu64 " harvests of %" PRIu64 " pages, %" PRIu64
	       " of them empty\n",
	       race.harvests, race.taken, race.empty);
	return stress_verdict(race.lost);
}
