/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - where a migration learns which pages are dirty. One file a kind.
 *
 *	log	source		pages are protected
 *	bitmap	harvest		when the harvest takes them
 *	pml	harvest		(their dirty bits are cleared) then, too
 *	dbm	harvest		(made writable-clean) then, too
 *	manual	manual		part by part, just before they are copied
 *	ring	ring		when their entries are reset
 *
 * All of them give pages out only after they have protected them and flushed
 * what vCPUs remember (G8): a write that the copy misses is dirty again.
 */
#ifndef BENCH_GLEAN_SOURCE_H
#define BENCH_GLEAN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glean/harvest.h>

struct gln_vm;
struct round;
struct source;
struct vcpus;

/** The one slot of the guest. */
#define SOURCE_SLOT 0U

enum log_kind { LOG_BITMAP, LOG_MANUAL, LOG_RING, LOG_PML, LOG_DBM, NR_LOGS };

/** Their names, and NULL after the last. */
extern const char *const log_names[NR_LOGS + 1];

/**
 * struct source_ops - a kind of source. Calls that return int return 0 or a
 * negative errno, after saying what failed in @failed. NULL is allowed for
 * @start, @tend and @finish.
 *
 * @start:	the log is on: from now on every write shows.
 * @take:	find what was written since the take before; the first finds
 *		everything. Fills in @dirty_pages and the times of @round.
 * @next:	the next runs of it, in frames of the guest, protected by now.
 *		@nr is 0 at the end.
 * @tend:	now and then while pages are copied and vCPUs run: let no vCPU
 *		wait for the next take.
 * @finish:	the round is over; @copied says whether its pages were.
 */
struct source_ops {
	int (*start)(struct source *source, const struct vcpus *vcpus);
	int (*take)(struct source *source, struct round *round);
	int (*next)(struct source *source, struct round *round,
		    struct gln_range *runs, size_t max_runs, size_t *nr);
	int (*tend)(struct source *source, struct round *round);
	void (*finish)(struct source *source, bool copied);
	void (*destroy)(struct source *source);
};

/**
 * struct source - embedded first in the structure of each kind.
 *
 * @log_flags:	for gln_log_enable().
 * @failed:	on an error, what failed.
 */
struct source {
	const struct source_ops *ops;
	struct gln_vm *vm;
	gln_gfn base_gfn;
	uint64_t nr_pages;
	uint32_t log_flags;
	const char *failed;
};

/**
 * struct source_params - what to make.
 *
 * @vm:		still without slots and vCPUs: some logs must be chosen then.
 * @base_gfn, @nr_pages: frames that its slot will have.
 * @strategy:	of harvests.
 * @has_strays:	something other than vCPUs may mark pages: a ring needs a
 *		bitmap beside it.
 */
struct source_params {
	enum log_kind kind;
	struct gln_vm *vm;
	gln_gfn base_gfn;
	uint64_t nr_pages;
	enum gln_harvest_strategy strategy;
	bool has_strays;
};

/**
 * source_create() - choose the VM's log.
 * @failed:	on an error, what failed.
 *
 * Return: 0; -ENOMEM; or what the library said.
 */
int source_create(const struct source_params *params, struct source **source,
		  const char **failed);
void source_destroy(struct source *source);

/** source_start() - switch logging on. @vcpus are running. */
int source_start(struct source *source, const struct vcpus *vcpus);

/** source_fail() - note what failed; returns @err. */
int source_fail(struct source *source, int err, const char *what);

/** The kinds. source_create() calls them, and fills in what they share. */
int source_harvest_create(const struct source_params *params,
			  struct source **source);
int source_manual_create(const struct source_params *params,
			 struct source **source);
int source_ring_create(const struct source_params *params,
		       struct source **source);

#endif
