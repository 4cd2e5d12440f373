/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fence.h - the pair of fences between mark and harvest.
 *
 * Both sides need a full fence between a store and a load (ordering.md). Marks
 * are many and harvests few, so where the platform has a heavy fence, one that
 * makes every marking CPU execute a full one, mark gets away with telling the
 * compiler alone. A whole log uses one form, chosen when its VM is made.
 */
#ifndef GLN_CORE_SYNC_FENCE_H
#define GLN_CORE_SYNC_FENCE_H

#include <glean/platform.h>

#include "core/base/atomic.h"
#include "core/base/broken.h"

/** enum fence_form - who pays. */
enum fence_form {
	FENCE_BOTH, /* each side its own full fence */
	FENCE_ONE,  /* the harvester, for everybody */
	FENCE_GRACE /* so too; before he looks at words, marks under way end */
};

/** fence_is_heavy() - is the harvester's fence everybody's? */
static inline bool fence_is_heavy(enum fence_form form)
{
	return form != FENCE_BOTH;
}

/**
 * glni_fence_form() - the cheapest form the platform has; of those that make
 * harvests wait, none.
 */
enum fence_form glni_fence_form(void);

/** glni_fence_light() - mark's side. The caller names its sync tag. */
static inline void glni_fence_light(enum fence_form form)
{
	if (GLN_BREAK_NO_FENCE || fence_is_heavy(form))
		gln_fence_compiler();
	else
		gln_fence_seq_cst();
}

/** glni_fence_heavy() - harvest's side. The caller names its sync tag. */
void glni_fence_heavy(enum fence_form form);

/**
 * glni_fence_taken() - between a summary that was taken and its words: nothing,
 * a heavy fence or a grace period. The caller names its sync tag.
 */
void glni_fence_taken(enum fence_form form);

#endif
