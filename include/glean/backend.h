/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * backend.h - what a second-stage MMU must supply, and what it gets.
 *
 * The core and a backend meet here and nowhere else: the core never names a
 * backend, a backend never sees the dirty log. A stranger can write one from
 * this page; backends/ref is the shortest example.
 *
 * The two orders that lose no write (G1):
 *
 *   a guest write faults             a harvest
 *     1 make the entry writable        1 take the marks
 *     2 mark the frame                 2 protect exactly the pages taken
 *     3 let the guest go on            3 flush
 *
 * Steps 1 and 2 on the left may not change places: a harvest between them
 * would take the mark, find nothing to protect, and leave the page writable
 * and unmarked for ever.
 */
#ifndef GLN_BACKEND_H
#define GLN_BACKEND_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/**
 * enum gln_cap - what a backend can do. The core tests these, never a name.
 *
 * @GLN_CAP_PROTECT:	@protect makes the next write of a page fault, and the
 *			fault marks the page.
 * @GLN_CAP_COLLECT:	dirty state is kept elsewhere (hardware, kernel);
 *			@collect marks what was written and arms it again.
 * @GLN_CAP_FLUSH:	translations are cached: @flush must follow @protect.
 * @GLN_CAP_FAULT:	the backend keeps the guest's table: it answers faults.
 * @GLN_CAP_VCPU_LOGS:	marks come from vCPUs' own logs, by @exited; without a
 *			vCPU there are none that matter.
 * @GLN_CAP_PARTS:	@protect of one slot may come from several threads at
 *			once, for different pages.
 * @GLN_CAP_GAPS:	@protect may be given clean pages as well, that lie
 *			between runs of dirty ones: what was written to them, or
 *			is meanwhile, is marked all the same. Not where whoever
 *			protects a page forgets that hardware saw it written.
 *
 * With neither PROTECT nor COLLECT the backend cannot log: gln_log_enable()
 * answers -ENOTSUP. A VM without a backend logs explicit marks only.
 */
enum gln_cap {
	GLN_CAP_PROTECT = 1 << 0,
	GLN_CAP_COLLECT = 1 << 1,
	GLN_CAP_FLUSH = 1 << 2,
	GLN_CAP_FAULT = 1 << 3,
	GLN_CAP_VCPU_LOGS = 1 << 4,
	GLN_CAP_PARTS = 1 << 5,
	GLN_CAP_GAPS = 1 << 6,
};

/** A memslot that the guest may read and not write. */
#define GLN_SLOT_READ_ONLY (1U << 0)

/**
 * struct gln_backend_slot - a memslot, as a backend sees it.
 *
 * Everything but @room and @priv is constant from attach to detach and belongs
 *to the core. @priv is the backend's.
 *
 * @flags: GLN_SLOT_*.
 * @room: at detach: the frames about the slot, its own among them, that are in
 *	  no other slot.
 * @mark: note that frames [first, first + count) may now be written. Any
 *	  thread, signal handlers included, between attach and detach; takes no
 *	  lock, allocates nothing (G3). What lies outside the slot is ignored.
 */
struct gln_backend_slot {
	uint32_t id;
	unsigned int page_shift;
	gln_gfn base;
	uint64_t nr_pages;
	void *hva; /* host address of the first page, or NULL */
	uint32_t flags;
	struct gln_range room;
	void *priv;
	void (*mark)(struct gln_backend_slot *slot, gln_gfn first,
		     uint64_t count);
};

/**
 * struct gln_backend_vcpu - a vCPU, as a backend sees it.
 *
 * @mark: note that this vCPU wrote @gfn: what its CPU logged. The vCPU's
 *	  thread; a frame in no logged slot is ignored.
 */
struct gln_backend_vcpu {
	uint32_t id;
	void *priv;
	void (*mark)(struct gln_backend_vcpu *vcpu, gln_gfn gfn);
};

/** What the guest tried to do with a frame. */
#define GLN_ACCESS_READ	 (1U << 0)
#define GLN_ACCESS_WRITE (1U << 1)
#define GLN_ACCESS_EXEC	 (1U << 2)

