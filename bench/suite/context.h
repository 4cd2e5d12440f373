/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.h - where and with what a measurement was made.
 */
#ifndef BENCH_SUITE_CONTEXT_H
#define BENCH_SUITE_CONTEXT_H

#include <jansson.h>

/** context_json() - Google Benchmark's "context" object, and some more. */
json_t *context_json(void);

/** context_commit - what was compiled: cmake/GleanCommit.cmake writes it. */
extern const char context_commit[];

#endif
