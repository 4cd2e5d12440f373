/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.c - faults of the second stage, and what the host asks of its tables.
 *
 * A fault is one read-side section: it finds the slot, learns whether the slot
 * is logged, has the backend make the entry, and marks, in this order (G1). So
 * whoever publishes a log, moves a slot or takes one away, and then waits for a
 * grace period, has no fault left that went by the old state.
 */
#include <glean/mmu.h>

#include "core/vm/vm.h"

/* Bytes split in one call of the backend: what one table of blocks maps. */
#define SPLIT_CHUNK_SHIFT 30U

/*
 * GLN_BREAK_MARK_FIRST pauses between mark and entry: a little, and now and
 * then for as long as a harvest may need from taking a mark to protecting its
 * page.
 */
enum {
	BROKEN_PAUSE_NS = 20000,
	BROKEN_LONG_NS = 5000000,
	BROKEN_LONG_EVERY = 64,
};

#if GLN_BREAKABLE
int glni_broken = GLNI_BREAK_NONE;
#endif

int gln_vcpu_topup(struct gln_vcpu *vcpu)
{
	struct gln_backend *const backend = vcpu->vm->backend;

	if (!vm_maps_guest(vcpu->vm))
		return -ENOTSUP;
	if (vm_hpt(vcpu->vm))
		return 0;
	return backend->ops->topup(backend, &vcpu->face);
}

void gln_vcpu_exit(struct gln_vcpu *vcpu)
{
	struct gln_backend *const backend = vcpu->vm->backend;

	if (vm_maps_guest(vcpu->vm) && backend->ops->exited)
		backend->ops->exited(backend, &vcpu->face);
}

static bool access_is_valid(uint32_t access)
{
	const uint32_t known =
		GLN_ACCESS_READ | GLN_ACCESS_WRITE | GLN_ACCESS_EXEC;

	return access && !(access & ~known);
}

/* No slot is there. */
static int answer_mmio(struct gln_vcpu *vcpu, gln_gfn gfn)
{
	struct gln_backend *const backend = vcpu->vm->backend;
	int err = 0;

	if (backend->ops->mmio)
		err = backend->ops->mmio(backend, &vcpu->face, gfn);
	return err ? err : GLN_FAULT_MMIO;
}

/* A fault in @slot, which allows the access. */
static int answer_slot(struct gln_vcpu *vcpu, struct slot *slot, gln_gfn gfn,
		       uint32_t access)
{
	struct gln_backend *const backend = vcpu->vm->backend;
	struct gln_backend_fault fault = {
		.gfn = gfn,
		.access = access,
		.is_logged = slot_marks(slot),
	};
	const bool is_lost =
		GLN_BREAK_LOSE_DIRTY ||
		(GLN_BREAK_MARK_FIRST && (access & GLN_ACCESS_WRITE));
	const int result =
		backend->ops->fault(backend, &vcpu->face, &slot->face, &fault);

	if (result >= 0 && fault.to_mark && !is_lost)
		glni_vcpu_mark(vcpu, slot, gfn);
	return result;
}

/* In a read-side section. */
static int answer(struct gln_vcpu *vcpu, gln_gfn gfn, uint32_t access)
{
	struct slot *slot;

	if (ring_is_soft_full(&vcpu->ring))
		return GLN_FAULT_RING_FULL;
	slot = slot_find(&vcpu->vm->slots, gfn);
	if (!slot)
		return answer_mmio(vcpu, gfn);
	/* Relaxed: whoever keeps us out waits for a grace period. */
	if (gln_load_relaxed(&slot->is_closed))
		return GLN_FAULT_RETRY;
	if ((access & GLN_ACCESS_WRITE) &&
	    (slot->face.flags & GLN_SLOT_READ_ONLY))
		return GLN_FAULT_READ_ONLY;
	return answer_slot(vcpu, slot, gfn, access);
}

/*
 * GLN_BREAK_MARK_FIRST: the order that loses writes, with time for a harvest to
 * come between, of either kind: a flip would wait for a section to end.
 */
static void mark_too_soon(struct gln_vcpu *vcpu, gln_gfn gfn)
{
	/* Relaxed: it is ours. */
	const uint64_t nr = gln_load_relaxed(
		&vcpu->counts[VCPU_FAULTS + GLN_FAULT_RELAXED]);
	const uint64_t until_ns =
		gln_plat_now_ns() +
		(nr % BROKEN_LONG_EVERY ? BROKEN_PAUSE_NS : BROKEN_LONG_NS);
	struct slot *slot;

	if (ring_is_soft_full(&vcpu->ring))
		return;
	glni_read_lock();
	slot = slot_find(&vcpu->vm->slots, gfn);
	if (slot)
		glni_vcpu_mark(vcpu, slot, gfn);
	glni_read_unlock();
	while (slot && gln_plat_now_ns() < until_ns)
		;
}