/**
 * enum gln_fault - what came of a fault. After all but the last three the guest
 * tries again and gets on.
 *
 * @GLN_FAULT_MAPPED:	nothing was mapped there; now it is.
 * @GLN_FAULT_RELAXED:	it was mapped with fewer rights; it has more now.
 * @GLN_FAULT_SPURIOUS:	the entry allows the access: somebody was faster, or a
 *			stale translation was asked.
 * @GLN_FAULT_RETRY:	the entry is being changed: the guest tries again.
 * @GLN_FAULT_MMIO:	no memory there: emulate the access.
 * @GLN_FAULT_READ_ONLY: a write to a read-only slot: emulate or refuse it.
 * @GLN_FAULT_RING_FULL: the vCPU's dirty ring is full: reset it first (ring.h).
 */
enum gln_fault {
	GLN_FAULT_MAPPED,
	GLN_FAULT_RELAXED,
	GLN_FAULT_SPURIOUS,
	GLN_FAULT_RETRY,
	GLN_FAULT_MMIO,
	GLN_FAULT_READ_ONLY,
	GLN_FAULT_RING_FULL,
};

/**
 * struct gln_backend_fault - a fault in a slot, which is not read-only if
 * @access says WRITE.
 *
 * @is_logged:	the slot's dirty log may be on: map pages, not blocks, and do
 *		not let the guest write a frame without saying so.
 * @to_mark:	out: the frame is writable from now on and nobody else will say
 *		when it is written, so the core marks it, after the call.
 */
struct gln_backend_fault {
	gln_gfn gfn;
	uint32_t access;
	bool is_logged;
	bool to_mark;
};

/** Ranges a flush plan names before it becomes a flush of the whole slot. */
#define GLN_FLUSH_RANGES 64

/**
 * struct gln_prices - what protect and flush cost, in any one unit: nanoseconds
 * will do.
 *
 * With all of them 0, the default, no clean page is ever protected (G4), and a
 * plan is a flush of the whole slot from GLN_FLUSH_RANGES + 1 ranges on.
 *
 * Two runs with g clean pages between them are given to protect as one range
 * where g * (@page + @false_protect) is less than @range and a range's share of
 * @call. It needs GLN_CAP_GAPS. These clean pages are not reported: the guest's
 * next write of one faults, and marks it, as after any harvest.
 *
 * A plan becomes a flush of the whole slot once its ranges, @flush_range each,
 * cost more than @flush_all. If either is 0, their number alone decides.
 *
 * @call:	a call of protect, whatever it is given.
 * @range:	each range of a call, whatever its length: to find it.
 * @page:	each page of a range.
 * @false_protect: what a clean page costs later if it is protected: a fault,
 *		by the chance that the page was writable.
 * @flush_range: each range of a plan.
 * @flush_all:	a flush of the whole slot, with the misses that follow.
 */
struct gln_prices {
	uint32_t call;
	uint32_t range;
	uint32_t page;
	uint32_t false_protect;
	uint32_t flush_range;
	uint32_t flush_all;
};

/**
 * struct gln_flush - what a harvest reaped, and so what must be flushed.
 *
 * The core fills it from the bits it took, not from the entries that changed
 * (G8): an entry found read-only proves nothing about a TLB.
 *
 * @nr_pages:	pages named, for a backend that prices a flush.
 * @whole_slot:	@ranges overflowed, or are dearer: flush all of the slot.
 * @nr_ranges:	ranges in use, ascending, disjoint, none touching the next.
 */
struct gln_flush {
	uint64_t nr_pages;
	bool whole_slot;
	unsigned int nr_ranges;
	struct gln_range ranges[GLN_FLUSH_RANGES];
};

struct gln_backend;
struct gln_hpt_fault;
struct gln_hpt_stats;
struct gln_hpt_stream;
struct gln_hpt_stream_params;

/** A clear follows; who splits at faults only need do nothing. */
#define GLN_SPLIT_FOR_CLEAR (1U << 0)

