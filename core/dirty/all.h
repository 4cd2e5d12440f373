/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * all.h - harvests of several slots as one. Each was started, and is linked to
 * the next; their slots are claimed.
 */
#ifndef GLN_CORE_DIRTY_ALL_H
#define GLN_CORE_DIRTY_ALL_H

#include "core/dirty/parts.h"

/**
 * glni_all_take() - take marks as @params say, protect, flush, for all the
 * harvests, each of them started. On an error all is put back.
 */
int glni_all_take(struct gln_vm_harvest *all,
		  const struct gln_vm_harvest_params *params);

/** glni_all_count() - pages that are in it: of slots where nobody has yet. */
void glni_all_count(struct gln_vm_harvest *all);

/** glni_all_visit() - give out all runs. @visit and @ctx are set. */
void glni_all_visit(struct gln_vm_harvest *all);

/**
 * glni_all_drop() - all that is left was dealt with.
 * glni_all_put_back() - all that is left is marked again.
 *
 * Return how many pages that was.
 */
uint64_t glni_all_drop(struct gln_vm_harvest *all);
uint64_t glni_all_put_back(struct gln_vm_harvest *all);

#endif
