/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt.c - `glean hpt`: how large a guest's hashed page table should be, and how
 * one is filled.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench/glean/command.h"
#include "bench/glean/hpt_draw.h"
#include "bench/glean/hpt_health.h"
#include "bench/glean/hpt_live.h"
#include "bench/glean/hpt_options.h"
#include "bench/glean/hpt_report.h"
#include "bench/glean/hpt_size.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/options.h"
#include "bench/glean/units.h"

#define DEFAULT_MEMORY (UINT64_C(1) << 30)
#define DEFAULT_SEED   1

/*
 * A live table, its reverse map, its records and their memory while it grows,
 * its entries as they are looked at: not more than this many times the table.
 */
#define LIVE_COPIES 6

/* What R of an entry can name. */
#define MEMORY_MAX (UINT64_C(1) << 60)

const char hpt_help[] =
	"usage: glean hpt size --memory SIZE [OPTIONS]\n"
	"       glean hpt health [FILE] [OPTIONS]\n"
	"\n"
	"The hashed page table of a POWER guest: how large it should be, and how\n"
	"one is filled.\n"
	"\n"
	"size: what the usual rule gives a guest, and what that costs\n"
	"  --memory SIZE      memory of the guest, suffix K, M, G or T\n"
	"  --page SIZE        4K, 64K or 16M: what maps it (default 4K)\n"
	"  --nodes N          nodes that memory is spread over evenly, or the\n"
	"                     sizes of each, as 4G,12G: what each bears of it\n"
	"\n"
	"health: groups by fill, chains, and what tables of other orders would\n"
	"refuse\n"
	"  FILE               records of a table, as 'glean run --hpt-save' and\n"
	"                     a migration write them, headers big-endian\n"
	"  --order N          of that table, 18 to 46 (default: by its records)\n"
	"\n"
	"health without a FILE: of a guest that has mapped all its memory\n"
	"  --memory SIZE      its memory, which is not touched (default 1G)\n"
	"  --page SIZE        4K, 64K or 16M: what it maps it by (default 4K)\n"
	"  --isa NAME         2.07 or 3.0: its entries' format (default 3.0)\n"
	"  --segment SIZE     256M or 1T: its segments (default 256M)\n"
	"  --hpt-order N      of its table, 18 to 46 (default: by the rule)\n"
	"  --seed N           of its segment ids (default 1)\n"
	"\n"
	"Output\n"
	"  --svg FILE         health: also draw it\n"
	"  --json             one JSON object on standard output\n"
	"  --help             this text\n"
	"\n"
	"Exit status\n"
	"  0    done\n"
	"  1    it could not be looked at, or written\n"
	"  2    an option is wrong\n"
	"  3    this machine cannot: memory\n"
	"  130  interrupted (128 and the number of the signal)\n";

enum {
	KEY_MEMORY = OPTION_FIRST_OWN,
	KEY_PAGE,
	KEY_NODES,
	KEY_ORDER,
	KEY_ISA,
	KEY_SEGMENT,
	KEY_HPT_ORDER,
	KEY_SEED,
	KEY_SVG,
	KEY_JSON
};

static struct option_value given(const char *option)
{
	return (struct option_value){
		.command = "hpt",
		.option = option,
		.text = optarg,
	};
}

static bool read_memory(uint64_t *bytes)
{
	const struct option_value value = given("--memory");

	if (!read_size(&value, bytes))
		return false;
	if (*bytes <= MEMORY_MAX)
		return true;
	complain("hpt",
		 "--memory: '%s' is more than an entry can name: give 1048576T "
		 "or less",
		 optarg);
	return false;
}

static bool is_whole_pages(uint64_t bytes, unsigned int page_shift)
{
	const uint64_t page_bytes = UINT64_C(1) << page_shift;
	char page[UNITS_BYTES];

	if (bytes % page_bytes == 0)
		return true;
	complain("hpt",
		 "--memory: %" PRIu64
		 " bytes are not a whole number of pages: give a multiple of "
		 "%s",
		 bytes, units_size(page, page_bytes));
	return false;
}

