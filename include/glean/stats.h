/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - what a VM has done so far, readable while it runs.
 *
 * Counters only grow, are 64 bits wide (32 wrap at 16 TiB of 4 KiB pages) and
 * are read without stopping anyone: one call's figures may be some operations
 * apart from each other.
 *
 * What one harvest did is in its record, struct gln_harvest_report; how long
 * the steps of all of them took is in histograms here.
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
 * @harvests:	transactions begun, gets and clears of the KVM-shaped log too; a
 *		harvest of the whole VM is one a slot.
 * @harvested_pages: pages they took, or that were merged into them, counted
 *when committed or aborted.
 * @harvested_runs: ranges of them handed to the backend: maximal runs, joined
 *		where prices say so (backend.h).
 * @protect_calls: calls of the backend's protect.
 * @flushes:	calls of the backend's flush.
 * @whole_slot_flushes: of these, plans that had overflowed, or were dearer.
 * @aborted_pages: pages taken and put back, by abort or error.
 * @cleared_pages: pages cleared by gln_clear_dirty_log().
 * @dropped_pages: marks lost with a slot removed or logging stopped.
 * @failed_harvests: begin, get or clear that ended in an error of the backend
 *		or of copying; a harvest of the whole VM that failed is one.
 * @vcpu_marks:	calls of gln_vcpu_mark().
 * @vcpu_new_marks: of these, marks that were new.
 * @log_bytes:	memory held by logs now: bitmaps, summaries, snapshots.
 * @faults_mapped, @faults_relaxed, @faults_spurious, @faults_retried: calls of
 *		gln_vcpu_fault() that ended so; see enum gln_fault.
 * @ring_pushes: pages that vCPUs put into their rings.
 * @ring_resets: entries of rings that gln_ring_reset() freed.
 * @ring_overflows: pages that a ring had no room for: marked in a bitmap.
 * @flush_ranges: ranges handed to the backend's flush.
 * @gap_pages:	clean pages that were protected because they lie between two
 *		runs, where prices say so (backend.h).
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
	uint64_t flush_ranges;
	uint64_t gap_pages;
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

/**
 * enum gln_step - what of a harvest takes time. A step that did not happen is
 * in no histogram.
 *
 * @GLN_STEP_COLLECT: one call of the backend's collect.
 * @GLN_STEP_TAKE:	collecting and taking marks, by gln_harvest_begin() or
 *		gln_get_dirty_log(), clean slots included.
 * @GLN_STEP_PROTECT: all calls of the backend's protect in one harvest and the
 *		walk over the runs; of gln_clear_dirty_log() too.
 * @GLN_STEP_FLUSH: the backend's flush, likewise.
 * @GLN_STEP_BEGIN: take, protect and flush together: all of gln_harvest_begin()
 *		but the claim of the slot. Failed ones are not in it.
 * @GLN_STEP_DELIVER: from there to the end of the commit or abort, or of
 *		gln_get_dirty_log(): the caller's part, if pages were taken.
 */
enum gln_step {
	GLN_STEP_COLLECT = 0,
	GLN_STEP_TAKE = 1,
	GLN_STEP_PROTECT = 2,
	GLN_STEP_FLUSH = 3,
	GLN_STEP_BEGIN = 4,
	GLN_STEP_DELIVER = 5,
	GLN_NR_STEPS = 6,
};

/**
 * struct gln_histogram - how long a step of a VM's harvests took so far.
 *
 * Half of the times are at most @p50_ns, and so on. A percentile is rounded up
 * to the end of its bucket: it is at most 1/8 too high, below 16 ns not at all,
 * and never above @max_ns.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @count:	times there are. With none, all that follows is 0.
 * @sum_ns:	all of them.
 * @max_ns:	the longest, to the nanosecond.
 */
struct gln_histogram {
	size_t struct_bytes;
	uint64_t count;
	uint64_t sum_ns;
	uint64_t p50_ns;
	uint64_t p90_ns;
	uint64_t p99_ns;
	uint64_t max_ns;
};

/**
 * gln_vm_histogram() - read one of a VM's histograms.
 *
 * Context: any thread; waits for nobody and stops nobody.
 * Return: 0; -EINVAL for an unknown step, or if @histogram->struct_bytes is
 * smaller than the member itself or larger than this library knows.
 */
GLN_PUBLIC int gln_vm_histogram(struct gln_vm *vm, enum gln_step step,
				struct gln_histogram *histogram);

/** GLN_MAX_BUCKETS - a histogram has no more than these. */
#define GLN_MAX_BUCKETS 496

/** struct gln_bucket - @count times from @first_ns to @last_ns, both included.
 */
struct gln_bucket {
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t count;
};

/**
 * gln_vm_buckets() - what a histogram is made of, for who adds up several VMs,
 * or wants other percentiles.
 * @buckets:	room for @max_buckets; ascending, without those that are empty.
 *
 * Bounds are the same in every VM and at every time: eight buckets for each
 * power of two.
 *
 * Context: as gln_vm_histogram().
 * Return: how many were written; 0 for an unknown step.
 */
GLN_PUBLIC size_t gln_vm_buckets(struct gln_vm *vm, enum gln_step step,
				 struct gln_bucket *buckets,
				 size_t max_buckets);

GLN_END_DECLS

#endif
