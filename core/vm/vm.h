/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.h - the object that owns slots, logs, vCPUs and statistics.
 *
 * Lock order: @lock, then a slot's claim. @lock serialises changes; mark, fault
 * and harvest never take it. Read-side sections may be entered with either
 * held.
 */
#ifndef GLN_CORE_VM_VM_H
#define GLN_CORE_VM_VM_H

#include <glean/platform.h>
#include <glean/vm.h>

#include "core/base/errno.h"
#include "core/base/params.h"
#include "core/dirty/harvest.h"
#include "core/dirty/mark.h"
#include "core/dirty/ring.h"
#include "core/sync/gate.h"

/**
 * enum vcpu_count - what a vCPU counts. The first of faults are in the order of
 * enum gln_fault.
 */
enum vcpu_count {
	VCPU_MARKS,
	VCPU_NEW_MARKS,
	VCPU_FAULTS,
	VCPU_FAULTS_LAST = VCPU_FAULTS + GLN_FAULT_RETRY,
	VCPU_RING_PUSHES,
	VCPU_RING_OVERFLOWS,
	NR_VCPU_COUNTS,
};

/**
 * struct gln_vcpu - a thread that marks, with counters only it writes.
 *
 * @face:	what the backend sees; its id is the embedder's.
 * @last_slot:	where it found a slot last: where to look first next time.
 * @ring:	without entries where rings are not on.
 * @is_inside:	it is counted by the VM's gate. Its thread's own.
 */
struct gln_vcpu {
	struct gln_backend_vcpu face;
	struct gln_vm *vm;
	_Atomic size_t last_slot;
	struct gln_vcpu *next;
	struct ring ring;
	bool is_inside;
	gln_word counts[NR_VCPU_COUNTS];
};

/**
 * struct gln_vm - a guest.
 *
 * @gate:	counts vCPUs that may use a hash table. Open when there is one,
 *		with all that belongs to it; opened and closed with @lock held.
 * @resize_flags: of the last who prepared a resize by a call of the library.
 * @resize_pause_ns: the longest time that a resize kept the gate closed.
 */
struct gln_vm {
	struct slot_set slots;
	gln_word slots_generation; /* counts sets of slots, once published */
	enum fence_form fence;
	unsigned int page_shift;
	_Atomic uint32_t log_mode; /* GLN_LOG_* */
	struct gln_backend *backend;
	struct gln_allocator allocator;
	struct gln_plat_mutex lock;
	struct gln_vcpu *vcpus;
	uint32_t ring_entries;	       /* of each vCPU; 0: no rings */
	_Atomic bool has_rings_only;   /* and no bitmap to read */
	uint64_t gone[NR_VCPU_COUNTS]; /* of vCPUs that were unregistered */
	struct dirty_stats stats;
	struct gate gate;
	uint32_t resize_flags;
	uint64_t resize_pause_ns;
};

/** vm_hpt() - what the backend does with a hash table; NULL without one. */
static inline const struct gln_backend_hpt_ops *vm_hpt(const struct gln_vm *vm)
{
	return vm->backend ? vm->backend->ops->hpt : NULL;
}

/** vm_slots_changed() - another set of slots is there now. */
static inline void vm_slots_changed(struct gln_vm *vm)
{
	/* Relaxed: who asks for it asked before he looked for a slot. */
	gln_fetch_add_relaxed(&vm->slots_generation, 1);
}

/** vm_maps_guest() - does the backend answer faults? */
static inline bool vm_maps_guest(const struct gln_vm *vm)
{
	return vm->backend && (vm->backend->ops->caps & GLN_CAP_FAULT);
}

/** vm_has_rings_only() - is there no bitmap to get, clear or harvest? */
static inline bool vm_has_rings_only(const struct gln_vm *vm)
{
	/* Relaxed: set before the first vCPU, which is told by the caller. */
	return gln_load_relaxed(&vm->has_rings_only);
}