static int failed(int err, const char *what)
{
	if (err == -EINTR)
		return STATUS_SIGNALLED + interrupt_signal();
	complain("hpt", "%s failed: %s", what, strerror(-err));
	return err == -ENOMEM || err == -EAGAIN ? STATUS_CANNOT : STATUS_FAILED;
}

/* --- size --- */

static const struct option size_options[] = {
	OPTION_HELP_ENTRY,
	{"memory", required_argument, NULL, KEY_MEMORY},
	{"page", required_argument, NULL, KEY_PAGE},
	{"nodes", required_argument, NULL, KEY_NODES},
	{"json", no_argument, NULL, KEY_JSON},
	{NULL, 0, NULL, 0},
};

struct size_reading {
	struct hpt_sizes sizes;
	const char *nodes; /* as typed, or NULL */
	bool json;
};

static bool read_size_option(int key, struct size_reading *reading)
{
	switch (key) {
	case KEY_MEMORY:
		return read_memory(&reading->sizes.memory_bytes);
	case KEY_PAGE:
		return hpt_read_page("hpt", &reading->sizes.page_shift);
	case KEY_NODES:
		reading->nodes = optarg;
		return true;
	default:
		reading->json = true;
		return true;
	}
}

/* As much of memory as the others, and the first ones a byte more. */
static void spread(struct hpt_sizes *sizes, uint64_t nr)
{
	sizes->nr_nodes = (uint32_t)nr;
	for (uint64_t i = 0; i < nr; i++)
		sizes->nodes[i] = sizes->memory_bytes / nr +
				  (i < sizes->memory_bytes % nr);
}

/* One of "4G,12G": up to the comma. */
static bool read_node(const char **text, struct hpt_sizes *sizes)
{
	char size[32];
	const int length = (int)strcspn(*text, ",");
	struct option_value value = given("--nodes");

	snprintf(size, sizeof(size), "%.*s", length, *text);
	value.text = size;
	*text += length;
	if (sizes->nr_nodes == HPT_NODES_MAX) {
		complain("hpt", "--nodes: too many: give %u or less",
			 HPT_NODES_MAX);
		return false;
	}
	return read_size(&value, &sizes->nodes[sizes->nr_nodes++]);
}

static bool read_nodes(const char *text, struct hpt_sizes *sizes)
{
	const char *rest = text;
	uint64_t left = sizes->memory_bytes;

	while (true) {
		if (!read_node(&rest, sizes))
			return false;

		const uint64_t bytes = sizes->nodes[sizes->nr_nodes - 1];

		if (bytes > left)
			break;
		left -= bytes;
		if (!*rest && !left)
			return true;
		if (!*rest)
			break;
		rest++;
	}
	complain("hpt",
		 "--nodes: '%s' does not add up to --memory: give sizes that "
		 "do, or a number of nodes",
		 text);
	return false;
}

/* A number of nodes has no suffix and no comma. */
static bool find_nodes(const struct size_reading *reading,
		       struct hpt_sizes *sizes)
{
	const char *text = reading->nodes;
	const struct option_value value = {
		.command = "hpt",
		.option = "--nodes",
		.text = text,
	};
	uint64_t nr = 1;

	if (text && strpbrk(text, ",KMGTkmgt"))
		return read_nodes(text, sizes);
	if (text && !read_number(&value, "a number of nodes, or their sizes", 1,
				 HPT_NODES_MAX, &nr))
		return false;
	spread(sizes, nr);
	return true;
}

static bool agree_on_size(struct size_reading *reading)
{
	struct hpt_sizes *sizes = &reading->sizes;

	if (!sizes->memory_bytes) {
		complain("hpt", "size: no --memory: give e.g. --memory 4G");
		return false;
	}
	return is_whole_pages(sizes->memory_bytes, sizes->page_shift) &&
	       find_nodes(reading, sizes);
}

