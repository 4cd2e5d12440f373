/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * entries.c - entries, hashes and chains of a hashed page table, byte by byte.
 *
 * What hardware reads is big-endian on any host; what the library computes with
 * are numbers. A mistake between the two is one on half of all hosts: this runs
 * on both halves.
 */
#include <glean/hpt.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/hpt/ops.h"
#include "core/hpt/pool.h"
#include "tests/support/stress_frame.h"

enum {
	ORDER = GLN_HPT_ORDER_MIN,
	NR_THREADS = 2,
	NR_ROUNDS = 5000,
	NR_CHAINED = 100,
};

#define SEGMENT	   (UINT64_C(0x12345) << GLN_SLB_VSID_SHIFT)
#define SEGMENT_1T (UINT64_C(0xabcde) << GLN_SLB_VSID_SHIFT_1T | GLN_SLB_1TB)
#define SLB_64K	   (GLN_SLB_L | GLN_SLB_LP_64K)
#define REAL_MODE  (UINT64_C(0x1ffffff) << GLN_SLB_VSID_SHIFT_1T | GLN_SLB_1TB)

static const struct {
	uint64_t slb, ea;
	unsigned int order;
	uint64_t primary, secondary;
} hashes[] = {
	{SEGMENT, 0x0abcdef0, 18, 0x88, 0x777},
	{SEGMENT, 0x0abcdef0, 24, 0x18888, 0x7777},
	{SEGMENT | SLB_64K, 0x0abcdef0, 24, 0x129f9, 0xd606},
	{SEGMENT | GLN_SLB_L, 0x0f000000, 24, 0x1234a, 0xdcb5},
	{SEGMENT_1T | SLB_64K, UINT64_C(0x123456789a), 26, 0x8888, 0x77777},
	{SEGMENT_1T | GLN_SLB_L, UINT64_C(0x123456789a), 26, 0x2aeea, 0x55115},
	{REAL_MODE, 0, 24, 0x1ffff, 0},
};

static void check_hashes(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
		const uint64_t slb = hashes[i].slb;
		const unsigned int order = hashes[i].order;
		const uint64_t mask = (UINT64_C(1) << (order - 7)) - 1;
		const uint64_t hash = gln_hpt_hash(slb, hashes[i].ea);
		struct gln_hpte entry;
		struct gln_hpte_size size;

		size.base = size.actual = gln_slb_page_shift(slb);
		CHECK((hash & mask) == hashes[i].primary, "case %zu", i);
		CHECK((~hash & mask) == hashes[i].secondary, "case %zu", i);
		CHECK(gln_hpte_encode(size, &entry), "case %zu", i);
		entry.v = gln_hpt_vpn(slb, hashes[i].ea);
		CHECK(gln_hpte_hash(&entry, hash & mask, order) == hash,
		      "case %zu: back from primary", i);
		entry.v |= GLN_HPTE_V_SECONDARY;
		CHECK(gln_hpte_hash(&entry, ~hash & mask, order) == hash,
		      "case %zu: back from secondary", i);
	}
	CHECK(gln_hpt_vpn(REAL_MODE, 0) == UINT64_C(0x4001ffffff000000),
	      "V of the first page of real mode");
}

static void check_page_sizes(void)
{
	unsigned int nr = 0;

	for (uint64_t lp = 0; lp < 256; lp++) {
		const uint64_t r = lp << GLN_HPTE_R_LP_SHIFT;
		struct gln_hpte_size size, again;
		struct gln_hpte entry;

		if (!gln_hpte_decode(GLN_HPTE_V_LARGE, r, &size))
			continue;
		nr++;
		CHECK(gln_hpte_encode(size, &entry) &&
			      gln_hpte_decode(entry.v, entry.r, &again),
		      "LP %#x", (unsigned int)lp);
		CHECK(size.base == again.base && size.actual == again.actual,
		      "LP %#x", (unsigned int)lp);
	}
	/* Two with 4 bits of the real page in LP, four without. */
	CHECK(nr == 2 * 16 + 4, "%u encodings", nr);
}

/* Of tlbie, for the addresses of the first vectors: VSID and seven digits. */
static void check_rb(void)
{
	const struct gln_hpte small = {gln_hpt_vpn(SEGMENT, 0x0abcdef0), 0};
	const struct gln_hpte large = {
		gln_hpt_vpn(SEGMENT | SLB_64K, 0x0abcdef0), 0x1000};

	CHECK(glni_hpt_rb(&small, 0x18888 * 8) == UINT64_C(0x12345abcd000),
	      "RB of 4K");
	/* 64K: LP is 1, and c of the address comes again. */
	CHECK(glni_hpt_rb(&large, 0x129f9 * 8) == UINT64_C(0x12345abc10c1),
	      "RB of 64K");
}

