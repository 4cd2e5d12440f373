/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runner.c - measure benchmarks, rivals against each other.
 */
#include "bench/suite/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/glean/clock.h"
#include "bench/glean/random.h"
#include "bench/glean/units.h"
#include "bench/suite/gbench_json.h"
#include "bench/suite/stats.h"
#include "bench/suite/suite.h"

/* A repetition goes on until this much was timed, or so often. */
#define MIN_NS	     (20 * NS_PER_MS)
#define MIN_NS_QUICK NS_PER_MS
#define RUNS_MAX     1000000

/* ... or until all of it, what is not timed included, took so many times that.
 * Preparing a sparse harvest takes longer than the harvest.
 */
#define PATIENCE 3

/* A line of the table: the longest name, and what is measured of it. */
#define NAME_WIDTH 72

/* What is measured of one case. */
struct case_run {
	const struct runner *runner;
	const struct suite *suite;
	size_t index;
	bool selected[SUITE_RIVALS_MAX];
	bool is_missing[SUITE_RIVALS_MAX]; /* this machine cannot */
	struct suite_fixture *fixture;
	struct gbench_sample *samples[SUITE_RIVALS_MAX]; /* a repetition each */
};

static void full_name(const struct suite *suite, size_t index, size_t rival,
		      char name[SUITE_NAME_BYTES])
{
	char case_name[SUITE_NAME_BYTES / 2 + SUITE_NAME_BYTES / 4];

	suite->name_case(index, case_name, sizeof(case_name));
	snprintf(name, SUITE_NAME_BYTES, "%s/method:%s", case_name,
		 suite->rivals[rival].name);
}

static bool is_selected(const struct runner *runner, const struct suite *suite,
			size_t index, size_t rival)
{
	char name[SUITE_NAME_BYTES];

	if (suite->has_rival && !suite->has_rival(index, rival))
		return false;
	full_name(suite, index, rival, name);
	return !runner->filter || !regexec(runner->filter, name, 0, NULL, 0);
}

static size_t nr_cases(const struct runner *runner, const struct suite *suite)
{
	return runner->quick ? suite->nr_quick : suite->nr_cases;
}

/* --- one repetition of one rival --- */

static uint64_t batch_of(const struct suite_fixture *fixture)
{
	return fixture->batch ? fixture->batch : 1;
}

/* Time @nr runs together. */
static int time_runs(struct suite_fixture *fixture, const struct rival *rival,
		     uint64_t nr, struct gbench_sample *sum)
{
	const uint64_t cpu_ns = clock_cpu_ns();
	const uint64_t real_ns = clock_ns();
	uint64_t answer = fixture->answer;
	int err = 0;

	for (uint64_t i = 0; i < nr && !err; i++) {
		err = rival->run(fixture, &answer);
		if (!err && answer != fixture->answer)
			err = -EBADMSG;
	}
	sum->real_ns += (double)(clock_ns() - real_ns);
	sum->cpu_ns += (double)(clock_cpu_ns() - cpu_ns);
	sum->iterations += nr * batch_of(fixture);
	return err;
}

static int repeat_until(struct suite_fixture *fixture,
			const struct rival *rival, double min_ns,
			struct gbench_sample *sum)
{
	const double end_ns = (double)clock_ns() + PATIENCE * min_ns;
	uint64_t nr = 1;
	int err = 0;

	for (uint64_t done = 0;
	     !err && sum->real_ns < min_ns && done < RUNS_MAX &&
	     (!done || (double)clock_ns() < end_ns);
	     done += nr) {
		if (fixture->repeatable && done)
			nr *= 2;
		if (!fixture->repeatable)
			err = rival->prepare(fixture);
		if (!err)
			err = time_runs(fixture, rival, nr, sum);
	}
	return err;
}

/* The iteration before those that are timed. */
static int warm_up(struct suite_fixture *fixture, const struct rival *rival,
		   const struct gbench_sample *first,
		   struct gbench_sample *sample)
{
	uint64_t answer = fixture->answer;
	int err = rival->prepare(fixture);

	if (err)
		return err;
	if (first == sample || !fixture->check_once) {
		err = rival->check(fixture);
		memcpy(sample->counters, fixture->counters,
		       sizeof(sample->counters));
		return err;
	}
	err = rival->run(fixture, &answer);
	memcpy(sample->counters, first->counters, sizeof(sample->counters));
	return !err && answer != fixture->answer ? -EBADMSG : err;
}

static int do_repetition(const struct case_run *run, size_t rival_index,
			 struct gbench_sample *sample)
{
	const struct rival *rival = &run->suite->rivals[rival_index];
	const double min_ns = run->runner->quick ? MIN_NS_QUICK : MIN_NS;
	int err =
		warm_up(run->fixture, rival, run->samples[rival_index], sample);

	if (!err && run->fixture->repeatable)
		err = rival->prepare(run->fixture);
	if (!err)
		err = repeat_until(run->fixture, rival, min_ns, sample);
	if (err)
		return err;

	sample->real_ns /= (double)sample->iterations;
	sample->cpu_ns /= (double)sample->iterations;
	sample->answer = run->fixture->answer;
	sample->threads = run->fixture->threads ? run->fixture->threads : 1;
	return 0;
}

/* --- one case --- */

