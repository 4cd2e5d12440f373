/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contract.c - what every backend must do, one body for all of them.
 *
 * The oracle is the content. Writers put the number of the iteration into the
 * first word of random pages; the log is harvested while they run and once more
 * when they rest. Then a page that was reported holds this number, a page that
 * was not holds an older one (G1, G2), and the copy equals the source, byte for
 * byte. This is done for every way to harvest, and while logging is switched
 * and slots come and go.
 *
 *	contract --machine NAME [--oracle 1] [--gaps 1]
 *
 * With gaps, clean pages between two dirty ones that lie close are protected
 * too (struct gln_prices): still none of them may be reported, and none lost.
 *
 * The oracle is the kernel's own test instead (dirty_log_test): one slot of 1
 * GiB and 3 pages at the top of what the guest can address, 32 iterations.
 */
#include "tests/support/stress_ways.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	/*
	 * More than a word of the summary covers, if pages are of 4 KiB; fewer
	 * if they are larger; and a tail of 3 pages.
	 */
	BIG_PAGES = STRESS_TSAN ? 4096 : 36864,
	TAIL_PAGES = 3,
	/* What the kernel's own tests use: 1 GiB, and the tail. */
	ORACLE_BYTES_SHIFT = 30,
	NR_ORACLE = STRESS_TSAN ? 4 : 32,
	BIG_BASE = 0x1003, /* no multiple of anything */
	NEXT_PAGES = 130,
	TOP_PAGES = 77, /* these end where frames end */
	NR_WRITERS = 2,
	/* What a sanitizer looks for, it sees in the first few. */
	NR_ITERATIONS = STRESS_TSAN || STRESS_ASAN ? 3 : 5,
	NR_EXACT = STRESS_TSAN || STRESS_ASAN ? 2 : 3,
	NR_TOGGLES = STRESS_TSAN || STRESS_ASAN ? 6 : 12,
	MIN_STORES = 256,
	ITERATION_MS = 10,
};

/** struct contract - a guest under test. */
struct contract {
	struct guest guest;
	struct guest_writers writers;
	struct ways ways;
	struct guest_cpu cpu; /* of the main thread */
	bool upwards;
	gln_word iteration;
	uint64_t nr_checked; /* pages, once each iteration */
	uint64_t nr_lost;
};

typedef unsigned long long ull;

/* Writers. */

static struct guest_slot *choose_slot(struct guest *guest,
				      struct stress_random *random)
{
	/* Every other store goes to the big one. */
	if (stress_chance(random, 500))
		return &guest->slots[0];
	return &guest->slots[stress_below(random, guest->nr_slots)];
}

static void store_iteration(struct guest_cpu *cpu)
{
	struct contract *const contract = cpu->ctx;
	const struct guest_slot *const slot =
		choose_slot(cpu->guest, &cpu->random);
	const uint64_t page = stress_below(&cpu->random, slot->nr_pages);

	guest_store(cpu, slot, page, 0, gln_load_relaxed(&contract->iteration));
	guest_store(cpu, slot, page, cpu->guest->page_words - 1 - cpu->index,
		    ++cpu->sequence);
	if (stress_chance(&cpu->random, 20))
		sched_yield();
}

/* Logging. */

static void enable(struct contract *contract, struct guest_slot *slot,
		   uint32_t flags)
{
	const int err = gln_log_enable(contract->guest.vm, slot->id, flags);

	CHECK(!err, "slot %u can be logged, error %d", slot->id, err);
}

static void enable_all(struct contract *contract, uint32_t flags)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		enable(contract, &contract->guest.slots[i], flags);
}

static void disable_all(struct contract *contract)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		CHECK(!gln_log_disable(contract->guest.vm,
				       contract->guest.slots[i].id),
		      "logging can stop");
}

static void copy_everything(struct contract *contract)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		guest_copy_all(&contract->guest, &contract->guest.slots[i]);
}

static void harvest_all(struct contract *contract, const struct way *way)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		way->harvest(&contract->ways, &contract->guest.slots[i]);
}

