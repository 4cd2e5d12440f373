/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * page.h - the head of a guest page's chain: one word a page of a slot.
 *
 * Lock order: an entry, then the head of its page. Who comes from the head
 * looks which entry is first, without the lock, and begins with that (H-65).
 * Neither is held while anything sleeps (H-66).
 *
 * A large page is in the chain of its first page only.
 */
#ifndef GLN_CORE_HPT_PAGE_H
#define GLN_CORE_HPT_PAGE_H

#include <glean/platform.h>

#include "core/base/atomic.h"

/* An order-46 table has 2^42 entries. */
#define PAGE_HEAD    ((UINT64_C(1) << 42) - 1) /* index of the first entry */
#define PAGE_PRESENT (UINT64_C(1) << 42)       /* there is one */
/* What entries that are gone had noted; by the bits of R. */
#define PAGE_R	     (UINT64_C(1) << 43)
#define PAGE_C	     (UINT64_C(1) << 44)
#define PAGE_LOCK    (UINT64_C(1) << 63)

/** page_try_lock() - one attempt; the head without the lock in @head. */
static inline bool page_try_lock(gln_word *page, uint64_t *head)
{
	/* Relaxed: the exchange below decides. */
	uint64_t seen = gln_load_relaxed(page);

	if (seen & PAGE_LOCK)
		return false;
	/*
	 * sync page.1 (acquire) <- page.2: the links that the last holder
	 * changed before we follow them.
	 */
	if (!gln_cas_acquire(page, &seen, seen | PAGE_LOCK))
		return false;
	*head = seen;
	return true;
}

/** page_lock() - wait for it; returns the head without the lock. */
static inline uint64_t page_lock(gln_word *page)
{
	unsigned int round = 0;
	uint64_t head;

	while (!page_try_lock(page, &head))
		gln_plat_relax(round++);
	return head;
}

/** page_unlock() - and @head, without the lock, is what it says. */
static inline void page_unlock(gln_word *page, uint64_t head)
{
	/* sync page.2 (release) -> page.1: the links before the lock is free.
	 */
	gln_store_release(page, head);
}

#endif
