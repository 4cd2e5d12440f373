/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seed_loop.c - the loops that others have, written plainly.
 */
#include "bench/suite/seed_loop.h"

#include <stdatomic.h>

/* Inlined into the functions below, to be compiled for either CPU. */
__attribute__((always_inline)) static inline uint64_t take_words(
	_Atomic uint64_t *live, uint64_t *out, size_t nr_words)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < nr_words; i++) {
		uint64_t mask = 0;

		if (atomic_load_explicit(&live[i], memory_order_relaxed)) {
			mask = atomic_exchange(&live[i], 0);
			nr += (uint64_t)__builtin_popcountll(mask);
		}
		out[i] = mask;
	}

	return nr;
}

__attribute__((always_inline)) static inline uint64_t take_every_word(
	_Atomic uint64_t *live, uint64_t *out, size_t nr_words)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < nr_words; i++) {
		/* What compilers make of an "and 0" whose result is used. */
		out[i] = atomic_exchange(&live[i], 0);
		nr += (uint64_t)__builtin_popcountll(out[i]);
	}

	return nr;
}

#if defined(__x86_64__)
/* Without the instruction a count is a call: not what is to be compared. */
__attribute__((target("popcnt"))) static uint64_t take_words_popcnt(
	_Atomic uint64_t *live, uint64_t *out, size_t nr_words)
{
	return take_words(live, out, nr_words);
}

__attribute__((target("popcnt"))) static uint64_t take_every_word_popcnt(
	_Atomic uint64_t *live, uint64_t *out, size_t nr_words)
{
	return take_every_word(live, out, nr_words);
}

uint64_t seed_loop(uint64_t *live, uint64_t *out, size_t nr_words)
{
	if (__builtin_cpu_supports("popcnt"))
		return take_words_popcnt((_Atomic uint64_t *)live, out,
					 nr_words);
	return take_words((_Atomic uint64_t *)live, out, nr_words);
}

uint64_t fetch_and_loop(uint64_t *live, uint64_t *out, size_t nr_words)
{
	if (__builtin_cpu_supports("popcnt"))
		return take_every_word_popcnt((_Atomic uint64_t *)live, out,
					      nr_words);
	return take_every_word((_Atomic uint64_t *)live, out, nr_words);
}
#else
uint64_t seed_loop(uint64_t *live, uint64_t *out, size_t nr_words)
{
	return take_words((_Atomic uint64_t *)live, out, nr_words);
}

uint64_t fetch_and_loop(uint64_t *live, uint64_t *out, size_t nr_words)
{
	return take_every_word((_Atomic uint64_t *)live, out, nr_words);
}
#endif
