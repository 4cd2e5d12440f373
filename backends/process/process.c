/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.c - choose a tracker, and what all trackers have in common.
 *
 * A tracker is believed when it has been seen to work: a probe makes a backend
 * of its own, tracks a few pages of memory and writes to them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/process/tracker.h"

static const struct glni_tracker *const trackers[] = {
	[GLN_TRACKER_PAGEMAP_SCAN] = &glni_tracker_pagemap_scan,
	[GLN_TRACKER_UFFD] = &glni_tracker_uffd,
	[GLN_TRACKER_MPROTECT] = &glni_tracker_mprotect,
};

static const char *const names[] = {
	[GLN_TRACKER_AUTO] = "auto",
	[GLN_TRACKER_PAGEMAP_SCAN] = "pagemap-scan",
	[GLN_TRACKER_UFFD] = "uffd",
	[GLN_TRACKER_MPROTECT] = "mprotect",
};

static bool is_tracker(enum gln_tracker tracker)
{
	return (unsigned int)tracker >= 1 &&
	       (unsigned int)tracker <= GLN_NR_TRACKERS;
}

void glni_reason(char *reason, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(reason, GLN_REASON_BYTES, format, args);
	va_end(args);
}

int glni_process_init(struct glni_process *process,
		      const struct glni_tracker *tracker)
{
	process->backend.ops = tracker->ops;
	process->tracker = tracker;
	process->spans = (struct glni_spans){0};
	return pthread_mutex_init(&process->lock, NULL) ? -ENOMEM : 0;
}

void glni_process_fini(struct glni_process *process)
{
	glni_spans_fini(&process->spans);
	pthread_mutex_destroy(&process->lock);
}

/* Slots: the memory must be pages of this process. */

static bool has_memory(const struct gln_backend_slot *slot)
{
	const uintptr_t start = (uintptr_t)slot->hva;
	const uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);

	if (slot->page_shift >= 8 * sizeof(page_bytes) ||
	    (uintptr_t)1 << slot->page_shift != page_bytes)
		return false;
	if (!start || start % page_bytes || !slot->nr_pages)
		return false;

	return slot->nr_pages <= (UINTPTR_MAX - start) / page_bytes;
}

static int add_span(struct glni_process *process, struct glni_span span)
{
	int err = 0;

	pthread_mutex_lock(&process->lock);
	if (glni_spans_overlap(&process->spans, span))
		err = -EEXIST;
	else
		err = glni_spans_reserve(&process->spans,
					 process->spans.nr + 1);
	if (!err)
		glni_spans_insert(&process->spans, span);
	pthread_mutex_unlock(&process->lock);

	return err;
}

int glni_process_attach(struct glni_process *process,
			struct gln_backend_slot *slot, size_t tracked_bytes)
{
	struct glni_tracked *tracked;

	if (!has_memory(slot))
		return -EINVAL;

	tracked = calloc(1, tracked_bytes);
	if (!tracked)
		return -ENOMEM;
	tracked->process = process;
	slot->priv = tracked;

	const int err = add_span(process, glni_span_of(slot));

	if (err) {
		slot->priv = NULL;
		free(tracked);
	}
	return err;
}

void glni_process_detach(struct glni_process *process,
			 struct gln_backend_slot *slot)
{
	pthread_mutex_lock(&process->lock);
	glni_spans_remove(&process->spans, slot);
	pthread_mutex_unlock(&process->lock);

	free(slot->priv);
	slot->priv = NULL;
}

/*
 * A probe's memory, and what must have been noticed in it:
 *
 *     page     0         1         2         3
 *     before   written   written   absent    absent
 *     round 1            write     write
 *     round 2            write
 */
enum {
	TRIAL_PAGES = 4,
	TRIAL_ROUND_1 = 1 << 1 | 1 << 2,
	TRIAL_ROUND_2 = 1 << 1,
};

