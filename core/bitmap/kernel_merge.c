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
#define FULL_GROUP  ((1U << GROUP_LINES) - 1)
#define GROUP_BYTES ((size_t)GROUP_LINES * LINE_BYTES)

/* Lines that are merged at once: what all lanes say of them is on the stack. */
#define BATCH_LINES 4U

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

/*
 * What a lane says of the line whose words begin at @from. Stored when it is
 * ready: the compiler must assume that a store changes what @from points to.
 */
ALWAYS_INLINE void shift_line(line *words, const struct merge_lane *lane,
			      const unsigned char *from)
{
	const unsigned int shift = lane->shift % GLN_WORD_BITS;
	line here, next;

	load_line(&here, from, lane->is_big);
	if (shift) {
		load_line(&next, from + GLN_WORD_BYTES, lane->is_big);
		here = here >> shift | next << (GLN_WORD_BITS - shift);
	}
	*words = here;
}

/** struct lanes - those of a call. */
struct lanes {
	const struct merge_lane *lane;
	unsigned int nr;
};

/**
 * struct group - lines [@first, @first + @nr) of the bitmap, which lie under
 * one word of the summary, and begin @skip bytes into each lane.
 */
struct group {
	uint64_t first;
	unsigned int nr;
	size_t skip;
};

/*
 * Have the line that is a group further on fetched: the CPU's own prefetcher is
 * late, since each source is left alone for a while. By number, for the source
 * may end before it.
 */
ALWAYS_INLINE void fetch_next(const unsigned char *from)
{
	__builtin_prefetch((const void *)((uintptr_t)from + GROUP_BYTES));
}

/*
 * OR into each of @nr lines of @any what is where a lane has them, from @from
 * on: no shifting, and no byte order. Bits of the line before and of the next
 * may be among it.
 */
ALWAYS_INLINE void skim_lane(line *any, unsigned int nr,
			     const struct merge_lane *lane,
			     const unsigned char *from)
{
	line words;

	for (unsigned int i = 0; i < nr; i++, from += LINE_BYTES) {
		fetch_next(from);
		load_line(&words, from, host_is_big());
		any[i] |= words;
		if (!lane->shift)
			continue;
		load_line(&words, from + GLN_WORD_BYTES, host_is_big());
		any[i] |= words;
	}
}

/*
 * Which of @nr lines, BATCH_LINES at most, does any lane say something of? Some
 * of the answer may be wrong, where a lane is shifted.
 */
ALWAYS_INLINE unsigned int skim_lines(const struct lanes *lanes, size_t skip,
				      unsigned int nr,
				      const struct vectors *vectors)
{
	line any[BATCH_LINES] = {{0}};
	unsigned int busy = 0;

	for (unsigned int i = 0; i < lanes->nr; i++)
		skim_lane(any, nr, &lanes->lane[i], lanes->lane[i].from + skip);
	for (unsigned int i = 0; i < nr; i++)
		busy |= (unsigned int)(vectors->find(&any[i]) != 0) << i;

	return busy;
}

/**
 * struct batch - lines that are merged together: all sources are read first.
 *
 * @nr:		how many.
 * @at:		which line of the group each is.
 * @words:	what each lane says of it,
 * @fresh:	and what of that is new.
 */
struct batch {
	unsigned int nr;
	unsigned char at[BATCH_LINES];
	line words[MERGE_LANES][BATCH_LINES];
	line fresh[BATCH_LINES];
};

/* Take the next lines out of @busy. */
ALWAYS_INLINE unsigned int take_batch(struct batch *batch, unsigned int busy)
{
	for (batch->nr = 0; busy && batch->nr < BATCH_LINES; busy &= busy - 1)
		batch->at[batch->nr++] = (unsigned char)gln_ctz64(busy);

	return busy;
}

/*
 * Read what one lane says of all lines, and count it. What comes next is
 * fetched here once more, for groups that nobody skimmed: one line at a time,
 * since a CPU has few places for lines on their way, and whoever waits for one
 * of these waits for all before it.
 */
ALWAYS_INLINE void read_lane(struct batch *batch, const struct merge_lane *lane,
			     line *words, const unsigned char *from,
			     const struct vectors *vectors)
{
	const unsigned int nr_lines = batch->nr;
	line here, nr, sum;

	__builtin_memcpy(&sum, lane->counts->nr_set, sizeof(sum));
	for (unsigned int i = 0; i < nr_lines; i++) {
		fetch_next(from + (size_t)batch->at[i] * LINE_BYTES);
		shift_line(&here, lane,
			   from + (size_t)batch->at[i] * LINE_BYTES);
		words[i] = here;
		vectors->count(&nr, &here);
		sum += nr;
	}
	__builtin_memcpy(lane->counts->nr_set, &sum, sizeof(sum));
}

/* What all lanes say of line @i. */
ALWAYS_INLINE void join_lanes(line *any, const struct batch *batch,
			      unsigned int i, unsigned int nr_lanes)
{
	line sum = batch->words[0][i];

	for (unsigned int j = 1; j < nr_lanes; j++)
		sum |= batch->words[j][i];
	*any = sum;
}

