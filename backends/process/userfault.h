/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * userfault.h - a userfaultfd and the calls it takes.
 *
 * Ranges are host addresses, page aligned. Calls return 0 or a negative errno.
 */
#ifndef GLN_BACKENDS_PROCESS_USERFAULT_H
#define GLN_BACKENDS_PROCESS_USERFAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct glni_userfault - an open descriptor.
 *
 * @user_mode_only: faults that the kernel takes in a system call are not
 *		handled; such a call fails with EFAULT.
 */
struct glni_userfault {
	int fd;
	bool user_mode_only;
};

/** What a fault is made to wait for: register modes. */
enum glni_userfault_mode {
	GLNI_USERFAULT_PROTECTED,	     /* writes of protected pages */
	GLNI_USERFAULT_PROTECTED_AND_ABSENT, /* any access of absent ones too */
};

/**
 * glni_userfault_open() - the most this user may have.
 * @features:	UFFD_FEATURE_* that must be there.
 * @what:	these features, as words for @reason.
 *
 * Return: 0; -ENOTSUP or -EPERM, or another error, with @reason written.
 */
int glni_userfault_open(struct glni_userfault *userfault, uint64_t features,
			const char *what, char *reason);
void glni_userfault_close(struct glni_userfault *userfault);

/** -EINVAL for memory of huge pages that cannot be split (hugetlbfs). */
int glni_userfault_register(const struct glni_userfault *userfault,
			    uintptr_t start, size_t bytes,
			    enum glni_userfault_mode mode);
/** Pages become writable, but who waits must be woken. */
void glni_userfault_unregister(const struct glni_userfault *userfault,
			       uintptr_t start, size_t bytes);

/** Make writes fault. No translation is stale on return. */
int glni_userfault_protect(const struct glni_userfault *userfault,
			   uintptr_t start, size_t bytes);
/** Let writes through, but wake nobody. */
int glni_userfault_open_pages(const struct glni_userfault *userfault,
			      uintptr_t start, size_t bytes);

/** Fill an absent page from @from, but wake nobody. -EEXIST: it is there. */
int glni_userfault_fill(const struct glni_userfault *userfault, uintptr_t page,
			const void *from, size_t bytes);
/** The same, protected from the first instant. */
int glni_userfault_fill_protected(const struct glni_userfault *userfault,
				  uintptr_t page, const void *from,
				  size_t bytes);

void glni_userfault_wake(const struct glni_userfault *userfault,
			 uintptr_t start, size_t bytes);

#endif
