/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_merge.c - shift words into place, count them, add them to a block.
 *
 * The text is one; what differs is how bits are counted and which vectors the
 * compiler may use. Loops go over the words of one line, so that it can.
 */
#include "core/bitmap/kernel_merge.h"

/* A hypervisor owns no vector registers, and links no libgcc to ask of them. */
#if defined(__x86_64__) && GLN_HOSTED
#include <immintrin.h>
#endif

typedef unsigned int (*count_fn)(uint64_t word);

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* The first page of a line is named: see what is marked there already. */
ALWAYS_INLINE void open_line(struct merge_block *block, unsigned int line)
{
	if (block->named >> line & 1)
		return;
	block->named |= UINT64_C(1) << line;
	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		/* Relaxed: for the count alone. */
		block->old[line][i] = gln_load_relaxed(
			&block->live[(line << LINE_WORD_SHIFT) + i]);
		block->bits[line][i] = 0;
	}
}

ALWAYS_INLINE void add_words(struct merge_block *block, unsigned int line,
			     const uint64_t words[LINE_WORDS],
			     struct merge_counts *counts, count_fn count)
{
	uint64_t any = 0, nr_set = 0, nr_new = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		any |= words[i];
	if (!any)
		return;

	open_line(block, line);
	uint64_t *const bits = block->bits[line];
	const uint64_t *const old = block->old[line];

	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		nr_set += count(words[i]);
		nr_new += count(words[i] & ~(bits[i] | old[i]));
		bits[i] |= words[i];
	}
	counts->nr_set += nr_set;
	counts->nr_new += nr_new;
}

/* The line whose first bit is bit @shift of the word at @from. */
ALWAYS_INLINE void shift_line(uint64_t words[LINE_WORDS],
			      const unsigned char *from, unsigned int shift,
			      bool is_big)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		const unsigned char *const at = from + i * GLN_WORD_BYTES;

		words[i] = word_load(at, is_big) >> shift |
			   word_load(at + GLN_WORD_BYTES, is_big)
				   << (GLN_WORD_BITS - shift);
	}
}

ALWAYS_INLINE void copy_line(uint64_t words[LINE_WORDS],
			     const unsigned char *from, bool is_big)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		words[i] = word_load(from + i * GLN_WORD_BYTES, is_big);
}

/*
 * Have what is read when this source's turn comes again fetched: the CPU's
 * prefetcher is late for that. Where there is work to do, a line at a time, so
 * that it goes on beside it.
 */
ALWAYS_INLINE void fetch_later(const unsigned char *line, unsigned int nr_lines)
{
	__builtin_prefetch(line + nr_lines * GLN_CACHE_LINE);
}

/*
 * Which of these lines may have something, one bit each. A pass of its own,
 * without branches, so that little costs little.
 */
ALWAYS_INLINE uint64_t look(const unsigned char *from, unsigned int nr_lines,
			    unsigned int shift)
{
	uint64_t lines = 0, words[LINE_WORDS];

	for (unsigned int i = 0; i < nr_lines; i++) {
		const unsigned char *const at = from + i * GLN_CACHE_LINE;

		copy_line(words, at, false);
		for (unsigned int j = 1; j < LINE_WORDS; j++)
			words[0] |= words[j];
		lines |= (uint64_t)(words[0] != 0) << i;
		fetch_later(at, nr_lines);
	}
	if (!shift)
		return lines;
	/* The end of a line is in the first word of the next. */
	words[0] = word_load(from + nr_lines * GLN_CACHE_LINE, false);
	return lines | lines >> 1 | (uint64_t)(words[0] != 0) << (nr_lines - 1);
}

ALWAYS_INLINE void add_order(struct merge_block *block, unsigned int line,
			     unsigned int nr_lines, const unsigned char *from,
			     unsigned int shift, bool is_big,
			     struct merge_counts *counts, count_fn count)
{
	uint64_t lines = look(from, nr_lines, shift);
	uint64_t words[LINE_WORDS];