static void compare_all(struct contract *contract, const char *when)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++) {
		const struct guest_slot *const slot = &contract->guest.slots[i];
		const uint64_t lost = guest_count_lost(&contract->guest, slot);

		if (lost)
			printf("%s: %llu copies of slot %u differ\n", when,
			       (ull)lost, slot->id);
		contract->nr_lost += lost;
	}
}

/* Iterations. */

static void forget_copied(struct contract *contract)
{
	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		memset(contract->guest.slots[i].copied, 0,
		       (size_t)contract->guest.slots[i].nr_pages);
}

/* Reported and not written, or written and not reported? */
static void check_slot(struct contract *contract, const struct guest_slot *slot,
		       uint64_t iteration, uint64_t *nr_invented)
{
	for (uint64_t page = 0; page < slot->nr_pages; page++) {
		const uint64_t value =
			guest_load(&contract->guest, slot, page, 0);

		CHECK(value <= iteration, "nobody writes from the future");
		if (slot->copied[page] && value < iteration)
			(*nr_invented)++;
		if (!slot->copied[page] && value == iteration)
			contract->nr_lost++;
	}
	contract->nr_checked += slot->nr_pages;
}

static void iterate(struct contract *contract, const struct way *way)
{
	const uint64_t iteration = gln_load_relaxed(&contract->iteration) + 1;
	const uint64_t end = stress_now_ns() + stress_ms(ITERATION_MS);
	const uint64_t over = guest_over_reported(&contract->guest);
	const uint64_t stores = guest_writers_stores(&contract->writers);
	uint64_t nr_invented = 0;

	/* Relaxed: the writers rest; waking them up orders it. */
	gln_store_relaxed(&contract->iteration, iteration);
	forget_copied(contract);
	guest_writers_run(&contract->writers);
	contract->ways.is_quiet = false;
	while (stress_now_ns() < end ||
	       guest_writers_stores(&contract->writers) - stores < MIN_STORES) {
		way->harvest(
			&contract->ways,
			choose_slot(&contract->guest, &contract->ways.random));
		sched_yield();
	}
	guest_writers_rest(&contract->writers);
	contract->ways.is_quiet = true;
	harvest_all(contract, way);

	for (size_t i = 0; i < contract->guest.nr_slots; i++)
		check_slot(contract, &contract->guest.slots[i], iteration,
			   &nr_invented);
	CHECK(nr_invented <= guest_over_reported(&contract->guest) - over,
	      "%s: %llu pages were reported and not written, %llu admitted",
	      way->name, (ull)nr_invented,
	      (ull)(guest_over_reported(&contract->guest) - over));
}

static void test_way(struct contract *contract, const struct way *way)
{
	const uint64_t start_ns = stress_now_ns();
	const uint64_t pages = contract->ways.nr_pages;
	const uint64_t stores = guest_writers_stores(&contract->writers);

	for (unsigned int i = 0; i < NR_ITERATIONS; i++)
		iterate(contract, way);
	compare_all(contract, way->name);
	printf("%-20s %llu stores, %llu pages copied, %llu ms\n", way->name,
	       (ull)(guest_writers_stores(&contract->writers) - stores),
	       (ull)(contract->ways.nr_pages - pages),
	       (ull)((stress_now_ns() - start_ns) / stress_ms(1)));
}

/* Exactness: nobody else writes; what is reported is what was written. */

typedef bool (*pattern_fn)(const struct guest_slot *slot, uint64_t page,
			   struct stress_random *random);

static bool is_none(const struct guest_slot *slot, uint64_t page,
		    struct stress_random *random)
{
	(void)slot;
	(void)page;
	(void)random;
	return false;
}

static bool is_all(const struct guest_slot *slot, uint64_t page,
		   struct stress_random *random)
{
	return !is_none(slot, page, random);
}

static bool is_end(const struct guest_slot *slot, uint64_t page,
		   struct stress_random *random)
{
	(void)random;
	return page == 0 || page == slot->nr_pages - 1;
}