struct trial {
	struct gln_backend_slot slot; /* first: mark finds the rest by it */
	gln_word marks;
};

static void trial_mark(struct gln_backend_slot *slot, gln_gfn first,
		       uint64_t count)
{
	struct trial *trial = (struct trial *)(void *)slot;

	for (gln_gfn gfn = first; gfn < first + count; gfn++) {
		/* Relaxed: only the thread that wrote reads it afterwards. */
		(void)gln_fetch_or_relaxed(&trial->marks, UINT64_C(1) << gfn);
	}
}

static void trial_write(const struct trial *trial, unsigned int pages)
{
	for (unsigned int i = 0; i < TRIAL_PAGES; i++) {
		volatile char *byte = (volatile char *)trial->slot.hva +
				      ((size_t)i << trial->slot.page_shift);

		if (pages >> i & 1)
			*byte = (char)(*byte + 1);
	}
}

/* Write some pages and see whether these, and no others, get their mark. */
static int trial_round(struct gln_backend *backend, struct trial *trial,
		       unsigned int pages)
{
	const struct gln_range all = {.first = 0, .count = TRIAL_PAGES};
	int err = 0;

	gln_store_relaxed(&trial->marks, 0);
	trial_write(trial, pages);
	if (backend->ops->caps & GLN_CAP_COLLECT)
		err = backend->ops->collect(backend, &trial->slot, all);
	if (!err && gln_load_relaxed(&trial->marks) != pages)
		err = -ENOTSUP;

	return err;
}

static int trial_rounds(struct gln_backend *backend, struct trial *trial)
{
	const struct gln_range taken = {.first = 1, .count = 2};
	int err = backend->ops->log_start(backend, &trial->slot, 0);

	if (err)
		return err;

	err = trial_round(backend, trial, TRIAL_ROUND_1);
	if (!err && backend->ops->caps & GLN_CAP_PROTECT)
		err = backend->ops->protect(backend, &trial->slot, &taken, 1);
	if (!err)
		err = trial_round(backend, trial, TRIAL_ROUND_2);

	backend->ops->log_stop(backend, &trial->slot);
	return err;
}

static int trial_run(struct gln_backend *backend, void *memory,
		     unsigned int page_shift)
{
	struct trial trial = {
		.slot =
			{
				.page_shift = page_shift,
				.nr_pages = TRIAL_PAGES,
				.hva = memory,
				.mark = trial_mark,
			},
	};

	trial_write(&trial, 1 << 0 | 1 << 1);

	int err = backend->ops->attach(backend, &trial.slot);

	if (!err) {
		err = trial_rounds(backend, &trial);
		backend->ops->detach(backend, &trial.slot);
	}
	return err;
}

static int try_out(struct glni_process *process, char *reason)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = TRIAL_PAGES * page_bytes;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		glni_reason(reason, "no memory to try it out on");
		return -ENOMEM;
	}

	const int err = trial_run(&process->backend, memory,
				  (unsigned int)__builtin_ctzl(page_bytes));

	munmap(memory, bytes);
	if (err == -ENOTSUP)
		glni_reason(reason, "tried out, it did not notice the writes "
				    "that were made, or saw others");
	else if (err)
		glni_reason(reason, "tried out, it failed (errno %d)", -err);
	return !err || err == -ENOMEM ? err : -ENOTSUP;
}

/* What the trial counted is none of the user's business. Relaxed: unshared. */
static void forget_trial(struct glni_process *process)
{
	gln_store_relaxed(&process->faults, 0);
	gln_store_relaxed(&process->scans, 0);
	gln_store_relaxed(&process->over_reported, 0);
}

/* A backend that has been seen to work; @reason says why, or why not. */
static int make(const struct glni_tracker *tracker, char *reason,
		struct glni_process **process)
{
	char remark[GLN_REASON_BYTES] = "";
	struct glni_process *made;
	int err = tracker->create(&made, remark);

