/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_health.c - how a hashed page table is filled.
 */
#include "bench/glean/hpt_health.h"

#include <errno.h>
#include <stdlib.h>

#include "bench/glean/hpt_size.h"

/* Pairs of groups of the largest table that is predicted: 1 GiB of counts. */
#define PREDICT_ORDER_MAX 36U

/* A group and its complement hold so many. */
#define PAIR_ENTRIES (2 * GLN_HPT_GROUP_ENTRIES)

/* An entry that is in use. */
struct used {
	struct gln_hpte entry;
	uint64_t index;
};

/* The table as it was read; @pages is for sorting. */
struct reading {
	struct used *used;
	uint64_t *pages;
	uint64_t end;
};

/* --- reading --- */

static int count_records(const struct hpt_stream *stream, uint64_t *nr_valid,
			 uint64_t *end, const char **why)
{
	struct gln_hpt_record record;
	const unsigned char *entries;
	size_t at = 0;
	int more;

	*nr_valid = 0;
	*end = 0;
	while ((more = hpt_stream_next(stream, &at, &record, &entries)) > 0) {
		*why = "its records do not ascend: one pass is wanted";
		if (record.index < *end)
			return -EINVAL;
		*nr_valid += record.nr_valid;
		*end = (uint64_t)record.index + record.nr_valid +
		       record.nr_invalid;
	}
	*why = "its last record is cut off";
	return more;
}

static void take_entries(const struct hpt_stream *stream,
			 struct reading *reading, struct hpt_health *health)
{
	struct gln_hpt_record record;
	const unsigned char *entries;
	size_t at = 0;

	while (hpt_stream_next(stream, &at, &record, &entries) > 0) {
		for (uint64_t i = 0; i < record.nr_valid; i++) {
			const struct gln_hpte entry =
				hpt_stream_entry(entries, i);

			if (!(entry.v & GLN_HPTE_V_VALID))
				continue;
			reading->used[health->used++] = (struct used){
				.entry = entry,
				.index = record.index + i,
			};
		}
	}
}

static int find_order(uint64_t end, unsigned int *order, const char **why)
{
	unsigned int least = GLN_HPT_ORDER_MIN;

	while (end > UINT64_C(1) << (least - GLN_HPT_ENTRY_SHIFT))
		least++;
	*why = "it has no records";
	if (!end)
		return -EINVAL;
	*why = "it has entries past the end of a table of that order";
	if (*order && *order < least)
		return -EINVAL;
	if (!*order)
		*order = least;
	return 0;
}

/* --- looking --- */

static void look_at_entries(const struct reading *reading,
			    struct hpt_health *health)
{
	for (uint64_t i = 0; i < health->used; i++) {
		const struct gln_hpte *entry = &reading->used[i].entry;
		struct gln_hpte_size size;

		health->secondary += !!(entry->v & GLN_HPTE_V_SECONDARY);
		health->bolted += !!(entry->v & GLN_HPTE_V_BOLTED);
		if (!gln_hpte_decode(entry->v, entry->r, &size)) {
			health->unknown++;
			size.actual = 12;
		}
		reading->pages[i] = (entry->r & GLN_HPTE_R_RPN) >>
				    size.actual << size.actual;
	}
}

/* Entries are ascending: the groups' come one after the other. */
static void look_at_groups(const struct reading *reading,
			   struct hpt_health *health)
{
	const uint64_t nr_groups = health->entries / GLN_HPT_GROUP_ENTRIES;
	const uint64_t cells =
		nr_groups < HPT_HEALTH_CELLS ? nr_groups : HPT_HEALTH_CELLS;
	const uint64_t cell_entries = health->entries / cells;
	uint64_t nr_filled = 0;

	health->nr_cells = (unsigned int)cells;
	for (uint64_t i = 0; i < health->used;) {
		const uint64_t first = reading->used[i].index;
		uint64_t nr = 0;

		for (; i < health->used && !((reading->used[i].index ^ first) /
					     GLN_HPT_GROUP_ENTRIES);
		     i++)
			nr++;
		health->fill[nr]++;
		nr_filled++;
		health->cells[first / cell_entries] +=
			(double)nr / (double)cell_entries;
	}
	health->fill[0] = nr_groups - nr_filled;
}

