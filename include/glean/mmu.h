/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.h - second-stage tables that the library keeps for a guest.
 *
 * A backend with GLN_CAP_FAULT owns the table that translates guest frames
 * (ept.h, s2.h). The embedder runs vCPUs and tells the library what they exit
 * with; this is its loop:
 *
 *	gln_vcpu_topup(vcpu);			may allocate: not in the guest
 *	do {
 *		gln_vcpu_exit(vcpu);		what CPUs log from here on; last
 *						before entry, kicks noticed
 *		run the guest until it exits;
 *		gln_vcpu_exit(vcpu);		drains what was logged
 *		if (it was a fault of the second stage, or misconfigured)
 *			switch (gln_vcpu_fault(vcpu, gfn, access)) ...
 *	} while (...);
 *
 *   G1  A fault makes the entry writable first and marks the frame second, both
 *       before it returns; if it fails it does neither.
 *   G3  A fault takes no lock. Faults run beside each other and beside harvests
 *       and changes of the table; who loses a race lets the guest try again.
 *   G6  A fault allocates nothing: table pages come from the vCPU's cache.
 *
 *   may run together	fault	harvest	unmap, age, split	slot changes
 *     fault		yes	yes	yes			yes
 *     unmap, age	retry	yes	in turn			in turn
 *     split		yes	-EBUSY	in turn			in turn
 */
#ifndef GLN_MMU_H
#define GLN_MMU_H

#include <glean/backend.h>

GLN_BEGIN_DECLS

struct gln_vm;
struct gln_vcpu;

/**
 * enum gln_memory_type - what an entry says of the memory behind it.
 *
 * @GLN_MEMORY_NORMAL:	write-back (EPT type 6; Arm Normal, inner and outer
 *			write-back).
 * @GLN_MEMORY_DEVICE:	uncached (EPT type 0; Arm Device-nGnRE).
 */
enum gln_memory_type {
	GLN_MEMORY_NORMAL = 0,
	GLN_MEMORY_DEVICE = 1,
};

/**
 * struct gln_host_page - what backs a guest frame.
 *
 * @hpa:	host physical address of the frame's first byte.
 * @order:	log2 of the size in bytes of the naturally aligned piece, in
 *		host and guest alike, around the frame that one block may map;
 *		what is less than a page means a page.
 * @is_writable: the guest may write it. Where not, a write asks again.
 * @type:	its memory type.
 */
struct gln_host_page {
	uint64_t hpa;
	unsigned int order;
	bool is_writable;
	enum gln_memory_type type;
};

/**
 * struct gln_mmu_host - the machine under the table. Any call may be NULL.
 *
 * @phys_of:	host physical address of table memory. NULL: its address.
 * @memory_at:	the other way. NULL: the address itself.
 * @translate:	fill in what backs @gfn of @slot for @access; @page comes with
 *		what the slot's hva says. Called in a read-side section: must
 *		not sleep. 0, -EAGAIN if it is not there now and the guest
 *		should try again, or -EFAULT. NULL: the hva is the physical
 *		address, writable, with blocks as large as alignment allows.
 * @kick:	make every vCPU leave the guest. On return each has been outside
 *		since the call began, and calls gln_vcpu_exit() before it enters
 *		again, also one that was outside when the call began. Needed by
 *		backends whose CPUs log (PML). Called with the VM's lock held,
 *		so it must not wait for a vCPU within a call of the library.
 */
struct gln_mmu_host {
	void *ctx;
	uint64_t (*phys_of)(void *ctx, const void *memory);
	void *(*memory_at)(void *ctx, uint64_t hpa);
	int (*translate)(void *ctx, const struct gln_backend_slot *slot,
			 gln_gfn gfn, uint32_t access,
			 struct gln_host_page *page);
	void (*kick)(void *ctx);
};