/* Count what is new, for the first lane that names it. */
ALWAYS_INLINE void count_new(const struct batch *batch,
			     const struct lanes *lanes,
			     const struct vectors *vectors)
{
	line left[BATCH_LINES], any = {0};

	for (unsigned int i = 0; i < batch->nr; i++) {
		left[i] = batch->fresh[i];
		any |= left[i];
	}
	for (unsigned int j = 0; j < lanes->nr && vectors->find(&any); j++) {
		uint64_t *const counts = lanes->lane[j].counts->nr_new;
		line bits, nr, sum;

		__builtin_memcpy(&sum, counts, sizeof(sum));
		any = (line){0};
		for (unsigned int i = 0; i < batch->nr; i++) {
			bits = batch->words[j][i] & left[i];
			left[i] ^= bits;
			any |= left[i];
			vectors->count(&nr, &bits);
			sum += nr;
		}
		__builtin_memcpy(counts, &sum, sizeof(sum));
	}
}

/* --- into the live bitmap --- */

/* What is not marked in a line yet. */
ALWAYS_INLINE void look_at_line(line *clear, struct bitmap *bm, uint64_t word)
{
	/* At once: a vector is slow to load where its words were just stored.
	 */
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

/*
 * Mark what is new in a line. An atomic OR a word: who sets one bit of it does
 * so at any time, and who takes it too.
 */
ALWAYS_INLINE void mark_line(struct bitmap *bm, uint64_t word,
			     const line *fresh, const struct vectors *vectors)
{
	unsigned int wanting = vectors->find(fresh);
	uint64_t bits[LINE_WORDS];

	if (!wanting)
		return;
	bitmap_to_mark(bm, word);
	__builtin_memcpy(bits, fresh, sizeof(bits));
	for (; wanting; wanting &= wanting - 1) {
		const unsigned int i = gln_ctz64(wanting);

		bitmap_set_bits(&bm->words[word + i], bits[i]);
	}
}

/*
 * Mark what a batch says. Returns the lines of which anything was said, a bit
 * each: what is above them is the caller's.
 */
ALWAYS_INLINE unsigned int mark_batch(struct batch *batch, struct bitmap *marks,
				      uint64_t first, const struct lanes *lanes,
				      const struct vectors *vectors)
{
	unsigned int said = 0;
	line any;

	/* All sources of these lines were read: G1. */
	bitmap_written(marks);
	for (unsigned int i = 0; i < batch->nr; i++) {
		join_lanes(&any, batch, i, lanes->nr);
		batch->fresh[i] = any;
		if (!vectors->find(&any))
			continue;
		said |= 1U << batch->at[i];
		look_at_line(&any, marks,
			     (first + batch->at[i]) << LINE_WORD_SHIFT);
		batch->fresh[i] &= any;
	}
	count_new(batch, lanes, vectors);
	for (unsigned int i = 0; i < batch->nr; i++)
		mark_line(marks, (first + batch->at[i]) << LINE_WORD_SHIFT,
			  &batch->fresh[i], vectors);

	return said;
}

/* --- into a snapshot --- */

/* The same there, where lines @taken hold something. */
ALWAYS_INLINE unsigned int add_batch(struct batch *batch, uint64_t *words,
				     uint64_t taken, const struct lanes *lanes,
				     const struct vectors *vectors)
{
	unsigned int said = 0;

	for (unsigned int i = 0; i < batch->nr; i++) {
		uint64_t *const to =
			&words[(size_t)batch->at[i] << LINE_WORD_SHIFT];
		line any, old = {0};

		join_lanes(&any, batch, i, lanes->nr);
		batch->fresh[i] = any;
		if (!vectors->find(&any))
			continue;
		said |= 1U << batch->at[i];
		if (taken >> batch->at[i] & 1)
			__builtin_memcpy(&old, to, sizeof(old));
		batch->fresh[i] = any & ~old;
		old |= any;
		__builtin_memcpy(to, &old, sizeof(old));
	}
	count_new(batch, lanes, vectors);

	return said;
}

/* --- groups --- */

/*
 * The CPU's prefetcher does not see coming which lines of the bitmap will be
 * looked at, so they are fetched here; live ones to be read: what is marked
 * already stays shared with those who mark.
 */
ALWAYS_INLINE void fetch_lines(const struct merge_to *to, uint64_t first,
			       unsigned int lines)
{
	for (; lines; lines &= lines - 1) {
		const uint64_t word = (first + gln_ctz64(lines))
				      << LINE_WORD_SHIFT;

		if (to->snap)
			gln_fetch_to_write(&to->snap->words[word]);
		else
			__builtin_prefetch(
				(const void *)&to->marks->words[word]);
	}
}

/* Which lines of a group does any lane say something of? */
ALWAYS_INLINE unsigned int skim_group(const struct group *group,
				      const struct lanes *lanes,
				      const struct vectors *vectors)
{
	unsigned int busy = 0, i = 0;
	size_t skip = group->skip;

	/* A constant number of lines at a time is kept in registers. */
	for (; i + BATCH_LINES <= group->nr; i += BATCH_LINES) {
		busy |= skim_lines(lanes, skip, BATCH_LINES, vectors) << i;
		skip += BATCH_LINES * (size_t)LINE_BYTES;
	}
	for (; i < group->nr; i++, skip += LINE_BYTES)
		busy |= skim_lines(lanes, skip, 1, vectors) << i;

	return busy;
}

/* All lines of a group, a bit each. */
ALWAYS_INLINE unsigned int all_lines(const struct group *group)
{
	return (1U << group->nr) - 1;
}

/* Merge those lines of a group that are @busy. Returns which really are. */
ALWAYS_INLINE unsigned int merge_group(const struct merge_to *to,
				       const struct group *group,
				       unsigned int busy,
				       const struct lanes *lanes,
				       const struct vectors *vectors)
{
	const uint64_t in_summary = group->first >> GLN_WORD_SHIFT;
	const unsigned int at = group->first % GLN_WORD_BITS;
	struct snapshot *const snap = to->snap;
	unsigned int said = 0;
	struct batch batch;

	while (busy) {
		busy = take_batch(&batch, busy);
		for (unsigned int i = 0; i < lanes->nr; i++)
			read_lane(&batch, &lanes->lane[i], batch.words[i],
				  lanes->lane[i].from + group->skip, vectors);
		if (snap)
			said |= add_batch(
				&batch,
				&snap->words[group->first << LINE_WORD_SHIFT],
				snap->taken[in_summary] >> at, lanes, vectors);
		else
			said |= mark_batch(&batch, to->marks, group->first,
					   lanes, vectors);
	}
	if (!said)
		return 0;
	if (snap)
		snap->taken[in_summary] |= (uint64_t)said << at;
	else
		bitmap_group_marked(to->marks, in_summary,
				    (uint64_t)said << at);
	return said;
}

/* The group behind @group, of those that are left of @lines; perhaps empty. */
ALWAYS_INLINE struct group next_group(const struct group *group,
				      struct merge_lines lines)
{
	const uint64_t first = group->first + group->nr;
	const uint64_t left = lines.first + lines.nr - first;

	return (struct group){
		.first = first,
		.nr = (unsigned int)gln_min(left,
					    GROUP_LINES - first % GROUP_LINES),
		.skip = group->skip + (size_t)group->nr * LINE_BYTES,
	};
}

/*
 * Before a group is merged the next one is skimmed, so that what it needs of
 * the bitmap is on its way. Not behind a group of which every line was busy:
 * there the next is taken for such a one too.
 */
ALWAYS_INLINE void merge_lines(const struct merge_to *to,
			       struct merge_lines lines,
			       const struct lanes *lanes,
			       const struct vectors *vectors)
{
	struct group next = {.first = lines.first};
	unsigned int said = 0, next_busy = 0;

	do {
		const struct group group = next;
		const unsigned int busy = next_busy;
		const bool is_dense = said == FULL_GROUP;

		next = next_group(&group, lines);
		next_busy = is_dense ? all_lines(&next)
				     : skim_group(&next, lanes, vectors);
		fetch_lines(to, next.first, next_busy);
		said = merge_group(to, &group, busy, lanes, vectors);
	} while (next.nr);
}

/* --- kernels --- */

static inline void count_scalar(line *to, const line *from)
{
	line nr = {0};

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		nr[i] = gln_popcount64((*from)[i]);
	*to = nr;
}

static inline unsigned int find_scalar(const line *from)
{
	unsigned int found = 0;

	/* Without branches: which words it is nobody can predict. */
	for (unsigned int i = 0; i < LINE_WORDS; i++)
		found |= (unsigned int)((*from)[i] != 0) << i;

	return found;
}

static void merge_scalar(const struct merge_to *to, struct merge_lines lines,
			 const struct merge_lane *lanes, unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_scalar, find_scalar};

	const struct lanes all = {lanes, nr_lanes};

	merge_lines(to, lines, &all, &vectors);
}

#if KERNEL_X86
#define POPCNT __attribute__((target("popcnt")))

POPCNT static inline void count_popcnt(line *to, const line *from)
{
	line nr = {0};

	for (unsigned int i = 0; i < LINE_WORDS; i++)
		nr[i] = (uint64_t)__builtin_popcountll((*from)[i]);
	*to = nr;
}

POPCNT static void merge_popcnt(const struct merge_to *to,
				struct merge_lines lines,
				const struct merge_lane *lanes,
				unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_popcnt, find_scalar};

	const struct lanes all = {lanes, nr_lanes};

	merge_lines(to, lines, &all, &vectors);
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

AVX2 static void merge_avx2(const struct merge_to *to, struct merge_lines lines,
			    const struct merge_lane *lanes,
			    unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_popcnt, find_avx2};

	const struct lanes all = {lanes, nr_lanes};

	merge_lines(to, lines, &all, &vectors);
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

AVX512 static void merge_avx512(const struct merge_to *to,
				struct merge_lines lines,
				const struct merge_lane *lanes,
				unsigned int nr_lanes)
{
	static const struct vectors vectors = {count_avx512, find_avx512};

	const struct lanes all = {lanes, nr_lanes};

	merge_lines(to, lines, &all, &vectors);
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
