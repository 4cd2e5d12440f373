/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_options.c - the command line of `glean run`.
 */
#include "bench/glean/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/glean/command.h"
#include "bench/glean/options.h"
#include "bench/glean/units.h"
#include "bench/glean/vcpus.h"

#define DEFAULT_MEMORY	    (UINT64_C(1) << 30)
#define DEFAULT_VCPUS	    2
#define DEFAULT_PAGES_PER_S 50000
#define DEFAULT_DOWNTIME_MS 50
#define DEFAULT_MAX_ROUNDS  30
#define DEFAULT_SEED	    1

#define PAGES_PER_S_MAX UINT64_C(1000000000)
#define DOWNTIME_MS_MAX UINT64_C(60000)
#define MAX_ROUNDS_MAX	UINT64_C(10000)
/* JSON's integers, as most programs read them, have a sign. */
#define SEED_MAX	((uint64_t)INT64_MAX)

const char run_help[] =
	"usage: glean run [OPTIONS]\n"
	"\n"
	"Copy a guest of real memory while its vCPUs write it, in rounds, until\n"
	"the rest fits the downtime; stop the vCPUs, copy the rest, and compare\n"
	"every byte.\n"
	"\n"
	"Guest\n"
	"  --memory SIZE      memory of the guest, suffix K, M, G or T; as much\n"
	"                     again is needed for the copy (default 1G)\n"
	"  --vcpus N          threads that write it, 1 to 256 (default 2)\n"
	"  --pattern NAME     which pages they write (default uniform)\n"
	"                       uniform     any page, all as likely\n"
	"                       zipf        few pages often, most seldom\n"
	"                       sequential  each vCPU sweeps its part\n"
	"                       phases      a hot window that moves\n"
	"  --rate N           pages written a second, by all vCPUs together;\n"
	"                     0 is as fast as they can (default 50000)\n"
	"  --seed N           start of the random numbers (default 1)\n"
	"\n"
	"Migration\n"
	"  --downtime MS      how long the vCPUs may stand still (default 50)\n"
	"  --max-rounds N     stop them after so many rounds anyway (default 30)\n"
	"  --backend NAME     process: real memory, noticed by the real MMU\n"
	"                     ref: the oracle, stores by function call\n"
	"                     (default process)\n"
	"  --tracker NAME     how the process backend notices writes (default\n"
	"                     auto: the first of the others that works here)\n"
	"                       pagemap-scan  the kernel notes them by itself\n"
	"                       uffd          userfaultfd and a thread\n"
	"                       mprotect      read-only pages and SIGSEGV\n"
	"\n"
	"Output\n"
	"  --json             one JSON object on standard output; the table goes\n"
	"                     to standard error\n"
	"  --quiet            no table: the exit status says how it went\n"
	"  --no-colour        no colour, on a terminal either; so does NO_COLOR\n"
	"  --help             this text\n"
	"\n"
	"Exit status\n"
	"  0    every byte of the copy was compared and is right\n"
	"  1    it ran, but the copy is wrong, or the library failed\n"
	"  2    an option is wrong\n"
	"  3    this machine or user cannot: memory, threads, the tracker\n"
	"  130  interrupted (128 and the number of the signal)\n";

enum {
	KEY_MEMORY = OPTION_FIRST_OWN,
	KEY_VCPUS,
	KEY_PATTERN,
	KEY_RATE,
	KEY_SEED,
	KEY_DOWNTIME,
	KEY_MAX_ROUNDS,
	KEY_BACKEND,
	KEY_TRACKER,
	KEY_JSON,
	KEY_QUIET,
	KEY_NO_COLOUR
};

static const struct option run_option_table[] = {
	OPTION_HELP_ENTRY,
	{"memory", required_argument, NULL, KEY_MEMORY},
	{"vcpus", required_argument, NULL, KEY_VCPUS},
	{"pattern", required_argument, NULL, KEY_PATTERN},
	{"rate", required_argument, NULL, KEY_RATE},
	{"seed", required_argument, NULL, KEY_SEED},
	{"downtime", required_argument, NULL, KEY_DOWNTIME},
	{"max-rounds", required_argument, NULL, KEY_MAX_ROUNDS},
	{"backend", required_argument, NULL, KEY_BACKEND},
	{"tracker", required_argument, NULL, KEY_TRACKER},
	{"json", no_argument, NULL, KEY_JSON},
	{"quiet", no_argument, NULL, KEY_QUIET},
	{"no-colour", no_argument, NULL, KEY_NO_COLOUR},
	{"no-color", no_argument, NULL, KEY_NO_COLOUR},
	{NULL, 0, NULL, 0},
};