/**
 * gln_vcpu_topup() - fill the vCPU's cache of table pages: enough for a fault.
 *
 * Context: the vCPU's thread, outside the guest; may allocate.
 * Return: 0; -ENOTSUP if the VM's backend maps no guest; -ENOMEM; -ERANGE if
 * table memory lies where no entry can point, or unaligned.
 */
GLN_PUBLIC int gln_vcpu_topup(struct gln_vcpu *vcpu);

/**
 * gln_vcpu_fault() - the guest was refused an access by the second stage.
 * @gfn:	the frame.
 * @access:	GLN_ACCESS_*, at least one; a write may also say READ.
 *
 * Context: the vCPU's thread, outside the guest, after gln_vcpu_exit(); any
 * lock held; allocates nothing and never waits for a harvest.
 * Return: an enum gln_fault; -EINVAL for an @access of no or unknown bits;
 * -ERANGE for a @gfn beyond what the table can translate; -ENOMEM if the cache
 * is empty: top up and call again; -EFAULT if nothing backs the frame; -ENOTSUP
 * if the backend maps no guest. On failure nothing is mapped, writable or
 * marked that was not before.
 */
GLN_PUBLIC int gln_vcpu_fault(struct gln_vcpu *vcpu, gln_gfn gfn,
			      uint32_t access);

/**
 * gln_vcpu_exit() - the vCPU has left the guest, for whatever reason.
 *
 * Moves what its CPU has logged (PML) into the dirty log, in the CPU's order.
 *
 * Context: the vCPU's thread, after every exit, the last one included; takes no
 * lock, allocates nothing.
 */
GLN_PUBLIC void gln_vcpu_exit(struct gln_vcpu *vcpu);

/**
 * gln_mmu_unmap() - the host takes back what backs @range: forget it.
 *
 * Dirty state of entries goes to the log first. On return no vCPU uses a
 * translation of @range that was made before the call; new faults ask the host
 * anew. What of @range is in no slot is ignored.
 *
 * The host must answer translate() anew before it calls. Meanwhile faults in
 * the slot are tried again.
 *
 * Context: any thread; sleeps for flushes and grace periods, so hold no lock
 * that @translate or a flush takes.
 * Return: 0; -ENOTSUP if the backend maps no guest.
 */
GLN_PUBLIC int gln_mmu_unmap(struct gln_vm *vm, struct gln_range range);

/**
 * gln_mmu_age() - count and clear the accessed state of entries in @range.
 *
 * Dirty state stays. Nothing is flushed: a translation that a vCPU keeps using
 * may look old.
 *
 * @nr_young:	pages that were accessed since they were last aged; a block
 *		counts all of its pages in @range.
 *
 * Context: any thread; may sleep.
 * Return: 0; -ENOTSUP if the backend maps no guest. @nr_young is untouched on
 * failure.
 */
GLN_PUBLIC int gln_mmu_age(struct gln_vm *vm, struct gln_range range,
			   uint64_t *nr_young);

/**
 * gln_mmu_split() - split blocks of a logged slot into pages, ahead of faults.
 * @id:		the slot.
 * @next_page:	in: page of the slot to start at. out: where to go on, the
 *		slot's number of pages when done.
 * @max_pages:	look at no more than so many pages, rounded up to whole blocks
 *		(G7); 0 is no limit.
 *
 * Context: any thread; may allocate and sleep. In turn with harvests of @id.
 * Return: 0; -EINVAL for an id out of bounds or *@next_page past the slot;
 * -ENOENT if there is no such slot or it is not logged; -EBUSY while a harvest
 * of it is open; -ENOTSUP if the backend maps no guest; -ENOMEM: what could not
 * be split stays a smaller block or a whole one, and is as dirty, or as
 * protected, as before. @next_page then says how far it got.
 */
GLN_PUBLIC int gln_mmu_split(struct gln_vm *vm, uint32_t id,
			     uint64_t *next_page, uint64_t max_pages);

GLN_END_DECLS

#endif
