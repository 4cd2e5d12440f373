/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - go over a slot's bitmap once, and over its sources beside it.
 *
 *	source 0	 ...|================|...	a block of lines at a
 *	source 1	.|================|......	time: each source is
 *	source 2	....|================|...	shifted into place and
 *			    v                v		added, then what is new
 *	bitmap		 ...|================|...	is marked, a word at a
 *							time
 *
 * Lists come after them, an entry at a time.
 */
#include "core/dirty/merge.h"

#include "core/base/assert.h"

enum {
	/* Entries that are read ahead: cache misses worth overlapping. */
	ENTRIES_AT_ONCE = 16,
	/*
	 * What an entry costs, in pages gone through: a cache miss each, where
	 * 64 Mi of pages go by in a few milliseconds.
	 */
	ENTRY_PAGES = 1024,
};

/** struct view - a source of this pass, and what was counted of it. */
struct view {
	struct source source;
	struct merge_counts counts;
	struct gln_source *from;
};

/** struct pass - one pass over the bitmap, as far as a section goes. */
struct pass {
	const struct merge *merge;
	const struct slot *slot;
	struct bitmap *marks;
	unsigned int nr_views;
	struct view views[GLN_MERGE_AT_ONCE];
};

static bool source_is_valid(const struct gln_source *source)
{
	uint64_t stride = source->stride_bytes;

	if (source->kind > GLN_SOURCE_LIST || source->order > GLN_SOURCE_HOST ||
	    source->page_shift >= GLN_WORD_BITS ||
	    (!source->data && source->nr))
		return false;
	if (source->kind != GLN_SOURCE_LIST)
		return !stride && source->offset <= UINT64_MAX - source->nr;
	if (!stride)
		stride = GLN_WORD_BYTES;
	return stride >= GLN_WORD_BYTES && source->nr <= UINT64_MAX / stride &&
	       source->offset <= UINT64_MAX / stride - source->nr;
}

bool glni_merge_is_valid(const struct gln_source *sources, size_t nr_sources)
{
	for (size_t i = 0; i < nr_sources; i++)
		if (!source_is_valid(&sources[i]))
			return false;

	return true;
}

/* --- bitmaps and bytes --- */

/* Lines of a block that lie in the source as they lie in the bitmap. */
static bool add_in_place(const struct pass *pass, struct view *view,
			 struct merge_block *block, uint64_t page,
			 unsigned int line, unsigned int nr_lines)
{
	const struct source *const source = &view->source;
	const uint64_t end = page + ((uint64_t)nr_lines << LINE_SHIFT);
	const unsigned int unit = source->is_big ? GLN_WORD_BITS : 8;
	uint64_t bit, at;

	if (source->shift || source->kind != GLN_SOURCE_BITMAP ||
	    page < source->page || end > source->end)
		return false;
	bit = source->offset + (pass->slot->face.base + page - source->first);
	at = bit / unit * (unit / 8);
	if (((uint64_t)nr_lines * LINE_WORDS + 1) * GLN_WORD_BYTES >
	    source->bytes - at)
		return false;

	pass->merge->kernel->add_lines(
		block, line, nr_lines, source->data + (size_t)at,
		(unsigned int)(bit % unit), source->is_big, &view->counts);
	return true;
}

/* One line that is cut, or has to be stretched or folded. */
static void add_line(const struct pass *pass, struct view *view,
		     struct merge_block *block, uint64_t page,
		     unsigned int line)
{
	const struct source *const source = &view->source;
	const gln_gfn gfn = pass->slot->face.base + page;
	uint64_t words[LINE_WORDS];

	if (page + LINE_PAGES <= source->page || page >= source->end ||
	    !glni_source_has_pages(source, gfn, LINE_PAGES))
		return;
	glni_source_words(source, page, gfn, words, LINE_WORDS);
	pass->merge->kernel->add_words(block, line, words, &view->counts);
}

static void add_view(const struct pass *pass, struct view *view,
		     struct merge_block *block, uint64_t page)
{
	const struct source *const source = &view->source;
	const gln_gfn gfn = pass->slot->face.base + page;

