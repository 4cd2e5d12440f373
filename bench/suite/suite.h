/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite.h - what a benchmark is: cases, and the rivals that do the same work.
 *
 * The runner measures all rivals of a case in one process, repetition by
 * repetition, in random order, so that what happens to the machine meanwhile
 * happens to all. One iteration is
 *
 *   prepare	what the work needs; not timed
 *   run	the work; timed
 *
 * and each repetition first does one iteration with check in the place of run,
 * which does the same work and compares every bit of its answer with the truth.
 * Where that takes long the first repetition's is enough; the others run once
 * without being timed, and what run returns is compared always.
 */
#ifndef BENCH_SUITE_SUITE_H
#define BENCH_SUITE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Rivals of a suite, at most. */
#define SUITE_RIVALS_MAX 8

/** Counters of a suite besides the answer, at most. */
#define SUITE_COUNTERS_MAX 6

/** Room for a benchmark's full name, its terminating zero included. */
#define SUITE_NAME_BYTES 128

/**
 * struct suite_fixture - the head of a suite's own fixture.
 *
 * @answer:	what run must return.
 * @repeatable:	run leaves everything as prepare made it: prepare is needed
 *		once a repetition only, and many runs are timed together.
 * @batch:	iterations that one run makes, all threads together; 0 is one.
 * @threads:	how many threads run; 0 is one.
 * @check_once:	check takes long: the first repetition's is enough.
 * @counters:	what check counted, in the order of the suite's names for it.
 */
struct suite_fixture {
	uint64_t answer;
	bool repeatable;
	uint64_t batch;
	unsigned int threads;
	bool check_once;
	uint64_t counters[SUITE_COUNTERS_MAX];
};

/**
 * struct rival - one way to do the work.
 *
 * Each returns 0 or a negative errno; check -EBADMSG for a wrong answer, and
 * prepare -ENOTSUP if this machine, or this user, cannot: it is left out then.
 *
 * @answer: of run: see struct suite_fixture.
 */
struct rival {
	const char *name;
	int (*prepare)(struct suite_fixture *fixture);
	int (*run)(struct suite_fixture *fixture, uint64_t *answer);
	int (*check)(struct suite_fixture *fixture);
};

/**
 * struct suite - benchmarks of one subject, named CASE/method:RIVAL.
 *
 * @claim:	what the suite could refute, in one line.
 * @counter:	what the answer of run is called in reports.
 * @counters:	what the fixture's counters are called; NULL after the last.
 * @baseline:	which of @rivals the ratios are against.
 * @nr_quick:	the first so many cases are small: `glean bench --quick`.
 * @has_rival:	does a case have this one of @rivals? NULL: all do.
 * @is_default:	is a case measured where no filter asks for it? NULL: all are.
 * @name_case:	write the name of a case, @bytes of room.
 * @setup:	make the fixture of a case. 0 or a negative errno.
 */
struct suite {
	const char *name;
	const char *claim;
	const char *counter;
	const char *counters[SUITE_COUNTERS_MAX];
	const struct rival *rivals;
	size_t nr_rivals;
	size_t baseline;
	size_t nr_cases;
	size_t nr_quick;
	bool (*has_rival)(size_t index, size_t rival);
	bool (*is_default)(size_t index);
	void (*name_case)(size_t index, char *name, size_t bytes);
	int (*setup)(size_t index, uint64_t seed,
		     struct suite_fixture **fixture);
	void (*teardown)(struct suite_fixture *fixture);
};

/** All suites, and NULL after the last: registry.c. */
extern const struct suite *const suites[];

#endif
