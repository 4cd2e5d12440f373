/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_report.h - what `glean hpt` tells, as text and as JSON.
 */
#ifndef BENCH_GLEAN_HPT_REPORT_H
#define BENCH_GLEAN_HPT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/glean/hpt_health.h"

/** Nodes of a guest, at most. */
#define HPT_NODES_MAX 1024U

/**
 * struct hpt_sizes - a guest, and the table that the rule gives it.
 *
 * @nodes:	memory of each node.
 * @failures:	part of insertions that find no place, when all memory is mapped
 *		once and hashes are random.
 * @least:	the order that would do for its pages; as above.
 */
struct hpt_sizes {
	uint64_t memory_bytes;
	unsigned int page_shift;
	uint32_t nr_nodes;
	uint64_t nodes[HPT_NODES_MAX];
	unsigned int order;
	double failures;
	unsigned int least;
	double least_failures;
};

/** hpt_size_print(), hpt_health_print() - on standard output. 0 or -EIO. */
int hpt_size_print(const struct hpt_sizes *sizes, bool json);
int hpt_health_print(const struct hpt_health *health, bool json);

#endif
