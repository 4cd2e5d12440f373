/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * radix.c - one tree, changed from all sides at once. (G1, T1 to T5)
 *
 * Two vCPUs write pages through the tree, as their CPUs read it, and fault
 * where that refuses. A harvester starts a log, harvests, stops it, which
 * collapses. A third party splits, unmaps and ages meanwhile. A CPU has no TLB
 * here but dawdles between its look at an entry and its write; a flush waits
 * for those that do.
 *
 * From time to time the vCPUs stand still. Then the rules of the tree hold, no
 * page can be written that is not marked, and after a last harvest the copies
 * are what the guest has: else a write was lost.
 */
#include "tests/support/stress_frame.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/radix/mmu.h"

/* The entry: much like Arm's, of tables with 8 entries. */
#define PRESENT	      (UINT64_C(1) << 0)
#define NO_BLOCK      (UINT64_C(1) << 1)
#define READABLE      (UINT64_C(1) << 6)
#define WRITABLE      (UINT64_C(1) << 7)
#define ACCESSED      (UINT64_C(1) << 10)
#define LOCKED	      ACCESSED /* so that a careless "make it old" unlocks */
#define ADDRESS	      UINT64_C(0x0000fffffffff000)
#define CPU_MAY_WRITE (UINT64_C(1) << 51)
#define DIRTY	      (UINT64_C(1) << 52)
#define HOST_WRITABLE (UINT64_C(1) << 55)
#define MMU_WRITABLE  (UINT64_C(1) << 56)

#define HPA UINT64_C(0x0000010000000000)

enum {
	NR_VCPUS = 2,
	PAGE_SHIFT = 12,
	NR_FRAMES = 512,
	BASE = 3,
	NR_PAGES = 500, /* no block at either end fits */
	NR_WORDS = (NR_PAGES + 63) / 64,
	MAX_PAUSE = 60,
	HOT_PAGES = 24, /* where most of it happens */
};

/** enum kind - how writes are noticed, and how entries give way. */
enum kind { PROTECTS, LOGS, BREAKS, BREAKS_DIRTY, NR_KINDS };

static const char *const kind_names[NR_KINDS] = {
	"protects",
	"logs",
	"breaks",
	"breaks-dirty",
};

/** struct vcpu - a thread. @access is odd while its CPU uses an entry. */
struct vcpu {
	uint32_t id;
	struct stress_random random;
	struct radix_cache cache;
	uint64_t nr_writes;
	uint64_t nr_faults;
	uint64_t results[GLN_FAULT_RING_FULL + 1];
	pthread_t thread;
	__attribute__((aligned(64))) gln_word access;
	gln_word is_paused;
};

/** struct settings - options, and their defaults. */
struct settings {
	uint64_t ms;
	const char *kind;
	uint64_t seed;
};

static struct arena {
	struct settings settings;
	enum kind kind;
	struct radix radix;
	struct radix_ops ops;
	struct gln_backend_slot slot;
	struct vcpu vcpus[NR_VCPUS];
	pthread_t changer;
	pthread_mutex_t vm;	 /* changes, as the VM serialises them */
	pthread_mutex_t harvest; /* splits and harvests take turns */
	gln_word is_logged;
	gln_word pause;
	gln_word stop;
	gln_word changer_paused;
	gln_word marks[NR_WORDS];
	gln_word memory[NR_FRAMES];
	uint64_t copy[NR_PAGES];
	struct stress_random random;
	uint64_t nr_rounds;
	uint64_t nr_taken;
	gln_word nr_changes[3]; /* unmaps, agings, splits */
	uint64_t lost;
} arena;

static void dawdle(struct stress_random *random)
{
	if (stress_chance(random, 5))
		sched_yield();
	for (uint64_t i = stress_below(random, MAX_PAUSE); i; i--)
		__asm__ volatile("" ::: "memory");
}

/* On return no CPU uses an entry that it looked at before. */
static void flush(void)
{
	gln_fence_seq_cst();
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		gln_word *const access = &arena.vcpus[i].access;
		const uint64_t was = gln_load_acquire(access);

		while ((was & 1) && gln_load_acquire(access) == was)
			sched_yield();
	}
}

static void flush_entry(struct radix *radix, gln_gfn gfn, unsigned int level)
{
	(void)radix;
	(void)gfn;
	(void)level;
	flush();
}

