/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the dirty log of one slot: two bitmaps and a transaction.
 *
 * One bitmap is live: vCPUs find it by the slot and mark in it. The memory of
 * the other is the harvester's: its snapshot while a harvest is open, else 0.
 *
 *   L1  A slot's live bitmap is published before its backend starts logging
 *       and withdrawn after it stops; a grace period follows either way.
 *   L2  The other bitmap is all 0 unless the slot is claimed.
 *   L3  All memory a harvest needs is allocated with the log (G6).
 */
#ifndef GLN_CORE_DIRTY_LOG_H
#define GLN_CORE_DIRTY_LOG_H

#include <glean/harvest.h>
#include <glean/stats.h>

#include "core/base/histogram.h"
#include "core/bitmap/bitmap.h"
#include "core/dirty/parts.h"
#include "core/dirty/strategy.h"
#include "core/slot/slot.h"
#include "core/wp/flush.h"
#include "core/wp/join.h"
#include "core/wp/price.h"
#include "core/wp/runs.h"

enum {
	/* Runs a call of the backend: amortises it, and fits in a page. */
	RUNS_A_CALL = 64,
	/* Bitmap bytes that go over the KVM-shaped edge at once. */
	STAGING_BYTES = 64 * 1024,
};

/** struct dirty_stats - what harvests of all slots of a VM add to. */
struct dirty_stats {
	gln_word harvests;
	gln_word harvested_pages;
	gln_word harvested_runs;
	gln_word protect_calls;
	gln_word flushes;
	gln_word whole_slot_flushes;
	gln_word aborted_pages;
	gln_word cleared_pages;
	gln_word dropped_pages;
	gln_word failed_harvests;
	gln_word log_bytes;
	gln_word ring_resets;
	gln_word flush_ranges;
	gln_word gap_pages;
	struct histogram steps[GLN_NR_STEPS];
};

/** dirty_count() - add to a counter that several threads write. */
static inline void dirty_count(gln_word *counter, uint64_t n)
{
	/* Relaxed: a count orders nothing. */
	gln_fetch_add_relaxed(counter, n);
}

/** dirty_time() - a step ended at @now_ns. Returns how long it took. */
static inline uint64_t dirty_time(struct dirty_stats *stats, enum gln_step step,
				  uint64_t start_ns, uint64_t now_ns)
{
	histogram_add(&stats->steps[step], now_ns - start_ns);
	return now_ns - start_ns;
}

/** struct gln_harvest - a transaction; part of the log, so always there. */
struct gln_harvest {
	struct gln_backend *backend; /* NULL: explicit marks only */
	struct slot *slot;
	struct log *log;
	struct dirty_stats *stats;
	struct gln_harvest_report report;
	uint64_t begun_ns;   /* clock when begin ended; 0: nothing to deliver */
	bool is_empty;	     /* nothing was taken: the snapshot is untouched */
	uint64_t nr_settled; /* pages that commits and aborts in part took */
	struct run_walk walk;
	struct gln_flush flush;
	unsigned int max_flush_ranges; /* by price */
	struct gln_range runs[RUNS_A_CALL];
	/* Of a harvest of the whole VM: see parts.h. */
	struct gln_harvest *next;
	bool is_flipped;
	struct part_sums sums;
};

/** struct log - all of it. */
struct log {
	struct bitmap maps[2];
	struct bitmap *live;  /* as the slot's marks */
	struct snapshot snap; /* the other one, seen as plain memory */
	struct gln_harvest harvest;
	struct strategy strategy;
	struct gln_vm_harvest all; /* of the VM, if this slot is the first */
	bool is_all_marked; /* when it began: blocks may still be whole */
	uint64_t *staging;
	size_t staging_bytes;
	uint64_t bytes; /* all of it, for statistics */
};

static inline uint64_t log_nr_pages(const struct log *log)
{
	return log->live->nr_pages;
}

/** log_other() - the bitmap that is not live. */
static inline struct bitmap *log_other(struct log *log)
{
	return &log->maps[log->live == &log->maps[0]];
}

/** log_make_live() - vCPUs mark in @live from now on; the other is ours. */
static inline void log_make_live(struct log *log, struct bitmap *live)
{
	struct bitmap *const other = &log->maps[live == &log->maps[0]];

	log->live = live;
	log->snap.nr_pages = other->nr_pages;
	log->snap.words = (uint64_t *)(void *)other->words;
	log->snap.taken = (uint64_t *)(void *)other->summary;
}

/**
 * glni_log_create() - an empty log of @nr_pages pages.
 *
 * Return: 0 or -ENOMEM.
 */
int glni_log_create(const struct gln_allocator *from, uint64_t nr_pages,
		    enum fence_form fence, struct log **log);
void glni_log_destroy(const struct gln_allocator *from, struct log *log);

/**
 * slot_marks() - where to mark, or NULL while the slot is not logged. In a
 * read-side section.
 */
static inline struct bitmap *slot_marks(const struct slot *slot)
{
	/* sync log.1 (acquire) <- log.2: an empty bitmap before its pointer. */
	return gln_load_acquire(&slot->marks);
}

/**
 * slot_publish_marks() - let markers find @marks, or NULL. The claimant.
 *
 * The old ones are quiet after the next grace period.
 */
static inline void slot_publish_marks(struct slot *slot, struct bitmap *marks)
{
	/* sync log.2 (release) -> log.1: an empty bitmap before its pointer. */
	gln_store_release(&slot->marks, marks);
}

#endif
