/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_report.c - what `glean hpt` tells.
 */
#include "bench/glean/hpt_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "bench/glean/hpt_size.h"
#include "bench/glean/json.h"
#include "bench/glean/units.h"

#define RULE \
	"1/128 of memory, rounded up to a power of two, from order 18 to 46"

#define BAR_CELLS 40

/* A part that is told as none. */
#define NOTHING 1e-9

static double part(uint64_t number, uint64_t of)
{
	return of ? (double)number / (double)of : 0;
}

static int flushed(void)
{
	return fflush(stdout) || ferror(stdout) ? -EIO : 0;
}

static uint64_t bytes_of(unsigned int order)
{
	return UINT64_C(1) << order;
}

/* --- size --- */

/* A table and its reverse map, which is as large, and the heads. */
struct cost {
	uint64_t memory;
	uint64_t table;
	uint64_t rmap;
};

static struct cost cost_of(const struct hpt_sizes *sizes)
{
	return (struct cost){
		.memory = sizes->memory_bytes,
		.table = bytes_of(sizes->order),
		.rmap = hpt_rmap_bytes(sizes->memory_bytes, sizes->page_shift),
	};
}

static uint64_t scale(uint64_t number, uint64_t by, uint64_t of)
{
	return (uint64_t)((long double)number * (long double)by /
			  (long double)of);
}

/*
 * A node's part by its memory: what the nodes up to it have, less what those
 * before it have, so that all together are all. @before is the memory of those.
 */
static struct cost share_of(const struct hpt_sizes *sizes, uint32_t node,
			    uint64_t before)
{
	const struct cost all = cost_of(sizes);
	const uint64_t after = before + sizes->nodes[node];

	return (struct cost){
		.memory = sizes->nodes[node],
		.table = scale(all.table, after, all.memory) -
			 scale(all.table, before, all.memory),
		.rmap = scale(all.rmap, after, all.memory) -
			scale(all.rmap, before, all.memory),
	};
}

static json_t *cost_json(const struct cost *cost)
{
	json_t *object = json_object();

	json_put_number(object, "memory_bytes", cost->memory);
	json_put_number(object, "table_bytes", cost->table);
	json_put_number(object, "revmap_bytes", cost->table);
	json_put_number(object, "rmap_bytes", cost->rmap);
	json_put_number(object, "total_bytes", 2 * cost->table + cost->rmap);
	return object;
}

static json_t *nodes_json(const struct hpt_sizes *sizes)
{
	json_t *nodes = json_array();
	uint64_t before = 0;

	for (uint32_t i = 0; i < sizes->nr_nodes; i++) {
		const struct cost cost = share_of(sizes, i, before);

		json_append(nodes, cost_json(&cost));
		before += sizes->nodes[i];
	}
	return nodes;
}

static int size_json(const struct hpt_sizes *sizes)
{
	const struct cost cost = cost_of(sizes);
	json_t *object = cost_json(&cost);
	json_t *least = json_object();

	json_put_number(object, "page_bytes", bytes_of(sizes->page_shift));
	json_put_text(object, "rule", RULE);
	json_put_number(object, "order", sizes->order);
	json_put_real(object, "failures", sizes->failures);
	json_put_number(least, "order", sizes->least);
	json_put_number(least, "table_bytes", bytes_of(sizes->least));
	json_put_real(least, "failures", sizes->least_failures);
	json_put(object, "least", least);
	json_put(object, "nodes", nodes_json(sizes));
	return json_print(object, stdout);
}

static void print_nodes(const struct hpt_sizes *sizes)
{
	char memory[UNITS_BYTES], table[UNITS_BYTES], rmap[UNITS_BYTES];
	uint64_t before = 0;

	printf("\n%5s %12s %12s %12s %12s\n", "node", "memory", "table",
	       "reverse map", "page heads");
	for (uint32_t i = 0; i < sizes->nr_nodes; i++) {
		const struct cost cost = share_of(sizes, i, before);

		units_size(table, cost.table);
		printf("%5" PRIu32 " %12s %12s %12s %12s\n", i,
		       units_size(memory, cost.memory), table, table,
		       units_size(rmap, cost.rmap));
		before += sizes->nodes[i];
	}
}

/* What is so little that nobody will see it has no digits. */
static const char *refused(char text[UNITS_BYTES], double failures)
{
	if (failures < NOTHING)
		snprintf(text, UNITS_BYTES, "none");
	else
		snprintf(text, UNITS_BYTES, "%.2g %%", 100 * failures);
	return text;
}

static void print_least(const struct hpt_sizes *sizes)
{
	char table[UNITS_BYTES], part_refused[UNITS_BYTES];

	if (sizes->least == sizes->order)
		return;
	printf("could be     order %u, %s: %u entries for each page; refuses "
	       "%s\n",
	       sizes->least, units_size(table, bytes_of(sizes->least)),
	       HPT_ENTRIES_A_PAGE,
	       refused(part_refused, sizes->least_failures));
}

