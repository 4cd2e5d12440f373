/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic.h - the only file that knows <stdatomic.h>.
 *
 * Each name carries its memory order, so that `grep -n _acquire` lists every
 * acquire of the library. Relaxed accesses need a reason where they stand, the
 * others a sync tag (docs/internals/ordering.md). Arguments are pointers to
 * _Atomic objects of up to 8 bytes, lock-free on every supported target.
 */
#ifndef GLN_CORE_BASE_ATOMIC_H
#define GLN_CORE_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

/** gln_word - 64 bits shared between threads: dirty words, HPTE halves. */
typedef _Atomic uint64_t gln_word;

/** gln_byte - and 8. */
typedef _Atomic uint8_t gln_byte;

_Static_assert(sizeof(gln_word) == 8, "a word of a bitmap is 8 bytes");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics take no lock");

#define gln_load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define gln_load_acquire(p) atomic_load_explicit(p, memory_order_acquire)

#define gln_store_relaxed(p, v) \
	atomic_store_explicit(p, v, memory_order_relaxed)
#define gln_store_release(p, v) \
	atomic_store_explicit(p, v, memory_order_release)

#define gln_xchg_relaxed(p, v) \
	atomic_exchange_explicit(p, v, memory_order_relaxed)
#define gln_xchg_acquire(p, v) \
	atomic_exchange_explicit(p, v, memory_order_acquire)
#define gln_xchg_acq_rel(p, v) \
	atomic_exchange_explicit(p, v, memory_order_acq_rel)

#define gln_fetch_or_relaxed(p, v) \
	atomic_fetch_or_explicit(p, v, memory_order_relaxed)
#define gln_fetch_or_acq_rel(p, v) \
	atomic_fetch_or_explicit(p, v, memory_order_acq_rel)
#define gln_fetch_xor_relaxed(p, v) \
	atomic_fetch_xor_explicit(p, v, memory_order_relaxed)
#define gln_fetch_and_acq_rel(p, v) \
	atomic_fetch_and_explicit(p, v, memory_order_acq_rel)
#define gln_fetch_and_relaxed(p, v) \
	atomic_fetch_and_explicit(p, v, memory_order_relaxed)
#define gln_fetch_add_acq_rel(p, v) \
	atomic_fetch_add_explicit(p, v, memory_order_acq_rel)
#define gln_fetch_add_relaxed(p, v) \
	atomic_fetch_add_explicit(p, v, memory_order_relaxed)

#define gln_fetch_sub_release(p, v) \
	atomic_fetch_sub_explicit(p, v, memory_order_release)

/* One attempt that may fail spuriously; *seen is what was found instead. */
#define gln_cas_acquire(p, seen, v)            \
	atomic_compare_exchange_weak_explicit( \
		p, seen, v, memory_order_acquire, memory_order_relaxed)

/* One attempt that fails only if something else was found. */
#define gln_cas_strong_acquire(p, seen, v)       \
	atomic_compare_exchange_strong_explicit( \
		p, seen, v, memory_order_acquire, memory_order_relaxed)

#define gln_cas_strong_release(p, seen, v)       \
	atomic_compare_exchange_strong_explicit( \
		p, seen, v, memory_order_release, memory_order_relaxed)
#define gln_cas_strong_relaxed(p, seen, v)       \
	atomic_compare_exchange_strong_explicit( \
		p, seen, v, memory_order_relaxed, memory_order_relaxed)

#define gln_fence_seq_cst()  atomic_thread_fence(memory_order_seq_cst)
/* Orders for the compiler alone: the other side brings the CPU's fence. */
#define gln_fence_compiler() atomic_signal_fence(memory_order_seq_cst)

/* A counter that one thread writes and any may read: no locked operation. */
static inline void gln_count(gln_word *counter, uint64_t n)
{
	gln_store_relaxed(counter, gln_load_relaxed(counter) + n);
}

#endif
