/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uffd.c - userfaultfd write protection, faults handled by a thread.
 *
 * A write of a protected page stops its thread and sends a message. A thread of
 * the backend answers:
 *
 *   writer          handler                   harvester
 *     write
 *     ... waits       1 make writable           1 takes marks
 *     :               2 mark                    2 protects the pages taken
 *     :               3 wake
 *     write
 *
 * Where the harvester may come in between:
 *
 *   before 1        nothing special.
 *   1 to 2          it does not find this mark, so the page stays writable;
 *                   2 marks it, the next harvest takes it. Had the page been
 *                   marked by someone else, it is taken and protected: the
 *                   writer faults again when woken.
 *   2 to 3          it takes the mark and protects: the writer faults again.
 *   after 3         the write is made before the page is protected, and the
 *                   page is copied after that; or it faults again.
 *
 * The wake comes last. A writer let go before the mark could write and be
 * stopped, the last harvest find no mark, and its write be lost.
 *
 * An absent page cannot be protected on all kernels, and loses its protection
 * when it is discarded. So access to absent pages is made to fault as well, and
 * the thread fills them in: writable and marked for a store, protected for a
 * load. Before logging starts all pages are faulted in for reading, which
 * spares most of these faults: what was absent costs no memory, but what was
 * swapped out is read back.
 *
 * No GLN_CAP_FLUSH: the kernel makes every CPU forget its translations before
 * UFFDIO_WRITEPROTECT returns. Huge pages are split by the kernel when a part
 * of them is protected or opened, so nothing is over-reported.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/process/kernel_uapi.h"
#include "backends/process/tracker.h"
#include "backends/process/userfault.h"

/* A thread waits for one fault at a time: that many writers are served. */
enum { BATCH = 32 };

struct uffd {
	struct glni_process process;
	struct glni_userfault userfault;
	int stop; /* eventfd */
	pthread_t handler;
	size_t page_bytes;
	void *zeroes; /* a page of them */
};

static struct uffd *uffd_of(struct gln_backend *backend)
{
	return (struct uffd *)(void *)backend;
}

/* The handler. */

static bool is_fault(const struct uffd_msg *msg)
{
	return msg->event == UFFD_EVENT_PAGEFAULT;
}

static uintptr_t page_of(const struct uffd *uffd, const struct uffd_msg *msg)
{
	const uintptr_t address = (uintptr_t)msg->arg.pagefault.address;

	return address & ~(uintptr_t)(uffd->page_bytes - 1);
}

/*
 * Make the page usable. Where that fails, logging has just stopped or somebody
 * else has dealt with the page: woken, the writer goes on or faults again.
 * Return: whether the page was made writable.
 */
static bool resolve(const struct uffd *uffd, const struct uffd_msg *msg)
{
	const struct glni_userfault *userfault = &uffd->userfault;
	const uintptr_t page = page_of(uffd, msg);
	const size_t bytes = uffd->page_bytes;

	if (!is_fault(msg))
		return false;
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
		return !glni_userfault_open_pages(userfault, page, bytes);
	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
		return !glni_userfault_fill(userfault, page, uffd->zeroes,
					    bytes);

	(void)glni_userfault_fill_protected(userfault, page, uffd->zeroes,
					    bytes);
	return false;
}

static void mark(struct uffd *uffd, const struct uffd_msg *msg)
{
	const uintptr_t page = page_of(uffd, msg);
	const struct glni_span *span =
		glni_spans_find(&uffd->process.spans, page);

	if (!span)
		return;

	span->slot->mark(span->slot, glni_address_frame(span->slot, page), 1);
	/* Relaxed: a figure. */
	(void)gln_fetch_add_relaxed(&uffd->process.faults, 1);
}

static void wake(const struct uffd *uffd, const struct uffd_msg *msg)
{
	if (is_fault(msg))
		glni_userfault_wake(&uffd->userfault, page_of(uffd, msg),
				    uffd->page_bytes);
}

/*
 * A step at a time for all, so that two writers of one page are let go by one
 * wake: with a wake in between, the second message could open and mark a page
 * that both have written and a harvest has taken.
 */
static void answer(struct uffd *uffd, const struct uffd_msg *msgs, size_t nr)
{
	bool writable[BATCH];

	pthread_mutex_lock(&uffd->process.lock);
	for (size_t i = 0; i < nr; i++)
		writable[i] = resolve(uffd, &msgs[i]);
	for (size_t i = 0; i < nr; i++) {
		if (writable[i])
			mark(uffd, &msgs[i]);
	}
	for (size_t i = 0; i < nr; i++)
		wake(uffd, &msgs[i]);
	pthread_mutex_unlock(&uffd->process.lock);
}

