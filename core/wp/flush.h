/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flush.h - collect what a harvest reaped into a flush plan (G8).
 */
#ifndef GLN_CORE_WP_FLUSH_H
#define GLN_CORE_WP_FLUSH_H

#include <glean/backend.h>

/** glni_flush_start() - an empty plan. */
void glni_flush_start(struct gln_flush *flush);

/**
 * glni_flush_add() - add a range behind all others. A plan of more than @max
 * ranges, which fit, becomes a flush of the whole slot.
 */
void glni_flush_add(struct gln_flush *flush, struct gln_range range,
		    unsigned int max);

/**
 * glni_flush_add_any() - add a range wherever it lies. One that is neither
 * behind nor around the last makes it a flush of the whole slot.
 */
void glni_flush_add_any(struct gln_flush *flush, struct gln_range range,
			unsigned int max);

#endif
