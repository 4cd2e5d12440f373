/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rings.cpp - the client of a dirty ring. ring.h and ring.c are the library's
 * own text; slots and the backend, which ring.c calls, are played here.
 */
#include "tests/model/relacy/rings.h"

#include "core/dirty/ring.h"
#include "tests/model/relacy/model.h"

namespace
{

enum {
	FIRST_ID = 7, /* of the slot that is named, one more each time */
	PAGE = 3,
	NR_PUSHES = 2,
	NR_LOOKS = 3, /* so often a thread looks whether it can go on */
	SLOT_PAGES = 64,
};

struct {
	struct ring ring;
	struct ring_entry entries[1];
	struct gln_ring_cursor cursor;
	struct slot slot;
	struct log log;
	/*
	 * The entry of the page's table: 1 if the guest may write. Plain, for
	 * what is done to it goes round with the ring: made writable and
	 * pushed, fetched, protected and freed.
	 */
	struct model_plain table;
	uint32_t nr_fetched;
	uint32_t nr_protected;
} ringed;

} /* namespace */

struct slot *glni_slot_by_id(const struct slot_set *, uint32_t id)
{
	model_check(id == FIRST_ID + ringed.nr_protected,
		    "an entry names the slot that was pushed");
	return &ringed.slot;
}

struct gln_harvest *glni_rearm_start(struct slot *, struct gln_backend *,
				     struct dirty_stats *)
{
	return nullptr;
}

int glni_rearm(struct gln_harvest *, uint64_t page, uint64_t mask)
{
	model_check(mask == 1 && page == PAGE,
		    "an entry names the page that was pushed");
	model_check(model_read(&ringed.table) == 1,
		    "a page that is protected was writable");
	model_write(&ringed.table, 0);
	ringed.nr_protected++;
	return 0;
}

int glni_rearm_flush(struct gln_harvest *)
{
	return 0;
}

void begin_ring(void)
{
	memset(static_cast<void *>(&ringed), 0, sizeof(ringed));
	gln_store_relaxed(&ringed.entries[0].flags, 0);
	gln_store_relaxed(&ringed.entries[0].slot, 0);
	gln_store_relaxed(&ringed.entries[0].offset, 0);
	gln_store_relaxed(&ringed.ring.dirty_index, 0);
	gln_store_relaxed(&ringed.ring.reset_index, 0);
	gln_store_relaxed(&ringed.slot.claim, 0);
	model_write(&ringed.table, 0);
	ringed.ring.entries = ringed.entries;
	ringed.ring.nr_entries = 1;
	ringed.cursor.entries =
		reinterpret_cast<struct gln_ring_entry *>(ringed.entries);
	ringed.cursor.nr_entries = 1;
	ringed.slot.face.nr_pages = SLOT_PAGES;
	ringed.slot.log = &ringed.log;
}

void vcpu_pushes(void)
{
	uint32_t nr = 0;

	for (unsigned int look = 0; look < NR_LOOKS && nr < NR_PUSHES; look++) {
		if (ring_used(&ringed.ring) >= 1)
			continue;
		model_check(model_read(&ringed.table) == 0,
			    "where there is room, the page is protected");
		model_write(&ringed.table, 1);
		model_check(ring_push(&ringed.ring, FIRST_ID + nr, PAGE),
			    "where there is room, a push goes in");
		nr++;
	}
}

void consumer_fetches(void)
{
	uint32_t id;
	uint64_t page;

	for (unsigned int look = 0; look < NR_LOOKS; look++) {
		if (!gln_ring_fetch(&ringed.cursor, &id, &page))
			continue;
		model_check(id == FIRST_ID + ringed.nr_fetched && page == PAGE,
			    "entries are fetched once each, in order");
		ringed.nr_fetched++;
	}
}

void resetter_resets(void)
{
	for (unsigned int look = 0; look < NR_LOOKS; look++) {
		struct ring_reset reset = {};

		model_check(
			!glni_ring_settle(&reset,
					  glni_ring_look(&reset, &ringed.ring)),
			"a reset succeeds");
		glni_ring_free_pending(&ringed.ring);
	}
}

void check_ring(void)
{
	model_check(ringed.nr_protected <= ringed.nr_fetched,
		    "what is protected was fetched");
}
