/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.c - everything that changes a second-stage table, at once: faults,
 * harvests, splits, aging, the host taking pages back, slots that come, go and
 * move in the same tables. Is a write lost? (G1, T1 to T5)
 *
 * Two slots are logged and harvested; a third, between them and in tables of
 * both, is taken away and put back all the time. Rounds begin with blocks: the
 * log is switched off, which collapses tables, and on again. A round ends with
 * the vCPUs at rest, a last harvest, and a comparison.
 */
#include "tests/support/stress_ways.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

enum {
	/* 2 MiB blocks of 4 KiB pages fit in the first; edges fit nowhere. */
	FIRST_PAGES = STRESS_TSAN ? 1029 : 3077,
	GUEST_OF_PASSAGE_PAGES = 331,
	LAST_PAGES = 700,
	BASE = 0x3fd,
	NR_SLOTS = 3,
	PASSAGE = 1, /* the slot that comes and goes */
	ELSEWHERE = 0x20007,
};

/** struct settings - options, and their defaults. */
struct settings {
	const char *machine;
	uint64_t ms;
	uint64_t round_ms;
	uint64_t writers;
	uint64_t seed;
};

/** struct changer - the thread that changes what it can. */
struct changer {
	struct guest *guest;
	struct stress_random random;
	_Atomic uint32_t stop;
	pthread_t thread;
	gln_gfn passage_base;
	uint64_t nr_unmaps;
	uint64_t nr_young;
	uint64_t nr_splits;
	uint64_t nr_passages;
};

static const struct guest_slot_params slots[NR_SLOTS] = {
	{.id = 1, .base = BASE, .nr_pages = FIRST_PAGES},
	{.id = 2,
	 .base = BASE + FIRST_PAGES,
	 .nr_pages = GUEST_OF_PASSAGE_PAGES,
	 .joins = true},
	{.id = 3,
	 .base = BASE + FIRST_PAGES + GUEST_OF_PASSAGE_PAGES,
	 .nr_pages = LAST_PAGES,
	 .joins = true},
};

static const struct way *const ways[] = {
	&way_whole,
	&way_in_parts,
	&way_aborted,
	&way_budget,
};

static void store_next(struct guest_cpu *cpu)
{
	const size_t i = (size_t)stress_below(&cpu->random, NR_SLOTS);
	const struct guest_slot *const slot = &cpu->guest->slots[i];
	const int err = guest_store(cpu, slot,
				    stress_below(&cpu->random, slot->nr_pages),
				    cpu->index, ++cpu->sequence);

	CHECK(!err || (err == -EFAULT && i == PASSAGE),
	      "slot %u is there to be written", slot->id);
}

/* Some frames of anything, now and then all. */
static struct gln_range any_range(struct changer *changer)
{
	const uint64_t nr = FIRST_PAGES + GUEST_OF_PASSAGE_PAGES + LAST_PAGES;
	const uint64_t first = stress_below(&changer->random, nr);

	if (stress_chance(&changer->random, 20))
		return (struct gln_range){0, UINT64_MAX};
	return (struct gln_range){
		BASE + first, 1 + stress_below(&changer->random, nr - first)};
}

static void unmap(struct changer *changer)
{
	CHECK(!gln_mmu_unmap(changer->guest->vm, any_range(changer)),
	      "the host can take pages back");
	changer->nr_unmaps++;
}

static void age(struct changer *changer)
{
	uint64_t nr_young;

	CHECK(!gln_mmu_age(changer->guest->vm, any_range(changer), &nr_young),
	      "pages can grow old");
	changer->nr_young += nr_young;
}

static void split(struct changer *changer)
{
	uint64_t next = 0;
	const int err = gln_mmu_split(changer->guest->vm, slots[0].id, &next,
				      stress_below(&changer->random, 2000));

	CHECK(!err || err == -EBUSY || err == -ENOENT,
	      "blocks can be split, error %d", err);
	changer->nr_splits += !err;
}

static void come_and_go(struct changer *changer)
{
	struct guest *const guest = changer->guest;
	const struct guest_slot *const slot = &guest->slots[PASSAGE];

	if (stress_chance(&changer->random, 300)) {
		changer->passage_base = changer->passage_base == slot->base
						? ELSEWHERE
						: slot->base;
		CHECK(!gln_slot_move(guest->vm, slot->id,
				     changer->passage_base),
		      "the slot can move");
	} else {
		CHECK(!gln_slot_remove(guest->vm, slot->id), "it can go");
		sched_yield();
		CHECK(!guest_add_slot(guest, slot), "it can come back");
		changer->passage_base = slot->base;
	}
	changer->nr_passages++;
}

static void (*const changes[])(struct changer *changer) = {
	unmap, unmap, age, split, come_and_go,
};

static void *changer_main(void *arg)
{
	struct changer *const changer = arg;

	while (!gln_load_relaxed(&changer->stop)) {
		changes[stress_below(&changer->random, ARRAY_SIZE(changes))](
			changer);
		sched_yield();
	}

	return NULL;
}

