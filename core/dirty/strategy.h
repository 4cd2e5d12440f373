/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strategy.h - to exchange or to flip: what each has cost this log lately.
 *
 *   flip       a grace period, whatever is dirty
 *   exchange   its fences, and so much for each line
 *
 * What a grace period and a fence cost is the machine's and the embedder's
 * business: under a microsecond where nobody else runs, tens of them where
 * many do, milliseconds where a marking thread may lose its CPU. So both are
 * timed. The estimate is the cheaper of the last two, since one may have been
 * interrupted.
 *
 * Who is not chosen is not timed, and may be cheaper by now: while one is used
 * the estimate of the other falls, by a share of what was paid. So a trial that
 * fails adds no more than that share.
 *
 * The claimant's; plain memory.
 */
#ifndef GLN_CORE_DIRTY_STRATEGY_H
#define GLN_CORE_DIRTY_STRATEGY_H

#include "core/base/bits.h"

enum {
	/* A line that is exchanged, if it comes from memory or is full. */
	EXCHANGE_LINE_NS = 40,
	/* A grace period, as long as none was waited for. */
	FIRST_GRACE_NS = 10000,
	/* One part in so many of what is spent is for trials. */
	TRIAL_SHARE = 64,
};

/** struct cost - of one of the two, lines apart. */
struct cost {
	uint64_t estimate_ns;
	uint64_t last_ns;
};

/** struct strategy - part of a log. */
struct strategy {
	struct cost flip;
	struct cost exchange;
};

static inline void strategy_init(struct strategy *strategy)
{
	*strategy = (struct strategy){
		.flip = {FIRST_GRACE_NS, FIRST_GRACE_NS},
	};
}

/*
 * @used cost @ns, of which @fixed_ns whatever is dirty. Without a clock nothing
 * is known, and the first guess stays.
 */
static inline void cost_note(struct cost *used, struct cost *other, uint64_t ns,
			     uint64_t fixed_ns)
{
	if (!ns)
		return;
	used->estimate_ns = gln_min(fixed_ns, used->last_ns);
	used->last_ns = fixed_ns;
	other->estimate_ns -= gln_min(other->estimate_ns, ns / TRIAL_SHARE);
}

/** strategy_note_flip() - a flip took @ns. */
static inline void strategy_note_flip(struct strategy *strategy, uint64_t ns)
{
	cost_note(&strategy->flip, &strategy->exchange, ns, ns);
}

/** strategy_note_exchange() - to exchange @nr_lines lines took @ns. */
static inline void strategy_note_exchange(struct strategy *strategy,
					  uint64_t nr_lines, uint64_t ns)
{
	const uint64_t lines_ns = gln_min(ns, nr_lines * EXCHANGE_LINE_NS);

	cost_note(&strategy->exchange, &strategy->flip, ns, ns - lines_ns);
}

/**
 * strategy_flip_lines() - with so many dirty lines and more a flip is cheaper.
 * Never 0: where nothing is dirty there is nothing to wait for.
 */
static inline uint64_t strategy_flip_lines(const struct strategy *strategy)
{
	const uint64_t flip_ns = strategy->flip.estimate_ns;
	const uint64_t fixed_ns =
		gln_min(flip_ns, strategy->exchange.estimate_ns);

	return gln_max(gln_div_up(flip_ns - fixed_ns, EXCHANGE_LINE_NS), 1);
}

#endif
