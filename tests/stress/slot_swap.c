/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot_swap.c - slots come and go, and logging with them, while vCPUs mark,
 * harvesters harvest, and somebody reads statistics. (G1, G3, G9)
 *
 * Sanitizers see whether anybody uses what is gone. Every call must answer with
 * one of the errors that its header names for this. And the books must balance:
 *
 *	marks that were new + pages of logs that started full
 *	    = pages harvested - given back + dropped with a log
 *
 * up to pages that were given back and found marked again: with no harvest
 * aborted, exactly. A mark lost, or taken twice, is a difference.
 */
#include "tests/support/stress_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NR_PLACES = 6, /* each has room for one slot of its own id */
	PLACE_PAGES = 700,
	PAGE_SHIFT = 12,
	PAGE_WORDS = (1 << PAGE_SHIFT) / 8,
	BASE = 0x3fd,
	MAX_THREADS = 16,
	WORD_PAGES = 64,
	MAX_PAUSE_NS = 200000,
	STEP_MS = 100,
	MIN_TURNS = 100, /* of each thread */
};

/** struct settings - options, and their defaults. */
struct settings {
	const char *machine;
	uint64_t ms;
	uint64_t abort_permille;
	uint64_t full_fence;
	uint64_t seed;
};

struct worker;

/** struct role - what a thread does, over and over. */
struct role {
	const char *name;
	void (*work)(struct worker *worker);
	unsigned int nr;
	const char *machine; /* the one that has such threads; NULL: all */
};

/** struct worker - a thread, and what it did. */
struct worker {
	const struct role *role;
	pthread_t thread;
	uint32_t id;
	struct stress_random random;
	struct soft_vcpu *soft;
	gln_word turns;
	uint64_t done; /* of these, what changed or took something */
	uint64_t marks_in;
};

static struct {
	struct settings settings;
	struct gln_vm *vm;
	struct soft_mmu *soft;
	uint64_t *memory;
	_Atomic uint32_t stop;
	pthread_mutex_t changing;     /* makes this true: */
	uint64_t nr_pages[NR_PLACES]; /* of the slot that is there, if any */
} test;

/* Was it one of the answers that its header allows here? */
static bool did(int err, const int *allowed, size_t nr, const char *what)
{
	for (size_t i = 0; i < nr; i++)
		if (err == allowed[i])
			return !err;
	stress_fail("%s answered %d", what, err);
}

#define DID(what, err, ...)                  \
	did(err, (const int[]){__VA_ARGS__}, \
	    ARRAY_SIZE(((const int[]){__VA_ARGS__})), what)

static uint32_t any_place(struct worker *worker)
{
	return (uint32_t)stress_below(&worker->random, NR_PLACES);
}

static void pause_a_while(struct worker *worker)
{
	stress_sleep_ns(stress_below(&worker->random, MAX_PAUSE_NS));
}

/* Changers, one at a time, so that a slot's size is known. */

static bool add_slot(struct worker *worker, uint32_t place)
{
	const uint64_t skipped = stress_below(&worker->random, PLACE_PAGES / 2);
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = place,
		.base = BASE + place * PLACE_PAGES + skipped,
		.nr_pages = 1 + stress_below(&worker->random,
					     PLACE_PAGES - skipped),
		.hva = test.memory +
		       (place * PLACE_PAGES + skipped) * PAGE_WORDS,
	};

	if (!DID("add", gln_slot_add(test.vm, &params), 0, -EEXIST))
		return false;
	test.nr_pages[place] = params.nr_pages;
	return true;
}

static bool enable(struct worker *worker, uint32_t place)
{
	const bool full = stress_chance(&worker->random, 300);
	const int err = gln_log_enable(test.vm, place,
				       full ? GLN_LOG_ENABLE_ALL_MARKED : 0);

	if (!DID("enable", err, 0, -ENOENT, -EEXIST))
		return false;
	worker->marks_in += full ? test.nr_pages[place] : 0;
	return true;
}

static void change(struct worker *worker)
{
	const uint32_t place = any_place(worker);
	bool done;

	pthread_mutex_lock(&test.changing);
	switch (stress_below(&worker->random, 6)) {
	case 0:
	case 1:
		done = add_slot(worker, place);
		break;
	case 2:
	case 3:
		done = enable(worker, place);
		break;
	case 4:
		done = DID("disable", gln_log_disable(test.vm, place), 0,
			   -ENOENT, -EBUSY);
		break;
	default:
		done = DID("remove", gln_slot_remove(test.vm, place), 0,
			   -ENOENT, -EBUSY);
	}
	pthread_mutex_unlock(&test.changing);
	worker->done += done ? 1 : 0;
	pause_a_while(worker);
}

/* Harvesters. */

