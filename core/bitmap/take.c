/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * take.c - move marks from the live bitmap into a snapshot.
 *
 *   1  summary -> taken       exchange, top down; a clean slot ends here
 *   2  fence                  one for the whole take
 *   3  words of taken lines   exchange; lines found empty are dropped
 *   4  lines not reached      their summary bits go back
 *
 * From the top down here, from the words up in mark: a mark between 1
 * and 3 is taken now and leaves a summary bit behind that the next take finds
 * pointing at nothing (B2); a mark after 3 is the next take's.
 */
#include "core/bitmap/kernel.h"

#include "core/base/assert.h"

/* Bits of summary word @group that stand for lines [first, end). */
static uint64_t lines_in_range(uint64_t group, uint64_t first, uint64_t end)
{
	return bitmap_valid_bits(end, group) & ~bitmap_valid_bits(first, group);
}

/*
 * First word of the top level in [word, end) that is not 0, or end. A clean
 * slot is nothing but this loop.
 */
static uint64_t next_word(const gln_word *level, uint64_t word, uint64_t end)
{
	/* Relaxed: a mark that returned before we began is seen. */
	while (word < end && !gln_load_relaxed(&level[word]))
		word++;

	return word;
}

/* Lines of the bitmap below one bit of a level, as a shift. */
static unsigned int level_shift(unsigned int level)
{
	return level * LINE_SHIFT;
}

/*
 * The bits of @word of a level below which there is nothing but lines in
 * [first, end), where the bitmap ends after @nr_lines. Others stay (B2).
 */
static uint64_t uncut_bits(unsigned int level, uint64_t word, uint64_t first,
			   uint64_t end, uint64_t nr_lines)
{
	const unsigned int shift = level_shift(level);
	const uint64_t one = UINT64_C(1) << shift;
	const uint64_t stop =
		end == nr_lines ? gln_div_up(end, one) : end >> shift;

	return lines_in_range(word, gln_div_up(first, one), stop);
}

/** struct summary_take - step 1 under way, for lines [first, end). */
struct summary_take {
	struct bitmap *bm;
	struct snapshot *snap;
	uint64_t first;
	uint64_t end;
	uint64_t nr_lines;
	uint64_t any;
};

/* Clear bits of one word and return which were set, cut or not. */
static uint64_t take_summary_word(const struct summary_take *take,
				  unsigned int level, uint64_t word)
{
	const uint64_t one = UINT64_C(1) << level_shift(level);
	const uint64_t wanted =
		lines_in_range(word, take->first >> level_shift(level),
			       gln_div_up(take->end, one));

	/*
	 * sync take.1 (acq_rel) <-> mark.4, mark.7: what is behind each bit is
	 * set before we look at it. Under a bit that was set every word is
	 * changed, also where it is 0: a marker that skips a set bit must find
	 * that it is cleared (mark.7).
	 */
	return gln_fetch_and_acq_rel(&bitmap_level(take->bm, level)[word],
				     ~uncut_bits(level, word, take->first,
						 take->end, take->nr_lines)) &
	       wanted;
}

/* Words [word, end) of a level, and all below what is set in them. */
static void take_level(struct summary_take *take, unsigned int level,
		       uint64_t word, uint64_t end)
{
	const unsigned int shift = level_shift(level) + GLN_WORD_SHIFT;
	const uint64_t one = UINT64_C(1) << shift;

	word = gln_max(word, take->first >> shift);
	end = gln_min(end, gln_div_up(take->end, one));
	for (; word < end; word++) {
		uint64_t bits;

		if (level == take->bm->nr_upper)
			word = next_word(bitmap_level(take->bm, level), word,
					 end);
		if (word == end)
			return;
		bits = take_summary_word(take, level, word);
		if (!level) {
			take->snap->taken[word] |= bits;
			take->any |= bits;
			continue;
		}
		for (; bits; bits &= bits - 1) {
			const uint64_t below =
				word << GLN_WORD_SHIFT | gln_ctz64(bits);

			take_level(take, level - 1, below << LINE_WORD_SHIFT,
				   (below + 1) << LINE_WORD_SHIFT);
		}
	}
}

/* Step 1. False if no line of [first, end) may hold a mark. */
static bool take_summary(struct bitmap *bm, struct snapshot *snap,
			 uint64_t first, uint64_t end)
{
	struct summary_take take = {
		.bm = bm,
		.snap = snap,
		.first = first,
		.end = end,
		.nr_lines = gln_div_up(bm->nr_pages, LINE_PAGES),
	};

	take_level(&take, bm->nr_upper, 0, UINT64_MAX);
	return take.any != 0;
}

/* Step 4, for lines [first, end). */
static void put_back_summary(struct bitmap *bm, struct snapshot *snap,
			     uint64_t first, uint64_t end)
{
	uint64_t line = first;

	while ((line = glni_snapshot_next_line(snap, line, end)) < end) {
		snap->taken[line >> GLN_WORD_SHIFT] &=
			~(UINT64_C(1) << line % GLN_WORD_BITS);
		bitmap_summarise(bm, line++);
	}
}

uint64_t glni_bitmap_take_bits(struct bitmap *bm, struct snapshot *snap,
			       uint64_t word, uint64_t bits)
{
	const uint64_t line = word >> LINE_WORD_SHIFT;
	const uint64_t line_bit = UINT64_C(1) << line % GLN_WORD_BITS;
	uint64_t *const taken = &snap->taken[line >> GLN_WORD_SHIFT];

	/* sync take.5 (acq_rel) <- mark.3, mark.6: as take.3, for some of a
	 * word. */
	bits &= gln_fetch_and_acq_rel(&bm->words[word], ~bits);
	if (!bits)
		return 0;

	if (!(*taken & line_bit)) {
		for (unsigned int i = 0; i < LINE_WORDS; i++)
			snap->words[(line << LINE_WORD_SHIFT) + i] = 0;
		*taken |= line_bit;
	}
	gln_assert(!(snap->words[word] & bits));
	snap->words[word] |= bits;

	return bits;
}

