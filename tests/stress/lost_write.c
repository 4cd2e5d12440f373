/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lost_write.c - vCPUs write hot pages, a harvester harvests as fast as it can:
 * is every write in the copy in the end? (G1)
 *
 * Each vCPU has a word of its own in every page and stores growing numbers, so
 * a copy that was made too early differs. A round ends with the vCPUs at rest,
 * one more harvest, and a comparison: a page that differs was lost.
 *
 * Some harvests are aborted: then a page is marked and protected at once, which
 * is where a mark that finds its bit set must not trust it.
 */
#include "tests/support/stress_guest.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

/** struct settings - options, and their defaults. */
struct settings {
	const char *machine;
	uint64_t writers;
	uint64_t pages;
	uint64_t ms;
	uint64_t round_ms;
	uint64_t abort_permille;
	uint64_t full_fence;
	uint64_t mark_first;
	uint64_t preempt_permille;
	uint64_t yield_permille;
	uint64_t until_lost;
	uint64_t seed;
};

struct counts {
	uint64_t rounds;
	uint64_t harvests;
	uint64_t pages;
	uint64_t aborted;
	uint64_t lost;
};

enum { ODD_BASE = 0x12345 };

static void store_next(struct guest_cpu *cpu)
{
	const struct guest_slot *const slot = &cpu->guest->slots[0];
	const struct settings *const settings = cpu->ctx;

	if (stress_chance(&cpu->random, settings->yield_permille))
		sched_yield();
	guest_store(cpu, slot, stress_below(&cpu->random, slot->nr_pages),
		    cpu->index, ++cpu->sequence);
}

static void abort_harvest(struct guest *guest)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = guest_strategy(),
	};
	struct gln_harvest *harvest;

	CHECK(!gln_harvest_begin(guest->vm, guest->slots[0].id, &all, &harvest),
	      "a harvest can begin");
	gln_harvest_abort(harvest);
}

static void harvest_for(struct guest *guest, const struct settings *settings,
			struct stress_random *random, struct counts *counts)
{
	const uint64_t end = stress_now_ns() + stress_ms(settings->round_ms);

	while (stress_now_ns() < end) {
		if (stress_chance(random, settings->abort_permille)) {
			abort_harvest(guest);
			counts->aborted++;
		} else {
			const uint64_t nr =
				guest_harvest(guest, &guest->slots[0]);

			counts->pages += nr;
			counts->harvests++;
			if (!nr)
				sched_yield();
		}
	}
}

/* A page once lost stays lost: protect them all, so that more can be seen. */
static void start_over(struct guest *guest)
{
	struct guest_slot *const slot = &guest->slots[0];

	CHECK(!gln_log_disable(guest->vm, slot->id), "logging can stop");
	CHECK(!gln_log_enable(guest->vm, slot->id, 0), "logging can start");
	guest_copy_all(guest, slot);
}

static bool has_happened(const struct settings *settings,
			 const struct counts *counts)
{
	return counts->pages && (counts->aborted || !settings->abort_permille);
}

static void run_rounds(struct guest *guest, struct guest_writers *writers,
		       const struct settings *settings, struct counts *counts)
{
	const struct stress_soak soak = stress_soak(settings->ms);
	struct stress_random random = stress_random_from(settings->seed, 1000);

	while (stress_goes_on(&soak, has_happened(settings, counts)) &&
	       !(settings->until_lost && counts->lost)) {
		uint64_t lost;

		guest_writers_run(writers);
		harvest_for(guest, settings, &random, counts);
		guest_writers_rest(writers);

		counts->pages += guest_harvest(guest, &guest->slots[0]);
		lost = guest_count_lost(guest, &guest->slots[0]);
		if (lost)
			start_over(guest);
		counts->lost += lost;
		counts->rounds++;
	}
}

static void report(const struct guest *guest, struct guest_writers *writers,
		   const struct settings *settings, const struct counts *counts)
{
	printf("lost_write on %s; %" PRIu64 " vCPUs, %" PRIu64 " pages, %s, "
	       "%" PRIu64 " of 1000 faults preempted, seed %" PRIu64 "\n",
	       guest->how, settings->writers, settings->pages,
	       settings->full_fence ? "full fences" : "the platform's fence",
	       settings->preempt_permille, settings->seed);
	printf("%" PRIu64 " rounds, %" PRIu64 " stores, %" PRIu64
	       " harvests of %" PRIu64 " pages, %" PRIu64 " aborted\n",
	       counts->rounds, guest_writers_stores(writers), counts->harvests,
	       counts->pages, counts->aborted);
	if (guest->soft)
		printf("%" PRIu64 " faults\n",
		       soft_mmu_stats(guest->soft).faults);
}

static void run_guest(const struct settings *settings, struct counts *counts)
{
	const struct guest_slot_params slot = {
		.id = 3,
		.base = ODD_BASE,
		.nr_pages = settings->pages,
	};
	const struct guest_params params = {
		.machine = settings->machine,
		.vm_flags = settings->full_fence ? GLN_VM_FULL_FENCE : 0,
		.soft.order = settings->mark_first ? SOFT_MARK_THEN_MAP
						   : SOFT_MAP_THEN_MARK,
		.soft.preempt_permille =
			(unsigned int)settings->preempt_permille,
		.slots = &slot,
		.nr_slots = 1,
	};
	static struct guest guest;
	static struct guest_writers writers;

	guest_open(&guest, &params);
	CHECK(!gln_log_enable(guest.vm, slot.id, 0), "logging can start");
	guest_writers_start(&writers, &guest, (unsigned int)settings->writers,
			    store_next, (void *)(uintptr_t)settings,
			    settings->seed);
	run_rounds(&guest, &writers, settings, counts);
	guest_writers_stop(&writers);
	report(&guest, &writers, settings, counts);
	guest_close(&guest);
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.machine = "soft",
		.writers = 2,
		.pages = 64,
		.ms = 3000,
		.round_ms = 20,
		.abort_permille = 250,
		.yield_permille = 20,
	};
	const struct stress_option options[] = {
		{"machine", NULL, &settings.machine},
		{"writers", &settings.writers, NULL},
		{"pages", &settings.pages, NULL},
		{"ms", &settings.ms, NULL},
		{"round-ms", &settings.round_ms, NULL},
		{"abort-permille", &settings.abort_permille, NULL},
		{"full-fence", &settings.full_fence, NULL},
		{"mark-first", &settings.mark_first, NULL},
		{"preempt-permille", &settings.preempt_permille, NULL},
		{"yield-permille", &settings.yield_permille, NULL},
		{"until-lost", &settings.until_lost, NULL},
		{"seed", &settings.seed, NULL},
	};
	struct counts counts = {0};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	settings.seed = stress_seed(settings.seed);
	run_guest(&settings, &counts);

	return stress_verdict(counts.lost);
}