static bool is_seam(const struct guest_slot *slot, uint64_t page,
		    struct stress_random *random)
{
	(void)slot;
	(void)random;
	return page % 512 == 511 || page % 512 == 0 || page % 64 == 63;
}

static bool is_odd(const struct guest_slot *slot, uint64_t page,
		   struct stress_random *random)
{
	(void)slot;
	(void)random;
	return page % 2;
}

static bool is_rare(const struct guest_slot *slot, uint64_t page,
		    struct stress_random *random)
{
	(void)slot;
	(void)page;
	return stress_chance(random, 30);
}

static bool is_common(const struct guest_slot *slot, uint64_t page,
		      struct stress_random *random)
{
	(void)slot;
	(void)page;
	return stress_chance(random, 900);
}

static const struct pattern {
	const char *name;
	pattern_fn holds;
} patterns[] = {
	{"rare pages, never touched before", is_rare},
	{"no page", is_none},
	{"the first and the last page", is_end},
	{"pages about seams", is_seam},
	{"odd pages", is_odd},
	{"most pages", is_common},
	{"all pages", is_all},
	{"no page again", is_none},
};

static void read_all(const struct contract *contract,
		     const struct guest_slot *slot)
{
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		guest_load(&contract->guest, slot, page, 1);
}

/*
 * Write the pattern, from the end where the last one ended: translations that
 * should have been flushed are still there then. Note it in @written.
 */
static void write_pattern(struct contract *contract,
			  const struct guest_slot *slot,
			  const struct pattern *pattern, uint8_t *written)
{
	struct guest_cpu *const cpu = &contract->cpu;

	contract->upwards = !contract->upwards;
	guest_cpu_enter(cpu);
	for (uint64_t i = 0; i < slot->nr_pages; i++) {
		const uint64_t page =
			contract->upwards ? i : slot->nr_pages - 1 - i;

		if (!pattern->holds(slot, page, &cpu->random))
			continue;
		written[page] = 1;
		CHECK(!guest_store(cpu, slot, page, 1, ++cpu->sequence),
		      "a vCPU can store");
	}
	guest_cpu_leave(cpu);
}

/* The oracle keeps a log of its own: it must agree with ours. */
static void ask_oracle(struct contract *contract, const struct guest_slot *slot,
		       const uint8_t *written)
{
	uint8_t *const theirs = malloc((size_t)slot->nr_pages);

	CHECK(theirs, "memory for a log");
	CHECK(!gln_ref_take_written(contract->guest.backend, slot->id, theirs,
				    slot->nr_pages),
	      "the oracle knows slot %u", slot->id);
	CHECK(!memcmp(theirs, written, (size_t)slot->nr_pages),
	      "the oracle saw what was written");
	free(theirs);
}

/* Clean pages that were protected because they lie between dirty ones. */
static uint64_t gap_pages(const struct contract *contract)
{
	struct gln_stats stats = {.struct_bytes = sizeof(stats)};

	CHECK(!gln_vm_stats(contract->guest.vm, &stats), "statistics");
	return stats.gap_pages;
}

/*
 * G2: no more than was written. G4: no more is protected than was taken, but
 * for gaps, which are counted.
 */
static void check_exactness(struct contract *contract, struct guest_slot *slot,
			    const struct pattern *pattern,
			    const struct way *way)
{
	struct guest *const guest = &contract->guest;
	const uint64_t over = guest_over_reported(guest);
	uint64_t nr_protected = 0;
	uint64_t nr_invented = 0;
	uint8_t *const written = calloc(1, (size_t)slot->nr_pages);

	CHECK(written, "memory for a log");
	read_all(contract, slot);
	write_pattern(contract, slot, pattern, written);
	memset(slot->copied, 0, (size_t)slot->nr_pages);
	if (guest->soft)
		nr_protected = soft_mmu_stats(guest->soft).protected_pages -
			       gap_pages(contract);
	way->harvest(&contract->ways, slot);

	for (uint64_t page = 0; page < slot->nr_pages; page++) {
		if (written[page] && !slot->copied[page])
			contract->nr_lost++;
		if (!written[page] && slot->copied[page])
			nr_invented++;
		nr_protected += slot->copied[page];
	}
	CHECK(nr_invented <= guest_over_reported(guest) - over,
	      "slot %u, %s, %s: %llu were reported and not written, %llu "
	      "admitted",
	      slot->id, pattern->name, way->name, (ull)nr_invented,
	      (ull)(guest_over_reported(guest) - over));
	if (guest->soft && way == &way_whole)
		CHECK(soft_mmu_stats(guest->soft).protected_pages ==
			      nr_protected + gap_pages(contract),
		      "only what was taken is protected");
	if (!strncmp(guest->how, "ref", 3))
		ask_oracle(contract, slot, written);
	free(written);
}

