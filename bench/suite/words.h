/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.h - bitmaps read as fast as this CPU reads memory, in vectors as wide
 * as it has: what no way to find dirty pages can beat.
 */
#ifndef BENCH_SUITE_WORDS_H
#define BENCH_SUITE_WORDS_H

#include <stddef.h>
#include <stdint.h>

/** Arrays here begin at such an address, and are as many bytes or a multiple:
 * suite_alloc() sees to both, and bitmaps of 512 pages or a multiple do.
 */
#define WORDS_ALIGN 64

/** words_sum() - read every word, and add them up. */
uint64_t words_sum(const uint64_t *words, size_t nr_words);

/** words_count() - bits set; zeroes are passed over at the speed of a read. */
uint64_t words_count(const uint64_t *words, size_t nr_words);

/**
 * words_copy() - store word by word, through the caches: what is stored stays
 * near, as it would be if vCPUs had just marked. memcpy() may go round them.
 */
void words_copy(uint64_t *to, const uint64_t *from, size_t nr_words);

#endif
