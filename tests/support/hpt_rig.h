/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_rig.h - a VM with a hashed page table, looked at from where hardware
 * stands: entries in memory, a host that changes its mind, and a CPU that is as
 * late as the architecture allows.
 *
 * The CPU keeps translations it has used. It notes R and C for them when it is
 * made to forget them, and not before. An entry that changes while a CPU still
 * uses it is an error that rig_check_cpu() finds. One thread.
 */
#ifndef TESTS_SUPPORT_HPT_RIG_H
#define TESTS_SUPPORT_HPT_RIG_H

#include <glean/glean.h>
#include <glean/hpt.h>
#include <glean/mmu.h>

#include "core/base/atomic.h"

enum {
	RIG_SHIFT = 12,	    /* of the VM's pages */
	RIG_PENDING = 24,   /* translations that the CPU keeps */
	RIG_MOOD_SHIFT = 5, /* pages that the host treats alike */
};

/** Where host memory begins, for hardware. Far, and aligned to every page. */
#define RIG_HPA (UINT64_C(1) << 44)

/** What the host says of a page. */
enum rig_mood {
	RIG_USUAL,     /* there, and writable */
	RIG_READ_ONLY, /* read-only until a write is asked for */
	RIG_AWAY,      /* not there just now */
};

/** struct rig_kept - a translation that the CPU keeps. */
struct rig_kept {
	uint64_t index;
	struct gln_hpte entry; /* as it is in memory, without R and C */
	uint64_t rc;	       /* to be noted */
	gln_word *where;
};

/**
 * struct hpt_rig - the VM.
 *
 * @memory:	of guest addresses from 0 on; the host's tests of H_PAGE_INIT.
 * @moods:	0: the host is always as usual; else a seed.
 * @noted:	NULL, or called when the CPU notes something, with memory
 *		written already.
 * @nr_tlbies, @nr_flushes: calls so far.
 */
struct hpt_rig {
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	struct gln_backend *backend;
	enum gln_hpt_isa isa;
	char *memory;
	size_t memory_bytes;
	unsigned int page_shift;
	uint64_t moods;
	unsigned int nr_kept;
	struct rig_kept kept[RIG_PENDING];
	void (*noted)(void *ctx, uint64_t index, uint64_t rc);
	void *ctx;
	uint64_t nr_tlbies;
	uint64_t nr_flushes;
};

/**
 * struct hpt_rig_params - how. Zeroed members are the library's defaults.
 *
 * @order:	of the table; 0: none is asked for.
 * @page_shift:	of the VM; 0 is RIG_SHIFT.
 * @tlbie, @flush_all: in place of the late CPU; called with the rig.
 */
struct hpt_rig_params {
	enum gln_hpt_isa isa;
	unsigned int order;
	unsigned int page_shift;
	uint32_t flags;
	unsigned int default_order;
	struct gln_hpt_host *hpt_host;
	const struct gln_allocator *allocator;
	uint64_t memory_bytes;
	void (*tlbie)(void *rig, const struct gln_hpt_tlbie *ops, size_t nr);
	void (*flush_all)(void *rig, uint32_t lpid);
};

/**
 * hpt_rig_open() - a VM without slots; its vCPU, of the calling thread, is
 * outside. Return: 0 or a negative errno.
 */
int hpt_rig_open(struct hpt_rig *rig, const struct hpt_rig_params *params);
/** hpt_rig_close() - the vCPU is outside. 0, or what gln_vm_destroy() says. */
int hpt_rig_close(struct hpt_rig *rig);

/** hpt_rig_slot() - add a slot. As gln_slot_add(). */
int hpt_rig_slot(struct hpt_rig *rig, uint32_t id, uint64_t gpa, uint64_t bytes,
		 uint32_t flags);

/** hpt_rig_order() - of the table, as hardware is told; 0 without one. */
unsigned int hpt_rig_order(const struct hpt_rig *rig);

/** hpt_rig_entry() - what is in memory, in the old format. */
struct gln_hpte hpt_rig_entry(const struct hpt_rig *rig, uint64_t index);

/** hpt_rig_mood() - of the host, about a guest address. */
enum rig_mood hpt_rig_mood(const struct hpt_rig *rig, uint64_t gpa);

/** hpt_rig_note() - the CPU notes R or C at once. The entry is valid. */
void hpt_rig_note(struct hpt_rig *rig, uint64_t index, uint64_t rc);
/** hpt_rig_keep() - it will, when it must. False if it keeps too many. */
bool hpt_rig_keep(struct hpt_rig *rig, uint64_t index, uint64_t rc);
/** hpt_rig_settle() - it notes now what it keeps of an entry. */
void hpt_rig_settle(struct hpt_rig *rig, uint64_t index);

/**
 * hpt_rig_check_cpu() - does the CPU keep only what is in the table? NULL, or
 * what is wrong.
 */
const char *hpt_rig_check_cpu(const struct hpt_rig *rig);

/** hpt_rig_call() - a hypercall: code, and GPRs 4 to 12 in place. */
int64_t hpt_rig_call(struct hpt_rig *rig, uint64_t nr,
		     uint64_t gprs[GLN_HCALL_ARGS]);

#endif
