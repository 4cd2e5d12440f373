/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - a queue of dirty pages for each vCPU, in place of a bitmap.
 *
 * What a vCPU dirties goes to its own ring, and costs no look at what the guest
 * weighs. Layout and states are those of Linux KVM's dirty ring
 * (Documentation/virt/kvm/api.rst, 8.29). An entry goes round:
 *
 *	flags
 *	  0	free		the vCPU dirties a page
 *	  DIRTY	dirty		the consumer fetches it: gln_ring_fetch()
 *	  RESET	harvested	gln_ring_reset() protects the page again
 *	  0	free
 *
 *   G1  Copy a page after the gln_ring_reset() that follows its fetch. What is
 *       written later is in a ring again.
 *   G5  A reset that fails has reset nothing: what was harvested stays so, and
 *       the next reset takes it.
 *   G6  Nothing here but a vCPU's registration allocates.
 *   G11 Entries are shared memory, so what the consumer wrote there is hostile:
 *       slot and page are checked, and no reset looks at more than is there.
 *
 * The same page may be in several rings, and several times in one. A vCPU whose
 * ring is full to its soft limit gets GLN_FAULT_RING_FULL for its faults, and
 * gln_ring_is_full() is true: have the rings reset before it goes on. What
 * comes all the same fills the entries held in reserve, and what then does not
 * fit is marked in the slot's bitmap and counted in gln_stats.ring_overflows.
 *
 * Where CPUs log pages themselves (GLN_CAP_VCPU_LOGS), fetching the ring does
 * not empty these logs: kick the vCPUs out of the guest first. Each then calls
 * gln_vcpu_exit(), which does.
 *
 * Without GLN_RING_WITH_BITMAP the rings are all there is. Then
 *
 *	gln_get_dirty_log(), gln_clear_dirty_log()	-ENXIO
 *	gln_dirty_mark(), gln_dirty_merge()		-ENXIO: there is no vCPU
 *	gln_log_enable() with every page marked		-EINVAL
 *	gln_harvest_begin()	-ENXIO, as long as nothing of the slot is marked
 *				elsewhere than in rings
 *
 * What found no room in a ring, or came from a vCPU that was unregistered, from
 * gln_dirty_mark_range() or gln_dirty_mark_bytes(), which cannot refuse, or
 *from the backend without a vCPU, is not lost: it is marked, and a harvest of
 *the slot takes it. Try one last of all, when everything that can write has
 * stopped.
 */
#ifndef GLN_RING_H
#define GLN_RING_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_vcpu;

/** States of an entry, in gln_ring_entry.flags. RESET overrides DIRTY. */
#define GLN_RING_DIRTY (1U << 0)
#define GLN_RING_RESET (1U << 1)

/**
 * struct gln_ring_entry - a page, laid out as struct kvm_dirty_gfn.
 *
 * @flags:	GLN_RING_*; in the order above.
 * @slot:	address space << 16 | slot id; there is address space 0 only.
 * @offset:	page of the slot.
 */
struct gln_ring_entry {
	uint32_t flags;
	uint32_t slot;
	uint64_t offset;
};

/** A ring has no more entries than this. */
#define GLN_RING_MAX_ENTRIES 65536U

/**
 * Entries above the soft limit: for what comes between a look at the ring and
 * the exit that follows, and for what a CPU has logged by then.
 */
#define GLN_RING_RESERVED     64U
#define GLN_RING_RESERVED_LOG 512U

/**
 * Keep the slots' bitmaps in use beside the rings, for writes that no vCPU
 * makes. Read them last, after everything that can write has stopped.
 */
#define GLN_RING_WITH_BITMAP (1U << 0)

/**
 * gln_ring_enable() - give every vCPU a ring, once for all.
 * @bytes:	of a ring: a power of two, at least 4096 and at least 16 times
 *		the entries in reserve (GLN_RING_RESERVED, and
 *		GLN_RING_RESERVED_LOG more where the backend has
 *		GLN_CAP_VCPU_LOGS).
 * @flags:	GLN_RING_*.
 *
 * Context: any thread, before there is a vCPU and while nobody marks.
 * Return: 0; -EINVAL for wrong @bytes or @flags, when rings are on or a vCPU is
 * registered, for WITH_BITMAP when there is a slot, and without it where the
 * backend collects dirty state that no vCPU brings (GLN_CAP_COLLECT without
 * GLN_CAP_VCPU_LOGS); -E2BIG for more than GLN_RING_MAX_ENTRIES.
 */
GLN_PUBLIC int gln_ring_enable(struct gln_vm *vm, uint64_t bytes,
			       uint32_t flags);

/**
 * gln_vcpu_ring() - a vCPU's ring: to fetch from, or to share with who does.
 * @entries:	the first of *@nr_entries, a power of two; page-aligned. Good
 *		until the vCPU is unregistered, when pages that are still in the
 *		ring are marked in bitmaps.
 *
 * Context: any thread.
 * Return: 0; -EINVAL if rings are not on, outputs untouched.
 */
GLN_PUBLIC int gln_vcpu_ring(struct gln_vcpu *vcpu,
			     struct gln_ring_entry **entries,
			     uint32_t *nr_entries);

/**
 * gln_ring_is_full() - is the vCPU's ring at its soft limit? Ask before each
 * entry of the guest; while it says so, have the rings reset instead.
 *
 * Context: the vCPU's thread; takes no lock.
 * Return: false also where rings are not on.
 */
GLN_PUBLIC bool gln_ring_is_full(const struct gln_vcpu *vcpu);

/**
 * struct gln_ring_cursor - where the consumer of a ring stands.
 *
 * @entries, @nr_entries: of gln_vcpu_ring(), wherever they are mapped.
 * @next:	entries fetched so far, modulo 2^32: 0 at first.
 */
struct gln_ring_cursor {
	struct gln_ring_entry *entries;
	uint32_t nr_entries;
	uint32_t next;
};

/**
 * gln_ring_fetch() - take the next dirty page out of a ring.
 * @slot, @offset: as in the entry.
 *
 * Context: the ring's one consumer; vCPUs may run. Needs no VM: another process
 * may do it.
 * Return: true; false if there is none now, outputs untouched.
 */
GLN_PUBLIC bool gln_ring_fetch(struct gln_ring_cursor *cursor, uint32_t *slot,
			       uint64_t *offset);

/**
 * gln_ring_reset() - protect what was fetched from all rings, flush, and free
 * the entries.
 *
 * Entries of one slot that follow each other within 64 pages, up or down, are
 * protected together. An entry that names no page of a logged slot is freed and
 * nothing else. There is one flush a slot, after the last of its pages.
 *
 * One call looks at no more entries than the rings have, and at no more than
 * 2^31 - 1, however fast the guest dirties others.
 *
 * Context: any thread; in turn with other calls that change @vm; may sleep.
 * Harvests of slots that are in the rings wait their turn: -EBUSY.
 * Return: how many entries are free now; -EINVAL if rings are not on; -EBUSY if
 * none could be reset because a harvest of their slot is open; or what the
 * backend's protect or flush said, when nothing was reset.
 */
GLN_PUBLIC int gln_ring_reset(struct gln_vm *vm);

GLN_END_DECLS

#endif
