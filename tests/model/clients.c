/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clients.c - the smallest clients of what orders memory, run very often.
 *
 * Each is a few threads that do a thing once or twice, and a condition that
 * must hold in every execution: of the bitmap (G1, B1), the gate, an entry of a
 * hashed page table, the head of a page's chain and its reverse map. They use
 * the real headers, take.c and rev.c, C11 atomics and pthreads and nothing else
 * of the library, so that a checker of weak memory models can take them as they
 * are; here they run on what CPU there is, over and over, all threads starting
 * at almost the same time.
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
#include "core/hpt/hpte.h"
#include "core/hpt/page.h"
#include "core/hpt/table.h"
#include "core/sync/gate.h"

enum {
	MAX_THREADS = 4,
	NR_PAGES = 100, /* two words of one line */
	MAX_SKEW = 64,
	SPINS = 200, /* before the CPU is given to somebody else */
	MIN_ROUNDS = 100,
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

/* Clients of the bitmap. Pages 0 and 1 share a word, 70 is in another of their
 * line. */

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

/* Before each round of the bitmap, and after it: everybody has all. */
static void begin_marked(void)
{
	bitmap_mark(&shared.bitmap, 0);
}

static void check_pages(void)
{
	take();
	for (unsigned int thread = 0; thread < MAX_THREADS; thread++) {
		must_have(thread, 0);
		must_have(thread, 1);
		must_have(thread, 70);
	}
}

/*
 * The gate: a vCPU that is let in and a changer that finds nobody, not both;
 * and who is let in after a change finds it made.
 *
 * There are many, one after the other: two threads that go through them meet at
 * some, as they would not at one.
 */
enum { NR_COPIES = 256 };

static struct {
	struct gate gate;
	bool was_let_in;
	bool was_alone;
} doors[NR_COPIES];

static void begin_open(void)
{
	for (size_t i = 0; i < NR_COPIES; i++)
		gate_open(&doors[i].gate);
}

static void vcpu_enters(unsigned int thread)
{
	(void)thread;
	for (size_t i = 0; i < NR_COPIES; i++)
		doors[i].was_let_in = gate_enter(&doors[i].gate);
}

static void changer_closes(unsigned int thread)
{
	(void)thread;
	for (size_t i = 0; i < NR_COPIES; i++)
		doors[i].was_alone = !gate_close(&doors[i].gate);
}

static void check_one_of_them_knew(void)
{
	for (size_t i = 0; i < NR_COPIES; i++) {
		nr_lost += doors[i].was_let_in && doors[i].was_alone;
		gate_leave(&doors[i].gate);
	}
}

/* Plain, here and below, is what is to be ordered. */
static struct {
	struct gate gate;
	uint64_t table;
	gln_word nr_half;
} door;

static void begin_door(void)
{
	gate_open(&door.gate);
}

/* Each change leaves the table even. */
static void vcpu_looks(unsigned int thread)
{
	(void)thread;
	if (gate_enter(&door.gate) && door.table % 2)
		gln_fetch_add_relaxed(&door.nr_half, 1);
	gate_leave(&door.gate);
}

static void changer_changes(unsigned int thread)
{
	(void)thread;
	if (gate_close(&door.gate))
		return;
	door.table++;
	gln_fence_compiler();
	door.table++;
	gate_open(&door.gate);
}

static void check_never_half(void)
{
	/* Relaxed: nobody runs. */
	nr_lost += gln_xchg_relaxed(&door.nr_half, 0);
	gate_close(&door.gate);
}

/*
 * An entry: whoever walks the table and sees a V that is valid sees the R that
 * belongs to it (H-79); who locks it finds what the last holder left.
 */
static struct {
	struct hpte entry;
	uint64_t r_seen;
	bool was_valid;
} walked[NR_COPIES];

#define OLD_R UINT64_C(0x1000)
#define NEW_R UINT64_C(0x2000)

static void make_invalid(struct hpte *entry)
{
	hpte_lock(entry);
	hpte_publish(entry, (struct gln_hpte){0, OLD_R});
}

static void begin_invalid(void)
{
	for (size_t i = 0; i < NR_COPIES; i++)
		make_invalid(&walked[i].entry);
}

static void publishes(unsigned int thread)
{
	const struct gln_hpte value = {GLN_HPTE_V_VALID, NEW_R};

	(void)thread;
	for (size_t i = 0; i < NR_COPIES; i++) {
		hpte_lock(&walked[i].entry);
		hpte_publish(&walked[i].entry, value);
	}
}

/* As hardware does: V, then R. From the end, so as to meet who publishes. */
static void walks(unsigned int thread)
{
	(void)thread;
	for (size_t i = NR_COPIES; i-- > 0;) {
		struct hpte *const entry = &walked[i].entry;

		walked[i].was_valid =
			hpte_be(gln_load_acquire(&entry->v)) & GLN_HPTE_V_VALID;
		walked[i].r_seen = hpte_r(entry);
	}
}

static void check_r_belongs_to_v(void)
{
	for (size_t i = 0; i < NR_COPIES; i++)
		nr_lost += walked[i].was_valid && walked[i].r_seen != NEW_R;
}

static struct {
	struct hpte entry;
	uint64_t counter;
} pte;

static void begin_count(void)
{
	pte.counter = 0;
}

static void locks_and_counts(unsigned int thread)
{
	(void)thread;
	const uint64_t v = hpte_lock(&pte.entry);

	pte.counter++;
	hpte_unlock(&pte.entry, v);
}

static void locks_if_empty(unsigned int thread)
{
	uint64_t v;

	(void)thread;
	if (!hpte_try_lock(&pte.entry, GLN_HPTE_V_HVLOCK | GLN_HPTE_V_VALID,
			   &v))
		return;
	pte.counter++;
	hpte_publish(&pte.entry, (struct gln_hpte){GLN_HPTE_V_VALID, NEW_R});
}

static void begin_empty(void)
{
	make_invalid(&pte.entry);
	begin_count();
}

static void check_three(void)
{
	nr_lost += pte.counter != 3;
}

/* An attempt may fail for nothing, so nobody may have it; never two. */
static void check_at_most_one(void)
{
	nr_lost += pte.counter > 1;
}

/* A head: links are plain to who has it. */
static struct {
	gln_word page;
	uint64_t counter;
} head;

static void begin_head(void)
{
	head.counter = 0;
	gln_store_relaxed(&head.page, 0);
}

static void locks_head(unsigned int thread)
{
	(void)thread;
	const uint64_t was = page_lock(&head.page);

	head.counter++;
	page_unlock(&head.page, was + 1);
}

static void check_head(void)
{
	nr_lost += head.counter != 3;
	nr_lost += gln_load_relaxed(&head.page) != 3;
}

/*
 * A linked reverse entry: who has the entry changes what is in it, who has the
 * head its neighbours; neither loses anything.
 */
enum { NR_REVS = 1 << (GLN_HPT_ORDER_MIN - GLN_HPT_ENTRY_SHIFT) };

static struct rev revs[NR_REVS];

static struct hpt chain = {
	.rev = revs,
	.order = GLN_HPT_ORDER_MIN,
	.link_bits = GLN_HPT_ORDER_MIN - GLN_HPT_ENTRY_SHIFT,
	.nr_entries = NR_REVS,
};

static void begin_linked(void)
{
	memset(revs, 0, sizeof(revs[0]) * 4);
	glni_rev_link(&chain, 1, 1);
}

static void changes_attributes(unsigned int thread)
{
	(void)thread;
	glni_rev_set_guest(&chain, 1, true, GLN_HPTE_R_PP);
	glni_rev_or_rc(&chain, 1, true, GLN_HPTE_R_C);
	glni_rev_set_modified(&chain, 1, true);
}

static void changes_neighbours(unsigned int thread)
{
	(void)thread;
	glni_rev_link(&chain, 2, 1);
	glni_rev_link(&chain, 3, 1);
	glni_rev_unlink(&chain, 2, 0);
}

static void check_chain(void)
{
	nr_lost += glni_rev_next(&chain, 1) != 3;
	nr_lost += glni_rev_prev(&chain, 1) != 3;
	nr_lost += glni_rev_guest(&chain, 1, true, 0) !=
		   (GLN_HPTE_R_PP | GLN_HPTE_R_C);
	nr_lost += !glni_rev_take_modified(&chain, 1, true);
}

/* @begin comes before a round and @check after it, when nobody runs. */
static const struct client {
	const char *name;
	void (*begin)(void);
	void (*check)(void);
	unsigned int nr_threads;
	void (*threads[MAX_THREADS])(unsigned int thread);
} clients[] = {
	{"mark || take", NULL, check_pages, 2, {mark_0, take_once}},
	{"mark again || take",
	 begin_marked,
	 check_pages,
	 2,
	 {mark_0, take_once}},
	{"mark || same, take", NULL, check_pages, 2, {mark_0, mark_0_and_take}},
	{"mark || same, take, other, take",
	 NULL,
	 check_pages,
	 2,
	 {mark_0, mark_0_and_70_and_take}},
	{"mark || same || same word, take",
	 NULL,
	 check_pages,
	 3,
	 {mark_0, mark_1, mark_0_and_take}},
	{"mark || other word || take, take",
	 begin_marked,
	 check_pages,
	 3,
	 {mark_1, mark_70, take_twice}},
	{"mark || same || other || take, take",
	 NULL,
	 check_pages,
	 4,
	 {mark_0, mark_0, mark_70, take_twice}},
	{"enter || close",
	 begin_open,
	 check_one_of_them_knew,
	 2,
	 {vcpu_enters, changer_closes}},
	{"enter, look || enter, look || change",
	 begin_door,
	 check_never_half,
	 3,
	 {vcpu_looks, vcpu_looks, changer_changes}},
	{"publish || walk",
	 begin_invalid,
	 check_r_belongs_to_v,
	 2,
	 {publishes, walks}},
	{"lock || lock || lock",
	 begin_empty,
	 check_three,
	 3,
	 {locks_and_counts, locks_and_counts, locks_and_counts}},
	{"lock if empty, twice",
	 begin_empty,
	 check_at_most_one,
	 2,
	 {locks_if_empty, locks_if_empty}},
	{"head || head || head",
	 begin_head,
	 check_head,
	 3,
	 {locks_head, locks_head, locks_head}},
	{"attributes || neighbours",
	 begin_linked,
	 check_chain,
	 2,
	 {changes_attributes, changes_neighbours}},
};

/* Only they have two forms of fence. */
static bool is_of_bitmap(const struct client *client)
{
	return client->check == check_pages;
}

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