static void find_sizes(struct hpt_sizes *sizes)
{
	const uint64_t nr = sizes->memory_bytes >> sizes->page_shift;

	sizes->order = hpt_order(sizes->memory_bytes);
	sizes->failures = hpt_predict_failures(nr, sizes->order);
	sizes->least = hpt_order_least(sizes->memory_bytes, sizes->page_shift);
	sizes->least_failures = hpt_predict_failures(nr, sizes->least);
}

static int hpt_size(int argc, char **argv)
{
	static struct size_reading reading;
	int key;

	reading.sizes.page_shift = HPT_DEFAULT_PAGE;
	while ((key = option_next(argc, argv, size_options)) != OPTION_END) {
		if (key == OPTION_HELP) {
			fputs(hpt_help, stdout);
			return STATUS_OK;
		}
		if (key == OPTION_BAD || !read_size_option(key, &reading))
			return STATUS_USAGE;
	}
	if (!agree_on_size(&reading))
		return STATUS_USAGE;
	find_sizes(&reading.sizes);

	const int err = hpt_size_print(&reading.sizes, reading.json);

	return err ? failed(err, "writing it") : STATUS_OK;
}

/* --- health --- */

static const struct option health_options[] = {
	OPTION_HELP_ENTRY,
	{"order", required_argument, NULL, KEY_ORDER},
	{"memory", required_argument, NULL, KEY_MEMORY},
	{"page", required_argument, NULL, KEY_PAGE},
	{"isa", required_argument, NULL, KEY_ISA},
	{"segment", required_argument, NULL, KEY_SEGMENT},
	{"hpt-order", required_argument, NULL, KEY_HPT_ORDER},
	{"seed", required_argument, NULL, KEY_SEED},
	{"svg", required_argument, NULL, KEY_SVG},
	{"json", no_argument, NULL, KEY_JSON},
	{NULL, 0, NULL, 0},
};

/*
 * @file:	of records, or NULL.
 * @live:	an option that a table in a file has no use for was given.
 */
struct health_reading {
	const char *file;
	uint64_t order;
	const char *live;
	uint64_t memory_bytes;
	unsigned int page_shift;
	enum gln_hpt_isa isa;
	unsigned int segment_shift;
	uint64_t hpt_order;
	uint64_t seed;
	const char *svg;
	bool json;
};

static bool read_live_option(int key, struct health_reading *r)
{
	const struct option_value seed = given("--seed");

	switch (key) {
	case KEY_MEMORY:
		r->live = "--memory";
		return read_memory(&r->memory_bytes);
	case KEY_PAGE:
		r->live = "--page";
		return hpt_read_page("hpt", &r->page_shift);
	case KEY_ISA:
		r->live = "--isa";
		return hpt_read_isa("hpt", &r->isa);
	case KEY_SEGMENT:
		r->live = "--segment";
		return hpt_read_segment("hpt", &r->segment_shift);
	case KEY_HPT_ORDER:
		r->live = "--hpt-order";
		return hpt_read_order("hpt", r->live, &r->hpt_order);
	default:
		r->live = "--seed";
		return read_number(&seed, "a seed", 0, (uint64_t)INT64_MAX,
				   &r->seed);
	}
}

static bool read_health_option(int key, struct health_reading *r)
{
	switch (key) {
	case KEY_ORDER:
		return hpt_read_order("hpt", "--order", &r->order);
	case KEY_SVG:
		r->svg = optarg;
		return true;
	case KEY_JSON:
		r->json = true;
		return true;
	default:
		return read_live_option(key, r);
	}
}

static bool agree_on_health(struct health_reading *reading)
{
	if (reading->file && reading->live) {
		complain("hpt",
			 "%s: the table of '%s' is as it is: leave out %s or "
			 "the file",
			 reading->live, reading->file, reading->live);
		return false;
	}
	if (!reading->file && reading->order) {
		complain("hpt", "--order: that is of a table in a file: give "
				"one, or --hpt-order");
		return false;
	}
	if (!reading->hpt_order)
		reading->hpt_order = hpt_order(reading->memory_bytes);
	return is_whole_pages(reading->memory_bytes, reading->page_shift);
}

