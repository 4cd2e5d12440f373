/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry.c - the suites there are. A new one is a file, and a line here.
 */
#include "bench/suite/suite.h"

#include "bench/suite/coalesce.h"
#include "bench/suite/harvest.h"
#include "bench/suite/hpt.h"
#include "bench/suite/mark.h"
#include "bench/suite/merge.h"
#include "bench/suite/mmu.h"
#include "bench/suite/parallel.h"

const struct suite *const suites[] = {
	&harvest_suite,
	&mark_suite,
	&mark_range_suite,
	&coalesce_suite,
	&merge_suite,
	&fault_suite,
	&protect_suite,
	&split_suite,
	&collapse_suite,
	&mmu_harvest_suite,
	&hpte_suite,
	&hpte_threads_suite,
	&hpt_reset_suite,
	&hpt_harvest_suite,
	&hpt_resize_suite,
	&parallel_suite,
	NULL,
};
