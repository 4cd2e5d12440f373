/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - read a VM's counters and histograms while it runs.
 */
#include <glean/stats.h>

#include "core/vm/vm.h"

static uint64_t total(const struct gln_vm *vm, enum vcpu_count which)
{
	uint64_t sum = vm->gone[which];

	for (struct gln_vcpu *vcpu = vm->vcpus; vcpu; vcpu = vcpu->next)
		/* Relaxed: a figure. */
		sum += gln_load_relaxed(&vcpu->counts[which]);

	return sum;
}

/* What vCPUs counted. The VM's lock is held. */
static void add_vcpus(const struct gln_vm *vm, struct gln_stats *stats)
{
	stats->vcpu_marks = total(vm, VCPU_MARKS);
	stats->vcpu_new_marks = total(vm, VCPU_NEW_MARKS);
	stats->faults_mapped = total(vm, VCPU_FAULTS + GLN_FAULT_MAPPED);
	stats->faults_relaxed = total(vm, VCPU_FAULTS + GLN_FAULT_RELAXED);
	stats->faults_spurious = total(vm, VCPU_FAULTS + GLN_FAULT_SPURIOUS);
	stats->faults_retried = total(vm, VCPU_FAULTS + GLN_FAULT_RETRY);
	stats->ring_pushes = total(vm, VCPU_RING_PUSHES);
	stats->ring_overflows = total(vm, VCPU_RING_OVERFLOWS);
}

int gln_vm_stats(struct gln_vm *vm, struct gln_stats *theirs)
{
	struct dirty_stats *const from = &vm->stats;
	/* Relaxed, all of them: figures may be some operations apart. */
	struct gln_stats stats = {
		.harvests = gln_load_relaxed(&from->harvests),
		.harvested_pages = gln_load_relaxed(&from->harvested_pages),
		.harvested_runs = gln_load_relaxed(&from->harvested_runs),
		.protect_calls = gln_load_relaxed(&from->protect_calls),
		.flushes = gln_load_relaxed(&from->flushes),
		.whole_slot_flushes =
			gln_load_relaxed(&from->whole_slot_flushes),
		.aborted_pages = gln_load_relaxed(&from->aborted_pages),
		.cleared_pages = gln_load_relaxed(&from->cleared_pages),
		.dropped_pages = gln_load_relaxed(&from->dropped_pages),
		.failed_harvests = gln_load_relaxed(&from->failed_harvests),
		.log_bytes = gln_load_relaxed(&from->log_bytes),
		.ring_resets = gln_load_relaxed(&from->ring_resets),
		.flush_ranges = gln_load_relaxed(&from->flush_ranges),
		.gap_pages = gln_load_relaxed(&from->gap_pages),
	};

	gln_plat_mutex_lock(&vm->lock);
	add_vcpus(vm, &stats);
	gln_plat_mutex_unlock(&vm->lock);

	return vm_give_report(theirs, &stats, sizeof(stats)) ? 0 : -EINVAL;
}

_Static_assert(GLN_MAX_BUCKETS == HISTOGRAM_BUCKETS, "all of them have room");

/* NULL for an unknown step. */
static struct histogram *find_histogram(struct gln_vm *vm, enum gln_step step)
{
	return step < GLN_NR_STEPS ? &vm->stats.steps[step] : NULL;
}

int gln_vm_histogram(struct gln_vm *vm, enum gln_step step,
		     struct gln_histogram *theirs)
{
	enum { P50, P90, P99, NR_PERCENTILES };
	const struct histogram *const from = find_histogram(vm, step);
	struct gln_histogram ours = {0};

	if (!from)
		return -EINVAL;

	ours.count = histogram_count(from);
	if (ours.count) {
		const uint64_t ranks[NR_PERCENTILES] = {
			[P50] = histogram_rank(ours.count, 50),
			[P90] = histogram_rank(ours.count, 90),
			[P99] = histogram_rank(ours.count, 99),
		};
		uint64_t values[NR_PERCENTILES];

		histogram_values(from, ranks, NR_PERCENTILES, values);
		ours.p50_ns = values[P50];
		ours.p90_ns = values[P90];
		ours.p99_ns = values[P99];
		/* Relaxed: figures. The longest is not below a percentile: it
		 * only grows, and was read before these were cut to it. */
		ours.sum_ns = gln_load_relaxed(&from->sum);
		ours.max_ns = gln_load_relaxed(&from->max);
	}

	return vm_give_report(theirs, &ours, sizeof(ours)) ? 0 : -EINVAL;
}

size_t gln_vm_buckets(struct gln_vm *vm, enum gln_step step,
		      struct gln_bucket *buckets, size_t max_buckets)
{
	const struct histogram *const from = find_histogram(vm, step);
	size_t nr = 0;

	if (!from)
		return 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS && nr < max_buckets;
	     i++) {
		/* Relaxed: a figure. */
		const uint64_t count = gln_load_relaxed(&from->counts[i]);

		if (count)
			buckets[nr++] = (struct gln_bucket){
				.first_ns = histogram_first(i),
				.last_ns = histogram_last(i),
				.count = count,
			};
	}

	return nr;
}
