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

/* What repetitions and aggregates have in common. */
static json_t *entry(const char *name, const char *suffix, const char *type,
		     uint64_t repetitions)
{
	char full[2 * SUITE_NAME_BYTES];
	json_t *object = json_object();

	snprintf(full, sizeof(full), "%s%s", name, suffix);
	json_put_text(object, "name", full);
	json_put_text(object, "run_name", name);
	json_put_text(object, "run_type", type);
	json_put_number(object, "repetitions", repetitions);
	json_put_number(object, "threads", 1);
	return object;
}

static void add_repetition(json_t *benchmarks, const char *name,
			   const char *counter,
			   const struct gbench_sample *samples, uint64_t nr,
			   uint64_t index)
{
	const struct gbench_sample *sample = &samples[index];
	json_t *object = entry(name, "", "iteration", nr);

	json_put_number(object, "repetition_index", index);
	json_put_number(object, "iterations", sample->iterations);
	json_put_real(object, "real_time", sample->real_ns);
	json_put_real(object, "cpu_time", sample->cpu_ns);
	json_put_text(object, "time_unit", "ns");
	json_put_number(object, counter, sample->answer);
	json_append(benchmarks, object);
}

struct aggregate {
	const char *name;
	const char *suffix;
	const char *unit;
	double real;
	double cpu;
	double answer; /* the same in every sample */
};

static void add_aggregate(json_t *benchmarks, const char *name,
			  const char *counter, const struct aggregate *a,
			  uint64_t nr)
{
	json_t *object = entry(name, a->suffix, "aggregate", nr);

	json_put_text(object, "aggregate_name", a->name);
	json_put_text(object, "aggregate_unit", a->unit);
	json_put_number(object, "iterations", nr);
	json_put_real(object, "real_time", a->real);
	json_put_real(object, "cpu_time", a->cpu);
	json_put_text(object, "time_unit", "ns");
	json_put_real(object, counter, a->answer);
	json_append(benchmarks, object);
}

void gbench_add(json_t *benchmarks, const char *name, const char *counter,
		const struct gbench_sample *samples, uint64_t nr)
{
	struct column real_times = real_column(samples, nr);
	struct column cpu_times = cpu_column(samples, nr);
	const struct stats real = stats_of_column(&real_times);
	const struct stats cpu = stats_of_column(&cpu_times);
	const double answer = (double)samples[0].answer;
	const struct aggregate aggregates[] = {
		{"mean", "_mean", "time", real.mean, cpu.mean, answer},
		{"median", "_median", "time", real.median, cpu.median, answer},
		{"stddev", "_stddev", "time", real.stddev, cpu.stddev, 0},
		{"cv", "_cv", "percentage", real.cv, cpu.cv, 0},
	};

	for (uint64_t i = 0; i < nr; i++)
		add_repetition(benchmarks, name, counter, samples, nr, i);
	for (size_t i = 0; i < sizeof(aggregates) / sizeof(*aggregates); i++)
		add_aggregate(benchmarks, name, counter, &aggregates[i], nr);
}

int gbench_print(json_t *benchmarks, FILE *file)
{
	json_t *object = json_object();

	json_put(object, "context", context_json());
	json_put(object, "benchmarks", benchmarks);
	return json_print(object, file);
}
