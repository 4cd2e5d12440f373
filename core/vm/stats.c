/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - read a VM's counters while it runs.
 */
#include <glean/stats.h>

#include "core/vm/vm.h"

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
	};

	gln_plat_mutex_lock(&vm->lock);
	stats.vcpu_marks = vm->gone_marks;
	stats.vcpu_new_marks = vm->gone_new_marks;
	for (struct gln_vcpu *vcpu = vm->vcpus; vcpu; vcpu = vcpu->next) {
		stats.vcpu_marks += gln_load_relaxed(&vcpu->marks);
		stats.vcpu_new_marks += gln_load_relaxed(&vcpu->new_marks);
	}
	gln_plat_mutex_unlock(&vm->lock);

	return vm_give_report(theirs, &stats, sizeof(stats)) ? 0 : -EINVAL;
}
