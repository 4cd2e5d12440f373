/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_rules.h - which options of `glean run` go together.
 */
#ifndef BENCH_GLEAN_RUN_RULES_H
#define BENCH_GLEAN_RUN_RULES_H

#include <stdbool.h>

#include "bench/glean/options.h"
#include "bench/glean/run.h"

#define EPT_LEVELS_MIN 4
#define EPT_LEVELS_MAX 5
#define IPA_BITS_MIN   32
#define IPA_BITS_MAX   52

/** --break: ways to break, as core/base/broken.h numbers them. */
enum {
	RUN_BREAK_SKIP_FLUSH = 1,
	RUN_BREAK_MARK_FIRST,
	RUN_BREAK_LOSE_DIRTY,
	RUN_BREAK_SPAN,
	RUN_BREAK_EARLY_C,
	RUN_BREAK_KEEP_RMAP,
	RUN_BREAK_PUBLISH_FIRST,
	NR_RUN_BREAKS
};

/** Their names from the first on, and NULL after the last. */
extern const char *const run_break_names[NR_RUN_BREAKS];

/** The options, as option_next() returns them. */
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
	KEY_LOG,
	KEY_LEVELS,
	KEY_GRANULE,
	KEY_IPA_BITS,
	KEY_BLOCKS,
	KEY_EAGER_SPLIT,
	KEY_PAGE,
	KEY_ISA,
	KEY_SEGMENT,
	KEY_HPT_ORDER,
	KEY_RESIZE,
	KEY_HPT_SAVE,
	KEY_BREAK,
	KEY_JSON,
	KEY_QUIET,
	KEY_NO_COLOUR
};

/**
 * struct run_reading - the command line while it is read.
 *
 * @given:	a bit for each option that some backends have no use for.
 */
struct run_reading {
	struct run_options *options;
	unsigned int given;
};

/** run_note_given() - option @key was read. */
void run_note_given(struct run_reading *reading, int key);

/**
 * run_options_agree() - all is read: does it go together? Sets the page size.
 *
 * Return: false after a complaint.
 */
bool run_options_agree(const struct run_reading *reading);

#endif
