/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: a harvest costs what was dirtied, not what the guest weighs, and is
 * behind nobody's loop at any density.
 *
 *	glean		gln_harvest_begin() to gln_harvest_commit()
 *	exchange, flip	the same, its strategy pinned
 *	seed		the loop that hypervisors have had: seed_loop.h
 *	fetch-and	an atomic on every word, set or not, into a fresh
 *vector: the loop of VMM libraries kvm		this machine's own: kvm_log.h
 *	read		the bitmap read once, in vectors, and added up: no
 *harvest of it can be faster where every word is dirty
 *
 * All start from the same marks, made anew for each iteration, glean's by
 * gln_dirty_merge(), the others' by storing words. Timed is the whole work,
 * clearing and counting pages included; read neither clears nor counts. There
 * is no backend, so nobody protects or flushes: that would cost all the same.
 * The kernel's ioctl clears and copies; its answer is counted as a VMM would.
 *
 *	uniform		each page as likely as any other
 *	clustered	512 pages together, at random places
 *	alternating	one page, then so many clean ones, over and over
 */
#include "bench/suite/harvest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

#include "bench/suite/kvm_log.h"
#include "bench/suite/memory.h"
#include "bench/suite/seed_loop.h"
#include "bench/suite/truth.h"
#include "bench/suite/words.h"

#define SLOT 0U
#define RUNS 256

/* A check goes through the pages one run at a time: from here on, only once. */
#define CHECK_ONCE_PAGES (UINT64_C(1) << 20)

/* With fewer dirty words than one in so many, only they are prepared. */
#define SPARSE 16

enum pattern { UNIFORM, CLUSTERED, ALTERNATING };

static const char *const pattern_names[] = {"uniform", "clustered",
					    "alternating"};

/* 4 GiB, 64 GiB, 1 TiB. */
static const uint64_t page_counts[] = {1048576, 16777216, 268435456};
#define MIDDLE_PAGES UINT64_C(16777216)

/* 12 TiB; this one is measured clean only. */
#define HUGE_PAGES UINT64_C(3221225472)

/* The first and the last are the same in every pattern. */
static const double densities[] = {0,	 1e-6, 1e-5, 1e-4, 1e-3,
				   0.01, 0.1,  0.5,  1};

enum {
	NR_COUNTS = sizeof(page_counts) / sizeof(page_counts[0]),
	NR_DENSITIES = sizeof(densities) / sizeof(densities[0]),
	NR_BETWEEN = NR_DENSITIES - 2,
	CASES_OF_A_COUNT = NR_DENSITIES + 2 * NR_BETWEEN,
	NR_CASES = NR_COUNTS * CASES_OF_A_COUNT + 1,
};

/* One benchmark. */
struct harvest_case {
	uint64_t nr_pages;
	double density;
	enum pattern pattern;
};

static struct harvest_case case_at(size_t index)
{
	const size_t count = index / CASES_OF_A_COUNT;
	const size_t rest = index % CASES_OF_A_COUNT;

	if (count == NR_COUNTS)
		return (struct harvest_case){HUGE_PAGES, 0, UNIFORM};
	if (rest < NR_DENSITIES)
		return (struct harvest_case){page_counts[count],
					     densities[rest], UNIFORM};

	const size_t between = (rest - NR_DENSITIES) % NR_BETWEEN;

	return (struct harvest_case){
		.nr_pages = page_counts[count],
		.density = densities[1 + between],
		.pattern = rest - NR_DENSITIES < NR_BETWEEN ? CLUSTERED
							    : ALTERNATING,
	};
}

/*
 * @truth:	the pages that are dirty.
 * @sum:	of its words.
 * @found:	the pages that a check found.
 * @dirty_words: which words of @truth are not 0, where they are few, else
 *		NULL; there are @nr_dirty_words.
 * @live:	the marks of the loops; @out what they took.
 * @vm:		holds glean's.
 */
struct harvest_fixture {
	struct suite_fixture head;
	size_t nr_words;
	struct truth truth;
	uint64_t sum;
	struct truth found;
	size_t *dirty_words;
	size_t nr_dirty_words;
	uint64_t *live;
	uint64_t *out;
	struct gln_vm *vm;
	struct kvm_log kvm;
};

static struct harvest_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct harvest_fixture *)(void *)head;
}

static size_t words_bytes(const struct harvest_fixture *f)
{
	return f->nr_words * sizeof(*f->live);
}

/* --- glean, one strategy or another --- */

static int glean_prepare(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);
	int err = 0;

	if (!f->dirty_words)
		return gln_dirty_merge(f->vm, SLOT, 0, f->truth.words,
				       f->truth.nr_pages);
	for (size_t i = 0; i < f->nr_dirty_words && !err; i++) {
		const size_t word = f->dirty_words[i];

		err = gln_dirty_merge(f->vm, SLOT, word * 64,
				      &f->truth.words[word], 64);
	}
	return err;
}

