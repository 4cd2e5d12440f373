/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.h - the object that owns slots, logs, vCPUs and statistics.
 *
 * Lock order: @lock, then a slot's claim. @lock serialises changes; mark and
 * harvest never take it. Read-side sections may be entered with either held.
 */
#ifndef GLN_CORE_VM_VM_H
#define GLN_CORE_VM_VM_H

#include <glean/platform.h>
#include <glean/vm.h>

#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/dirty/harvest.h"
#include "core/dirty/mark.h"

/** struct gln_vcpu - a thread that marks, with counters only it writes. */
struct gln_vcpu {
	struct gln_vm *vm;
	struct gln_vcpu *next;
	uint32_t id;
	gln_word marks;
	gln_word new_marks;
};

/** struct gln_vm - a guest. */
struct gln_vm {
	struct slot_set slots;
	enum fence_form fence;
	unsigned int page_shift;
	_Atomic uint32_t log_mode; /* GLN_LOG_* */
	struct gln_backend *backend;
	struct gln_allocator allocator;
	struct gln_plat_mutex lock;
	struct gln_vcpu *vcpus;
	uint64_t gone_marks; /* of vCPUs that were unregistered */
	uint64_t gone_new_marks;
	struct dirty_stats stats;
};

/**
 * vm_copy_params() - read a caller's structure that begins with its size and
 * may be shorter than ours. False if the size makes no sense.
 */
static inline bool vm_copy_params(void *ours, size_t ours_bytes,
				  const void *theirs)
{
	size_t bytes;

	memcpy(&bytes, theirs, sizeof(bytes));
	if (bytes < sizeof(bytes) || bytes > ours_bytes)
		return false;
	memset(ours, 0, ours_bytes);
	memcpy(ours, theirs, bytes);
	return true;
}

/** vm_give_report() - the other way; the caller's size member stays. */
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

/**
 * glni_vm_claim() - find a slot and claim it, for a harvest or a change.
 *
 * Return: 0; -EINVAL for an id out of bounds; -ENOENT; -EBUSY.
 */
int glni_vm_claim(struct gln_vm *vm, uint32_t id, enum claim_what what,
		  struct slot **slot);

/** glni_vm_stop_logging() - for a claimed slot; the VM's lock held. */
void glni_vm_stop_logging(struct gln_vm *vm, struct slot *slot);

/** glni_vm_remove_slot() - remove and free a claimed slot; lock held. */
void glni_vm_remove_slot(struct gln_vm *vm, struct slot *slot);

#endif
