/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * aborts.c - harvests are aborted, in part and in whole, and backends fail:
 * is every mark that was not committed back? (G5)
 *
 * vCPUs write two slots without rest. A harvester takes and gives back at
 * random, and sees for itself that what it gave back is reported again; now and
 * then protect or flush fails half done. At the end of a round the writers
 * rest, and every copy must equal its source.
 */
#include "tests/support/stress_ways.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

/** struct settings - options, and their defaults. */
struct settings {
	const char *machine;
	uint64_t ms;
	uint64_t round_ms;
	uint64_t writers;
	uint64_t fail_permille;
	uint64_t full_fence;
	uint64_t until_lost;
	uint64_t seed;
};

static const struct guest_slot_params slots[] = {
	{.id = 7, .base = 0xfff, .nr_pages = 64 * 9 + 3},
	{.id = 8, .base = 0xfff + 64 * 9 + 3, .nr_pages = 65, .joins = true},
};

static const struct way *const choice[] = {
	&way_aborted, &way_in_parts, &way_in_parts,  &way_whole,
	&way_budget,  &way_get,	     &way_get_clear,
};

static void store_next(struct guest_cpu *cpu)
{
	const struct guest_slot *const slot =
		&cpu->guest
			 ->slots[stress_below(&cpu->random, ARRAY_SIZE(slots))];
	uint64_t page = stress_below(&cpu->random, slot->nr_pages);

	/* Half of the writes go to a few pages. */
	if (stress_chance(&cpu->random, 500))
		page %= 16;
	guest_store(cpu, slot, page, cpu->index, ++cpu->sequence);
	if (stress_chance(&cpu->random, 20))
		sched_yield();
}

static void harvest_at_random(struct ways *ways)
{
	const uint64_t way = stress_below(&ways->random, ARRAY_SIZE(choice));
	const uint64_t slot = stress_below(&ways->random, ARRAY_SIZE(slots));

	choice[way]->harvest(ways, &ways->guest->slots[slot]);
	sched_yield();
}

static uint64_t count_lost(const struct guest *guest)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < guest->nr_slots; i++)
		nr += guest_count_lost(guest, &guest->slots[i]);

	return nr;
}

/* Returns how many pages the round lost. */
static uint64_t run_round(struct ways *ways, struct guest_writers *writers,
			  const struct settings *settings)
{
	const uint64_t end = stress_now_ns() + stress_ms(settings->round_ms);
	struct guest *const guest = ways->guest;
	const uint64_t lost_before = ways->nr_lost;

	ways->may_fail = guest->soft && settings->fail_permille;
	if (guest->soft)
		soft_mmu_fail(guest->soft,
			      (unsigned int)settings->fail_permille);
	guest_writers_run(writers);
	while (stress_now_ns() < end)
		harvest_at_random(ways);
	guest_writers_rest(writers);

	if (guest->soft)
		soft_mmu_fail(guest->soft, 0);
	for (size_t i = 0; i < guest->nr_slots; i++)
		guest_harvest(guest, &guest->slots[i]);
	for (size_t i = 0; i < guest->nr_slots; i++)
		CHECK(!guest_harvest(guest, &guest->slots[i]),
		      "when nobody writes, nothing is left");

	return ways->nr_lost - lost_before + count_lost(guest);
}

static uint64_t run_rounds(struct ways *ways, struct guest_writers *writers,
			   const struct settings *settings)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	uint64_t lost = 0;

	while (stress_goes_on(&soak, ways->nr_pages && ways->nr_aborted) &&
	       !(settings->until_lost && lost))
		lost += run_round(ways, writers, settings);

	return lost;
}

static uint64_t run_guest(const struct settings *settings)
{
	const struct guest_params params = {
		.machine = settings->machine,
		.vm_flags = settings->full_fence ? GLN_VM_FULL_FENCE : 0,
		.slots = slots,
		.nr_slots = ARRAY_SIZE(slots),
	};
	static struct guest guest;
	static struct guest_writers writers;
	struct ways ways;
	uint64_t lost;

	guest_open(&guest, &params);
	for (size_t i = 0; i < guest.nr_slots; i++)
		CHECK(!gln_log_enable(guest.vm, guest.slots[i].id, 0),
		      "logging can start");
	ways_init(&ways, &guest, settings->seed);
	guest_writers_start(&writers, &guest, (unsigned int)settings->writers,
			    store_next, NULL, settings->seed);
	lost = run_rounds(&ways, &writers, settings);
	guest_writers_stop(&writers);

	printf("aborts on %s; %" PRIu64 " vCPUs, seed %" PRIu64 "\n", guest.how,
	       settings->writers, settings->seed);
	printf("%" PRIu64 " stores, %" PRIu64 " harvests of %" PRIu64
	       " pages, %" PRIu64 " pages aborted, %" PRIu64 " calls failed\n",
	       guest_writers_stores(&writers), ways.nr_harvests, ways.nr_pages,
	       ways.nr_aborted, ways.nr_failed);
	ways_fini(&ways);
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
		.fail_permille = 100,
	};
	const struct stress_option options[] = {
		{"machine", NULL, &settings.machine},
		{"ms", &settings.ms, NULL},
		{"round-ms", &settings.round_ms, NULL},
		{"writers", &settings.writers, NULL},
		{"fail-permille", &settings.fail_permille, NULL},
		{"full-fence", &settings.full_fence, NULL},
		{"until-lost", &settings.until_lost, NULL},
		{"seed", &settings.seed, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);

	return stress_verdict(run_guest(&settings));
}
