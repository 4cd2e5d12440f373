/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - what a VM has done so far, readable while it runs.
 *
 * Counters only grow, are 64 bits wide (32 wrap at 16 TiB of 4 KiB pages) and
 * are read without stopping anyone: one call's figures may be some operations
 * apart from each other.
 */
#ifndef GLN_STATS_H
#define GLN_STATS_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_vcpu;

/**
 * struct gln_stats - counters of a VM.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @harvests:	transactions begun, gets and clears of the KVM-shaped log too.
 * @harvested_pages: pages they took, counted when committed or aborted.
 * @harvested_runs: maximal runs of them handed to the backend.
 * @protect_calls: calls of the backend's protect.
 * @flushes:	calls of the backend's flush.
 * @whole_slot_flushes: of these, plans that had overflowed.
 * @aborted_pages: pages taken and put back, by abort or error.
 * @cleared_pages: pages cleared by gln_clear_dirty_log().
 * @dropped_pages: marks lost with a slot removed or logging stopped.
 * @failed_harvests: begin, get or clear that ended in an error of the backend
 *		or of copying.
 * @vcpu_marks:	calls of gln_vcpu_mark().
 * @vcpu_new_marks: of these, marks that were new.
 * @log_bytes:	memory held by logs now: bitmaps, summaries, snapshots.
 * @faults_mapped, @faults_relaxed, @faults_spurious, @faults_retried: calls of
 *		gln_vcpu_fault() that ended so; see enum gln_fault.
 * @ring_pushes: pages that vCPUs put into their rings.
 * @ring_resets: entries of rings that gln_ring_reset() freed.
 * @ring_overflows: pages that a ring had no room for: marked in a bitmap.
 */
struct gln_stats {
	size_t struct_bytes;
	uint64_t harvests;
	uint64_t harvested_pages;
	uint64_t harvested_runs;
	uint64_t protect_calls;
	uint64_t flushes;
	uint64_t whole_slot_flushes;
	uint64_t aborted_pages;
	uint64_t cleared_pages;
	uint64_t dropped_pages;
	uint64_t failed_harvests;
	uint64_t vcpu_marks;
	uint64_t vcpu_new_marks;
	uint64_t log_bytes;
	uint64_t faults_mapped;
	uint64_t faults_relaxed;
	uint64_t faults_spurious;
	uint64_t faults_retried;
	uint64_t ring_pushes;
	uint64_t ring_resets;
	uint64_t ring_overflows;
};

/**
 * gln_vm_stats() - read a VM's counters.
 *
 * Context: any thread; waits at most for a change of slots, vCPUs or logging,
 * or a get or clear, that is under way.
 * Return: 0; -EINVAL if @stats->struct_bytes is smaller than the member itself
 * or larger than this library knows.
 */
GLN_PUBLIC int gln_vm_stats(struct gln_vm *vm, struct gln_stats *stats);

GLN_END_DECLS

#endif
