/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - read a VM's counters while it runs.
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
	};

	gln_plat_mutex_lock(&vm->lock);
	add_vcpus(vm, &stats);
	gln_plat_mutex_unlock(&vm->lock);

	return vm_give_report(theirs, &stats, sizeof(stats)) ? 0 : -EINVAL;
}
