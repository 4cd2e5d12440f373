/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seed_loop.h - rivals of harvest: the get-and-clear loop that hypervisors have
 * had since 2014, and that of VMM libraries.
 */
#ifndef BENCH_SUITE_SEED_LOOP_H
#define BENCH_SUITE_SEED_LOOP_H

#include <stddef.h>
#include <stdint.h>

/**
 * seed_loop() - take the marks of @live into @out, and count them.
 *
 * For each word: zero test, exchange with 0, copy. Two things are better than
 * in the original, to the rival's advantage: @out need not be zeroed first,
 * for words without marks are written too, and counting costs nothing beside
 * the exchange.
 */
uint64_t seed_loop(uint64_t *live, uint64_t *out, size_t nr_words);

/**
 * fetch_and_loop() - the same, with an atomic on every word, set or not.
 *
 * VMM libraries return a vector: whoever times this allocates @out anew.
 */
uint64_t fetch_and_loop(uint64_t *live, uint64_t *out, size_t nr_words);

#endif
