/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.c - the smallest clients of the bitmap, run very often. (G1, B1)
 *
 * Each is a few threads that mark or take once or twice, and a condition that
 * must hold in every execution. They use the real bitmap.h and take.c, C11
 * atomics and pthreads and nothing else of the library, so that a checker of
 * weak memory models can take them as they are; here they run on what CPU there
 * is, over and over, all threads starting at almost the same time.
 *
 *	clients [--ms MILLISECONDS-A-CLIENT] [--seed N]
 */
#include "tests/support/stress_frame.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "core/bitmap/bitmap.h"
#include "core/bitmap/kernel.h"

enum {
	MAX_THREADS = 4,
	NR_PAGES = 100, /* two words of one line */
	MAX_SKEW = 64,
	SPINS = 200, /* before the CPU is given to somebody else */
};

/* What the threads share: a bitmap, and pages of a word for each thread. */
static struct {
	struct bitmap bitmap;
	gln_word words[LINE_WORDS];
	gln_word summary[LINE_WORDS];
	gln_word pages[NR_PAGES][MAX_THREADS];
} shared;

/* What the one that takes has: a snapshot, and copies. */
static struct {
	struct snapshot snapshot;
	uint64_t words[LINE_WORDS];
	uint64_t taken[LINE_WORDS];
	uint64_t copies[NR_PAGES][MAX_THREADS];
} taker;

static uint64_t nr_lost;

/* Relaxed: guest memory, which mark and take are to order. */
static void write_and_mark(unsigned int thread, uint64_t page)
{
	gln_store_relaxed(&shared.pages[page][thread],
			  gln_load_relaxed(&shared.pages[page][thread]) + 1);
	bitmap_mark(&shared.bitmap, page);
}

static void copy_page(uint64_t page)
{
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		taker.copies[page][i] =
			gln_load_relaxed(&shared.pages[page][i]);
}

/* Take, fence, copy: as a harvest does. */
static void take(void)
{
	const struct take_limits all = {
		.end = NR_PAGES,
		.max_pages = UINT64_MAX,
	};

	glni_bitmap_take(&shared.bitmap, &taker.snapshot, &all);
	glni_fence_heavy(shared.bitmap.fence);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (snapshot_word(&taker.snapshot, page / GLN_WORD_BITS) >>
			    page % GLN_WORD_BITS &
		    1)
			copy_page(page);
	glni_snapshot_reset(&taker.snapshot);
}

/* What this thread has written and marked is in the copies now. */
static void must_have(unsigned int thread, uint64_t page)
{
	const uint64_t content = gln_load_relaxed(&shared.pages[page][thread]);

	if (taker.copies[page][thread] == content)
		return;
	nr_lost++;
	taker.copies[page][thread] = content; /* counted */
}

/* The clients. Pages 0 and 1 share a word, 70 is in another of their line. */

static void mark_0(unsigned int thread)
{
	write_and_mark(thread, 0);
}

static void mark_1(unsigned int thread)
{
	write_and_mark(thread, 1);
}

static void mark_70(unsigned int thread)
{
	write_and_mark(thread, 70);
}

static void take_once(unsigned int thread)
{
	(void)thread;
	take();
}

static void take_twice(unsigned int thread)
{
	(void)thread;
	take();
	take();
}

/* Who marks and then takes has it, whoever else marks meanwhile (B1). */
static void mark_0_and_take(unsigned int thread)
{
	write_and_mark(thread, 0);
	take();
	must_have(thread, 0);
}

static void mark_0_and_70_and_take(unsigned int thread)
{
	mark_0_and_take(thread);
	write_and_mark(thread, 70);
	take();
	must_have(thread, 70);
}

