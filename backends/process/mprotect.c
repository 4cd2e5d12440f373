/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mprotect.c - read-only mappings, and the SIGSEGV of who writes them.
 *
 * The writing thread handles its own fault:
 *
 *   writer, in its handler        harvester
 *     1 make the page writable      1 takes marks
 *     2 mark it                     2 protects the pages taken
 *     3 write again
 *
 * Where the harvester may come in between:
 *
 *   before 1     nothing special.
 *   1 to 2       it does not find this mark, so the page stays writable; 2
 *                marks it. Or the page was marked by someone else, is taken and
 *                protected, and the writer faults again in 3.
 *   2 to 3       it takes the mark and protects: the writer faults again in 3.
 *   after 3      the write is older than the copy, which comes after 2 there.
 *
 * Two writers of one page may both fault. The later finds the page writable
 * already, makes it so again and marks it again: it is about to write it.
 *
 * No GLN_CAP_FLUSH: mprotect(2) returns when no CPU has a stale translation.
 *
 * Mappings. The kernel keeps a mapping for each stretch of pages of the same
 * protection, and refuses to have more than vm.max_map_count of them (65530 as
 * a rule): random writes to a GiB come to more. When it refuses
 *
 *   the writer's page    more is opened and marked: an aligned 2 MiB, then 8
 *                        times as much, up to the slot. Stretches become one
 *                        and make room. over_reported counts them.
 *   the harvester's run  more is protected, in the same steps. A page protected
 *                        without being taken costs a fault and loses nothing.
 *
 * Neighbouring stretches become one only if their pages belong together in the
 * kernel's books, which is decided when the first page of a mapping is written.
 * So one is, before a slot is cut up for the first time.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "backends/process/kernel_uapi.h"
#include "backends/process/segv.h"
#include "backends/process/tracker.h"

/* How much more to take when the kernel refuses a mapping. */
enum {
	FIRST_CHUNK_BYTES = 2 << 20,
	CHUNK_GROWTH = 8,
};

#define WRITABLE  (PROT_READ | PROT_WRITE)
#define PROTECTED PROT_READ

/* Pages of a slot by index: these are not frames. */
struct pages {
	uint64_t first;
	uint64_t count;
};

/* Return: 0 or a negative errno. Safe in a signal handler. */
static int set_access(const struct gln_backend_slot *slot, struct pages pages,
		      int access)
{
	char *start = (char *)slot->hva + (pages.first << slot->page_shift);

	return mprotect(start, (size_t)(pages.count << slot->page_shift),
			access)
		       ? -errno
		       : 0;
}

/* The aligned chunks that hold @pages, as far as the slot goes. */
static struct pages widen(const struct gln_backend_slot *slot,
			  struct pages pages, uint64_t chunk)
{
	const uint64_t first = pages.first & ~(chunk - 1);
	const uint64_t last = (pages.first + pages.count - 1) | (chunk - 1);
	const uint64_t end = last < slot->nr_pages ? last + 1 : slot->nr_pages;

	return (struct pages){.first = first, .count = end - first};
}

/*
 * Set the access of @pages, or of more pages around them if the kernel has no
 * room for so many mappings.
 * Return: what was set; nothing if not even the whole slot could be.
 */
static struct pages set_access_at_least(const struct gln_backend_slot *slot,
					struct pages pages, int access)
{
	const struct pages nothing = {0, 0};
	uint64_t chunk = FIRST_CHUNK_BYTES >> slot->page_shift;
	struct pages wide = pages;

	while (set_access(slot, wide, access)) {
		if (wide.count == slot->nr_pages)
			return nothing;
		wide = widen(slot, pages, chunk);
		chunk *= CHUNK_GROWTH;
	}

	return wide;
}

/* A write fault, in the handler of the thread that made it. */
static bool fault(struct gln_backend_slot *slot, uintptr_t address)
{
	const struct glni_tracked *tracked = slot->priv;
	struct glni_process *process = tracked->process;
	const struct pages page = {
		.first = (address - (uintptr_t)slot->hva) >> slot->page_shift,
		.count = 1,
	};
	const struct pages opened = set_access_at_least(slot, page, WRITABLE);
	/* A refusal may come half way: anything may be open then. */
	const struct pages marked =
		opened.count ? opened : (struct pages){0, slot->nr_pages};

	slot->mark(slot, slot->base + marked.first, marked.count);
	/* Relaxed: figures. */
	(void)gln_fetch_add_relaxed(&process->faults, 1);
	(void)gln_fetch_add_relaxed(&process->over_reported, marked.count - 1);
	return opened.count;
}

