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

/* A line of the table: the longest name, and what is measured of it. */
#define NAME_WIDTH 72

/* What is measured of one case. */
struct case_run {
	const struct runner *runner;
	const struct suite *suite;
	size_t index;
	bool selected[SUITE_RIVALS_MAX];
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

	full_name(suite, index, rival, name);
	return !regexec(runner->filter, name, 0, NULL, 0);
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
	uint64_t nr = 1;
	int err = 0;

	for (uint64_t done = 0;
	     !err && sum->real_ns < min_ns && done < RUNS_MAX; done += nr) {
		if (fixture->repeatable && done)
			nr *= 2;
		if (!fixture->repeatable)
			err = rival->prepare(fixture);
		if (!err)
			err = time_runs(fixture, rival, nr, sum);
	}
	return err;
}

static int do_repetition(const struct case_run *run, size_t rival_index,
			 struct gbench_sample *sample)
{
	const struct rival *rival = &run->suite->rivals[rival_index];
	const double min_ns = run->runner->quick ? MIN_NS_QUICK : MIN_NS;
	int err = rival->prepare(run->fixture);

	if (!err)
		err = rival->check(run->fixture);
	memcpy(sample->counters, run->fixture->counters,
	       sizeof(sample->counters));
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

static int do_repetitions(const struct case_run *run, size_t *failed)
{
	const size_t nr_rivals = run->suite->nr_rivals;
	uint64_t random = random_mix(run->runner->seed + run->index);
	size_t order[SUITE_RIVALS_MAX] = {0};

	for (uint64_t i = 0; i < run->runner->repetitions; i++) {
		shuffle(order, nr_rivals, &random);
		for (size_t j = 0; j < nr_rivals; j++) {
			if (!run->selected[order[j]])
				continue;

			const int err = do_repetition(
				run, order[j], &run->samples[order[j]][i]);

			if (err) {
				*failed = order[j];
				return err;
			}
		}
	}
	return 0;
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
	if (run->selected[baseline])
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
		print_rival(run, i);
		full_name(run->suite, run->index, i, name);
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
	bool any = false;

	for (size_t i = 0; i < run->suite->nr_rivals; i++) {
		run->selected[i] =
			is_selected(run->runner, run->suite, run->index, i);
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
