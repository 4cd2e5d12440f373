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
