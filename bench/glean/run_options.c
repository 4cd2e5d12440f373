/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_options.c - the command line of `glean run`.
 */
#include "bench/glean/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/glean/command.h"
#include "bench/glean/hpt_options.h"
#include "bench/glean/options.h"
#include "bench/glean/run_rules.h"
#include "bench/glean/vcpus.h"

#define DEFAULT_MEMORY	    (UINT64_C(1) << 30)
#define DEFAULT_VCPUS	    2
#define DEFAULT_PAGES_PER_S 50000
#define DEFAULT_DOWNTIME_MS 50
#define DEFAULT_MAX_ROUNDS  30
#define DEFAULT_SEED	    1
#define DEFAULT_GRANULE	    12
#define DEFAULT_LEVELS	    EPT_LEVELS_MIN
#define DEFAULT_IPA_BITS    40

#define PAGES_PER_S_MAX UINT64_C(1000000000)
#define DOWNTIME_MS_MAX UINT64_C(60000)
#define MAX_ROUNDS_MAX	UINT64_C(10000)
/* JSON's integers, as most programs read them, have a sign. */
#define SEED_MAX	((uint64_t)INT64_MAX)

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
	{"log", required_argument, NULL, KEY_LOG},
	{"levels", required_argument, NULL, KEY_LEVELS},
	{"granule", required_argument, NULL, KEY_GRANULE},
	{"ipa-bits", required_argument, NULL, KEY_IPA_BITS},
	{"blocks", required_argument, NULL, KEY_BLOCKS},
	{"eager-split", required_argument, NULL, KEY_EAGER_SPLIT},
	{"page", required_argument, NULL, KEY_PAGE},
	{"isa", required_argument, NULL, KEY_ISA},
	{"segment", required_argument, NULL, KEY_SEGMENT},
	{"hpt-order", required_argument, NULL, KEY_HPT_ORDER},
	{"resize", required_argument, NULL, KEY_RESIZE},
	{"hpt-save", required_argument, NULL, KEY_HPT_SAVE},
	{"break", required_argument, NULL, KEY_BREAK},
	{"json", no_argument, NULL, KEY_JSON},
	{"quiet", no_argument, NULL, KEY_QUIET},
	{"no-colour", no_argument, NULL, KEY_NO_COLOUR},
	{"no-color", no_argument, NULL, KEY_NO_COLOUR},
	{NULL, 0, NULL, 0},
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

	if (!read_size(&value, &options->memory_bytes))
		return false;
	options->memory_text = optarg;
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

static bool read_log(struct run_options *options)
{
	const struct option_value value = given("--log");
	unsigned int index;

	if (!read_name(&value, "a log", log_names, &index))
		return false;
	options->log = (enum log_kind)index;
	return true;
}

static bool read_granule(struct run_options *options)
{
	static const char *const names[] = {"4K", "16K", "64K", NULL};
	static const unsigned int shifts[] = {12, 14, 16};
	const struct option_value value = given("--granule");
	unsigned int index;

	if (!read_name(&value, "a granule", names, &index))
		return false;
	options->granule = shifts[index];
	return true;
}

static bool read_switch(const char *option, bool *on)
{
	static const char *const names[] = {"on", "off", NULL};
	const struct option_value value = given(option);
	unsigned int index;

	if (!read_name(&value, "a switch", names, &index))
		return false;
	*on = !index;
	return true;
}

/* For tests: the help does not tell of it. */
static bool read_break(struct run_options *options)
{
#ifdef GLN_BREAKABLE
	const struct option_value value = given("--break");
	unsigned int index;

	if (!read_name(&value, "a way to break", run_break_names, &index))
		return false;
	options->broken = (int)index + 1;
	return true;
#else
	(void)options;
	complain("run", "--break: this build cannot be broken");
	return false;
#endif
}

static bool read_count(const char *option, const char *what, uint64_t min,
		       uint64_t max, uint64_t *number)
{
	const struct option_value value = given(option);

	return read_number(&value, what, min, max, number);
}

static bool read_hpt_option(int key, struct run_options *o)
{
	switch (key) {
	case KEY_PAGE:
		return hpt_read_page("run", &o->map_shift);
	case KEY_ISA:
		return hpt_read_isa("run", &o->isa);
	case KEY_SEGMENT:
		return hpt_read_segment("run", &o->segment_shift);
	case KEY_HPT_ORDER:
		return hpt_read_order("run", "--hpt-order", &o->hpt_order);
	case KEY_RESIZE:
		return read_switch("--resize", &o->resize);
	case KEY_HPT_SAVE:
		o->hpt_save = optarg;
		return true;
	default:
		return read_break(o);
	}
}

static bool read_table_option(int key, struct run_options *o)
{
	switch (key) {
	case KEY_LEVELS:
		return read_count("--levels", "a number of levels",
				  EPT_LEVELS_MIN, EPT_LEVELS_MAX, &o->levels);
	case KEY_GRANULE:
		return read_granule(o);
	case KEY_IPA_BITS:
		return read_count("--ipa-bits", "a number of bits",
				  IPA_BITS_MIN, IPA_BITS_MAX, &o->ipa_bits);
	case KEY_BLOCKS:
		return read_switch("--blocks", &o->blocks);
	case KEY_EAGER_SPLIT:
		return read_switch("--eager-split", &o->eager_split);
	default:
		return read_hpt_option(key, o);
	}
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
	case KEY_LOG:
		return read_log(o);
	case KEY_JSON:
		o->json = true;
		return true;
	case KEY_QUIET:
		o->quiet = true;
		return true;
	case KEY_NO_COLOUR:
		o->plain = true;
		return true;
	default:
		return read_table_option(key, o);
	}
}

int run_options_read(int argc, char **argv, struct run_options *options,
		     bool *help)
{
	struct run_reading reading = {.options = options};

	*options = (struct run_options){
		.memory_bytes = DEFAULT_MEMORY,
		.nr_vcpus = DEFAULT_VCPUS,
		.pages_per_s = DEFAULT_PAGES_PER_S,
		.downtime_ms = DEFAULT_DOWNTIME_MS,
		.max_rounds = DEFAULT_MAX_ROUNDS,
		.granule = DEFAULT_GRANULE,
		.map_shift = HPT_DEFAULT_PAGE,
		.isa = GLN_HPT_ISA_3_0,
		.segment_shift = HPT_DEFAULT_SEGMENT,
		.levels = DEFAULT_LEVELS,
		.ipa_bits = DEFAULT_IPA_BITS,
		.blocks = true,
		.eager_split = true,
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
		run_note_given(&reading, key);
	}
	return run_options_agree(&reading) ? STATUS_OK : STATUS_USAGE;
}
