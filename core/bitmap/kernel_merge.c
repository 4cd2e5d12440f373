/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_merge.c - shift lines into place, count them, mark what is new.
 *
 * The text is one; what differs is how bits are counted and which vectors the
 * compiler may use. A line is a vector of the language: one of the CPU's where
 * these are so large, several where not, and words in a hypervisor.
 */
#include "core/bitmap/kernel_merge.h"

#if KERNEL_AVX
#include <immintrin.h>
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/*
 * Lines that are looked at before any of them is merged: so few that they stay
 * in L1, so many that the bitmap's words, which are fetched meanwhile, are here
 * when their turn comes.
 */
#define GROUP_LINES 16U
#define GROUP_BYTES ((size_t)GROUP_LINES * LINE_BYTES)

/*
 * Words of one line, as a vector or as many as the CPU needs for it. By pointer
 * only: how it is passed would depend on which vectors there are.
 */
typedef uint64_t line __attribute__((vector_size(LINE_BYTES)));

/**
 * struct vectors - what the language has no operator for.
 *
 * @count:	bits set in each word.
 * @find:	a bit for each word that is not 0.
 */
struct vectors {
	void (*count)(line *to, const line *from);
	unsigned int (*find)(const line *from);
};

/* Each word in the other byte order: halves, pairs, bytes change places. */
ALWAYS_INLINE void swap_bytes(line *words)
{
	const uint64_t pairs = UINT64_C(0x0000ffff0000ffff);
	const uint64_t bytes = UINT64_C(0x00ff00ff00ff00ff);
	line x = *words;

	x = x >> 32 | x << 32;
	x = (x >> 16 & pairs) | (x & pairs) << 16;
	*words = (x >> 8 & bytes) | (x & bytes) << 8;
}

/* By the compiler's own memcpy(), here and below: see word_load(). */
ALWAYS_INLINE void load_line(line *words, const unsigned char *from,
			     bool is_big)
{
	__builtin_memcpy(words, from, sizeof(*words));
	if (is_big != host_is_big())
		swap_bytes(words);
}

/* What a lane says of the line whose words begin at @from. */
ALWAYS_INLINE void shift_line(line *words, const struct merge_lane *lane,
			      const unsigned char *from)
{
	const unsigned int shift = lane->shift % GLN_WORD_BITS;
	line next;

	load_line(words, from, lane->is_big);
	if (!shift)
		return;
	load_line(&next, from + GLN_WORD_BYTES, lane->is_big);
	*words = *words >> shift | next << (GLN_WORD_BITS - shift);
}

/*
 * Have the line that is a group further on fetched: the CPU's own prefetcher is
 * late, since each source is left alone for a while. A number, for the source
 * may end before it.
 */
ALWAYS_INLINE void fetch_next(const struct merge_lane *lanes,
			      unsigned int nr_lanes, size_t skip)
{
	for (unsigned int i = 0; i < nr_lanes; i++)
		__builtin_prefetch((const void *)((uintptr_t)lanes[i].from +
						  skip + GROUP_BYTES));
}

/*
 * Does a lane say anything of the line that is @skip bytes in? No shifting, and
 * no byte order: bits of the line before and of the next may make it so.
 */
ALWAYS_INLINE bool has_any(const struct merge_lane *lanes,
			   unsigned int nr_lanes, size_t skip,
			   const struct vectors *vectors)
{
	line any = {0}, words;

	for (unsigned int i = 0; i < nr_lanes; i++) {
		const unsigned char *const from = lanes[i].from + skip;

		load_line(&words, from, host_is_big());
		any |= words;
		if (!lanes[i].shift)
			continue;
		load_line(&words, from + GLN_WORD_BYTES, host_is_big());
		any |= words;
	}

	return vectors->find(&any);
}

ALWAYS_INLINE void add_counts(uint64_t counts[LINE_WORDS], const line *bits,
			      const struct vectors *vectors)
{
	line nr, sum;

	vectors->count(&nr, bits);
	__builtin_memcpy(&sum, counts, sizeof(sum));
	sum += nr;
	__builtin_memcpy(counts, &sum, sizeof(sum));
}

