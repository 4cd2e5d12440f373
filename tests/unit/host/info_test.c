/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * info_test.c - what the library says of this machine is so.
 */
#include <glean/host.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/sync/fence.h"
#include "tests/unit/require.h"

static struct gln_host_info look(void)
{
	struct gln_host_info info = {.struct_bytes = sizeof(info)};

	cr_assert_eq(gln_host_info(&info), 0);
	return info;
}

static uint32_t nr_allowed_cpus(void)
{
	cpu_set_t cpus;

	cr_assert_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	return (uint32_t)CPU_COUNT(&cpus);
}

Test(info, the_machine_is_sane)
{
	const struct gln_host_info info = look();

	cr_assert_eq(info.struct_bytes, sizeof(info));
	cr_assert_not_null(memchr(info.cpu_model, 0, sizeof(info.cpu_model)));
	cr_assert_gt(strlen(info.cpu_model), 0);
	cr_assert_geq(info.nr_cpus, 1);
	cr_assert_geq(info.nr_numa_nodes, 1);
	cr_assert_eq(info.page_bytes, (uint64_t)sysconf(_SC_PAGESIZE));
	cr_assert_geq(info.memory_bytes, 1000 * info.page_bytes);
	cr_assert_eq(info.heavy_fence, gln_plat_heavy_fence());
}

Test(info, cpus_are_those_this_process_may_run_on)
{
	cpu_set_t one;

	cr_assert_eq(look().nr_cpus, nr_allowed_cpus());
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	cr_assert_eq(look().nr_cpus, 1);
}

Test(info, a_structure_of_a_size_that_makes_no_sense_is_left_alone)
{
	static const size_t wrong[] = {0, 7, sizeof(struct gln_host_info) + 1,
				       SIZE_MAX};
	struct gln_host_info info, before;

	memset(&info, 0xa5, sizeof(info));
	for (const size_t *bytes = wrong; bytes < ARRAY_END(wrong); bytes++) {
		info.struct_bytes = *bytes;
		before = info;
		cr_assert_eq(gln_host_info(&info), -EINVAL);
		cr_assert_eq(memcmp(&info, &before, sizeof(info)), 0);
	}
}

Test(info, an_older_caller_gets_the_members_he_knows)
{
	const size_t known = offsetof(struct gln_host_info, memory_bytes);
	struct gln_host_info info;
	const char *const rest = (const char *)&info + known;

	memset(&info, 0xa5, sizeof(info));
	info.struct_bytes = known;
	cr_assert_eq(gln_host_info(&info), 0);
	cr_assert_geq(info.nr_cpus, 1);
	for (size_t i = 0; i < sizeof(info) - known; i++)
		cr_assert_eq((uint8_t)rest[i], 0xa5);
}
