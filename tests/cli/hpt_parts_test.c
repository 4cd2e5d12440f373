/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_parts_test.c - the parts of the command that deal with hashed page tables
 * and can be tested alone: sizes, predictions, records, health, and what the
 * small guest kernel maps by what.
 *
 * Random numbers start from fixed seeds: a failure repeats.
 */
#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/glean/hpt_draw.h"
#include "bench/glean/hpt_guest.h"
#include "bench/glean/hpt_health.h"
#include "bench/glean/hpt_size.h"
#include "bench/glean/hpt_stream.h"
#include "bench/glean/random.h"

#define NR(array) (sizeof(array) / sizeof((array)[0]))

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static int nr_failures;

#define CHECK(holds, ...)                                              \
	do {                                                           \
		if (!(holds)) {                                        \
			printf("%s:%d: FAILED: ", __FILE__, __LINE__); \
			printf(__VA_ARGS__);                           \
			putchar('\n');                                 \
			nr_failures++;                                 \
		}                                                      \
	} while (0)

/* --- sizes --- */

static void the_rule_is_a_128th_rounded_up(void)
{
	static const struct {
		uint64_t memory;
		unsigned int order;
	} cases[] = {
		{4096, 18},	 {32 * MIB, 18},   {32 * MIB + 1, 19},
		{64 * MIB, 19},	 {GIB, 23},	   {GIB + 1, 24},
		{3 * GIB, 25},	 {4 * GIB, 25},	   {64 * GIB, 29},
		{GIB << 10, 33}, {GIB << 23, 46},  {GIB << 23 | 1, 46},
		{GIB << 24, 46}, {UINT64_MAX, 46}, {1, 18},
	};

	for (size_t i = 0; i < NR(cases); i++)
		CHECK(hpt_order(cases[i].memory) == cases[i].order,
		      "%llu bytes get order %u",
		      (unsigned long long)cases[i].memory,
		      hpt_order(cases[i].memory));
}

static void larger_pages_need_less(void)
{
	static const struct {
		uint64_t memory;
		unsigned int page_shift;
		unsigned int order;
	} cases[] = {
		{4 * GIB, 12, 25},    {4 * GIB, 16, 21},   {4 * GIB, 24, 18},
		{64 * MIB, 16, 18},   {GIB << 10, 12, 33}, {GIB << 10, 24, 21},
		{UINT64_MAX, 12, 46},
	};

	for (size_t i = 0; i < NR(cases); i++)
		CHECK(hpt_order_least(cases[i].memory, cases[i].page_shift) ==
			      cases[i].order,
		      "case %zu", i);
	for (uint64_t memory = 4096; memory; memory <<= 1)
		CHECK(hpt_order_least(memory, 12) == hpt_order(memory),
		      "with 4 KiB the rule is the least, %llu",
		      (unsigned long long)memory);
	CHECK(hpt_slot_shift(12) == 12 && hpt_slot_shift(16) == 16 &&
		      hpt_slot_shift(24) == 16,
	      "slots have pages of up to 64 KiB");
	CHECK(hpt_rmap_bytes(GIB, 12) == 2 * MIB &&
		      hpt_rmap_bytes(GIB, 16) == MIB / 8 &&
		      hpt_rmap_bytes(GIB, 24) == MIB / 8 &&
		      hpt_rmap_bytes(1, 12) == 8,
	      "heads are 8 bytes a page of the slot");
}