static int begin(struct harvest_fixture *f, enum gln_harvest_strategy strategy,
		 struct gln_harvest **harvest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = strategy,
	};

	return gln_harvest_begin(f->vm, SLOT, &params, harvest);
}

static int run(struct suite_fixture *head, enum gln_harvest_strategy strategy,
	       uint64_t *answer)
{
	struct gln_harvest *harvest;
	const int err = begin(fixture_of(head), strategy, &harvest);

	if (!err)
		*answer = gln_harvest_commit(harvest);
	return err;
}

static int check(struct suite_fixture *head, enum gln_harvest_strategy strategy)
{
	struct harvest_fixture *f = fixture_of(head);
	struct gln_harvest *harvest;
	struct gln_range runs[RUNS];
	size_t nr;
	int err = begin(f, strategy, &harvest);

	if (err)
		return err;
	truth_clear(&f->found);
	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS))) {
		for (size_t i = 0; i < nr; i++) {
			if (!truth_set_range(&f->found, runs[i]))
				err = -EBADMSG;
		}
	}
	gln_harvest_commit(harvest);
	if (!err && !truth_same(&f->truth, &f->found))
		err = -EBADMSG;
	return err;
}

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	return run(head, GLN_HARVEST_AUTO, answer);
}

static int glean_check(struct suite_fixture *head)
{
	return check(head, GLN_HARVEST_AUTO);
}

static int exchange_run(struct suite_fixture *head, uint64_t *answer)
{
	return run(head, GLN_HARVEST_EXCHANGE, answer);
}

static int exchange_check(struct suite_fixture *head)
{
	return check(head, GLN_HARVEST_EXCHANGE);
}

static int flip_run(struct suite_fixture *head, uint64_t *answer)
{
	return run(head, GLN_HARVEST_FLIP, answer);
}

static int flip_check(struct suite_fixture *head)
{
	return check(head, GLN_HARVEST_FLIP);
}

/* --- the loops --- */

/* What they leave behind is 0, or the truth itself. */
static int loop_prepare(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	if (!f->dirty_words) {
		words_copy(f->live, f->truth.words, f->nr_words);
		return 0;
	}
	for (size_t i = 0; i < f->nr_dirty_words; i++) {
		const size_t word = f->dirty_words[i];

		f->live[word] = f->truth.words[word];
	}
	return 0;
}

static bool is_right(const struct harvest_fixture *f, const uint64_t *taken)
{
	return !memcmp(f->truth.words, taken, words_bytes(f));
}

/* What was taken is the truth, and nothing is left. */
static bool has_taken(const struct harvest_fixture *f)
{
	return is_right(f, f->out) && !words_count(f->live, f->nr_words);
}

static int seed_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *f = fixture_of(head);

	*answer = seed_loop(f->live, f->out, f->nr_words);
	return 0;
}

static int seed_check(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	seed_loop(f->live, f->out, f->nr_words);
	return has_taken(f) ? 0 : -EBADMSG;
}

static int fetch_and_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *f = fixture_of(head);
	uint64_t *fresh = malloc(words_bytes(f));

	if (!fresh)
		return -ENOMEM;
	*answer = fetch_and_loop(f->live, fresh, f->nr_words);
	free(fresh);
	return 0;
}

static int fetch_and_check(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	fetch_and_loop(f->live, f->out, f->nr_words);
	return has_taken(f) ? 0 : -EBADMSG;
}

/* Its answer is a sum; where that is right, the truth's count stands for it. */
static int read_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *f = fixture_of(head);

	if (words_sum(f->live, f->nr_words) == f->sum)
		*answer = f->truth.nr_dirty;
	else
		*answer = UINT64_MAX;
	return 0;
}

static int read_check(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);
	uint64_t answer;

	read_run(head, &answer);
	return answer == head->answer && is_right(f, f->live) ? 0 : -EBADMSG;
}

/* --- this machine's own --- */

static int kvm_prepare(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	return f->kvm.memory ? 0 : kvm_log_open(&f->kvm, f->truth.nr_pages);
}

static int kvm_run(struct suite_fixture *head, uint64_t *answer)
{
	struct harvest_fixture *f = fixture_of(head);
	const int err = kvm_log_get(&f->kvm, f->out);

	if (!err)
		*answer = words_count(f->out, f->nr_words);
	return err;
}

static int kvm_check(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);
	int err;

	memset(f->out, 0xff, words_bytes(f));
	err = kvm_log_get(&f->kvm, f->out);
	if (!err && !is_right(f, f->out))
		err = -EBADMSG;
	return err;
}