static void flush_range(struct radix *radix, struct gln_range range)
{
	(void)radix;
	(void)range;
	flush();
}

static void mark(struct gln_backend_slot *slot, gln_gfn first, uint64_t count)
{
	CHECK(first >= slot->base &&
		      first - slot->base + count <= slot->nr_pages,
	      "marks stay in the slot");
	for (uint64_t i = first - slot->base; count--; i++)
		gln_fetch_or_acq_rel(&arena.marks[i / 64], UINT64_C(1)
								   << i % 64);
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	(void)ctx;
	(void)slot;
	(void)access;
	page->hpa = HPA + (gfn << PAGE_SHIFT);
	return 0;
}

/* A CPU's way to the leaf of @gfn: its own, and no other's code. */
static gln_word *walk(gln_gfn gfn, uint64_t *seen, unsigned int *shift)
{
	gln_word *table = arena.radix.root;
	gln_word *entry;

	for (*shift = 6;; *shift -= 3) {
		entry = &table[gfn >> *shift & 7];
		*seen = gln_load_acquire(entry);
		if (!*shift ||
		    (*seen & (PRESENT | NO_BLOCK)) != (PRESENT | NO_BLOCK))
			return entry;
		table = (gln_word *)(uintptr_t)(*seen & ADDRESS);
	}
}

/* The entry as it is once the CPU has written the page; 0 if it may not. */
static uint64_t written(uint64_t seen)
{
	if (!(seen & PRESENT))
		return 0;
	if (arena.kind == BREAKS_DIRTY && (seen & CPU_MAY_WRITE))
		seen |= WRITABLE;
	if (!(seen & WRITABLE))
		return 0;
	return seen | ACCESSED | (arena.kind == LOGS ? DIRTY : 0);
}

/* One write of the guest. False: a fault. */
static bool try_write(struct vcpu *vcpu, gln_gfn gfn, uint64_t value)
{
	unsigned int shift;
	uint64_t seen, left;
	gln_word *entry;
	bool is_done = false;

	glni_read_lock();
	gln_fetch_add_acq_rel(&vcpu->access, 1);
	gln_fence_seq_cst();
	entry = walk(gfn, &seen, &shift);
	left = written(seen);
	if (left &&
	    (left == seen || gln_cas_strong_release(entry, &seen, left))) {
		CHECK((left & ADDRESS) ==
			      HPA + (gfn >> shift << shift << PAGE_SHIFT),
		      "an entry leads to the page's memory");
		if (arena.kind == LOGS && !(seen & DIRTY))
			mark(&arena.slot, gfn, 1);
		dawdle(&vcpu->random);
		gln_store_relaxed(&arena.memory[gfn], value);
		is_done = true;
	}
	gln_fetch_add_acq_rel(&vcpu->access, 1);
	glni_read_unlock();

	return is_done;
}

static void fault(struct vcpu *vcpu, gln_gfn gfn, uint32_t access)
{
	struct gln_backend_fault fault = {.gfn = gfn, .access = access};
	int said;

	CHECK(!glni_radix_fill(&arena.radix, &vcpu->cache, RADIX_CACHE_TABLES),
	      "there is memory for tables");
	glni_read_lock();
	fault.is_logged = gln_load_acquire(&arena.is_logged);
	said = glni_radix_map(&arena.radix, &vcpu->cache, vcpu->id, &arena.slot,
			      &fault);
	CHECK(said >= GLN_FAULT_MAPPED && said <= GLN_FAULT_RETRY,
	      "a fault says %d", said);
	if (fault.to_mark) {
		dawdle(&vcpu->random);
		mark(&arena.slot, gfn, 1);
	}
	glni_read_unlock();
	vcpu->nr_faults++;
	vcpu->results[said]++;
}

static void write_page(struct vcpu *vcpu, gln_gfn gfn)
{
	const uint64_t value = ++vcpu->nr_writes * NR_VCPUS + vcpu->id;

	while (!try_write(vcpu, gfn, value))
		fault(vcpu, gfn, GLN_ACCESS_WRITE);
}

static gln_gfn choose(struct stress_random *random)
{
	const uint64_t nr = stress_chance(random, 700) ? HOT_PAGES : NR_PAGES;

	return BASE + stress_below(random, nr);
}

