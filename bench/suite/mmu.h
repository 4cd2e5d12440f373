/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.h - the suites that measure second-stage tables: fault.c, protect.c,
 * reshape.c, mmu_harvest.c.
 */
#ifndef BENCH_SUITE_MMU_H
#define BENCH_SUITE_MMU_H

#include "bench/suite/suite.h"

extern const struct suite fault_suite;
extern const struct suite protect_suite;
extern const struct suite split_suite;
extern const struct suite collapse_suite;
extern const struct suite mmu_harvest_suite;

#endif
