/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mark.c - the public ways to mark (G1, G3).
 */
#include <glean/dirty.h>
#include <glean/slot.h>

#include "core/vm/vm.h"

/*
 * Pages marked within one read-side section: grace periods wait for it, and an
 * embedder may have preemption off. 64 Mi pages are 8 MiB of bitmap.
 */
#define SECTION_PAGES (UINT64_C(1) << 26)

#define NOINLINE __attribute__((noinline))

bool glni_vcpu_mark(struct gln_vcpu *vcpu, struct slot *slot, gln_gfn gfn)
{
	const uint64_t page = gfn - slot->face.base;

	if (vcpu->ring.entries && slot_marks(slot)) {
		if (ring_push(&vcpu->ring, slot->face.id, page)) {
			vcpu_count(vcpu, VCPU_RING_PUSHES);
			return true;
		}
		vcpu_count(vcpu, VCPU_RING_OVERFLOWS);
	}

	return slot_mark_page(slot, page);
}

/*
 * A mark has a short way and a long one. The short way looks at one slot, the
 * likeliest, and calls nothing before it has seen that the page is marked. What
 * is not as usual goes the long way: a ring, another slot, one that is not
 * logged.
 *
 * The long way, and what is left of the short one where the page is not marked,
 * are functions that it ends with: so it need not save a register for them.
 */
static NOINLINE int mark_anywhere(struct gln_vm *vm, gln_gfn gfn)
{
	return dirty_mark(&vm->slots, gfn);
}

/* In a section, which ends here. */
static NOINLINE int mark_here(struct mark_place place)
{
	const bool is_new = bitmap_mark_rest(place.marks, place.page);

	glni_read_unlock();
	return is_new;
}

/* Is @gfn in the largest slot, where most are? */
static inline bool find_in_largest(const struct gln_vm *vm, gln_gfn gfn,
				   struct mark_place *place)
{
	const struct slot_array *const array = slot_array_get(&vm->slots);

	return array && array->largest &&
	       mark_place_find(array->largest, gfn, place);
}

int gln_dirty_mark(struct gln_vm *vm, gln_gfn gfn)
{
	struct mark_place place;

	if (vm_has_rings_only(vm))
		return -ENXIO;
	glni_read_lock();
	if (!find_in_largest(vm, gfn, &place)) {
		glni_read_unlock();
		return mark_anywhere(vm, gfn);
	}
	if (!bitmap_is_marked(place.marks, place.page))
		return mark_here(place);
	glni_read_unlock();

	return 0;
}

/* The slot of @gfn, or NULL. The vCPU remembers which one it is. */
static struct slot *find_slot(struct gln_vcpu *vcpu, gln_gfn gfn)
{
	const struct slot_array *const array = slot_array_get(&vcpu->vm->slots);
	const size_t i = slot_at_or_after(array, gfn);

	if (!array || i == array->nr_slots || !slot_has(array->slots[i], gfn))
		return NULL;
	/* Relaxed: of one thread, and of its signal handlers. */
	gln_store_relaxed(&vcpu->last_slot, i);
	return array->slots[i];
}

static NOINLINE int vcpu_mark_anywhere(struct gln_vcpu *vcpu, gln_gfn gfn)
{
	struct slot *slot;
	int result = -ENOENT;

	glni_read_lock();
	slot = find_slot(vcpu, gfn);
	if (slot)
		result = glni_vcpu_mark(vcpu, slot, gfn);
	glni_read_unlock();

	vcpu_count(vcpu, VCPU_MARKS);
	if (result > 0)
		vcpu_count(vcpu, VCPU_NEW_MARKS);
	return result;
}

static NOINLINE int vcpu_mark_here(struct gln_vcpu *vcpu,
				   struct mark_place place)
{
	const int is_new = mark_here(place);

	vcpu_count(vcpu, VCPU_MARKS);
	if (is_new)
		vcpu_count(vcpu, VCPU_NEW_MARKS);
	return is_new;
}

/* Is @gfn in the slot that has the place of the last one? */
static inline bool find_in_last(const struct gln_vcpu *vcpu, gln_gfn gfn,
				struct mark_place *place)
{
	const struct slot_array *const array = slot_array_get(&vcpu->vm->slots);
	/* Relaxed: a guess, of an array that may have been another one. */
	const size_t i = gln_load_relaxed(&vcpu->last_slot);

	return array && i < array->nr_slots &&
	       mark_place_find(array->slots[i], gfn, place);
}

int gln_vcpu_mark(struct gln_vcpu *vcpu, gln_gfn gfn)
{
	struct mark_place place;

	if (vcpu->ring.entries)
		return vcpu_mark_anywhere(vcpu, gfn);
	glni_read_lock();
	if (!find_in_last(vcpu, gfn, &place)) {
		glni_read_unlock();
		return vcpu_mark_anywhere(vcpu, gfn);
	}
	if (!bitmap_is_marked(place.marks, place.page))
		return vcpu_mark_here(vcpu, place);
	glni_read_unlock();

	vcpu_count(vcpu, VCPU_MARKS);
	return 0;
}

