/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_x86.c - scan kernels of x86: popcnt, AVX2, AVX-512.
 */
#include "core/bitmap/kernel_lines.h"

#if KERNEL_X86

#include <cpuid.h>

#define WITH_POPCNT __attribute__((target("popcnt")))

WITH_POPCNT static inline unsigned int count_popcnt(uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

WITH_POPCNT static uint64_t take_lines_popcnt(struct bitmap *bm,
					      struct snapshot *snap,
					      uint64_t group,
					      struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_at_words, count_popcnt);
}

WITH_POPCNT static inline void count_line_popcnt(uint64_t *line, void *sums)
{
	add_line(line, sums, count_popcnt);
}

WITH_POPCNT static inline void drain_line_popcnt(uint64_t *line, void *sums)
{
	count_line_popcnt(line, sums);
	clear_line(line);
}

WITH_POPCNT static uint64_t count_spans_popcnt(const struct span *spans,
					       size_t nr_spans)
{
	uint64_t sums = 0;

	each_line(spans, nr_spans, count_line_popcnt, &sums);
	return sums;
}

WITH_POPCNT static uint64_t drain_spans_popcnt(const struct span *spans,
					       size_t nr_spans)
{
	uint64_t sums = 0;

	each_line(spans, nr_spans, drain_line_popcnt, &sums);
	return sums;
}

static uint64_t ones_popcnt(const uint64_t *words, uint64_t nr_words)
{
	return ones_by_line(words, nr_words);
}

/* Intel SDM vol. 2, CPUID leaf 1: ECX bit 23 is POPCNT; AMD has it there too.
 */
static bool has_popcnt(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_POPCNT);
}

const struct scan_kernel glni_kernel_popcnt = {
	.name = "popcnt",
	.is_usable = has_popcnt,
	.take_lines = take_lines_popcnt,
	.count = count_spans_popcnt,
	.drain = drain_spans_popcnt,
	.ones = ones_popcnt,
};

#endif

#if KERNEL_AVX

#include <immintrin.h>

#define WITH_AVX2   __attribute__((target("avx2,popcnt")))
#define WITH_AVX512 __attribute__((target("avx512f,avx512vpopcntdq,popcnt")))

enum { AVX2_WORDS = 4 };

/* XCR0, Intel SDM vol. 1, 13.3: registers that the kernel saves. */
enum {
	XCR0_AVX = 0x6,	    /* XMM and the upper halves of YMM */
	XCR0_AVX512 = 0xe6, /* those, mask registers, ZMM */
};

/* No intrinsic: that wants -mxsave, or all of this function built for it. */
static bool kernel_saves(uint32_t registers)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (eax & registers) == registers;
}

static bool has_avx2(void)
{
	unsigned int eax, ebx, ecx, edx;

	return has_popcnt() && kernel_saves(XCR0_AVX) &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
	       (ebx & bit_AVX2);
}

/*
 * With counting in vectors, which came after the first generations: those clock
 * down for a while when they see such vectors, and would lose by it.
 */
static bool has_avx512(void)
{
	unsigned int eax, ebx, ecx, edx;

	return has_popcnt() && kernel_saves(XCR0_AVX512) &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
	       (ebx & bit_AVX512F) && (ecx & bit_AVX512VPOPCNTDQ);
}

WITH_AVX2 static inline unsigned int count_avx2(uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

/* See look_fn: read at once what others may be writing. */
WITH_AVX2 static inline unsigned int look_avx2(const gln_word *line)
{
	const __m256i zero = _mm256_setzero_si256();
	unsigned int clear = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i += AVX2_WORDS) {
		const gln_word *const from = &line[i];
		__m256i words;

		__asm__ volatile("vmovdqu %1, %0"
				 : "=x"(words)
				 : "m"(*(const gln_word(*)[AVX2_WORDS])from));
		clear |= (unsigned int)_mm256_movemask_pd(_mm256_castsi256_pd(
				 _mm256_cmpeq_epi64(words, zero)))
			 << i;
	}

	return clear ^ ALL_WORDS;
}

WITH_AVX2 static uint64_t take_lines_avx2(struct bitmap *bm,
					  struct snapshot *snap, uint64_t group,
					  struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_avx2, count_avx2);
}

WITH_AVX2 static inline __m256i load_avx2(const uint64_t *words)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)words);
}

/*
 * Bits set in each byte, looked up by half bytes (W. Mula, N. Kurz, D. Lemire,
 * Faster Population Counts Using AVX2 Instructions, 2018).
 */
WITH_AVX2 static inline __m256i byte_counts(__m256i words)
{
	const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
						3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2,
						2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i nibble = _mm256_set1_epi8(0xf);
	const __m256i low = _mm256_and_si256(words, nibble);
	const __m256i high =
		_mm256_and_si256(_mm256_srli_epi16(words, 4), nibble);

	return _mm256_add_epi8(_mm256_shuffle_epi8(counts, low),
			       _mm256_shuffle_epi8(counts, high));
}

