/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.c - `glean bench`: which benchmarks, how often, and where the results
 * go. The measuring is bench/suite's; what comes after it is compare.c and
 * plot.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/glean/command.h"
#include "bench/glean/compare.h"
#include "bench/glean/kernels.h"
#include "bench/glean/options.h"
#include "bench/glean/plot.h"
#include "bench/glean/results.h"
#include "bench/suite/gbench_json.h"
#include "bench/suite/runner.h"
#include "bench/suite/suite.h"

#define DEFAULT_REPETITIONS 7
#define QUICK_REPETITIONS   3
#define DEFAULT_SEED	    1
#define DEFAULT_THRESHOLD   5

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
	"  --list             print all names, measure nothing\n"
	"  --filter RE        only names that match this extended regular\n"
	"                     expression (default: all but some whose neighbours\n"
	"                     say the same; '.' is really all)\n"
	"  --repetitions N    measurements of each, 1 to 1000 (default 7)\n"
	"  --seed N           start of the random numbers (default 1)\n"
	"  --kernel NAME      scan with this kernel, of those that 'glean info'\n"
	"                     lists as usable (default: the best)\n"
	"  --quick            small cases, short repetitions, 3 by default: to\n"
	"                     see that they run, not how fast\n"
	"  --json FILE        also write the results as Google Benchmark does;\n"
	"                     '-' is standard output, and the table goes to\n"
	"                     standard error\n"
	"  --help             this text\n"
	"\n"
	"Afterwards\n"
	"  --baseline FILE    compare with what --json wrote earlier: slower is\n"
	"                     what is so by more than the threshold, and\n"
	"                     significantly (Mann-Whitney U, p < 0.01, which\n"
	"                     takes 5 repetitions in both)\n"
	"  --threshold N      percent, 1 to 1000 (default 5)\n"
	"  --plot DIR         draw curves into DIR, as SVG, with gnuplot: time\n"
	"                     against density, and of clean guests, against size\n"
	"  --results FILE     compare or draw what --json wrote to FILE, and\n"
	"                     measure nothing\n"
	"\n"
	"Exit status\n"
	"  0    measured, every answer was right, and nothing is slower than in\n"
	"       the baseline\n"
	"  1    an answer was wrong, the library failed, FILE was not written, or\n"
	"       something is slower\n"
	"  2    an option is wrong, or no name matches\n"
	"  3    there is not enough memory, or no gnuplot to draw with\n";

enum {
	KEY_LIST = OPTION_FIRST_OWN,
	KEY_FILTER,
	KEY_REPETITIONS,
	KEY_SEED,
	KEY_KERNEL,
	KEY_QUICK,
	KEY_JSON,
	KEY_BASELINE,
	KEY_THRESHOLD,
	KEY_PLOT,
	KEY_RESULTS
};

static const struct option bench_option_table[] = {
	OPTION_HELP_ENTRY,
	{"list", no_argument, NULL, KEY_LIST},
	{"filter", required_argument, NULL, KEY_FILTER},
	{"repetitions", required_argument, NULL, KEY_REPETITIONS},
	{"seed", required_argument, NULL, KEY_SEED},
	{"kernel", required_argument, NULL, KEY_KERNEL},
	{"quick", no_argument, NULL, KEY_QUICK},
	{"json", required_argument, NULL, KEY_JSON},
	{"baseline", required_argument, NULL, KEY_BASELINE},
	{"threshold", required_argument, NULL, KEY_THRESHOLD},
	{"plot", required_argument, NULL, KEY_PLOT},
	{"results", required_argument, NULL, KEY_RESULTS},
	{NULL, 0, NULL, 0},
};

struct bench_options {
	bool list;
	bool quick;
	const char *filter; /* NULL: none, as those below */
	const char *kernel;
	const char *json;
	const char *baseline;
	const char *plot;
	const char *results;
	uint64_t repetitions; /* 0: the default */
	uint64_t seed;
	uint64_t threshold;
};

