/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - clients of the library's headers, and the checker that runs them.
 *
 * A client is threads, what comes before them and a condition. The checker
 * (Relacy) runs it over and over, each time with another interleaving, and with
 * other choices of what a load sees among the values that C11 lets it see.
 */
#ifndef GLN_TESTS_MODEL_RELACY_MODEL_H
#define GLN_TESTS_MODEL_RELACY_MODEL_H

#include "core/base/atomic.h"
#include "core/base/broken.h"

enum { MODEL_MAX_THREADS = 3 };

/**
 * struct model_weakness - one thing taken out of the library, or nothing.
 *
 * @function:	whose accesses of the kind @access are made relaxed; of fences,
 *		whose are left out. NULL: nobody's.
 * @step:	the model_step whose heavy fence is left out, or NULL.
 * @broken:	a break of core/base/broken.h.
 */
struct model_weakness {
	const char *function;
	enum model_access access;
	const char *step;
	enum glni_break broken;
};

/**
 * struct model_client - see above.
 *
 * @begin:	before the threads; what it does they all see.
 * @check:	after them, seeing all.
 */
struct model_client {
	unsigned int nr_threads;
	void (*begin)(void);
	void (*check)(void);
	void (*threads[MODEL_MAX_THREADS])(void);
};

/**
 * struct model_effort - how far to search.
 *
 * @max_switches: all executions that switch threads so often, besides where
 *		one waits or ends; MODEL_ALL: all there are. A load sees the
 *		newest value or the one before.
 * @nr_random:	and so many executions at random. A load sees one of the three
 *		newest values.
 */
struct model_effort {
	unsigned int max_switches;
	uint64_t nr_random;
};

enum { MODEL_ALL = 1000 };

/** enum model_outcome - what became of a search. */
enum model_outcome {
	MODEL_HELD, /* nothing went wrong */
	MODEL_LOST, /* a condition did not hold, or plain accesses met */
	MODEL_STUCK /* something else, as threads that wait for each other */
};

/** struct model_verdict - @what: of the last execution, in words. */
struct model_verdict {
	enum model_outcome outcome;
	const char *what;
	uint64_t nr_executions;
};

/**
 * model_run() - run it. The first execution that goes wrong ends the search; if
 * @show, it is then printed, access by access.
 */
struct model_verdict model_run(const struct model_client *client,
			       const struct model_weakness *weakness,
			       const struct model_effort *effort, bool show);

/** model_check() - ends the execution, as gone wrong, if @condition is false.
 */
void model_check(bool condition, const char *what);

/** model_step - what the thread that issues heavy fences is doing, or NULL. */
extern const char *model_step;

/**
 * struct model_plain - a plain variable: two threads at once, one writing, is
 * an execution gone wrong.
 */
struct model_plain {
	uint64_t number;
};

uint64_t model_read(struct model_plain *variable);
void model_write(struct model_plain *variable, uint64_t value);

#endif