	for (; lines; lines &= lines - 1) {
		const unsigned int i = gln_ctz64(lines);
		const unsigned char *const at = from + i * GLN_CACHE_LINE;

		if (shift)
			shift_line(words, at, shift, is_big);
		else
			copy_line(words, at, is_big);
		add_words(block, line + i, words, counts, count);
	}
}

ALWAYS_INLINE void add_lines(struct merge_block *block, unsigned int line,
			     unsigned int nr_lines, const unsigned char *from,
			     unsigned int shift, bool is_big,
			     struct merge_counts *counts, count_fn count)
{
	if (is_big)
		add_order(block, line, nr_lines, from, shift, true, counts,
			  count);
	else
		add_order(block, line, nr_lines, from, shift, false, counts,
			  count);
}

/*
 * KERNEL(name, attributes, count) - both functions of a kernel.
 */
#define KERNEL(name, attributes, count)                                       \
	attributes static void add_words_##name(                              \
		struct merge_block *block, unsigned int line,                 \
		const uint64_t *words, struct merge_counts *counts)           \
	{                                                                     \
		add_words(block, line, words, counts, count);                 \
	}                                                                     \
	attributes static void add_lines_##name(                              \
		struct merge_block *block, unsigned int line,                 \
		unsigned int nr_lines, const unsigned char *from,             \
		unsigned int shift, bool is_big, struct merge_counts *counts) \
	{                                                                     \
		add_lines(block, line, nr_lines, from, shift, is_big, counts, \
			  count);                                             \
	}

KERNEL(scalar, , gln_popcount64)

static bool always_usable(void)
{
	return true;
}

#if defined(__x86_64__) && GLN_HOSTED
#define POPCNT __attribute__((target("popcnt")))
#define AVX512                                                  \
	__attribute__((target("popcnt,prfchw,avx512f,avx512bw," \
			      "avx512vpopcntdq")))

