/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpte.h - lock and publish entries.
 *
 * The lock is a bit of the first doubleword, so an entry and its reverse map
 * belong to whoever set it. Hardware ignores the bit, and may read the entry,
 * and note R and C in it, at any time while it is valid.
 *
 *	writer				who walks the table
 *	  lock				  read V
 *	  store the second doubleword	  read R
 *	  store the first, unlocked
 *
 * Values are in memory's format and the host's byte order.
 */
#ifndef GLN_CORE_HPT_HPTE_H
#define GLN_CORE_HPT_HPTE_H

#include <glean/platform.h>

#include "core/base/broken.h"
#include "core/hpt/entry.h"

/* GLN_BREAK_PUBLISH_FIRST: long enough for somebody to come between. */
enum { BROKEN_ROUNDS = 2000 };

/** hpte_v(), hpte_r() - look; nothing is ordered. */
static inline uint64_t hpte_v(const struct hpte *entry)
{
	/* Relaxed: a hint until the entry is locked, ours when it is. */
	return hpte_be(gln_load_relaxed(&entry->v));
}

static inline uint64_t hpte_r(const struct hpte *entry)
{
	/* Relaxed: as above; hardware's R and C come when they come. */
	return hpte_be(gln_load_relaxed(&entry->r));
}

/**
 * hpte_try_lock() - one attempt; may fail although nobody has it.
 * @bits:	fail if V has any of these: HVLOCK at least.
 * @v:		V as it was, without the lock.
 */
static inline bool hpte_try_lock(struct hpte *entry, uint64_t bits, uint64_t *v)
{
	/* Relaxed: the exchange below decides. */
	uint64_t seen = gln_load_relaxed(&entry->v);

	if (seen & hpte_be(bits))
		return false;
	/*
	 * sync hpte.1 (acquire) <- hpte.2: what the last holder wrote, R and
	 * the reverse map among it, is there before we read it.
	 */
	if (!gln_cas_acquire(&entry->v, &seen,
			     seen | hpte_be(GLN_HPTE_V_HVLOCK)))
		return false;
	*v = hpte_be(seen);
	return true;
}

/** hpte_lock() - wait for it; returns V, without the lock. */
static inline uint64_t hpte_lock(struct hpte *entry)
{
	unsigned int round = 0;
	uint64_t v;

	while (!hpte_try_lock(entry, GLN_HPTE_V_HVLOCK, &v))
		gln_plat_relax(round++);
	return v;
}

/** hpte_unlock() - make @v the first doubleword; it has no lock bit. */
static inline void hpte_unlock(struct hpte *entry, uint64_t v)
{
	/*
	 * sync hpte.2 (release) -> hpte.1, model.2: the second doubleword and
	 * the reverse map before the first; else hardware uses a new V with an
	 * old R, and the next holder takes an old chain for true (H-79).
	 */
	gln_store_release(&entry->v, hpte_be(v));
}

/** hpte_set_v() - the same, and keep the lock. */
static inline void hpte_set_v(struct hpte *entry, uint64_t v)
{
	hpte_unlock(entry, v | GLN_HPTE_V_HVLOCK);
}

/** hpte_set_r() - the second doubleword; the entry is locked and not valid. */
static inline void hpte_set_r(struct hpte *entry, uint64_t r)
{
	/* Relaxed: hpte_unlock() orders it. */
	gln_store_relaxed(&entry->r, hpte_be(r));
}

/**
 * hpte_clear_r() - clear R of a valid entry, by a store of the byte it is in:
 * C, which hardware may be setting, is in another.
 */
static inline void hpte_clear_r(struct hpte *entry)
{
	gln_byte *const byte = (gln_byte *)(void *)entry + HPTE_R_BYTE;

	/* Relaxed: nothing else of the byte changes while we have the lock. */
	gln_store_relaxed(byte, (uint8_t)(gln_load_relaxed(byte) & ~1U));
}

/** hpte_publish() - both, and unlock. */
static inline void hpte_publish(struct hpte *entry, struct gln_hpte value)
{
	if (GLN_BREAK_PUBLISH_FIRST) {
		hpte_set_v(entry, value.v);
		for (unsigned int i = 0; i < BROKEN_ROUNDS; i++)
			gln_plat_relax(0);
	}
	hpte_set_r(entry, value.r);
	hpte_unlock(entry, value.v);
}

#endif
