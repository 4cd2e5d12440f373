/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracker.h - what the three trackers of the process backend share.
 *
 * A tracker is a set of backend operations, and a way to make and free the
 * structure they work on, which begins with a struct glni_process. process.c
 * chooses between them; it knows them by this page alone.
 *
 * Locks: glni_process.lock protects the spans and nothing else. A tracker whose
 * fault handler is a thread holds it while it handles faults, so that detach,
 * which takes it too, knows that nobody uses the slot any more. No memory of a
 * guest is touched under it: the thread that would let the access through may
 * be the one that waits for the lock.
 */
#ifndef GLN_BACKENDS_PROCESS_TRACKER_H
#define GLN_BACKENDS_PROCESS_TRACKER_H

#include <pthread.h>

#include <glean/backend.h>
#include <glean/process.h>

#include "backends/process/spans.h"
#include "core/base/atomic.h"

struct glni_process;

/**
 * struct glni_tracker - a way to notice writes.
 *
 * @why:	why it works, once a probe has shown that it does.
 * @create:	make the backend. On failure @reason says why: -ENOTSUP if the
 *		kernel lacks it, -EPERM if this user may not, or another
 *		negative errno. On success @reason may take a remark.
 * @destroy:	free it; all slots are detached.
 */
struct glni_tracker {
	enum gln_tracker id;
	const char *why;
	const struct gln_backend_ops *ops;
	int (*create)(struct glni_process **process, char *reason);
	void (*destroy)(struct glni_process *process);
};

extern const struct glni_tracker glni_tracker_pagemap_scan;
extern const struct glni_tracker glni_tracker_uffd;
extern const struct glni_tracker glni_tracker_mprotect;

/** struct glni_process - what every tracker's backend begins with. */
struct glni_process {
	struct gln_backend backend;
	const struct glni_tracker *tracker;
	pthread_mutex_t lock;
	struct glni_spans spans; /* attached slots; under lock */

	/* Relaxed: figures, which order nothing. */
	gln_word faults;
	gln_word scans;
	gln_word over_reported;
};

/** struct glni_tracked - what every tracker hangs to gln_backend_slot.priv. */
struct glni_tracked {
	struct glni_process *process;
	bool logging;
};

static inline struct glni_process *glni_process_of(struct gln_backend *backend)
{
	return (struct glni_process *)(void *)backend;
}

/** Return: 0 or -ENOMEM. */
int glni_process_init(struct glni_process *process,
		      const struct glni_tracker *tracker);
void glni_process_fini(struct glni_process *process);

/**
 * glni_process_attach() - check a slot and make its private part.
 * @tracked_bytes: size of the tracker's own, which begins with glni_tracked.
 *
 * Return: 0; -EINVAL if the pages are not the host's or @slot has no memory;
 * -EEXIST if its memory overlaps another slot's; -ENOMEM.
 */
int glni_process_attach(struct glni_process *process,
			struct gln_backend_slot *slot, size_t tracked_bytes);

/** On return no thread that handles faults under the lock uses @slot. */
void glni_process_detach(struct glni_process *process,
			 struct gln_backend_slot *slot);

/** Write a reason of at most GLN_REASON_BYTES; what is too long is cut. */
__attribute__((format(printf, 2, 3))) void glni_reason(char *reason,
						       const char *format, ...);

/** Host address of a frame of @slot. */
static inline uintptr_t glni_frame_address(const struct gln_backend_slot *slot,
					   gln_gfn gfn)
{
	return (uintptr_t)slot->hva +
	       (uintptr_t)((gfn - slot->base) << slot->page_shift);
}

/** Frame of @slot at a host address within it. */
static inline gln_gfn glni_address_frame(const struct gln_backend_slot *slot,
					 uintptr_t address)
{
	return slot->base +
	       ((address - (uintptr_t)slot->hva) >> slot->page_shift);
}

static inline size_t glni_slot_bytes(const struct gln_backend_slot *slot)
{
	return (size_t)(slot->nr_pages << slot->page_shift);
}

#endif
