/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.h - what the platform of this test saw, and what it pretends.
 */
#ifndef TESTS_FREESTANDING_PLATFORM_H
#define TESTS_FREESTANDING_PLATFORM_H

#include <glean/types.h>

/**
 * struct platform_counts - of the one CPU.
 *
 * @bytes_held:	allocated and not freed.
 * @sections:	read-side sections open.
 * @grace_periods: waits for them.
 * @now_ns:	the clock.
 * @has_heavy_fence: what gln_plat_heavy_fence() answers; set it beforehand.
 */
struct platform_counts {
	size_t bytes_held;
	uint64_t sections;
	uint64_t grace_periods;
	uint64_t now_ns;
	bool has_heavy_fence;
};

extern struct platform_counts platform;

void *memcpy(void *restrict dst, const void *restrict src, size_t bytes);
void *memmove(void *dst, const void *src, size_t bytes);
void *memset(void *dst, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

#endif
