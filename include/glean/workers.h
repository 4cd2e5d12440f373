/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers.h - threads that lend a hand to one that has much to do.
 *
 * The library starts no thread by itself. Who wants several to share a harvest
 * (vm_harvest.h) gives it workers: a pool of the hosted library, or threads of
 * his own behind the same two members.
 */
#ifndef GLN_WORKERS_H
#define GLN_WORKERS_H

#include <glean/types.h>

GLN_BEGIN_DECLS

/** Workers of a pool, at most. */
#define GLN_WORKERS_MAX 1024

/**
 * struct gln_workers - threads, and a way to call on them.
 *
 * @nr_workers:	how many there are, the calling thread included.
 * @run:	call @work with @arg on the calling thread and on up to
 *		@nr_workers - 1 others at once; return when all these calls
 *		have. Fewer will do, if need be one. Each sees what the caller
 *		did before, and the caller what they did.
 *
 * Context of @run: a thread that may sleep, in no read-side section. @work
 * allocates nothing. It takes no lock of the library's, but calls the backend.
 */
struct gln_workers {
	unsigned int nr_workers;
	void (*run)(struct gln_workers *workers, void (*work)(void *arg),
		    void *arg);
};

/**
 * gln_workers_create() - start threads that wait for work. Hosted library only.
 * @nr_workers:	the calling thread counts, so 1 starts none.
 * @workers:	may serve any number of VMs. While it serves one, other callers
 *		do all by themselves.
 *
 * The threads have all signals blocked but those of what they do themselves,
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP and SIGSYS.
 *
 * Context: any thread that may sleep; allocates.
 * Return: 0; -EINVAL if @nr_workers is 0 or over GLN_WORKERS_MAX; -ENOMEM;
 * -EAGAIN if not all threads can be started; then none is, and @workers is
 * untouched.
 */
GLN_PUBLIC int gln_workers_create(unsigned int nr_workers,
				  struct gln_workers **workers);

/**
 * gln_workers_destroy() - end what gln_workers_create() started.
 *
 * Context: any thread but these; no harvest that uses them is open.
 */
GLN_PUBLIC void gln_workers_destroy(struct gln_workers *workers);

GLN_END_DECLS

#endif
