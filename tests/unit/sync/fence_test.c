/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fence_test.c - the choice of form. That the fences order anything is shown by
 * tests/stress, with and without them.
 */
#include "core/sync/fence.h"

#include "tests/unit/require.h"

Test(fence, the_form_is_what_the_platform_has)
{
	const enum fence_form want =
		gln_plat_heavy_fence() ? FENCE_ONE : FENCE_BOTH;

	cr_assert_eq(glni_fence_form(), want);
}

Test(fence, a_platform_that_has_a_heavy_fence_keeps_it)
{
	const bool has_one = gln_plat_heavy_fence();

	for (unsigned int i = 0; i < 1000; i++)
		require(gln_plat_heavy_fence() == has_one, "call %u", i);
}

Test(fence, either_side_of_either_form_returns)
{
	glni_fence_light(FENCE_BOTH);
	glni_fence_light(FENCE_ONE);
	glni_fence_heavy(FENCE_BOTH);
	glni_fence_heavy(FENCE_ONE);
}
