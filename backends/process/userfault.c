/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * userfault.c - a userfaultfd and the calls it takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/process/kernel_uapi.h"
#include "backends/process/tracker.h"
#include "backends/process/userfault.h"

/* The kernel answers EAGAIN while another thread changes the mappings. */
enum { TRIES = 10000 };

/* ioctl() that tries again. Return: 0 or a negative errno. */
static int call(const struct glni_userfault *userfault, unsigned long request,
		void *arg)
{
	for (int i = 0; i < TRIES; i++) {
		if (!ioctl(userfault->fd, request, arg))
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		sched_yield();
	}

	return -EAGAIN;
}

static int open_by_call(unsigned int flags)
{
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags);
}

static int open_by_device(void)
{
	const int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	if (device < 0)
		return -1;

	const int fd =
		ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

	close(device);
	return fd;
}

/* Full first, by call or device; then for faults of user mode only. */
static int open_best(struct glni_userfault *userfault)
{
	userfault->user_mode_only = false;
	userfault->fd = open_by_call(0);
	if (userfault->fd >= 0)
		return 0;
	if (errno != EPERM)
		return -errno;

	userfault->fd = open_by_device();
	if (userfault->fd >= 0)
		return 0;

	userfault->user_mode_only = true;
	userfault->fd = open_by_call(UFFD_USER_MODE_ONLY);
	if (userfault->fd >= 0)
		return 0;

	/* EINVAL: no such flag before Linux 5.11, so EPERM was the answer. */
	return errno == EINVAL ? -EPERM : -errno;
}

static int open_failed(int err, char *reason)
{
	switch (err) {
	case -ENOSYS:
		glni_reason(reason, "this kernel has no userfaultfd");
		return -ENOTSUP;
	case -EPERM:
		glni_reason(reason, "userfaultfd is not permitted (needs "
				    "CAP_SYS_PTRACE, or Linux 5.11)");
		return -EPERM;
	default:
		glni_reason(reason, "userfaultfd cannot be opened (errno %d)",
			    -err);
		return err;
	}
}

int glni_userfault_open(struct glni_userfault *userfault, uint64_t features,
			const char *what, char *reason)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int err = open_best(userfault);

	if (err)
		return open_failed(err, reason);

	err = call(userfault, UFFDIO_API, &api);
	if (!err)
		return 0;

	glni_userfault_close(userfault);
	if (err != -EINVAL) {
		glni_reason(reason,
			    "userfaultfd failed its handshake "
			    "(errno %d)",
			    -err);
		return err;
	}
	glni_reason(reason, "this kernel's userfaultfd lacks %s", what);
	return -ENOTSUP;
}

void glni_userfault_close(struct glni_userfault *userfault)
{
	close(userfault->fd);
	userfault->fd = -1;
}

int glni_userfault_register(const struct glni_userfault *userfault,
			    uintptr_t start, size_t bytes,
			    enum glni_userfault_mode mode)
{
	struct uffdio_register reg = {
		.range = {.start = start, .len = bytes},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	if (mode == GLNI_USERFAULT_PROTECTED_AND_ABSENT)
		reg.mode |= UFFDIO_REGISTER_MODE_MISSING;

	const int err = call(userfault, UFFDIO_REGISTER, &reg);

	if (err)
		return err;
	/* Memory of hugetlbfs lacks ZEROPAGE, old kernels WRITEPROTECT. */
	if (reg.ioctls & UINT64_C(1) << _UFFDIO_ZEROPAGE &&
	    reg.ioctls & UINT64_C(1) << _UFFDIO_WRITEPROTECT)
		return 0;

	glni_userfault_unregister(userfault, start, bytes);
	return -EINVAL;
}

void glni_userfault_unregister(const struct glni_userfault *userfault,
			       uintptr_t start, size_t bytes)
{
	struct uffdio_range range = {.start = start, .len = bytes};

	/* Fails only where nothing is registered any more: memory unmapped. */
	(void)call(userfault, UFFDIO_UNREGISTER, &range);
}

int glni_userfault_protect(const struct glni_userfault *userfault,
			   uintptr_t start, size_t bytes)
{
	struct uffdio_writeprotect wp = {
		.range = {.start = start, .len = bytes},
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return call(userfault, UFFDIO_WRITEPROTECT, &wp);
}

int glni_userfault_open_pages(const struct glni_userfault *userfault,
			      uintptr_t start, size_t bytes)
{
	struct uffdio_writeprotect wp = {
		.range = {.start = start, .len = bytes},
		.mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
	};

	return call(userfault, UFFDIO_WRITEPROTECT, &wp);
}

static int fill(const struct glni_userfault *userfault, uintptr_t page,
		const void *from, size_t bytes, uint64_t mode)
{
	struct uffdio_copy copy = {
		.dst = page,
		.src = (uintptr_t)from,
		.len = bytes,
		.mode = UFFDIO_COPY_MODE_DONTWAKE | mode,
	};

	return call(userfault, UFFDIO_COPY, &copy);
}

int glni_userfault_fill(const struct glni_userfault *userfault, uintptr_t page,
			const void *from, size_t bytes)
{
	return fill(userfault, page, from, bytes, 0);
}

int glni_userfault_fill_protected(const struct glni_userfault *userfault,
				  uintptr_t page, const void *from,
				  size_t bytes)
{
	return fill(userfault, page, from, bytes, UFFDIO_COPY_MODE_WP);
}

void glni_userfault_wake(const struct glni_userfault *userfault,
			 uintptr_t start, size_t bytes)
{
	struct uffdio_range range = {.start = start, .len = bytes};

	/* Cannot fail for a range that is aligned and not empty. */
	(void)call(userfault, UFFDIO_WAKE, &range);
}