	if (rounds.client->begin)
		rounds.client->begin();
	gln_store_relaxed(&rounds.nr_done, 0);
	gln_store_release(&rounds.round, round);
	while (done != all) {
		await_change(&rounds.nr_done, done);
		done = gln_load_acquire(&rounds.nr_done);
	}

	rounds.client->check();
}

static const char *fence_name(const struct client *client,
			      enum fence_form fence)
{
	if (!is_of_bitmap(client))
		return "";
	return fence == FENCE_ONE ? "heavy fence" : "full fences";
}

static void run_client(const struct client *client, enum fence_form fence,
		       uint64_t ms)
{
	const struct stress_soak soak = stress_soak(ms);
	pthread_t threads[MAX_THREADS];
	uint64_t round = 0;

	rounds.client = client;
	shared.bitmap.fence = fence;
	gln_store_relaxed(&rounds.round, 0);
	for (uintptr_t i = 0; i < client->nr_threads; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread_main,
				      (void *)i),
		      "a thread can be made");
	while (stress_goes_on(&soak, round >= MIN_ROUNDS))
		run_round(++round);
	gln_store_release(&rounds.round, UINT64_MAX);
	for (unsigned int i = 0; i < client->nr_threads; i++)
		pthread_join(threads[i], NULL);

	printf("%-36s %-12s %" PRIu64 " executions\n", client->name,
	       fence_name(client, fence), round);
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
		if (is_of_bitmap(&clients[i]) && glni_fence_form() == FENCE_ONE)
			run_client(&clients[i], FENCE_ONE, ms);
	}

	return stress_verdict(nr_lost);
}
