/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - go over a slot's bitmap once, and over its sources beside it.
 *
 *	bitmap		|====|====|====|====|====|====|====|	in lines
 *	source 0	   |==|====|====|====|====|=|
 *	source 1	|=======                     =======|	made of bytes
 *	                a  b    c                   d
 *
 * Where a source lies as the bitmap does, its words are read where they are,
 * shifted: source 0 from b to d. Lines in which it begins or ends, and all of a
 * source whose elements are bytes or whose pages are of another size, are made
 * first, a few at a time. A pass goes in spans, within which no source changes
 * from one to the other: a to b, b to c and so on.
 *
 * Lists come after them, an entry at a time.
 */
#include "core/dirty/merge.h"

#include "core/base/assert.h"

enum {
	/* Lines that are made at once: for all lanes, 2 KiB of a stack. */
	MADE_LINES = 4,
	/* Entries that are read ahead: cache misses worth overlapping. */
	ENTRIES_AT_ONCE = 16,
	/*
	 * What an entry costs, in lines gone through: a cache miss each, where
	 * 128 Ki lines go by in a few milliseconds.
	 */
	ENTRY_LINES = 2,
};

/**
 * struct view - a source of this pass, and where its lines are.
 *
 * @first:	lines [@first, @end) have pages of it,
 * @there_first: of which [@there_first, @there_end) are read where they are.
 * @there:	from @there_first on.
 */
struct view {
	struct source source;
	struct gln_source *from;
	uint64_t first;
	uint64_t end;
	uint64_t there_first;
	uint64_t there_end;
	struct merge_lane there;
	struct merge_counts counts;
};

/** struct made - lines of a source as words of the bitmap. */
struct made {
	uint64_t words[MADE_LINES * LINE_WORDS];
};

/**
 * struct pass - one pass over the bitmap, as far as a section goes.
 *
 * @merge_lines: the kernel.
 * @weight:	what a line costs: as many as its widest source has for it.
 */
struct pass {
	const struct merge *merge;
	struct merge_to to;
	merge_fn merge_lines;
	gln_gfn base;
	uint64_t weight;
	unsigned int nr_views;
	struct view views[MERGE_LANES];
};

_Static_assert(GLN_MERGE_AT_ONCE == MERGE_LANES, "a lane for each source");

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

/* Which lines can be read where they are, and from where on. */
static void find_there(struct view *view, gln_gfn base)
{
	const struct source *const source = &view->source;
	const unsigned int unit = source->is_big ? GLN_WORD_BITS : 8;
	const uint64_t first = gln_div_up(source->page, LINE_PAGES);
	const uint64_t end = source->end / LINE_PAGES;
	uint64_t bit, at, bytes;

	view->there_first = view->there_end = view->end;
	if (source->kind != GLN_SOURCE_BITMAP || source->shift || first >= end)
		return;

	bit = source->offset + (base + first * LINE_PAGES - source->first);
	at = bit / unit * (unit / 8);
	view->there = (struct merge_lane){
		.from = source->data + (size_t)at,
		.shift = (unsigned int)(bit % unit),
		.is_big = source->is_big,
		.counts = &view->counts,
	};
	/* A shift reads a word behind the line: that must be its own too. */
	bytes = source->bytes - at;
	bytes -= gln_min(bytes, view->there.shift ? GLN_WORD_BYTES : 0);
	if (bytes < LINE_BYTES)
		return;
	view->there_first = first;
	view->there_end = gln_min(end, first + bytes / LINE_BYTES);
}

/* How far it is from @line to @to, if that is ahead and nearer than @span. */
static uint64_t nearer(uint64_t line, uint64_t to, uint64_t span)
{
	return to > line ? gln_min(span, to - line) : span;
}

static bool is_there(const struct view *view, uint64_t line)
{
	return line >= view->there_first && line < view->there_end;
}

static bool is_made(const struct view *view, uint64_t line)
{
	return line >= view->first && line < view->end && !is_there(view, line);
}

/* Lines from @line on in which nothing changes, @span at most. */
static uint64_t find_span(const struct pass *pass, uint64_t line, uint64_t span)
{
	for (unsigned int i = 0; i < pass->nr_views; i++) {
		const struct view *const view = &pass->views[i];

		span = nearer(line, view->first, span);
		span = nearer(line, view->there_first, span);
		span = nearer(line, view->there_end, span);
		span = nearer(line, view->end, span);
		if (is_made(view, line))
			span = gln_min(span, MADE_LINES);
	}

	return span;
}

