/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - the inner loops that depend on the CPU: which there are, which is
 * used.
 *
 * All give the same answers; they differ in time, and in the registers that
 * they use. The best that this CPU can run is chosen, once; an embedder who
 * knows better names another.
 */
#ifndef GLN_KERNEL_H
#define GLN_KERNEL_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/**
 * struct gln_kernel_info - one of the scan kernels built in.
 *
 * @name:	"scalar", "popcnt", "avx2", "avx512", "neon" or "vsx".
 * @usable:	this CPU can run it.
 * @chosen:	what is logged from now on is scanned with it.
 */
struct gln_kernel_info {
	const char *name;
	bool usable;
	bool chosen;
};

/**
 * gln_scan_kernels() - list the scan kernels, worst first.
 *
 * Context: any.
 * Return: how many there are; at most @max were written.
 */
GLN_PUBLIC size_t gln_scan_kernels(struct gln_kernel_info *kernels, size_t max);

/**
 * gln_scan_kernel_use() - choose a scan kernel, for all VMs.
 * @name:	which; NULL is the best that this CPU can run, as if never
 *		called.
 *
 * A log keeps the one that it was enabled with: call this before the first VM
 * is made to have it used everywhere.
 *
 * Context: any thread; takes no lock, allocates nothing.
 * Return: 0; -ENOENT if none of that name is built in; -ENOTSUP if this CPU
 * cannot run it. Nothing changes on failure.
 */
GLN_PUBLIC int gln_scan_kernel_use(const char *name);

GLN_END_DECLS

#endif