static int get_stream(const struct health_reading *reading,
		      struct hpt_stream *stream)
{
	const struct machine_hpt_params params = {
		.isa = (int)reading->isa,
		.page_shift = reading->page_shift,
		.segment_shift = reading->segment_shift,
		.order = (unsigned int)reading->hpt_order,
	};
	int err;

	if (!reading->file) {
		if (!hpt_fits("hpt", reading->hpt_order, LIVE_COPIES))
			return STATUS_CANNOT;
		err = hpt_live(&params, reading->memory_bytes, reading->seed,
			       stream);
		return err ? failed(err, "filling a guest's table") : STATUS_OK;
	}
	err = hpt_stream_load(reading->file, stream);
	if (!err)
		return STATUS_OK;
	complain("hpt", "'%s' cannot be read: %s", reading->file,
		 strerror(-err));
	return err == -ENOMEM ? STATUS_CANNOT : STATUS_USAGE;
}

static int draw(const struct hpt_health *health, const char *path)
{
	FILE *file = fopen(path, "w");
	int err = file ? hpt_draw(health, file) : -errno;

	if (file && fclose(file) && !err)
		err = -errno;
	if (!err)
		return STATUS_OK;
	complain("hpt", "--svg: '%s' cannot be written: %s", path,
		 strerror(-err));
	return STATUS_FAILED;
}

static int tell_health(const struct health_reading *reading,
		       const struct hpt_stream *stream)
{
	static struct hpt_health health;
	const char *why = "";
	int err = hpt_health_of(stream, (unsigned int)reading->order, &health,
				&why);

	if (err == -EINVAL) {
		complain("hpt", "'%s' is no table's records: %s",
			 reading->file ? reading->file : "the guest", why);
		return STATUS_FAILED;
	}
	if (err)
		return failed(err, "looking at the table");
	if (reading->svg) {
		const int status = draw(&health, reading->svg);

		if (status != STATUS_OK)
			return status;
	}
	err = hpt_health_print(&health, reading->json);
	return err ? failed(err, "writing it") : STATUS_OK;
}

static int hpt_health(int argc, char **argv)
{
	struct health_reading reading = {
		.memory_bytes = DEFAULT_MEMORY,
		.page_shift = HPT_DEFAULT_PAGE,
		.isa = GLN_HPT_ISA_3_0,
		.segment_shift = HPT_DEFAULT_SEGMENT,
		.seed = DEFAULT_SEED,
	};
	struct hpt_stream stream;
	int key;

	if (argc > 1 && argv[1][0] != '-') {
		reading.file = argv[1];
		argv[1] = argv[0];
		argv++;
		argc--;
	}
	while ((key = option_next(argc, argv, health_options)) != OPTION_END) {
		if (key == OPTION_HELP) {
			fputs(hpt_help, stdout);
			return STATUS_OK;
		}
		if (key == OPTION_BAD || !read_health_option(key, &reading))
			return STATUS_USAGE;
	}
	if (!agree_on_health(&reading))
		return STATUS_USAGE;

	interrupt_install();
	int status = get_stream(&reading, &stream);

	if (status != STATUS_OK)
		return status;
	status = tell_health(&reading, &stream);
	hpt_stream_fini(&stream);
	return status;
}

/* --- all --- */

int command_hpt(int argc, char **argv)
{
	if (argc < 2) {
		complain("hpt", "no subcommand: give size or health");
		return STATUS_USAGE;
	}

	const char *name = argv[1];

	if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
		fputs(hpt_help, stdout);
		return STATUS_OK;
	}
	/* To the reader of options the command is still this one. */
	argv[1] = argv[0];
	if (!strcmp(name, "size"))
		return hpt_size(argc - 1, argv + 1);
	if (!strcmp(name, "health"))
		return hpt_health(argc - 1, argv + 1);
	complain("hpt", "'%s' is not a subcommand: give size or health", name);
	return STATUS_USAGE;
}
