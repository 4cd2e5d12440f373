/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.h - what an embedder supplies to libglean-core.
 *
 * libglean-core is freestanding: besides memcpy, memmove, memset and memcmp it
 * needs these functions and nothing else. libglean, the hosted library, brings
 * its own (liburcu, pthreads, membarrier); there this header is only for
 * reading.
 *
 * Every function is called from the thread that called the library.
 */
#ifndef GLN_PLATFORM_H
#define GLN_PLATFORM_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/**
 * gln_plat_alloc() - zeroed memory for a VM without a gln_allocator of its own.
 * gln_plat_free() - give it back.
 *
 * Alignment as struct gln_allocator asks, and as struct gln_hpt_params does if
 * there are hashed page tables.
 */
void *gln_plat_alloc(size_t bytes);
void gln_plat_free(void *memory, size_t bytes);

/**
 * gln_plat_read_lock() - enter an RCU read-side section; they nest.
 * gln_plat_read_unlock() - leave it.
 * gln_plat_synchronize() - wait until every section entered before has ended.
 *
 * The sections are short, never sleep, and may be entered wherever the embedder
 * marks pages, interrupt handlers included: disabling preemption will do. The
 * wait is a full memory barrier against every section, as liburcu's is.
 */
void gln_plat_read_lock(void);
void gln_plat_read_unlock(void);
void gln_plat_synchronize(void);

/**
 * gln_plat_heavy_fence() - a full fence on every CPU that may be marking.
 *
 * Lets mark do with a compiler barrier: an interrupt to every CPU, or what
 * membarrier(2) does. Called once when a VM is made, to learn whether there is
 * one; if that call returned true, later ones must as well.
 *
 * Return: true if done; false if there is none, and mark uses a full fence.
 */
bool gln_plat_heavy_fence(void);

/** struct gln_plat_mutex - room for the embedder's lock. */
struct gln_plat_mutex {
	uint64_t opaque[8];
};

/**
 * gln_plat_mutex_init() and the rest - a lock that is held across grace periods
 * and backend calls, so it should sleep. Never taken by mark or by a harvest
 * transaction; get and clear of the KVM-shaped log take it.
 *
 * init returns 0 or -ENOMEM.
 */
int gln_plat_mutex_init(struct gln_plat_mutex *mutex);
void gln_plat_mutex_fini(struct gln_plat_mutex *mutex);
void gln_plat_mutex_lock(struct gln_plat_mutex *mutex);
void gln_plat_mutex_unlock(struct gln_plat_mutex *mutex);

/**
 * gln_plat_relax() - a bit lock is taken, and the caller spins on it.
 * @round:	how often it has, for this lock, from 0 on.
 *
 * Who holds one does not sleep, and holds it for a microsecond or so. If it can
 * be preempted all the same, as threads of a process can, give it the CPU after
 * some rounds.
 */
void gln_plat_relax(unsigned int round);

/**
 * gln_plat_now_ns() - a monotonic clock, for time budgets and reports.
 */
uint64_t gln_plat_now_ns(void);

/**
 * gln_plat_copy_out() - copy to memory that a caller named at the KVM-shaped
 * edge (log.h), and which may not be there.
 * gln_plat_copy_in() - copy from such memory.
 *
 * Return: 0 or -EFAULT.
 */
int gln_plat_copy_out(void *dst, const void *src, size_t bytes);
int gln_plat_copy_in(void *dst, const void *src, size_t bytes);

/**
 * gln_plat_assert_failed() - a caller broke a promise (debug builds only).
 *
 * Must not return.
 */
__attribute__((noreturn)) void gln_plat_assert_failed(const char *what,
						      const char *file,
						      int line);

GLN_END_DECLS

#endif
