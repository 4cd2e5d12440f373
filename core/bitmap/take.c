/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * take.c - move marks from the live bitmap into a snapshot.
 *
 *   1  summary -> taken       exchange, top down; a clean slot ends here
 *   2  fence                  one for the whole take
 *   3  words of taken lines   exchange; lines found empty are dropped
 *   4  lines not reached      their summary bits go back
 *
 * Under a budget these are done in rounds, each for no more lines than may be
 * needed: what a take costs follows its budget, not what is dirty.
 *
 * From the top down here, from the words up in mark: a mark between 1
 * and 3 is taken now and leaves a summary bit behind that the next take finds
 * pointing at nothing (B2); a mark after 3 is the next take's.
 */
#include "core/bitmap/kernel.h"

#include "core/base/assert.h"
#include "core/base/memory.h"

enum {
	/* Lines on their way from memory: misses worth overlapping. */
	FETCH_LINES = 32,
	/* Lines of a round that may end at any time: 10 us to put back. */
	DEADLINE_LINES = 512,
};

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
	uint64_t nr_atomics;
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
	 * sync take.1 (acq_rel) <-> mark.4, mark.7, mark.8: what is behind each
	 * bit is set before we look at it. Under a bit that was set every word
	 * is changed, also where it is 0: a marker that skips a set bit must
	 * find that it is cleared (mark.7).
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
		take->nr_atomics++;
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

/*
 * Step 1. False if no line of [first, end) may hold a mark. Adds the words it
 * exchanged to *@nr_atomics.
 */
static bool take_summary(struct bitmap *bm, struct snapshot *snap,
			 uint64_t first, uint64_t end, uint64_t *nr_atomics)
{
	struct summary_take take = {
		.bm = bm,
		.snap = snap,
		.first = first,
		.end = end,
		.nr_lines = gln_div_up(bm->nr_pages, LINE_PAGES),
	};

	take_level(&take, bm->nr_upper, 0, UINT64_MAX);
	*nr_atomics += take.nr_atomics;
	return take.any != 0;
}

/* Step 4, for lines [first, end). Returns how many. */
static uint64_t put_back_summary(struct bitmap *bm, struct snapshot *snap,
				 uint64_t first, uint64_t end)
{
	uint64_t line = first, nr = 0;

	while ((line = glni_snapshot_next_line(snap, line, end)) < end) {
		snap->taken[line >> GLN_WORD_SHIFT] &=
			~(UINT64_C(1) << line % GLN_WORD_BITS);
		bitmap_summarise(bm, line++);
		nr++;
	}

	return nr;
}

uint64_t glni_bitmap_take_bits(struct bitmap *bm, struct snapshot *snap,
			       uint64_t word, uint64_t bits)
{
	/* sync take.5 (acq_rel) <- mark.3, mark.6: as take.3, for some of a
	 * word. */
	bits &= gln_fetch_and_acq_rel(&bm->words[word], ~bits);
	if (!bits)
		return 0;

	snapshot_open_line(snap, word >> LINE_WORD_SHIFT);
	gln_assert(!(snap->words[word] & bits));
	snap->words[word] |= bits;

	return bits;
}

/**
 * struct walk - a take under way.
 *
 * @next_line:	lines from here on were not looked at.
 * @next_fetch:	lines of summary words from here on were not fetched.
 * @nr_fetched:	lines that were, and that were not looked at.
 */
struct walk {
	struct bitmap *bm;
	struct snapshot *snap;
	const struct take_limits *limits;
	struct take_result result;
	uint64_t next_line;
	uint64_t next_fetch;
	uint64_t nr_fetched;
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
		walk->result.nr_atomics++;
		walk->result.next_page =
			(word << GLN_WORD_SHIFT) + gln_last_set(some) + 1;
	}
	if (room_left(walk))
		walk->result.next_page = (line + 1) << LINE_SHIFT;
	walk->result.nr_looked++;

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
	struct line_take take = {.lines = lines};

	walk->nr_fetched -= gln_min(walk->nr_fetched, gln_popcount64(lines));
	if (most > room_left(walk) || is_cut(walk, first) ||
	    is_cut(walk, last)) {
		take_carefully(walk, group, lines);
		return;
	}

	walk->result.nr_pages += walk->bm->kernel->take_lines(
		walk->bm, walk->snap, group, &take);
	*taken &= ~lines | take.lines;
	walk->result.nr_looked += gln_popcount64(lines);
	walk->result.nr_empty += gln_popcount64(lines & ~take.lines);
	walk->result.nr_atomics += take.nr_atomics;
	walk->next_line = last + 1;
	walk->result.next_page = (last + 1) << LINE_SHIFT;
}

static bool is_spent(const struct walk *walk)
{
	const uint64_t deadline = walk->limits->deadline_ns;

	return !room_left(walk) || (deadline && gln_plat_now_ns() >= deadline);
}