	if (!err) {
		err = try_out(made, remark);
		if (err)
			tracker->destroy(made);
	}
	if (err) {
		glni_reason(reason, "%s", remark);
		return err;
	}

	forget_trial(made);
	glni_reason(reason, "%s%s%s", tracker->why, *remark ? "; " : "",
		    remark);
	*process = made;
	return 0;
}

/* Does it not work here, where another might? It may need no descriptor. */
static bool is_refusal(int err)
{
	return err == -ENOTSUP || err == -EPERM || err == -EMFILE ||
	       err == -ENFILE;
}

/* Best first. What was refused follows the reason of what was taken. */
static int make_best(char *reason, struct glni_process **process)
{
	char refused[GLN_REASON_BYTES] = "";
	size_t used = 0;
	int first_err = 0;

	for (unsigned int i = 1; i <= GLN_NR_TRACKERS; i++) {
		char why[GLN_REASON_BYTES];
		const int err = make(trackers[i], why, process);

		if (!is_refusal(err)) {
			glni_reason(reason, "%s %s: %s%s", names[i],
				    err ? "failed" : "taken", why, refused);
			return err;
		}
		if (!first_err)
			first_err = err;
		if (used < sizeof(refused))
			used += (size_t)snprintf(refused + used,
						 sizeof(refused) - used,
						 "; %s: %s", names[i], why);
	}

	glni_reason(reason, "no tracker works%s", refused);
	return first_err;
}

static int make_this(enum gln_tracker tracker, char *reason,
		     struct glni_process **process)
{
	char why[GLN_REASON_BYTES];
	const int err = make(trackers[tracker], why, process);

	glni_reason(reason, "%s %s: %s", names[tracker],
		    err ? "does not work" : "taken", why);
	return err;
}

/* The public face. */

const char *gln_tracker_name(enum gln_tracker tracker)
{
	return (unsigned int)tracker <= GLN_NR_TRACKERS ? names[tracker] : NULL;
}

int gln_tracker_probe(enum gln_tracker tracker, char *reason)
{
	struct glni_process *process;

	if (!is_tracker(tracker)) {
		glni_reason(reason, "no such tracker");
		return -EINVAL;
	}

	const int err = make(trackers[tracker], reason, &process);

	if (!err)
		trackers[tracker]->destroy(process);
	return err;
}

int gln_process_create(enum gln_tracker tracker, char *reason,
		       struct gln_backend **backend)
{
	char unread[GLN_REASON_BYTES];
	struct glni_process *process;
	int err;

	if (!reason)
		reason = unread;

	if (tracker == GLN_TRACKER_AUTO) {
		err = make_best(reason, &process);
	} else if (is_tracker(tracker)) {
		err = make_this(tracker, reason, &process);
	} else {
		glni_reason(reason, "no such tracker");
		err = -EINVAL;
	}

	if (!err)
		*backend = &process->backend;
	return err;
}

void gln_process_destroy(struct gln_backend *backend)
{
	struct glni_process *process = glni_process_of(backend);

	process->tracker->destroy(process);
}

enum gln_tracker gln_process_tracker(const struct gln_backend *backend)
{
	const struct glni_process *process =
		(const struct glni_process *)(const void *)backend;

	return process->tracker->id;
}

int gln_process_stats(const struct gln_backend *backend,
		      struct gln_process_stats *stats)
{
	const struct glni_process *process =
		(const struct glni_process *)(const void *)backend;
	/* Relaxed: figures, each by itself. */
	const struct gln_process_stats now = {
		.struct_bytes = stats->struct_bytes,
		.faults = gln_load_relaxed(&process->faults),
		.scans = gln_load_relaxed(&process->scans),
		.over_reported = gln_load_relaxed(&process->over_reported),
	};

	if (stats->struct_bytes < sizeof(stats->struct_bytes) ||
	    stats->struct_bytes > sizeof(now))
		return -EINVAL;

	memcpy(stats, &now, stats->struct_bytes);
	return 0;
}
