/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source_harvest.c - dirty pages by harvests: transactions that take the marks
 * of the whole slot, and protect and flush its pages, before a round copies
 * them. Where hardware keeps dirty state, the harvest collects it first.
 */
#include "bench/glean/source.h"

#include <errno.h>
#include <stdlib.h>

#include <glean/harvest.h>
#include <glean/log.h>

#include "bench/glean/round.h"

struct by_harvest {
	struct source base;
	enum gln_harvest_strategy strategy;
	struct gln_harvest *harvest; /* of this round */
};

static struct by_harvest *by_harvest(struct source *source)
{
	return (struct by_harvest *)source;
}

static int harvest_take(struct source *source, struct round *round)
{
	struct by_harvest *by = by_harvest(source);
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
		.strategy = by->strategy,
	};
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};
	int err = gln_harvest_begin(source->vm, SOURCE_SLOT, &params,
				    &by->harvest);

	if (err)
		return source_fail(source, err, "harvesting");
	err = gln_harvest_report(by->harvest, &report);
	if (err) {
		gln_harvest_abort(by->harvest);
		return source_fail(source, err, "reading a harvest's report");
	}
	round->dirty_pages = report.nr_pages;
	round->take_ns = report.take_ns;
	round->protect_ns = report.protect_ns;
	round->flush_ns = report.flush_ns;
	return 0;
}

static int harvest_next(struct source *source, struct round *round,
			struct gln_range *runs, size_t max_runs, size_t *nr)
{
	(void)round;
	*nr = gln_harvest_next(by_harvest(source)->harvest, runs, max_runs);
	return 0;
}

/* What was not copied goes back. */
static void harvest_finish(struct source *source, bool copied)
{
	struct gln_harvest *harvest = by_harvest(source)->harvest;

	if (copied)
		gln_harvest_commit(harvest);
	else
		gln_harvest_abort(harvest);
}

static void harvest_destroy(struct source *source)
{
	free(by_harvest(source));
}

static const struct source_ops harvest_ops = {
	.take = harvest_take,
	.next = harvest_next,
	.finish = harvest_finish,
	.destroy = harvest_destroy,
};

int source_harvest_create(const struct source_params *params,
			  struct source **source)
{
	struct by_harvest *by = calloc(1, sizeof(*by));

	if (!by)
		return -ENOMEM;
	by->strategy = params->strategy;
	by->base.ops = &harvest_ops;
	by->base.log_flags = GLN_LOG_ENABLE_ALL_MARKED;
	*source = &by->base;
	return 0;
}
