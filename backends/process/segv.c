/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * segv.c - SIGSEGV: whose fault is it?
 *
 * The handler may interrupt anything, so it takes no lock. It finds the slot in
 * a sorted table that is never changed while it is published; there are two, an
 * active one and a spare.
 *
 *   handler                          who arms or disarms a slot (by a mutex)
 *     1 count itself a reader          1 make the spare table right
 *     2 load the active table          2 publish it: the other is the spare
 *     3 find the slot, fault           3 wait until both counts of readers
 *     4 count itself out                 have been seen at 0
 *
 * There are two counts, and new readers go to the one that is not waited for,
 * so that the wait ends although faults keep coming. After 3 nobody has the old
 * table, nor a slot that only it named.
 *
 * Late faults. A thread faults, and before its handler looks, the slot is made
 * writable and disarmed: the fault is nobody's, yet to pass it on would kill a
 * program that did nothing wrong. Each disarm raises an epoch; a thread that
 * finds a fault to be nobody's runs the instruction again, once for each epoch.
 * A fault that comes back is passed on.
 *
 * Links. Ours may not be on top any more when the next backend is made: someone
 * replaced it, and may or may not pass faults on to it. Another of our handlers
 * goes on top then, each with the handler it covers, like links of a chain: a
 * fault that is not ours goes down the chain and ends.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "backends/process/segv.h"
#include "backends/process/spans.h"
#include "core/base/atomic.h"

/* A link of the chain: one of our handlers, and what it covers. */
struct link {
	void (*handler)(int signal, siginfo_t *info, void *context);
	struct sigaction covered;
};

enum { MAX_LINKS = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock, but for what a handler reads of a link that is installed. */
static struct link links[MAX_LINKS];
static unsigned int nr_links;
static unsigned int nr_users;
static glni_segv_fault *handle_fault;

static struct glni_spans tables[2];
static size_t nr_reserved;

static _Atomic(struct glni_spans *) active = &tables[0];
static _Atomic unsigned int side;
static _Atomic unsigned int readers[2];
static _Atomic uint64_t epoch;

/*
 * The epoch of the last fault of this thread that was nobody's. In the initial
 * TLS block: what is allocated on first use cannot be used in a handler.
 */
static _Thread_local uint64_t seen_epoch
	__attribute__((tls_model("initial-exec")));

/* Readers of the tables. */

static unsigned int enter(void)
{
	/* Relaxed: either side will do, both are waited for. */
	const unsigned int mine = gln_load_relaxed(&side) & 1;

	(void)gln_fetch_add_relaxed(&readers[mine], 1);
	/*
	 * sync segv.1 (seq_cst) <-> segv.2: counted before the table is loaded.
	 * Else whoever replaces the table sees no reader, and changes the one
	 * that is about to be read.
	 */
	gln_fence_seq_cst();
	return mine;
}

static void leave(unsigned int mine)
{
	/* sync segv.3 (release) -> segv.4: the last use of table and slot. */
	(void)gln_fetch_sub_release(&readers[mine], 1);
}

static void wait_for_readers(void)
{
	/*
	 * sync segv.2 (seq_cst) <-> segv.1: the new table is published before
	 * readers are counted: whom we do not count, loads the new one.
	 */
	gln_fence_seq_cst();

	for (int i = 0; i < 2; i++) {
		/* Relaxed: a hint to readers, written under the lock. */
		const unsigned int old = gln_load_relaxed(&side) & 1;

		gln_store_relaxed(&side, old ^ 1);
		/* sync segv.4 (acquire) <- segv.3: nobody uses it any more. */
		while (gln_load_acquire(&readers[old]))
			sched_yield();
	}
}

static struct glni_spans *spare_table(void)
{
	/* Relaxed: written under the lock, which we hold. */
	return gln_load_relaxed(&active) == &tables[0] ? &tables[1]
						       : &tables[0];
}

/* On return the other table is the spare, and nobody reads it. */
static void publish(struct glni_spans *table)
{
	/* sync segv.5 (release) -> segv.6: spans, and epoch, then the table. */
	gln_store_release(&active, table);
	wait_for_readers();
}

static struct glni_spans *copy_to_spare(void)
{
	struct glni_spans *spare = spare_table();

	/* Relaxed: as above. */
	glni_spans_copy(spare, gln_load_relaxed(&active));
	return spare;
}

/* Faults. */

/* Did a store fault? Where the machine does not tell, assume that one did. */
static bool is_store(const ucontext_t *context)
{
#if defined(__x86_64__)
	enum { ERROR_WRITE = 1 << 1 }; /* of the page fault's error code */

	return context->uc_mcontext.gregs[REG_ERR] & ERROR_WRITE;
#else
	(void)context;
	return true;
#endif
}

static bool is_ours(const siginfo_t *info, const ucontext_t *context)
{
	const uintptr_t address = (uintptr_t)info->si_addr;
	bool handled = false;

	if (info->si_code != SEGV_ACCERR || !is_store(context))
		return false;

	const unsigned int mine = enter();
	/* sync segv.6 (acquire) <- segv.5: spans as they were published. */
	const struct glni_spans *spans = gln_load_acquire(&active);
	const struct glni_span *span = glni_spans_find(spans, address);

	if (span)
		handled = handle_fault(span->slot, address);
	leave(mine);

	return handled;
}

static bool may_be_late(const siginfo_t *info)
{
	if (info->si_code != SEGV_ACCERR)
		return false;

	/* Relaxed: the table that lacked the slot came after the epoch. */
	const uint64_t now = gln_load_relaxed(&epoch);

	if (now == seen_epoch)
		return false;
	seen_epoch = now;
	return true;
}

/* The earlier handler, with the signals blocked that it asked for. */
static void call_covered(const struct sigaction *covered, siginfo_t *info,
			 ucontext_t *context)
{
	sigset_t blocked;

	sigorset(&blocked, &context->uc_sigmask, &covered->sa_mask);
	if (covered->sa_flags & SA_NODEFER)
		sigdelset(&blocked, SIGSEGV);
	else
		sigaddset(&blocked, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);

	if (covered->sa_flags & SA_SIGINFO)
		covered->sa_sigaction(SIGSEGV, info, context);
	else
		covered->sa_handler(SIGSEGV);
}

/* A fault happens again on return, and ends the program with all its traces. */
static void take_default(const siginfo_t *info)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};

	sigaction(SIGSEGV, &by_default, NULL);
	if (info->si_code <= 0)
		raise(SIGSEGV); /* sent by a process: it will not come again */
}