/* Make lines of a source. False if it says nothing there. */
static bool make_lines(const struct pass *pass, const struct view *view,
		       struct merge_lines lines, struct made *made)
{
	const uint64_t page = lines.first * LINE_PAGES;
	const gln_gfn gfn = pass->base + page;

	if (!glni_source_has_pages(&view->source, gfn, lines.nr * LINE_PAGES))
		return false;
	glni_source_words(&view->source, page, gfn, made->words,
			  (unsigned int)lines.nr * LINE_WORDS);
	return true;
}

/* The lane of a view for a span. False if it says nothing there. */
static bool find_lane(const struct pass *pass, struct view *view,
		      struct merge_lines span, struct made *made,
		      struct merge_lane *lane)
{
	if (is_there(view, span.first)) {
		*lane = view->there;
		lane->from +=
			(size_t)(span.first - view->there_first) * LINE_BYTES;
		return true;
	}
	if (!is_made(view, span.first) || !make_lines(pass, view, span, made))
		return false;
	*lane = (struct merge_lane){
		.from = (const unsigned char *)made->words,
		.is_big = host_is_big(),
		.counts = &view->counts,
	};
	return true;
}

static void merge_span(struct pass *pass, struct merge_lines span)
{
	struct made made[MERGE_LANES];
	struct merge_lane lanes[MERGE_LANES];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < pass->nr_views; i++)
		nr += find_lane(pass, &pass->views[i], span, &made[nr],
				&lanes[nr]);
	if (nr)
		pass->merge_lines(&pass->to, span, lanes, nr);
}

/* Lines of a source, as the bitmap has them, that stand for one of its. */
static uint64_t weight_of(const struct source *source)
{
	const unsigned int bits = source->kind == GLN_SOURCE_BYTES ? 8 : 1;

	return (uint64_t)bits << (source->shift < 0 ? -source->shift : 0);
}

static void open_view(struct pass *pass, struct gln_source *from)
{
	struct view *const view = &pass->views[pass->nr_views++];

	*view = (struct view){.from = from};
	glni_source_init(&view->source, from, pass->merge->page_shift,
			 pass->base, pass->to.marks->nr_pages);
	view->first = view->source.page / LINE_PAGES;
	view->end = gln_div_up(view->source.end, LINE_PAGES);
	find_there(view, pass->base);
	pass->weight = gln_max(pass->weight, weight_of(&view->source));
}

static void close_view(struct view *view)
{
	for (unsigned int i = 0; i < LINE_WORDS; i++) {
		view->from->nr_set += view->counts.nr_set[i];
		view->from->nr_new += view->counts.nr_new[i];
	}
}

/* The next bitmaps and bytes, as many as fit in a pass. Where it leaves off. */
static size_t open_views(struct pass *pass, size_t next)
{
	const struct merge *const merge = pass->merge;

	for (; next < merge->nr_sources; next++) {
		if (merge->sources[next].kind == GLN_SOURCE_LIST)
			continue;
		if (pass->nr_views == MERGE_LANES)
			break;
		open_view(pass, &merge->sources[next]);
	}

	return next;
}

/* Go on with a pass. */
static void merge_views(struct merge *merge, const struct slot *slot,
			struct bitmap *marks)
{
	struct pass pass = {
		.merge = merge,
		.to = {.marks = marks, .snap = merge->snap},
		.merge_lines = glni_merge_kernel(marks->kernel),
		.base = slot->face.base,
		.weight = 1,
	};
	const size_t next = open_views(&pass, merge->next);
	const uint64_t nr_lines = gln_div_up(marks->nr_pages, LINE_PAGES);

	if (!pass.nr_views)
		merge->line = nr_lines;
	while (merge->line < nr_lines && merge->budget) {
		const uint64_t most = gln_max(merge->budget / pass.weight, 1);
		const struct merge_lines span = {
			.first = merge->line,
			.nr = find_span(&pass, merge->line,
					gln_min(nr_lines - merge->line, most)),
		};

		merge_span(&pass, span);
		merge->line += span.nr;
		merge->budget -= gln_min(merge->budget, span.nr * pass.weight);
	}
	for (unsigned int i = 0; i < pass.nr_views; i++)
		close_view(&pass.views[i]);