const char *const backend_names[NR_BACKENDS + 1] = {
	[BACKEND_PROCESS] = "process",
	[BACKEND_REF] = "ref",
};

static struct option_value given(const char *option)
{
	return (struct option_value){
		.command = "run",
		.option = option,
		.text = optarg,
	};
}

static bool read_memory(struct run_options *options)
{
	const struct option_value value = given("--memory");
	uint64_t bytes;

	if (!read_size(&value, &bytes))
		return false;
	if (bytes % options->page_bytes) {
		char page[UNITS_BYTES];

		complain("run",
			 "--memory: '%s' is not a whole number of pages: give "
			 "a multiple of %s",
			 optarg, units_size(page, options->page_bytes));
		return false;
	}
	options->memory_bytes = bytes;
	return true;
}

static bool read_pattern(struct run_options *options)
{
	const struct option_value value = given("--pattern");
	unsigned int index;

	if (!read_name(&value, "a pattern", pattern_names, &index))
		return false;
	options->pattern = (enum pattern_kind)index;
	return true;
}

static bool read_backend(struct run_options *options)
{
	const struct option_value value = given("--backend");
	unsigned int index;

	if (!read_name(&value, "a backend", backend_names, &index))
		return false;
	options->backend = (enum backend_kind)index;
	return true;
}

static bool read_tracker(struct run_options *options)
{
	const struct option_value value = given("--tracker");
	const char *names[GLN_NR_TRACKERS + 2] = {NULL};
	unsigned int index;

	for (int i = 0; i <= GLN_NR_TRACKERS; i++)
		names[i] = gln_tracker_name((enum gln_tracker)i);
	if (!read_name(&value, "a tracker", names, &index))
		return false;
	options->tracker = (enum gln_tracker)index;
	return true;
}

static bool read_count(const char *option, const char *what, uint64_t min,
		       uint64_t max, uint64_t *number)
{
	const struct option_value value = given(option);

	return read_number(&value, what, min, max, number);
}

static bool read_option(int key, struct run_options *o)
{
	switch (key) {
	case KEY_MEMORY:
		return read_memory(o);
	case KEY_VCPUS:
		return read_count("--vcpus", "a number of vCPUs", 1, VCPUS_MAX,
				  &o->nr_vcpus);
	case KEY_PATTERN:
		return read_pattern(o);
	case KEY_RATE:
		return read_count("--rate", "a number of pages a second", 0,
				  PAGES_PER_S_MAX, &o->pages_per_s);
	case KEY_SEED:
		return read_count("--seed", "a seed", 0, SEED_MAX, &o->seed);
	case KEY_DOWNTIME:
		return read_count("--downtime", "a time in milliseconds", 1,
				  DOWNTIME_MS_MAX, &o->downtime_ms);
	case KEY_MAX_ROUNDS:
		return read_count("--max-rounds", "a number of rounds", 1,
				  MAX_ROUNDS_MAX, &o->max_rounds);
	case KEY_BACKEND:
		return read_backend(o);
	case KEY_TRACKER:
		return read_tracker(o);
	case KEY_JSON:
		o->json = true;
		return true;
	case KEY_QUIET:
		o->quiet = true;
		return true;
	default:
		o->plain = true;
		return true;
	}
}

static bool options_agree(const struct run_options *options)
{
	if (options->backend == BACKEND_PROCESS ||
	    options->tracker == GLN_TRACKER_AUTO)
		return true;
	complain("run",
		 "--tracker: the ref backend has none: leave out --tracker or "
		 "give --backend process");
	return false;
}

int run_options_read(int argc, char **argv, struct run_options *options,
		     bool *help)
{
	*options = (struct run_options){
		.memory_bytes = DEFAULT_MEMORY,
		.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
		.nr_vcpus = DEFAULT_VCPUS,
		.pages_per_s = DEFAULT_PAGES_PER_S,
		.downtime_ms = DEFAULT_DOWNTIME_MS,
		.max_rounds = DEFAULT_MAX_ROUNDS,
		.seed = DEFAULT_SEED,
	};
	*help = false;

	while (true) {
		const int key = option_next(argc, argv, run_option_table);

		if (key == OPTION_END)
			break;
		if (key == OPTION_HELP) {
			fputs(run_help, stdout);
			*help = true;
			return STATUS_OK;
		}
		if (key == OPTION_BAD || !read_option(key, options))
			return STATUS_USAGE;
	}
	return options_agree(options) ? STATUS_OK : STATUS_USAGE;
}
