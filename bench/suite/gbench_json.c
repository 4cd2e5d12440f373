/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gbench_json.c - results in the JSON that Google Benchmark writes.
 */
#include "bench/suite/gbench_json.h"

#include "bench/glean/json.h"
#include "bench/suite/context.h"
#include "bench/suite/runner.h"
#include "bench/suite/suite.h"

/* One figure of every sample, in an array that others may sort. */
struct column {
	double values[RUNNER_REPETITIONS_MAX];
	size_t nr;
};

static struct stats stats_of_column(struct column *column)
{
	return stats_of(column->values, column->nr);
}

static struct column real_column(const struct gbench_sample *samples, size_t nr)
{
	struct column column = {.nr = nr};

	for (size_t i = 0; i < nr; i++)
		column.values[i] = samples[i].real_ns;
	return column;
}

static struct column cpu_column(const struct gbench_sample *samples, size_t nr)
{
	struct column column = {.nr = nr};

	for (size_t i = 0; i < nr; i++)
		column.values[i] = samples[i].cpu_ns;
	return column;
}

struct stats gbench_stats(const struct gbench_sample *samples, size_t nr)
{
	struct column real = real_column(samples, nr);

	return stats_of_column(&real);
}

/* What is known of one benchmark. */
struct results {
	const struct suite *suite;
	const char *name;
	const struct gbench_sample *samples;
	uint64_t nr;
};

/* What repetitions and aggregates have in common. */
static json_t *entry(const struct results *results, const char *suffix,
		     const char *type)
{
	char full[2 * SUITE_NAME_BYTES];
	json_t *object = json_object();

	snprintf(full, sizeof(full), "%s%s", results->name, suffix);
	json_put_text(object, "name", full);
	json_put_text(object, "run_name", results->name);
	json_put_text(object, "run_type", type);
	json_put_number(object, "repetitions", results->nr);
	json_put_number(object, "threads", results->samples[0].threads);
	return object;
}

static size_t nr_counters(const struct suite *suite)
{
	size_t nr = 0;

	while (nr < SUITE_COUNTERS_MAX && suite->counters[nr])
		nr++;
	return nr;
}

static void add_repetition(json_t *benchmarks, const struct results *results,
			   uint64_t index)
{
	const struct suite *suite = results->suite;
	const struct gbench_sample *sample = &results->samples[index];
	json_t *object = entry(results, "", "iteration");

	json_put_number(object, "repetition_index", index);
	json_put_number(object, "iterations", sample->iterations);
	json_put_real(object, "real_time", sample->real_ns);
	json_put_real(object, "cpu_time", sample->cpu_ns);
	json_put_text(object, "time_unit", "ns");
	json_put_number(object, suite->counter, sample->answer);
	for (size_t i = 0; i < nr_counters(suite); i++)
		json_put_number(object, suite->counters[i],
				sample->counters[i]);
	json_append(benchmarks, object);
}

struct aggregate {
	const char *name;
	const char *suffix;
	const char *unit;
	double real;
	double cpu;
	double counted; /* 1: counters are as in every sample; 0: they are 0 */
};

static void add_aggregate(json_t *benchmarks, const struct results *results,
			  const struct aggregate *a)
{
	const struct suite *suite = results->suite;
	const struct gbench_sample *sample = &results->samples[0];
	json_t *object = entry(results, a->suffix, "aggregate");

	json_put_text(object, "aggregate_name", a->name);
	json_put_text(object, "aggregate_unit", a->unit);
	json_put_number(object, "iterations", results->nr);
	json_put_real(object, "real_time", a->real);
	json_put_real(object, "cpu_time", a->cpu);
	json_put_text(object, "time_unit", "ns");
	json_put_real(object, suite->counter,
		      a->counted * (double)sample->answer);
	for (size_t i = 0; i < nr_counters(suite); i++)
		json_put_real(object, suite->counters[i],
			      a->counted * (double)sample->counters[i]);
	json_append(benchmarks, object);
}

void gbench_add(json_t *benchmarks, const struct suite *suite, const char *name,
		const struct gbench_sample *samples, uint64_t nr)
{
	const struct results results = {suite, name, samples, nr};
	struct column real_times = real_column(samples, nr);
	struct column cpu_times = cpu_column(samples, nr);
	const struct stats real = stats_of_column(&real_times);
	const struct stats cpu = stats_of_column(&cpu_times);
	const struct aggregate aggregates[] = {
		{"mean", "_mean", "time", real.mean, cpu.mean, 1},
		{"median", "_median", "time", real.median, cpu.median, 1},
		{"stddev", "_stddev", "time", real.stddev, cpu.stddev, 0},
		{"cv", "_cv", "percentage", real.cv, cpu.cv, 0},
	};

	for (uint64_t i = 0; i < nr; i++)
		add_repetition(benchmarks, &results, i);
	for (size_t i = 0; i < sizeof(aggregates) / sizeof(*aggregates); i++)
		add_aggregate(benchmarks, &results, &aggregates[i]);
}

int gbench_print(json_t *benchmarks, FILE *file)
{
	json_t *object = json_object();

	json_put(object, "context", context_json());
	json_put(object, "benchmarks", benchmarks);
	return json_print(object, file);
}
