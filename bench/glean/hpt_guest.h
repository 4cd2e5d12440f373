/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_guest.h - a small kernel for a guest with a hashed page table: what it
 * does when its CPU finds no segment or no entry.
 *
 * It maps all its memory one to one: an effective address is the guest's real
 * address. It keeps no list of what is in the table. Who needs an entry looks
 * into the two groups where it can be, enters it if it is not there, and throws
 * a random one out if both are full.
 *
 * Any number of vCPUs may be in it at once. A page is entered by one at a time,
 * so that no page is ever in the table twice: the architecture allows two equal
 * entries, but only as long as they stay equal, and each of them may come to
 * hold another C.
 *
 * Needs <glean/...> only.
 */
#ifndef BENCH_GLEAN_HPT_GUEST_H
#define BENCH_GLEAN_HPT_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/hpt.h>
#include <glean/model.h>

struct hpt_guest;

/**
 * struct hpt_guest_params - how it maps its memory.
 *
 * @base_shift:	log2 of the base page size of its segments: 12, 16 or 24.
 * @actual_shift: log2 of what an entry maps; as @base_shift, or more where
 *		gln_hpte_encode() has such a pair. Memory begins and ends at
 *		multiples of it.
 * @segment_shift: 28 or 40: 256 MiB or 1 TiB.
 * @order:	of the table.
 * @seed:	of its virtual segment ids, and of whom it throws out.
 */
struct hpt_guest_params {
	unsigned int base_shift;
	unsigned int actual_shift;
	unsigned int segment_shift;
	unsigned int order;
	uint64_t seed;
};

/**
 * hpt_guest_create() - boot it.
 *
 * Return: 0; -EINVAL for sizes or an order that there are not; -ENOMEM.
 */
int hpt_guest_create(const struct hpt_guest_params *params,
		     struct hpt_guest **guest);
void hpt_guest_destroy(struct hpt_guest *guest);

/** hpt_guest_slb() - the SLB entry's second doubleword for @ea. Pure. */
uint64_t hpt_guest_slb(const struct hpt_guest *guest, uint64_t ea);

/**
 * hpt_guest_entry() - the entry for @ea, as H_ENTER takes it: for its primary
 * group, R and C clear. Pure.
 */
struct gln_hpte hpt_guest_entry(const struct hpt_guest *guest, uint64_t ea);

/**
 * struct hpt_guest_cpu - the kernel on one vCPU; its thread's.
 *
 * @id:		of the vCPU.
 * @slb_next:	of 32 entries, which is written next.
 */
struct hpt_guest_cpu {
	struct hpt_guest *guest;
	struct gln_vcpu *vcpu;
	struct gln_model_vcpu *cpu;
	uint32_t id;
	unsigned int slb_next;
	uint64_t random;
};

/**
 * hpt_guest_cpu_init() - start it on a vCPU.
 * @id:		of the vCPU.
 * @cpu:	the model's CPU under it; NULL if there is none: then
 *		hpt_guest_segment() is not called.
 */
void hpt_guest_cpu_init(struct hpt_guest_cpu *kernel, struct hpt_guest *guest,
			uint32_t id, struct gln_vcpu *vcpu,
			struct gln_model_vcpu *cpu);

/** hpt_guest_segment() - GLN_MODEL_NO_SEGMENT: load one. 0, or -EIO. */
int hpt_guest_segment(struct hpt_guest_cpu *kernel, uint64_t ea);

/**
 * hpt_guest_fault() - GLN_FAULT_REFLECT: a storage interrupt.
 * @dsisr:	why.
 *
 * Between gln_vcpu_enter() and leave. On success the access gets on, or must be
 * tried again: the table is being resized, and the vCPU may have to leave.
 *
 * Return: 0; -EFAULT for an interrupt other than for want of an entry; -ENOSPC
 * if both groups have bolted entries only; -EIO for a hypercall that failed.
 */
int hpt_guest_fault(struct hpt_guest_cpu *kernel, uint64_t ea, uint64_t dsisr);

/**
 * hpt_guest_enter() - the same for an @ea that no CPU asked for.
 * @flags:	bits for V, such as GLN_HPTE_V_BOLTED.
 */
int hpt_guest_enter(struct hpt_guest_cpu *kernel, uint64_t ea, uint64_t flags);

/**
 * hpt_guest_resize() - ask the hypervisor for a table of another order, wait
 * until it is ready, and change to it.
 *
 * Between gln_vcpu_enter() and leave; other vCPUs' faults wait outside.
 *
 * Return: 0; -ENOSPC if bolted entries want the same place; -ENOMEM; -EAGAIN if
 * somebody else is resizing it; -EIO.
 */
int hpt_guest_resize(struct hpt_guest_cpu *kernel, unsigned int order);

/** hpt_guest_order() - of the table. */
unsigned int hpt_guest_order(const struct hpt_guest *guest);

#endif
