/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * soft_mmu.h - a second-stage MMU in software, with TLBs that go stale.
 *
 * A model for tests, as adversarial as hardware may be:
 *
 *   - an entry a page, with a writable bit; a store to one that is not
 *     writable leaves the guest, and the fault makes it writable and marks it;
 *   - a TLB for each vCPU, which keeps every translation that no flush plan
 *     has named, whatever has become of the entry;
 *   - entries change by plain stores, which may wait in a store buffer;
 *   - a flush waits for vCPUs that are in the guest, not for those that handle
 *     a fault: these serve it before they are back in the guest.
 *
 * So a missing or misplaced protect, flush, fence or mark is a write that no
 * harvest reports: a wrong byte in the copy.
 */
#ifndef TESTS_SUPPORT_SOFT_MMU_H
#define TESTS_SUPPORT_SOFT_MMU_H

#include <glean/backend.h>

struct soft_mmu;
struct soft_vcpu;

/** enum soft_fault_order - what a fault does first. */
enum soft_fault_order {
	SOFT_MAP_THEN_MARK, /* the right order */
	SOFT_MARK_THEN_MAP, /* loses writes: a harvest may come in between */
};

/**
 * struct soft_mmu_params - how it behaves.
 *
 * @preempt_permille: so many of 1000 faults give the CPU away between their two
 *		steps.
 */
struct soft_mmu_params {
	enum soft_fault_order order;
	unsigned int preempt_permille;
};

/** struct soft_mmu_stats - what it was asked to do. */
struct soft_mmu_stats {
	uint64_t faults;
	uint64_t protect_calls;
	uint64_t protected_pages;
	uint64_t flushes;
};

/** soft_mmu_create() - NULL if there is no memory. */
struct soft_mmu *soft_mmu_create(const struct soft_mmu_params *params);
/** soft_mmu_destroy() - its VM and vCPUs must be gone. */
void soft_mmu_destroy(struct soft_mmu *mmu);

struct gln_backend *soft_mmu_backend(struct soft_mmu *mmu);
struct soft_mmu_stats soft_mmu_stats(struct soft_mmu *mmu);

/**
 * soft_mmu_fail() - from now on, let so many of 1000 calls of protect, and of
 * flush, fail with -EIO: protect half done, flush not done.
 */
void soft_mmu_fail(struct soft_mmu *mmu, unsigned int permille);

/** What a failing call says. */
#define SOFT_MMU_ERROR 5 /* EIO */

/** soft_vcpu_create() - NULL if there is no memory, or there are too many. */
struct soft_vcpu *soft_vcpu_create(struct soft_mmu *mmu);
void soft_vcpu_destroy(struct soft_vcpu *vcpu);

/**
 * soft_vcpu_enter() - start to run guest code; soft_vcpu_leave() - stop.
 *
 * A flush waits for a vCPU that has entered and stores nothing, so leave
 * before doing anything else.
 */
void soft_vcpu_enter(struct soft_vcpu *vcpu);
void soft_vcpu_leave(struct soft_vcpu *vcpu);

/**
 * soft_vcpu_store() - the guest stores 8 bytes, the @word-th of a frame.
 *
 * Context: the vCPU's thread, entered.
 * Return: 0; -EFAULT if no slot holds @gfn.
 */
int soft_vcpu_store(struct soft_vcpu *vcpu, gln_gfn gfn, unsigned int word,
		    uint64_t value);

#endif
