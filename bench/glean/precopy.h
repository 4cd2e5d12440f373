/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * precopy.h - copy a guest while it is written, round by round.
 *
 * Round 0 copies everything, each later round what the round before it left
 * dirty. When the rest is expected to fit the downtime, or rounds have run out,
 * the vCPUs stop, and a last round copies what is left.
 */
#ifndef BENCH_GLEAN_PRECOPY_H
#define BENCH_GLEAN_PRECOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/glean/round.h"

struct guest;
struct source;
struct table;
struct vcpus;

/**
 * struct precopy - the job, and how it went.
 *
 * @source:	tells what is dirty; not started.
 * @vcpus:	running.
 * @table:	told of each round.
 * @max_rounds:	rounds with running vCPUs; one more follows with none.
 * @pause_ns:	do nothing for so long after each of them.
 *
 * @rounds:	@nr_rounds of them, @max_rounds + 1 at most.
 * @stopped:	the vCPUs have been.
 * @downtime_ns: from asking the vCPUs to stop to the end of the last copy.
 * @total_ns:	from switching on the log to the same.
 * @converged:	the vCPUs were stopped because the rest seemed to fit.
 * @failed:	on an error, what failed.
 */
struct precopy {
	const struct guest *guest;
	struct source *source;
	struct vcpus *vcpus;
	struct table *table;
	uint64_t max_rounds;
	uint64_t target_ns;
	uint64_t pause_ns;

	struct round *rounds;
	size_t nr_rounds;
	bool stopped;
	uint64_t downtime_ns;
	uint64_t total_ns;
	bool converged;
	const char *failed;
};

/**
 * precopy_run() - do it.
 *
 * Return: 0; -EINTR if a signal came; -ERANGE if the log reported what the
 * guest does not have; or what the library said, with @failed set. The vCPUs
 * have stopped, whatever happened; @rounds is the caller's to free.
 */
int precopy_run(struct precopy *job);

#endif