/** vcpu_count() - add 1 to a counter of the calling thread's vCPU. */
static inline void vcpu_count(struct gln_vcpu *vcpu, enum vcpu_count which)
{
	gln_count(&vcpu->counts[which], 1);
}

/** vm_give_report() - fill in as much as the caller has room for. */
static inline bool vm_give_report(void *theirs, const void *ours,
				  size_t ours_bytes)
{
	size_t bytes;

	memcpy(&bytes, theirs, sizeof(bytes));
	if (bytes < sizeof(bytes) || bytes > ours_bytes)
		return false;
	memcpy((char *)theirs + sizeof(bytes),
	       (const char *)ours + sizeof(bytes), bytes - sizeof(bytes));
	return true;
}

/**
 * enum claim_what - which slots there are for a claim. A harvest never holds a
 * slot that is not logged, not even to find that out: whoever changes the slot
 * would take it for an open harvest.
 */
enum claim_what {
	CLAIM_ANY,
	CLAIM_LOGGED,
};

/** vm_has_frames() - have these addresses that fit in 64 bits? */
static inline bool vm_has_frames(const struct gln_vm *vm, gln_gfn base,
				 uint64_t nr_pages)
{
	const uint64_t nr_frames = UINT64_C(1) << (64 - vm->page_shift);

	return base < nr_frames && nr_pages <= nr_frames - base;
}

/**
 * glni_vm_attach(), glni_vm_detach() - show the backend a slot, or take it away
 * again. The VM's lock is held.
 */
int glni_vm_attach(struct gln_vm *vm, struct slot *slot);
void glni_vm_detach(struct gln_vm *vm, struct slot *slot);

/**
 * glni_vm_take_from_backend() - stop logging in the backend, if it logs, and
 * detach, in the order that lets nobody write unnoticed. No fault is in @slot.
 */
void glni_vm_take_from_backend(struct gln_vm *vm, struct slot *slot);

/**
 * glni_vm_claim() - find a slot and claim it, for a harvest or a change.
 *
 * Return: 0; -EINVAL for an id out of bounds; -ENOENT; -EBUSY.
 */
int glni_vm_claim(struct gln_vm *vm, uint32_t id, enum claim_what what,
		  struct slot **slot);

/**
 * glni_vcpu_mark() - mark a page of a slot: in the vCPU's ring, or, without one
 * or without room in it, in the slot's bitmap. True if the mark is new.
 *
 * Context: the vCPU's thread, in a read-side section.
 */
bool glni_vcpu_mark(struct gln_vcpu *vcpu, struct slot *slot, gln_gfn gfn);

/** glni_vm_reserved_entries() - how many entries a ring keeps in reserve. */
uint32_t glni_vm_reserved_entries(const struct gln_vm *vm);

/**
 * glni_vm_split() - split blocks that touch pages [*@next, @end) of a claimed
 * slot, in chunks; *@next is where it stopped. @flags: GLN_SPLIT_*. The VM's
 * lock is held.
 */
int glni_vm_split(struct gln_vm *vm, struct slot *slot, uint64_t *next,
		  uint64_t end, uint32_t flags);

/** glni_vm_start_backend() - log_start, if there is a backend. */
int glni_vm_start_backend(struct gln_vm *vm, struct slot *slot, uint32_t flags);

/**
 * glni_vm_drop_log() - withdraw and free a claimed slot's log, counting what is
 * marked in it; for a backend that logs it no more. The VM's lock is held.
 */
void glni_vm_drop_log(struct gln_vm *vm, struct slot *slot);

/** glni_vm_stop_logging() - for a claimed slot; the VM's lock held. */
void glni_vm_stop_logging(struct gln_vm *vm, struct slot *slot);

/** glni_vm_remove_slot() - remove and free a claimed slot; lock held. */
void glni_vm_remove_slot(struct gln_vm *vm, struct slot *slot);

#endif
