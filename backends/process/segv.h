/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segv.h - SIGSEGV, shared by every mprotect backend of the process and by
 * whoever handled it before.
 *
 * A fault is ours if it is a write that the mapping forbids, to a slot that is
 * armed. Every other one goes to the handler that was there before, as if ours
 * were not; so does one that the slot's handler refuses.
 */
#ifndef GLN_BACKENDS_PROCESS_SEGV_H
#define GLN_BACKENDS_PROCESS_SEGV_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/backend.h>

/**
 * glni_segv_fault - make the page at @address writable, then mark it.
 *
 * Runs in a signal handler, all signals blocked, on any number of threads.
 * Return: false if it could not; the fault is then passed on.
 */
typedef bool glni_segv_fault(struct gln_backend_slot *slot, uintptr_t address);

/**
 * glni_segv_acquire() - be the one who handles SIGSEGV.
 * @fault:	the same at each call.
 *
 * Return: 0; -EBUSY if handlers were put on top of ours too often.
 */
int glni_segv_acquire(glni_segv_fault *fault);

/**
 * glni_segv_release() - undo one acquire. With the last the earlier handler is
 * back, unless somebody has put his on top of ours meanwhile.
 */
void glni_segv_release(void);

/** Make room for one more slot to be armed. Return: 0 or -ENOMEM. */
int glni_segv_reserve(void);
void glni_segv_unreserve(void);

/**
 * glni_segv_arm() - faults on @slot are ours from here on; room was reserved.
 *
 * Return: 0; -EEXIST if another armed slot has some of its memory.
 */
int glni_segv_arm(struct gln_backend_slot *slot);

/**
 * glni_segv_disarm() - faults on @slot are not ours any more. Its memory is
 * writable. On return no handler uses it.
 */
void glni_segv_disarm(struct gln_backend_slot *slot);

#endif
