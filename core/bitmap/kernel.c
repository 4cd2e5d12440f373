/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.c - the scan kernel that needs nothing, and the choice of one.
 */
#include <glean/kernel.h>

#include "core/base/errno.h"
#include "core/bitmap/kernel_lines.h"

static bool always_usable(void)
{
	return true;
}

static uint64_t take_lines_scalar(struct bitmap *bm, struct snapshot *snap,
				  uint64_t group, struct line_take *take)
{
	return take_lines(bm, snap, group, take, look_at_words, gln_popcount64);
}

static inline void count_line(uint64_t *line, void *sum)
{
	add_line(line, sum, gln_popcount64);
}

static inline void drain_line(uint64_t *line, void *sum)
{
	count_line(line, sum);
	clear_line(line);
}

static uint64_t count_scalar(const struct span *spans, size_t nr_spans)
{
	uint64_t sum = 0;

	each_line(spans, nr_spans, count_line, &sum);
	return sum;
}

static uint64_t drain_scalar(const struct span *spans, size_t nr_spans)
{
	uint64_t sum = 0;

	each_line(spans, nr_spans, drain_line, &sum);
	return sum;
}

static uint64_t ones_scalar(const uint64_t *words, uint64_t nr_words)
{
	return ones_by_line(words, nr_words);
}

static const struct scan_kernel scalar = {
	.name = "scalar",
	.is_usable = always_usable,
	.take_lines = take_lines_scalar,
	.count = count_scalar,
	.drain = drain_scalar,
	.ones = ones_scalar,
};

static const struct scan_kernel *const kernels[] = {
	&scalar,
#if KERNEL_X86
	&glni_kernel_popcnt,
#endif
#if KERNEL_AVX
	&glni_kernel_avx2,
	&glni_kernel_avx512,
#endif
#if KERNEL_NEON
	&glni_kernel_neon,
#endif
#if KERNEL_VSX
	&glni_kernel_vsx,
#endif
};

enum { NR_KERNELS = sizeof(kernels) / sizeof(kernels[0]) };

const struct scan_kernel *glni_scan_kernel(size_t i)
{
	return i < NR_KERNELS ? kernels[i] : NULL;
}

const struct scan_kernel *glni_best_kernel(void)
{
	size_t i = NR_KERNELS - 1;

	while (i && !kernels[i]->is_usable())
		i--;

	return kernels[i];
}

/* NULL until it is asked for: asking the CPU is an exit, under a hypervisor. */
static _Atomic(const struct scan_kernel *) chosen;

/* Relaxed, here and below: what it points to never changes. */
const struct scan_kernel *glni_chosen_kernel(void)
{
	const struct scan_kernel *kernel = gln_load_relaxed(&chosen);

	if (kernel)
		return kernel;

	/* Another thread may have chosen meanwhile: then that one. */
	const struct scan_kernel *const best = glni_best_kernel();

	return gln_cas_strong_relaxed(&chosen, &kernel, best) ? best : kernel;
}

static bool is_same(const char *a, const char *b)
{
	for (; *a && *a == *b; a++)
		b++;

	return *a == *b;
}

int gln_scan_kernel_use(const char *name)
{
	const struct scan_kernel *kernel = NULL;

	for (size_t i = 0; name && i < NR_KERNELS && !kernel; i++)
		if (is_same(name, kernels[i]->name))
			kernel = kernels[i];
	if (name && !kernel)
		return -ENOENT;
	if (kernel && !kernel->is_usable())
		return -ENOTSUP;

	gln_store_relaxed(&chosen, kernel);
	return 0;
}

size_t gln_scan_kernels(struct gln_kernel_info *infos, size_t max)
{
	for (size_t i = 0; i < NR_KERNELS && i < max; i++)
		infos[i] = (struct gln_kernel_info){
			.name = kernels[i]->name,
			.usable = kernels[i]->is_usable(),
			.chosen = kernels[i] == glni_chosen_kernel(),
		};

	return NR_KERNELS;
}
