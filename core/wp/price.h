/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * price.h - what struct gln_prices comes to, as limits that a harvest can use.
 *
 * Both are worked out once a harvest, in 64 bits that no prices overflow.
 */
#ifndef GLN_CORE_WP_PRICE_H
#define GLN_CORE_WP_PRICE_H

#include <glean/backend.h>

/**
 * glni_price_max_gap() - the most clean pages between two runs that it is
 * cheaper to protect as well, where a call of protect takes @runs_a_call
 * ranges. 0: join nothing.
 */
uint64_t glni_price_max_gap(const struct gln_prices *prices,
			    unsigned int runs_a_call);

/**
 * glni_price_flush_ranges() - the most ranges, up to GLN_FLUSH_RANGES, that are
 * no dearer than a flush of the whole slot.
 */
unsigned int glni_price_flush_ranges(const struct gln_prices *prices);

#endif
