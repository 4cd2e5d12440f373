/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.h - a guest: its memslots, its vCPUs, its dirty log.
 *
 * One VM owns slots (slot.h), logs them (log.h), takes marks (dirty.h) and
 * gives them out (harvest.h). Objects of two VMs share nothing.
 *
 *   may run together       mark  harvest  slot add/remove  log on/off  stats
 *     mark, fault          yes   yes      yes              yes         yes
 *     harvest, same slot         -EBUSY   -EBUSY           -EBUSY      yes
 *     harvest, other slot        yes      yes              yes         yes
 *     slot add/remove                     in turn          in turn     yes
 *     destroy              none of these; the caller sees to it
 */
#ifndef GLN_VM_H
#define GLN_VM_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_backend;
struct gln_vm;
struct gln_vcpu;

/** Page shifts from 4 KiB to 64 KiB: the base granules of x86, Arm, POWER. */
#define GLN_PAGE_SHIFT_MIN 12U
#define GLN_PAGE_SHIFT_MAX 16U

/**
 * Order marks by full fences although the platform offers a heavy one: for an
 * embedder whose heavy fence does not reach all threads that mark. (Hosted,
 * liburcu's grace periods rely on the same reach.)
 */
#define GLN_VM_FULL_FENCE (1U << 0)

/**
 * To mark a page that is marked already is to look at its bit, and at nothing
 * else. In return each harvest that finds lines to look at waits for marks and
 * views under way to end, by whatever strategy: hosted, a microsecond or two
 * where there are none, and ten milliseconds and more for a view that stays
 * open. No budget cuts that short; under one it may come several times.
 * A harvest begun within one's own view never ends. For devices that mark the
 * same pages over and over. Not with GLN_VM_FULL_FENCE; without a heavy fence
 * of the platform it changes nothing.
 */
#define GLN_VM_QUICK_MARKS (1U << 1)

/**
 * struct gln_vm_params - how to make a VM. Zeroed members take the default.
 *
 * @struct_bytes:	sizeof(struct gln_vm_params): lets the structure grow.
 * @page_shift:		log2 of the page size in bytes; 0 means 12.
 * @flags:		GLN_VM_*.
 * @backend:		the MMU; NULL logs explicit marks only. Must outlive the
 *			VM; one VM a backend.
 * @allocator:		memory for slots and logs; NULL is the platform's. Must
 *			outlive the VM.
 */
struct gln_vm_params {
	size_t struct_bytes;
	unsigned int page_shift;
	uint32_t flags;
	struct gln_backend *backend;
	const struct gln_allocator *allocator;
};

/**
 * gln_vm_create() - make a VM without slots or vCPUs.
 *
 * Context: any thread; may allocate and sleep.
 * Return: 0; -EINVAL for a wrong @struct_bytes, page shift or flag, or a
 * backend that claims a capability without its call; -ENOMEM. @vm is untouched
 * on failure.
 */
GLN_PUBLIC int gln_vm_create(const struct gln_vm_params *params,
			     struct gln_vm **vm);

/**
 * gln_vm_destroy() - remove all slots and free the VM.
 *
 * Context: the caller has seen to it that nobody else uses @vm; may sleep.
 * Return: 0; -EBUSY, nothing changed, while a vCPU is registered or a harvest
 * is open.
 */
GLN_PUBLIC int gln_vm_destroy(struct gln_vm *vm);

/**
 * gln_vcpu_register() - announce the calling thread as a vCPU.
 *
 * Any thread may mark without it. A registered one has its own statistics, and
 * has paid beforehand for what a thread's first mark costs (it enters the RCU
 * registry, which takes a mutex once a thread).
 *
 * Where rings are on it gets one (ring.h); where the backend maps the guest,
 * what that keeps for each vCPU (mmu.h).
 *
 * @id:		the embedder's number for it, unique in @vm.
 *
 * Context: the thread that will run the vCPU; may allocate and sleep.
 * Return: 0; -EEXIST if @id is registered; -ENOMEM; or what the backend's
 * vcpu_attach said. @vcpu is untouched on failure.
 */
GLN_PUBLIC int gln_vcpu_register(struct gln_vm *vm, uint32_t id,
				 struct gln_vcpu **vcpu);

/**
 * gln_vcpu_unregister() - take a vCPU out again. Its counts stay in the VM's.
 *
 * What its CPU has logged, and what is in its ring, is marked in bitmaps.
 *
 * Context: any thread, when nobody uses @vcpu; may sleep.
 */
GLN_PUBLIC void gln_vcpu_unregister(struct gln_vcpu *vcpu);

/**
 * gln_version() - version of the library, "major.minor.patch".
 *
 * Context: any.
 */
GLN_PUBLIC const char *gln_version(void);

GLN_END_DECLS

#endif
