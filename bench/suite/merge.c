/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: to merge five logs into a slot's costs at most 1.3 times what it costs
 * to read them and OR them into plain memory.
 *
 *	glean		gln_dirty_merge_sources(): shifts what is misaligned,
 *			marks as a vCPU does, counts for each source
 *	snapshot	gln_harvest_merge_sources(): the same, into a harvest
 *			that was begun before, where nobody else marks
 *	or		the same bytes, OR of five words into a plain word;
 *			shifts nothing, counts nothing, nobody may mark
 *	fetch-or	the same, but words that are not 0 are marked: an atomic
 *			OR each, into words that others may be marking
 *
 * A density is that of each source, which has its own pages; in clusters these
 * are runs of 4096. Marks that are new were cleared before; those that are old
 * were set by the same merge.
 *
 * A word that is dirty and new costs a locked operation: where most words are,
 * fetch-or is the limit of any merge into a live log.
 */
#include "bench/suite/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

#include "bench/glean/random.h"
#include "bench/suite/memory.h"
#include "bench/suite/truth.h"

#define SLOT	 0U
#define SOURCES	 5U
#define RUNS	 256
#define RUN	 UINT64_C(4096)
#define WORD	 UINT64_C(64)
#define GIB_BITS 18 /* log2 of pages in a GiB */

/* Room for the bits that a misaligned source leaves out, and to read on. */
#define SLACK_BYTES 64

static const uint64_t gibs[] = {4, 256};
static const unsigned int nrs_aligned[] = {3, 5};

/* Bits to leave out: in part of a byte, and in a byte and a part of one. */
static const uint64_t offsets[SOURCES] = {0, 0, 0, 3, 13};

static const struct kind {
	double density;
	bool is_clustered;
	bool is_old;
} kinds[] = {
	{0, false, false},  {1e-4, false, false}, {0.01, true, false},
	{0.01, true, true}, {1, false, false},	  {1, false, true},
};

#define NR_KINDS   (sizeof(kinds) / sizeof(kinds[0]))
#define NR_ALIGNED (sizeof(nrs_aligned) / sizeof(nrs_aligned[0]))
#define NR_SIZES   (sizeof(gibs) / sizeof(gibs[0]))

/*
 * @truth:	the pages that some source names.
 * @data:	the sources.
 * @live:	the rivals' marks.
 * @vm:		into whose log is merged.
 * @vm_harvested: that which @harvest, open from prepare to check, is of.
 */
struct merge_fixture {
	struct suite_fixture head;
	const struct kind *kind;
	size_t nr_words;
	struct truth truth;
	struct truth found;
	uint64_t *data[SOURCES];
	struct gln_source sources[SOURCES];
	uint64_t *live;
	struct gln_vm *vm;
	struct gln_vm *vm_harvested;
	struct gln_harvest *harvest;
};

static struct merge_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct merge_fixture *)(void *)head;
}

static size_t live_bytes(const struct merge_fixture *f)
{
	return f->nr_words * sizeof(uint64_t);
}

static size_t data_bytes(const struct merge_fixture *f)
{
	return live_bytes(f) + SLACK_BYTES;
}

/* --- glean --- */

static int begin(struct gln_vm *vm, struct gln_harvest **harvest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};

	return gln_harvest_begin(vm, SLOT, &params, harvest);
}

/* How many sources said anything. */
static uint64_t count_said(const struct merge_fixture *f)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < SOURCES; i++)
		nr += f->sources[i].nr_set != 0;
	return nr;
}

/* Is in the harvest what the sources name, and was it counted so? */
static int check_harvest(struct merge_fixture *f, struct gln_harvest *harvest)
{
	struct gln_range runs[RUNS];
	uint64_t nr_new = 0;
	int err = 0;
	size_t nr;

	truth_clear(&f->found);
	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS)))
		for (size_t i = 0; i < nr; i++)
			if (!truth_set_range(&f->found, runs[i]))
				err = -EBADMSG;
	for (unsigned int i = 0; i < SOURCES; i++)
		nr_new += f->sources[i].nr_new;
	if (!err && (!truth_same(&f->truth, &f->found) ||
		     nr_new != (f->kind->is_old ? 0 : f->truth.nr_dirty)))
		err = -EBADMSG;
	return err;
}

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	struct merge_fixture *f = fixture_of(head);
	const int err =
		gln_dirty_merge_sources(f->vm, SLOT, f->sources, SOURCES);

	*answer = count_said(f);
	return err;
}

static int glean_prepare(struct suite_fixture *head)
{
	struct merge_fixture *f = fixture_of(head);
	struct gln_harvest *harvest;
	uint64_t answer;
	int err = begin(f->vm, &harvest);

	if (err)
		return err;
	gln_harvest_commit(harvest);
	return f->kind->is_old ? glean_run(head, &answer) : 0;
}

