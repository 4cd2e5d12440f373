/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirty.h - say that guest memory was written.
 *
 *   G1  No lost write. A guest write is in the page as copied after the harvest
 *       that reported the page, or a later harvest reports the page.
 *   G3  Marking is wait-free: no lock, no allocation, no waiting for a harvest.
 *
 * The mark comes last: after the write, or after the entry was made writable.
 * Before either, a harvest could take the mark and miss the write.
 *
 * Who makes many marks in a row makes them through a view (view.h).
 *
 * A thread's first mark enters it in the RCU registry, once (see
 * gln_vcpu_register(), which does that beforehand).
 *
 * Frames outside every slot, and slots whose logging is off, are no error to
 * mark: a guest may name any frame it likes (G11).
 */
#ifndef GLN_DIRTY_H
#define GLN_DIRTY_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_vcpu;

/**
 * gln_dirty_mark() - note that a frame was written.
 *
 * Context: any thread, any lock held, signal handlers included (G3).
 * Return: 1 if the mark is new; 0 if the frame was marked or its slot is not
 * logged; -ENOENT if no slot holds @gfn; -ENXIO, and no mark, if the VM logs in
 * rings only (ring.h).
 */
GLN_PUBLIC int gln_dirty_mark(struct gln_vm *vm, gln_gfn gfn);

/**
 * gln_vcpu_mark() - gln_dirty_mark() on a vCPU, counted in its statistics.
 *
 * Where rings are on the frame goes to the vCPU's, and the mark is always new.
 *
 * Context: the thread that runs @vcpu; with rings, not a signal handler that
 * may interrupt it in a mark or a fault.
 * Return: 1, 0 or -ENOENT, as gln_dirty_mark().
 */
GLN_PUBLIC int gln_vcpu_mark(struct gln_vcpu *vcpu, gln_gfn gfn);

/**
 * gln_dirty_mark_range() - note that every frame of a range was written.
 *
 * One atomic OR for each 64 pages. @range may cover many slots and the holes
 * between them, and may reach past the end of the frame space: what is in no
 * slot is skipped.
 *
 * Context: as gln_dirty_mark(); the work is bounded by the pages that are in
 * slots.
 * Return: how many marks are new.
 */
GLN_PUBLIC uint64_t gln_dirty_mark_range(struct gln_vm *vm,
					 struct gln_range range);

/**
 * gln_dirty_mark_bytes() - note a write of bytes, as a device makes it.
 *
 * Marks each page that has at least one of the @bytes from @gpa on; none when
 * @bytes is 0. A range that wraps past 2^64 ends there.
 *
 * Context, Return: as gln_dirty_mark_range().
 */
GLN_PUBLIC uint64_t gln_dirty_mark_bytes(struct gln_vm *vm, uint64_t gpa,
					 uint64_t bytes);

/**
 * gln_dirty_merge() - mark what another log of a slot says.
 * @id:		slot.
 * @first_page:	page of the slot that bit 0 of @bits stands for; a multiple
 *		of 64.
 * @bits:	little-endian bitmap, as KVM and vhost give it, of
 *		(@nr_pages + 63) / 64 words; bits from @nr_pages on are ignored.
 * @nr_pages:	bits to merge.
 *
 * Context: any thread, as gln_dirty_mark().
 * Return: 0; -EINVAL for an id out of bounds, @first_page not a multiple of 64,
 * or bits past the slot's end; -ENOENT if there is no such slot or its logging
 * is off; -ENXIO if the VM logs in rings only (ring.h).
 */
GLN_PUBLIC int gln_dirty_merge(struct gln_vm *vm, uint32_t id,
			       uint64_t first_page, const uint64_t *bits,
			       uint64_t nr_pages);

GLN_END_DECLS

#endif
