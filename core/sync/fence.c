/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fence.c - the heavy half of the pair, and the choice of form.
 */
#include "core/sync/fence.h"

#include "core/sync/rcu.h"

enum fence_form glni_fence_form(void)
{
	return gln_plat_heavy_fence() ? FENCE_ONE : FENCE_BOTH;
}

void glni_fence_heavy(enum fence_form form)
{
	if (GLN_BREAK_NO_FENCE)
		return;
	if (fence_is_heavy(form))
		gln_plat_heavy_fence();
	/* sync fence.1 (seq_cst) <-> fence.1: see the caller's tag. */
	gln_fence_seq_cst();
}

void glni_fence_taken(enum fence_form form)
{
	if (form == FENCE_GRACE && !GLN_BREAK_NO_GRACE)
		glni_synchronize();
	else if (fence_is_heavy(form))
		glni_fence_heavy(form);
}
