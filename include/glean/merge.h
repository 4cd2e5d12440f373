/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.h - mark what several other logs of a slot say, in one pass; or add it
 * to an open harvest.
 *
 * A guest's memory is written by more than its vCPUs: devices in other
 * processes, device passthrough, an accelerated network backend. Each keeps a
 * log of its own, with its own page size, start and byte order. Merging reads
 * all of them beside each other and goes over the slot's own log once.
 *
 *   G1  What a source says when its word is read is marked, in the order of a
 *       vCPU's mark: a source says so after the page was written.
 *   G11 Sources may change meanwhile and may be hostile: whatever they hold, no
 *       byte is read but those that gln_source describes, each bit decides
 *       once, and what lies outside the slot is ignored.
 */
#ifndef GLN_MERGE_H
#define GLN_MERGE_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_harvest;

/**
 * enum gln_source_kind - how a source names pages.
 *
 * @GLN_SOURCE_BITMAP:	one bit a page, from the low end of each byte or word:
 *			Linux KVM, VFIO, vhost's log, VMMs' own.
 * @GLN_SOURCE_BYTES:	one byte a page; it is named unless the byte is 0.
 * @GLN_SOURCE_LIST:	frame numbers of 64 bits, in any order and as often as
 *			they like: PML buffers, Xen, the offsets in entries of
 *			a dirty ring.
 */
enum gln_source_kind {
	GLN_SOURCE_BITMAP,
	GLN_SOURCE_BYTES,
	GLN_SOURCE_LIST,
};

/**
 * enum gln_source_order - the byte order of a bitmap's or list's 64-bit words.
 *
 * @GLN_SOURCE_LITTLE:	little-endian: of a bitmap, byte 0 has bits 0 to 7.
 * @GLN_SOURCE_BIG:	big-endian: of a bitmap, byte 7 has bits 0 to 7.
 * @GLN_SOURCE_HOST:	as this CPU stores a uint64_t.
 */
enum gln_source_order {
	GLN_SOURCE_LITTLE,
	GLN_SOURCE_BIG,
	GLN_SOURCE_HOST,
};

/**
 * struct gln_source - one log to merge. Zeroed members are fine for all but
 * @data, @nr and @page_shift. An element is a bit, a byte, or an entry.
 *
 * @kind:	enum gln_source_kind.
 * @order:	enum gln_source_order; bytes have none.
 * @page_shift:	log2 of its page size in bytes, 0 to 63. It may be the VM's, or
 *		smaller: then a page is named when any part of it is; or larger:
 *		then an element names all the pages it covers. 0 is right for
 *		addresses, as PML logs them.
 * @stride_bytes: of a list: from one entry to the next, 8 or more; 0 means 8.
 *		Of others: 0.
 * @data:	where it is, at any address. Read are the bytes that hold
 *		elements [@offset, @offset + @nr) and no other; of a bitmap in
 *		big-endian order, the 64-bit words, counted from @data.
 * @offset:	elements at @data to leave out.
 * @nr:		elements to merge.
 * @first:	frame, in pages of this source, that the first of them stands
 *		for; for a list, what is added to every entry.
 * @nr_set:	out: pages of the slot that it named; of a list, or if the slot
 *		moved meanwhile, with repeats.
 * @nr_new:	out: those that nobody had marked before, neither the slot's log
 *		nor another source. Of bitmaps and bytes that is as seen when
 *		their line was read: a mark set at the same time may be counted
 *		by both who set it.
 */
struct gln_source {
	uint32_t kind;
	uint32_t order;
	uint32_t page_shift;
	uint32_t stride_bytes;
	const void *data;
	uint64_t offset;
	uint64_t nr;
	gln_gfn first;
	uint64_t nr_set;
	uint64_t nr_new;
};

/** Bitmaps and bytes that are merged in one pass; more take another pass. */
#define GLN_MERGE_AT_ONCE 8

/**
 * gln_dirty_merge_sources() - mark every page of a slot that any source names.
 * @vm:		VM.
 * @id:		slot.
 * @sources:	what to merge: bitmaps and bytes first, in their order, then
 *		lists. @nr_set and @nr_new of each are overwritten.
 * @nr_sources:	how many; 0 is none, and checks the rest.
 *
 * Stretches in which no source says anything are passed at the speed of memory,
 * and the slot's log is not looked at there. Pages that are marked already are
 * read and not written.
 *
 * Context: any thread, as gln_dirty_mark(): no lock, no allocation, no waiting.
 * Wait-free, in steps of at most 8 MiB of the slot's bitmap, or of the source
 * that has most for it, between which a grace period may end. Takes 12 KiB of
 * stack.
 * Return: 0; -EINVAL for an id out of bounds, or a source with an unknown kind
 * or order, a page shift above 63, a wrong stride, no data, or more elements
 * or, of a list, bytes than 64 bits count; -ENOENT if there is no such slot or
 * its logging is off; -ENXIO if the VM logs in rings only (ring.h). On failure
 * nothing was marked and no count written, unless the slot went away, or its
 * logging ended, while we were at it.
 */
GLN_PUBLIC int gln_dirty_merge_sources(struct gln_vm *vm, uint32_t id,
				       struct gln_source *sources,
				       size_t nr_sources);

/**
 * gln_harvest_merge_sources() - add every page that any source names to an open
 * harvest.
 * @harvest:	of one slot: begun, and neither committed nor aborted.
 * @sources:	as above, but for @nr_new: those that were neither in the
 *		harvest nor named by another source.
 * @nr_sources:	how many; 0 is none.
 *
 * A harvest is its caller's own: this costs what an OR into plain memory does,
 * where gln_dirty_merge_sources() pays an atomic operation for each word of the
 * log that gains a mark. The slot's log is not looked at: what is marked there
 * since the harvest began is the next one's too.
 *
 * The pages are in the harvest like those it took. gln_harvest_next() gives
 * them out, starting over if any is new; a commit forgets them; an abort marks
 * them in the log. They need not be among those that a budget or a cursor left.
 * Pages that were settled are in it again if a source names them.
 *
 * They are neither protected nor flushed. So merge here what names a page again
 * when it is written again: the log of a device, or KVM's, which has protected
 * what it gave out or cleared. What vCPUs wrote through this VM's own backend,
 * and what says so only once, as PML does until its entry is armed again, goes
 * into the slot's log before the harvest begins.
 *
 * Context: the harvester, before he copies what was merged (G1); not in a visit
 * of gln_vm_harvest_each(). No lock, no allocation, no waiting. Takes 12 KiB of
 * stack.
 * Return: 0; -EINVAL as above. Then nothing was merged and no count written.
 */
GLN_PUBLIC int gln_harvest_merge_sources(struct gln_harvest *harvest,
					 struct gln_source *sources,
					 size_t nr_sources);

GLN_END_DECLS

#endif
