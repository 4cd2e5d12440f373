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

#endif