/* What a run works on, besides the options. */
struct bench {
	const struct bench_options *options;
	const regex_t *filter; /* NULL: none */
	FILE *table;
	struct results baseline;
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

/* Before the first VM is made: they keep the one that they began with. */
static bool use_kernel(const char *name)
{
	const struct option_value value = {
		.command = "bench",
		.option = "--kernel",
		.text = name,
	};

	return kernels_use(&value);
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
	case KEY_KERNEL:
		options->kernel = optarg;
		return use_kernel(optarg);
	case KEY_QUICK:
		options->quick = true;
		return true;
	case KEY_JSON:
		options->json = optarg;
		return true;
	case KEY_BASELINE:
		options->baseline = optarg;
		return true;
	case KEY_THRESHOLD:
		return read_count("--threshold", "a percentage", 1, 1000,
				  &options->threshold);
	case KEY_PLOT:
		options->plot = optarg;
		return true;
	default:
		options->results = optarg;
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

/* --- afterwards --- */

static int compare(const struct bench *bench, const struct results *results)
{
	const int nr = compare_results(&bench->baseline, results,
				       bench->options->threshold, bench->table);

	if (nr >= 0)
		return nr ? STATUS_FAILED : STATUS_OK;
	complain("bench", "--baseline: '%s' has none of these benchmarks",
		 bench->options->baseline);
	return STATUS_USAGE;
}

static int plot(const struct bench *bench, const struct results *results)
{
	const int err =
		plot_results(results, bench->options->plot, bench->table);

	if (!err)
		return STATUS_OK;
	if (err != -ENOENT)
		return STATUS_FAILED;
	complain("bench",
		 "--plot: nothing to draw: measure at least two densities, or "
		 "sizes: e.g. --filter '^harvest/'");
	return STATUS_USAGE;
}

static int follow_up(const struct bench *bench, const struct results *results)
{
	int status = STATUS_OK;

	if (bench->options->plot)
		status = plot(bench, results);
	if (!status && bench->options->baseline)
		status = compare(bench, results);
	return status;
}

static int follow_file(const struct bench *bench)
{
	struct results results;
	int status;

	if (results_read("--results", bench->options->results, bench->filter,
			 &results))
		return STATUS_USAGE;
	status = follow_up(bench, &results);
	results_fini(&results);
	return status;
}

static int follow_run(const struct bench *bench, json_t *benchmarks)
{
	struct results results;
	int status;

	if (!bench->options->plot && !bench->options->baseline)
		return STATUS_OK;
	if (results_take(benchmarks, NULL, &results))
		return complain_failure(-ENOMEM, "the results");
	status = follow_up(bench, &results);
	results_fini(&results);
	return status;
}

/* --- measuring --- */

static int complain_not_written(void)
{
	complain("bench", "--json: the file cannot be written");
	return STATUS_FAILED;
}

static int write_json(json_t *benchmarks, FILE *json)
{
	/* What an earlier run left stays until now. A pipe has no length. */
	if (json != stdout && ftruncate(fileno(json), 0) && errno != EINVAL)
		return complain_not_written();
	return gbench_print(json_incref(benchmarks), json)
		       ? complain_not_written()
		       : STATUS_OK;
}

static int measure(const struct bench *bench, struct runner *runner, FILE *json)
{
	char failed[SUITE_NAME_BYTES] = "";
	int status = STATUS_OK;

	runner->benchmarks = json_array();

	const int err = runner_measure(runner, failed);

	if (err == -ENOENT)
		status = complain_no_match(bench->options->filter);
	else if (err)
		status = complain_failure(err, failed);
	else if (json)
		status = write_json(runner->benchmarks, json);
	if (!status)
		status = follow_run(bench, runner->benchmarks);
	json_decref(runner->benchmarks);
	return status;
}

/* Open the file first: nobody wants to learn that after the measuring. */
static int measure_to_file(const struct bench *bench, struct runner *runner)
{
	const char *const name = bench->options->json;
	FILE *file = fopen(name, "a");

	if (!file) {
		complain("bench", "--json: '%s' cannot be written: %s", name,
			 strerror(errno));
		return STATUS_USAGE;
	}

	int status = measure(bench, runner, file);

	if (fclose(file) && status == STATUS_OK) {
		complain("bench", "--json: '%s' cannot be written: %s", name,
			 strerror(errno));
		status = STATUS_FAILED;
	}
	return status;
}

static int measure_or_list(const struct bench *bench)
{
	const struct bench_options *const options = bench->options;
	struct runner runner = {
		.filter = bench->filter,
		.repetitions = options->quick ? QUICK_REPETITIONS
					      : DEFAULT_REPETITIONS,
		.seed = options->seed,
		.quick = options->quick,
		.table = bench->table,
	};

	if (options->repetitions)
		runner.repetitions = options->repetitions;
	if (options->list)
		return runner_list(&runner)
			       ? STATUS_OK
			       : complain_no_match(options->filter);
	if (!options->json)
		return measure(bench, &runner, NULL);
	if (!strcmp(options->json, "-"))
		return measure(bench, &runner, stdout);
	return measure_to_file(bench, &runner);
}

/* --- options --- */

static bool make_sense(const struct bench_options *options)
{
	if (options->results && !options->baseline && !options->plot) {
		complain("bench", "--results: nothing is done with it: give "
				  "--baseline or --plot too");
		return false;
	}
	if (options->results &&
	    (options->json || options->kernel || options->list ||
	     options->quick || options->repetitions)) {
		complain("bench",
			 "--results: nothing is measured: leave out --json, "
			 "--kernel, --list, --quick and --repetitions");
		return false;
	}
	return true;
}

/* What must be there afterwards must be there now. */
static int bench(const struct bench_options *options, const regex_t *filter)
{
	const bool json_out = options->json && !strcmp(options->json, "-");
	struct bench bench = {
		.options = options,
		.filter = filter,
		.table = json_out && !options->list ? stderr : stdout,
	};
	int status;

	if (options->plot) {
		const int err = plot_prepare(options->plot);

		if (err)
			return err == -ENOTSUP ? STATUS_CANNOT : STATUS_USAGE;
	}
	if (options->baseline && results_read("--baseline", options->baseline,
					      filter, &bench.baseline))
		return STATUS_USAGE;
	status = options->results ? follow_file(&bench)
				  : measure_or_list(&bench);
	if (options->baseline)
		results_fini(&bench.baseline);
	return status;
}

int command_bench(int argc, char **argv)
{
	struct bench_options options = {
		.seed = DEFAULT_SEED,
		.threshold = DEFAULT_THRESHOLD,
	};
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
	if (!make_sense(&options))
		return STATUS_USAGE;
	if (!options.filter)
		return bench(&options, NULL);
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
