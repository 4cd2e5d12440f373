/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - the inner loops that depend on the CPU, chosen once at run time.
 */
#ifndef GLN_CORE_BITMAP_KERNEL_H
#define GLN_CORE_BITMAP_KERNEL_H

#include "core/bitmap/bitmap.h"

/**
 * struct scan_kernel - one way to do them.
 *
 * @take_lines:	take the words of those lines of the summary word @group whose
 *		bits are in *@lines, all of them within the bitmap; clear the
 *		bits of lines that turn out empty. Returns pages taken.
 * @count:	bits set in @nr_lines lines of a snapshot.
 * @drain:	the same, and clear them.
 */
struct scan_kernel {
	const char *name;
	bool (*is_usable)(void);
	uint64_t (*take_lines)(struct bitmap *bm, struct snapshot *snap,
			       uint64_t group, uint64_t *lines);
	uint64_t (*count)(const uint64_t *words, uint64_t nr_lines);
	uint64_t (*drain)(uint64_t *words, uint64_t nr_lines);
};

/** glni_scan_kernel() - the @i-th kernel, worst first; NULL past the last. */
const struct scan_kernel *glni_scan_kernel(size_t i);

/** glni_best_kernel() - the last that this CPU can run. */
const struct scan_kernel *glni_best_kernel(void);

#endif