static const struct rival rivals[] = {
	{"glean", glean_prepare, glean_run, glean_check},
	{"exchange", glean_prepare, exchange_run, exchange_check},
	{"flip", glean_prepare, flip_run, flip_check},
	{"seed", loop_prepare, seed_run, seed_check},
	{"fetch-and", loop_prepare, fetch_and_run, fetch_and_check},
	{"read", loop_prepare, read_run, read_check},
	{"kvm", kvm_prepare, kvm_run, kvm_check},
};

enum { SEED = 3, KVM = 6 };

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	const struct harvest_case c = case_at(index);

	snprintf(name, bytes, "harvest/pages:%" PRIu64 "/density:%g/pattern:%s",
		 c.nr_pages, c.density, pattern_names[c.pattern]);
}

static bool has_rival(size_t index, size_t rival)
{
	const struct harvest_case c = case_at(index);

	if (rival != KVM)
		return true;
	return c.density <= 0 && c.nr_pages <= KVM_LOG_PAGES_MAX;
}

/* Sizes and patterns between others say little that those do not. */
static bool is_default(size_t index)
{
	const struct harvest_case c = case_at(index);

	if (c.pattern == UNIFORM)
		return c.nr_pages != MIDDLE_PAGES || c.density <= 0 ||
		       c.density >= 0.01;
	return c.nr_pages == page_counts[NR_COUNTS - 1] && c.density >= 0.01;
}

static void teardown(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	if (f->vm)
		gln_vm_destroy(f->vm);
	truth_fini(&f->truth);
	truth_fini(&f->found);
	suite_free(f->live, words_bytes(f));
	suite_free(f->out, words_bytes(f));
	free(f->dirty_words);
	kvm_log_close(&f->kvm);
	free(f);
}

/* A VM with one slot, logged, nothing marked. */
static int make_vm(struct harvest_fixture *f)
{
	const struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.allocator = &suite_allocator,
	};
	const struct gln_slot_params slot_params = {
		.struct_bytes = sizeof(slot_params),
		.id = SLOT,
		.nr_pages = f->truth.nr_pages,
	};
	int err = gln_vm_create(&vm_params, &f->vm);

	if (!err)
		err = gln_slot_add(f->vm, &slot_params);
	if (!err)
		err = gln_log_enable(f->vm, SLOT, 0);
	return err;
}

static int make_bitmaps(struct harvest_fixture *f, uint64_t nr_pages)
{
	int err = truth_init(&f->truth, nr_pages);

	if (!err)
		err = truth_init(&f->found, nr_pages);
	f->nr_words = (size_t)(nr_pages / 64);
	f->live = suite_alloc(words_bytes(f));
	f->out = suite_alloc(words_bytes(f));
	return f->live && f->out ? err : -ENOMEM;
}

static void make_truth(struct truth *truth, const struct harvest_case *c,
		       uint64_t seed)
{
	const uint64_t nr = truth_share(c->density, c->nr_pages);

	switch (c->pattern) {
	case UNIFORM:
		truth_uniform(truth, nr, seed);
		break;
	case CLUSTERED:
		truth_clusters(truth, nr, seed);
		break;
	case ALTERNATING:
		truth_runs(truth, 0, 1, (uint64_t)(1 / c->density + 0.5));
		break;
	}
}

/* Note which words are dirty, if they are few. */
static int find_dirty_words(struct harvest_fixture *f)
{
	const uint64_t *const words = f->truth.words;
	size_t nr = 0;

	for (size_t i = 0; i < f->nr_words; i++)
		nr += words[i] != 0;
	if (nr > f->nr_words / SPARSE)
		return 0;
	f->dirty_words = malloc((nr + 1) * sizeof(*f->dirty_words));
	if (!f->dirty_words)
		return -ENOMEM;
	for (size_t i = 0; i < f->nr_words; i++)
		if (words[i])
			f->dirty_words[f->nr_dirty_words++] = i;
	return 0;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	const struct harvest_case c = case_at(index);
	struct harvest_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = make_bitmaps(f, c.nr_pages);
	if (!err)
		err = make_vm(f);
	if (!err) {
		make_truth(&f->truth, &c, seed);
		err = find_dirty_words(f);
	}
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->sum = truth_sum(&f->truth);
	f->head.answer = f->truth.nr_dirty;
	f->head.repeatable = f->truth.nr_dirty == 0;
	f->head.check_once = f->truth.nr_dirty >= CHECK_ONCE_PAGES;
	*fixture = &f->head;
	return 0;
}

const struct suite harvest_suite = {
	.name = "harvest",
	.claim = "a harvest costs what was dirtied, not what the guest weighs",
	.counter = "dirty_pages",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = SEED,
	.nr_cases = NR_CASES,
	.nr_quick = CASES_OF_A_COUNT,
	.has_rival = has_rival,
	.is_default = is_default,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
