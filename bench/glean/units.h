/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * units.h - numbers as people read them: three digits and a unit.
 */
#ifndef BENCH_GLEAN_UNITS_H
#define BENCH_GLEAN_UNITS_H

#include <stdint.h>

/** Room for any of the texts below, its terminating zero included. */
#define UNITS_BYTES 24

/**
 * units_time() - "812 ns", "1.23 ms", "14.0 s".
 * units_size() - "64 KiB", "1.50 GiB": exact sizes without a fraction.
 * units_count() - "950", "98.1k", "1.20M".
 *
 * Return: @text.
 */
const char *units_time(char text[UNITS_BYTES], double ns);
const char *units_size(char text[UNITS_BYTES], uint64_t bytes);
const char *units_count(char text[UNITS_BYTES], double count);

#endif