/*
 * Have lines fetched that come next, live ones and their place in the snapshot:
 * where little is dirty each is a cache miss, and an exchange waits for its own
 * while it keeps others from starting.
 */
static void fetch_ahead(struct walk *walk, uint64_t end_group)
{
	while (walk->nr_fetched < FETCH_LINES && walk->next_fetch < end_group) {
		const uint64_t group = walk->next_fetch++;
		uint64_t lines = walk->snap->taken[group];

		for (; lines; lines &= lines - 1) {
			const uint64_t word =
				(group << GLN_WORD_SHIFT | gln_ctz64(lines))
				<< LINE_WORD_SHIFT;

			gln_fetch_to_write(&walk->bm->words[word]);
			gln_fetch_to_write(&walk->snap->words[word]);
			walk->nr_fetched++;
		}
	}
}

/* Step 3, up to line @end. True if it stopped before, the limits spent. */
static bool take_words(struct walk *walk, uint64_t end)
{
	const uint64_t end_group = gln_div_up(end, GLN_WORD_BITS);
	bool stopped = false;
	uint64_t line;

	walk->next_fetch = walk->next_line >> GLN_WORD_SHIFT;
	walk->nr_fetched = 0;
	while (!stopped && (line = glni_snapshot_next_line(
				    walk->snap, walk->next_line, end)) < end) {
		const uint64_t group = line >> GLN_WORD_SHIFT;

		fetch_ahead(walk, end_group);
		take_group(walk, group,
			   lines_in_range(group, walk->next_line, end));
		stopped = is_spent(walk);
	}

	return stopped;
}

/*
 * Where a round ends that begins at walk->next_line: a page at least is in each
 * line, unless its summary bit is stale (B2). If many are, rounds get longer,
 * so that their fences do not count.
 */
static uint64_t round_end(const struct walk *walk, uint64_t end)
{
	uint64_t nr = gln_max(room_left(walk), walk->result.nr_looked);

	if (walk->limits->deadline_ns)
		nr = gln_min(nr, DEADLINE_LINES);
	if (nr >= end - walk->next_line)
		return end;
	return glni_bitmap_lines_end(walk->bm, walk->next_line, end, nr);
}

/* All steps, up to line @end. True if it stopped before, the limits spent. */
static bool take_round(struct walk *walk, uint64_t end)
{
	struct bitmap *const bm = walk->bm;
	bool stopped;

	if (!take_summary(bm, walk->snap, walk->next_line, end,
			  &walk->result.nr_atomics)) {
		walk->next_line = end;
		return false;
	}

	/*
	 * sync take.2 (seq_cst) <-> mark.5: summary bits are cleared before
	 * words are looked at with plain loads. Else a marker sees its line
	 * summarised still while we see its word still 0, and the page is
	 * reported by no harvest until another marker happens by.
	 */
	glni_fence_taken(bm->fence);

	stopped = take_words(walk, end);
	walk->result.nr_put_back =
		put_back_summary(bm, walk->snap, walk->next_line, end);
	walk->next_line = stopped ? walk->next_line : end;
	return stopped;
}

struct take_result glni_bitmap_take(struct bitmap *bm, struct snapshot *snap,
				    const struct take_limits *limits)
{
	const uint64_t end = gln_div_up(limits->end, LINE_PAGES);
	struct walk walk = {
		.bm = bm,
		.snap = snap,
		.limits = limits,
		.next_line = limits->first >> LINE_SHIFT,
	};
	bool stopped = false;

	gln_assert(limits->first < limits->end && limits->max_pages > 0);
	gln_assert(limits->end <= bm->nr_pages);

	while (!stopped && walk.next_line < end)
		stopped = take_round(&walk, round_end(&walk, end));

	if (!stopped)
		walk.result.next_page = limits->end;
	walk.result.next_page = gln_min(walk.result.next_page, limits->end);
	return walk.result;
}

bool glni_bitmap_take_summary(struct bitmap *bm, struct snapshot *snap)
{
	uint64_t nr_atomics = 0;

	return take_summary(bm, snap, 0, gln_div_up(bm->nr_pages, LINE_PAGES),
			    &nr_atomics);
}

uint64_t glni_bitmap_take_lines(struct bitmap *bm, struct snapshot *snap,
				uint64_t first, uint64_t end)
{
	const struct take_limits limits = {
		.first = first,
		.end = end,
		.max_pages = UINT64_MAX,
	};
	struct walk walk = {
		.bm = bm,
		.snap = snap,
		.limits = &limits,
		.next_line = first >> LINE_SHIFT,
	};

	take_words(&walk, gln_div_up(end, LINE_PAGES));
	return walk.result.nr_pages;
}
