/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_test.c - the platform's memory is zeroed, aligned, and given back.
 */
#include <glean/platform.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/require.h"

/* Around alignments, mappings of their own, and huge pages. */
static const size_t sizes[] = {
	1,
	8,
	63,
	64,
	65,
	1000,
	4095,
	4096,
	4097,
	8192,
	65535,
	65536,
	65537,
	1 << 20,
	(2 << 20) - 1,
	2 << 20,
	(2 << 20) + 1,
	5 << 20,
};

static bool is_zero(const uint8_t *bytes, size_t nr)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, nr - 1);
}

Test(memory, is_zeroed_and_aligned_also_when_used_again)
{
	for (const size_t *size = sizes; size < ARRAY_END(sizes); size++) {
		for (unsigned int i = 0; i < 20; i++) {
			uint8_t *const memory = gln_plat_alloc(*size);
			const uintptr_t alignment = *size % 4096 ? 64 : 4096;

			cr_assert_not_null(memory, "%zu bytes", *size);
			require((uintptr_t)memory % alignment == 0,
				"%zu bytes at %p", *size, (void *)memory);
			require(is_zero(memory, *size),
				"%zu bytes are not zero, time %u", *size, i);
			memset(memory, 0xa5, *size);
			gln_plat_free(memory, *size);
		}
	}
}

/* Tables of MMUs, hashed ones among them: hardware ORs into their address. */
Test(memory, a_power_of_two_is_aligned_to_itself_however_large)
{
	for (unsigned int shift = 12; shift <= 38; shift++) {
		const size_t size = (size_t)1 << shift;
		uint8_t *blocks[3];

		for (size_t i = 0; i < 3; i++) {
			blocks[i] = gln_plat_alloc(size);
			cr_assert_not_null(blocks[i], "2^%u bytes", shift);
			cr_assert_eq((uintptr_t)blocks[i] % size, 0,
				     "2^%u bytes at %p", shift,
				     (void *)blocks[i]);
			cr_assert(!blocks[i][0] && !blocks[i][size - 1]);
			blocks[i][0] = 1;
			blocks[i][size - 1] = 1;
		}
		for (size_t i = 0; i < 3; i++)
			gln_plat_free(blocks[i], size);
	}
}

/* Pages of address space that this process has. */
static long address_space_pages(void)
{
	FILE *const file = fopen("/proc/self/statm", "r");
	long total;

	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%ld", &total), 1);
	fclose(file);
	return total;
}

Test(memory, what_alignment_cost_in_address_space_is_given_back)
{
	const size_t size = (size_t)1 << 30;
	const long before = address_space_pages();
	void *const memory = gln_plat_alloc(size);
	const long with = address_space_pages();
	const long page_bytes = sysconf(_SC_PAGESIZE);

	cr_assert_lt((with - before) * page_bytes, (long)size + (64 << 20));
	gln_plat_free(memory, size);
	cr_assert_lt((address_space_pages() - before) * page_bytes, 64 << 20);
}

Test(memory, blocks_do_not_overlap)
{
	enum { NR = sizeof(sizes) / sizeof(sizes[0]) };
	uint8_t *blocks[NR];

	for (size_t i = 0; i < NR; i++) {
		blocks[i] = gln_plat_alloc(sizes[i]);
		cr_assert_not_null(blocks[i]);
		memset(blocks[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < NR; i++) {
		cr_assert_eq(blocks[i][0], i + 1);
		cr_assert_eq(blocks[i][sizes[i] - 1], i + 1);
		gln_plat_free(blocks[i], sizes[i]);
	}
}

Test(memory, what_no_machine_has_is_refused)
{
	cr_assert_null(gln_plat_alloc(SIZE_MAX / 2));
	cr_assert_null(gln_plat_alloc((size_t)1 << 60));
}

/* Resident pages of this process. */
static long resident_pages(void)
{
	FILE *const file = fopen("/proc/self/statm", "r");
	long total, resident;

	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%ld %ld", &total, &resident), 2);
	fclose(file);
	return resident;
}

Test(memory, what_is_not_touched_takes_none)
{
	const size_t size = (size_t)8 << 30;
	const long before = resident_pages();
	uint8_t *const memory = gln_plat_alloc(size);
	const long page_bytes = sysconf(_SC_PAGESIZE);

	cr_assert_not_null(memory);
	memory[0] = 1;
	memory[size - 1] = 1;
	cr_assert_lt((resident_pages() - before) * page_bytes, 64 << 20);
	gln_plat_free(memory, size);
}
