/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claim: a harvest costs what was dirtied, not what the guest weighs: a clean
 * slot of 2^28 pages is harvested at least 20 times faster than by the seed's
 * loop, and a dense one no slower.
 *
 * Both rivals start from the same bitmap of marks, made anew for each
 * iteration: glean by gln_dirty_merge(), the seed's loop by copying it.
 * Timed is the whole transaction, gln_harvest_begin() to gln_harvest_commit(),
 * against the whole loop. There is no backend, so neither protects or flushes:
 * that would cost both the same. Both count the pages.
 */
#include "bench/suite/harvest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

#include "bench/suite/memory.h"
#include "bench/suite/seed_loop.h"
#include "bench/suite/truth.h"

#define SLOT 0U
#define RUNS 256

static const uint64_t page_counts[] = {1048576, 16777216, 268435456};
static const double densities[] = {0, 1e-6, 1e-4, 0.01, 0.1, 0.5, 1};

#define NR_DENSITIES (sizeof(densities) / sizeof(densities[0]))
#define NR_COUNTS    (sizeof(page_counts) / sizeof(page_counts[0]))

/*
 * @truth:	the pages that are dirty.
 * @found:	the pages that a check found.
 * @live:	the marks of the seed's loop; @out what it took.
 * @vm:		holds glean's.
 */
struct harvest_fixture {
	struct suite_fixture head;
	size_t nr_words;
	struct truth truth;
	struct truth found;
	uint64_t *live;
	uint64_t *out;
	struct gln_vm *vm;
};

static struct harvest_fixture *fixture_of(struct suite_fixture *head)
{
	return (struct harvest_fixture *)(void *)head;
}

static size_t words_bytes(const struct harvest_fixture *f)
{
	return f->nr_words * sizeof(*f->live);
}

/* --- glean --- */

static int glean_prepare(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	return gln_dirty_merge(f->vm, SLOT, 0, f->truth.words,
			       f->truth.nr_pages);
}

static int glean_begin(struct harvest_fixture *f, struct gln_harvest **harvest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};

	return gln_harvest_begin(f->vm, SLOT, &params, harvest);
}

static int glean_run(struct suite_fixture *head, uint64_t *answer)
{
	struct gln_harvest *harvest;
	const int err = glean_begin(fixture_of(head), &harvest);

	if (!err)
		*answer = gln_harvest_commit(harvest);
	return err;
}

static int glean_check(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);
	struct gln_harvest *harvest;
	struct gln_range runs[RUNS];
	size_t nr;
	int err = glean_begin(f, &harvest);

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

/* --- the seed's loop --- */

static int seed_prepare(struct suite_fixture *head)
{
	struct harvest_fixture *f = fixture_of(head);

	memcpy(f->live, f->truth.words, words_bytes(f));
	return 0;
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
	return memcmp(f->truth.words, f->out, words_bytes(f)) ? -EBADMSG : 0;
}

/* --- cases --- */

static void name_case(size_t index, char *name, size_t bytes)
{
	snprintf(name, bytes,
		 "harvest/pages:%" PRIu64 "/density:%g/pattern:uniform",
		 page_counts[index / NR_DENSITIES],
		 densities[index % NR_DENSITIES]);
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

static int setup(size_t index, uint64_t seed, struct suite_fixture **fixture)
{
	const uint64_t nr_pages = page_counts[index / NR_DENSITIES];
	const double density = densities[index % NR_DENSITIES];
	struct harvest_fixture *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	err = make_bitmaps(f, nr_pages);
	if (!err)
		err = make_vm(f);
	if (err) {
		teardown(&f->head);
		return err;
	}
	truth_uniform(&f->truth, truth_share(density, nr_pages), seed);
	f->head.answer = f->truth.nr_dirty;
	f->head.repeatable = f->truth.nr_dirty == 0;
	*fixture = &f->head;
	return 0;
}

static const struct rival rivals[] = {
	{"glean", glean_prepare, glean_run, glean_check},
	{"seed", seed_prepare, seed_run, seed_check},
};

const struct suite harvest_suite = {
	.name = "harvest",
	.claim = "a harvest costs what was dirtied, not what the guest weighs",
	.counter = "dirty_pages",
	.rivals = rivals,
	.nr_rivals = sizeof(rivals) / sizeof(rivals[0]),
	.baseline = 1,
	.nr_cases = NR_COUNTS * NR_DENSITIES,
	.nr_quick = NR_DENSITIES,
	.name_case = name_case,
	.setup = setup,
	.teardown = teardown,
};