	if (page + BLOCK_PAGES <= source->page || page >= source->end ||
	    add_in_place(pass, view, block, page, 0, BLOCK_LINES))
		return;
	if (source->shift && !glni_source_has_pages(source, gfn, BLOCK_PAGES))
		return;
	for (unsigned int line = 0; line < BLOCK_LINES; line++) {
		if (!add_in_place(pass, view, block, page, line, 1))
			add_line(pass, view, block, page, line);
		page += LINE_PAGES;
	}
}

/*
 * Which words of a line want marking, one bit each. Where looking is but a load
 * all are looked at, without branches that nobody can predict.
 */
static unsigned int look_at_line(struct bitmap *marks, uint64_t word,
				 const uint64_t bits[LINE_WORDS])
{
	const bool is_cheap = marks->fence == FENCE_ONE;
	unsigned int wanting = 0;

	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		if (is_cheap || bits[i])
			wanting |= (unsigned int)!!bitmap_look(marks, word + i,
							       bits[i])
				   << i;
	}

	return wanting;
}

/* Mark what a block has come to: after the sources were read (G1). */
static void mark_block(struct bitmap *marks, const struct merge_block *block,
		       uint64_t page)
{
	for (uint64_t lines = block->named; lines; lines &= lines - 1) {
		const unsigned int line = gln_ctz64(lines);
		const uint64_t *const bits = block->bits[line];
		const uint64_t word = (page >> GLN_WORD_SHIFT) +
				      ((uint64_t)line << LINE_WORD_SHIFT);
		unsigned int wanting = look_at_line(marks, word, bits);

		__builtin_prefetch(
			(const void *)&marks
				->words[word + BLOCK_LINES * LINE_WORDS],
			1);

		for (; wanting; wanting &= wanting - 1) {
			const unsigned int i = gln_ctz64(wanting);

			bitmap_set_bits(&marks->words[word + i], bits[i]);
		}
		bitmap_marked(marks, word);
	}
}

/*
 * Where there was something there will be more: have the next block's words
 * here when they are looked at. The CPU's prefetcher does not see it coming,
 * since each source is read for a while before the next.
 */
static void fetch_next(const struct merge_block *block)
{
	if (!block->named || block->named == gln_low_bits(BLOCK_LINES))
		return;
	for (unsigned int line = BLOCK_LINES; line < 2 * BLOCK_LINES; line++)
		__builtin_prefetch(
			(const void *)&block->live[line << LINE_WORD_SHIFT], 1);
}

/* The first block from @page on that a source reaches into; or past the end. */
static uint64_t next_block(const struct pass *pass, uint64_t page)
{
	uint64_t next = UINT64_MAX;

	for (unsigned int i = 0; i < pass->nr_views; i++) {
		const struct source *const source = &pass->views[i].source;

		if (page < source->end)
			next = gln_min(next, gln_max(page, source->page));
	}

	return next & ~(uint64_t)(BLOCK_PAGES - 1);
}

/* The next bitmaps and bytes, as many as go into a pass. Where it leaves off.
 */
static size_t look_at_views(struct pass *pass, size_t next)
{
	const struct merge *const merge = pass->merge;

	for (; next < merge->nr_sources; next++) {
		struct gln_source *const from = &merge->sources[next];
		struct view *const view = &pass->views[pass->nr_views];

		if (from->kind == GLN_SOURCE_LIST)
			continue;
		if (pass->nr_views == GLN_MERGE_AT_ONCE)
			break;
		glni_source_init(&view->source, from, merge->page_shift,
				 pass->slot->face.base, pass->marks->nr_pages);
		view->counts = (struct merge_counts){0};
		view->from = from;
		pass->nr_views++;
	}

	return next;
}

/* Go on with a pass. */
static void merge_views(struct merge *merge, const struct slot *slot,
			struct bitmap *marks)
{
	struct pass pass = {.merge = merge, .slot = slot, .marks = marks};
	const size_t end = look_at_views(&pass, merge->next);
	uint64_t page = merge->page;
	struct merge_block block;

