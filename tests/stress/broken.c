/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * broken.c - the environment's STRESS_BREAK says how the library under a stress
 * test is broken: a name of the table below, see core/base/broken.h. Part of
 * the programs that are linked with a library that can be.
 */
#include "core/base/broken.h"

#include "tests/support/stress_frame.h"

#include <stdlib.h>
#include <string.h>

/* Before main(), which may make a VM at once. */
__attribute__((constructor)) static void break_library(void)
{
	static const struct {
		const char *name;
		enum glni_break how;
	} breaks[] = {
		{"early_c", GLNI_BREAK_EARLY_C},
		{"keep_rmap", GLNI_BREAK_KEEP_RMAP},
		/* The test itself does: see its --mark-first. */
		{"mark_first", GLNI_BREAK_NONE},
		{"no_fence", GLNI_BREAK_NO_FENCE},
		{"no_flush", GLNI_BREAK_SKIP_FLUSH},
		{"no_grace", GLNI_BREAK_NO_GRACE},
		{"no_protect", GLNI_BREAK_NO_PROTECT},
		{"no_put_back", GLNI_BREAK_NO_PUT_BACK},
		{"publish_first", GLNI_BREAK_PUBLISH_FIRST},
		{"summary_first", GLNI_BREAK_SUMMARY_FIRST},
		{"summary_last", GLNI_BREAK_SUMMARY_LAST},
	};
	const char *const name = getenv("STRESS_BREAK");

	for (size_t i = 0; name && i < ARRAY_SIZE(breaks); i++)
		if (!strcmp(name, breaks[i].name)) {
			glni_broken = (int)breaks[i].how;
			return;
		}

	stress_fail("STRESS_BREAK names no way to break the library: %s",
		    name ? name : "(unset)");
}
