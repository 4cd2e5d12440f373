/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_live.h - a guest that is there for nothing but its hashed page table.
 */
#ifndef BENCH_GLEAN_HPT_LIVE_H
#define BENCH_GLEAN_HPT_LIVE_H

#include "bench/glean/hpt_stream.h"
#include "bench/glean/machine.h"

/**
 * hpt_live() - make a guest, let it enter all its memory, and read its table.
 * @memory_bytes: a multiple of its pages.
 *
 * Its memory is never touched, so it may be larger than this machine's.
 *
 * Return: 0; -ENOMEM; -EINTR; or what the library said.
 */
int hpt_live(const struct machine_hpt_params *params, uint64_t memory_bytes,
	     uint64_t seed, struct hpt_stream *stream);

#endif