static const struct way *const ways[] = {
	&way_whole,  &way_in_parts, &way_aborted,   &way_merged,
	&way_budget, &way_get,	    &way_get_clear,
};

static const struct way *choose_way(struct contract *contract, size_t turn)
{
	if (contract->guest.has_rings)
		return &way_rings;
	if (turn == 0)
		return &way_whole;
	if (turn == 1)
		return &way_budget;
	return ways[stress_below(&contract->ways.random, ARRAY_SIZE(ways))];
}

/* One pattern right after the other, so that what is stale shows. */
static void test_exactness(struct contract *contract)
{
	const uint64_t over = guest_over_reported(&contract->guest);

	for (size_t i = 0; i < contract->guest.nr_slots; i++) {
		for (size_t j = 0; j < NR_EXACT * ARRAY_SIZE(patterns); j++)
			check_exactness(
				contract, &contract->guest.slots[i],
				&patterns[j % ARRAY_SIZE(patterns)],
				choose_way(contract, j / ARRAY_SIZE(patterns)));
	}
	compare_all(contract, "exactness");
	printf("%-20s %zu patterns %d times on each slot, %llu pages "
	       "over-reported\n",
	       "exactness", ARRAY_SIZE(patterns), NR_EXACT,
	       (ull)(guest_over_reported(&contract->guest) - over));
}

/* Logs that start out full. */

static void check_is_full(struct contract *contract, const struct way *way)
{
	forget_copied(contract);
	harvest_all(contract, way);
	for (size_t i = 0; i < contract->guest.nr_slots; i++) {
		const struct guest_slot *const slot = &contract->guest.slots[i];

		for (uint64_t page = 0; page < slot->nr_pages; page++)
			CHECK(slot->copied[page],
			      "page %llu of slot %u starts out marked",
			      (ull)page, slot->id);
	}
}

static void test_full(struct contract *contract)
{
	struct gln_vm *const vm = contract->guest.vm;

	disable_all(contract);
	CHECK(!gln_log_set_mode(vm,
				GLN_LOG_MANUAL_PROTECT | GLN_LOG_INITIALLY_SET),
	      "both modes are known");
	enable_all(contract, 0);
	check_is_full(contract, &way_get_clear);
	iterate(contract, &way_get_clear);
	compare_all(contract, "initially set");

	disable_all(contract);
	CHECK(!gln_log_set_mode(vm, 0), "the default mode is known");
	enable_all(contract, GLN_LOG_ENABLE_ALL_MARKED);
	check_is_full(contract, &way_whole);
	iterate(contract, &way_whole);
	compare_all(contract, "all marked");

	disable_all(contract);
	enable_all(contract, 0);
	copy_everything(contract);
	printf("%-20s by mode and by flag\n", "initially set");
}

/* Switching, while vCPUs write. */

static void check_is_not_logged(struct contract *contract,
				const struct guest_slot *slot)
{
	const struct gln_harvest_params all = {.struct_bytes = sizeof(all)};
	struct gln_vm *const vm = contract->guest.vm;
	struct gln_harvest *harvest;

	CHECK(gln_harvest_begin(vm, slot->id, &all, &harvest) == -ENOENT,
	      "there is nothing to harvest");
	if (!contract->guest.has_rings)
		CHECK(gln_get_dirty_log(vm, slot->id, contract->ways.bitmap) ==
			      -ENOENT,
		      "there is nothing to get");
	CHECK(gln_log_disable(vm, slot->id) == -ENOENT,
	      "there is nothing to switch off");
}

