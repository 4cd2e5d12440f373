/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.c - bitmaps read as fast as this CPU reads memory.
 */
#include "bench/suite/words.h"

#include <stdatomic.h>

/* Inlined into functions for each CPU: the compiler makes of it what it has. */
#define FOR_ANY_CPU __attribute__((always_inline)) static inline

/* As wide as the widest CPU's; narrower ones take two or four for it. */
typedef uint64_t vector __attribute__((vector_size(WORDS_ALIGN)));

enum {
	VECTOR_WORDS = sizeof(vector) / sizeof(uint64_t),
	/* Independent sums, so that no addition waits for another. */
	BLOCK_VECTORS = 4,
	BLOCK_WORDS = BLOCK_VECTORS * VECTOR_WORDS,
};

FOR_ANY_CPU uint64_t add_up(const vector *sum)
{
	uint64_t total = 0;

	for (size_t i = 0; i < VECTOR_WORDS; i++)
		total += (*sum)[i];
	return total;
}

FOR_ANY_CPU uint64_t sum_words(const uint64_t *words, size_t nr_words)
{
	const size_t nr_whole = nr_words / BLOCK_WORDS * BLOCK_WORDS;
	vector sums[BLOCK_VECTORS] = {{0}};
	uint64_t total = 0;

	for (size_t i = 0; i < nr_whole; i += BLOCK_WORDS) {
		const vector *const block = (const void *)&words[i];

		for (size_t j = 0; j < BLOCK_VECTORS; j++)
			sums[j] += block[j];
	}
	for (size_t j = 0; j < BLOCK_VECTORS; j++)
		total += add_up(&sums[j]);
	for (size_t i = nr_whole; i < nr_words; i++)
		total += words[i];
	return total;
}

FOR_ANY_CPU uint64_t count_bits(const uint64_t *words, size_t nr_words)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < nr_words; i++)
		nr += (uint64_t)__builtin_popcountll(words[i]);
	return nr;
}

FOR_ANY_CPU uint64_t count_words(const uint64_t *words, size_t nr_words)
{
	const size_t nr_whole = nr_words / BLOCK_WORDS * BLOCK_WORDS;
	uint64_t nr = 0;

	for (size_t i = 0; i < nr_whole; i += BLOCK_WORDS) {
		const vector *const block = (const void *)&words[i];
		const vector any = block[0] | block[1] | block[2] | block[3];
		uint64_t bits = 0;

		for (size_t j = 0; j < VECTOR_WORDS; j++)
			bits |= any[j];
		if (bits)
			nr += count_bits(&words[i], BLOCK_WORDS);
	}
	return nr + count_bits(&words[nr_whole], nr_words - nr_whole);
}

#if defined(__x86_64__)
#define WITH_AVX512 __attribute__((target("avx512f,popcnt")))
#define WITH_AVX2   __attribute__((target("avx2,popcnt")))

WITH_AVX512 static uint64_t sum_avx512(const uint64_t *words, size_t nr_words)
{
	return sum_words(words, nr_words);
}

WITH_AVX2 static uint64_t sum_avx2(const uint64_t *words, size_t nr_words)
{
	return sum_words(words, nr_words);
}

WITH_AVX512 static uint64_t count_avx512(const uint64_t *words, size_t nr_words)
{
	return count_words(words, nr_words);
}

WITH_AVX2 static uint64_t count_avx2(const uint64_t *words, size_t nr_words)
{
	return count_words(words, nr_words);
}

uint64_t words_sum(const uint64_t *words, size_t nr_words)
{
	if (__builtin_cpu_supports("avx512f"))
		return sum_avx512(words, nr_words);
	if (__builtin_cpu_supports("avx2"))
		return sum_avx2(words, nr_words);
	return sum_words(words, nr_words);
}

uint64_t words_count(const uint64_t *words, size_t nr_words)
{
	if (__builtin_cpu_supports("avx512f"))
		return count_avx512(words, nr_words);
	if (__builtin_cpu_supports("avx2"))
		return count_avx2(words, nr_words);
	return count_words(words, nr_words);
}
#else
uint64_t words_sum(const uint64_t *words, size_t nr_words)
{
	return sum_words(words, nr_words);
}

uint64_t words_count(const uint64_t *words, size_t nr_words)
{
	return count_words(words, nr_words);
}
#endif

void words_copy(uint64_t *to, const uint64_t *from, size_t nr_words)
{
	/* Atomic, so that no compiler makes memcpy() of it. */
	_Atomic uint64_t *at = (_Atomic uint64_t *)to;

	for (size_t i = 0; i < nr_words; i++)
		atomic_store_explicit(at++, from[i], memory_order_relaxed);
}
