/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - a guest of real memory: what it has, and a second region of the
 * same size that it is copied to.
 */
#ifndef BENCH_GLEAN_GUEST_H
#define BENCH_GLEAN_GUEST_H

#include <stdint.h>

#include <glean/types.h>

/**
 * Its first frame, or where larger pages map it, the next that one can begin
 * at. Neither 0 nor a multiple of 64, so that a page of the slot taken for a
 * frame of the guest, or the reverse, shows.
 */
#define GUEST_BASE_GFN UINT64_C(0x1001)

/**
 * guest_base() - its first byte, as a guest physical address.
 * @align_bytes: a power of two that it is a multiple of; at least a page.
 */
static inline uint64_t guest_base(uint64_t page_bytes, uint64_t align_bytes)
{
	const uint64_t base = GUEST_BASE_GFN * page_bytes;

	return (base + align_bytes - 1) & ~(align_bytes - 1);
}

/**
 * struct guest - its memory; both regions are page aligned.
 *
 * @base:	its first frame.
 */
struct guest {
	gln_gfn base;
	uint64_t nr_pages;
	uint64_t page_bytes;
	unsigned char *memory;
	unsigned char *copy;
};

/**
 * guest_memory_needed() - bytes of memory that such a guest takes, its copy
 * and the page tables included.
 * guest_memory_largest() - the largest guest, in bytes, that so much will do
 * for. guest_memory_available() - bytes that this machine, or the control group
 * this process is in, can give; UINT64_MAX if it does not say.
 */
uint64_t guest_memory_needed(uint64_t memory_bytes);
uint64_t guest_memory_largest(uint64_t available_bytes);
uint64_t guest_memory_available(void);

/**
 * The largest block of any second-stage table. The guest's physical addresses
 * and the host's addresses of its memory agree modulo this, so that blocks of
 * all sizes can map it.
 */
#define GUEST_BLOCK_BYTES (UINT64_C(1) << 30)

/**
 * guest_create() - map both regions, nothing in them yet.
 * @align_bytes: see guest_base().
 *
 * Return: 0 or -ENOMEM.
 */
int guest_create(struct guest *guest, uint64_t memory_bytes,
		 uint64_t page_bytes, uint64_t align_bytes);
void guest_destroy(struct guest *guest);

/**
 * guest_fill() - give every page contents of its own, and the copy its memory.
 *
 * Return: 0; -EINTR if a signal came.
 */
int guest_fill(struct guest *guest);

/** guest_page() - address of a page; copy_page() - of its copy. */
static inline unsigned char *guest_page(const struct guest *guest,
					uint64_t page)
{
	return guest->memory + page * guest->page_bytes;
}

static inline unsigned char *guest_copy_page(const struct guest *guest,
					     uint64_t page)
{
	return guest->copy + page * guest->page_bytes;
}

#endif