/* What a table refuses of random hashes, by filling one. */
static double simulate(uint64_t nr, unsigned int order, uint64_t seed)
{
	const uint64_t mask =
		(UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1;
	unsigned char *fill = calloc(mask + 1, 1);
	uint64_t refused = 0;

	for (uint64_t i = 0; fill && i < nr; i++) {
		const uint64_t hash = random_next(&seed);

		if (fill[hash & mask] < GLN_HPT_GROUP_ENTRIES)
			fill[hash & mask]++;
		else if (fill[~hash & mask] < GLN_HPT_GROUP_ENTRIES)
			fill[~hash & mask]++;
		else
			refused++;
	}
	free(fill);
	return (double)refused / (double)nr;
}

static void predictions_are_what_filling_gives(void)
{
	/* Entries for each of the 65536 that order 20 has. */
	static const double loads[] = {0.5, 0.75, 0.9, 1.0, 1.5, 4};

	for (size_t i = 0; i < NR(loads); i++) {
		const uint64_t nr = (uint64_t)(65536 * loads[i]);
		const double told = hpt_predict_failures(nr, 20);
		const double seen = simulate(nr, 20, i + 1);

		CHECK(fabs(told - seen) < 0.003 + 0.02 * seen,
		      "load %g: predicted %g, seen %g, seed %zu", loads[i],
		      told, seen, i + 1);
	}
	CHECK(hpt_predict_failures(0, 18) == 0, "nothing is not refused");
	CHECK(hpt_predict_failures(1, 46) < 1e-20, "a lone entry has room");
	CHECK(hpt_predict_failures(UINT64_C(1) << 50, 18) > 0.999,
	      "far too many are refused");
}

/* --- records and health --- */

struct builder {
	unsigned char data[4096];
	size_t bytes;
};

static void put(struct builder *builder, const void *bytes, size_t nr)
{
	memcpy(builder->data + builder->bytes, bytes, nr);
	builder->bytes += nr;
}

static void put_record(struct builder *builder, uint32_t index,
		       uint16_t nr_valid, uint16_t nr_invalid)
{
	const struct gln_hpt_record record = {
		.index = htobe32(index),
		.nr_valid = htobe16(nr_valid),
		.nr_invalid = htobe16(nr_invalid),
	};

	put(builder, &record, sizeof(record));
}

static void put_entry(struct builder *builder, uint64_t v, uint64_t r)
{
	const uint64_t be[2] = {htobe64(v), htobe64(r)};

	put(builder, be, sizeof(be));
}

static struct hpt_stream stream_of(struct builder *builder)
{
	return (struct hpt_stream){builder->data, builder->bytes};
}

/* A page of 4 KiB in a segment of 256 MiB with id 5. */
static uint64_t some_v(uint64_t bits)
{
	return UINT64_C(5) << 12 | GLN_HPTE_V_VALID | bits;
}

/* Ends at entry 66535, so order 21 holds it. */
static void build_table(struct builder *builder)
{
	builder->bytes = 0;
	put_record(builder, 8, 3, 100);
	put_entry(builder, some_v(0), 0x1000);
	put_entry(builder, some_v(GLN_HPTE_V_BOLTED), 0x2000);
	put_entry(builder, some_v(GLN_HPTE_V_SECONDARY), 0x1000);
	put_record(builder, 1000, 2, 65535 - 2);
	put_entry(builder, some_v(0), 0x3000);
	put_entry(builder, some_v(GLN_HPTE_V_LARGE), 0x4000);
}

static void health_counts_what_is_there(void)
{
	static struct builder builder;
	struct hpt_health health;
	const char *why;

	builder.bytes = 0;
	put_record(&builder, 8, 3, 100);
	put_entry(&builder, some_v(0), 0x1000);
	put_entry(&builder, some_v(GLN_HPTE_V_BOLTED), 0x2000);
	put_entry(&builder, some_v(GLN_HPTE_V_SECONDARY), 0x1000);
	put_record(&builder, 1000, 2, 16384 - 1002);
	put_entry(&builder, some_v(0), 0x3000);
	/* LP of 0x02 means nothing. */
	put_entry(&builder, some_v(GLN_HPTE_V_LARGE), 0x2000);

	const struct hpt_stream stream = stream_of(&builder);
	const int err = hpt_health_of(&stream, 0, &health, &why);

	CHECK(!err, "it is a table: %d, %s", err, why);
	CHECK(health.order == 18 && health.entries == 16384 && health.used == 5,
	      "order %u", health.order);
	CHECK(health.fill[0] == 2046 && health.fill[3] == 1 &&
		      health.fill[2] == 1,
	      "two groups are in use");
	CHECK(health.secondary == 1 && health.bolted == 1, "as the bits say");
	CHECK(health.unknown == 1, "one has no page size");
	CHECK(health.longest == 2 && health.chains[1] >= 1,
	      "two map the same page");
	CHECK(health.at[HPT_HEALTH_AROUND].order == 18 &&
		      !health.at[HPT_HEALTH_AROUND].failures &&
		      !health.at[0].order,
	      "no order below 18");
	CHECK(health.nr_cells == 1024 && health.cells[0] > 0 &&
		      health.cells[62] > 0 && health.cells[1] <= 0,
	      "the map shows where");
}

static void health_refuses_what_is_no_table(void)
{
	static struct builder builder;
	struct hpt_health health;
	const char *why = NULL;

	build_table(&builder);
	for (size_t bytes = 0; bytes <= builder.bytes; bytes++) {
		const struct hpt_stream stream = {builder.data, bytes};
		/* Whole records: the first has 8 + 3 * 16 bytes. */
		const bool whole = bytes == 56 || bytes == builder.bytes;

		CHECK((hpt_health_of(&stream, 0, &health, &why) == 0) == whole,
		      "%zu bytes", bytes);
	}

	struct hpt_stream stream = stream_of(&builder);

	CHECK(hpt_health_of(&stream, 18, &health, &why) == -EINVAL &&
		      strstr(why, "past the end"),
	      "order 18 is too small");
	CHECK(hpt_health_of(&stream, 22, &health, &why) == 0 &&
		      health.order == 22,
	      "order 22 is not");
	put_record(&builder, 1000, 0, 1);
	stream = stream_of(&builder);
	CHECK(hpt_health_of(&stream, 0, &health, &why) == -EINVAL &&
		      strstr(why, "ascend"),
	      "two passes are not one");
}

static void random_bytes_do_no_harm(void)
{
	static struct builder builder;
	struct hpt_health health;
	const char *why;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		uint64_t random = seed;

		build_table(&builder);
		for (unsigned int i = 0; i < 3; i++)
			builder.data[random_below(&random, builder.bytes)] ^=
				(unsigned char)(1U << random_below(&random, 8));

		struct hpt_stream stream = stream_of(&builder);

		stream.bytes = random_below(&random, builder.bytes + 1);

		/* An order keeps it from taking a large index at its word. */
		const int err = hpt_health_of(&stream, 22, &health, &why);

		CHECK(err == 0 || err == -EINVAL, "seed %llu: %d",
		      (unsigned long long)seed, err);
	}
}

