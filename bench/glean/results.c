/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * results.c - what benchmarks measured. The file may be anybody's: nothing here
 * trusts it.
 */
#include "bench/glean/results.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/glean/options.h"
#include "bench/suite/stats.h"

static const struct unit {
	const char *name;
	double ns;
} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};

#define NR_UNITS (sizeof(units) / sizeof(units[0]))

/* Nothing in a name drives a terminal, or ends a line of a table. */
static bool is_printable(const char *name)
{
	for (; *name; name++)
		if ((unsigned char)*name < ' ' || *name == '\x7f')
			return false;
	return true;
}

static const char *text_of(const json_t *entry, const char *key)
{
	return json_string_value(json_object_get(entry, key));
}

/* Nanoseconds, or a negative number if it is no time. */
static double time_of(const json_t *entry)
{
	const json_t *const time = json_object_get(entry, "real_time");
	const char *unit = text_of(entry, "time_unit");

	for (size_t i = 0; i < NR_UNITS && json_is_number(time); i++) {
		const double ns = json_number_value(time) * units[i].ns;

		if (!strcmp(unit ? unit : "ns", units[i].name) && isfinite(ns))
			return ns;
	}
	return -1;
}

/* Aggregates are not, nor what failed; old files have no types. */
static bool is_repetition(const json_t *entry)
{
	const char *type = text_of(entry, "run_type");

	return (!type || !strcmp(type, "iteration")) &&
	       !json_is_true(json_object_get(entry, "error_occurred"));
}

/* The place of @name, a new one if it has none yet; NULL without memory. */
static struct result *place_of(struct results *results, const char *name)
{
	const json_t *const at = json_object_get(results->index, name);
	struct result *result;

	if (at)
		return &results->list[json_integer_value(at)];
	result = &results->list[results->nr];
	result->ns = calloc(STATS_VALUES_MAX, sizeof(*result->ns));
	if (!result->ns ||
	    json_object_set_new(results->index, name,
				json_integer((json_int_t)results->nr)))
		return NULL;
	result->name = name;
	results->nr++;
	return result;
}

static int add_entry(struct results *results, const json_t *entry,
		     const regex_t *filter)
{
	const char *name = text_of(entry, "run_name");
	const double ns = time_of(entry);
	struct result *result;

	if (!is_repetition(entry))
		return 0;
	if (!name)
		name = text_of(entry, "name");
	if (!name || !is_printable(name) || ns < 0)
		return -EINVAL;
	if (filter && regexec(filter, name, 0, NULL, 0))
		return 0;
	result = place_of(results, name);
	if (!result)
		return -ENOMEM;
	if (result->nr == STATS_VALUES_MAX)
		return -EINVAL;
	result->ns[result->nr++] = ns;
	return 0;
}

int results_take(json_t *benchmarks, const regex_t *filter,
		 struct results *results)
{
	const size_t nr = json_array_size(benchmarks);
	int err = 0;

	*results = (struct results){
		.list = calloc(nr + 1, sizeof(*results->list)),
		.root = json_incref(benchmarks),
		.index = json_object(),
	};
	if (!results->list || !results->index)
		err = -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++)
		err = add_entry(results, json_array_get(benchmarks, i), filter);
	if (err)
		results_fini(results);
	return err;
}

void results_fini(struct results *results)
{
	for (size_t i = 0; results->list && i < results->nr; i++)
		free(results->list[i].ns);
	free(results->list);
	json_decref(results->index);
	json_decref(results->root);
	*results = (struct results){0};
}

int results_read(const char *option, const char *path, const regex_t *filter,
		 struct results *results)
{
	json_error_t error;
	json_t *const file = json_load_file(path, 0, &error);
	json_t *const benchmarks = json_object_get(file, "benchmarks");
	int err = -EINVAL;

	if (!file)
		complain("bench", "%s: '%s' cannot be read: %s", option, path,
			 error.text);
	else if (json_is_array(benchmarks))
		err = results_take(benchmarks, filter, results);
	if (file && err)
		complain("bench",
			 "%s: '%s' is not what --json writes: give a file with "
			 "an array \"benchmarks\" of times",
			 option, path);
	json_decref(file);
	return err;
}

const struct result *results_find(const struct results *results,
				  const char *name)
{
	const json_t *const at = json_object_get(results->index, name);

	return at ? &results->list[json_integer_value(at)] : NULL;
}

double result_median(const struct result *result)
{
	double values[STATS_VALUES_MAX];

	memcpy(values, result->ns, result->nr * sizeof(*values));
	return stats_of(values, result->nr).median;
}
