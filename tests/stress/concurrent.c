/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * concurrent.c - every slot has a harvester of its own, and each takes its slot
 * in other ways than the next: do they keep out of each other's way? (G1, G5)
 *
 * vCPUs write all slots, which touch. In one round some harvesters use
 * transactions, the others get; in the next the others get and clear. A round
 * ends with the vCPUs at rest, a last harvest, and a comparison.
 */
#include "tests/support/stress_ways.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

enum {
	FIRST_PAGES = 515,
	SECOND_PAGES = 64,
	THIRD_PAGES = 1,
	FOURTH_PAGES = 1000,
	BASE = 0x7ffd,
	NR_SLOTS = 4,
	MIN_ROUNDS = 2, /* each mode */
};

/** struct settings - options, and their defaults. */
struct settings {
	const char *machine;
	uint64_t ms;
	uint64_t round_ms;
	uint64_t writers;
	uint64_t full_fence;
	uint64_t seed;
};

/** struct harvester - a thread with its slot. */
struct harvester {
	pthread_t thread;
	struct ways ways;
	struct guest_slot *slot;
	const struct way *const *choice;
	size_t nr_choices;
	_Atomic uint32_t *stop;
};

static const struct guest_slot_params slots[NR_SLOTS] = {
	{.id = 11, .base = BASE, .nr_pages = FIRST_PAGES},
	{.id = 12,
	 .base = BASE + FIRST_PAGES,
	 .nr_pages = SECOND_PAGES,
	 .joins = true},
	{.id = 13,
	 .base = BASE + FIRST_PAGES + SECOND_PAGES,
	 .nr_pages = THIRD_PAGES,
	 .joins = true},
	{.id = 14,
	 .base = BASE + FIRST_PAGES + SECOND_PAGES + THIRD_PAGES,
	 .nr_pages = FOURTH_PAGES,
	 .joins = true},
};

static const struct way *const transactions[] = {
	&way_whole,
	&way_in_parts,
	&way_aborted,
	&way_budget,
};

static const struct way *const gets[] = {&way_get};
static const struct way *const clears[] = {&way_get_clear};

static void store_next(struct guest_cpu *cpu)
{
	const struct guest_slot *const slot =
		&cpu->guest->slots[stress_below(&cpu->random, NR_SLOTS)];

	guest_store(cpu, slot, stress_below(&cpu->random, slot->nr_pages),
		    cpu->index, ++cpu->sequence);
	if (stress_chance(&cpu->random, 20))
		sched_yield();
}

static void *harvester_main(void *arg)
{
	struct harvester *const harvester = arg;
	struct ways *const ways = &harvester->ways;

	while (!gln_load_relaxed(harvester->stop)) {
		harvester
			->choice[stress_below(&ways->random,
					      harvester->nr_choices)]
			->harvest(ways, harvester->slot);
		sched_yield();
	}

	return NULL;
}

static void choose(struct harvester *harvesters, bool manual)
{
	for (size_t i = 0; i < NR_SLOTS; i++) {
		struct harvester *const harvester = &harvesters[i];

		if (i % 2) {
			harvester->choice = manual ? clears : gets;
			harvester->nr_choices = 1;
		} else {
			harvester->choice = transactions;
			harvester->nr_choices = ARRAY_SIZE(transactions);
		}
	}
}

static uint64_t run_round(struct guest *guest, struct guest_writers *writers,
			  struct harvester *harvesters, uint64_t ms)
{
	_Atomic uint32_t stop = 0;
	uint64_t lost = 0;

	guest_writers_run(writers);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		harvesters[i].stop = &stop;
		CHECK(!pthread_create(&harvesters[i].thread, NULL,
				      harvester_main, &harvesters[i]),
		      "a thread can be made");
	}
	stress_sleep_ns(stress_ms(ms));
	gln_store_relaxed(&stop, 1);
	for (size_t i = 0; i < NR_SLOTS; i++)
		pthread_join(harvesters[i].thread, NULL);
	guest_writers_rest(writers);

	for (size_t i = 0; i < NR_SLOTS; i++) {
		guest_harvest(guest, &guest->slots[i]);
		lost += guest_count_lost(guest, &guest->slots[i]);
	}
	return lost;
}

static bool all_have_taken(const struct harvester *harvesters)
{
	for (size_t i = 0; i < NR_SLOTS; i++)
		if (!harvesters[i].ways.nr_pages)
			return false;

	return true;
}

static uint64_t run_rounds(struct guest *guest, struct guest_writers *writers,
			   struct harvester *harvesters,
			   const struct settings *settings)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	bool manual = false;
	uint64_t lost = 0;

	for (unsigned int round = 0; stress_goes_on(
		     &soak, round >= MIN_ROUNDS && all_have_taken(harvesters));
	     round++) {
		CHECK(!gln_log_set_mode(guest->vm,
					manual ? GLN_LOG_MANUAL_PROTECT : 0),
		      "both modes are known");
		choose(harvesters, manual);
		lost += run_round(guest, writers, harvesters,
				  settings->round_ms);
		manual = !manual;
	}

	return lost;
}

static uint64_t run_guest(const struct settings *settings)
{
	const struct guest_params params = {
		.machine = settings->machine,
		.vm_flags = settings->full_fence ? GLN_VM_FULL_FENCE : 0,
		.soft.preempt_permille = 20,
		.slots = slots,
		.nr_slots = NR_SLOTS,
	};
	static struct guest guest;
	static struct guest_writers writers;
	static struct harvester harvesters[NR_SLOTS];
	uint64_t lost;

	guest_open(&guest, &params);
	for (size_t i = 0; i < NR_SLOTS; i++) {
		CHECK(!gln_log_enable(guest.vm, slots[i].id, 0),
		      "logging can start");
		ways_init(&harvesters[i].ways, &guest, settings->seed + i);
		harvesters[i].ways.keeps_mode = true;
		harvesters[i].slot = &guest.slots[i];
	}
	guest_writers_start(&writers, &guest, (unsigned int)settings->writers,
			    store_next, NULL, settings->seed);
	lost = run_rounds(&guest, &writers, harvesters, settings);
	guest_writers_stop(&writers);

	printf("concurrent on %s; %" PRIu64 " vCPUs, seed %" PRIu64 "\n",
	       guest.how, settings->writers, settings->seed);
	printf("%" PRIu64 " stores\n", guest_writers_stores(&writers));
	for (size_t i = 0; i < NR_SLOTS; i++) {
		const struct ways *const ways = &harvesters[i].ways;

		printf("slot %u: %" PRIu64 " harvests of %" PRIu64 " pages\n",
		       slots[i].id, ways->nr_harvests, ways->nr_pages);
		lost += ways->nr_lost;
		ways_fini(&harvesters[i].ways);
	}
	guest_close(&guest);
	return lost;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.machine = "soft",
		.ms = 3000,
		.round_ms = 100,
		.writers = 2,
	};
	const struct stress_option options[] = {
		{"machine", NULL, &settings.machine},
		{"ms", &settings.ms, NULL},
		{"round-ms", &settings.round_ms, NULL},
		{"writers", &settings.writers, NULL},
		{"full-fence", &settings.full_fence, NULL},
		{"seed", &settings.seed, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);

	return stress_verdict(run_guest(&settings));
}
