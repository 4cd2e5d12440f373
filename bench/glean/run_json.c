/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_json.c - the result of a run as one JSON object, for programs.
 */
#include "bench/glean/run.h"

#include <errno.h>

#include <jansson.h>

#include "bench/glean/clock.h"
#include "bench/glean/json.h"

static json_t *round_json(const struct round *round)
{
	json_t *object = json_object();

	json_put_number(object, "round", round->number);
	json_put_number(object, "dirty_pages", round->dirty_pages);
	json_put_number(object, "runs", round->runs);
	json_put_number(object, "take_ns", round->take_ns);
	json_put_number(object, "protect_ns", round->protect_ns);
	json_put_number(object, "flush_ns", round->flush_ns);
	json_put_number(object, "copy_ns", round->copy_ns);
	json_put_number(object, "interval_ns", round->interval_ns);
	json_put(object, "stopped", json_boolean(round->stopped));
	return object;
}

static json_t *rounds_json(const struct precopy *job)
{
	json_t *rounds = json_array();

	for (size_t i = 0; i < job->nr_rounds; i++)
		json_append(rounds, round_json(&job->rounds[i]));
	return rounds;
}

static void put_options(json_t *object, const struct run_options *options)
{
	json_put_number(object, "guest_bytes", options->memory_bytes);
	json_put_number(object, "page_bytes", options->page_bytes);
	json_put_number(object, "vcpus", options->nr_vcpus);
	json_put_text(object, "pattern", pattern_names[options->pattern]);
	json_put_number(object, "rate", options->pages_per_s);
	json_put_number(object, "seed", options->seed);
	json_put_number(object, "downtime_target_ns",
			options->downtime_ms * NS_PER_MS);
	json_put_number(object, "max_rounds", options->max_rounds);
}

static void put_table(json_t *object, const struct run_options *options)
{
	const bool has_granule = options->backend == BACKEND_ARM_S2;

	json_put_text(object, "log", log_names[options->log]);
	json_put(object, "granule",
		 has_granule ? json_integer((json_int_t)options->page_bytes)
			     : json_null());
}

/* Null but for the backend that has one. */
static json_t *hpt_json(const struct run_options *options,
			const struct run_result *result)
{
	const struct gln_hpt_stats *hpt = &result->hpt;
	json_t *object;

	if (options->backend != BACKEND_BOOK3S_HV)
		return json_null();
	object = json_object();
	json_put_text(object, "isa", isa_names[options->isa]);
	json_put_number(object, "page_bytes",
			UINT64_C(1) << options->map_shift);
	json_put_number(object, "segment_bytes",
			UINT64_C(1) << options->segment_shift);
	json_put_number(object, "order", hpt->order);
	json_put_number(object, "table_bytes", hpt->table_bytes);
	json_put_number(object, "revmap_bytes", hpt->revmap_bytes);
	json_put_number(object, "rmap_bytes", hpt->rmap_bytes);
	json_put_number(object, "enters", hpt->enters);
	json_put_number(object, "full", hpt->full);
	json_put_number(object, "secondaries", hpt->secondaries);
	json_put_number(object, "removes", hpt->removes);
	json_put_number(object, "faults", hpt->faults);
	json_put_number(object, "tlbies", hpt->tlbies);
	json_put_number(object, "flushes", hpt->flushes);
	json_put_number(object, "harvest_walked", hpt->harvest_walked);
	json_put_number(object, "harvest_dirty", hpt->harvest_dirty);
	json_put_number(object, "resizes", hpt->resizes);
	json_put_number(object, "resize_pause_ns", hpt->resize_pause_ns);
	json_put_number(object, "resize_step_ns", hpt->resize_step_ns);
	json_put(object, "in_order", json_boolean(!result->hpt_wrong));
	json_put_text(object, "wrong",
		      result->hpt_wrong ? result->hpt_wrong : "");
	return object;
}

static void put_stats(json_t *object, const struct gln_stats *stats)
{
	json_t *faults = json_object();

	json_put_number(faults, "mapped", stats->faults_mapped);
	json_put_number(faults, "relaxed", stats->faults_relaxed);
	json_put_number(faults, "spurious", stats->faults_spurious);
	json_put_number(faults, "retried", stats->faults_retried);
	json_put(object, "faults", faults);
	json_put_number(object, "protect_calls", stats->protect_calls);
	json_put_number(object, "flushes", stats->flushes);
}

static const char *const step_names[GLN_NR_STEPS] = {
	[GLN_STEP_COLLECT] = "collect", [GLN_STEP_TAKE] = "take",
	[GLN_STEP_PROTECT] = "protect", [GLN_STEP_FLUSH] = "flush",
	[GLN_STEP_BEGIN] = "begin",	[GLN_STEP_DELIVER] = "deliver",
};

static json_t *step_json(const struct gln_histogram *histogram)
{
	json_t *object = json_object();

	json_put_number(object, "count", histogram->count);
	json_put_number(object, "p50_ns", histogram->p50_ns);
	json_put_number(object, "p90_ns", histogram->p90_ns);
	json_put_number(object, "p99_ns", histogram->p99_ns);
	json_put_number(object, "max_ns", histogram->max_ns);
	return object;
}

static json_t *steps_json(const struct gln_histogram steps[GLN_NR_STEPS])
{
	json_t *object = json_object();

	for (enum gln_step step = 0; step < GLN_NR_STEPS; step++)
		json_put(object, step_names[step], step_json(&steps[step]));
	return object;
}

int run_json_print(const struct run_options *options,
		   const struct run_result *result)
{
	const struct precopy *job = &result->job;
	json_t *object = json_object();

	json_put_text(object, "backend", backend_names[options->backend]);
	json_put_text(object, "tracker", result->tracker);
	json_put_text(object, "tracker_reason", result->reason);
	put_table(object, options);
	put_options(object, options);
	json_put(object, "rounds", rounds_json(job));
	json_put(object, "converged", json_boolean(job->converged));
	json_put_number(object, "downtime_ns", job->downtime_ns);
	json_put_number(object, "total_ns", job->total_ns);
	put_stats(object, &result->stats);
	json_put(object, "steps", steps_json(result->steps));
	json_put(object, "hpt", hpt_json(options, result));
	json_put_number(object, "mismatched_pages", result->mismatched_pages);
	json_put(object, "verified", json_boolean(result->verified));
	return json_print(object, stdout);
}