/* Operations. */

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	(void)backend;

	for (size_t i = 0; i < nr_ranges; i++) {
		const struct pages run = {
			.first = ranges[i].first - slot->base,
			.count = ranges[i].count,
		};

		if (!set_access_at_least(slot, run, PROTECTED).count)
			return -ENOMEM;
	}

	return 0;
}

/*
 * Make all of a slot writable. If the kernel has no room for the mapping that
 * this cuts off at the slot's edge, make room within the slot first.
 */
static void open_slot(const struct gln_backend_slot *slot)
{
	const struct pages all = {.first = 0, .count = slot->nr_pages};
	const uint64_t chunk = FIRST_CHUNK_BYTES >> slot->page_shift;

	if (!set_access(slot, all, WRITABLE))
		return;

	for (uint64_t at = 0; at < slot->nr_pages; at += chunk) {
		const struct pages one = {.first = at, .count = 1};

		(void)set_access(slot, widen(slot, one, chunk), WRITABLE);
	}
	(void)set_access(slot, all, WRITABLE);
}

/* Write the first page without changing it. Return: 0 or a negative errno. */
static int touch(const struct gln_backend_slot *slot)
{
	const struct pages first = {.first = 0, .count = 1};
	const size_t page_bytes = (size_t)1 << slot->page_shift;

	if (!madvise(slot->hva, page_bytes, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -EFAULT;

	/* Read-only so far, or a kernel before Linux 5.14. */
	const int err = set_access(slot, first, WRITABLE);

	/*
	 * Relaxed: it orders nothing, but must be one step, so as not to undo
	 * a guest's write.
	 */
	if (!err)
		(void)gln_fetch_or_relaxed((_Atomic unsigned char *)slot->hva,
					   0);
	return err;
}

static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	struct glni_tracked *tracked = slot->priv;
	const struct pages all = {.first = 0, .count = slot->nr_pages};

	(void)backend;
	int err = touch(slot);

	if (!err)
		err = glni_segv_arm(slot);
	if (err)
		return err;

	if (!(flags & GLN_LOG_START_ALL_MARKED))
		err = set_access(slot, all, PROTECTED);
	if (err) {
		open_slot(slot);
		glni_segv_disarm(slot);
	} else {
		tracked->logging = true;
	}
	return err;
}

/* Writable first: a fault that finds the slot disarmed must not come back. */
static void log_stop(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct glni_tracked *tracked = slot->priv;

	(void)backend;
	open_slot(slot);
	glni_segv_disarm(slot);
	tracked->logging = false;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct glni_process *process = glni_process_of(backend);
	int err =
		glni_process_attach(process, slot, sizeof(struct glni_tracked));

	if (err)
		return err;

	err = glni_segv_reserve();
	if (err)
		glni_process_detach(process, slot);
	return err;
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	const struct glni_tracked *tracked = slot->priv;

	if (tracked->logging)
		log_stop(backend, slot);
	glni_segv_unreserve();
	glni_process_detach(glni_process_of(backend), slot);
}

static const struct gln_backend_ops ops = {
	.name = "process",
	.caps = GLN_CAP_PROTECT | GLN_CAP_GAPS,
	.attach = attach,
	.detach = detach,
	.log_start = log_start,
	.log_stop = log_stop,
	.protect = protect,
};

static bool segv_is_blocked(void)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	return sigismember(&blocked, SIGSEGV);
}

static int create(struct glni_process **process, char *reason)
{
	struct glni_process *made;
	int err;

	/* To try it out would end the program. */
	if (segv_is_blocked()) {
		glni_reason(reason, "SIGSEGV is blocked in this thread");
		return -EPERM;
	}

	glni_reason(reason, "out of memory");
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;

	err = glni_process_init(made, &glni_tracker_mprotect);
	if (err)
		goto free_it;

	if (glni_segv_acquire(fault)) {
		glni_reason(reason, "SIGSEGV was taken over too often");
		err = -ENOTSUP;
		goto fini;
	}

	glni_reason(reason, "a system call that writes protected memory gets "
			    "EFAULT");
	*process = made;
	return 0;

fini:
	glni_process_fini(made);
free_it:
	free(made);
	return err;
}

static void destroy(struct glni_process *process)
{
	glni_segv_release();
	glni_process_fini(process);
	free(process);
}

const struct glni_tracker glni_tracker_mprotect = {
	.id = GLN_TRACKER_MPROTECT,
	.why = "read-only mappings and SIGSEGV",
	.ops = &ops,
	.create = create,
	.destroy = destroy,
};
