/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - the public ways to merge: into a slot's log, a read-side section at
 * a time, and into an open harvest of it.
 */
#include <glean/harvest.h>
#include <glean/merge.h>
#include <glean/slot.h>

#include "core/dirty/merge.h"
#include "core/vm/vm.h"

/*
 * Lines gone through within one read-side section, of 512 pages: as many as of
 * a range that is marked (mark.c), since grace periods wait for it.
 */
#define SECTION_LINES (UINT64_C(1) << 17)

/* True when all is merged, false if there is more; or an error. */
static int merge_some(struct gln_vm *vm, uint32_t id, struct merge *merge)
{
	const struct slot *slot;
	struct bitmap *marks;
	int result = -ENOENT;

	glni_read_lock();
	slot = glni_slot_by_id(&vm->slots, id);
	marks = slot ? slot_marks(slot) : NULL;
	if (marks)
		result = glni_merge_some(merge, slot, marks, SECTION_LINES);
	glni_read_unlock();

	return result;
}

int gln_dirty_merge_sources(struct gln_vm *vm, uint32_t id,
			    struct gln_source *sources, size_t nr_sources)
{
	struct merge merge = {
		.sources = sources,
		.nr_sources = nr_sources,
		.page_shift = vm->page_shift,
	};
	int result = 0;

	if (id >= GLN_SLOT_IDS || !glni_merge_is_valid(sources, nr_sources))
		return -EINVAL;
	if (vm_has_rings_only(vm))
		return -ENXIO;

	while (!result)
		result = merge_some(vm, id, &merge);

	return result < 0 ? result : 0;
}

static uint64_t sum_new(const struct gln_source *sources, size_t nr_sources)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < nr_sources; i++)
		nr += sources[i].nr_new;

	return nr;
}

/* There are @nr_new pages in the harvest that it did not take. */
static void note_merged(struct gln_harvest *harvest, uint64_t nr_new)
{
	/* Where nobody has counted yet, the report will count these too. */
	if (harvest->report.nr_pages)
		harvest->report.nr_pages += nr_new;
	harvest->is_empty = false;
	/* One that found nothing, of one slot, has something to deliver now. */
	if (!harvest->begun_ns && harvest->report.begin_ns)
		harvest->begun_ns = gln_plat_now_ns();
	gln_harvest_rewind(harvest);
}

int gln_harvest_merge_sources(struct gln_harvest *harvest,
			      struct gln_source *sources, size_t nr_sources)
{
	struct log *const log = harvest->log;
	struct merge merge = {
		.sources = sources,
		.nr_sources = nr_sources,
		.page_shift = harvest->slot->face.page_shift,
		.snap = &log->snap,
	};
	uint64_t nr_new;

	if (!glni_merge_is_valid(sources, nr_sources))
		return -EINVAL;

	/* The slot is claimed: it stays what it is, and where. */
	while (!glni_merge_some(&merge, harvest->slot, log->live,
				SECTION_LINES))
		;

	/*
	 * sync merge.1 (seq_cst) <-> merge.1: what the sources said is read
	 * before the pages are copied. The other side is the writer of a source
	 * that is still in use: the page's bytes, then a look at its bit. Else
	 * old bytes are copied of a page that he leaves named.
	 */
	gln_fence_seq_cst();

	nr_new = sum_new(sources, nr_sources);
	if (nr_new)
		note_merged(harvest, nr_new);
	return 0;
}