static void switch_log(struct contract *contract, struct guest_slot *slot)
{
	CHECK(!gln_log_disable(contract->guest.vm, slot->id),
	      "logging can stop");
	check_is_not_logged(contract, slot);
}

static void remove_and_add(struct contract *contract, struct guest_slot *slot)
{
	struct guest *const guest = &contract->guest;

	/* Half of the time it is not logged when it goes. */
	if (stress_chance(&contract->ways.random, 500))
		switch_log(contract, slot);
	CHECK(!gln_slot_remove(guest->vm, slot->id), "slot %u can go",
	      slot->id);
	CHECK(gln_slot_remove(guest->vm, slot->id) == -ENOENT, "it is gone");
	check_is_not_logged(contract, slot);
	sched_yield();
	CHECK(!guest_add_slot(guest, slot), "slot %u can come back", slot->id);
	CHECK(guest_add_slot(guest, slot) == -EEXIST, "once");
}

static const struct way *main_way(const struct contract *contract)
{
	return contract->guest.has_rings ? &way_rings : &way_whole;
}

/* From here on nothing is lost; what was written before must be copied. */
static void start_again(struct contract *contract, struct guest_slot *slot)
{
	/* Rings without bitmaps cannot begin full. */
	if (!contract->guest.has_rings &&
	    stress_chance(&contract->ways.random, 500)) {
		enable(contract, slot, GLN_LOG_ENABLE_ALL_MARKED);
	} else {
		enable(contract, slot, 0);
		guest_copy_all(&contract->guest, slot);
	}
}

static void test_switching(struct contract *contract, const char *name,
			   void (*change)(struct contract *contract,
					  struct guest_slot *slot))
{
	struct guest *const guest = &contract->guest;
	const uint64_t stores = guest_writers_stores(&contract->writers);
	const struct way *const way = main_way(contract);

	contract->ways.is_quiet = false;
	for (unsigned int i = 0; i < NR_TOGGLES; i++) {
		struct guest_slot *const slot =
			&guest->slots[i % guest->nr_slots];

		guest_writers_run(&contract->writers);
		stress_sleep_ns(stress_ms(2));
		change(contract, slot);
		start_again(contract, slot);
		way->harvest(&contract->ways, slot);
		stress_sleep_ns(stress_ms(2));
		way->harvest(&contract->ways, slot);
		guest_writers_rest(&contract->writers);

		harvest_all(contract, way);
		compare_all(contract, name);
	}
	contract->ways.is_quiet = true;
	printf("%-20s %d times, %llu stores\n", name, NR_TOGGLES,
	       (ull)(guest_writers_stores(&contract->writers) - stores));
}

static void test_all(struct contract *contract)
{
	contract->ways.is_quiet = true;
	test_exactness(contract);
	for (size_t i = 0; i < ARRAY_SIZE(ways) && !contract->guest.has_rings;
	     i++)
		test_way(contract, ways[i]);
	if (!contract->guest.has_rings)
		test_full(contract);
	test_switching(contract, "logging switched", switch_log);
	test_switching(contract, "slots removed", remove_and_add);
	/* And it all still works. */
	test_way(contract, main_way(contract));
}

static void test_oracle(struct contract *contract)
{
	const uint64_t stores = guest_writers_stores(&contract->writers);

	for (unsigned int i = 0; i < NR_ORACLE; i++)
		iterate(contract,
			choose_way(contract, i % (2 + ARRAY_SIZE(ways))));
	compare_all(contract, "oracle");
	printf("%-20s %d iterations of %llu pages, %llu stores\n", "oracle",
	       NR_ORACLE, (ull)contract->guest.slots[0].nr_pages,
	       (ull)(guest_writers_stores(&contract->writers) - stores));
}