/* Count a lane's words, and take those that are new out of @clear. */
ALWAYS_INLINE void count_line(struct merge_counts *counts, const line *words,
			      line *clear, const struct vectors *vectors)
{
	const line fresh = *words & *clear;

	add_counts(counts->nr_set, words, vectors);
	add_counts(counts->nr_new, &fresh, vectors);
	*clear &= ~*words;
}

/*
 * What is not marked in a line yet, now that the guest's bytes are written. In
 * one expression: a vector is slow to load where its words were just stored.
 */
ALWAYS_INLINE void look_at_line(line *clear, struct bitmap *bm, uint64_t word)
{
	bitmap_written(bm);
	*clear = (line){
		bitmap_look(bm, word, UINT64_MAX),
		bitmap_look(bm, word + 1, UINT64_MAX),
		bitmap_look(bm, word + 2, UINT64_MAX),
		bitmap_look(bm, word + 3, UINT64_MAX),
		bitmap_look(bm, word + 4, UINT64_MAX),
		bitmap_look(bm, word + 5, UINT64_MAX),
		bitmap_look(bm, word + 6, UINT64_MAX),
		bitmap_look(bm, word + 7, UINT64_MAX),
	};
}

/* Mark what is new in a line. */
ALWAYS_INLINE void mark_line(struct bitmap *bm, uint64_t word,
			     const line *fresh, const struct vectors *vectors)
{
	unsigned int wanting = vectors->find(fresh);
	uint64_t bits[LINE_WORDS];

	if (wanting)
		bitmap_to_mark(bm, word);
	else if (bitmap_is_quick(bm))
		return;
	__builtin_memcpy(bits, fresh, sizeof(bits));
	for (; wanting; wanting &= wanting - 1) {
		const unsigned int i = gln_ctz64(wanting);

		bitmap_set_bits(&bm->words[word + i], bits[i]);
	}
	bitmap_marked(bm, word);
}

/* Merge line @number of the bitmap, which is @skip bytes in. */
ALWAYS_INLINE void merge_line(struct bitmap *bm, uint64_t number,
			      const struct merge_lane *lanes,
			      unsigned int nr_lanes, size_t skip,
			      const struct vectors *vectors)
{
	const uint64_t word = number << LINE_WORD_SHIFT;
	line words[MERGE_LANES], any = {0}, clear;

	fetch_next(lanes, nr_lanes, skip);
	for (unsigned int i = 0; i < nr_lanes; i++) {
		shift_line(&words[i], &lanes[i], lanes[i].from + skip);
		any |= words[i];
	}
	if (!vectors->find(&any))
		return;

	/* All sources were read: G1. */
	look_at_line(&clear, bm, word);
	any &= clear;
	for (unsigned int i = 0; i < nr_lanes; i++)
		count_line(lanes[i].counts, &words[i], &clear, vectors);
	mark_line(bm, word, &any, vectors);
}

/*
 * Merge GROUP_LINES lines, or what is left of @lines, from the one that is
 * @skip lines in. The CPU's prefetcher does not see coming which lines of the
 * bitmap will be looked at, so they are fetched here, to be read: what is
 * marked already stays shared with those who mark.
 */
ALWAYS_INLINE void merge_group(struct bitmap *bm, struct merge_lines lines,
			       uint64_t skip, const struct merge_lane *lanes,
			       unsigned int nr_lanes,
			       const struct vectors *vectors)
{
	const uint64_t end = gln_min(lines.nr, skip + GROUP_LINES);
	unsigned int busy = 0;

	for (uint64_t i = skip; i < end; i++) {
		const uint64_t word = (lines.first + i) << LINE_WORD_SHIFT;

		if (!has_any(lanes, nr_lanes, (size_t)i * LINE_BYTES,
			     vectors)) {
			fetch_next(lanes, nr_lanes, (size_t)i * LINE_BYTES);
			continue;
		}
		busy |= 1U << (i - skip);
		__builtin_prefetch((const void *)&bm->words[word]);
	}
	for (; busy; busy &= busy - 1) {
		const uint64_t i = skip + gln_ctz64(busy);

		merge_line(bm, lines.first + i, lanes, nr_lanes,
			   (size_t)i * LINE_BYTES, vectors);
	}
}

