/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pagemap_scan.c - the kernel notes writes; PAGEMAP_SCAN reads and re-arms.
 *
 * Every page of a logged slot has a bit in its page table entry, present or
 * not: "protected" (armed). A write of a protected page faults in the kernel,
 * which clears the bit and lets the write through (asynchronous userfaultfd
 * write protection). PAGEMAP_SCAN finds the entries without the bit, and sets
 * it again:
 *
 *   a guest writes (kernel, page table lock)    collect
 *     1 clear the bit, make writable              1 find a clear bit  (kernel,
 *     2 the guest goes on                         2 set it, protect    page
 *                                                                 table lock)
 *                                                 3 flush    (kernel)
 *                                                 4 mark the frame
 *
 * Both sides hold the lock of the page table, so a write comes before 1 and is
 * marked in 4, or after 2 and leaves a clear bit for the next collect. A CPU
 * that still writes through a stale translation between 2 and 3 writes a page
 * that 4 marks. Arming comes before the mark: the other way round a harvest
 * could take the mark, its caller copy the page, and the bit be set over a
 * write made after the copy.
 *
 * What the bit says about pages that are not there:
 *
 *   absent when logging starts	armed by a marker entry: a load leaves it clean,
 *				a store is seen
 *   discarded while logging	the marker goes with the page, so the page is
 *				reported: its bytes did change
 *   swapped out		the bit is kept in the swap entry
 *   huge			an armed huge page is split by the first write,
 *				which is then seen alone. One that came to be
 *				after arming (a discarded area written) is
 *				reported whole: over_reported
 *   of another mapping		-EPERM: somebody mapped something else there
 *
 * System calls that write tracked memory need nothing special.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/process/kernel_uapi.h"
#include "backends/process/tracker.h"
#include "backends/process/userfault.h"

/* Room for what one call finds; 4096 regions are 96 KiB. */
enum { MAX_REGIONS = 4096 };

struct pagemap_scan {
	struct glni_process process;
	struct glni_userfault userfault;
	int pagemap;
	uintptr_t huge_bytes; /* of a huge page; 0 if there are none */
};

struct scanned {
	struct glni_tracked tracked;
	struct page_region *regions;
	size_t max_regions;
};

static struct pagemap_scan *scan_of(struct gln_backend *backend)
{
	return (struct pagemap_scan *)(void *)backend;
}

/* Call PAGEMAP_SCAN on [start, end). Return: regions found, or -errno. */
static long scan(struct pagemap_scan *ps, struct pm_scan_arg *arg)
{
	const int nr = ioctl(ps->pagemap, PAGEMAP_SCAN, arg);

	/* Relaxed: a figure. */
	(void)gln_fetch_add_relaxed(&ps->process.scans, 1);
	return nr < 0 ? -errno : nr;
}

/* Count the pages of a region that are mapped by huge pages. */
static uint64_t huge_pages(struct pagemap_scan *ps,
			   const struct page_region *region,
			   unsigned int page_shift)
{
	struct page_region found[16];
	uint64_t at = region->start;
	uint64_t bytes = 0;

	while (at < region->end) {
		struct pm_scan_arg arg = {
			.size = sizeof(arg),
			.start = at,
			.end = region->end,
			.vec = (uintptr_t)found,
			.vec_len = sizeof(found) / sizeof(found[0]),
			.category_mask = PAGE_IS_HUGE,
			.return_mask = PAGE_IS_HUGE,
		};
		const long nr = scan(ps, &arg);

		if (nr < 0 || arg.walk_end <= at)
			break;
		for (long i = 0; i < nr; i++)
			bytes += found[i].end - found[i].start;
		at = arg.walk_end;
	}

	return bytes >> page_shift;
}

/*
 * Of a huge page one page was written, as far as we know. Asked only about
 * regions that have room for a huge page: to ask in the scan itself would take
 * the kernel's slow path for every entry (half as fast again to twice).
 */
static void count_over_reported(struct pagemap_scan *ps,
				const struct page_region *region,
				unsigned int page_shift)
{
	const uintptr_t huge_bytes = ps->huge_bytes;

	if (!huge_bytes)
		return;

	const uint64_t first_huge =
		(region->start + huge_bytes - 1) & ~((uint64_t)huge_bytes - 1);

	if (first_huge > region->end || region->end - first_huge < huge_bytes)
		return;

	const uint64_t pages = huge_pages(ps, region, page_shift);
	const uint64_t pages_each = huge_bytes >> page_shift;

	/* Relaxed: a figure. */
	(void)gln_fetch_add_relaxed(&ps->process.over_reported,
				    pages - pages / pages_each);
}

static void mark_bytes(struct gln_backend_slot *slot, uint64_t start,
		       uint64_t end)
{
	slot->mark(slot, glni_address_frame(slot, (uintptr_t)start),
		   (end - start) >> slot->page_shift);
}

static void mark_regions(struct pagemap_scan *ps, struct gln_backend_slot *slot,
			 long nr)
{
	const struct scanned *scanned = slot->priv;

	for (long i = 0; i < nr; i++) {
		const struct page_region *region = &scanned->regions[i];

		mark_bytes(slot, region->start, region->end);
		count_over_reported(ps, region, slot->page_shift);
	}
}

/*
 * A call that failed may have armed pages and not told: mark all it could have
 * seen, rather than lose one.
 */
static void mark_unknown(struct pagemap_scan *ps, struct gln_backend_slot *slot,
			 uint64_t start, uint64_t end)
{
	mark_bytes(slot, start, end);
	/* Relaxed: a figure. */
	(void)gln_fetch_add_relaxed(&ps->process.over_reported,
				    (end - start) >> slot->page_shift);
}