static void *handle_faults(void *arg)
{
	struct uffd *uffd = arg;
	struct pollfd fds[] = {
		{.fd = uffd->userfault.fd, .events = POLLIN},
		{.fd = uffd->stop, .events = POLLIN},
	};
	struct uffd_msg msgs[BATCH];

	while (!fds[1].revents) {
		/* Only a signal makes it fail, and these are blocked. */
		if (poll(fds, 2, -1) < 0)
			continue;

		const ssize_t got =
			read(uffd->userfault.fd, msgs, sizeof(msgs));

		if (got > 0)
			answer(uffd, msgs, (size_t)got / sizeof(msgs[0]));
	}

	return NULL;
}

/* Operations. */

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	const struct uffd *uffd = uffd_of(backend);

	for (size_t i = 0; i < nr_ranges; i++) {
		const uintptr_t start =
			glni_frame_address(slot, ranges[i].first);
		const size_t bytes =
			(size_t)(ranges[i].count << slot->page_shift);
		const int err =
			glni_userfault_protect(&uffd->userfault, start, bytes);

		if (err)
			return err;
	}

	return 0;
}

/* Let everything through and everybody go. */
static void release(const struct uffd *uffd,
		    const struct gln_backend_slot *slot)
{
	const uintptr_t start = (uintptr_t)slot->hva;
	const size_t bytes = glni_slot_bytes(slot);

	glni_userfault_unregister(&uffd->userfault, start, bytes);
	/* Who faulted before may wait still: no promise that all are woken. */
	glni_userfault_wake(&uffd->userfault, start, bytes);
}

static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	const struct uffd *uffd = uffd_of(backend);
	struct glni_tracked *tracked = slot->priv;
	const size_t bytes = glni_slot_bytes(slot);

	/* Unknown before Linux 5.14; then pages are filled in one by one. */
	(void)madvise(slot->hva, bytes, MADV_POPULATE_READ);

	int err = glni_userfault_register(&uffd->userfault,
					  (uintptr_t)slot->hva, bytes,
					  GLNI_USERFAULT_PROTECTED_AND_ABSENT);

	if (err)
		return err;

	if (!(flags & GLN_LOG_START_ALL_MARKED))
		err = glni_userfault_protect(&uffd->userfault,
					     (uintptr_t)slot->hva, bytes);
	if (err)
		release(uffd, slot);
	else
		tracked->logging = true;
	return err;
}

static void log_stop(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct glni_tracked *tracked = slot->priv;

	release(uffd_of(backend), slot);
	tracked->logging = false;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	return glni_process_attach(glni_process_of(backend), slot,
				   sizeof(struct glni_tracked));
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	const struct glni_tracked *tracked = slot->priv;

	if (tracked->logging)
		log_stop(backend, slot);
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

/* The thread takes no signals: they are the program's. */
static int start_handler(struct uffd *uffd)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);

	const int err =
		pthread_create(&uffd->handler, NULL, handle_faults, uffd);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? -ENOMEM : 0;
}

static void stop_handler(struct uffd *uffd)
{
	const uint64_t one = 1;

	/* Fails only when the counter is full, which stops the thread too. */
	while (write(uffd->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	pthread_join(uffd->handler, NULL);
}

static int open_all(struct uffd *uffd, char *reason)
{
	const char *const needed = "write protection (needs Linux 5.7)";
	int err = glni_userfault_open(&uffd->userfault,
				      UFFD_FEATURE_PAGEFAULT_FLAG_WP, needed,
				      reason);

	if (err)
		return err;

	glni_reason(reason, "no descriptor or thread for the fault handler");
	uffd->stop = eventfd(0, EFD_CLOEXEC);
	if (uffd->stop < 0) {
		err = -errno;
		goto close_userfault;
	}
	err = start_handler(uffd);
	if (!err)
		return 0;

	close(uffd->stop);
close_userfault:
	glni_userfault_close(&uffd->userfault);
	return err;
}

static int create(struct glni_process **process, char *reason)
{
	struct uffd *uffd = calloc(1, sizeof(*uffd));
	int err = -ENOMEM;

	glni_reason(reason, "out of memory");
	if (!uffd)
		return err;

	err = glni_process_init(&uffd->process, &glni_tracker_uffd);
	if (err)
		goto free_it;
	uffd->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uffd->zeroes = calloc(1, uffd->page_bytes);
	err = uffd->zeroes ? open_all(uffd, reason) : -ENOMEM;
	if (err)
		goto fini;

	*reason = '\0';
	if (uffd->userfault.user_mode_only)
		glni_reason(reason, "a system call that touches protected "
				    "memory gets EFAULT (user mode only)");
	*process = &uffd->process;
	return 0;

fini:
	free(uffd->zeroes);
	glni_process_fini(&uffd->process);
free_it:
	free(uffd);
	return err;
}

static void destroy(struct glni_process *process)
{
	struct uffd *uffd = (struct uffd *)(void *)process;

	stop_handler(uffd);
	close(uffd->stop);
	glni_userfault_close(&uffd->userfault);
	free(uffd->zeroes);
	glni_process_fini(process);
	free(uffd);
}

const struct glni_tracker glni_tracker_uffd = {
	.id = GLN_TRACKER_UFFD,
	.why = "a thread takes each write fault",
	.ops = &ops,
	.create = create,
	.destroy = destroy,
};