static void a_pair_holds_sixteen(void)
{
	static struct builder builder;
	struct hpt_health health;
	const char *why;

	builder.bytes = 0;
	put_record(&builder, 0, 8, 16384 - 16);
	for (uint64_t i = 0; i < 8; i++)
		put_entry(&builder, (i << 23 | some_v(0)) & ~UINT64_C(0xf80),
			  i << 12);
	put_record(&builder, 16384 - 8, 8, 0);
	for (uint64_t i = 8; i < 16; i++)
		put_entry(&builder,
			  ((i << 23 | some_v(0)) & ~UINT64_C(0xf80)) |
				  GLN_HPTE_V_SECONDARY,
			  i << 12);

	const struct hpt_stream stream = stream_of(&builder);

	CHECK(!hpt_health_of(&stream, 0, &health, &why), "%s", why);
	CHECK(health.fill[8] == 2 && health.secondary == 8,
	      "a group and its complement are full");
	CHECK(!health.at[HPT_HEALTH_AROUND].failures, "but they hold all");
}

/* An entry of @guest whose primary group at order 19 is @group, from *@ea on.
 */
static void put_entry_of_group(struct builder *builder,
			       const struct hpt_guest *guest, uint64_t group,
			       uint64_t *ea)
{
	while ((gln_hpt_hash(hpt_guest_slb(guest, *ea), *ea) & 4095) != group)
		*ea += 4096;

	const struct gln_hpte entry = hpt_guest_entry(guest, *ea);

	put_entry(builder, entry.v, entry.r);
	*ea += 4096;
}

