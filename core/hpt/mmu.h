/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.h - a guest's hashed page table with all that belongs to it: the engine
 * under the book3s_hv backend.
 *
 * Who may do what, and when:
 *
 *   hypercall, fault	in a read-side section that began after the table was
 *			found ready; lock entries, then heads
 *   harvest, log start	one a slot; from heads to entries
 *   unmap		the VM's lock; faults of the slot are kept out
 *   age		the VM's lock
 *   allocate, commit	the VM's lock; vCPUs are outside and no section that
 *			began before is left, so nobody is in the table
 *
 * docs/internals/hpt.md has the interleavings.
 */
#ifndef GLN_CORE_HPT_MMU_H
#define GLN_CORE_HPT_MMU_H

#include <glean/hpt.h>

#include "core/base/assert.h"
#include "core/bitmap/bitmap.h"
#include "core/hpt/page.h"
#include "core/hpt/table.h"
#include "core/sync/rcu.h"

/** enum hpt_count - what a vCPU counts; others count in the mmu's own. */
enum hpt_count {
	HPT_ENTERS,
	HPT_FULL,
	HPT_SECONDARIES,
	HPT_REMOVES,
	HPT_FAULTS,
	HPT_TLBIES,
	HPT_FLUSHES,
	HPT_WALKED,
	HPT_DIRTY,
	NR_HPT_COUNTS,
};

/** struct hpt_vcpu - a vCPU; struct gln_backend_vcpu.priv. */
struct hpt_vcpu {
	struct hpt_vcpu *next;
	gln_word counts[NR_HPT_COUNTS];
};

/**
 * struct hpt_slot - a memslot; struct gln_backend_slot.priv.
 *
 * @pages:	the head of each page's chain.
 * @watch:	while the slot is logged: the pages that have a writable entry,
 *		and so may become dirty without anybody's saying. Marked after
 *		the entry is writable, as a dirty page is.
 * @seen:	what a harvest took from @watch.
 * @max_shift:	log2 of the largest page that an entry of it ever mapped.
 * @spare:	while a resize is prepared, heads for the table to come; after
 *		it, those of the table before; or NULL. As @pages; under @lock.
 * @nr_to_carry: pages at the beginning of @spare whose R and C are not in
 *		@pages yet.
 * @is_logged:	changed with a grace period after it.
 */
struct hpt_slot {
	struct gln_backend_slot *face;
	struct hpt_slot *next;
	gln_word *pages;
	struct bitmap watch;
	struct snapshot seen;
	gln_word max_shift;
	gln_word *spare;
	uint64_t nr_to_carry;
	_Atomic bool is_logged;
};

struct hpt_lpids;

/** enum hpt_resize_state - how far a request for another table has come. */
enum hpt_resize_state {
	RESIZE_NONE,
	RESIZE_WANTED,
	RESIZE_BUSY,	/* memory is being allocated */
	RESIZE_COPYING, /* bolted entries are copied ahead of the commit */
	RESIZE_READY,
	RESIZE_FAILED, /* the next to ask is told */
};

/**
 * struct hpt_resize - a change of the table, before and after its commit; all
 * zero is none. See resize.h; guarded by the mmu's lock.
 *
 * @ticket:	of the request; whoever allocated for another owns what he
 *		got, and frees it (H-73).
 * @is_working:	somebody is allocating, without the lock.
 * @error:	why it failed.
 * @needs_rehash: a copy could not be made ahead; the commit makes all anew.
 * @next:	the table to come, nobody's but the lock's holder's.
 * @group:	the next one to copy ahead.
 * @epoch:	of the table that is copied.
 * @marks:	what the mmu's @stale points to.
 * @old:	the table before, until what hardware noted in it is taken over;
 *		@old_group is the next to look at.
 * @dead:	a table that nobody needs any more, to be freed.
 * @is_draining: something is left to take over.
 * @nr_resizes, @step_ns: figures.
 */
struct hpt_resize {
	enum hpt_resize_state state;
	unsigned int order;
	uint32_t flags;
	uint64_t ticket;
	bool is_working;
	int error;
	bool needs_rehash;
	struct hpt *next;
	uint64_t group;
	uint64_t epoch;
	struct bitmap marks;
	struct hpt *old;
	uint64_t old_group;
	struct hpt *dead;
	_Atomic bool is_draining;
	gln_word nr_resizes;
	gln_word step_ns;
};

/** struct hpt_memory - what memory.c needs; @lock comes after all others. */
struct hpt_memory {
	struct gln_plat_mutex lock;
	struct gln_allocator from;
};

/**
 * struct hpt_mmu - the engine.
 *
 * @table:	the table that hardware walks; NULL before the first. Replaced
 *		when nobody is in it.
 * @epoch:	counts tables and resets: who remembers something of a table
 *		remembers this with it (H-78, H-81).
 * @allocator:	one caller at a time, by @memory: no lock need be held.
 * @slots:	changed with the VM's lock and @lock; either lets read.
 * @slots_shift: log2 of the bytes of a slot's page; 0 before the first slot.
 * @change:	held while @table is withdrawn; before @lock.
 * @lock:	of @vcpus, @own, @resize. After the VM's lock.
 * @own:	counted by nobody's vCPU, and by vCPUs that are gone.
 * @nr_streams:	streams that want to know what changes.
 * @stale:	while a table is copied ahead of a resize: one bit a group of
 *		the present table in which a bolted entry changed; or NULL.
 * @max_order:	that a guest may ask for.
 * @vrma_due:	the VRMA is to be made before the next entry.
 */
