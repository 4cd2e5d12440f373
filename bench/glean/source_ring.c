/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source_ring.c - dirty pages by rings, one of each vCPU: entries are fetched
 * into a set of pages, reset, which protects the pages, and copied in the round
 * after.
 *
 * A vCPU whose ring is full stands still until it is reset, so the rings are
 * emptied while a round is copied, too: what comes then is for the next round.
 */
#include "bench/glean/source.h"

#include <errno.h>
#include <stdlib.h>

#include <glean/harvest.h>
#include <glean/ring.h>

#include "bench/glean/clock.h"
#include "bench/glean/guest.h"
#include "bench/glean/pages.h"
#include "bench/glean/round.h"
#include "bench/glean/vcpus.h"

/*
 * Of a ring: 4096 entries. A vCPU that writes 50,000 pages a second fills it in
 * 80 ms, and the rings are emptied every few milliseconds.
 */
#define RING_BYTES (UINT64_C(64) << 10)

/* Runs taken from a harvest at a time. */
#define RUNS 64

/**
 * struct by_ring - sets of pages, and where the rings are read.
 *
 * @taken:	of this round, reset; those below @at were given out.
 * @coming:	fetched since, and reset: of the next.
 */
struct by_ring {
	struct source base;
	struct pages taken;
	struct pages coming;
	uint64_t at;
	uint32_t nr_rings;
	struct gln_ring_cursor *rings;
};

static struct by_ring *by_ring(struct source *source)
{
	return (struct by_ring *)source;
}

static int find_rings(struct by_ring *by, const struct vcpus *vcpus)
{
	for (uint32_t i = 0; i < by->nr_rings; i++) {
		struct gln_ring_cursor *ring = &by->rings[i];
		const int err =
			gln_vcpu_ring(vcpus_registered(vcpus, i),
				      &ring->entries, &ring->nr_entries);

		if (err)
			return err;
	}
	return 0;
}

/* What was written before the log was on is in no ring: everything may be. */
static int ring_start(struct source *source, const struct vcpus *vcpus)
{
	struct by_ring *by = by_ring(source);
	int err = -ENOMEM;

	by->nr_rings = vcpus_count(vcpus);
	by->rings = calloc(by->nr_rings, sizeof(*by->rings));
	if (by->rings)
		err = find_rings(by, vcpus);
	if (err)
		return source_fail(source, err, "finding the vCPUs' rings");
	pages_fill(&by->coming);
	return 0;
}

/* All that is in a ring. It cannot grow for ever: nobody resets it meanwhile.
 */
static int fetch_ring(struct by_ring *by, struct gln_ring_cursor *ring,
		      uint64_t *nr_fetched)
{
	uint64_t page;
	uint32_t slot;

	while (gln_ring_fetch(ring, &slot, &page)) {
		if (slot != SOURCE_SLOT || page >= by->base.nr_pages)
			return source_fail(&by->base, -ERANGE,
					   "fetching from a ring");
		pages_add(&by->coming, page);
		++*nr_fetched;
	}
	return 0;
}

static int fetch(struct by_ring *by, uint64_t *nr_fetched, struct round *round)
{
	const uint64_t start_ns = clock_ns();
	int err = 0;

	*nr_fetched = 0;
	for (uint32_t i = 0; i < by->nr_rings && !err; i++)
		err = fetch_ring(by, &by->rings[i], nr_fetched);
	round->take_ns += clock_ns() - start_ns;
	return err;
}

/* Protect what was fetched, and let vCPUs that wait go on. */
static int reset(struct by_ring *by, uint64_t nr_fetched, struct round *round)
{
	const uint64_t start_ns = clock_ns();
	const int nr_reset = gln_ring_reset(by->base.vm);

	round->protect_ns += clock_ns() - start_ns;
	if (nr_reset < 0)
		return source_fail(&by->base, nr_reset, "resetting the rings");
	if ((uint64_t)nr_reset != nr_fetched)
		return source_fail(&by->base, -ERANGE, "resetting the rings");
	return 0;
}

static int ring_tend(struct source *source, struct round *round)
{
	struct by_ring *by = by_ring(source);
	uint64_t nr_fetched;
	const int err = fetch(by, &nr_fetched, round);

	if (err || !nr_fetched)
		return err;
	return reset(by, nr_fetched, round);
}

static int add_run(struct by_ring *by, struct gln_range run)
{
	const uint64_t first = run.first - by->base.base_gfn;
	const uint64_t nr_pages = by->base.nr_pages;

	if (first >= nr_pages || run.count > nr_pages - first)
		return source_fail(&by->base, -ERANGE, "walking a harvest");
	for (uint64_t i = 0; i < run.count; i++)
		pages_add(&by->coming, first + i);
	return 0;
}

static int add_harvest(struct by_ring *by, struct gln_harvest *harvest)
{
	struct gln_range runs[RUNS];
	size_t nr;
	int err = 0;

	while (!err && (nr = gln_harvest_next(harvest, runs, RUNS)))
		for (size_t i = 0; i < nr && !err; i++)
			err = add_run(by, runs[i]);
	return err;
}

/* Marks that did not go to a ring, read last: when nothing writes any more. */
static int take_strays(struct by_ring *by)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	int err =
		gln_harvest_begin(by->base.vm, SOURCE_SLOT, &params, &harvest);

	if (err == -ENXIO) /* there are none */
		return 0;
	if (err)
		return source_fail(&by->base, err, "harvesting");
	err = add_harvest(by, harvest);
	gln_harvest_commit(harvest);
	return err;
}

static int ring_take(struct source *source, struct round *round)
{
	struct by_ring *by = by_ring(source);
	int err = ring_tend(source, round);

	if (!err && round->stopped)
		err = take_strays(by);
	if (err)
		return err;

	const struct pages taken = by->coming;

	by->coming = by->taken;
	by->taken = taken;
	pages_clear(&by->coming);
	by->at = 0;
	round->dirty_pages = pages_count(&by->taken);
	return 0;
}

static int ring_next(struct source *source, struct round *round,
		     struct gln_range *runs, size_t max_runs, size_t *nr)
{
	struct by_ring *by = by_ring(source);

	(void)round;
	*nr = pages_take_runs(&by->taken, &by->at, by->base.nr_pages, runs,
			      max_runs);
	for (size_t i = 0; i < *nr; i++)
		runs[i].first += by->base.base_gfn;
	return 0;
}

static void ring_destroy(struct source *source)
{
	struct by_ring *by = by_ring(source);

	pages_fini(&by->taken);
	pages_fini(&by->coming);
	free(by->rings);
	free(by);
}

static const struct source_ops ring_ops = {
	.start = ring_start,
	.take = ring_take,
	.next = ring_next,
	.tend = ring_tend,
	.destroy = ring_destroy,
};

static int ring_init(struct by_ring *by, const struct source_params *params)
{
	const uint32_t flags = params->has_strays ? GLN_RING_WITH_BITMAP : 0;
	int err = pages_init(&by->taken, params->nr_pages);

	if (!err)
		err = pages_init(&by->coming, params->nr_pages);
	if (!err)
		err = gln_ring_enable(params->vm, RING_BYTES, flags);
	return err;
}

int source_ring_create(const struct source_params *params,
		       struct source **source)
{
	struct by_ring *by = calloc(1, sizeof(*by));

	if (!by)
		return -ENOMEM;
	by->base.ops = &ring_ops;

	const int err = ring_init(by, params);

	if (err) {
		ring_destroy(&by->base);
		return err;
	}
	*source = &by->base;
	return 0;
}