	while ((page = next_block(&pass, page)) < marks->nr_pages &&
	       merge->budget >= BLOCK_PAGES) {
		block.named = 0;
		block.live = &marks->words[page >> GLN_WORD_SHIFT];
		for (unsigned int i = 0; i < pass.nr_views; i++)
			add_view(&pass, &pass.views[i], &block, page);
		fetch_next(&block);
		mark_block(marks, &block, page);
		page += BLOCK_PAGES;
		merge->budget -= BLOCK_PAGES;
	}
	for (unsigned int i = 0; i < pass.nr_views; i++) {
		pass.views[i].from->nr_set += pass.views[i].counts.nr_set;
		pass.views[i].from->nr_new += pass.views[i].counts.nr_new;
	}

	merge->page = page;
	if (page < marks->nr_pages)
		return;
	merge->page = 0;
	merge->next = end;
}

/* --- lists --- */

/* Mark some pages of one entry, as many as the budget has. */
static void mark_entry(struct merge *merge, struct bitmap *marks,
		       struct gln_range pages, struct merge_counts *counts)
{
	counts->nr_set += pages.count;
	if (pages.count == 1)
		counts->nr_new += bitmap_mark(marks, pages.first);
	else if (pages.count)
		counts->nr_new +=
			glni_bitmap_mark_range(marks, pages.first, pages.count);
	merge->budget -= gln_min(merge->budget, pages.count);
}

/* An entry of many pages is marked in steps: how much of it is this one's? */
static struct gln_range cut_entry(struct merge *merge, struct gln_range pages)
{
	const uint64_t done = gln_min(merge->entry_page, pages.count);

	pages.first += done;
	pages.count -= done;
	if (pages.count > merge->budget) {
		pages.count = merge->budget;
		merge->entry_page = done + pages.count;
	} else {
		merge->entry_page = 0;
		merge->entry++;
	}
	return pages;
}

/* Some entries: read all, have their words fetched, mark. */
static void merge_entries(struct merge *merge, const struct slot *slot,
			  struct bitmap *marks, const struct source *source,
			  struct merge_counts *counts)
{
	const uint64_t nr = gln_min(source->nr - merge->entry, ENTRIES_AT_ONCE);
	struct gln_range pages[ENTRIES_AT_ONCE];

	for (unsigned int i = 0; i < nr; i++) {
		pages[i] = glni_source_entry(source, merge->entry + i,
					     slot->face.base, marks->nr_pages);
		if (pages[i].count)
			__builtin_prefetch(
				&marks->words[pages[i].first >> GLN_WORD_SHIFT],
				1);
	}
	for (unsigned int i = 0; i < nr && merge->budget; i++)
		mark_entry(merge, marks, cut_entry(merge, pages[i]), counts);
	merge->budget -= gln_min(merge->budget, nr * ENTRY_PAGES);
}

static void merge_list(struct merge *merge, const struct slot *slot,
		       struct bitmap *marks)
{
	struct gln_source *const from = &merge->sources[merge->next];
	struct merge_counts counts = {0};
	struct source source;

	glni_source_init(&source, from, merge->page_shift, slot->face.base,
			 marks->nr_pages);
	while (merge->entry < source.nr && merge->budget)
		merge_entries(merge, slot, marks, &source, &counts);
	from->nr_set += counts.nr_set;
	from->nr_new += counts.nr_new;

	if (merge->entry < source.nr)
		return;
	merge->entry = 0;
	merge->next++;
}

static void start(struct merge *merge)
{
	for (size_t i = 0; i < merge->nr_sources; i++) {
		merge->sources[i].nr_set = 0;
		merge->sources[i].nr_new = 0;
	}
	merge->is_started = true;
}

bool glni_merge_some(struct merge *merge, const struct slot *slot,
		     struct bitmap *marks, uint64_t budget)
{
	gln_assert(budget >= BLOCK_PAGES);

	if (!merge->is_started)
		start(merge);
	merge->budget = budget;
	while (!merge->in_lists && merge->budget >= BLOCK_PAGES) {
		if (merge->next < merge->nr_sources) {
			merge_views(merge, slot, marks);
		} else {
			merge->in_lists = true;
			merge->next = 0;
		}
	}
	while (merge->in_lists && merge->next < merge->nr_sources &&
	       merge->budget) {
		if (merge->sources[merge->next].kind == GLN_SOURCE_LIST)
			merge_list(merge, slot, marks);
		else
			merge->next++;
	}

	return merge->in_lists && merge->next == merge->nr_sources;
}