	if (merge->line < nr_lines)
		return;
	merge->line = 0;
	merge->next = next;
}

/* --- lists --- */

/* An entry of many pages is marked in steps: cut what is left off. */
static struct gln_range cut_entry(struct merge *merge, gln_gfn base,
				  struct gln_range pages)
{
	const uint64_t most = merge->budget * LINE_PAGES;

	merge->rest = (struct gln_range){.first = base};
	if (pages.count <= most)
		return pages;
	merge->rest.first += pages.first + most;
	merge->rest.count = pages.count - most;
	return (struct gln_range){.first = pages.first, .count = most};
}

/* Mark pages, some at least. Returns how many are new. */
static uint64_t mark_pages(const struct merge *merge, struct bitmap *marks,
			   struct gln_range pages)
{
	if (merge->snap)
		return glni_snapshot_add(merge->snap, pages.first, pages.count);
	return pages.count == 1 ? bitmap_mark(marks, pages.first)
				: glni_bitmap_mark_range(marks, pages.first,
							 pages.count);
}

/* Mark some pages of one entry, as many as the budget has. */
static void merge_entry(struct merge *merge, gln_gfn base, struct bitmap *marks,
			struct gln_range pages, struct gln_source *from)
{
	const struct gln_range some = cut_entry(merge, base, pages);
	const uint64_t nr_lines = gln_div_up(some.count, LINE_PAGES);

	from->nr_set += some.count;
	if (some.count)
		from->nr_new += mark_pages(merge, marks, some);
	merge->budget -= gln_min(merge->budget, gln_max(nr_lines, ENTRY_LINES));
}

/* Go on with the entry that was cut, wherever the slot is now. */
static void merge_rest(struct merge *merge, const struct slot *slot,
		       struct bitmap *marks, struct gln_source *from)
{
	struct gln_range pages = slot_part(&slot->face, merge->rest);

	pages.first -= slot->face.base;
	merge_entry(merge, slot->face.base, marks, pages, from);
}

static void fetch_word(const struct merge *merge, const struct bitmap *marks,
		       uint64_t word)
{
	if (merge->snap)
		gln_fetch_to_write(&merge->snap->words[word]);
	else
		gln_fetch_to_write(&marks->words[word]);
}

/* Some entries: read all, have their words fetched, mark. */
static void merge_entries(struct merge *merge, const struct slot *slot,
			  struct bitmap *marks, const struct source *source,
			  struct gln_source *from)
{
	const uint64_t nr = gln_min(source->nr - merge->entry, ENTRIES_AT_ONCE);
	struct gln_range pages[ENTRIES_AT_ONCE];

	for (unsigned int i = 0; i < nr; i++) {
		pages[i] = glni_source_entry(source, merge->entry + i,
					     slot->face.base, marks->nr_pages);
		if (pages[i].count)
			fetch_word(merge, marks,
				   pages[i].first >> GLN_WORD_SHIFT);
	}
	for (unsigned int i = 0; i < nr && merge->budget; i++) {
		merge->entry++;
		merge_entry(merge, slot->face.base, marks, pages[i], from);
	}
}

static void merge_list(struct merge *merge, const struct slot *slot,
		       struct bitmap *marks)
{
	struct gln_source *const from = &merge->sources[merge->next];
	struct source source;

	glni_source_init(&source, from, merge->page_shift, slot->face.base,
			 marks->nr_pages);
	while (merge->budget &&
	       (merge->rest.count || merge->entry < source.nr)) {
		if (merge->rest.count)
			merge_rest(merge, slot, marks, from);
		else
			merge_entries(merge, slot, marks, &source, from);
	}

	if (merge->rest.count || merge->entry < source.nr)
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

static void restart(struct merge *merge)
{
	merge->next = 0;
	merge->line = 0;
	merge->in_lists = false;
	merge->entry = 0;
	merge->rest.count = 0;
}

bool glni_merge_some(struct merge *merge, const struct slot *slot,
		     struct bitmap *marks, uint64_t budget)
{
	gln_assert(budget);

	/*
	 * Sources name frames. If the slot has moved since the last section,
	 * pages that were gone through have others now: begin again.
	 */
	if (!merge->is_started)
		start(merge);
	else if (merge->base != slot->face.base)
		restart(merge);
	merge->budget = budget;
	merge->base = slot->face.base;
	while (!merge->in_lists && merge->budget) {
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