static void stand_still(gln_word *is_paused)
{
	gln_store_release(is_paused, 1);
	while (gln_load_acquire(&arena.pause) && !gln_load_acquire(&arena.stop))
		sched_yield();
	gln_store_release(is_paused, 0);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *const vcpu = arg;

	while (!gln_load_acquire(&arena.stop)) {
		if (gln_load_acquire(&arena.pause))
			stand_still(&vcpu->is_paused);
		else if (stress_chance(&vcpu->random, 800))
			write_page(vcpu, choose(&vcpu->random));
		else
			fault(vcpu, choose(&vcpu->random), GLN_ACCESS_READ);
	}
	glni_radix_drain(&arena.radix, &vcpu->cache);
	return NULL;
}

static struct gln_range any_range(struct stress_random *random)
{
	const gln_gfn first = choose(random);

	return (struct gln_range){
		first,
		1 + stress_below(random, BASE + NR_PAGES - first),
	};
}

static void change(struct stress_random *random)
{
	const struct gln_range range = any_range(random);
	const uint64_t what = stress_below(random, 8);

	pthread_mutex_lock(&arena.vm);
	if (what == 0) {
		glni_radix_unmap(&arena.radix, &arena.slot, range);
		gln_count(&arena.nr_changes[0], 1);
	} else if (what < 6) {
		glni_radix_age(&arena.radix, range);
		gln_count(&arena.nr_changes[1], 1);
	} else if (!pthread_mutex_trylock(&arena.harvest)) {
		CHECK(!glni_radix_split(&arena.radix, range, RADIX_SPLIT_KEEP),
		      "there is memory for tables");
		gln_count(&arena.nr_changes[2], 1);
		pthread_mutex_unlock(&arena.harvest);
	}
	pthread_mutex_unlock(&arena.vm);
}

static void *changer_main(void *arg)
{
	struct stress_random random =
		stress_random_from(arena.settings.seed, NR_VCPUS + 1);

	(void)arg;
	while (!gln_load_acquire(&arena.stop)) {
		if (gln_load_acquire(&arena.pause))
			stand_still(&arena.changer_paused);
		else
			change(&random);
	}
	return NULL;
}

/* Take the marks of a word: protect its runs, flush, copy. */
static void harvest_word(uint64_t word)
{
	const uint64_t taken = gln_xchg_acq_rel(&arena.marks[word], 0);
	struct gln_range ranges[64];
	size_t nr_ranges = 0;

	gln_fence_seq_cst();
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(taken >> bit & 1))
			continue;
		arena.nr_taken++;
		if (bit && taken >> (bit - 1) & 1)
			ranges[nr_ranges - 1].count++;
		else
			ranges[nr_ranges++] =
				(struct gln_range){BASE + word * 64 + bit, 1};
	}
	if (!nr_ranges)
		return;
	glni_radix_protect(&arena.radix, ranges, nr_ranges);
	flush();
	for (unsigned int bit = 0; bit < 64; bit++)
		if (taken >> bit & 1)
			arena.copy[word * 64 + bit] = gln_load_relaxed(
				&arena.memory[BASE + word * 64 + bit]);
}

static void harvest(void)
{
	const struct gln_range all = {BASE, NR_PAGES};

	pthread_mutex_lock(&arena.harvest);
	if (arena.kind == BREAKS_DIRTY)
		glni_radix_collect(&arena.radix, &arena.slot, all);
	for (uint64_t i = 0; i < NR_WORDS; i++)
		harvest_word(i);
	pthread_mutex_unlock(&arena.harvest);
}

static void start_log(void)
{
	const bool all_marked = stress_chance(&arena.random, 500);
	const uint64_t last = NR_PAGES % 64;

	pthread_mutex_lock(&arena.vm);
	for (uint64_t i = 0; i < NR_WORDS; i++)
		gln_store_relaxed(&arena.marks[i],
				  !all_marked ? 0
				  : i < NR_PAGES / 64
					  ? UINT64_MAX
					  : (UINT64_C(1) << last) - 1);
	gln_store_release(&arena.is_logged, 1);
	glni_synchronize();
	arena.radix.splits_eagerly = stress_chance(&arena.random, 300);
	CHECK(!glni_radix_op_log_start(&arena.radix.backend, &arena.slot,
				       all_marked ? GLN_LOG_START_ALL_MARKED
						  : 0),
	      "a log starts");
	pthread_mutex_unlock(&arena.vm);
	for (uint64_t i = 0; i < NR_PAGES; i++)
		arena.copy[i] = gln_load_relaxed(&arena.memory[BASE + i]);
}