/* Slots of a machine's guest, by what its frames and pages are. */
static size_t lay_out(const char *machine, bool oracle,
		      struct guest_slot_params *slots)
{
	const unsigned int page_shift = guest_page_shift(machine);
	const uint64_t nr_frames = guest_nr_frames(machine);
	const uint64_t big =
		((uint64_t)BIG_PAGES >> (page_shift - GLN_PAGE_SHIFT_MIN)) +
		TAIL_PAGES;
	const uint64_t whole =
		(UINT64_C(1) << ORACLE_BYTES_SHIFT >> page_shift) + TAIL_PAGES;
	const struct guest_slot_params all[] = {
		{.id = 0, .base = BIG_BASE, .nr_pages = big},
		{.id = 5,
		 .base = BIG_BASE + big,
		 .nr_pages = NEXT_PAGES,
		 .joins = true},
		{.id = GLN_SLOT_IDS - 1,
		 .base = BIG_BASE + big + NEXT_PAGES,
		 .nr_pages = 1,
		 .joins = true},
		{.id = 9, .base = nr_frames - TOP_PAGES, .nr_pages = TOP_PAGES},
	};

	if (oracle) {
		slots[0] = (struct guest_slot_params){
			.base = nr_frames - whole,
			.nr_pages = whole,
		};
		return 1;
	}
	memcpy(slots, all, sizeof(all));
	return ARRAY_SIZE(all);
}

/* Gaps of up to a line are joined, and few ranges flush the whole slot. */
static const struct gln_prices gap_prices = {
	.range = 513,
	.false_protect = 1,
	.flush_range = 1,
	.flush_all = 8,
};

/* Were pages protected between dirty ones, and none without being asked? */
static void check_gaps(const struct contract *contract, bool asked)
{
	const uint64_t nr = gap_pages(contract);

	CHECK(!nr == !asked, "%llu clean pages protected", (ull)nr);
}

int main(int argc, char **argv)
{
	const char *machine = "soft";
	uint64_t seed = 0;
	uint64_t huge = 0;
	uint64_t full_fence = 0;
	uint64_t quick = 0;
	uint64_t oracle = 0;
	uint64_t gaps = 0;
	struct guest_slot_params slots[GUEST_MAX_SLOTS];
	const struct stress_option options[] = {
		{"machine", NULL, &machine}, {"seed", &seed, NULL},
		{"huge", &huge, NULL},	     {"full-fence", &full_fence, NULL},
		{"oracle", &oracle, NULL},   {"gaps", &gaps, NULL},
		{"quick", &quick, NULL},
	};
	static struct contract contract;

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	seed = stress_seed(seed);
	const struct guest_params params = {
		.machine = machine,
		.vm_flags = (full_fence ? GLN_VM_FULL_FENCE : 0) |
			    (quick ? GLN_VM_QUICK_MARKS : 0),
		.huge = huge,
		.slots = slots,
		.nr_slots = lay_out(machine, oracle, slots),
	};

	guest_open(&contract.guest, &params);
	if (gaps)
		contract.guest.backend->prices = gap_prices;
	printf("contract on %s; seed %" PRIu64 "\n", contract.guest.how, seed);
	ways_init(&contract.ways, &contract.guest, seed);
	guest_writers_start(&contract.writers, &contract.guest, NR_WRITERS,
			    store_iteration, &contract, seed);
	guest_cpu_init(&contract.cpu, &contract.guest, NR_WRITERS, seed);
	enable_all(&contract, 0);

	if (oracle)
		test_oracle(&contract);
	else
		test_all(&contract);

	guest_cpu_fini(&contract.cpu);
	guest_writers_stop(&contract.writers);
	check_gaps(&contract, gaps);
	printf("%" PRIu64 " harvests, %" PRIu64 " pages copied, %" PRIu64
	       " checked\n",
	       contract.ways.nr_harvests, contract.ways.nr_pages,
	       contract.nr_checked);
	ways_fini(&contract.ways);
	guest_close(&contract.guest);
	return stress_verdict(contract.nr_lost);
}