static void changer_start(struct changer *changer)
{
	gln_store_relaxed(&changer->stop, 0);
	CHECK(!pthread_create(&changer->thread, NULL, changer_main, changer),
	      "a thread can be made");
}

static void changer_stop(struct changer *changer)
{
	gln_store_relaxed(&changer->stop, 1);
	pthread_join(changer->thread, NULL);
}

/* The slots that are harvested. */
static bool is_logged(size_t i)
{
	return i != PASSAGE;
}

static void harvest_all(struct ways *all, const struct way *way)
{
	for (size_t i = 0; i < NR_SLOTS; i++)
		if (is_logged(i))
			way->harvest(all, &all->guest->slots[i]);
}

static const struct way *any_way(struct ways *all)
{
	if (all->guest->has_rings)
		return &way_rings;
	return ways[stress_below(&all->random, ARRAY_SIZE(ways))];
}

/* From blocks to a log, while vCPUs write. */
static bool start_logging(struct ways *all)
{
	struct guest *const guest = all->guest;
	const bool full = !guest->has_rings && stress_chance(&all->random, 500);

	for (size_t i = 0; i < NR_SLOTS; i++) {
		if (!is_logged(i))
			continue;
		CHECK(!gln_log_enable(guest->vm, slots[i].id,
				      full ? GLN_LOG_ENABLE_ALL_MARKED : 0),
		      "logging can start");
		if (!full)
			guest_copy_all(guest, &guest->slots[i]);
	}

	return full;
}

static void stop_logging(struct guest *guest)
{
	for (size_t i = 0; i < NR_SLOTS; i++)
		if (is_logged(i))
			CHECK(!gln_log_disable(guest->vm, slots[i].id),
			      "logging can stop");
}

static uint64_t count_lost(struct guest *guest, bool was_full)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < NR_SLOTS; i++) {
		const uint64_t nr =
			is_logged(i) ? guest_count_lost(guest, &guest->slots[i])
				     : 0;

		if (nr)
			printf("%" PRIu64 " pages of slot %u lost; the log "
			       "began %s\n",
			       nr, slots[i].id, was_full ? "full" : "empty");
		lost += nr;
	}

	return lost;
}

static uint64_t run_round(struct ways *all, struct guest_writers *writers,
			  struct changer *changer, uint64_t ms)
{
	const uint64_t half_ns = stress_ms(ms) / 2;
	const uint64_t end = stress_now_ns() + 2 * half_ns;
	struct guest *const guest = all->guest;
	uint64_t lost;
	bool was_full;

	guest_writers_run(writers);
	changer_start(changer);
	stress_sleep_ns(half_ns / 4);
	was_full = start_logging(all);
	while (stress_now_ns() < end) {
		harvest_all(all, any_way(all));
		sched_yield();
	}
	changer_stop(changer);
	guest_writers_rest(writers);

	harvest_all(all, guest->has_rings ? &way_rings : &way_whole);
	lost = count_lost(guest, was_full);
	stop_logging(guest);
	return lost;
}

static bool has_happened(const struct changer *changer, const struct ways *all)
{
	return changer->nr_unmaps && changer->nr_passages && all->nr_pages;
}

static uint64_t run_guest(const struct settings *settings)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	const struct guest_params params = {
		.machine = settings->machine,
		.slots = slots,
		.nr_slots = NR_SLOTS,
	};
	static struct guest guest;
	static struct guest_writers writers;
	static struct ways all;
	static struct changer changer;
	uint64_t lost = 0;

	guest_open(&guest, &params);
	ways_init(&all, &guest, settings->seed);
	all.may_wait = true;
	changer.guest = &guest;
	changer.random = stress_random_from(settings->seed, 3000);
	changer.passage_base = slots[PASSAGE].base;
	guest_writers_start(&writers, &guest, (unsigned int)settings->writers,
			    store_next, NULL, settings->seed);
	while (stress_goes_on(&soak, has_happened(&changer, &all)))
		lost += run_round(&all, &writers, &changer, settings->round_ms);
	guest_writers_stop(&writers);

	printf("tables on %s; %" PRIu64 " vCPUs, seed %" PRIu64 "\n", guest.how,
	       settings->writers, settings->seed);
	printf("%" PRIu64 " stores, %" PRIu64 " harvests of %" PRIu64
	       " pages, %" PRIu64 " unmaps, %" PRIu64 " young pages, %" PRIu64
	       " splits, slots came and went %" PRIu64 " times\n",
	       guest_writers_stores(&writers), all.nr_harvests, all.nr_pages,
	       changer.nr_unmaps, changer.nr_young, changer.nr_splits,
	       changer.nr_passages);
	lost += all.nr_lost;
	ways_fini(&all);
	guest_close(&guest);
	return lost;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.machine = "x86_ept",
		.ms = 3000,
		.round_ms = 60,
		.writers = 2,
	};
	const struct stress_option options[] = {
		{"machine", NULL, &settings.machine},
		{"ms", &settings.ms, NULL},
		{"round-ms", &settings.round_ms, NULL},
		{"writers", &settings.writers, NULL},
		{"seed", &settings.seed, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);

	return stress_verdict(run_guest(&settings));
}