static void stop_log(void)
{
	pthread_mutex_lock(&arena.vm);
	gln_store_release(&arena.is_logged, 0);
	glni_synchronize();
	glni_radix_op_log_stop(&arena.radix.backend, &arena.slot);
	pthread_mutex_unlock(&arena.vm);
}

/* May be written with nobody to notice, and is not marked. */
static bool is_silent(uint64_t i)
{
	unsigned int shift;
	uint64_t seen;

	walk(BASE + i, &seen, &shift);
	if (!(seen & PRESENT) || !(seen & WRITABLE) ||
	    (gln_load_relaxed(&arena.marks[i / 64]) >> i % 64 & 1))
		return false;
	if (shift)
		return true;
	if (arena.kind == LOGS)
		return seen & DIRTY;
	/* What the CPU wrote is in the entry, and collected later. */
	return arena.kind != BREAKS_DIRTY || !(seen & CPU_MAY_WRITE);
}

static void look(void)
{
	const char *why = NULL;

	CHECK(!glni_radix_check(&arena.radix, &why), "%s", why);
	for (uint64_t i = 0; i < NR_PAGES; i++)
		if (is_silent(i)) {
			printf("page %" PRIu64 " can be written in silence\n",
			       i);
			arena.lost++;
		}
	harvest();
	for (uint64_t i = 0; i < NR_PAGES; i++)
		if (arena.copy[i] != gln_load_relaxed(&arena.memory[BASE + i]))
			arena.lost++;
}

static void wait_until_still(void)
{
	gln_store_release(&arena.pause, 1);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		while (!gln_load_acquire(&arena.vcpus[i].is_paused))
			sched_yield();
	while (!gln_load_acquire(&arena.changer_paused))
		sched_yield();
}

/* Beside vCPUs that split what they are the first to write. */
static void age_all(void)
{
	pthread_mutex_lock(&arena.vm);
	glni_radix_age(&arena.radix, (struct gln_range){BASE, NR_PAGES});
	pthread_mutex_unlock(&arena.vm);
}

static void round_of_logging(void)
{
	start_log();
	age_all();
	for (uint64_t i = stress_below(&arena.random, 12); i; i--)
		harvest();
	wait_until_still();
	look();
	gln_store_release(&arena.pause, 0);
	stop_log();
	arena.nr_rounds++;
}

static void init_radix(void)
{
	struct radix *const radix = &arena.radix;

	arena.ops = (struct radix_ops){
		.break_first = arena.kind >= BREAKS,
		.flush_entry = flush_entry,
		.flush_range = flush_range,
	};
	*radix = (struct radix){
		.ops = &arena.ops,
		.geometry =
			{
				.nr_levels = 3,
				.page_shift = PAGE_SHIFT,
				.addr_bits = 21,
				.level = {{18, 3, true},
					  {15, 3, true},
					  {12, 3, false}},
			},
		.format =
			{
				.present = PRESENT,
				.table_mask = PRESENT | NO_BLOCK,
				.table = PRESENT | NO_BLOCK,
				.locked = LOCKED,
				.table_base = PRESENT | NO_BLOCK,
				.page_base = PRESENT | NO_BLOCK,
				.block_base = PRESENT,
				.right = {[RADIX_READ] = {.set = READABLE},
					  [RADIX_WRITE] = {.set = WRITABLE}},
				.addr_low = ADDRESS,
				.accessed = ACCESSED,
				.host_writable = HOST_WRITABLE,
				.mmu_writable = MMU_WRITABLE,
			},
		.logging = {.page_clear = WRITABLE, .block_clear = WRITABLE},
		.host = {.translate = translate},
		.allocator = gln_allocator_of(NULL),
		.has_blocks = true,
	};
	if (arena.kind == LOGS) {
		radix->logging.page_clear = DIRTY;
		radix->logging.page_set = WRITABLE;
		radix->logging.dirty = DIRTY;
		radix->logging.cpu_notices = true;
	} else if (arena.kind == BREAKS_DIRTY) {
		radix->logging.page_set = CPU_MAY_WRITE;
		radix->logging.dirty = WRITABLE | CPU_MAY_WRITE;
		radix->logging.cpu_notices = true;
	}
	CHECK(!glni_radix_init(radix), "there is memory for a root");
}