static int compare_pages(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static void look_at_chains(const struct reading *reading,
			   struct hpt_health *health)
{
	uint64_t *pages = reading->pages;

	qsort(pages, health->used, sizeof(*pages), compare_pages);
	for (uint64_t i = 0; i < health->used;) {
		const uint64_t page = pages[i];
		uint64_t nr = 0;

		for (; i < health->used && pages[i] == page; i++)
			nr++;
		health->pages++;
		health->longest = nr > health->longest ? nr : health->longest;
		health->chains[nr < HPT_HEALTH_CHAINS
				       ? nr - 1
				       : HPT_HEALTH_CHAINS - 1]++;
	}
}

/* --- predicting --- */

static uint64_t hash_of(const struct used *used, unsigned int order)
{
	return gln_hpte_hash(&used->entry, used->index / GLN_HPT_GROUP_ENTRIES,
			     order);
}

/* The pair of its two groups: the one of them in the lower half. */
static uint64_t pair_of(uint64_t hash, uint64_t nr_pairs)
{
	return (hash & nr_pairs ? ~hash : hash) & (nr_pairs - 1);
}

static int predict(const struct reading *reading,
		   const struct hpt_health *health,
		   struct hpt_prediction *prediction)
{
	const uint64_t nr_pairs =
		UINT64_C(1) << (prediction->order - GLN_HPT_GROUP_SHIFT - 1);
	uint32_t *counts = calloc(nr_pairs, sizeof(*counts));
	struct gln_hpte_size size;

	if (!counts)
		return -ENOMEM;
	for (uint64_t i = 0; i < health->used; i++) {
		const struct used *used = &reading->used[i];

		if (gln_hpte_decode(used->entry.v, used->entry.r, &size))
			counts[pair_of(hash_of(used, health->order),
				       nr_pairs)]++;
	}
	for (uint64_t i = 0; i < nr_pairs; i++)
		if (counts[i] > PAIR_ENTRIES)
			prediction->failures += counts[i] - PAIR_ENTRIES;
	free(counts);
	prediction->random = hpt_predict_failures(
		health->used - health->unknown, prediction->order);
	return 0;
}

static int predict_all(const struct reading *reading, struct hpt_health *health)
{
	int err = 0;

	for (unsigned int i = 0; i < HPT_HEALTH_ORDERS && !err; i++) {
		const unsigned int order =
			health->order + i - HPT_HEALTH_AROUND;

		if (order < GLN_HPT_ORDER_MIN || order > PREDICT_ORDER_MAX)
			continue;
		health->at[i].order = order;
		err = predict(reading, health, &health->at[i]);
	}
	return err;
}

/* --- all --- */

static int look(const struct hpt_stream *stream, struct reading *reading,
		struct hpt_health *health)
{
	take_entries(stream, reading, health);
	look_at_entries(reading, health);
	look_at_groups(reading, health);
	look_at_chains(reading, health);
	return predict_all(reading, health);
}

int hpt_health_of(const struct hpt_stream *stream, unsigned int order,
		  struct hpt_health *health, const char **why)
{
	struct reading reading;
	uint64_t nr_valid;
	int err = count_records(stream, &nr_valid, &reading.end, why);

	if (!err)
		err = find_order(reading.end, &order, why);
	if (err)
		return err;

	*health = (struct hpt_health){
		.order = order,
		.entries = UINT64_C(1) << (order - GLN_HPT_ENTRY_SHIFT),
	};
	/* One more: nothing allocated is no failure. */
	reading.used = calloc(nr_valid + 1, sizeof(*reading.used));
	reading.pages = calloc(nr_valid + 1, sizeof(*reading.pages));
	err = reading.used && reading.pages ? look(stream, &reading, health)
					    : -ENOMEM;
	free(reading.used);
	free(reading.pages);
	return err;
}
