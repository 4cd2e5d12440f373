/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - reset rings: from entries to masks, protected and flushed.
 *
 * Entries are freed last. So a backend that fails leaves them harvested, and
 * what it did protect only faults once more.
 */
#include "core/dirty/ring.h"

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/dirty/mark.h"

static size_t ring_bytes(uint32_t nr_entries)
{
	return (size_t)nr_entries * sizeof(struct ring_entry);
}

int glni_ring_init(struct ring *ring, const struct gln_allocator *from,
		   uint32_t nr_entries, uint32_t nr_reserved)
{
	ring->entries = gln_alloc(from, ring_bytes(nr_entries));
	if (!ring->entries)
		return -ENOMEM;
	ring->nr_entries = nr_entries;
	ring->soft_limit = nr_entries - nr_reserved;

	return 0;
}

void glni_ring_fini(struct ring *ring, const struct gln_allocator *from)
{
	gln_free(from, ring->entries, ring_bytes(ring->nr_entries));
	ring->entries = NULL;
}

/* Protect the open batch and close it. */
static int close_batch(struct ring_reset *reset)
{
	const uint64_t mask = reset->mask;

	reset->mask = 0;
	if (!mask || !reset->slot)
		return 0;
	return glni_rearm(&reset->slot->log->harvest, reset->page, mask);
}

/* Put a page into the open batch. False if it lies too far from it. */
static bool join_batch(struct ring_reset *reset, uint64_t page)
{
	uint64_t back;

	if (!reset->mask)
		return false;
	if (page >= reset->page) {
		if (page - reset->page >= GLN_WORD_BITS)
			return false;
		reset->mask |= UINT64_C(1) << (page - reset->page);
		return true;
	}

	back = reset->page - page;
	if (back >= GLN_WORD_BITS || reset->mask >> (GLN_WORD_BITS - back))
		return false;
	reset->page = page;
	reset->mask = reset->mask << back | 1;
	return true;
}

/* Hold @slot until the flush. */
static int claim(struct ring_reset *reset, struct slot *slot)
{
	if (slot->next_rearmed)
		return 0;
	if (!slot_try_claim(slot))
		return -EBUSY;

	slot->next_rearmed = reset->rearmed ? reset->rearmed : slot;
	reset->rearmed = slot;
	glni_rearm_start(slot, reset->backend, reset->stats);
	return 0;
}

/* Have a page protected, with others if they are near. */
static int rearm_page(struct ring_reset *reset, uint32_t id, uint64_t page)
{
	struct slot *slot = reset->slot;
	int err;

	if (!slot || slot->face.id != id)
		slot = glni_slot_by_id(reset->slots, id);
	if (!slot || !slot->log || page >= slot->face.nr_pages)
		return 0;
	if (slot == reset->slot && join_batch(reset, page))
		return 0;

	err = close_batch(reset);
	if (!err)
		err = claim(reset, slot);
	if (err)
		return err;
	reset->slot = slot;
	reset->page = page;
	reset->mask = 1;
	return 0;
}

/* Has the consumer harvested entry @index? */
static bool is_harvested(const struct ring *ring, uint32_t index)
{
	/* sync ring.4 (acquire) <- ring.3: all that led to the fetch. */
	const uint32_t flags = gln_load_acquire(&ring_at(ring, index)->flags);

	if (!(flags & GLN_RING_RESET))
		return false;
	/*
	 * Relaxed: who has honestly seen the entry has seen, by ring.1, the
	 * index before it; and that one entry more is R3's.
	 */
	return (int32_t)(gln_load_relaxed(&ring->dirty_index) - index) >= 0;
}

int glni_ring_look(struct ring_reset *reset, struct ring *ring)
{
	/* Relaxed: it is ours, by the VM's lock. */
	const uint32_t first = gln_load_relaxed(&ring->reset_index);
	const uint32_t max = (uint32_t)gln_min(
		ring->nr_entries, (uint32_t)INT32_MAX - reset->nr_entries);
	uint32_t nr = 0;
	int err = 0;

	while (nr < max && is_harvested(ring, first + nr)) {
		struct ring_entry *const entry = ring_at(ring, first + nr);

		/* Relaxed: shown by ring.4, if the consumer is honest. */
		err = rearm_page(reset, gln_load_relaxed(&entry->slot),
				 gln_load_relaxed(&entry->offset));
		if (err)
			break;
		nr++;
	}

	ring->nr_pending = nr;
	reset->nr_entries += nr;
	return err;
}

/* The claimed slot after @slot; NULL after the last. */
static struct slot *next_rearmed(const struct slot *slot)
{
	return slot->next_rearmed == slot ? NULL : slot->next_rearmed;
}

static int flush_all(struct ring_reset *reset)
{
	int err = close_batch(reset);

	for (struct slot *slot = reset->rearmed; slot && !err;
	     slot = next_rearmed(slot))
		err = glni_rearm_flush(&slot->log->harvest);

	return err;
}

int glni_ring_settle(struct ring_reset *reset, int err)
{
	struct slot *slot = reset->rearmed;

	if (!err)
		err = flush_all(reset);
	while (slot) {
		struct slot *const next = next_rearmed(slot);

		slot->next_rearmed = NULL;
		slot_release(slot);
		slot = next;
	}

	return err;
}

void glni_ring_free_pending(struct ring *ring)
{
	/* Relaxed: it is ours, by the VM's lock. */
	const uint32_t first = gln_load_relaxed(&ring->reset_index);

	for (uint32_t i = 0; i < ring->nr_pending; i++)
		/*
		 * sync ring.5 (release) -> ring.2: what we read of it, and the
		 * protection, before it is free.
		 */
		gln_store_release(&ring_at(ring, first + i)->flags, 0);
	/* sync ring.6 (release) -> ring.7: the same, for who pushes there. */
	gln_store_release(&ring->reset_index, first + ring->nr_pending);
	ring->nr_pending = 0;
}

/* Mark a page of @slot, if there are both. In a read-side section. */
static void spill_page(struct slot *slot, uint64_t page)
{
	if (slot && page < slot->face.nr_pages)
		slot_mark_page(slot, page);
}

void glni_ring_spill(struct ring *ring, const struct slot_set *slots)
{
	/* Relaxed, all of these: nobody uses the ring any more. */
	const uint32_t end = gln_load_relaxed(&ring->dirty_index);
	uint32_t i = gln_load_relaxed(&ring->reset_index);

	for (; (int32_t)(end - i) > 0; i++) {
		struct ring_entry *const entry = ring_at(ring, i);

		glni_read_lock();
		spill_page(
			glni_slot_by_id(slots, gln_load_relaxed(&entry->slot)),
			gln_load_relaxed(&entry->offset));
		glni_read_unlock();
	}
}

bool gln_ring_fetch(struct gln_ring_cursor *cursor, uint32_t *slot,
		    uint64_t *offset)
{
	struct ring_entry *const entries = (void *)cursor->entries;
	struct ring_entry *const entry =
		&entries[cursor->next & (cursor->nr_entries - 1)];

	/* sync ring.2 (acquire) <- ring.1, ring.5: slot and page (H-47). */
	if (gln_load_acquire(&entry->flags) != GLN_RING_DIRTY)
		return false;

	/* Relaxed, both: shown by ring.2. */
	*slot = gln_load_relaxed(&entry->slot);
	*offset = gln_load_relaxed(&entry->offset);
	/*
	 * sync ring.3 (release) -> ring.4: what ring.1 showed us goes on to the
	 * resetter, and our reading is over.
	 */
	gln_store_release(&entry->flags, GLN_RING_RESET);
	cursor->next++;

	return true;
}
