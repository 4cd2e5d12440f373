/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - stands between the library and its backend: counts what is asked for,
 * and asks for it as a rival of the library would.
 */
#ifndef BENCH_SUITE_TAP_H
#define BENCH_SUITE_TAP_H

#include <glean/backend.h>

/**
 * enum tap_protect - how pages are protected.
 *
 * @TAP_RUNS:	as the library says: a vector of maximal runs a call.
 * @TAP_SPANS:	a call for each 64 pages some of which are dirty: all from the
 *		first to the last of them, as the seed does.
 * @TAP_PAGES:	a call, and so a descent, for each page.
 */
enum tap_protect { TAP_RUNS, TAP_SPANS, TAP_PAGES };

/**
 * struct tap - in place of a backend's operations.
 *
 * @ops:	what the library sees; the backend points here.
 * @real:	the backend's own.
 * @slot:	the one that was attached last.
 * @how:	may be changed between two harvests.
 * @nr_calls, @nr_ranges: of the backend's protect. @nr_flushes: of its flush.
 */
struct tap {
	struct gln_backend_ops ops;
	const struct gln_backend_ops *real;
	struct gln_backend_slot *slot;
	enum tap_protect how;
	uint64_t nr_calls;
	uint64_t nr_ranges;
	uint64_t nr_flushes;
};

/** tap_open() - from now on, before the VM is made. */
void tap_open(struct tap *tap, struct gln_backend *backend);
/** tap_close() - no longer. */
void tap_close(struct tap *tap, struct gln_backend *backend);
/** tap_reset() - count from 0. */
void tap_reset(struct tap *tap);

#endif
