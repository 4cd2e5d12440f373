/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_draw.h - a drawing of how a hashed page table is filled, as SVG.
 */
#ifndef BENCH_GLEAN_HPT_DRAW_H
#define BENCH_GLEAN_HPT_DRAW_H

#include <stdio.h>

#include "bench/glean/hpt_health.h"

/**
 * hpt_draw() - groups by how many entries they have, and a map of the table:
 * its groups from the first on, row by row, the darker the fuller.
 *
 * Return: 0 or -EIO.
 */
int hpt_draw(const struct hpt_health *health, FILE *out);

#endif
