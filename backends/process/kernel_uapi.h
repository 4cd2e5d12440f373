/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel_uapi.h - numbers of the kernel's interface that C headers may lack.
 *
 * The headers a program is built with are often older than the kernel it runs
 * on. Whether the kernel knows a number is found out at run time, by probing.
 */
#ifndef GLN_BACKENDS_PROCESS_KERNEL_UAPI_H
#define GLN_BACKENDS_PROCESS_KERNEL_UAPI_H

#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* Linux 5.11: a descriptor that sees faults from user mode only. */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/* Linux 6.1: descriptors from /dev/userfaultfd. */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* Linux 6.7: a write makes the page writable without asking anybody. */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* Linux 5.14: fault pages in, as a load or as a store would. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Linux 6.7: find pages by category and write-protect what was found. */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)

#define PAGE_IS_WRITTEN (1 << 1)
#define PAGE_IS_HUGE	(1 << 6)

#define PM_SCAN_WP_MATCHING   (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)

/* Addresses [start, end), all of the same categories. */
struct page_region {
	uint64_t start;
	uint64_t end;
	uint64_t categories;
};

/* What to look for in [start, end); walk_end comes back. */
struct pm_scan_arg {
	uint64_t size;
	uint64_t flags;
	uint64_t start;
	uint64_t end;
	uint64_t walk_end;
	uint64_t vec;
	uint64_t vec_len;
	uint64_t max_pages;
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};
#endif

#endif
