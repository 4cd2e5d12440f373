/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.c - platform.h on Linux: liburcu, pthreads, membarrier.
 */
#include <glean/platform.h>

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/sync/rcu.h"

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct gln_plat_mutex),
	       "a pthread mutex fits");

void gln_plat_read_lock(void)
{
	glni_read_lock();
}

void gln_plat_read_unlock(void)
{
	glni_read_unlock();
}

void gln_plat_synchronize(void)
{
	glni_synchronize();
}

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static bool can_membarrier;

static void register_membarrier(void)
{
	can_membarrier =
		membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

/*
 * Reaches the threads of this process, which are all that can mark in it. The
 * expedited form may lack memory for its CPU mask; the slow one needs none.
 *
 * A call that worked and is then forbidden, by a seccomp filter say, leaves
 * marks without their fence: no harvest could be trusted any more. liburcu ends
 * the process there, at the next grace period, and so does this.
 */
bool gln_plat_heavy_fence(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_membarrier);
	if (!can_membarrier)
		return false;

	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
	    membarrier(MEMBARRIER_CMD_GLOBAL)) {
		perror("glean: membarrier(2) worked before, and must be "
		       "allowed for as long as the process lives");
		abort();
	}
	return true;
}

static pthread_mutex_t *pthread_of(struct gln_plat_mutex *mutex)
{
	return (pthread_mutex_t *)(void *)mutex->opaque;
}

int gln_plat_mutex_init(struct gln_plat_mutex *mutex)
{
	return pthread_mutex_init(pthread_of(mutex), NULL) ? -ENOMEM : 0;
}

void gln_plat_mutex_fini(struct gln_plat_mutex *mutex)
{
	pthread_mutex_destroy(pthread_of(mutex));
}

void gln_plat_mutex_lock(struct gln_plat_mutex *mutex)
{
	pthread_mutex_lock(pthread_of(mutex));
}

void gln_plat_mutex_unlock(struct gln_plat_mutex *mutex)
{
	pthread_mutex_unlock(pthread_of(mutex));
}

/* Spins before the CPU is given away: about a microsecond. */
enum { RELAX_ROUNDS = 64 };

void gln_plat_relax(unsigned int round)
{
	if (round < RELAX_ROUNDS)
		glni_cpu_relax();
	else
		sched_yield();
}

uint64_t gln_plat_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)now.tv_nsec;
}

/*
 * Copies within the process go through the kernel, which checks both sides: a
 * bad pointer is an error number here, as it is at KVM's own ioctl.
 */
static int copy_checked(void *dst, const void *src, size_t bytes,
			ssize_t (*copy)(pid_t, const struct iovec *,
					unsigned long, const struct iovec *,
					unsigned long, unsigned long),
			const struct iovec *local, const struct iovec *remote)
{
	const ssize_t done = copy(getpid(), local, 1, remote, 1, 0);

	if (done >= 0)
		return (size_t)done == bytes ? 0 : -EFAULT;
	if (errno == EFAULT)
		return -EFAULT;

	/* Forbidden here (a sandbox): all that can be caught is NULL. */
	if (!dst || !src)
		return -EFAULT;
	__builtin_memcpy(dst, src, bytes);
	return 0;
}

int gln_plat_copy_out(void *dst, const void *src, size_t bytes)
{
	const struct iovec local = {(void *)(uintptr_t)src, bytes};
	const struct iovec remote = {dst, bytes};

	return copy_checked(dst, src, bytes, process_vm_writev, &local,
			    &remote);
}

int gln_plat_copy_in(void *dst, const void *src, size_t bytes)
{
	const struct iovec local = {dst, bytes};
	const struct iovec remote = {(void *)(uintptr_t)src, bytes};

	return copy_checked(dst, src, bytes, process_vm_readv, &local, &remote);
}

void gln_plat_assert_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "glean: %s:%d: broken promise: %s\n", file, line, what);
	abort();
}
