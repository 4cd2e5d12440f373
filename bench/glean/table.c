/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - a run as a person watches it.
 */
#include "bench/glean/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/glean/clock.h"
#include "bench/glean/guest.h"
#include "bench/glean/run.h"
#include "bench/glean/units.h"

#define MIB (1024.0 * 1024.0)

/* The bar is drawn this often at most, and has so many cells. */
#define BAR_PERIOD_NS (100 * NS_PER_MS)
#define BAR_CELLS     40

/* Escape sequences: SGR attributes, and "erase to the end of the line". */
#define SGR_BOLD   "\033[1m"
#define SGR_RED	   "\033[1;31m"
#define SGR_GREEN  "\033[1;32m"
#define SGR_RESET  "\033[0m"
#define ERASE_LINE "\r\033[K"

static const char *paint(const struct table *table, const char *sgr)
{
	return table->colour ? sgr : "";
}

void table_init(struct table *table, const struct run_options *options)
{
	FILE *out = options->json ? stderr : stdout;
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	const bool smart = isatty(fileno(out)) && term && strcmp(term, "dumb");

	*table = (struct table){
		.out = out,
		.quiet = options->quiet,
		.colour = smart && !options->plain && !(no_color && *no_color),
		.bar = smart,
		.page_bytes = options->page_bytes,
	};
}

static void print_guest(const struct table *table, const struct run_options *o)
{
	char memory[UNITS_BYTES], page[UNITS_BYTES], rate[UNITS_BYTES];

	units_count(rate, (double)o->pages_per_s);
	fprintf(table->out,
		"guest     %s: %" PRIu64 " pages of %s, %" PRIu64
		" vCPU%s, %s, %s%s\n",
		units_size(memory, o->memory_bytes),
		o->memory_bytes / o->page_bytes,
		units_size(page, o->page_bytes), o->nr_vcpus,
		o->nr_vcpus == 1 ? "" : "s", pattern_names[o->pattern],
		o->pages_per_s ? rate : "unlimited",
		o->pages_per_s ? " pages/s" : "");
}

static void print_backend(const struct table *table,
			  const struct run_options *o)
{
	char page[UNITS_BYTES];

	fprintf(table->out, "backend   %s", backend_names[o->backend]);
	if (o->log != LOG_BITMAP)
		fprintf(table->out, ", log %s", log_names[o->log]);
	if (o->backend == BACKEND_BOOK3S_HV)
		fprintf(table->out,
			", ISA %s, mapped by %s, table of order %" PRIu64,
			isa_names[o->isa],
			units_size(page, UINT64_C(1) << o->map_shift),
			o->hpt_order);
	fputc('\n', table->out);
}

void table_header(struct table *table, const struct run_options *options,
		  const struct run_result *result)
{
	if (table->quiet)
		return;
	print_guest(table, options);
	print_backend(table, options);
	fprintf(table->out, "tracker   %s\n", result->reason);
	fprintf(table->out, "\n%s%5s %11s %9s %8s %8s %8s %8s %12s%s\n",
		paint(table, SGR_BOLD), "round", "dirty pages", "MiB", "take",
		"protect", "flush", "copy", "dirty rate",
		paint(table, SGR_RESET));
	fflush(table->out);
}

void table_round_begin(struct table *table, const struct round *round)
{
	table->bar_round = round->number;
	table->bar_pages = round->dirty_pages;
	table->bar_start_ns = clock_ns();
	table->bar_drawn_ns = 0;
}

