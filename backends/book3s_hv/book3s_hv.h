/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * book3s_hv.h - what makes core/hpt a backend: its host, its first table, and
 * the real-mode area in it.
 */
#ifndef GLN_BACKENDS_BOOK3S_HV_H
#define GLN_BACKENDS_BOOK3S_HV_H

#include "core/hpt/mmu.h"
#include "core/hpt/pool.h"

/** The LPID of a VM without a host: one VM, and 0 is the hypervisor's own. */
#define HPT_ONLY_LPID 1U

/**
 * struct gln_hpt_host - what VMs share.
 *
 * @lock:	of @taken.
 * @taken:	a bit for each LPID that somebody has.
 */
struct gln_hpt_host {
	struct gln_allocator allocator;
	struct hpt_pool pool;
	uint32_t nr_lpids;
	struct gln_plat_mutex lock;
	uint64_t *taken;
};

/** glni_hpt_lpid_take() - an LPID that nobody has. 0 or -ENOSPC. */
int glni_hpt_lpid_take(struct gln_hpt_host *host, uint32_t *lpid);
void glni_hpt_lpid_give(struct gln_hpt_host *host, uint32_t lpid);

/** glni_hpt_allocator() - @theirs, or the platform's; false if it is half one.
 */
bool glni_hpt_allocator(const struct gln_allocator *theirs,
			struct gln_allocator *ours);

/* Operations of the backend: see struct gln_backend_hpt_ops. */
bool glni_hpt_op_needs_set_up(const struct gln_backend *be);
int glni_hpt_op_set_up(struct gln_backend *be);
int glni_hpt_op_allocate(struct gln_backend *be, unsigned int order);
void glni_hpt_op_stats(struct gln_backend *be, struct gln_hpt_stats *stats);

/** glni_hpt_drop_table() - free the table, if any. Nobody uses the backend. */
void glni_hpt_drop_table(struct hpt_mmu *mmu);

/**
 * glni_hpt_map_vrma() - enter what real mode finds the guest's memory with, in
 * an empty table that is published. The VM's lock is held, vCPUs are outside.
 *
 * Return: 0; -EINVAL if no slot holds guest address 0, or no entry can map it.
 */
int glni_hpt_map_vrma(struct hpt_mmu *mmu);

#endif
