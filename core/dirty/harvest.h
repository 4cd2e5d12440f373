/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harvest.h - the transaction, on a slot that the caller has claimed.
 *
 *	take the marks -> protect the pages -> flush -> hand out the snapshot
 *
 * On any error the snapshot is put back and the claim is still the caller's.
 */
#ifndef GLN_CORE_DIRTY_HARVEST_H
#define GLN_CORE_DIRTY_HARVEST_H

#include "core/dirty/log.h"

/** glni_harvest_start() - an empty transaction on @slot, which is logged. */
struct gln_harvest *glni_harvest_start(struct slot *slot,
				       struct gln_backend *backend,
				       struct dirty_stats *stats);

/** glni_harvest_take() - take marks as @params say, protect, flush. */
int glni_harvest_take(struct gln_harvest *harvest,
		      const struct gln_harvest_params *params);

/** glni_harvest_collect() - let the backend mark what it knows of. */
int glni_harvest_collect(struct gln_harvest *harvest, uint64_t first,
			 uint64_t end);

/**
 * glni_harvest_take_bits() - take those of the @nr_words words of little-endian
 * @bits, the first being word @word of the slot, that are marked.
 */
void glni_harvest_take_bits(struct gln_harvest *harvest, uint64_t word,
			    const uint64_t *bits, uint64_t nr_words);

/** glni_harvest_clear() - protect and flush what these took; forget it. */
int glni_harvest_clear(struct gln_harvest *harvest);

/** glni_harvest_wants_flip() - is that cheaper, or what @params say? */
bool glni_harvest_wants_flip(const struct gln_harvest *harvest,
			     const struct gln_harvest_params *params);

/** glni_harvest_fail() - a copy failed: put everything back. Returns @err. */
int glni_harvest_fail(struct gln_harvest *harvest, int err);

/**
 * glni_harvest_drop() - all that is left was dealt with.
 * glni_harvest_put_back() - all that is left is marked again.
 *
 * Return how many pages that was.
 */
uint64_t glni_harvest_drop(struct gln_harvest *harvest);
uint64_t glni_harvest_put_back(struct gln_harvest *harvest);

#endif