void table_progress(struct table *table, uint64_t nr_pages)
{
	char bar[BAR_CELLS + 1], speed[UNITS_BYTES];

	/* What is done is no progress: the round's line comes next. */
	if (table->quiet || !table->bar || nr_pages >= table->bar_pages)
		return;
	const uint64_t now_ns = clock_ns();

	if (now_ns - table->bar_drawn_ns < BAR_PERIOD_NS)
		return;
	table->bar_drawn_ns = now_ns;

	const double done = (double)nr_pages / (double)table->bar_pages;
	const size_t cells = (size_t)(done * BAR_CELLS);
	const double bytes = (double)(nr_pages * table->page_bytes);
	const double bytes_per_s = bytes * (double)NS_PER_S /
				   (double)(now_ns - table->bar_start_ns);

	memset(bar, '.', BAR_CELLS);
	memset(bar, '#', cells);
	bar[BAR_CELLS] = '\0';
	fprintf(table->out, ERASE_LINE "%5" PRIu64 " [%s] %3.0f%% %s/s",
		table->bar_round, bar, done * 100,
		units_size(speed, (uint64_t)bytes_per_s));
	fflush(table->out);
}

static void erase_bar(const struct table *table)
{
	if (!table->quiet && table->bar)
		fputs(ERASE_LINE, table->out);
}

void table_abandon(struct table *table)
{
	erase_bar(table);
	fflush(table->out);
}

static const char *dirty_rate(char text[UNITS_BYTES], const struct round *round)
{
	const double pages = (double)round->dirty_pages;
	char number[UNITS_BYTES];

	if (!round->interval_ns)
		return "-";
	units_count(number,
		    pages * (double)NS_PER_S / (double)round->interval_ns);
	snprintf(text, UNITS_BYTES, "%.*s/s", UNITS_BYTES - 3, number);
	return text;
}

void table_round_end(struct table *table, const struct round *round)
{
	char take[UNITS_BYTES], protect[UNITS_BYTES], flush[UNITS_BYTES];
	char copy[UNITS_BYTES], rate[UNITS_BYTES];

	if (table->quiet)
		return;
	erase_bar(table);
	fprintf(table->out,
		"%5" PRIu64 " %11" PRIu64 " %9.1f %8s %8s %8s %8s %12s\n",
		round->number, round->dirty_pages,
		(double)round->dirty_pages * (double)table->page_bytes / MIB,
		units_time(take, (double)round->take_ns),
		units_time(protect, (double)round->protect_ns),
		units_time(flush, (double)round->flush_ns),
		units_time(copy, (double)round->copy_ns),
		dirty_rate(rate, round));
	fflush(table->out);
}

static const char *how_it_ended(const struct run_options *options,
				const struct precopy *job)
{
	if (!job->converged)
		return "rounds ran out before the rest fitted";
	if (job->downtime_ns > options->downtime_ms * NS_PER_MS)
		return "the rest was more than expected";
	return "within";
}

void table_verdict(struct table *table, const struct run_options *options,
		   const struct run_result *result)
{
	const struct precopy *job = &result->job;
	const uint64_t nr_pages = job->guest->nr_pages;
	char total[UNITS_BYTES], downtime[UNITS_BYTES];

	if (table->quiet)
		return;
	fprintf(table->out, "\ntotal     %s in %zu rounds\n",
		units_time(total, (double)job->total_ns), job->nr_rounds);
	fprintf(table->out, "downtime  %s, target %" PRIu64 " ms: %s\n",
		units_time(downtime, (double)job->downtime_ns),
		options->downtime_ms, how_it_ended(options, job));
	if (result->verified)
		fprintf(table->out,
			"verified  %syes%s: %" PRIu64
			" pages compared, every byte is the same\n",
			paint(table, SGR_GREEN), paint(table, SGR_RESET),
			nr_pages);
	else if (result->hpt_wrong && !result->mismatched_pages)
		fprintf(table->out,
			"verified  %sNO%s: the hashed page table is wrong: "
			"%s\n",
			paint(table, SGR_RED), paint(table, SGR_RESET),
			result->hpt_wrong);
	else
		fprintf(table->out,
			"verified  %sNO%s: %" PRIu64 " of %" PRIu64
			" pages differ\n",
			paint(table, SGR_RED), paint(table, SGR_RESET),
			result->mismatched_pages, nr_pages);
	fflush(table->out);
}
