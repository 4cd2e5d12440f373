/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - a vCPU's dirty ring: pushed by the vCPU, fetched by the consumer,
 * reset under the VM's lock.
 *
 *	      reset_index           dirty_index
 *	-- free --|-- RESET -- DIRTY --|-- free --
 *
 *   R1  Indices run freely, modulo 2^32. The vCPU alone moves dirty_index, the
 *       resetter alone reset_index; entry i is at i modulo the size.
 *   R2  An entry is pushed only where reset_index has passed.
 *   R3  No reset goes past dirty_index, but for the one entry that a push has
 *       shown already and not counted yet.
 *
 * What is in an entry was in a consumer's hands: only flags that lead to a
 * reset, a slot and an offset are read back, once each, and are checked.
 */
#ifndef GLN_CORE_DIRTY_RING_H
#define GLN_CORE_DIRTY_RING_H

#include <glean/ring.h>

#include "core/dirty/arm.h"

/** struct ring_entry - a gln_ring_entry, as several threads use it. */
struct ring_entry {
	_Atomic(uint32_t) flags;
	_Atomic(uint32_t) slot;
	gln_word offset;
};

_Static_assert(sizeof(struct ring_entry) == 16, "KVM's layout");
_Static_assert(sizeof(struct ring_entry) == sizeof(struct gln_ring_entry) &&
		       offsetof(struct ring_entry, slot) ==
			       offsetof(struct gln_ring_entry, slot) &&
		       offsetof(struct ring_entry, offset) ==
			       offsetof(struct gln_ring_entry, offset),
	       "one entry, seen from two sides");

/**
 * struct ring - all of it. A vCPU without one has @entries NULL.
 *
 * @nr_pending:	the resetter's: entries he has seen and not freed yet.
 */
struct ring {
	struct ring_entry *entries;
	uint32_t nr_entries;
	uint32_t soft_limit;
	uint32_t nr_pending;
	_Atomic(uint32_t) dirty_index;
	_Atomic(uint32_t) reset_index;
};

/** glni_ring_init() - allocate @nr_entries of them. 0 or -ENOMEM. */
int glni_ring_init(struct ring *ring, const struct gln_allocator *from,
		   uint32_t nr_entries, uint32_t nr_reserved);
void glni_ring_fini(struct ring *ring, const struct gln_allocator *from);

static inline struct ring_entry *ring_at(const struct ring *ring,
					 uint32_t index)
{
	return &ring->entries[index & (ring->nr_entries - 1)];
}

/**
 * ring_used() - entries that are not free, as their vCPU sees it. Less than 0
 * only where a consumer has played foul (R3).
 */
static inline int32_t ring_used(const struct ring *ring)
{
	/* sync ring.7 (acquire) <- ring.6: his last look at what we reuse. */
	const uint32_t reset = gln_load_acquire(&ring->reset_index);

	/* Relaxed: we are the one who stores it. */
	return (int32_t)(gln_load_relaxed(&ring->dirty_index) - reset);
}

static inline bool ring_is_soft_full(const struct ring *ring)
{
	return ring->entries && ring_used(ring) >= (int32_t)ring->soft_limit;
}

/** ring_push() - by its vCPU. False if there is no free entry at all. */
static inline bool ring_push(struct ring *ring, uint32_t slot, uint64_t page)
{
	/* Relaxed: we are the one who stores it. */
	const uint32_t index = gln_load_relaxed(&ring->dirty_index);
	struct ring_entry *const entry = ring_at(ring, index);

	if (ring_used(ring) >= (int32_t)ring->nr_entries)
		return false;

	/* Relaxed, these: ring.1 shows them. */
	gln_store_relaxed(&entry->slot, slot);
	gln_store_relaxed(&entry->offset, page);
	/*
	 * sync ring.1 (release) -> ring.2: the table's entry that lets the
	 * guest write, and what we say of it, before the flag. Else a reset
	 * finds nothing to protect, or another page (H-47).
	 */
	gln_store_release(&entry->flags, GLN_RING_DIRTY);
	/* Relaxed: nobody reads an entry because of it. */
	gln_store_relaxed(&ring->dirty_index, index + 1);

	return true;
}

/** struct ring_reset - a reset of all rings of a VM, under its lock. */
struct ring_reset {
	const struct slot_set *slots;
	struct gln_backend *backend; /* or NULL */
	struct dirty_stats *stats;
	struct slot *rearmed; /* claimed by us; see slot.next_rearmed */
	struct slot *slot;    /* of the open batch */
	uint64_t page;	      /* its bit 0 */
	uint64_t mask;	      /* 0: there is none */
	uint32_t nr_entries;
};

/**
 * glni_ring_look() - protect what was harvested from @ring.
 *
 * Return: 0; -EBUSY if a harvest kept us from all or the rest of it; or a
 * backend's error.
 */
int glni_ring_look(struct ring_reset *reset, struct ring *ring);

/**
 * glni_ring_settle() - after the last ring: protect the open batch, flush, and
 * let go of the slots. @err: of the looks, when nothing more is asked of the
 * backend. Returns it, or its own.
 */
int glni_ring_settle(struct ring_reset *reset, int err);

/** glni_ring_free_pending() - @ring's entries that were looked at are free. */
void glni_ring_free_pending(struct ring *ring);

/**
 * glni_ring_spill() - mark in bitmaps what is in @ring, which nobody uses.
 *
 * Context: the VM's lock is held.
 */
void glni_ring_spill(struct ring *ring, const struct slot_set *slots);

#endif
