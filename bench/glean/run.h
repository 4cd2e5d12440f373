/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.h - what `glean run` was asked, and what came of it.
 */
#ifndef BENCH_GLEAN_RUN_H
#define BENCH_GLEAN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/hpt.h>
#include <glean/process.h>
#include <glean/stats.h>

#include "bench/glean/pattern.h"
#include "bench/glean/precopy.h"
#include "bench/glean/source.h"

enum backend_kind {
	BACKEND_PROCESS,
	BACKEND_REF,
	BACKEND_X86_EPT,
	BACKEND_ARM_S2,
	BACKEND_BOOK3S_HV,
	NR_BACKENDS
};

/** Their names, and NULL after the last. */
extern const char *const backend_names[NR_BACKENDS + 1];

/**
 * struct run_options - the command line of `glean run`, checked.
 *
 * @page_bytes:	of the guest's frames: the host's, or what the table has.
 * @map_shift:	log2 of what the guest maps its memory by, of the book3s_hv
 *		backend; never less than a frame.
 * @isa, @segment_shift, @hpt_order, @resize: of that backend; an order of 0 is
 *		by rule until the command line is read.
 * @hpt_save:	where to put its table at the end, or NULL.
 * @granule:	log2 of it, of the arm_s2 backend.
 * @levels:	of the x86_ept backend's table.
 * @ipa_bits:	what the arm_s2 backend's table can translate.
 * @blocks, @eager_split: of both.
 * @broken:	how the library is broken, in a build that can be; 0 is not.
 */
struct run_options {
	uint64_t memory_bytes;
	const char *memory_text; /* as it was typed, or NULL */
	uint64_t page_bytes;
	uint64_t nr_vcpus;
	enum pattern_kind pattern;
	uint64_t pages_per_s;
	uint64_t downtime_ms;
	uint64_t max_rounds;
	enum backend_kind backend;
	enum gln_tracker tracker;
	enum log_kind log;
	unsigned int granule;
	unsigned int map_shift;
	enum gln_hpt_isa isa;
	unsigned int segment_shift;
	uint64_t hpt_order;
	bool resize;
	const char *hpt_save;
	uint64_t levels;
	uint64_t ipa_bits;
	bool blocks;
	bool eager_split;
	int broken;
	uint64_t seed;
	bool json;
	bool quiet;
	bool plain; /* no colour, even on a terminal */
};

/** isa_names - of enum gln_hpt_isa, and NULL after the last. */
extern const char *const isa_names[];

/** run_align_bytes() - what the guest's memory begins and ends at multiples of.
 */
uint64_t run_align_bytes(const struct run_options *options);

/**
 * run_options_read() - read and check the command line.
 *
 * Return: STATUS_OK; or, after a complaint or the help, the exit status. @help
 * is set if it was the help.
 */
int run_options_read(int argc, char **argv, struct run_options *options,
		     bool *help);

/**
 * struct run_result - how it went.
 *
 * @tracker:	name of the tracker in use, "none" for the oracle; of a model of
 *		an MMU, how it notices writes.
 * @reason:	why it was taken.
 * @stats, @steps: the VM's counters and histograms, at the end.
 * @hpt:	of the hashed page table, at the end.
 * @hpt_wrong:	NULL, or what is not in order in it.
 * @mismatched_pages: pages of the copy that differ from the guest's.
 */
struct run_result {
	const char *tracker;
	char reason[GLN_REASON_BYTES];
	struct precopy job;
	struct gln_stats stats;
	struct gln_histogram steps[GLN_NR_STEPS];
	struct gln_hpt_stats hpt;
	const char *hpt_wrong;
	uint64_t mismatched_pages;
	bool verified;
};

/** run_json_print() - the result as one JSON object on standard output. */
int run_json_print(const struct run_options *options,
		   const struct run_result *result);

#endif
