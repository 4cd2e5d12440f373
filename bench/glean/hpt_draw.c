/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_draw.c - a drawing of how a hashed page table is filled.
 *
 *	+--------------------------+
 *	| title                    |
 *	|  #        bars: groups   |
 *	|  # #      with 0 to 8    |
 *	|  0 1 ...8 entries        |
 *	| [ map: cells, by rows  ] |
 *	+--------------------------+
 *
 * It needs no more than lines, rectangles and text, so it is written as it is:
 * a reader has it without gnuplot.
 */
#include "bench/glean/hpt_draw.h"

#include <errno.h>
#include <inttypes.h>

/* All lengths are in pixels. */
enum {
	WIDTH = 760,
	HEIGHT = 460,
	MARGIN = 40,
	BARS_TOP = 60,
	BARS_HEIGHT = 190,
	BAR_STEP = (WIDTH - 2 * MARGIN) / (GLN_HPT_GROUP_ENTRIES + 1),
	BAR_WIDTH = BAR_STEP - 16,
	MAP_TOP = 330,
	MAP_COLUMNS = 64,
	CELL_WIDTH = (WIDTH - 2 * MARGIN) / MAP_COLUMNS,
	CELL_HEIGHT = 6,
};

static double part(uint64_t number, uint64_t of)
{
	return of ? (double)number / (double)of : 0;
}

static void draw_title(const struct hpt_health *health, FILE *out)
{
	fprintf(out,
		"<text x='%d' y='28' font-size='16'>Hashed page table of order "
		"%u: %" PRIu64 " of %" PRIu64
		" entries in use, %.1f %%</text>\n"
		"<text x='%d' y='48'>groups by the number of their entries; "
		"%.1f %% of entries are in secondary groups</text>\n",
		MARGIN, health->order, health->used, health->entries,
		100 * part(health->used, health->entries), MARGIN,
		100 * part(health->secondary, health->used));
}

static void draw_bars(const struct hpt_health *health, FILE *out)
{
	const uint64_t groups = health->entries / GLN_HPT_GROUP_ENTRIES;
	uint64_t most = 1;

	for (unsigned int i = 0; i <= GLN_HPT_GROUP_ENTRIES; i++)
		most = health->fill[i] > most ? health->fill[i] : most;
	for (unsigned int i = 0; i <= GLN_HPT_GROUP_ENTRIES; i++) {
		const int x = MARGIN + (int)i * BAR_STEP;
		const double height = BARS_HEIGHT * part(health->fill[i], most);
		const double top = BARS_TOP + BARS_HEIGHT - height;

		fprintf(out,
			"<rect class='bar' x='%d' y='%.1f' width='%d' "
			"height='%.1f'/>\n"
			"<text x='%d' y='%d' text-anchor='middle'>%u</text>\n"
			"<text x='%d' y='%d' text-anchor='middle' fill='#666'>"
			"%.1f %%</text>\n",
			x, top, BAR_WIDTH, height, x + BAR_WIDTH / 2,
			BARS_TOP + BARS_HEIGHT + 18, i, x + BAR_WIDTH / 2,
			BARS_TOP + BARS_HEIGHT + 36,
			100 * part(health->fill[i], groups));
	}
}

static void draw_map(const struct hpt_health *health, FILE *out)
{
	fprintf(out,
		"<text x='%d' y='%d'>the table from its first group on, row by "
		"row; white is empty, black is full</text>\n"
		"<rect x='%d' y='%d' width='%d' height='%d' fill='none' "
		"stroke='#999'/>\n",
		MARGIN, MAP_TOP - 10, MARGIN - 1, MAP_TOP - 1,
		MAP_COLUMNS * CELL_WIDTH + 2,
		(int)(health->nr_cells / MAP_COLUMNS) * CELL_HEIGHT + 2);
	for (unsigned int i = 0; i < health->nr_cells; i++) {
		const int grey = (int)(255 * (1 - health->cells[i]));

		fprintf(out,
			"<rect class='cell' x='%d' y='%d' width='%d' "
			"height='%d' fill='#%02x%02x%02x'/>\n",
			MARGIN + (int)(i % MAP_COLUMNS) * CELL_WIDTH,
			MAP_TOP + (int)(i / MAP_COLUMNS) * CELL_HEIGHT,
			CELL_WIDTH, CELL_HEIGHT, (unsigned int)grey,
			(unsigned int)grey, (unsigned int)grey);
	}
}

int hpt_draw(const struct hpt_health *health, FILE *out)
{
	fprintf(out,
		"<?xml version='1.0' encoding='UTF-8'?>\n"
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' "
		"width='%d' height='%d' font-family='sans-serif' "
		"font-size='12'>\n"
		"<style>.bar { fill: #36648b; }</style>\n"
		"<rect width='100%%' height='100%%' fill='white'/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	draw_title(health, out);
	draw_bars(health, out);
	draw_map(health, out);
	fputs("</svg>\n", out);
	return ferror(out) ? -EIO : 0;
}
