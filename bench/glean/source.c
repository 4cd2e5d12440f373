/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.c - where a migration learns which pages are dirty: the kinds.
 */
#include "bench/glean/source.h"

#include <glean/log.h>

const char *const log_names[NR_LOGS + 1] = {
	[LOG_BITMAP] = "bitmap", [LOG_MANUAL] = "manual", [LOG_RING] = "ring",
	[LOG_PML] = "pml",	 [LOG_DBM] = "dbm",
};

int source_fail(struct source *source, int err, const char *what)
{
	source->failed = what;
	return err;
}

static int create_kind(const struct source_params *params,
		       struct source **source)
{
	switch (params->kind) {
	case LOG_MANUAL:
		return source_manual_create(params, source);
	case LOG_RING:
		return source_ring_create(params, source);
	default:
		return source_harvest_create(params, source);
	}
}

int source_create(const struct source_params *params, struct source **source,
		  const char **failed)
{
	const int err = create_kind(params, source);

	if (err) {
		*failed = "choosing the log";
		return err;
	}
	(*source)->vm = params->vm;
	(*source)->base_gfn = params->base_gfn;
	(*source)->nr_pages = params->nr_pages;
	return 0;
}

void source_destroy(struct source *source)
{
	source->ops->destroy(source);
}

int source_start(struct source *source, const struct vcpus *vcpus)
{
	const int err =
		gln_log_enable(source->vm, SOURCE_SLOT, source->log_flags);

	if (err)
		return source_fail(source, err, "switching on the log");
	return source->ops->start ? source->ops->start(source, vcpus) : 0;
}
