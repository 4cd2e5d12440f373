/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.h - keep vCPUs out while a table is made or replaced. (H-57)
 *
 *	vCPU				changer
 *	  count itself			  clear the flag
 *	  full fence			  full fence
 *	  is the flag set?		  is anyone counted?
 *
 * At least one of the two sees the other: a vCPU that is in, and a changer that
 * believes everybody out, cannot be. Who is refused stays counted, and says so
 * by leaving before it waits for the changer: else they wait for each other.
 *
 * Between its being let in and its entering the guest, a vCPU can be late for
 * a kick. So it looks again, last thing and with interrupts off: either it
 * sees the flag cleared, or the kick comes after the look and is not lost.
 *
 * Whoever changes is one at a time, by a lock of his own.
 */
#ifndef GLN_CORE_SYNC_GATE_H
#define GLN_CORE_SYNC_GATE_H

#include <stdbool.h>

#include "core/base/atomic.h"

/** struct gate - zeroed, it is closed and nobody is inside. */
struct gate {
	_Atomic(uint32_t) nr_running;
	_Atomic(bool) is_ready;
};

/** gate_is_ready() - is it open? Counted, also the last test before entry. */
static inline bool gate_is_ready(struct gate *gate)
{
	/*
	 * sync gate.4 (acquire) <- gate.3: what was made before the gate was
	 * opened, before a vCPU uses it.
	 */
	return gln_load_acquire(&gate->is_ready);
}

/**
 * gate_enter() - count this vCPU in.
 *
 * Return: whether the gate is open. It is counted in any case, until
 * gate_leave().
 */
static inline bool gate_enter(struct gate *gate)
{
	/* Relaxed: the fence orders it. */
	gln_fetch_add_relaxed(&gate->nr_running, 1);
	/*
	 * sync gate.1 (seq_cst) <-> gate.2: counted, then the flag. Else the
	 * changer finds nobody while we find the gate open, and the guest runs
	 * in a table that is freed.
	 */
	gln_fence_seq_cst();
	return gate_is_ready(gate);
}

/** gate_leave() - and out, with all it did. */
static inline void gate_leave(struct gate *gate)
{
	/*
	 * sync gate.5 (release) -> gate.6: what we did inside, before a changer
	 * finds us gone.
	 */
	gln_fetch_sub_release(&gate->nr_running, 1);
}

/** gate_nr_running() - how many are inside, or were refused and not yet left.
 */
static inline uint32_t gate_nr_running(struct gate *gate)
{
	/* sync gate.6 (acquire) <- gate.5: the table as they left it. */
	return gln_load_acquire(&gate->nr_running);
}

/** gate_close() - let no more in; returns how many are inside. */
static inline uint32_t gate_close(struct gate *gate)
{
	/* Relaxed: the fence orders it. */
	gln_store_relaxed(&gate->is_ready, false);
	/*
	 * sync gate.2 (seq_cst) <-> gate.1: the flag, then the count; and
	 * before the kick that a caller sends to those inside.
	 */
	gln_fence_seq_cst();
	return gate_nr_running(gate);
}

/** gate_open() - all is made. */
static inline void gate_open(struct gate *gate)
{
	/* sync gate.3 (release) -> gate.4: what we made, before the flag. */
	gln_store_release(&gate->is_ready, true);
}

#endif
