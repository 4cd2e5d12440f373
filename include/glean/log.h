/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - switch logging on and off, and the log as Linux KVM shapes it.
 *
 * gln_get_dirty_log() and gln_clear_dirty_log() take the arguments and return
 * the errors of KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG (Linux,
 * Documentation/virt/kvm/api.rst, 4.8 and 4.117), so that a VMM's sync code
 * moves over as it is. Two things are better here: after -EFAULT the marks are
 * back (G5), and slots may exceed 2^31 - 1 pages (G9).
 *
 * Bitmaps at this edge are little-endian whatever the host (G9): bit n % 8 of
 * byte n / 8 is page n of the slot. They are (nr_pages + 63) / 64 words of
 * 8 bytes; bits past the last page are written 0 and ignored when read.
 */
#ifndef GLN_LOG_H
#define GLN_LOG_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;

/** get leaves the marks; clear takes them, part by part, and protects. */
#define GLN_LOG_MANUAL_PROTECT (1U << 0)
/** With MANUAL_PROTECT: every page of a slot is marked when logging starts. */
#define GLN_LOG_INITIALLY_SET  (1U << 1)

/**
 * gln_log_set_mode() - choose how slots are logged from their next enable on.
 * @mode:	GLN_LOG_* or 0.
 *
 * MANUAL_PROTECT takes effect for gln_get_dirty_log() at once.
 *
 * Context: any thread; may sleep.
 * Return: 0; -EINVAL for an unknown bit, or INITIALLY_SET without
 * MANUAL_PROTECT.
 */
GLN_PUBLIC int gln_log_set_mode(struct gln_vm *vm, uint32_t mode);

/** For gln_log_enable(): every page starts out marked, in any mode. */
#define GLN_LOG_ENABLE_ALL_MARKED (1U << 0)

/**
 * gln_log_enable() - start logging a slot.
 * @flags:	GLN_LOG_ENABLE_* or 0.
 *
 * Without ALL_MARKED (or INITIALLY_SET) the log starts empty: writes before the
 * call are not in it, writes after its return are.
 *
 * Context: any thread; may allocate, sleeps for a grace period. vCPUs may run.
 * Return: 0; -EINVAL for an id out of bounds, an unknown flag, or every page
 * marked where the VM logs in rings only (ring.h); -ENOENT;
 * -EEXIST if the slot is logged already; -ENOTSUP if the backend cannot log;
 * -ENOMEM; or what the backend's log_start said. The slot is not logged on
 * failure.
 */
GLN_PUBLIC int gln_log_enable(struct gln_vm *vm, uint32_t id, uint32_t flags);

/**
 * gln_log_disable() - stop logging a slot.
 *
 * Marks that no harvest has taken are dropped and counted, as in
 * gln_slot_remove().
 *
 * Context: any thread; sleeps for a grace period. vCPUs may run.
 * Return: 0; -EINVAL for an id out of bounds; -ENOENT if there is no such slot
 * or it is not logged; -EBUSY while a harvest of it is open.
 */
GLN_PUBLIC int gln_log_disable(struct gln_vm *vm, uint32_t id);

/**
 * gln_get_dirty_log() - the whole log of a slot, as KVM_GET_DIRTY_LOG.
 * @slot:	address space << 16 | slot id; glean has address space 0 only.
 * @bitmap:	room for the slot's bitmap; contents undefined on failure.
 *
 * Default mode: marks are taken, pages protected and flushed. In manual mode
 * nothing is cleared, protected or flushed.
 *
 * Context: any thread; in turn with other calls that change @vm; may sleep.
 * Return: 0; -EINVAL for a bad address space or id; -ENOENT if there is no such
 * slot or it is not logged; -EFAULT if @bitmap cannot be written; -EBUSY while
 * a harvest of the slot is open (KVM has no such thing); -ENXIO if the VM logs
 * in rings only (ring.h); or a backend's error. On failure every mark is back.
 */
GLN_PUBLIC int gln_get_dirty_log(struct gln_vm *vm, uint32_t slot,
				 void *bitmap);

/**
 * struct gln_clear_log - arguments of gln_clear_dirty_log(), laid out as
 * struct kvm_clear_dirty_log.
 *
 * @slot:	as in gln_get_dirty_log().
 * @num_pages:	pages to clear; a multiple of 64, unless the range ends at the
 *		slot's end.
 * @first_page:	a multiple of 64.
 * @bitmap:	pages to clear, bit 0 for @first_page.
 */
struct gln_clear_log {
	uint32_t slot;
	uint32_t num_pages;
	uint64_t first_page;
	union {
		const void *bitmap;
		uint64_t padding;
	};
};

/**
 * gln_clear_dirty_log() - take back marks that a get has reported.
 *
 * Only pages that are asked for and really marked are cleared and protected.
 * Works in both modes. Copy the pages after it.
 *
 * A log that began with every page marked began without protecting, and so
 * without splitting, what is mapped in blocks. There a backend that can split
 * splits the blocks of the range first, which may allocate table pages from the
 * backend's allocator. A block that there is no memory to split is protected
 * whole: its other pages fault once more, and none is lost.
 *
 * Context: as gln_get_dirty_log().
 * Return: as gln_get_dirty_log(), and -EINVAL for a range that is misaligned or
 * leaves the slot; -EFAULT if the bitmap cannot be read. On failure every mark
 * is back.
 */
GLN_PUBLIC int gln_clear_dirty_log(struct gln_vm *vm,
				   const struct gln_clear_log *clear);

GLN_END_DECLS

#endif