/* All numbers below @nr, in random order. */
static void shuffle(size_t *order, size_t nr, uint64_t *random)
{
	for (size_t i = 0; i < nr; i++) {
		const size_t j = (size_t)random_below(random, i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

/* Each rival once, in random order. */
static int do_turn(struct case_run *run, uint64_t turn, uint64_t *random,
		   size_t *failed)
{
	const size_t nr_rivals = run->suite->nr_rivals;
	size_t order[SUITE_RIVALS_MAX] = {0};

	shuffle(order, nr_rivals, random);
	for (size_t i = 0; i < nr_rivals; i++) {
		const size_t rival = order[i];

		if (!run->selected[rival] || run->is_missing[rival])
			continue;

		const int err =
			do_repetition(run, rival, &run->samples[rival][turn]);

		if (err == -ENOTSUP && !turn) {
			run->is_missing[rival] = true;
		} else if (err) {
			*failed = rival;
			return err;
		}
	}
	return 0;
}

static int do_repetitions(struct case_run *run, size_t *failed)
{
	uint64_t random = random_mix(run->runner->seed + run->index);
	int err = 0;

	for (uint64_t i = 0; i < run->runner->repetitions && !err; i++)
		err = do_turn(run, i, &random, failed);
	return err;
}

static double median_of(const struct case_run *run, size_t rival)
{
	return gbench_stats(run->samples[rival], run->runner->repetitions)
		.median;
}

static void print_rival(const struct case_run *run, size_t rival)
{
	const size_t baseline = run->suite->baseline;
	const struct stats stats =
		gbench_stats(run->samples[rival], run->runner->repetitions);
	char name[SUITE_NAME_BYTES], time[UNITS_BYTES], ratio[UNITS_BYTES];

	full_name(run->suite, run->index, rival, name);
	snprintf(ratio, sizeof(ratio), "-");
	if (run->selected[baseline] && !run->is_missing[baseline])
		snprintf(ratio, sizeof(ratio), "%.3f",
			 stats.median / median_of(run, baseline));
	fprintf(run->runner->table, "%-*s %8s %6.1f%% %8s\n", NAME_WIDTH, name,
		units_time(time, stats.median), stats.spread * 100, ratio);
	fflush(run->runner->table);
}

static void tell(const struct case_run *run)
{
	for (size_t i = 0; i < run->suite->nr_rivals; i++) {
		char name[SUITE_NAME_BYTES];

		if (!run->selected[i])
			continue;
		full_name(run->suite, run->index, i, name);
		if (run->is_missing[i]) {
			fprintf(run->runner->table,
				"%-*s left out: this machine, or this user, "
				"cannot\n",
				NAME_WIDTH, name);
			continue;
		}
		print_rival(run, i);
		gbench_add(run->runner->benchmarks, run->suite, name,
			   run->samples[i], run->runner->repetitions);
	}
}

static int alloc_samples(struct case_run *run)
{
	for (size_t i = 0; i < run->suite->nr_rivals; i++) {
		run->samples[i] = calloc(run->runner->repetitions,
					 sizeof(*run->samples[i]));
		if (!run->samples[i])
			return -ENOMEM;
	}
	return 0;
}

static int do_case(struct case_run *run, char *failed)
{
	size_t rival = 0;
	int err = alloc_samples(run);

	if (!err)
		err = run->suite->setup(run->index, run->runner->seed,
					&run->fixture);
	if (!err) {
		err = do_repetitions(run, &rival);
		run->suite->teardown(run->fixture);
	}
	if (err)
		full_name(run->suite, run->index, rival, failed);
	else
		tell(run);

	for (size_t i = 0; i < run->suite->nr_rivals; i++)
		free(run->samples[i]);
	return err;
}

/* --- all cases --- */

static void print_heading(const struct runner *runner,
			  const struct suite *suite)
{
	char against[UNITS_BYTES];

	snprintf(against, sizeof(against), "/%s",
		 suite->rivals[suite->baseline].name);
	fprintf(runner->table, "%s: %s\n%-*s %8s %7s %8s\n", suite->name,
		suite->claim, NAME_WIDTH, "benchmark", "median", "spread",
		against);
}

/* Which rivals of a case were asked for; false if none. */
static bool select_rivals(struct case_run *run)
{
	const struct suite *const suite = run->suite;
	bool any = false;

	if (!run->runner->filter && !run->runner->quick && suite->is_default &&
	    !suite->is_default(run->index))
		return false;
	for (size_t i = 0; i < suite->nr_rivals; i++) {
		run->selected[i] =
			is_selected(run->runner, suite, run->index, i);
		any = any || run->selected[i];
	}
	return any;
}

/* Measure what was asked for of a suite; -ENOENT if nothing was. */
static int do_suite(const struct runner *runner, const struct suite *suite,
		    char *failed)
{
	int err = -ENOENT;

	for (size_t i = 0; i < nr_cases(runner, suite); i++) {
		struct case_run run = {
			.runner = runner,
			.suite = suite,
			.index = i,
		};

		if (!select_rivals(&run))
			continue;
		if (err == -ENOENT)
			print_heading(runner, suite);
		err = do_case(&run, failed);
		if (err)
			break;
	}
	return err;
}

int runner_measure(const struct runner *runner, char *failed)
{
	bool any = false;

	for (const struct suite *const *s = suites; *s; s++) {
		const int err = do_suite(runner, *s, failed);

		if (err && err != -ENOENT)
			return err;
		any = any || !err;
	}
	return any ? 0 : -ENOENT;
}

uint64_t runner_list(const struct runner *runner)
{
	uint64_t nr = 0;

	for (const struct suite *const *s = suites; *s; s++) {
		for (size_t i = 0; i < nr_cases(runner, *s); i++) {
			for (size_t r = 0; r < (*s)->nr_rivals; r++) {
				char name[SUITE_NAME_BYTES];

				if (!is_selected(runner, *s, i, r))
					continue;
				full_name(*s, i, r, name);
				fprintf(runner->table, "%s\n", name);
				nr++;
			}
		}
	}
	return nr;
}