/*
 * Order 19: 17 entries in four groups, with 9 and 8 in a group and its
 * complement. At order 18 all of them want the first group or the last.
 */
static void a_smaller_table_refuses_what_a_pair_cannot_hold(void)
{
	static const struct {
		uint32_t group;
		uint16_t nr;
	} groups[] = {{0, 5}, {2047, 4}, {2048, 4}, {4095, 4}};
	static const struct hpt_guest_params params = {12, 12, 28, 19, 3};
	static struct builder builder;
	struct hpt_guest *guest;
	struct hpt_health health;
	const char *why;
	uint64_t ea = 0;

	CHECK(!hpt_guest_create(&params, &guest), "a kernel");
	builder.bytes = 0;
	for (size_t i = 0; i < NR(groups); i++) {
		put_record(&builder, groups[i].group * 8, groups[i].nr, 0);
		for (uint16_t j = 0; j < groups[i].nr; j++)
			put_entry_of_group(&builder, guest, groups[i].group,
					   &ea);
	}
	hpt_guest_destroy(guest);

	const struct hpt_stream stream = stream_of(&builder);

	CHECK(!hpt_health_of(&stream, 19, &health, &why), "%s", why);
	CHECK(health.used == 17 && health.pages == 17, "17 pages");
	CHECK(health.at[HPT_HEALTH_AROUND - 1].order == 18 &&
		      health.at[HPT_HEALTH_AROUND - 1].failures == 1,
	      "order 18 refuses one, not %llu",
	      (unsigned long long)health.at[HPT_HEALTH_AROUND - 1].failures);
	for (size_t i = HPT_HEALTH_AROUND; i < HPT_HEALTH_ORDERS; i++)
		CHECK(!health.at[i].failures, "order %u refuses none",
		      health.at[i].order);
}

static void the_drawing_is_whole(void)
{
	static struct builder builder;
	static char text[1 << 20];
	struct hpt_health health;
	const char *why;

	build_table(&builder);

	const struct hpt_stream stream = stream_of(&builder);

	CHECK(!hpt_health_of(&stream, 0, &health, &why), "%s", why);

	FILE *file = fmemopen(text, sizeof(text), "w");

	CHECK(file && !hpt_draw(&health, file), "it is drawn");
	if (file)
		fclose(file);
	CHECK(!strncmp(text, "<?xml", 5) && strstr(text, "</svg>\n") &&
		      strstr(text, "class='bar'") &&
		      strstr(text, "class='cell'"),
	      "it has bars and cells, and an end");
}

/* --- the guest kernel --- */

static const struct hpt_guest_params kernels[] = {
	{12, 12, 28, 18, 1}, {12, 12, 40, 24, 2}, {16, 16, 28, 20, 3},
	{16, 16, 40, 30, 4}, {24, 24, 28, 18, 5}, {24, 24, 40, 46, 6},
	{12, 16, 28, 19, 7}, {16, 24, 40, 22, 8}, {12, 24, 28, 18, 9},
};