static int glean_check(struct suite_fixture *head)
{
	struct merge_fixture *f = fixture_of(head);
	struct gln_harvest *harvest;
	uint64_t answer;
	int err = glean_run(head, &answer);

	if (!err)
		err = begin(f->vm, &harvest);
	if (err)
		return err;
	err = check_harvest(f, harvest);
	gln_harvest_commit(harvest);
	return err;
}

static int snapshot_run(struct suite_fixture *head, uint64_t *answer)
{
	struct merge_fixture *f = fixture_of(head);
	const int err =
		gln_harvest_merge_sources(f->harvest, f->sources, SOURCES);

	*answer = count_said(f);
	return err;
}

static int snapshot_prepare(struct suite_fixture *head)
{
	struct merge_fixture *f = fixture_of(head);
	uint64_t answer;
	int err;

	if (f->harvest)
		gln_harvest_commit(f->harvest);
	f->harvest = NULL;
	err = begin(f->vm_harvested, &f->harvest);
	if (err)
		return err;
	return f->kind->is_old ? snapshot_run(head, &answer) : 0;
}

static int snapshot_check(struct suite_fixture *head)
{
	uint64_t answer;
	int err = snapshot_run(head, &answer);

	return err ? err
		   : check_harvest(fixture_of(head), fixture_of(head)->harvest);
}

/* --- the rivals: as if all were aligned --- */

static uint64_t word_of(const struct merge_fixture *f, size_t i)
{
	return f->data[0][i] | f->data[1][i] | f->data[2][i] | f->data[3][i] |
	       f->data[4][i];
}

static int or_prepare(struct suite_fixture *head)
{
	struct merge_fixture *f = fixture_of(head);

	memset(f->live, 0, live_bytes(f));
	for (size_t i = 0; i < f->nr_words && f->kind->is_old; i++)
		f->live[i] = word_of(f, i);
	return 0;
}

/* Inlined into functions for each CPU: the compiler makes of it what it has. */
#define FOR_ANY_CPU __attribute__((always_inline)) static inline

/* @from of each source. Nothing overlaps, which the compiler is told here. */
FOR_ANY_CPU void or_words(uint64_t *restrict to,
			  const uint64_t *const from[SOURCES], size_t nr_words)
{
	const uint64_t *restrict const a = from[0];
	const uint64_t *restrict const b = from[1];
	const uint64_t *restrict const c = from[2];
	const uint64_t *restrict const d = from[3];
	const uint64_t *restrict const e = from[4];

	for (size_t i = 0; i < nr_words; i++)
		to[i] |= a[i] | b[i] | c[i] | d[i] | e[i];
}

static void or_words_plain(uint64_t *to, const uint64_t *const from[SOURCES],
			   size_t nr_words)
{
	or_words(to, from, nr_words);
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void or_words_avx512(
	uint64_t *to, const uint64_t *const from[SOURCES], size_t nr_words)
{
	or_words(to, from, nr_words);
}

__attribute__((target("avx2"))) static void or_words_avx2(
	uint64_t *to, const uint64_t *const from[SOURCES], size_t nr_words)
{
	or_words(to, from, nr_words);
}
#endif

static void or_all(struct merge_fixture *f)
{
	const uint64_t *const from[SOURCES] = {
		f->data[0], f->data[1], f->data[2], f->data[3], f->data[4]};

#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f")) {
		or_words_avx512(f->live, from, f->nr_words);
		return;
	}
	if (__builtin_cpu_supports("avx2")) {
		or_words_avx2(f->live, from, f->nr_words);
		return;
	}
#endif
	or_words_plain(f->live, from, f->nr_words);
}

static int or_run(struct suite_fixture *head, uint64_t *answer)
{
	struct merge_fixture *f = fixture_of(head);

	or_all(f);
	*answer = head->answer;
	return 0;
}

static int fetch_or_run(struct suite_fixture *head, uint64_t *answer)
{
	struct merge_fixture *f = fixture_of(head);
	_Atomic uint64_t *const live = (_Atomic uint64_t *)f->live;

	for (size_t i = 0; i < f->nr_words; i++) {
		const uint64_t word = word_of(f, i);

		if (word &
		    ~atomic_load_explicit(&live[i], memory_order_relaxed))
			atomic_fetch_or(&live[i], word);
	}
	*answer = head->answer;
	return 0;
}

static int check_live(struct merge_fixture *f, int err)
{
	for (size_t i = 0; i < f->nr_words && !err; i++)
		if (f->live[i] != word_of(f, i))
			err = -EBADMSG;
	return err;
}

static int or_check(struct suite_fixture *head)
{
	uint64_t answer;

	return check_live(fixture_of(head), or_run(head, &answer));
}

static int fetch_or_check(struct suite_fixture *head)
{
	uint64_t answer;

	return check_live(fixture_of(head), fetch_or_run(head, &answer));
}