/** Pages start out marked: they need no protection before they are taken. */
#define GLN_LOG_START_ALL_MARKED (1U << 0)

/**
 * struct gln_backend_ops - an MMU, as the core drives it.
 *
 * For every call: pointers are valid and ranges lie in the slot. Calls that
 * return int return 0 or a negative errno and leave things as they were, except
 * where noted. attach, detach, log_start and log_stop are serialised by the VM
 * and may allocate. protect, flush and collect come from one thread a slot at a
 * time (but see GLN_CAP_PARTS), for several slots at once if need be, may run
 * beside guest writes, and never allocate (G6). NULL is allowed for a
 * member whose capability is absent, and for attach, detach and log_stop.
 *
 * @attach:	a slot appears; nothing is logged yet.
 * @detach:	the slot goes; on return @slot->mark is not called again. If it
 *		is logged: after its log_stop; with GLN_CAP_FAULT before it,
 *		since nothing is mapped then that log_stop could let be written.
 * @log_start:	from the return on, every guest write to a page that is not
 *		marked reaches @slot->mark (PROTECT) or the next @collect.
 *		@flags: GLN_LOG_START_*.
 * @log_stop:	no write needs to be noticed any more.
 * @protect:	make writes to @ranges fault. Idempotent. @ranges are maximal
 *		runs of reaped pages, ascending (G4), joined where @prices say
 *		so. May have protected some of them when it fails: the core
 *		puts all marks back.
 * @flush:	on return nobody writes through a translation in @flush.
 * @flush_all:	@flush of several slots at once: on return nobody writes through
 *		any translation. For a backend whose @flush costs no less; else
 *		NULL, and they are flushed one by one.
 * @collect:	mark every page of @range written since it was last armed, and
 *		arm it again before the mark is made. What it marked stays
 *		marked when it fails.
 *
 * With GLN_CAP_FAULT also these, of which @mmio, @exited and @split may be
 * NULL. unmap, age and split are serialised by the VM, like attach.
 *
 * @vcpu_attach: a vCPU appears; on its thread; may allocate.
 * @vcpu_detach: it goes. What its CPU has logged is marked first.
 * @topup:	fill the vCPU's cache of table pages; may allocate.
 * @fault:	answer a fault: an enum gln_fault up to RETRY, or -ENOMEM when
 *		the cache is empty, -ERANGE, -EFAULT. Within a read-side
 *		section; no lock, no allocation, no sleep.
 * @mmio:	a fault hit no slot: the backend may note it in the table, so
 *		that the next is told apart sooner. 0 or -ERANGE. As @fault.
 * @exited:	the vCPU has left the guest: mark what its CPU has logged.
 * @unmap:	forget what is mapped in @range, marking what was dirty; flush.
 *		Meanwhile the slot has no fault.
 * @age:	add to @nr_young the pages of @range that were accessed, and
 *		clear that.
 * @split:	split blocks that touch @range into pages; -ENOMEM as
 *		gln_mmu_split() says. @flags: GLN_SPLIT_*.
 *
 * @hpt:	more, of a backend whose table is hashed and filled by the
 *		guest; with it @fault and @topup are not called and may be NULL.
 */
