/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - the public way to merge, a read-side section at a time.
 */
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