/* --- cases --- */

static const struct kind *kind_of(size_t index)
{
	return &kinds[index % NR_KINDS];
}

static unsigned int nr_aligned_of(size_t index)
{
	return nrs_aligned[index / NR_KINDS % NR_ALIGNED];
}

static uint64_t gib_of(size_t index)
{
	return gibs[index / NR_KINDS / NR_ALIGNED];
}

static void name_case(size_t index, char *name, size_t bytes)
{
	const struct kind *kind = kind_of(index);

	snprintf(name, bytes,
		 "merge/sources:%u/bytes:%" PRIu64
		 "G/aligned:%u/density:%g/pattern:%s/marks:%s",
		 SOURCES, gib_of(index), nr_aligned_of(index), kind->density,
		 kind->is_clustered ? "clustered" : "uniform",
		 kind->is_old ? "old" : "new");
}

static void teardown(struct suite_fixture *head)
{
	struct merge_fixture *f = fixture_of(head);

	if (f->harvest)
		gln_harvest_commit(f->harvest);
	if (f->vm_harvested)
		gln_vm_destroy(f->vm_harvested);
	if (f->vm)
		gln_vm_destroy(f->vm);
	truth_fini(&f->truth);
	truth_fini(&f->found);
	for (unsigned int i = 0; i < SOURCES; i++)
		suite_free(f->data[i], data_bytes(f));
	suite_free(f->live, live_bytes(f));
	free(f);
}

/* Source @i names @count pages from @page on. */
static void name_pages(struct merge_fixture *f, unsigned int i, uint64_t page,
		       uint64_t count)
{
	for (; count; count--, page++) {
		const uint64_t bit = page + f->sources[i].offset;

		f->data[i][bit / WORD] |= UINT64_C(1) << bit % WORD;
		truth_set(&f->truth, page);
	}
}

static void fill(struct merge_fixture *f, unsigned int i, uint64_t *random)
{
	const uint64_t nr_pages = f->truth.nr_pages;
	const uint64_t run = f->kind->is_clustered ? RUN : 1;
	const uint64_t nr = truth_share(f->kind->density, nr_pages);

	if (nr == nr_pages) {
		name_pages(f, i, 0, nr_pages);
		return;
	}
	for (uint64_t left = nr / run; left; left--)
		name_pages(f, i, random_below(random, nr_pages / run) * run,
			   run);
}

static int make_sources(struct merge_fixture *f, unsigned int nr_aligned,
			uint64_t seed)
{
	uint64_t random = seed;

	for (unsigned int i = 0; i < SOURCES; i++) {
		f->data[i] = suite_alloc(data_bytes(f));
		if (!f->data[i])
			return -ENOMEM;
		f->sources[i] = (struct gln_source){
			.kind = GLN_SOURCE_BITMAP,
			.order = GLN_SOURCE_HOST,
			.page_shift = 12,
			.data = f->data[i],
			.offset = nr_aligned == SOURCES ? 0 : offsets[i],
			.nr = f->truth.nr_pages,
		};
		fill(f, i, &random);
	}
	return 0;
}

static int make_vm(const struct merge_fixture *f, struct gln_vm **vm)
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
	int err = gln_vm_create(&vm_params, vm);

	if (!err)
		err = gln_slot_add(*vm, &slot_params);
	if (!err)
		err = gln_log_enable(*vm, SLOT, 0);
	return err;
}

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	const uint64_t nr_pages = gib_of(index) << GIB_BITS;
	struct merge_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->kind = kind_of(index);
	f->nr_words = (size_t)(nr_pages / WORD);
	err = truth_init(&f->truth, nr_pages);
	if (!err)
		err = truth_init(&f->found, nr_pages);
	f->live = suite_alloc(live_bytes(f));
	if (!err && !f->live)
		err = -ENOMEM;
	if (!err)
		err = make_sources(f, nr_aligned_of(index), seed);
	if (!err)
		err = make_vm(f, &f->vm);
	if (!err)
		err = make_vm(f, &f->vm_harvested);
	if (err) {
		teardown(&f->head);
		return err;
	}
	f->head.answer = f->kind->density > 0 ? SOURCES : 0;
	f->head.repeatable = f->kind->is_old || !f->truth.nr_dirty;
	f->head.check_once = true;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", glean_prepare, glean_run, glean_check},
	{"snapshot", snapshot_prepare, snapshot_run, snapshot_check},
	{"or", or_prepare, or_run, or_check},
	{"fetch-or", or_prepare, fetch_or_run, fetch_or_check},
};

const struct suite merge_suite = {
	.name = "merge",
	.claim = "merging logs costs what reading them costs",
	.counter = "sources",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 2,
	.nr_cases = NR_KINDS * NR_ALIGNED * NR_SIZES,
	.nr_quick = NR_KINDS * NR_ALIGNED,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
