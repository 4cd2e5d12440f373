/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * types.h - the words every other header of glean is written in.
 *
 * Units, everywhere in this library: frames and pages are counted, in 64 bits;
 * sizes that end in _bytes are bytes; times that end in _ns are nanoseconds.
 */
#ifndef GLN_TYPES_H
#define GLN_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define GLN_BEGIN_DECLS extern "C" {
#define GLN_END_DECLS	}
#else
#define GLN_BEGIN_DECLS
#define GLN_END_DECLS
#endif

/** Marks a symbol of the library's interface; all others stay inside. */
#define GLN_PUBLIC __attribute__((visibility("default")))

/** Version of the headers. gln_version() gives that of the library. */
#define GLN_VERSION_MAJOR 0
#define GLN_VERSION_MINOR 1
#define GLN_VERSION_PATCH 0

/** gln_gfn - guest frame number: guest physical address >> page_shift. */
typedef uint64_t gln_gfn;

/** struct gln_range - frames [first, first + count); empty when count is 0. */
struct gln_range {
	gln_gfn first;
	uint64_t count;
};

/**
 * struct gln_allocator - where a VM's memory comes from.
 *
 * @alloc:	return @bytes of zeroed memory, or NULL. Aligned to 64 bytes; to
 *		4096 when @bytes is a multiple of 4096; to @bytes when that is
 *		a power of two from 4096 to 1 MiB: tables of MMUs. A hashed
 *		page table asks for more: see hpt.h.
 * @free:	give back what @alloc returned; @bytes as it was asked for.
 * @ctx:	passed to both.
 *
 * Context: the library calls both one at a time for a VM, from whichever thread
 * creates or destroys it, registers a vCPU, changes a slot or switches logging;
 * never from mark, fault, harvest or get (G6). A backend's allocator is called
 * one at a time for the backend, also when a vCPU tops up or blocks are split.
 */
struct gln_allocator {
	void *(*alloc)(void *ctx, size_t bytes);
	void (*free)(void *ctx, void *memory, size_t bytes);
	void *ctx;
};

#endif
