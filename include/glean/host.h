/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.h - what glean finds on this machine. Hosted library only.
 */
#ifndef GLN_HOST_H
#define GLN_HOST_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/**
 * struct gln_host_info - the machine, as far as it matters to a dirty log.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @cpu_model:	as the machine names it; "unknown" if it does not.
 * @nr_cpus:	logical CPUs that the calling thread may run on.
 * @nr_numa_nodes: NUMA nodes with memory.
 * @memory_bytes: memory of the machine.
 * @page_bytes:	base page.
 * @l1d_bytes, @l2_bytes, @l3_bytes: data caches of the first CPU; 0 if unknown.
 * @heavy_fence: marks need no full fence here (membarrier).
 */
struct gln_host_info {
	size_t struct_bytes;
	char cpu_model[96];
	uint32_t nr_cpus;
	uint32_t nr_numa_nodes;
	uint64_t memory_bytes;
	uint64_t page_bytes;
	uint64_t l1d_bytes;
	uint64_t l2_bytes;
	uint64_t l3_bytes;
	bool heavy_fence;
};

/**
 * gln_host_info() - look at the machine.
 *
 * Context: any thread; allocates, reads /proc and /sys.
 * Return: 0; -EINVAL for a wrong @info->struct_bytes; -ENOMEM.
 */
GLN_PUBLIC int gln_host_info(struct gln_host_info *info);

GLN_END_DECLS

#endif
