/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_allocator.h - an allocator that counts, and fails when told to.
 *
 * It holds the library to struct gln_allocator: what is freed was allocated,
 * with the same size; and gives only what that promises. A block is no byte
 * longer than asked, so that AddressSanitizer sees every step past its end. A
 * breach ends the test with a line on standard error.
 */
#ifndef GLN_TESTS_SUPPORT_FAKE_ALLOCATOR_H
#define GLN_TESTS_SUPPORT_FAKE_ALLOCATOR_H

#include <glean/types.h>

enum { FAKE_BLOCKS = 4096 };

/**
 * struct fake_allocator - give @allocator to the VM.
 *
 * @nr_calls:	of alloc, failed ones too.
 * @fail_at:	which call fails: 1 is the next one, 0 none.
 * @nr_live:	blocks not freed yet.
 * @live_bytes:	what they sum up to.
 */
struct fake_allocator {
	struct gln_allocator allocator;
	uint64_t nr_calls;
	uint64_t fail_at;
	size_t nr_live;
	uint64_t live_bytes;
	struct {
		void *memory;
		size_t bytes;
	} blocks[FAKE_BLOCKS];
};

/** fake_allocator_init() - no blocks, no failure ahead. */
void fake_allocator_init(struct fake_allocator *fake);

#endif