static void start_threads(void)
{
	for (uint32_t i = 0; i < NR_VCPUS; i++) {
		arena.vcpus[i].id = i;
		arena.vcpus[i].random =
			stress_random_from(arena.settings.seed, i);
		CHECK(!pthread_create(&arena.vcpus[i].thread, NULL, vcpu_main,
				      &arena.vcpus[i]),
		      "a thread can be made");
	}
	CHECK(!pthread_create(&arena.changer, NULL, changer_main, NULL),
	      "a thread can be made");
}

static void end_threads(void)
{
	gln_store_release(&arena.stop, 1);
	for (unsigned int i = 0; i < NR_VCPUS; i++)
		pthread_join(arena.vcpus[i].thread, NULL);
	pthread_join(arena.changer, NULL);
}

static bool has_happened(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(arena.nr_changes); i++)
		if (!gln_load_relaxed(&arena.nr_changes[i]))
			return false;

	return arena.nr_taken;
}

static void run(void)
{
	const struct stress_soak soak = stress_soak(arena.settings.ms);
	const char *why = NULL;

	init_radix();
	arena.slot = (struct gln_backend_slot){
		.page_shift = PAGE_SHIFT,
		.base = BASE,
		.nr_pages = NR_PAGES,
		.mark = mark,
	};
	pthread_mutex_init(&arena.vm, NULL);
	pthread_mutex_init(&arena.harvest, NULL);
	arena.random = stress_random_from(arena.settings.seed, NR_VCPUS);
	start_threads();
	while (stress_goes_on(&soak, has_happened()))
		round_of_logging();
	end_threads();

	glni_radix_op_detach(&arena.radix.backend, &arena.slot);
	CHECK(!glni_radix_check(&arena.radix, &why), "%s", why);
	glni_radix_fini(&arena.radix);
	CHECK(!gln_load_relaxed(&arena.radix.nr_tables),
	      "every table is freed");
}

static void choose_kind(void)
{
	for (unsigned int i = 0; i < NR_KINDS; i++)
		if (!strcmp(arena.settings.kind, kind_names[i])) {
			arena.kind = (enum kind)i;
			return;
		}
	fprintf(stderr,
		"radix: no kind \"%s\": protects, logs, breaks or "
		"breaks-dirty\n",
		arena.settings.kind);
	exit(STRESS_USAGE);
}

int main(int argc, char **argv)
{
	const struct stress_option options[] = {
		{"ms", &arena.settings.ms, NULL},
		{"kind", NULL, &arena.settings.kind},
		{"seed", &arena.settings.seed, NULL},
	};

	arena.settings = (struct settings){.ms = 3000, .kind = "protects"};
	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	choose_kind();
	arena.settings.seed = stress_seed(arena.settings.seed);
	run();

	printf("radix; %s, seed %" PRIu64 "\n", arena.settings.kind,
	       arena.settings.seed);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		const struct vcpu *const vcpu = &arena.vcpus[i];

		printf("vCPU %u: %" PRIu64 " writes, %" PRIu64
		       " faults: mapped %" PRIu64 ", relaxed %" PRIu64
		       ", spurious %" PRIu64 ", again %" PRIu64 "\n",
		       i, vcpu->nr_writes, vcpu->nr_faults,
		       vcpu->results[GLN_FAULT_MAPPED],
		       vcpu->results[GLN_FAULT_RELAXED],
		       vcpu->results[GLN_FAULT_SPURIOUS],
		       vcpu->results[GLN_FAULT_RETRY]);
	}
	printf("%" PRIu64 " rounds, %" PRIu64 " pages taken, %" PRIu64
	       " unmaps, %" PRIu64 " agings, %" PRIu64 " splits\n",
	       arena.nr_rounds, arena.nr_taken,
	       gln_load_relaxed(&arena.nr_changes[0]),
	       gln_load_relaxed(&arena.nr_changes[1]),
	       gln_load_relaxed(&arena.nr_changes[2]));
	return stress_verdict(arena.lost);
}
