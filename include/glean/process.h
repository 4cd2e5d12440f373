/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - the memory of this process, tracked by the real MMU.
 *
 * A slot's @hva names anonymous private memory of this process, page aligned.
 * Any thread may write it, with plain stores. Three trackers, best first:
 *
 *   pagemap-scan	the kernel notes writes by itself (asynchronous
 *			userfaultfd write protection) and PAGEMAP_SCAN reads and
 *			re-arms them in one call: no fault reaches the process.
 *			Linux 6.7.
 *   uffd		userfaultfd write protection; a thread of the backend
 *			takes each fault: makes the page writable, marks it,
 *			then wakes the writer. Linux 5.7.
 *   mprotect		read-only mappings and SIGSEGV. Anywhere; a system call
 *			that writes protected memory gets EFAULT instead.
 *
 * The page size of the VM must be the host's; slots must not share memory, nor
 * have huge pages of hugetlbfs. gln_slot_add() answers -EINVAL, or -EEXIST for
 * shared memory, gln_log_enable() what the kernel says: -EINVAL for memory that
 * it cannot track, -EBUSY if somebody else tracks it.
 *
 * Memory that is discarded (MADV_DONTNEED and the like) changes although nobody
 * writes it: who discards it marks it afterwards. Writes that follow are seen.
 */
#ifndef GLN_PROCESS_H
#define GLN_PROCESS_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_backend;

/** enum gln_tracker - how writes are noticed. */
enum gln_tracker {
	GLN_TRACKER_AUTO = 0, /* the first of the others that works here */
	GLN_TRACKER_PAGEMAP_SCAN = 1,
	GLN_TRACKER_UFFD = 2,
	GLN_TRACKER_MPROTECT = 3,
};

/** Trackers are numbered from 1 to GLN_NR_TRACKERS, best first. */
#define GLN_NR_TRACKERS 3

/** Room for a reason, its terminating zero included. */
#define GLN_REASON_BYTES 160

/**
 * gln_tracker_name() - "auto", "pagemap-scan", "uffd" or "mprotect"; NULL for
 * another number.
 *
 * Context: any.
 */
GLN_PUBLIC const char *gln_tracker_name(enum gln_tracker tracker);

/**
 * gln_tracker_probe() - try a tracker out on a page of memory.
 * @reason:	room for GLN_REASON_BYTES: one line, why it works or does not.
 *
 * Context: any thread; allocates, maps and unmaps.
 * Return: 0 if it works; -EINVAL for AUTO or another number; -ENOTSUP if the
 * kernel lacks it; -EPERM if this user may not; -ENOMEM, -EMFILE or -ENFILE if
 * there was no memory or descriptor to try it with.
 */
GLN_PUBLIC int gln_tracker_probe(enum gln_tracker tracker, char *reason);

/**
 * gln_process_create() - make the backend. Hosted library only.
 * @tracker:	the one to use; AUTO probes them best first.
 * @reason:	NULL, or room for GLN_REASON_BYTES: which tracker was taken and
 *		why, or on failure why none was.
 *
 * Context: any thread; may allocate, start a thread, install a signal handler.
 * Return: 0; -EINVAL for another number; or what gln_tracker_probe() says of
 * the tracker, for AUTO of the first. @backend is untouched on failure.
 */
GLN_PUBLIC int gln_process_create(enum gln_tracker tracker, char *reason,
				  struct gln_backend **backend);

/**
 * gln_process_destroy() - free it. Its VM must be gone.
 *
 * The tracked memory is left mapped and writable.
 */
GLN_PUBLIC void gln_process_destroy(struct gln_backend *backend);

/**
 * gln_process_tracker() - the tracker in use.
 *
 * Context: any.
 */
GLN_PUBLIC enum gln_tracker gln_process_tracker(
	const struct gln_backend *backend);

/**
 * struct gln_process_stats - what the tracker saw. Counters only grow.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @faults:	write faults taken by this process (not pagemap-scan).
 * @scans:	PAGEMAP_SCAN calls.
 * @over_reported: pages marked because a neighbour was written: of a fault that
 *		had to open more than its page (mprotect near the limit of
 *		mappings), or of a huge page (G2).
 */
struct gln_process_stats {
	size_t struct_bytes;
	uint64_t faults;
	uint64_t scans;
	uint64_t over_reported;
};

/**
 * gln_process_stats() - read the counters.
 *
 * Context: any thread.
 * Return: 0; -EINVAL for a wrong @stats->struct_bytes.
 */
GLN_PUBLIC int gln_process_stats(const struct gln_backend *backend,
				 struct gln_process_stats *stats);

GLN_END_DECLS

#endif