static int collect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   struct gln_range range)
{
	struct pagemap_scan *ps = scan_of(backend);
	const struct scanned *scanned = slot->priv;
	uint64_t at = glni_frame_address(slot, range.first);
	const uint64_t end = at + (range.count << slot->page_shift);

	while (at < end) {
		struct pm_scan_arg arg = {
			.size = sizeof(arg),
			.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
			.start = at,
			.end = end,
			.vec = (uintptr_t)scanned->regions,
			.vec_len = scanned->max_regions,
			.category_mask = PAGE_IS_WRITTEN,
			.return_mask = PAGE_IS_WRITTEN,
		};
		const long nr = scan(ps, &arg);

		if (nr >= 0 && arg.walk_end > at) {
			mark_regions(ps, slot, nr);
			at = arg.walk_end;
			continue;
		}
		mark_unknown(ps, slot, at, end);
		if (nr != -EINTR)
			return nr < 0 ? (int)nr : -EIO;
	}

	return 0;
}

/*
 * Armed even if all pages start out marked: an entry without the bit is a
 * write to the next collect.
 */
static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	struct pagemap_scan *ps = scan_of(backend);
	struct glni_tracked *tracked = slot->priv;
	const uintptr_t start = (uintptr_t)slot->hva;
	const size_t bytes = glni_slot_bytes(slot);

	(void)flags;
	int err = glni_userfault_register(&ps->userfault, start, bytes,
					  GLNI_USERFAULT_PROTECTED);

	if (err)
		return err;

	err = glni_userfault_protect(&ps->userfault, start, bytes);
	if (err)
		glni_userfault_unregister(&ps->userfault, start, bytes);
	else
		tracked->logging = true;
	return err;
}

static void log_stop(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct pagemap_scan *ps = scan_of(backend);
	struct glni_tracked *tracked = slot->priv;

	glni_userfault_unregister(&ps->userfault, (uintptr_t)slot->hva,
				  glni_slot_bytes(slot));
	tracked->logging = false;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct glni_process *process = glni_process_of(backend);
	const uint64_t most = slot->nr_pages / 2 + 1; /* every other page */
	const size_t max = most < MAX_REGIONS ? (size_t)most : MAX_REGIONS;
	const int err =
		glni_process_attach(process, slot, sizeof(struct scanned));

	if (err)
		return err;

	struct scanned *scanned = slot->priv;

	scanned->max_regions = max;
	scanned->regions = malloc(max * sizeof(scanned->regions[0]));
	if (scanned->regions)
		return 0;

	glni_process_detach(process, slot);
	return -ENOMEM;
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct scanned *scanned = slot->priv;

	if (scanned->tracked.logging)
		log_stop(backend, slot);
	free(scanned->regions);
	glni_process_detach(glni_process_of(backend), slot);
}

static const struct gln_backend_ops ops = {
	.name = "process",
	.caps = GLN_CAP_COLLECT,
	.attach = attach,
	.detach = detach,
	.log_start = log_start,
	.log_stop = log_stop,
	.collect = collect,
};

/* Size of the huge pages that the kernel makes of its own accord. */
static uintptr_t huge_page_bytes(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			   "re");
	unsigned long bytes = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &bytes) != 1 || bytes & (bytes - 1))
		bytes = 0;
	fclose(file);

	return bytes;
}

static int open_pagemap(int *pagemap, char *reason)
{
	*pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (*pagemap >= 0)
		return 0;

	const int err = errno;

	glni_reason(reason, "/proc/self/pagemap cannot be opened (errno %d)",
		    err);
	if (err == EACCES || err == EPERM)
		return -EPERM;
	return err == ENOENT ? -ENOTSUP : -err;
}

/* Ask for nothing, to see whether the call is there. */
static int know_call(struct pagemap_scan *ps, char *reason)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};

	if (scan(ps, &arg) >= 0)
		return 0;

	glni_reason(reason, "PAGEMAP_SCAN unknown to this kernel "
			    "(needs Linux 6.7)");
	return -ENOTSUP;
}

static int open_both(struct pagemap_scan *ps, char *reason)
{
	int err = open_pagemap(&ps->pagemap, reason);

	if (err)
		return err;

	err = know_call(ps, reason);
	if (!err)
		err = glni_userfault_open(&ps->userfault, UFFD_FEATURE_WP_ASYNC,
					  "asynchronous write protection "
					  "(needs Linux 6.7)",
					  reason);
	if (err)
		close(ps->pagemap);
	return err;
}

static int create(struct glni_process **process, char *reason)
{
	struct pagemap_scan *ps = calloc(1, sizeof(*ps));
	int err = -ENOMEM;

	glni_reason(reason, "out of memory");
	if (!ps)
		return err;

	err = glni_process_init(&ps->process, &glni_tracker_pagemap_scan);
	if (err)
		goto free_it;
	err = open_both(ps, reason);
	if (err)
		goto fini;

	ps->huge_bytes = huge_page_bytes();
	*reason = '\0';
	*process = &ps->process;
	return 0;

fini:
	glni_process_fini(&ps->process);
free_it:
	free(ps);
	return err;
}

static void destroy(struct glni_process *process)
{
	struct pagemap_scan *ps = (struct pagemap_scan *)(void *)process;

	glni_userfault_close(&ps->userfault);
	close(ps->pagemap);
	glni_process_fini(process);
	free(ps);
}

const struct glni_tracker glni_tracker_pagemap_scan = {
	.id = GLN_TRACKER_PAGEMAP_SCAN,
	.why = "the kernel notes writes by itself, no fault reaches the process",
	.ops = &ops,
	.create = create,
	.destroy = destroy,
};
