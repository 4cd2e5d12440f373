/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source_manual.c - dirty pages by the log as Linux KVM shapes it, in manual
 * mode with every page marked at the start: a round gets the bitmap, which
 * changes nothing, and clears it part by part, just before it copies the part.
 *
 * The later a page is protected, the fewer writes hit it before it is copied;
 * and no call has to protect a whole guest at once.
 */
#include "bench/glean/source.h"

#include <errno.h>
#include <stdlib.h>

#include <glean/log.h>

#include "bench/glean/clock.h"
#include "bench/glean/guest.h"
#include "bench/glean/pages.h"
#include "bench/glean/round.h"

/*
 * Pages cleared at a time: enough that a flush is cheap beside their copying,
 * and a multiple of a word.
 */
#define PART_PAGES UINT64_C(16384)

/* Pages below @at were given out, those below @cleared are protected. */
struct by_clear {
	struct source base;
	struct pages dirty;
	uint64_t at;
	uint64_t cleared;
};

static struct by_clear *by_clear(struct source *source)
{
	return (struct by_clear *)source;
}

static int manual_take(struct source *source, struct round *round)
{
	struct by_clear *by = by_clear(source);
	const uint64_t start_ns = clock_ns();
	const int err =
		gln_get_dirty_log(source->vm, SOURCE_SLOT, by->dirty.words);

	if (err)
		return source_fail(source, err, "getting the dirty log");
	round->dirty_pages = pages_count(&by->dirty);
	round->take_ns = clock_ns() - start_ns;
	by->at = 0;
	by->cleared = 0;
	return 0;
}

/* The next part that has dirty pages; all of it is over if there is none. */
static int clear_part(struct by_clear *by, struct round *round)
{
	const uint64_t nr_pages = by->dirty.nr_pages;
	const struct gln_range run =
		pages_next_run(&by->dirty, by->cleared, nr_pages);
	const uint64_t first = run.first - run.first % PAGES_WORD;
	const uint64_t left = nr_pages - first;
	const struct gln_clear_log clear = {
		.slot = SOURCE_SLOT,
		.first_page = first,
		.num_pages = (uint32_t)(left < PART_PAGES ? left : PART_PAGES),
		.bitmap = by->dirty.words + first / PAGES_WORD,
	};

	if (!run.count) {
		by->at = nr_pages;
		by->cleared = nr_pages;
		return 0;
	}

	const uint64_t start_ns = clock_ns();
	const int err = gln_clear_dirty_log(by->base.vm, &clear);

	if (err)
		return source_fail(&by->base, err, "clearing the dirty log");
	round->protect_ns += clock_ns() - start_ns;
	by->at = first;
	by->cleared = first + clear.num_pages;
	return 0;
}

/* Runs of the part that is cleared. */
static size_t take_runs(struct by_clear *by, struct gln_range *runs,
			size_t max_runs)
{
	const size_t nr = pages_take_runs(&by->dirty, &by->at, by->cleared,
					  runs, max_runs);

	for (size_t i = 0; i < nr; i++)
		runs[i].first += by->base.base_gfn;
	return nr;
}

static int manual_next(struct source *source, struct round *round,
		       struct gln_range *runs, size_t max_runs, size_t *nr)
{
	struct by_clear *by = by_clear(source);

	*nr = take_runs(by, runs, max_runs);
	while (!*nr && by->cleared < by->dirty.nr_pages) {
		const int err = clear_part(by, round);

		if (err)
			return err;
		*nr = take_runs(by, runs, max_runs);
	}
	return 0;
}

static void manual_destroy(struct source *source)
{
	struct by_clear *by = by_clear(source);

	pages_fini(&by->dirty);
	free(by);
}

static const struct source_ops manual_ops = {
	.take = manual_take,
	.next = manual_next,
	.destroy = manual_destroy,
};

static int manual_init(struct by_clear *by, const struct source_params *params)
{
	int err = pages_init(&by->dirty, params->nr_pages);

	if (err)
		return err;
	err = gln_log_set_mode(params->vm,
			       GLN_LOG_MANUAL_PROTECT | GLN_LOG_INITIALLY_SET);
	if (err)
		pages_fini(&by->dirty);
	return err;
}

int source_manual_create(const struct source_params *params,
			 struct source **source)
{
	struct by_clear *by = calloc(1, sizeof(*by));

	if (!by)
		return -ENOMEM;
	by->base.ops = &manual_ops;

	const int err = manual_init(by, params);

	if (err) {
		free(by);
		return err;
	}
	*source = &by->base;
	return 0;
}
