/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h - guest memory, one 8-byte word at a time or in bulk.
 *
 * vCPUs write pages while these are copied: that is what a live copy is. Words
 * may be old, new or torn then; the page is marked again, so a later round
 * copies it once more.
 */
#ifndef BENCH_GLEAN_COPY_H
#define BENCH_GLEAN_COPY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/** guest_word_store() - as a guest's store instruction: one aligned word. */
static inline void guest_word_store(void *at, uint64_t value)
{
	atomic_store_explicit((_Atomic uint64_t *)at, value,
			      memory_order_relaxed);
}

/** copy_live() - copy memory that others may be writing. @bytes % 8 == 0. */
void copy_live(void *to, const void *from, size_t bytes);

/** count_different_pages() - of two quiet regions of @nr_pages pages. */
uint64_t count_different_pages(const void *a, const void *b, uint64_t nr_pages,
			       uint64_t page_bytes);

#endif