/* Bits set in a line, as four sums: a byte counts to 16 at most. */
WITH_AVX2 static inline __m256i line_counts(const uint64_t *line)
{
	const __m256i bytes =
		_mm256_add_epi8(byte_counts(load_avx2(line)),
				byte_counts(load_avx2(line + AVX2_WORDS)));

	return _mm256_sad_epu8(bytes, _mm256_setzero_si256());
}

WITH_AVX2 static inline uint64_t sum_avx2(__m256i sums)
{
	uint64_t sum[AVX2_WORDS];

	_mm256_storeu_si256((__m256i *)(void *)sum, sums);
	return sum[0] + sum[1] + sum[2] + sum[3];
}

WITH_AVX2 static inline void count_line_avx2(uint64_t *line, void *sums)
{
	__m256i *const to = sums;

	*to = _mm256_add_epi64(*to, line_counts(line));
}

WITH_AVX2 static inline void drain_line_avx2(uint64_t *line, void *sums)
{
	count_line_avx2(line, sums);
	clear_line(line);
}

WITH_AVX2 static uint64_t count_spans_avx2(const struct span *spans,
					   size_t nr_spans)
{
	__m256i sums = _mm256_setzero_si256();

	each_line(spans, nr_spans, count_line_avx2, &sums);
	return sum_avx2(sums);
}

WITH_AVX2 static uint64_t drain_spans_avx2(const struct span *spans,
					   size_t nr_spans)
{
	__m256i sums = _mm256_setzero_si256();

	each_line(spans, nr_spans, drain_line_avx2, &sums);
	return sum_avx2(sums);
}

WITH_AVX2 static uint64_t ones_avx2(const uint64_t *words, uint64_t nr_words)
{
	const __m256i ones = _mm256_set1_epi64x(-1);
	uint64_t nr = 0;

	for (; nr + LINE_WORDS <= nr_words; nr += LINE_WORDS) {
		const __m256i all =
			_mm256_and_si256(load_avx2(&words[nr]),
					 load_avx2(&words[nr + AVX2_WORDS]));

		if (!_mm256_testc_si256(all, ones))
			break;
	}

	return ones_from(words, nr, nr_words);
}

const struct scan_kernel glni_kernel_avx2 = {
	.name = "avx2",
	.is_usable = has_avx2,
	.take_lines = take_lines_avx2,
	.count = count_spans_avx2,
	.drain = drain_spans_avx2,
	.ones = ones_avx2,
};

WITH_AVX512 static inline unsigned int count_avx512(uint64_t word)
{
	return (unsigned int)__builtin_popcountll(word);
}

/* See look_fn: a line is one vector. */
WITH_AVX512 static inline unsigned int look_avx512(const gln_word *line)
{
	__m512i words;

	__asm__ volatile("vmovdqu64 %1, %0"
			 : "=v"(words)
			 : "m"(*(const gln_word(*)[LINE_WORDS])line));
	return _mm512_test_epi64_mask(words, words);
}

WITH_AVX512 static uint64_t take_lines_avx512(struct bitmap *bm,
					      struct snapshot *snap,
					      uint64_t group,
					      struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_avx512, count_avx512);
}

WITH_AVX512 static inline __m512i load_line(const uint64_t *line)
{
	return _mm512_loadu_si512(line);
}

WITH_AVX512 static inline void count_line_avx512(uint64_t *line, void *sums)
{
	__m512i *const to = sums;

	*to = _mm512_add_epi64(*to, _mm512_popcnt_epi64(load_line(line)));
}

WITH_AVX512 static inline void drain_line_avx512(uint64_t *line, void *sums)
{
	count_line_avx512(line, sums);
	clear_line(line);
}

WITH_AVX512 static uint64_t count_spans_avx512(const struct span *spans,
					       size_t nr_spans)
{
	__m512i sums = _mm512_setzero_si512();

	each_line(spans, nr_spans, count_line_avx512, &sums);
	return (uint64_t)_mm512_reduce_add_epi64(sums);
}

WITH_AVX512 static uint64_t drain_spans_avx512(const struct span *spans,
					       size_t nr_spans)
{
	__m512i sums = _mm512_setzero_si512();

	each_line(spans, nr_spans, drain_line_avx512, &sums);
	return (uint64_t)_mm512_reduce_add_epi64(sums);
}

WITH_AVX512 static uint64_t ones_avx512(const uint64_t *words,
					uint64_t nr_words)
{
	const __m512i ones = _mm512_set1_epi64(-1);
	uint64_t nr = 0;

	while (nr + LINE_WORDS <= nr_words &&
	       !_mm512_cmpneq_epi64_mask(load_line(&words[nr]), ones))
		nr += LINE_WORDS;

	return ones_from(words, nr, nr_words);
}

const struct scan_kernel glni_kernel_avx512 = {
	.name = "avx512",
	.is_usable = has_avx512,
	.take_lines = take_lines_avx512,
	.count = count_spans_avx512,
	.drain = drain_spans_avx512,
	.ones = ones_avx512,
};

#endif