static void pass_on(struct link *link, siginfo_t *info, ucontext_t *context)
{
	const struct sigaction covered = link->covered;
	const bool is_sent = info->si_code <= 0;
	const bool is_plain = !(covered.sa_flags & SA_SIGINFO);

	if (is_plain && covered.sa_handler == SIG_IGN && is_sent)
		return;
	/* The kernel does not let a fault be ignored. */
	if (is_plain &&
	    (covered.sa_handler == SIG_IGN || covered.sa_handler == SIG_DFL)) {
		take_default(info);
		return;
	}
	if (covered.sa_flags & (int)SA_RESETHAND)
		link->covered = (struct sigaction){.sa_handler = SIG_DFL};
	call_covered(&covered, info, context);
}

static void on_segv(struct link *link, siginfo_t *info, ucontext_t *context)
{
	const int saved_errno = errno;
	const bool done = is_ours(info, context) || may_be_late(info);

	errno = saved_errno;
	if (!done)
		pass_on(link, info, context);
}

static void on_segv_0(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	on_segv(&links[0], info, context);
}

static void on_segv_1(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	on_segv(&links[1], info, context);
}

static void on_segv_2(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	on_segv(&links[2], info, context);
}

static void on_segv_3(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	on_segv(&links[3], info, context);
}

static struct link links[MAX_LINKS] = {
	{.handler = on_segv_0},
	{.handler = on_segv_1},
	{.handler = on_segv_2},
	{.handler = on_segv_3},
};

/* The chain. */

static bool is_on_top(const struct link *link)
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	return now.sa_flags & SA_SIGINFO && now.sa_sigaction == link->handler;
}

/*
 * All signals wait: the handler of one that came in between could write tracked
 * memory, and a fault while SIGSEGV is blocked kills. The alternate stack is
 * used where a thread has one.
 */
static void install(struct link *link)
{
	struct sigaction ours = {.sa_sigaction = link->handler};

	sigaction(SIGSEGV, NULL, &link->covered);
	sigfillset(&ours.sa_mask);
	ours.sa_flags =
		SA_SIGINFO | SA_ONSTACK | (link->covered.sa_flags & SA_RESTART);
	sigaction(SIGSEGV, &ours, NULL);
}

int glni_segv_acquire(glni_segv_fault *fault)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	if (!handle_fault)
		handle_fault = fault;
	if (!nr_links || !is_on_top(&links[nr_links - 1])) {
		if (nr_links < MAX_LINKS)
			install(&links[nr_links++]);
		else
			err = -EBUSY;
	}
	if (!err)
		nr_users++;
	pthread_mutex_unlock(&lock);

	return err;
}

/* No slot is left. The tables are empty, but a late fault may look into one. */
static void free_tables(void)
{
	glni_spans_fini(spare_table());
	publish(spare_table());
	glni_spans_fini(spare_table());
}

void glni_segv_release(void)
{
	pthread_mutex_lock(&lock);
	nr_users--;
	if (!nr_users)
		free_tables();
	while (!nr_users && nr_links && is_on_top(&links[nr_links - 1])) {
		nr_links--;
		sigaction(SIGSEGV, &links[nr_links].covered, NULL);
	}
	pthread_mutex_unlock(&lock);
}

/* Slots. */

int glni_segv_reserve(void)
{
	int err;

	pthread_mutex_lock(&lock);
	err = glni_spans_reserve(spare_table(), nr_reserved + 1);
	if (!err) {
		publish(copy_to_spare());
		err = glni_spans_reserve(spare_table(), nr_reserved + 1);
	}
	if (!err)
		nr_reserved++;
	pthread_mutex_unlock(&lock);

	return err;
}

void glni_segv_unreserve(void)
{
	pthread_mutex_lock(&lock);
	nr_reserved--;
	pthread_mutex_unlock(&lock);
}

int glni_segv_arm(struct gln_backend_slot *slot)
{
	const struct glni_span span = glni_span_of(slot);
	int err = 0;

	pthread_mutex_lock(&lock);
	struct glni_spans *table = copy_to_spare();

	if (glni_spans_overlap(table, span)) {
		err = -EEXIST;
	} else {
		glni_spans_insert(table, span);
		publish(table);
	}
	pthread_mutex_unlock(&lock);

	return err;
}

void glni_segv_disarm(struct gln_backend_slot *slot)
{
	pthread_mutex_lock(&lock);
	struct glni_spans *table = copy_to_spare();

	glni_spans_remove(table, slot);
	/* Relaxed: publishing the table publishes it (segv.5). */
	(void)gln_fetch_add_relaxed(&epoch, 1);
	publish(table);
	pthread_mutex_unlock(&lock);
}
