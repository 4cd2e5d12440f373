/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * info.c - what this machine is, from hwloc.
 */
#include <glean/host.h>
#include <glean/platform.h>

#include <errno.h>
#include <hwloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uint64_t cache_bytes(hwloc_topology_t topology, hwloc_obj_type_t type)
{
	const hwloc_obj_t cache = hwloc_get_obj_by_type(topology, type, 0);

	return cache ? cache->attr->cache.size : 0;
}

static const char *cpu_model(hwloc_topology_t topology)
{
	const hwloc_obj_t package =
		hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
	const char *model = NULL;

	if (package)
		model = hwloc_obj_get_info_by_name(package, "CPUModel");
	if (!model)
		model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology),
						   "CPUModel");
	return model ? model : "unknown";
}

static uint32_t count(hwloc_topology_t topology, hwloc_obj_type_t type)
{
	const int nr = hwloc_get_nbobjs_by_type(topology, type);

	return nr > 0 ? (uint32_t)nr : 0;
}

/* CPUs that the calling thread, and whom it starts, may run on. */
static uint32_t count_cpus(hwloc_topology_t topology)
{
	hwloc_bitmap_t cpus = hwloc_bitmap_alloc();
	int nr = -1;

	if (cpus && !hwloc_get_cpubind(topology, cpus, HWLOC_CPUBIND_THREAD))
		nr = hwloc_bitmap_weight(cpus);
	hwloc_bitmap_free(cpus);

	return nr > 0 ? (uint32_t)nr : count(topology, HWLOC_OBJ_PU);
}

static void look(hwloc_topology_t topology, struct gln_host_info *info)
{
	const long page_bytes = sysconf(_SC_PAGESIZE);
	const long nr_pages = sysconf(_SC_PHYS_PAGES);

	snprintf(info->cpu_model, sizeof(info->cpu_model), "%s",
		 cpu_model(topology));
	info->nr_cpus = count_cpus(topology);
	info->nr_numa_nodes = count(topology, HWLOC_OBJ_NUMANODE);
	info->page_bytes = page_bytes > 0 ? (uint64_t)page_bytes : 0;
	/* Not hwloc's sum of the nodes: it misses memory added since boot. */
	info->memory_bytes =
		nr_pages > 0 ? (uint64_t)nr_pages * info->page_bytes : 0;
	info->l1d_bytes = cache_bytes(topology, HWLOC_OBJ_L1CACHE);
	info->l2_bytes = cache_bytes(topology, HWLOC_OBJ_L2CACHE);
	info->l3_bytes = cache_bytes(topology, HWLOC_OBJ_L3CACHE);
	info->heavy_fence = gln_plat_heavy_fence();
}

int gln_host_info(struct gln_host_info *theirs)
{
	struct gln_host_info info = {0};
	const size_t head = sizeof(theirs->struct_bytes);
	const size_t bytes = theirs->struct_bytes;
	hwloc_topology_t topology;
	int err = -ENOMEM;

	if (bytes < head || bytes > sizeof(info))
		return -EINVAL;
	if (hwloc_topology_init(&topology))
		return -ENOMEM;
	if (!hwloc_topology_load(topology)) {
		look(topology, &info);
		memcpy((char *)theirs + head, (char *)&info + head,
		       bytes - head);
		err = 0;
	}
	hwloc_topology_destroy(topology);

	return err;
}
