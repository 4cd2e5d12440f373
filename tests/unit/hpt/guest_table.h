/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest_table.h - a VM with a hash table, one vCPU that is always inside, and a
 * CPU that does nothing but note R and C when it is told to, or late: when it
 * is flushed.
 */
#ifndef GLN_TESTS_UNIT_HPT_GUEST_TABLE_H
#define GLN_TESTS_UNIT_HPT_GUEST_TABLE_H

#include <glean/glean.h>
#include <glean/hpt.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/hpt/real.h"
#include "core/hpt/resize.h"
#include "tests/support/fake_allocator.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

enum {
	RIG_SHIFT = 12,
	RIG_PAGES = 1024,
	RIG_GFN = 256, /* of the slot's first page; before it is MMIO */
	RIG_LATE = 64,
	RIG_GROUP = GLN_HPT_GROUP_ENTRIES,
};

#define RIG_VSID    UINT64_C(0x12345)
#define RIG_SLB_4K  (RIG_VSID << GLN_SLB_VSID_SHIFT)
#define RIG_SLB_64K (RIG_SLB_4K | GLN_SLB_L | GLN_SLB_LP_64K)
#define RIG_SLB_1T                                                  \
	(UINT64_C(0xabcde) << GLN_SLB_VSID_SHIFT_1T | GLN_SLB_1TB | \
	 GLN_SLB_L | GLN_SLB_LP_64K)
#define RIG_R (GLN_HPTE_R_M | 2) /* all may write */

/**
 * struct rig - all of it.
 *
 * @late:	entries in which the CPU has yet to note something.
 * @on_alloc:	called once, within the next allocation.
 */
static struct rig {
	struct fake_allocator memory;
	struct gln_allocator allocator;
	struct gln_backend *be;
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	struct hpt_mmu *mmu;
	void *guest;
	size_t nr_late;
	struct {
		struct hpte *entry;
		uint64_t rc;
	} late[RIG_LATE];
	uint64_t nr_flushes;
	uint64_t word;
	void (*on_alloc)(void);
} rig;

/* Hardware: an atomic OR, as it is late it finds what is there then. */
static void rig_note(struct hpte *entry, uint64_t rc)
{
	gln_fetch_or_relaxed(&entry->r, hpte_be(rc));
}

static void rig_flush(void)
{
	while (rig.nr_late) {
		rig.nr_late--;
		rig_note(rig.late[rig.nr_late].entry, rig.late[rig.nr_late].rc);
	}
}

static void rig_tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)ctx;
	(void)ops;
	(void)nr;
	rig_flush();
}

static void rig_flush_all(void *ctx, uint32_t lpid)
{
	(void)ctx;
	(void)lpid;
	rig.nr_flushes++;
	rig_flush();
}

static void rig_set_table(void *ctx, uint64_t word)
{
	(void)ctx;
	rig.word = word;
}

static void rig_kick(void *ctx)
{
	(void)ctx;
}

static void *rig_alloc(void *ctx, size_t bytes)
{
	void (*const call)(void) = rig.on_alloc;

	(void)ctx;
	rig.on_alloc = NULL;
	if (call)
		call();
	return gln_alloc(&rig.memory.allocator, bytes);
}

static void rig_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	gln_free(&rig.memory.allocator, memory, bytes);
}

static inline int rig_allocate(uint32_t order)
{
	int err;

	gln_vcpu_leave(rig.vcpu);
	err = gln_hpt_allocate(rig.vm, &order);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	return err;
}