ALWAYS_INLINE void merge_lines(struct bitmap *bm, struct merge_lines lines,
			       const struct merge_lane *lanes,
			       unsigned int nr_lanes,
			       const struct vectors *vectors)
{
	for (uint64_t skip = 0; skip < lines.nr; skip += GROUP_LINES)
		merge_group(bm, lines, skip, lanes, nr_lanes, vectors);
}

/* --- kernels --- */

static inline void count_scalar(line *to, const line *from)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		(*to)[i] = gln_popcount64((*from)[i]);
}

static inline unsigned int find_scalar(const line *from)
{
	unsigned int found = 0;

	/* Without branches: which words it is nobody can predict. */
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		found |= (unsigned int)((*from)[i] != 0) << i;

	return found;
}

static void merge_scalar(struct bitmap *bm, struct merge_lines lines,
			 const struct merge_lane *lanes, unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_scalar, find_scalar};

	merge_lines(bm, lines, lanes, nr_lanes, &vectors);
}

#if KERNEL_X86
#define POPCNT __attribute__((target("popcnt")))

POPCNT static inline void count_popcnt(line *to, const line *from)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		(*to)[i] = (uint64_t)__builtin_popcountll((*from)[i]);
}

POPCNT static void merge_popcnt(struct bitmap *bm, struct merge_lines lines,
				const struct merge_lane *lanes,
				unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_popcnt, find_scalar};

	merge_lines(bm, lines, lanes, nr_lanes, &vectors);
}

#endif

#if KERNEL_AVX
#define AVX2   __attribute__((target("popcnt,avx2")))
#define AVX512 __attribute__((target("popcnt,avx512f,avx512vpopcntdq")))

AVX2 static inline unsigned int find_avx2(const line *from)
{
	const __m256i *const halves = (const __m256i *)from;
	const __m256i none = _mm256_setzero_si256();
	const __m256d low =
		_mm256_castsi256_pd(_mm256_cmpeq_epi64(halves[0], none));
	const __m256d high =
		_mm256_castsi256_pd(_mm256_cmpeq_epi64(halves[1], none));

	return 0xffU ^
	       (unsigned int)(_mm256_movemask_pd(low) |
			      _mm256_movemask_pd(high) << LINE_WORDS / 2);
}

AVX2 static void merge_avx2(struct bitmap *bm, struct merge_lines lines,
			    const struct merge_lane *lanes,
			    unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_popcnt, find_avx2};

	merge_lines(bm, lines, lanes, nr_lanes, &vectors);
}

/* Here a line is one vector, whose words one instruction counts. */
AVX512 static inline void count_avx512(line *to, const line *from)
{
	*to = (line)_mm512_popcnt_epi64((__m512i)*from);
}

AVX512 static inline unsigned int find_avx512(const line *from)
{
	return _mm512_test_epi64_mask((__m512i)*from, (__m512i)*from);
}

AVX512 static void merge_avx512(struct bitmap *bm, struct merge_lines lines,
				const struct merge_lane *lanes,
				unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_avx512, find_avx512};

	merge_lines(bm, lines, lanes, nr_lanes, &vectors);
}

#endif

static const struct merge_kernel {
	const struct scan_kernel *kernel;
	merge_fn merge;
} kernels[] = {
#if KERNEL_X86
	{&glni_kernel_popcnt, merge_popcnt},
#endif
#if KERNEL_AVX
	{&glni_kernel_avx2, merge_avx2},
	{&glni_kernel_avx512, merge_avx512},
#endif
	{NULL, merge_scalar},
};

merge_fn glni_merge_kernel(const struct scan_kernel *kernel)
{
	size_t i = 0;

	while (kernels[i].kernel && kernels[i].kernel != kernel)
		i++;

	return kernels[i].merge;
}
