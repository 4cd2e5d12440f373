/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_ways.h - the ways to harvest a slot, each checked as it goes.
 *
 * A way takes what is marked, copies it, and leaves nothing behind but what was
 * marked meanwhile: done when nobody writes, it has reported every page that
 * was. What it promised on the way and did not keep ends the program; pages
 * that it can prove lost it counts.
 */
#ifndef TESTS_SUPPORT_STRESS_WAYS_H
#define TESTS_SUPPORT_STRESS_WAYS_H

#include "tests/support/stress_guest.h"

/**
 * struct ways - who harvests, and what came of it.
 *
 * @is_quiet:	set while nobody writes: then more can be checked.
 * @keeps_mode:	others harvest too: the VM's mode is as this way needs it.
 * @may_wait:	others claim the slots now and then: a way tries again.
 * @may_fail:	set while the backend fails now and then; a way tries again.
 * @states:	a byte a page, for the way under way.
 * @bitmap:	room for the bitmap of any slot.
 */
struct ways {
	struct guest *guest;
	struct stress_random random;
	bool is_quiet;
	bool keeps_mode;
	bool may_wait;
	bool may_fail;
	uint8_t *states;
	uint64_t *bitmap;
	uint64_t nr_harvests;
	uint64_t nr_pages; /* copied */
	uint64_t nr_aborted;
	uint64_t nr_failed;
	uint64_t nr_lost;
};

void ways_init(struct ways *ways, struct guest *guest, uint64_t seed);
void ways_fini(struct ways *ways);

/** struct way - one of them. */
struct way {
	const char *name;
	void (*harvest)(struct ways *ways, struct guest_slot *slot);
};

/** A transaction, walked to its end and committed. */
extern const struct way way_whole;
/** Some pages committed, some aborted, the walk done again, the rest either. */
extern const struct way way_in_parts;
/** Aborted, then harvested again, which must report no fewer. */
extern const struct way way_aborted;
/** Taken for another log, which a second harvest merges; some aborted. */
extern const struct way way_merged;
/** A few pages or microseconds at a time, by the cursor. */
extern const struct way way_budget;
/** KVM_GET_DIRTY_LOG as it always was. */
extern const struct way way_get;
/** Manual protection: get, then clear part by part, leaving parts out once. */
extern const struct way way_get_clear;
/** By vCPUs' rings, then by the bitmap for what no ring took. */
extern const struct way way_rings;

#endif