ALWAYS_INLINE unsigned int count_builtin(uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

KERNEL(popcnt, POPCNT, count_builtin)

/* --- AVX-512: a line is a vector --- */

/* As open_line(). */
AVX512 static __m512i open_line_avx512(struct merge_block *block,
				       unsigned int line, __m512i words)
{
	gln_word *const live = &block->live[line << LINE_WORD_SHIFT];
	/* Relaxed, and word by word: for the count alone. */
#define NOW(i) ((long long)gln_load_relaxed(&live[i]))
	const __m512i old = _mm512_set_epi64(NOW(7), NOW(6), NOW(5), NOW(4),
					     NOW(3), NOW(2), NOW(1), NOW(0));
#undef NOW

	/* It will be written: have it for ourselves when it is. */
	if (_mm512_test_epi64_mask(_mm512_andnot_si512(old, words),
				   _mm512_set1_epi64(-1)))
		__builtin_prefetch((const void *)live, 1);
	block->named |= UINT64_C(1) << line;
	_mm512_storeu_si512(block->old[line], old);
	_mm512_storeu_si512(block->bits[line], _mm512_setzero_si512());
	return old;
}

/** struct sums - counts of one call, word by word of a line. */
struct sums {
	__m512i set;
	__m512i new;
};

/* False if there is nothing in it. */
AVX512 ALWAYS_INLINE bool add_line_avx512(struct merge_block *block,
					  unsigned int line,
					  const __m512i *words,
					  struct sums *sums)
{
	__m512i old, bits;

	if (!_mm512_test_epi64_mask(*words, *words))
		return false;
	if (block->named >> line & 1) {
		old = _mm512_loadu_si512(block->old[line]);
		bits = _mm512_loadu_si512(block->bits[line]);
	} else {
		old = open_line_avx512(block, line, *words);
		bits = _mm512_setzero_si512();
	}
	sums->set = _mm512_add_epi64(sums->set, _mm512_popcnt_epi64(*words));
	sums->new = _mm512_add_epi64(
		sums->new, _mm512_popcnt_epi64(_mm512_andnot_si512(
				   _mm512_or_si512(old, bits), *words)));
	_mm512_storeu_si512(block->bits[line], _mm512_or_si512(bits, *words));
	return true;
}

AVX512 ALWAYS_INLINE void end_sums(const struct sums *sums,
				   struct merge_counts *counts)
{
	counts->nr_set += (uint64_t)_mm512_reduce_add_epi64(sums->set);
	counts->nr_new += (uint64_t)_mm512_reduce_add_epi64(sums->new);
}

AVX512 static void add_words_avx512(struct merge_block *block,
				    unsigned int line, const uint64_t *words,
				    struct merge_counts *counts)
{
	const __m512i vector = _mm512_loadu_si512(words);
	struct sums sums = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	add_line_avx512(block, line, &vector, &sums);
	end_sums(&sums, counts);
}

/* As look(). */
AVX512 ALWAYS_INLINE uint64_t look_avx512(const unsigned char *from,
					  unsigned int nr_lines,
					  unsigned int shift)
{
	uint64_t lines = 0, next = 0;

	for (unsigned int i = 0; i < nr_lines; i++) {
		const unsigned char *const at = from + i * GLN_CACHE_LINE;
		const __m512i words = _mm512_loadu_si512(at);

		lines |= (uint64_t)(_mm512_test_epi64_mask(words, words) != 0)
			 << i;
	}
	if (!shift)
		return lines;
	next = word_load(from + nr_lines * GLN_CACHE_LINE, false) != 0;
	return lines | lines >> 1 | next << (nr_lines - 1);
}

/* The line at @from, in our byte order. */
AVX512 ALWAYS_INLINE __m512i load_avx512(const unsigned char *from, bool is_big)
{
	const __m512i words = _mm512_loadu_si512(from);

	if (!is_big)
		return words;
	return _mm512_shuffle_epi8(words,
				   _mm512_set4_epi32(0x08090a0b, 0x0c0d0e0f,
						     0x00010203, 0x04050607));
}

AVX512 static void add_lines_avx512(struct merge_block *block,
				    unsigned int line, unsigned int nr_lines,
				    const unsigned char *from,
				    unsigned int shift, bool is_big,
				    struct merge_counts *counts)
{
	const __m128i right = _mm_cvtsi32_si128((int)shift);
	const __m128i left = _mm_cvtsi32_si128(GLN_WORD_BITS - (int)shift);
	struct sums sums = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	const uint64_t all = gln_low_bits(nr_lines);
	uint64_t lines =
		counts->is_dense ? all : look_avx512(from, nr_lines, shift);
	const bool is_dense = lines == all;
	unsigned int nr_named = 0;

	if (!is_dense)
		for (unsigned int i = 0; i < nr_lines; i++)
			fetch_later(from + i * GLN_CACHE_LINE, nr_lines);
	if (!lines)
		return;
	for (; lines; lines &= lines - 1) {
		const unsigned int i = gln_ctz64(lines);
		const unsigned char *const at = from + i * GLN_CACHE_LINE;
		__m512i words = load_avx512(at, is_big);

		if (is_dense)
			fetch_later(at, nr_lines);
		if (shift)
			words = _mm512_or_si512(
				_mm512_srl_epi64(words, right),
				_mm512_sll_epi64(
					load_avx512(at + GLN_WORD_BYTES,
						    is_big),
					left));
		nr_named += add_line_avx512(block, line + i, &words, &sums);
	}
	counts->is_dense = nr_named == nr_lines;
	end_sums(&sums, counts);
}

static bool has_popcnt(void)
{
	return __builtin_cpu_supports("popcnt");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vpopcntdq");
}
#endif

static const struct merge_kernel kernels[] = {
	{"scalar", always_usable, add_words_scalar, add_lines_scalar},
#if defined(__x86_64__) && GLN_HOSTED
	{"popcnt", has_popcnt, add_words_popcnt, add_lines_popcnt},
	{"avx512", has_avx512, add_words_avx512, add_lines_avx512},
#endif
};

enum { NR_KERNELS = sizeof(kernels) / sizeof(kernels[0]) };

const struct merge_kernel *glni_merge_kernel(size_t i)
{
	return i < NR_KERNELS ? &kernels[i] : NULL;
}

const struct merge_kernel *glni_best_merge_kernel(void)
{
	size_t i = NR_KERNELS - 1;

	while (!kernels[i].is_usable())
		i--;

	return &kernels[i];
}