static const struct {
	const char *what;
	enum gln_hpt_isa isa;
	uint8_t bytes[16];
} formats[] = {
	{"ISA 2.07",
	 GLN_HPT_ISA_2_07,
	 {0x40, 0x00, 0x0a, 0xbc, 0xde, 0x12, 0x34, 0x05, 0x00, 0x00, 0x00,
	  0x00, 0x12, 0x34, 0x11, 0x92}},
	{"ISA 3.0",
	 GLN_HPT_ISA_3_0,
	 {0x00, 0x00, 0x0a, 0xbc, 0xde, 0x12, 0x34, 0x05, 0x04, 0x00, 0x00,
	  0x00, 0x12, 0x34, 0x11, 0x92}},
};

static void check_formats(void)
{
	const struct gln_hpte old = {UINT64_C(0x40000abcde123405), 0x12341192};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct hpte entry = {0, 0};
		struct gln_hpte back;

		hpte_lock(&entry);
		hpte_publish(&entry, hpte_to_memory(formats[i].isa, old));
		CHECK(!memcmp(&entry, formats[i].bytes, sizeof(entry)), "%s",
		      formats[i].what);
		back = hpte_from_memory(
			formats[i].isa,
			(struct gln_hpte){hpte_v(&entry), hpte_r(&entry)});
		CHECK(back.v == old.v && back.r == old.r, "%s and back",
		      formats[i].what);
	}
}

/* The lock is a bit of the last byte of V; R and C are in two bytes of R. */
static void check_bits(void)
{
	struct hpte entry = {0, 0};
	uint8_t bytes[16];

	hpte_lock(&entry);
	hpte_set_r(&entry, GLN_HPTE_R_R | GLN_HPTE_R_C);
	memcpy(bytes, &entry, sizeof(bytes));
	CHECK(bytes[7] == GLN_HPTE_V_HVLOCK, "the lock");
	CHECK(bytes[HPTE_R_BYTE] == 0x01, "R");
	CHECK(bytes[HPTE_R_BYTE + 1] == 0x80, "C");
}

static struct {
	struct hpte entry;
	uint64_t counter; /* whose lock it is */
} shared;

static void *lock_and_count(void *arg)
{
	for (unsigned int i = 0; i < NR_ROUNDS; i++) {
		const uint64_t v = hpte_lock(&shared.entry);

		shared.counter++;
		hpte_set_r(&shared.entry, shared.counter);
		hpte_unlock(&shared.entry, v);
	}
	return arg;
}

static void check_lock(void)
{
	pthread_t threads[NR_THREADS];

	for (size_t i = 0; i < NR_THREADS; i++)
		CHECK(!pthread_create(&threads[i], NULL, lock_and_count, NULL),
		      "a thread can be made");
	for (size_t i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(shared.counter == NR_THREADS * NR_ROUNDS, "one at a time");
	CHECK(hpte_r(&shared.entry) == NR_THREADS * NR_ROUNDS, "and R with it");
}

static void *plat_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return gln_plat_alloc(bytes);
}

static void plat_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	gln_plat_free(memory, bytes);
}

static const struct gln_allocator allocator = {
	.alloc = plat_alloc,
	.free = plat_free,
};

/* Entries of one page, spread over the table; then every other one leaves. */
static void check_chains(void)
{
	const uint64_t r = GLN_HPTE_R_PP0 | UINT64_C(0x0abcdef987654000) |
			   GLN_HPTE_R_C | GLN_HPTE_R_M | 1;
	struct hpt hpt;
	uint64_t step;

	CHECK(!glni_hpt_init(&hpt, &allocator, GLN_HPT_ISA_3_0, ORDER, NULL),
	      "a table can be made");
	step = hpt.nr_entries / NR_CHAINED;
	for (uint64_t i = 0; i < NR_CHAINED; i++) {
		glni_rev_set_guest(&hpt, i * step, false, r + i % 2);
		glni_rev_set_modified(&hpt, i * step, false);
		glni_rev_link(&hpt, i * step, 0);
	}
	for (uint64_t i = 1; i < NR_CHAINED; i += 2)
		glni_rev_unlink(&hpt, i * step, r);
	for (uint64_t i = 0; i < NR_CHAINED; i++) {
		CHECK(glni_rev_guest(&hpt, i * step, i % 2 == 0, 0) == r,
		      "R of %u", (unsigned int)i);
		CHECK(glni_rev_take_modified(&hpt, i * step, i % 2 == 0),
		      "MODIFIED of %u", (unsigned int)i);
		CHECK(i % 2 || glni_rev_next(&hpt, i * step) ==
				       (i + 2) % NR_CHAINED * step,
		      "the one after %u", (unsigned int)i);
	}
	glni_hpt_fini(&hpt, &allocator);
}

int main(void)
{
	const uint16_t one = 1;
	uint8_t first;

	memcpy(&first, &one, sizeof(first));
	printf("%s-endian host\n", first ? "little" : "big");

	check_hashes();
	check_page_sizes();
	check_rb();
	check_formats();
	check_bits();
	check_lock();
	check_chains();
	return stress_verdict(0);
}