int gln_vcpu_fault(struct gln_vcpu *vcpu, gln_gfn gfn, uint32_t access)
{
	int result;

	if (!vm_maps_guest(vcpu->vm) || vm_hpt(vcpu->vm))
		return -ENOTSUP;
	if (!access_is_valid(access))
		return -EINVAL;
	if (GLN_BREAK_MARK_FIRST && (access & GLN_ACCESS_WRITE))
		mark_too_soon(vcpu, gfn);

	glni_read_lock();
	result = answer(vcpu, gfn, access);
	glni_read_unlock();

	if (result >= 0 && result <= GLN_FAULT_RETRY)
		vcpu_count(vcpu, VCPU_FAULTS + (enum vcpu_count)result);
	return result;
}

typedef void (*part_fn)(struct gln_backend *be, struct gln_backend_slot *face,
			struct gln_range part, uint64_t *sum);

/*
 * Faults wait outside: one that asked the host before it changed its mind is
 * over when the grace period is, and no new page is mapped before the old one
 * is flushed (H-29).
 */
static void unmap_part(struct gln_backend *be, struct gln_backend_slot *face,
		       struct gln_range part, uint64_t *sum)
{
	struct slot *const slot = gln_container_of(face, struct slot, face);

	glni_slot_keep_out(slot);
	be->ops->unmap(be, face, part);
	slot_let_in(slot);
	*sum += part.count;
}

static void age_part(struct gln_backend *be, struct gln_backend_slot *face,
		     struct gln_range part, uint64_t *sum)
{
	be->ops->age(be, face, part, sum);
}

/* Do something with each part of @range that is in a slot. */
static int for_each_part(struct gln_vm *vm, struct gln_range range, part_fn fn,
			 uint64_t *sum)
{
	const struct slot_array *array;

	if (!vm_maps_guest(vm))
		return -ENOTSUP;

	range.count = gln_min(range.count, UINT64_MAX - range.first);
	gln_plat_mutex_lock(&vm->lock);
	array = slot_array_get(&vm->slots);
	for (size_t i = slot_at_or_after(array, range.first);
	     array && i < array->nr_slots; i++) {
		struct gln_backend_slot *const face = &array->slots[i]->face;
		const struct gln_range part = slot_part(face, range);

		if (!part.count)
			break;
		fn(vm->backend, face, part, sum);
	}
	gln_plat_mutex_unlock(&vm->lock);

	return 0;
}

int gln_mmu_unmap(struct gln_vm *vm, struct gln_range range)
{
	uint64_t nr_pages = 0;

	return for_each_part(vm, range, unmap_part, &nr_pages);
}

int gln_mmu_age(struct gln_vm *vm, struct gln_range range, uint64_t *nr_young)
{
	uint64_t nr = 0;
	const int err = for_each_part(vm, range, age_part, &nr);

	if (!err)
		*nr_young = nr;
	return err;
}

int glni_vm_split(struct gln_vm *vm, struct slot *slot, uint64_t *next,
		  uint64_t end, uint32_t flags)
{
	const struct gln_backend_slot *const face = &slot->face;
	const uint64_t chunk = UINT64_C(1)
			       << (SPLIT_CHUNK_SHIFT - vm->page_shift);
	int err = 0;

	if (!vm_maps_guest(vm) || !vm->backend->ops->split) {
		*next = end;
		return 0;
	}

	while (*next < end && !err) {
		const gln_gfn first = face->base + *next;
		const struct gln_range range = {
			.first = first,
			.count = gln_min(chunk - first % chunk, end - *next),
		};

		err = vm->backend->ops->split(vm->backend, &slot->face, range,
					      flags);
		if (!err)
			*next += range.count;
	}

	return err;
}

/* The first so many pages from @page on, or all. */
static int split_claimed(struct gln_vm *vm, struct slot *slot,
			 uint64_t *next_page, uint64_t max_pages)
{
	const uint64_t nr_pages = slot->face.nr_pages;
	uint64_t left;

	if (!slot->log)
		return -ENOENT;
	if (*next_page > nr_pages)
		return -EINVAL;
	left = nr_pages - *next_page;
	if (max_pages)
		left = gln_min(left, max_pages);

	return glni_vm_split(vm, slot, next_page, *next_page + left, 0);
}

int gln_mmu_split(struct gln_vm *vm, uint32_t id, uint64_t *next_page,
		  uint64_t max_pages)
{
	struct slot *slot;
	int err;

	if (!vm_maps_guest(vm))
		return -ENOTSUP;

	gln_plat_mutex_lock(&vm->lock);
	err = glni_vm_claim(vm, id, CLAIM_LOGGED, &slot);
	if (!err) {
		err = split_claimed(vm, slot, next_page, max_pages);
		slot_release(slot);
	}
	gln_plat_mutex_unlock(&vm->lock);

	return err;
}