struct gln_backend_ops {
	const char *name;
	uint32_t caps; /* enum gln_cap */
	int (*attach)(struct gln_backend *be, struct gln_backend_slot *slot);
	void (*detach)(struct gln_backend *be, struct gln_backend_slot *slot);
	int (*log_start)(struct gln_backend *be, struct gln_backend_slot *slot,
			 uint32_t flags);
	void (*log_stop)(struct gln_backend *be, struct gln_backend_slot *slot);
	int (*protect)(struct gln_backend *be, struct gln_backend_slot *slot,
		       const struct gln_range *ranges, size_t nr_ranges);
	int (*flush)(struct gln_backend *be, struct gln_backend_slot *slot,
		     const struct gln_flush *flush);
	int (*flush_all)(struct gln_backend *be);
	int (*collect)(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range);
	int (*vcpu_attach)(struct gln_backend *be,
			   struct gln_backend_vcpu *vcpu);
	void (*vcpu_detach)(struct gln_backend *be,
			    struct gln_backend_vcpu *vcpu);
	int (*topup)(struct gln_backend *be, struct gln_backend_vcpu *vcpu);
	int (*fault)(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		     struct gln_backend_slot *slot,
		     struct gln_backend_fault *fault);
	int (*mmio)(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		    gln_gfn gfn);
	void (*exited)(struct gln_backend *be, struct gln_backend_vcpu *vcpu);
	void (*unmap)(struct gln_backend *be, struct gln_backend_slot *slot,
		      struct gln_range range);
	void (*age)(struct gln_backend *be, struct gln_backend_slot *slot,
		    struct gln_range range, uint64_t *nr_young);
	int (*split)(struct gln_backend *be, struct gln_backend_slot *slot,
		     struct gln_range range, uint32_t flags);
	const struct gln_backend_hpt_ops *hpt;
};

/** A flag of @resize_prepare: the guest asks, for what it may. */
#define GLN_HPT_RESIZE_BY_GUEST (1U << 31)

/**
 * struct gln_backend_hpt_ops - what a hashed page table adds (hpt.h).
 *
 * @hcall and @fault come within a read-side section and do not sleep. All
 *others are serialised by the VM, but for @stream_close, @stats and
 * @resize_work, which lock for themselves. "Quiet" is: no vCPU is between enter
 * and leave, or those that are wait, outside of the library.
 *
 * @set_up:	quiet; make what is missing before a vCPU enters.
 * @allocate:	quiet.
 * @resize_commit: quiet.
 * @stream_write: quiet.
 * @check:	quiet.
 * @needs_set_up: would @set_up have anything to do? Any thread.
 * @kick:	on return every vCPU has been outside of the guest since the
 *		call began. False if the backend has no way to do that.
 */
struct gln_backend_hpt_ops {
	bool (*needs_set_up)(const struct gln_backend *be);
	int (*set_up)(struct gln_backend *be);
	int (*allocate)(struct gln_backend *be, unsigned int order);
	int64_t (*hcall)(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			 uint64_t nr, const uint64_t *args, uint64_t *rets);
	int (*fault)(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		     struct gln_hpt_fault *fault);
	uint64_t (*mmio_generation)(const struct gln_backend *be);
	int (*resize_prepare)(struct gln_backend *be, unsigned int order,
			      uint32_t flags);
	int (*resize_work)(struct gln_backend *be, uint64_t max_groups);
	int (*resize_commit)(struct gln_backend *be, unsigned int order);
	bool (*kick)(struct gln_backend *be);
	int (*stream_open)(struct gln_backend *be,
			   const struct gln_hpt_stream_params *params,
			   struct gln_hpt_stream **stream);
	void (*stream_close)(struct gln_backend *be,
			     struct gln_hpt_stream *stream);
	int64_t (*stream_read)(struct gln_backend *be,
			       struct gln_hpt_stream *stream, void *buffer,
			       size_t bytes);
	int64_t (*stream_write)(struct gln_backend *be,
				struct gln_hpt_stream *stream,
				const void *buffer, size_t bytes);
	void (*stats)(struct gln_backend *be, struct gln_hpt_stats *stats);
	int (*check)(struct gln_backend *be, const char **why);
};

/**
 * struct gln_backend - embed it first in the backend's own structure.
 *
 * @slot_at:	the slot that holds @gfn, or NULL. In a read-side section, until
 *		its end. @is_closed: it is being unmapped or goes elsewhere: map
 *		nothing of it. Set when the VM is made.
 * @owner:	the VM's.
 * @prices:	set by who makes the backend, or by the embedder before he makes
 *		the VM, who knows what a fault costs; left alone from then on.
 */
struct gln_backend {
	const struct gln_backend_ops *ops;
	struct gln_backend_slot *(*slot_at)(const struct gln_backend *be,
					    gln_gfn gfn, bool *is_closed);
	void *owner;
	struct gln_prices prices;
};

GLN_END_DECLS

#endif
