/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rcu.h - read-copy-update: liburcu when hosted, the embedder's otherwise.
 *
 * Flavour "bp": threads that the library did not make and that never announce
 * themselves may mark, signal handlers among them, and to forget registering
 * one must not lose a write. It costs what "memb" costs (1.5 ns a section, both
 * by membarrier), against 50 ns for "mb"; "qsbr" (0.3 ns) would need every
 * embedder's thread to report quiescent states.
 */
#ifndef GLN_CORE_SYNC_RCU_H
#define GLN_CORE_SYNC_RCU_H

#include <glean/platform.h>

#include <stdbool.h>

#include "core/base/atomic.h"

#if GLN_HOSTED
#include <urcu-bp.h>
/*
 * The read side inline: its functions are under ten lines, and their header
 * says that code of any licence may use them directly.
 */
#include <urcu/static/urcu-bp.h>

/* ThreadSanitizer does not see liburcu's barriers: tell it of the edge. */
#if defined(__SANITIZE_THREAD__)
#define GLN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GLN_TSAN 1
#endif
#endif
#ifdef GLN_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define glni_rcu_section_ended() __tsan_release(&urcu_bp_gp)
#define glni_rcu_waited()	 __tsan_acquire(&urcu_bp_gp)
#else
#define glni_rcu_section_ended() ((void)0)
#define glni_rcu_waited()	 ((void)0)
#endif

static inline void glni_read_lock(void)
{
	_urcu_bp_read_lock();
}

static inline void glni_read_unlock(void)
{
	glni_rcu_section_ended();
	_urcu_bp_read_unlock();
}

static inline void glni_synchronize(void)
{
	urcu_bp_synchronize_rcu();
	glni_rcu_waited();
}

/** glni_cpu_relax() - tell the CPU that it spins. */
static inline void glni_cpu_relax(void)
{
	caa_cpu_relax();
}
#else
static inline void glni_read_lock(void)
{
	gln_plat_read_lock();
}

static inline void glni_read_unlock(void)
{
	gln_plat_read_unlock();
}

static inline void glni_synchronize(void)
{
	gln_plat_synchronize();
}
#endif

/**
 * struct short_section - a section that ends in the function that began it, or
 * in one that it ends with. No signal handler leaves one open behind it.
 *
 * glni_short_lock() - begin it. False, and no section, if this thread has to
 * take the long way, glni_read_lock().
 * glni_short_unlock() - end it.
 */
#ifdef URCU_BP_GP_COUNT
/*
 * What liburcu's two functions do, for a thread that is in its registry and in
 * no other section. Where the thread's reader is, is looked for once; nothing
 * of it is a call, nor a fence.
 */
struct short_section {
	struct urcu_bp_reader *reader;
};

static inline bool glni_short_lock(struct short_section *section)
{
	struct urcu_bp_reader *const reader = URCU_TLS(urcu_bp_reader);

	if (!reader || !urcu_bp_has_sys_membarrier ||
	    CMM_LOAD_SHARED(reader->ctr) & URCU_BP_GP_CTR_NEST_MASK)
		return false;

	cmm_barrier();
	CMM_STORE_SHARED(reader->ctr, CMM_LOAD_SHARED(urcu_bp_gp.ctr));
	cmm_barrier();
	section->reader = reader;
	return true;
}

static inline void glni_short_unlock(const struct short_section *section)
{
	struct urcu_bp_reader *const reader = section->reader;

	glni_rcu_section_ended();
	cmm_barrier();
	CMM_STORE_SHARED(reader->ctr,
			 CMM_LOAD_SHARED(reader->ctr) - URCU_BP_GP_COUNT);
	cmm_barrier();
}
#else
struct short_section {
	char nothing;
};

static inline bool glni_short_lock(struct short_section *section)
{
	section->nothing = 0;
	glni_read_lock();
	return true;
}

static inline void glni_short_unlock(const struct short_section *section)
{
	(void)section;
	glni_read_unlock();
}
#endif

#endif
