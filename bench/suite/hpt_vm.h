/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_vm.h - a guest of the book3s_hv backend, as large as you like: it has a
 * hashed page table and addresses, and no memory, for nobody runs in it.
 *
 * Its kernel maps all of it one to one, by pages of 4 KiB in segments of 256
 * MiB. The entry of a page is in its primary group where that has room, else in
 * the secondary one. What hardware would note in entries, benchmarks do.
 */
#ifndef BENCH_SUITE_HPT_VM_H
#define BENCH_SUITE_HPT_VM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glean/glean.h>
#include <glean/hpt.h>

enum {
	HPT_VM_SLOT = 0,
	HPT_VM_PAGE_SHIFT = 12,
};

/** struct hpt_vm_params - how to make one. */
struct hpt_vm_params {
	uint64_t nr_pages;
	unsigned int order;
	enum gln_hpt_isa isa;
	uint64_t seed;
};

struct hpt_guest;

/**
 * struct hpt_vm - one slot at frame 0, one vCPU on the thread that made it.
 *
 * @nr_entries:	of the table that was made first.
 * @guest:	its kernel, asked for nothing but what it would enter.
 * @is_inside:	the vCPU is between enter and leave.
 */
struct hpt_vm {
	struct hpt_vm_params params;
	uint64_t nr_entries;
	struct hpt_guest *guest;
	struct gln_backend *backend;
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	bool is_inside;
};

/**
 * hpt_vm_init() - an empty table; the vCPU is inside.
 *
 * Return: 0 or a negative errno; hpt_vm_fini() is due in either case.
 */
int hpt_vm_init(struct hpt_vm *vm, const struct hpt_vm_params *params);
void hpt_vm_fini(struct hpt_vm *vm);

/** hpt_vm_inside(), hpt_vm_outside() - where the vCPU is from now on. */
int hpt_vm_inside(struct hpt_vm *vm);
void hpt_vm_outside(struct hpt_vm *vm);

/* The kernel's entries. */

/** hpt_vm_entry() - what the guest enters for a page: for its primary group. */
struct gln_hpte hpt_vm_entry(const struct hpt_vm *vm, uint64_t page);

/**
 * hpt_vm_group() - the first index of the group where the entry of @page
 * belongs in a table of @order; of the secondary one if @v says H.
 */
uint64_t hpt_vm_group(const struct hpt_vm *vm, uint64_t page,
		      unsigned int order, uint64_t v);

/**
 * hpt_vm_enter() - H_ENTER.
 * @flags:	more for V: GLN_HPTE_V_BOLTED.
 * @index:	where it is then; or NULL.
 *
 * Return: 0; -ENOSPC if both groups are full; -EIO for any other refusal.
 */
int hpt_vm_enter(struct hpt_vm *vm, uint64_t page, uint64_t flags,
		 uint64_t *index);

/** hpt_vm_fault() - the CPU was refused @access to a page. As gln_hpt_fault().
 */
int hpt_vm_fault(struct hpt_vm *vm, uint64_t page, uint32_t access);

/* The table in memory, as the CPU has it. */

/** struct hpt_vm_pair - an entry's doublewords, big-endian. */
struct hpt_vm_pair {
	_Atomic uint64_t v;
	_Atomic uint64_t r;
};

/** hpt_vm_table() - where it is. */
struct hpt_vm_pair *hpt_vm_table(const struct hpt_vm *vm);

/** hpt_vm_number() - a doubleword, as a number. */
static inline uint64_t hpt_vm_number(uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(word);
#else
	return word;
#endif
}

/** hpt_vm_note() - set bits of R as a CPU would: GLN_HPTE_R_R, GLN_HPTE_R_C. */
static inline void hpt_vm_note(struct hpt_vm_pair *entry, uint64_t bits)
{
	atomic_fetch_or_explicit(&entry->r, hpt_vm_number(bits),
				 memory_order_relaxed);
}

#endif