static void an_entry_says_what_it_should(void)
{
	for (size_t k = 0; k < NR(kernels); k++) {
		const struct hpt_guest_params *params = &kernels[k];
		uint64_t random = k + 1;
		struct hpt_guest *guest;

		CHECK(!hpt_guest_create(params, &guest), "kernel %zu", k);
		for (int i = 0; i < 10000; i++) {
			const uint64_t ea = random_next(&random) >> 20;
			const uint64_t page =
				ea >> params->actual_shift
					      << params->actual_shift;
			const struct gln_hpte entry =
				hpt_guest_entry(guest, ea);
			const uint64_t slb = hpt_guest_slb(guest, ea);
			const uint64_t mask =
				(UINT64_C(1) << (params->order - 7)) - 1;
			const uint64_t hash = gln_hpt_hash(slb, ea);
			struct gln_hpte_size size;

			CHECK(gln_hpte_decode(entry.v, entry.r, &size) &&
				      size.base == params->base_shift &&
				      size.actual == params->actual_shift,
			      "kernel %zu, ea %llx: its page sizes", k,
			      (unsigned long long)ea);
			CHECK((entry.r & GLN_HPTE_R_RPN) >> size.actual ==
				      page >> size.actual,
			      "kernel %zu, ea %llx: one to one", k,
			      (unsigned long long)ea);
			CHECK((entry.r & (GLN_HPTE_R_R | GLN_HPTE_R_C |
					  GLN_HPTE_R_KEY | GLN_HPTE_R_PP |
					  GLN_HPTE_R_WIMG)) == GLN_HPTE_R_M,
			      "writable, key 0, cached, not yet used");
			CHECK(gln_slb_page_shift(slb) == params->base_shift,
			      "the segment has the base page");
			CHECK(!((gln_hpte_hash(&entry, hash & mask,
					       params->order) ^
				 hash) &
				((UINT64_C(1) << 39) - 1)),
			      "kernel %zu, ea %llx: the hash comes back", k,
			      (unsigned long long)ea);
			/* ISA 3.0 keeps 68 bits of address. */
			CHECK(!(entry.v & ~GLN_HPTE_V_B & ~UINT64_C(0) << 52),
			      "the address fits the later format");
		}
		hpt_guest_destroy(guest);
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;

	return (*x > *y) - (*x < *y);
}

static void segments_have_ids_of_their_own(void)
{
	enum { NR_SEGMENTS = 100000 };
	static uint64_t ids[NR_SEGMENTS];
	/* The VRMA's, as a segment of 1 TiB. */
	const uint64_t vrma = UINT64_C(0x1ffffff);

	for (size_t k = 0; k < NR(kernels); k++) {
		const struct hpt_guest_params *params = &kernels[k];
		const bool huge = params->segment_shift == 40;
		/* An effective address has 64 bits. */
		const uint64_t nr = huge ? 1U << 20 : NR_SEGMENTS;
		struct hpt_guest *guest;

		CHECK(!hpt_guest_create(params, &guest), "kernel %zu", k);
		for (uint64_t i = 0; i < nr && i < NR_SEGMENTS; i++) {
			const uint64_t slb = hpt_guest_slb(
				guest, i << params->segment_shift);

			ids[i] = (slb & ~GLN_SLB_B) >>
				 (huge ? GLN_SLB_VSID_SHIFT_1T
				       : GLN_SLB_VSID_SHIFT);
			CHECK(!huge || ids[i] != vrma, "not the VRMA");
		}
		qsort(ids, NR_SEGMENTS, sizeof(ids[0]), compare);
		for (uint64_t i = 1; i < NR_SEGMENTS; i++)
			CHECK(ids[i] != ids[i - 1], "kernel %zu: twice %llx", k,
			      (unsigned long long)ids[i]);
		hpt_guest_destroy(guest);
	}
}

static void kernels_that_cannot_be_are_refused(void)
{
	static const struct hpt_guest_params bad[] = {
		{12, 12, 30, 18, 1}, {12, 12, 28, 17, 1}, {12, 12, 28, 47, 1},
		{24, 12, 28, 18, 1}, {16, 12, 28, 18, 1}, {14, 14, 28, 18, 1},
		{34, 34, 40, 18, 1}, {0, 0, 0, 0, 0},
	};

	for (size_t i = 0; i < NR(bad); i++) {
		struct hpt_guest *guest = NULL;

		CHECK(hpt_guest_create(&bad[i], &guest) == -EINVAL && !guest,
		      "kernel %zu", i);
	}
}

int main(void)
{
	the_rule_is_a_128th_rounded_up();
	larger_pages_need_less();
	predictions_are_what_filling_gives();
	health_counts_what_is_there();
	health_refuses_what_is_no_table();
	random_bytes_do_no_harm();
	a_pair_holds_sixteen();
	a_smaller_table_refuses_what_a_pair_cannot_hold();
	the_drawing_is_whole();
	an_entry_says_what_it_should();
	segments_have_ids_of_their_own();
	kernels_that_cannot_be_are_refused();
	if (!nr_failures)
		puts("all parts are right");
	return nr_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