struct hpt_mmu {
	struct gln_backend backend;
	enum gln_hpt_isa isa;
	uint32_t flags;
	unsigned int default_order;
	unsigned int max_order;
	uint32_t lpid;
	struct gln_mmu_host host;
	struct gln_allocator allocator;
	struct hpt_memory memory;
	void (*tlbie)(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr);
	void (*flush_all)(void *ctx, uint32_t lpid);
	void (*set_table)(void *ctx, uint64_t word);
	void *ctx;
	struct gln_hpt_host *hpt_host;

	_Atomic(struct hpt *) table;
	gln_word epoch;
	gln_word mmio_generation;
	gln_word nr_streams;
	_Atomic(struct bitmap *) stale;
	struct hpt_slot *slots;
	_Atomic unsigned int slots_shift;
	bool vrma_due;

	struct gln_plat_mutex change;
	struct gln_plat_mutex lock;
	struct hpt_vcpu *vcpus;
	gln_word own[NR_HPT_COUNTS];
	struct hpt_resize resize;
};

/**
 * glni_hpt_memory_init() - set @mmu->allocator. 0 or -ENOMEM.
 * @from:	where memory comes from in the end; copied.
 */
int glni_hpt_memory_init(struct hpt_mmu *mmu, const struct gln_allocator *from);
void glni_hpt_memory_fini(struct hpt_mmu *mmu);

/**
 * glni_hpt_withdraw() - take the table from all who use it: nobody is in it
 * when this returns, and who comes waits. glni_hpt_bring_back() - @hpt, the
 * same or another, is the table.
 *
 * Context: the VM's lock is held; sleeps.
 */
void glni_hpt_withdraw(struct hpt_mmu *mmu);
void glni_hpt_bring_back(struct hpt_mmu *mmu, struct hpt *hpt);

/** glni_hpt_wait_for_table() - wait for who withdrew it. False: there is none.
 */
bool glni_hpt_wait_for_table(struct hpt_mmu *mmu);

/** hpt_order_is_valid() - 18 to 46. */
static inline bool hpt_order_is_valid(unsigned int order)
{
	return order >= GLN_HPT_ORDER_MIN && order <= GLN_HPT_ORDER_MAX;
}

/** glni_hpt_holds_slots() - can a table of @order keep track of every slot? */
bool glni_hpt_holds_slots(const struct hpt_mmu *mmu, unsigned int order);

/**
 * glni_hpt_make_table() - a table that nobody knows of yet.
 * @pool:	see glni_hpt_init().
 *
 * Return: 0; -ENOMEM; -ERANGE if hardware could not find it: not aligned.
 */
int glni_hpt_make_table(struct hpt_mmu *mmu, unsigned int order,
			struct hpt_pool *pool, struct hpt **out);
void glni_hpt_free_table(struct hpt_mmu *mmu, struct hpt *hpt);

/** hpt_mmu_of() - the engine of a backend. */
static inline struct hpt_mmu *hpt_mmu_of(const struct gln_backend *be)
{
	return gln_container_of((struct gln_backend *)(uintptr_t)be,
				struct hpt_mmu, backend);
}

/** hpt_table() - the present table, for as long as nobody may replace it. */
static inline struct hpt *hpt_table(const struct hpt_mmu *mmu)
{
	/*
	 * sync hpt.1 (acquire) <- hpt.2: the table's order and memory before
	 * anybody computes an index from them (H-58, H-90).
	 */
	return gln_load_acquire(&mmu->table);
}

/** hpt_publish() - make @hpt the table; NULL while it is being changed. */
static inline void hpt_publish(struct hpt_mmu *mmu, struct hpt *hpt)
{
	/* sync hpt.2 (release) -> hpt.1: all of a table before who uses it. */
	gln_store_release(&mmu->table, hpt);
}

/** hpt_table_word() - what hardware is told of @hpt; 0 for NULL. */
static inline uint64_t hpt_table_word(const struct hpt_mmu *mmu,
				      const struct hpt *hpt)
{
	const struct gln_mmu_host *const host = &mmu->host;

	if (!hpt)
		return 0;
	return (host->phys_of ? host->phys_of(host->ctx, hpt->entries)
			      : (uintptr_t)hpt->entries) |
	       (hpt->order - GLN_HPT_ORDER_MIN);
}

/** HPT_RPN_SHIFT - log2 of what hpt_rpn_bits() counts in. */
enum { HPT_RPN_SHIFT = 12 };

/** hpt_holds() - can a table of @order keep track of all of a slot? */
static inline bool hpt_holds(unsigned int order,
			     const struct gln_backend_slot *face)
{
	const uint64_t last = face->base + face->nr_pages - 1;

	return !(last << (face->page_shift - HPT_RPN_SHIFT) >>
		 hpt_rpn_bits(order));
}

#endif