static const struct client {
	const char *name;
	bool starts_marked; /* page 0 */
	unsigned int nr_threads;
	void (*threads[MAX_THREADS])(unsigned int thread);
} clients[] = {
	{"mark || take", false, 2, {mark_0, take_once}},
	{"mark again || take", true, 2, {mark_0, take_once}},
	{"mark || same, take", false, 2, {mark_0, mark_0_and_take}},
	{"mark || same, take, other, take",
	 false,
	 2,
	 {mark_0, mark_0_and_70_and_take}},
	{"mark || same || same word, take",
	 false,
	 3,
	 {mark_0, mark_1, mark_0_and_take}},
	{"mark || other word || take, take",
	 true,
	 3,
	 {mark_1, mark_70, take_twice}},
	{"mark || same || other || take, take",
	 false,
	 4,
	 {mark_0, mark_0, mark_70, take_twice}},
};

/* Rounds: all threads start one when all have ended the last. */

static struct {
	const struct client *client;
	uint64_t seed;
	gln_word round; /* UINT64_MAX: the end */
	gln_word nr_done;
} rounds;

static void await_change(gln_word *word, uint64_t from)
{
	for (unsigned int i = 0; gln_load_acquire(word) == from; i++)
		if (i % SPINS == SPINS - 1)
			sched_yield();
}

static void skew(struct stress_random *random)
{
	for (uint64_t i = stress_below(random, MAX_SKEW); i > 0; i--)
		gln_fence_compiler();
}

static void *thread_main(void *arg)
{
	const unsigned int thread = (unsigned int)(uintptr_t)arg;
	struct stress_random random = stress_random_from(rounds.seed, thread);

	for (uint64_t round = 0;; round++) {
		await_change(&rounds.round, round);
		if (gln_load_acquire(&rounds.round) == UINT64_MAX)
			return NULL;
		skew(&random);
		rounds.client->threads[thread](thread);
		gln_fetch_or_acq_rel(&rounds.nr_done, UINT64_C(1) << thread);
	}
}

static void run_round(uint64_t round)
{
	const uint64_t all = gln_low_bits(rounds.client->nr_threads);
	uint64_t done = 0;

	if (rounds.client->starts_marked)
		bitmap_mark(&shared.bitmap, 0);
	gln_store_relaxed(&rounds.nr_done, 0);
	gln_store_release(&rounds.round, round);
	while (done != all) {
		await_change(&rounds.nr_done, done);
		done = gln_load_acquire(&rounds.nr_done);
	}

	take();
	for (unsigned int thread = 0; thread < MAX_THREADS; thread++) {
		must_have(thread, 0);
		must_have(thread, 1);
		must_have(thread, 70);
	}
}

static void run_client(const struct client *client, enum fence_form fence,
		       uint64_t ms)
{
	const uint64_t end = stress_now_ns() + stress_ms(ms);
	pthread_t threads[MAX_THREADS];
	uint64_t round = 0;

	rounds.client = client;
	shared.bitmap.fence = fence;
	gln_store_relaxed(&rounds.round, 0);
	for (uintptr_t i = 0; i < client->nr_threads; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread_main,
				      (void *)i),
		      "a thread can be made");
	while (stress_now_ns() < end)
		run_round(++round);
	gln_store_release(&rounds.round, UINT64_MAX);
	for (unsigned int i = 0; i < client->nr_threads; i++)
		pthread_join(threads[i], NULL);

	printf("%-36s %-12s %" PRIu64 " executions\n", client->name,
	       fence == FENCE_ONE ? "heavy fence" : "full fences", round);
}

int main(int argc, char **argv)
{
	uint64_t ms = 400;
	const struct stress_option options[] = {
		{"ms", &ms, NULL},
		{"seed", &rounds.seed, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	rounds.seed = stress_seed(rounds.seed);
	printf("clients; seed %" PRIu64 "\n", rounds.seed);
	shared.bitmap = (struct bitmap){
		.nr_pages = NR_PAGES,
		.words = shared.words,
		.summary = shared.summary,
		.kernel = glni_best_kernel(),
	};
	taker.snapshot = (struct snapshot){
		.nr_pages = NR_PAGES,
		.words = taker.words,
		.taken = taker.taken,
	};

	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
		run_client(&clients[i], FENCE_BOTH, ms);
		if (glni_fence_form() == FENCE_ONE)
			run_client(&clients[i], FENCE_ONE, ms);
	}

	return stress_verdict(nr_lost);
}