/*
 * Mark the first pages of *@range that are in a slot, and cut them and the hole
 * before them off. Leaves *@range empty when there are none.
 */
static uint64_t mark_some(struct gln_vm *vm, struct gln_range *range)
{
	const struct slot_array *array;
	struct gln_range part;
	uint64_t hole, nr = 0;
	size_t i;

	glni_read_lock();
	array = slot_array_get(&vm->slots);
	i = slot_at_or_after(array, range->first);
	if (!array || i == array->nr_slots) {
		range->count = 0;
		goto out;
	}

	part.first = gln_max(range->first, array->slots[i]->face.base);
	hole = part.first - range->first;
	if (hole >= range->count) {
		range->count = 0;
		goto out;
	}
	part.count = array->slots[i]->face.base +
		     array->slots[i]->face.nr_pages - part.first;
	part.count = gln_min(part.count, range->count - hole);
	part.count = gln_min(part.count, SECTION_PAGES);
	nr = slot_mark_pages(array->slots[i], part);

	range->first = part.first + part.count;
	range->count -= hole + part.count;
out:
	glni_read_unlock();
	return nr;
}

static NOINLINE uint64_t mark_everywhere(struct gln_vm *vm,
					 struct gln_range range)
{
	uint64_t nr = 0;

	range.count = gln_min(range.count, UINT64_MAX - range.first);
	while (range.count)
		nr += mark_some(vm, &range);

	return nr;
}

uint64_t gln_dirty_mark_range(struct gln_vm *vm, struct gln_range range)
{
	struct mark_place place;
	uint64_t nr;

	if (range.count > SECTION_PAGES)
		return mark_everywhere(vm, range);
	glni_read_lock();
	if (!find_in_largest(vm, range.first, &place) ||
	    range.count > place.marks->nr_pages - place.page) {
		glni_read_unlock();
		return mark_everywhere(vm, range);
	}
	nr = glni_bitmap_mark_range(place.marks, place.page, range.count);
	glni_read_unlock();

	return nr;
}

uint64_t gln_dirty_mark_bytes(struct gln_vm *vm, uint64_t gpa, uint64_t bytes)
{
	const uint64_t last = gpa + gln_min(bytes - 1, UINT64_MAX - gpa);
	const gln_gfn first_gfn = gpa >> vm->page_shift;
	const gln_gfn last_gfn = last >> vm->page_shift;

	if (!bytes)
		return 0;
	return gln_dirty_mark_range(vm,
				    (struct gln_range){
					    .first = first_gfn,
					    .count = last_gfn - first_gfn + 1,
				    });
}

/* Merge words [word, end); @bits begins at @word. */
static void merge_words(struct bitmap *marks, uint64_t word, uint64_t end,
			const uint64_t *bits, uint64_t end_page)
{
	for (uint64_t i = word; i < end; i++) {
		const uint64_t some = gln_le64(bits[i - word]) &
				      bitmap_valid_bits(end_page, i);

		if (some)
			bitmap_mark_word(marks, i, some);
	}
}

/* Merge what fits in a section. Returns how many pages, or an error. */
static int64_t merge_some(struct gln_vm *vm, uint32_t id, uint64_t first_page,
			  const uint64_t *bits, uint64_t nr_pages)
{
	const uint64_t some = gln_min(nr_pages, SECTION_PAGES);
	int64_t result = -ENOENT;
	struct slot *slot;
	struct bitmap *marks;

	glni_read_lock();
	slot = glni_slot_by_id(&vm->slots, id);
	marks = slot ? slot_marks(slot) : NULL;
	if (!marks)
		goto out;

	result = -EINVAL;
	if (first_page % GLN_WORD_BITS || first_page > slot->face.nr_pages ||
	    nr_pages > slot->face.nr_pages - first_page)
		goto out;

	merge_words(marks, first_page >> GLN_WORD_SHIFT,
		    bitmap_nr_words(first_page + some), bits,
		    first_page + some);
	result = (int64_t)some;
out:
	glni_read_unlock();
	return result;
}

int gln_dirty_merge(struct gln_vm *vm, uint32_t id, uint64_t first_page,
		    const uint64_t *bits, uint64_t nr_pages)
{
	if (id >= GLN_SLOT_IDS)
		return -EINVAL;
	if (vm_has_rings_only(vm))
		return -ENXIO;

	do {
		const int64_t done =
			merge_some(vm, id, first_page, bits, nr_pages);

		if (done < 0)
			return (int)done;
		first_page += (uint64_t)done;
		nr_pages -= (uint64_t)done;
		bits += (uint64_t)done >> GLN_WORD_SHIFT;
	} while (nr_pages);

	return 0;
}