/** struct walk - a take under way. */
struct walk {
	struct bitmap *bm;
	struct snapshot *snap;
	const struct take_limits *limits;
	struct take_result result;
	uint64_t next_line; /* lines from here on were not looked at */
};

static uint64_t room_left(const struct walk *walk)
{
	return walk->limits->max_pages - walk->result.nr_pages;
}

/*
 * Take one line with care: it is cut by the range, or by the budget. What stays
 * behind needs the summary bit, so it is set again after the words were looked
 * at: therefore plain loads are good enough here in every form (see take.2).
 */
static void take_cut_line(struct walk *walk, uint64_t line)
{
	const struct take_limits *const limits = walk->limits;
	const uint64_t first_word = line << LINE_WORD_SHIFT;

	walk->snap->taken[line >> GLN_WORD_SHIFT] &=
		~(UINT64_C(1) << line % GLN_WORD_BITS);

	for (uint64_t word = first_word;
	     word < first_word + LINE_WORDS && room_left(walk); word++) {
		const uint64_t wanted = bitmap_valid_bits(limits->end, word) &
					~bitmap_valid_bits(limits->first, word);
		const uint64_t set = gln_load_relaxed(&walk->bm->words[word]);
		const uint64_t some = gln_lowest_set(
			set & wanted, gln_min(room_left(walk), GLN_WORD_BITS));

		if (!some)
			continue;
		walk->result.nr_pages += gln_popcount64(glni_bitmap_take_bits(
			walk->bm, walk->snap, word, some));
		walk->result.next_page =
			(word << GLN_WORD_SHIFT) + gln_last_set(some) + 1;
	}
	if (room_left(walk))
		walk->result.next_page = (line + 1) << LINE_SHIFT;

	bitmap_summarise(walk->bm, line);
}

static bool is_cut(const struct walk *walk, uint64_t line)
{
	const struct take_limits *const limits = walk->limits;
	const uint64_t first = line << LINE_SHIFT;

	return first < limits->first || (first + LINE_PAGES > limits->end &&
					 limits->end < walk->bm->nr_pages);
}

/* Step 3, for those @lines of one summary word that are cut or may be. */
static void take_carefully(struct walk *walk, uint64_t group, uint64_t lines)
{
	for (; lines && room_left(walk); lines &= lines - 1) {
		const uint64_t line =
			group << GLN_WORD_SHIFT | gln_ctz64(lines);

		walk->next_line = line + 1;
		take_cut_line(walk, line);
	}
}

/*
 * Step 3, for the lines of one summary word: all at once through the kernel,
 * unless the range or the budget may end within them.
 */
static void take_group(struct walk *walk, uint64_t group, uint64_t wanted)
{
	uint64_t *const taken = &walk->snap->taken[group];
	const uint64_t lines = *taken & wanted;
	const uint64_t low = group << GLN_WORD_SHIFT;
	const uint64_t first = low + gln_ctz64(wanted);
	const uint64_t last = low + gln_last_set(wanted);
	const uint64_t most = (uint64_t)gln_popcount64(lines) << LINE_SHIFT;
	uint64_t kept = lines;

	if (most > room_left(walk) || is_cut(walk, first) ||
	    is_cut(walk, last)) {
		take_carefully(walk, group, lines);
		return;
	}

	walk->result.nr_pages += walk->bm->kernel->take_lines(
		walk->bm, walk->snap, group, &kept);
	*taken &= ~lines | kept;
	walk->next_line = last + 1;
	walk->result.next_page = (last + 1) << LINE_SHIFT;
}

static bool is_spent(const struct walk *walk)
{
	const uint64_t deadline = walk->limits->deadline_ns;

	return !room_left(walk) || (deadline && gln_plat_now_ns() >= deadline);
}

struct take_result glni_bitmap_take(struct bitmap *bm, struct snapshot *snap,
				    const struct take_limits *limits)
{
	const uint64_t end = gln_div_up(limits->end, LINE_PAGES);
	uint64_t line = limits->first >> LINE_SHIFT;
	struct walk walk = {.bm = bm, .snap = snap, .limits = limits};
	bool stopped = false;

	gln_assert(limits->first < limits->end && limits->max_pages > 0);
	gln_assert(limits->end <= bm->nr_pages);

	walk.next_line = line;
	if (!take_summary(bm, snap, line, end))
		goto out;

	/*
	 * sync take.2 (seq_cst) <-> mark.5: summary bits are cleared before
	 * words are looked at with plain loads. Else a marker sees its line
	 * summarised still while we see its word still 0, and the page is
	 * reported by no harvest until another marker happens by.
	 */
	if (bm->fence == FENCE_ONE)
		glni_fence_heavy(bm->fence);

	while (!stopped && (line = glni_snapshot_next_line(snap, walk.next_line,
							   end)) < end) {
		const uint64_t group = line >> GLN_WORD_SHIFT;

		take_group(&walk, group,
			   lines_in_range(group, walk.next_line, end));
		stopped = is_spent(&walk);
	}
	put_back_summary(bm, snap, walk.next_line, end);
out:
	if (!stopped)
		walk.result.next_page = limits->end;
	walk.result.next_page = gln_min(walk.result.next_page, limits->end);
	return walk.result;
}
