/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_options.h - options about a hashed page table that `glean run` and `glean
 * hpt` share. Each reads optarg and returns false after a complaint.
 */
#ifndef BENCH_GLEAN_HPT_OPTIONS_H
#define BENCH_GLEAN_HPT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/hpt.h>

#define HPT_DEFAULT_PAGE    12U
#define HPT_DEFAULT_SEGMENT 28U

/** hpt_read_page() - --page, as log2 of bytes. */
bool hpt_read_page(const char *command, unsigned int *shift);

/** hpt_read_isa() - --isa. */
bool hpt_read_isa(const char *command, enum gln_hpt_isa *isa);

/** hpt_read_segment() - --segment, as log2 of bytes. */
bool hpt_read_segment(const char *command, unsigned int *shift);

/** hpt_read_order() - @option: an order that a table can have. */
bool hpt_read_order(const char *command, const char *option, uint64_t *order);

/**
 * hpt_fits() - has this machine the memory for such a table?
 * @copies: what comes beside it, in tables: the reverse map is one.
 */
bool hpt_fits(const char *command, uint64_t order, unsigned int copies);

#endif