static void walk(struct worker *worker, uint32_t place,
		 struct gln_harvest *harvest)
{
	const gln_gfn low = BASE + place * PLACE_PAGES;
	struct gln_range runs[8];
	size_t nr;

	while ((nr = gln_harvest_next(harvest, runs, ARRAY_SIZE(runs)))) {
		for (size_t i = 0; i < nr; i++) {
			CHECK(runs[i].first >= low &&
				      runs[i].first + runs[i].count <=
					      low + PLACE_PAGES,
			      "a harvest has its own slot's pages");
			worker->done += runs[i].count;
		}
	}
}

static void harvest(struct worker *worker)
{
	struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.max_pages = stress_below(&worker->random, 3) * 50,
	};
	const uint32_t place = any_place(worker);
	struct gln_harvest *harvest;

	if (!params.max_pages)
		params.strategy = guest_strategy();
	if (!DID("begin", gln_harvest_begin(test.vm, place, &params, &harvest),
		 0, -ENOENT, -EBUSY))
		return;
	walk(worker, place, harvest);
	if (stress_chance(&worker->random, test.settings.abort_permille))
		gln_harvest_abort(harvest);
	else
		gln_harvest_commit(harvest);
}

static void get_and_clear(struct worker *worker)
{
	uint64_t bitmap[PLACE_PAGES / WORD_PAGES + 1] = {0};
	const struct gln_clear_log clear = {
		.slot = any_place(worker),
		.num_pages = WORD_PAGES,
		.bitmap = bitmap,
	};

	if (DID("get", gln_get_dirty_log(test.vm, any_place(worker), bitmap), 0,
		-ENOENT, -EBUSY))
		worker->done++;
	/* The slot may be another by now, or shorter than a word. */
	DID("clear", gln_clear_dirty_log(test.vm, &clear), 0, -ENOENT, -EBUSY,
	    -EINVAL);
	pause_a_while(worker);
}

/* vCPUs, and others who mark. */

static gln_gfn any_frame(struct worker *worker)
{
	return BASE - 5 +
	       stress_below(&worker->random, NR_PLACES * PLACE_PAGES + 10);
}

static void mark(struct worker *worker)
{
	const int result = gln_dirty_mark(test.vm, any_frame(worker));

	CHECK(result == 0 || result == 1 || result == -ENOENT,
	      "mark answered %d", result);
	worker->marks_in += result == 1 ? 1 : 0;
	if (gln_load_relaxed(&worker->turns) % 64 == 0)
		worker->marks_in += gln_dirty_mark_range(
			test.vm, (struct gln_range){any_frame(worker), 900});
}

static void store(struct worker *worker)
{
	const int err =
		soft_vcpu_store(worker->soft, any_frame(worker), worker->id,
				gln_load_relaxed(&worker->turns));

	CHECK(!err || err == -EFAULT, "a store answered %d", err);
}

static void register_and_mark(struct worker *worker)
{
	struct gln_vcpu *vcpu;

	CHECK(!gln_vcpu_register(test.vm, worker->id, &vcpu),
	      "a vCPU can come");
	for (unsigned int i = 0; i < 100; i++)
		if (gln_vcpu_mark(vcpu, any_frame(worker)) == 1)
			worker->marks_in++;
	gln_vcpu_unregister(vcpu);
}

static struct gln_stats read_stats(void)
{
	struct gln_stats stats = {.struct_bytes = sizeof(stats)};

	CHECK(!gln_vm_stats(test.vm, &stats), "statistics can be read");
	return stats;
}

static void watch(struct worker *worker)
{
	const uint64_t harvests = read_stats().harvests;

	pause_a_while(worker);
	CHECK(read_stats().harvests >= harvests, "counters only grow");
}

static const struct role roles[] = {
	{"changers", change, 2, NULL},
	{"harvesters", harvest, 2, NULL},
	{"getters", get_and_clear, 1, NULL},
	{"markers", mark, 2, NULL},
	{"vCPUs of a moment", register_and_mark, 1, NULL},
	{"vCPUs", store, 2, "soft"},
	{"watchers", watch, 1, NULL},
};

static void *worker_main(void *arg)
{
	struct worker *const worker = arg;

	if (worker->soft)
		soft_vcpu_enter(worker->soft);
	while (!gln_load_relaxed(&test.stop)) {
		worker->role->work(worker);
		gln_count(&worker->turns, 1);
		if (gln_load_relaxed(&worker->turns) % 256 == 0)
			sched_yield();
	}
	if (worker->soft)
		soft_vcpu_leave(worker->soft);

	return NULL;
}