static void size_text(const struct hpt_sizes *sizes)
{
	const struct cost cost = cost_of(sizes);
	const uint64_t total = 2 * cost.table + cost.rmap;
	char memory[UNITS_BYTES], page[UNITS_BYTES], table[UNITS_BYTES];
	char rmap[UNITS_BYTES], sum[UNITS_BYTES], part_refused[UNITS_BYTES];

	printf("guest        %s, mapped by pages of %s\n",
	       units_size(memory, cost.memory),
	       units_size(page, bytes_of(sizes->page_shift)));
	printf("rule         " RULE "\n");
	printf("order        %u\n", sizes->order);
	units_size(table, cost.table);
	printf("table        %s\n", table);
	printf("reverse map  %s, 16 bytes for each entry\n", table);
	printf("page heads   %s, 8 bytes for each page of %s\n",
	       units_size(rmap, cost.rmap),
	       units_size(page, bytes_of(hpt_slot_shift(sizes->page_shift))));
	printf("together     %s, %.2f %% of the guest\n",
	       units_size(sum, total), 100 * part(total, cost.memory));
	printf("refuses      %s of insertions, if all memory is mapped once\n",
	       refused(part_refused, sizes->failures));
	print_least(sizes);
	if (sizes->nr_nodes > 1)
		print_nodes(sizes);
}

int hpt_size_print(const struct hpt_sizes *sizes, bool json)
{
	if (json)
		return size_json(sizes);
	size_text(sizes);
	return flushed();
}

/* --- health --- */

static json_t *numbers_json(const uint64_t *numbers, size_t nr)
{
	json_t *array = json_array();

	/* What was counted in memory fits. */
	for (size_t i = 0; i < nr; i++)
		json_append(array, json_integer((json_int_t)numbers[i]));
	return array;
}

static json_t *predictions_json(const struct hpt_health *health)
{
	const uint64_t nr = health->used - health->unknown;
	json_t *array = json_array();

	for (size_t i = 0; i < HPT_HEALTH_ORDERS; i++) {
		const struct hpt_prediction *at = &health->at[i];
		json_t *object;

		if (!at->order)
			continue;
		object = json_object();
		json_put_number(object, "order", at->order);
		json_put_number(object, "failures", at->failures);
		json_put_real(object, "failed", part(at->failures, nr));
		json_put_real(object, "failed_if_random", at->random);
		json_append(array, object);
	}
	return array;
}

static int health_json(const struct hpt_health *health)
{
	json_t *object = json_object();
	json_t *chains = json_object();

	json_put_number(object, "order", health->order);
	json_put_number(object, "entries", health->entries);
	json_put_number(object, "used", health->used);
	json_put_real(object, "used_share",
		      part(health->used, health->entries));
	json_put_real(object, "secondary_share",
		      part(health->secondary, health->used));
	json_put_real(object, "bolted_share",
		      part(health->bolted, health->used));
	json_put_number(object, "unknown", health->unknown);
	json_put(object, "groups",
		 numbers_json(health->fill, GLN_HPT_GROUP_ENTRIES + 1));
	json_put_number(chains, "pages", health->pages);
	json_put_number(chains, "longest", health->longest);
	json_put_real(chains, "mean", part(health->used, health->pages));
	json_put(chains, "lengths",
		 numbers_json(health->chains, HPT_HEALTH_CHAINS));
	json_put(object, "chains", chains);
	json_put(object, "predictions", predictions_json(health));
	return json_print(object, stdout);
}

static void print_bar(double share)
{
	for (int i = 0; i < (int)(share * BAR_CELLS + 0.5); i++)
		putchar('#');
	putchar('\n');
}

static void print_groups(const struct hpt_health *health)
{
	const uint64_t nr = health->entries / GLN_HPT_GROUP_ENTRIES;

	printf("\nentries       groups\n");
	for (unsigned int i = 0; i <= GLN_HPT_GROUP_ENTRIES; i++) {
		const double share = part(health->fill[i], nr);

		printf("%7u %12" PRIu64 " %5.1f %%  ", i, health->fill[i],
		       100 * share);
		print_bar(share);
	}
}

static void print_chains(const struct hpt_health *health)
{
	printf("\n  chain        pages\n");
	for (unsigned int i = 0; i < HPT_HEALTH_CHAINS; i++)
		if (health->chains[i])
			printf("%6u%s %12" PRIu64 " %5.1f %%\n", i + 1,
			       i + 1 < HPT_HEALTH_CHAINS ? " " : "+",
			       health->chains[i],
			       100 * part(health->chains[i], health->pages));
}

static void print_predictions(const struct hpt_health *health)
{
	const uint64_t nr = health->used - health->unknown;

	printf("\n  order      refused    of all  if random\n");
	for (size_t i = 0; i < HPT_HEALTH_ORDERS; i++) {
		const struct hpt_prediction *at = &health->at[i];

		if (at->order)
			printf("%c%6u %12" PRIu64 " %7.2f %% %8.2f %%\n",
			       at->order == health->order ? '*' : ' ',
			       at->order, at->failures,
			       100 * part(at->failures, nr), 100 * at->random);
	}
}

int hpt_health_print(const struct hpt_health *health, bool json)
{
	if (json)
		return health_json(health);
	printf("order        %u\n", health->order);
	printf("in use       %" PRIu64 " of %" PRIu64 " entries, %.1f %%\n",
	       health->used, health->entries,
	       100 * part(health->used, health->entries));
	printf("secondary    %.1f %% of them\n",
	       100 * part(health->secondary, health->used));
	printf("bolted       %.1f %%\n",
	       100 * part(health->bolted, health->used));
	if (health->unknown)
		printf("unknown      %" PRIu64 " have no page size\n",
		       health->unknown);
	printf("guest pages  %" PRIu64
	       ", each mapped by %.2f entries, by %" PRIu64 " at most\n",
	       health->pages, part(health->used, health->pages),
	       health->longest);
	print_groups(health);
	print_chains(health);
	print_predictions(health);
	return flushed();
}
