/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot_set.c - replace the array of slots while others read it.
 */
#include "core/slot/slot.h"

#include "core/base/errno.h"
#include "core/base/memory.h"

enum { FIRST_CAPACITY = 8 };

static size_t array_bytes(size_t capacity)
{
	return sizeof(struct slot_array) + capacity * sizeof(struct slot *);
}

static void array_free(const struct gln_allocator *from,
		       struct slot_array *array)
{
	if (array)
		gln_free(from, array, array_bytes(array->capacity));
}

/* Let the spare array have room for @nr_slots. */
static int grow_spare(struct slot_set *set, const struct gln_allocator *from,
		      size_t nr_slots)
{
	size_t capacity = set->spare ? set->spare->capacity : FIRST_CAPACITY;
	struct slot_array *array;

	if (set->spare && capacity >= nr_slots)
		return 0;
	while (capacity < nr_slots)
		capacity *= 2;

	array = gln_alloc(from, array_bytes(capacity));
	if (!array)
		return -ENOMEM;
	array->capacity = capacity;
	array_free(from, set->spare);
	set->spare = array;

	return 0;
}

static struct slot *find_largest(const struct slot_array *array)
{
	struct slot *largest = NULL;

	for (size_t i = 0; i < array->nr_slots; i++)
		if (!largest ||
		    array->slots[i]->face.nr_pages > largest->face.nr_pages)
			largest = array->slots[i];

	return largest;
}

/* The one writer publishes the spare; afterwards nobody reads the old array. */
static void publish_spare(struct slot_set *set)
{
	/* Relaxed: we are the only one who stores here. */
	struct slot_array *const old = gln_load_relaxed(&set->array);

	if (set->spare)
		set->spare->largest = find_largest(set->spare);
	/* sync slot.2 (release) -> slot.1: slots before their array. */
	gln_store_release(&set->array, set->spare);
	if (old)
		glni_synchronize();
	set->spare = old;
}

void glni_slot_keep_out(struct slot *slot)
{
	/* Relaxed: the grace period shows it. */
	gln_store_relaxed(&slot->is_closed, true);
	glni_synchronize();
}

struct slot *glni_slot_by_id(const struct slot_set *set, uint32_t id)
{
	const struct slot_array *array = slot_array_get(set);

	for (size_t i = 0; array && i < array->nr_slots; i++)
		if (array->slots[i]->face.id == id)
			return array->slots[i];

	return NULL;
}

static bool overlaps(const struct gln_backend_slot *a,
		     const struct gln_backend_slot *b)
{
	return a->base < b->base ? b->base - a->base < a->nr_pages
				 : a->base - b->base < b->nr_pages;
}

int glni_slot_set_reserve(struct slot_set *set,
			  const struct gln_allocator *from,
			  const struct slot *slot)
{
	const struct slot_array *const array = slot_array_get(set);
	const size_t nr = array ? array->nr_slots : 0;
	const size_t at = slot_at_or_after(array, slot->face.base);

	if (glni_slot_by_id(set, slot->face.id))
		return -EEXIST;
	if (at < nr && overlaps(&array->slots[at]->face, &slot->face))
		return -EEXIST;

	return grow_spare(set, from, nr + 1);
}

int glni_slot_set_reserve_move(struct slot_set *set,
			       const struct gln_allocator *from,
			       const struct slot *slot, const struct slot *next)
{
	const struct slot_array *const array = slot_array_get(set);
	size_t at = slot_at_or_after(array, next->face.base);

	/* It may overlap itself: one of the two places is gone at any time. */
	if (at < array->nr_slots && array->slots[at] == slot)
		at++;
	if (at < array->nr_slots &&
	    overlaps(&array->slots[at]->face, &next->face))
		return -EEXIST;

	return grow_spare(set, from, array->nr_slots);
}

void glni_slot_set_add(struct slot_set *set, struct slot *slot)
{
	const struct slot_array *const old = slot_array_get(set);
	const size_t nr_old = old ? old->nr_slots : 0;
	const size_t at = slot_at_or_after(old, slot->face.base);
	struct slot_array *const next = set->spare;

	gln_assert(next && next->capacity > nr_old);

	for (size_t i = 0; i < at; i++)
		next->slots[i] = old->slots[i];
	next->slots[at] = slot;
	for (size_t i = at; i < nr_old; i++)
		next->slots[i + 1] = old->slots[i];
	next->nr_slots = nr_old + 1;

	publish_spare(set);
}

void glni_slot_set_remove(struct slot_set *set, struct slot *slot)
{
	const struct slot_array *const old = slot_array_get(set);
	struct slot_array *const next = set->spare;

	gln_assert(old && old->nr_slots > 0);
	gln_assert(next ? next->capacity >= old->nr_slots - 1
			: old->nr_slots == 1);

	if (next) {
		next->nr_slots = 0;
		for (size_t i = 0; i < old->nr_slots; i++)
			if (old->slots[i] != slot)
				next->slots[next->nr_slots++] = old->slots[i];
	}

	publish_spare(set);
}

void glni_slot_set_replace(struct slot_set *set, struct slot *slot,
			   struct slot *next)
{
	const struct slot_array *const old = slot_array_get(set);
	struct slot_array *const array = set->spare;
	bool is_in = false;

	gln_assert(old && array && array->capacity >= old->nr_slots);

	array->nr_slots = 0;
	for (size_t i = 0; i < old->nr_slots; i++) {
		if (old->slots[i] == slot)
			continue;
		if (!is_in && next->face.base < old->slots[i]->face.base) {
			array->slots[array->nr_slots++] = next;
			is_in = true;
		}
		array->slots[array->nr_slots++] = old->slots[i];
	}
	if (!is_in)
		array->slots[array->nr_slots++] = next;

	publish_spare(set);
}

void glni_slot_set_fini(struct slot_set *set, const struct gln_allocator *from)
{
	/* Relaxed: the VM is going; nobody else is here. */
	struct slot_array *const array = gln_load_relaxed(&set->array);

	gln_assert(!array || array->nr_slots == 0);
	array_free(from, array);
	array_free(from, set->spare);
}
