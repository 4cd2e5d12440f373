/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - the dirty rings of a VM (G1, G5, G11).
 */
#include <glean/ring.h>

#include "core/vm/vm.h"

enum { RING_MIN_BYTES = 4096 }; /* it is mapped in pages */

uint32_t glni_vm_reserved_entries(const struct gln_vm *vm)
{
	const bool cpus_log =
		vm->backend && (vm->backend->ops->caps & GLN_CAP_VCPU_LOGS);

	return GLN_RING_RESERVED + (cpus_log ? GLN_RING_RESERVED_LOG : 0);
}

/* Is there dirty state that no vCPU would bring to its ring? */
static bool needs_bitmap(const struct gln_vm *vm)
{
	const uint32_t both = GLN_CAP_COLLECT | GLN_CAP_VCPU_LOGS;

	return vm->backend &&
	       (vm->backend->ops->caps & both) == GLN_CAP_COLLECT;
}

static int check_size(const struct gln_vm *vm, uint64_t bytes)
{
	const uint64_t reserved_bytes =
		glni_vm_reserved_entries(vm) * sizeof(struct ring_entry);

	if (bytes < RING_MIN_BYTES || (bytes & (bytes - 1)) ||
	    bytes < reserved_bytes)
		return -EINVAL;
	if (bytes / sizeof(struct ring_entry) > GLN_RING_MAX_ENTRIES)
		return -E2BIG;
	return 0;
}

static bool has_slots(const struct gln_vm *vm)
{
	const struct slot_array *const array = slot_array_get(&vm->slots);

	return array && array->nr_slots;
}

int gln_ring_enable(struct gln_vm *vm, uint64_t bytes, uint32_t flags)
{
	const bool with_bitmap = flags & GLN_RING_WITH_BITMAP;
	int err = -EINVAL;

	if (flags & ~GLN_RING_WITH_BITMAP)
		return -EINVAL;

	gln_plat_mutex_lock(&vm->lock);
	if (vm->ring_entries || vm->vcpus ||
	    (with_bitmap ? has_slots(vm) : needs_bitmap(vm)))
		goto out;
	err = check_size(vm, bytes);
	if (err)
		goto out;

	vm->ring_entries = (uint32_t)(bytes / sizeof(struct ring_entry));
	/* Relaxed: before the first vCPU, says the caller. */
	gln_store_relaxed(&vm->has_rings_only, !with_bitmap);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

int gln_vcpu_ring(struct gln_vcpu *vcpu, struct gln_ring_entry **entries,
		  uint32_t *nr_entries)
{
	if (!vcpu->ring.entries)
		return -EINVAL;

	*entries = (void *)vcpu->ring.entries;
	*nr_entries = vcpu->ring.nr_entries;
	return 0;
}

bool gln_ring_is_full(const struct gln_vcpu *vcpu)
{
	return ring_is_soft_full(&vcpu->ring);
}

/*
 * Look at every ring. One that a harvest keeps us from is passed over:
 * *@is_busy says so. The backend's error ends it.
 */
static int look_at_all(struct gln_vm *vm, struct ring_reset *reset,
		       bool *is_busy)
{
	for (struct gln_vcpu *vcpu = vm->vcpus; vcpu; vcpu = vcpu->next) {
		const int err = glni_ring_look(reset, &vcpu->ring);

		if (err == -EBUSY)
			*is_busy = true;
		else if (err)
			return err;
	}

	return 0;
}

/* All or nothing: what was looked at is free, or as it was. */
static int settle(struct gln_vm *vm, struct ring_reset *reset, int err)
{
	err = glni_ring_settle(reset, err);
	for (struct gln_vcpu *vcpu = vm->vcpus; vcpu; vcpu = vcpu->next) {
		if (err)
			vcpu->ring.nr_pending = 0;
		else
			glni_ring_free_pending(&vcpu->ring);
	}

	return err;
}

int gln_ring_reset(struct gln_vm *vm)
{
	struct ring_reset reset = {
		.slots = &vm->slots,
		.backend = vm->backend,
		.stats = &vm->stats,
	};
	bool is_busy = false;
	int err = -EINVAL;

	gln_plat_mutex_lock(&vm->lock);
	if (!vm->ring_entries)
		goto out;
	err = settle(vm, &reset, look_at_all(vm, &reset, &is_busy));
	if (!err && is_busy && !reset.nr_entries)
		err = -EBUSY;
	if (!err)
		dirty_count(&vm->stats.ring_resets, reset.nr_entries);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err ? err : (int)reset.nr_entries;
}
