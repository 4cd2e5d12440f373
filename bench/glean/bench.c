/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - `glean bench`: which benchmarks, how often, and where the results
 * go. The measuring is bench/suite's.
 */
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/glean/command.h"
#include "bench/glean/options.h"
#include "bench/suite/gbench_json.h"
#include "bench/suite/runner.h"
#include "bench/suite/suite.h"

#define DEFAULT_REPETITIONS 7
#define QUICK_REPETITIONS   3
#define DEFAULT_SEED	    1

const char bench_help[] =
	"usage: glean bench [OPTIONS]\n"
	"\n"
	"Measure glean against its rivals. Rivals take turns in random order in\n"
	"one process; what each answers is checked in every repetition; setting\n"
	"up is not timed. The table has, for each benchmark, the median time of\n"
	"an iteration, the spread (slowest less fastest repetition, as a part of\n"
	"the median), and the ratio to the median of the rival that the column\n"
	"is named for.\n"
	"\n"
	"  --list             print the names, measure nothing\n"
	"  --filter RE        only names that match this extended regular\n"
	"                     expression (default: all)\n"
	"  --repetitions N    measurements of each, 1 to 1000 (default 7)\n"
	"  --seed N           start of the random numbers (default 1)\n"
	"  --quick            small cases, short repetitions, 3 by default: to\n"
	"                     see that they run, not how fast\n"
	"  --json FILE        also write the results as Google Benchmark does;\n"
	"                     '-' is standard output, and the table goes to\n"
	"                     standard error\n"
	"  --help             this text\n"
	"\n"
	"Exit status\n"
	"  0    measured, and every answer was right\n"
	"  1    an answer was wrong, the library failed, or FILE was not written\n"
	"  2    an option is wrong, or no name matches\n"
	"  3    there is not enough memory\n";

enum {
	KEY_LIST = OPTION_FIRST_OWN,
	KEY_FILTER,
	KEY_REPETITIONS,
	KEY_SEED,
	KEY_QUICK,
	KEY_JSON
};

static const struct option bench_option_table[] = {
	OPTION_HELP_ENTRY,
	{"list", no_argument, NULL, KEY_LIST},
	{"filter", required_argument, NULL, KEY_FILTER},
	{"repetitions", required_argument, NULL, KEY_REPETITIONS},
	{"seed", required_argument, NULL, KEY_SEED},
	{"quick", no_argument, NULL, KEY_QUICK},
	{"json", required_argument, NULL, KEY_JSON},
	{NULL, 0, NULL, 0},
};

struct bench_options {
	bool list;
	bool quick;
	const char *filter;
	const char *json;     /* NULL: none */
	uint64_t repetitions; /* 0: the default */
	uint64_t seed;
};

static bool read_count(const char *option, const char *what, uint64_t min,
		       uint64_t max, uint64_t *number)
{
	const struct option_value value = {
		.command = "bench",
		.option = option,
		.text = optarg,
	};

	return read_number(&value, what, min, max, number);
}

static bool read_option(int key, struct bench_options *options)
{
	switch (key) {
	case KEY_LIST:
		options->list = true;
		return true;
	case KEY_FILTER:
		options->filter = optarg;
		return true;
	case KEY_REPETITIONS:
		return read_count("--repetitions", "a number of repetitions", 1,
				  RUNNER_REPETITIONS_MAX,
				  &options->repetitions);
	case KEY_SEED:
		return read_count("--seed", "a seed", 0, INT64_MAX,
				  &options->seed);
	case KEY_QUICK:
		options->quick = true;
		return true;
	default:
		options->json = optarg;
		return true;
	}
}

static int complain_failure(int err, const char *name)
{
	switch (err) {
	case -EBADMSG:
		complain("bench", "%s: the answer is wrong", name);
		return STATUS_FAILED;
	case -ENOMEM:
		complain("bench", "%s: not enough memory", name);
		return STATUS_CANNOT;
	default:
		complain("bench", "%s: %s", name, strerror(-err));
		return STATUS_FAILED;
	}
}

static int complain_no_match(const char *filter)
{
	complain("bench",
		 "--filter: no name matches '%s': see 'glean bench --list'",
		 filter);
	return STATUS_USAGE;
}

static int measure(struct runner *runner, const char *filter, FILE *json)
{
	char failed[SUITE_NAME_BYTES] = "";

	runner->benchmarks = json_array();

	const int err = runner_measure(runner, failed);

	if (err) {
		json_decref(runner->benchmarks);
		return err == -ENOENT ? complain_no_match(filter)
				      : complain_failure(err, failed);
	}
	if (!json) {
		json_decref(runner->benchmarks);
		return STATUS_OK;
	}
	/* What an earlier run left stays until now. A pipe has no length. */
	if (json != stdout && ftruncate(fileno(json), 0) && errno != EINVAL) {
		json_decref(runner->benchmarks);
		complain("bench", "--json: the file cannot be written");
		return STATUS_FAILED;
	}
	if (gbench_print(runner->benchmarks, json)) {
		complain("bench", "--json: the file cannot be written");
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

/* Open the file first: nobody wants to learn that after the measuring. */
static int measure_to_file(struct runner *runner,
			   const struct bench_options *options)
{
	FILE *file = fopen(options->json, "a");

	if (!file) {
		complain("bench", "--json: '%s' cannot be written: %s",
			 options->json, strerror(errno));
		return STATUS_USAGE;
	}

	int status = measure(runner, options->filter, file);

	if (fclose(file) && status == STATUS_OK) {
		complain("bench", "--json: '%s' cannot be written: %s",
			 options->json, strerror(errno));
		status = STATUS_FAILED;
	}
	return status;
}

static int bench(const struct bench_options *options, const regex_t *filter)
{
	const bool json_out = options->json && !strcmp(options->json, "-");
	struct runner runner = {
		.filter = filter,
		.repetitions = options->quick ? QUICK_REPETITIONS
					      : DEFAULT_REPETITIONS,
		.seed = options->seed,
		.quick = options->quick,
		.table = json_out && !options->list ? stderr : stdout,
	};

	if (options->repetitions)
		runner.repetitions = options->repetitions;
	if (options->list)
		return runner_list(&runner)
			       ? STATUS_OK
			       : complain_no_match(options->filter);
	if (json_out || !options->json)
		return measure(&runner, options->filter,
			       json_out ? stdout : NULL);
	return measure_to_file(&runner, options);
}

int command_bench(int argc, char **argv)
{
	struct bench_options options = {.filter = "", .seed = DEFAULT_SEED};
	regex_t filter;
	int key;

	while ((key = option_next(argc, argv, bench_option_table)) !=
	       OPTION_END) {
		if (key == OPTION_HELP) {
			fputs(bench_help, stdout);
			return STATUS_OK;
		}
		if (key == OPTION_BAD || !read_option(key, &options))
			return STATUS_USAGE;
	}
	if (regcomp(&filter, options.filter, REG_EXTENDED | REG_NOSUB)) {
		complain("bench",
			 "--filter: '%s' is not an extended regular "
			 "expression: give e.g. '^harvest/'",
			 options.filter);
		return STATUS_USAGE;
	}

	const int status = bench(&options, &filter);

	regfree(&filter);
	return status;
}