static void rig_open(enum gln_hpt_isa isa, unsigned int order)
{
	const struct gln_mmu_host host = {.kick = rig_kick};
	const struct gln_hpt_params params = {
		.struct_bytes = sizeof(params),
		.isa = isa,
		.default_order = order,
		.host = &host,
		.allocator = &rig.allocator,
		.tlbie = rig_tlbie,
		.flush_all = rig_flush_all,
		.set_table = rig_set_table,
	};
	struct gln_vm_params vm = {.struct_bytes = sizeof(vm)};
	struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.base = RIG_GFN,
		.nr_pages = RIG_PAGES,
	};

	memset(&rig, 0, sizeof(rig));
	fake_allocator_init(&rig.memory);
	rig.allocator = (struct gln_allocator){rig_alloc, rig_free, NULL};
	rig.guest = aligned_alloc(1 << 16, RIG_PAGES << RIG_SHIFT);
	cr_assert(rig.guest);
	slot.hva = rig.guest;
	cr_assert_eq(gln_hpt_create(&params, &rig.be), 0);
	rig.mmu = hpt_mmu_of(rig.be);
	vm.backend = rig.be;
	cr_assert_eq(gln_vm_create(&vm, &rig.vm), 0);
	cr_assert_eq(gln_slot_add(rig.vm, &slot), 0);
	cr_assert_eq(gln_vcpu_register(rig.vm, 0, &rig.vcpu), 0);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
}

static void rig_close(void)
{
	gln_vcpu_leave(rig.vcpu);
	gln_vcpu_unregister(rig.vcpu);
	cr_assert_eq(gln_vm_destroy(rig.vm), 0);
	gln_hpt_destroy(rig.be);
	cr_assert_eq(rig.memory.nr_live, 0, "%zu blocks are left",
		     rig.memory.nr_live);
	free(rig.guest);
}

/** struct rig_entry - an entry that a guest would make. */
struct rig_entry {
	uint64_t slb;
	uint64_t ea;
	bool is_secondary;
	unsigned int place; /* in its group */
	uint64_t flags;	    /* of V */
	uint64_t r;	    /* not LP */
};

/* What gln_hpte_encode() has for a base page's own size. */
static struct gln_hpte rig_hpte(const struct rig_entry *e)
{
	struct gln_hpte entry = {0, 0};
	const unsigned int shift = gln_slb_page_shift(e->slb);

	cr_assert(
		gln_hpte_encode((struct gln_hpte_size){shift, shift}, &entry));
	entry.v |= gln_hpt_vpn(e->slb, e->ea) | e->flags |
		   (e->is_secondary ? GLN_HPTE_V_SECONDARY : 0);
	entry.r |= e->r;
	return entry;
}

/* Where it belongs in a table of @order, from the address. */
static inline uint64_t rig_index(const struct rig_entry *e, unsigned int order)
{
	const uint64_t hash = gln_hpt_hash(e->slb, e->ea);
	const uint64_t mask =
		(UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1;

	return ((e->is_secondary ? ~hash : hash) & mask) * RIG_GROUP + e->place;
}

static int64_t rig_enter_at(uint64_t index, struct gln_hpte entry)
{
	uint64_t args[GLN_HCALL_ARGS] = {GLN_H_EXACT, index, entry.v, entry.r};

	return gln_hcall(rig.vcpu, GLN_H_ENTER, args, args);
}

static inline int64_t rig_enter(const struct rig_entry *e, unsigned int order)
{
	return rig_enter_at(rig_index(e, order), rig_hpte(e));
}

static inline struct gln_hpte rig_read(uint64_t index)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, index};

	cr_assert_eq(gln_hcall(rig.vcpu, GLN_H_READ, args, args), 0);
	return (struct gln_hpte){args[0], args[1]};
}

static inline int64_t rig_call(uint64_t nr, uint64_t flags, uint64_t index)
{
	uint64_t args[GLN_HCALL_ARGS] = {flags, index};

	return gln_hcall(rig.vcpu, nr, args, args);
}

static inline struct hpte *rig_at(uint64_t index)
{
	return &hpt_table(rig.mmu)->entries[index];
}

/* A RPN, as R has it. */
static inline uint64_t rig_rpn(uint64_t page)
{
	return (RIG_GFN + page) << RIG_SHIFT;
}

static inline int rig_check(void)
{
	const char *why = "nothing";
	int err;

	gln_vcpu_leave(rig.vcpu);
	err = gln_hpt_check(rig.vm, &why);
	cr_assert_eq(gln_vcpu_enter(rig.vcpu), 0);
	if (err)
		cr_log_info("%s", why);
	return err;
}

#endif