static void start_worker(struct worker *worker, const struct role *role,
			 uint32_t id)
{
	*worker = (struct worker){
		.role = role,
		.id = id,
		.random = stress_random_from(test.settings.seed, id),
	};
	if (role->work == store) {
		worker->soft = soft_vcpu_create(test.soft);
		CHECK(worker->soft, "room for a vCPU");
	}
	CHECK(!pthread_create(&worker->thread, NULL, worker_main, worker),
	      "a thread can be made");
}

static uint32_t start_all(struct worker *workers)
{
	uint32_t nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if (roles[i].machine &&
		    strcmp(roles[i].machine, test.settings.machine))
			continue;
		for (unsigned int j = 0; j < roles[i].nr; j++, nr++)
			start_worker(&workers[nr], &roles[i], nr);
	}

	return nr;
}

static bool has_happened(const struct worker *workers, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (gln_load_relaxed(&workers[i].turns) < MIN_TURNS)
			return false;

	return read_stats().harvested_pages;
}

static void join_all(struct worker *workers, uint32_t nr)
{
	gln_store_relaxed(&test.stop, 1);
	for (uint32_t i = 0; i < nr; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].soft)
			soft_vcpu_destroy(workers[i].soft);
		printf("%-18s %" PRIu64 " turns, %" PRIu64 " did something\n",
		       workers[i].role->name,
		       gln_load_relaxed(&workers[i].turns), workers[i].done);
	}
}

/* What is still marked, by taking it. */
static void harvest_rest(void)
{
	struct worker last = {.random = stress_random_from(1, 1)};
	const struct gln_harvest_params all = {.struct_bytes = sizeof(all)};
	struct gln_harvest *rest;

	for (uint32_t place = 0; place < NR_PLACES; place++) {
		if (!DID("begin",
			 gln_harvest_begin(test.vm, place, &all, &rest), 0,
			 -ENOENT))
			continue;
		walk(&last, place, rest);
		gln_harvest_commit(rest);
	}
}

/* Marks in, marks out: how many are missing? */
static uint64_t balance(const struct worker *workers, uint32_t nr)
{
	const struct gln_stats stats = read_stats();
	const uint64_t out = stats.harvested_pages + stats.dropped_pages;
	uint64_t in = 0;

	for (uint32_t i = 0; i < nr; i++)
		in += workers[i].marks_in;
	printf("%" PRIu64 " marks in; %" PRIu64 " pages harvested, %" PRIu64
	       " given back, %" PRIu64 " dropped\n",
	       in, stats.harvested_pages, stats.aborted_pages,
	       stats.dropped_pages);
	/* What a software MMU marked itself is not in the books. */
	if (test.soft)
		return 0;
	CHECK(out < in || out - in <= stats.aborted_pages,
	      "%" PRIu64 " marks came from nowhere",
	      out - in - stats.aborted_pages);
	return out < in ? in - out : 0;
}

static void make_vm(void)
{
	const struct soft_mmu_params soft = {.preempt_permille = 10};
	struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.page_shift = PAGE_SHIFT,
		.flags = test.settings.full_fence ? GLN_VM_FULL_FENCE : 0,
	};

	if (!strcmp(test.settings.machine, "soft")) {
		test.soft = soft_mmu_create(&soft);
		CHECK(test.soft, "a software MMU can be made");
		params.backend = soft_mmu_backend(test.soft);
	}
	test.memory = calloc((size_t)NR_PLACES * PLACE_PAGES,
			     PAGE_WORDS * sizeof(*test.memory));
	CHECK(test.memory, "memory for a guest");
	CHECK(!gln_vm_create(&params, &test.vm), "a VM can be made");
	pthread_mutex_init(&test.changing, NULL);
}

int main(int argc, char **argv)
{
	const struct stress_option options[] = {
		{"machine", NULL, &test.settings.machine},
		{"ms", &test.settings.ms, NULL},
		{"abort-permille", &test.settings.abort_permille, NULL},
		{"full-fence", &test.settings.full_fence, NULL},
		{"seed", &test.settings.seed, NULL},
	};
	static struct worker workers[MAX_THREADS];
	struct stress_soak soak;
	uint64_t lost;
	uint32_t nr;

	test.settings = (struct settings){.machine = "explicit", .ms = 3000};
	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	test.settings.seed = stress_seed(test.settings.seed);
	make_vm();

	nr = start_all(workers);
	soak = stress_soak(test.settings.ms);
	while (stress_goes_on(&soak, has_happened(workers, nr)))
		stress_sleep_ns(stress_ms(STEP_MS));
	join_all(workers, nr);
	harvest_rest();
	printf("slot_swap on %s; seed %" PRIu64 "\n", test.settings.machine,
	       test.settings.seed);
	lost = balance(workers, nr);

	CHECK(!gln_vm_destroy(test.vm), "nothing uses the VM any more");
	if (test.soft)
		soft_mmu_destroy(test.soft);
	free(test.memory);
	return stress_verdict(lost);
}
