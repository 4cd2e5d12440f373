/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt.h - the suites that measure the hashed page table: hpte.c,
 * hpte_threads.c, hpt_reset.c, hpt_harvest.c, hpt_resize.c.
 */
#ifndef BENCH_SUITE_HPT_H
#define BENCH_SUITE_HPT_H

#include "bench/suite/suite.h"

extern const struct suite hpte_suite;
extern const struct suite hpte_threads_suite;
extern const struct suite hpt_reset_suite;
extern const struct suite hpt_harvest_suite;
extern const struct suite hpt_resize_suite;

#endif
