/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mprotect_test.c - the mprotect tracker shares SIGSEGV and does with few
 * mappings. What all trackers must do is in process_test.c.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/backends/rig.h"

static struct gln_backend *create(void)
{
	char reason[GLN_REASON_BYTES];
	struct gln_backend *backend;
	const int err =
		gln_process_create(GLN_TRACKER_MPROTECT, reason, &backend);

	cr_assert_eq(err, 0, "%s", reason);
	return backend;
}

/* A backend with a slot of four pages, and a page that nobody may touch. */
struct fixture {
	struct gln_backend *backend;
	struct rig rig;
	char *forbidden;
};

static void setup(struct fixture *f)
{
	f->backend = create();
	f->forbidden = rig_map(1);
	rig_init(&f->rig, f->backend, rig_map(4), 4, 100);
	mprotect(f->forbidden, f->rig.page_bytes, PROT_NONE);
	cr_assert_eq(rig_start(&f->rig, 0), 0);
}

static void teardown(struct fixture *f)
{
	rig_stop(&f->rig);
	rig_unmap(f->rig.memory, 4);
	rig_unmap(f->forbidden, 1);
	rig_fini(&f->rig);
	gln_process_destroy(f->backend);
}

static void expect_tracked(struct fixture *f)
{
	unsigned char out[4];

	rig_store(&f->rig, 2);
	cr_assert_eq(rig_harvest(&f->rig, out), 1);
	cr_assert(out[2]);
}

static void store_forbidden(const struct fixture *f)
{
	*(volatile char *)f->forbidden = 1;
}

/* Handlers of a program, from before or after ours. */

static sigjmp_buf back;
static void *volatile fault_address;
static volatile int calls;
static volatile bool usr1_was_blocked;

static void note_and_jump(int signal, siginfo_t *info, void *context)
{
	sigset_t blocked;

	(void)signal;
	(void)context;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	usr1_was_blocked = sigismember(&blocked, SIGUSR1);
	fault_address = info->si_addr;
	calls++;
	siglongjmp(back, 1);
}

static void plain_note_and_jump(int signal)
{
	(void)signal;
	calls++;
	siglongjmp(back, 1);
}

static void only_note(int signal)
{
	(void)signal;
	calls++;
}

static struct sigaction install(void (*plain)(int),
				void (*full)(int, siginfo_t *, void *),
				int flags)
{
	struct sigaction action = {.sa_flags = flags};
	struct sigaction before;

	if (full) {
		action.sa_sigaction = full;
		action.sa_flags |= SA_SIGINFO;
	} else {
		action.sa_handler = plain;
	}
	sigaction(SIGSEGV, &action, &before);
	return before;
}

static struct sigaction installed(void)
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	return now;
}

/* Do something in a child. Return: the signal that ended it, or 0. */
static int ended_by(void (*body)(struct fixture *f))
{
	const struct rlimit no_core = {0, 0};
	const pid_t child = fork();
	struct fixture f;
	int status = 0;

	cr_assert_geq(child, 0);
	if (!child) {
		setrlimit(RLIMIT_CORE, &no_core);
		body(&f);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(segv, a_fault_that_is_not_ours_reaches_the_earlier_handler)
{
	struct fixture f;

	install(NULL, note_and_jump, 0);
	setup(&f);
	for (int i = 1; i <= 3; i++) {
		if (!sigsetjmp(back, 1))
			store_forbidden(&f);
		cr_assert_eq(calls, i);
		cr_assert_eq(fault_address, (void *)f.forbidden);
		cr_assert(!usr1_was_blocked, "it did not ask for that");
		expect_tracked(&f);
	}
	teardown(&f);
}

Test(segv, a_plain_handler_is_called_too)
{
	struct fixture f;

	install(plain_note_and_jump, NULL, 0);
	setup(&f);
	if (!sigsetjmp(back, 1))
		store_forbidden(&f);
	cr_assert_eq(calls, 1);
	expect_tracked(&f);
	teardown(&f);
}

static void fault_twice(struct fixture *f)
{
	install(NULL, note_and_jump, (int)SA_RESETHAND);
	setup(f);
	for (int i = 0; i < 2; i++) {
		if (!sigsetjmp(back, 1))
			store_forbidden(f);
		if (calls != 1)
			_exit(1);
		expect_tracked(f);
	}
}

Test(segv, a_handler_for_one_time_is_called_once)
{
	cr_assert_eq(ended_by(fault_twice), SIGSEGV);
}

Test(segv, a_load_that_is_forbidden_is_not_ours)
{
	struct fixture f;

	install(NULL, note_and_jump, 0);
	setup(&f);
	mprotect(f.rig.memory, f.rig.page_bytes, PROT_NONE);
	if (!sigsetjmp(back, 1))
		rig_load(&f.rig, 0);
#if defined(__x86_64__)
	cr_assert_eq(calls, 1);
	cr_assert_eq(fault_address, (void *)f.rig.memory);
#endif
	teardown(&f);
}

static void fault_by_default(struct fixture *f)
{
	install(SIG_DFL, NULL, 0);
	setup(f);
	expect_tracked(f);
	store_forbidden(f);
}

Test(segv, without_an_earlier_handler_a_fault_ends_the_program)
{
	cr_assert_eq(ended_by(fault_by_default), SIGSEGV);
}

static void fault_and_ignore(struct fixture *f)
{
	install(SIG_IGN, NULL, 0);
	setup(f);
	store_forbidden(f);
}

Test(segv, a_fault_cannot_be_ignored)
{
	cr_assert_eq(ended_by(fault_and_ignore), SIGSEGV);
}

Test(segv, a_signal_sent_can_be_ignored)
{
	struct fixture f;

	install(SIG_IGN, NULL, 0);
	setup(&f);
	raise(SIGSEGV);
	expect_tracked(&f);
	teardown(&f);
	cr_assert_eq(installed().sa_handler, SIG_IGN);
}

static void send_by_default(struct fixture *f)
{
	install(SIG_DFL, NULL, 0);
	setup(f);
	raise(SIGSEGV);
}

Test(segv, a_signal_sent_takes_its_default)
{
	cr_assert_eq(ended_by(send_by_default), SIGSEGV);
}

Test(segv, a_signal_sent_reaches_the_earlier_handler)
{
	struct fixture f;

	install(only_note, NULL, 0);
	setup(&f);
	raise(SIGSEGV);
	cr_assert_eq(calls, 1);
	expect_tracked(&f);
	teardown(&f);
}

Test(segv, the_earlier_handler_is_back_with_the_last_backend)
{
	struct gln_backend *one, *two;

	install(only_note, NULL, SA_RESTART);
	one = create();
	cr_assert(installed().sa_flags & SA_RESTART);
	cr_assert(installed().sa_flags & SA_ONSTACK);
	two = create();
	gln_process_destroy(one);
	cr_assert_neq(installed().sa_handler, only_note);
	gln_process_destroy(two);
	cr_assert_eq(installed().sa_handler, only_note);
}

/* What a crash reporter does: note, and call what was there before. */
static struct sigaction under_reporter;

static void report_and_chain(int signal, siginfo_t *info, void *context)
{
	calls++;
	under_reporter.sa_sigaction(signal, info, context);
}

Test(segv, a_later_handler_that_chains_is_left_alone)
{
	struct fixture f;

	install(NULL, note_and_jump, 0);
	setup(&f);
	under_reporter = install(NULL, report_and_chain, 0);
	expect_tracked(&f);
	cr_assert_eq(calls, 1, "by way of the reporter");
	teardown(&f);
	cr_assert_eq(installed().sa_sigaction, report_and_chain);

	/* The next backend goes on top; what is not ours ends at the bottom. */
	setup(&f);
	expect_tracked(&f);
	cr_assert_eq(calls, 1, "ours is first");
	if (!sigsetjmp(back, 1))
		store_forbidden(&f);
	cr_assert_eq(calls, 3, "the reporter, then the earliest");
	cr_assert_eq(fault_address, (void *)f.forbidden);
	teardown(&f);
	cr_assert_eq(installed().sa_sigaction, report_and_chain);
}

Test(segv, a_later_handler_that_does_not_chain_is_covered)
{
	struct gln_backend *first = create();
	struct fixture f;

	install(NULL, note_and_jump, 0);
	setup(&f);
	expect_tracked(&f);
	if (!sigsetjmp(back, 1))
		store_forbidden(&f);
	cr_assert_eq(calls, 1);
	teardown(&f);
	gln_process_destroy(first);
	cr_assert_eq(installed().sa_sigaction, note_and_jump);
}

/*
 * The slot is gone when our handler looks at the fault; the memory is writable
 * by now. To pass the fault on would kill an innocent program.
 */
static struct fixture *stopping;

static void stop_and_chain(int signal, siginfo_t *info, void *context)
{
	if (!calls++)
		rig_stop(&stopping->rig);
	under_reporter.sa_sigaction(signal, info, context);
}

Test(segv, a_fault_that_comes_too_late_is_forgiven)
{
	struct fixture f;

	install(only_note, NULL, 0);
	setup(&f);
	stopping = &f;
	under_reporter = install(NULL, stop_and_chain, 0);
	rig_store(&f.rig, 1);
	cr_assert_eq(calls, 1, "not passed on, and not repeated");
	cr_assert_eq(atomic_load(&f.rig.strays), 0);
	cr_assert_eq(rig_start(&f.rig, 0), 0);
	teardown(&f);
}

static void stop_and_fault(struct fixture *f)
{
	install(SIG_DFL, NULL, 0);
	setup(f);
	stopping = f;
	under_reporter = install(NULL, stop_and_chain, 0);
	store_forbidden(f);
}

Test(segv, a_fault_is_forgiven_once)
{
	cr_assert_eq(ended_by(stop_and_fault), SIGSEGV);
}

Test(segv, taken_over_too_often_it_is_refused)
{
	struct gln_backend *backends[16];
	char reason[GLN_REASON_BYTES];
	int nr = 0;
	int err = 0;

	while (nr < 16) {
		install(NULL, note_and_jump, 0);
		err = gln_process_create(GLN_TRACKER_MPROTECT, reason,
					 &backends[nr]);
		if (err)
			break;
		nr++;
	}
	cr_assert_gt(nr, 1);
	cr_assert_eq(err, -ENOTSUP);
	while (nr)
		gln_process_destroy(backends[--nr]);
}

Test(segv, a_thread_that_blocks_it_is_told)
{
	char reason[GLN_REASON_BYTES];
	sigset_t segv;

	sigemptyset(&segv);
	sigaddset(&segv, SIGSEGV);
	pthread_sigmask(SIG_BLOCK, &segv, NULL);
	cr_assert_eq(gln_tracker_probe(GLN_TRACKER_MPROTECT, reason), -EPERM);
	cr_assert(strstr(reason, "blocked"), "%s", reason);
}

static void spoil_errno(struct rig *rig)
{
	(void)rig;
	errno = EIO;
}

Test(segv, errno_survives_a_fault)
{
	struct fixture f;

	setup(&f);
	f.rig.hook = spoil_errno;
	errno = 4711;
	rig_store(&f.rig, 1);
	cr_assert_eq(errno, 4711);
	teardown(&f);
}

static void *store_on_alternate_stack(void *arg)
{
	const size_t bytes = (size_t)sysconf(_SC_SIGSTKSZ);
	stack_t stack = {.ss_sp = malloc(bytes), .ss_size = bytes};

	if (!stack.ss_sp || sigaltstack(&stack, NULL))
		return arg;
	rig_store(arg, 0);
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	free(stack.ss_sp);
	return NULL;
}

Test(segv, a_thread_with_an_alternate_stack_may_write)
{
	struct fixture f;
	unsigned char out[4];
	pthread_t thread;
	void *failed;

	setup(&f);
	pthread_create(&thread, NULL, store_on_alternate_stack, &f.rig);
	pthread_join(thread, &failed);
	cr_assert_not(failed);
	cr_assert_eq(rig_harvest(&f.rig, out), 1);
	cr_assert(out[0]);
	teardown(&f);
}

/*
 * A signal handler of the program writes tracked memory. While ours is at work
 * it has to wait: its fault would come with SIGSEGV blocked, and kill.
 */
static struct rig *signalled_rig;

static void store_in_handler(int signal)
{
	(void)signal;
	rig_store(signalled_rig, 3);
}

static void send_signal(struct rig *rig)
{
	rig->hook = NULL;
	raise(SIGUSR1);
}

Test(segv, a_signal_handler_may_write)
{
	struct fixture f;
	unsigned char out[4];

	setup(&f);
	signalled_rig = &f.rig;
	signal(SIGUSR1, store_in_handler);
	raise(SIGUSR1);
	cr_assert_eq(rig_harvest(&f.rig, out), 1);
	cr_assert(out[3]);

	f.rig.hook = send_signal;
	rig_store(&f.rig, 1);
	cr_assert_eq(rig_harvest(&f.rig, out), 2);
	cr_assert(out[1] && out[3]);
	teardown(&f);
}

/*
 * More stretches than the kernel has mappings for: every other page of a slot
 * of as many pages as there may be mappings, and some.
 */
enum { BEYOND = 20001, MAX_TESTED = 200000 };

static unsigned long max_mappings(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
	unsigned long max = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &max) != 1)
		max = 0;
	fclose(file);

	return max;
}

/* Mappings of this process. */
static unsigned long mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned long nr = 0;
	int c;

	cr_assert(file);
	while ((c = getc(file)) != EOF)
		nr += c == '\n';
	fclose(file);

	return nr;
}

/* Memory that the kernel cannot join to what lies next to it. */
static char *map_apart(size_t pages)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = rig_map(pages + 2);

	mprotect(memory, (pages + 2) * page_bytes, PROT_NONE);
	cr_assert_neq(
		mmap(memory + page_bytes, pages * page_bytes,
		     PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		     -1, 0),
		MAP_FAILED);
	return memory + page_bytes;
}

static uint64_t over_reported(const struct gln_backend *backend)
{
	struct gln_process_stats stats = {.struct_bytes = sizeof(stats)};

	cr_assert_eq(gln_process_stats(backend, &stats), 0);
	return stats.over_reported;
}

static void expect_every_other(struct rig *rig, unsigned char *out)
{
	size_t lost = 0;

	for (size_t i = 0; i < rig->slot.nr_pages; i += 2)
		rig_store(rig, i);
	cr_assert_geq(rig_harvest(rig, out), (long)rig->slot.nr_pages / 2);
	for (size_t i = 0; i < rig->slot.nr_pages; i += 2)
		lost += !out[i];
	cr_assert_eq(lost, 0, "%zu pages lost", lost);
}

Test(mappings, more_writes_than_mappings_are_all_seen)
{
	const size_t pages = 2 * max_mappings() + BEYOND;
	struct gln_backend *backend = create();
	struct rig rig;

	if (pages > MAX_TESTED)
		cr_skip_test("vm.max_map_count is too large to be reached");

	char *memory = map_apart(pages);
	unsigned char *out = malloc(pages);

	rig_init(&rig, backend, memory, pages, 5);
	cr_assert_eq(rig_start(&rig, 0), 0);
	expect_every_other(&rig, out);
	cr_assert_gt(over_reported(backend), 0);
	/* Chunks were opened, no more than were needed. */
	cr_assert_lt(over_reported(backend), 2 * (pages - max_mappings()));
	expect_every_other(&rig, out);

	/* All is protected, and one mapping again: the kernel joined them. */
	cr_assert_lt(mappings(), 1000);

	expect_every_other(&rig, out);
	for (size_t i = 0; i < pages; i += 2)
		rig_store(&rig, i);
	rig_stop(&rig);
	for (size_t i = 0; i < pages; i++)
		rig_store(&rig, i);
	cr_assert_eq(atomic_load(&rig.strays), 0);
	free(out);
	rig_fini(&rig);
	rig_unmap(memory - rig.page_bytes, pages + 2);
	gln_process_destroy(backend);
}

Test(mappings, more_protections_than_mappings_are_all_made)
{
	const size_t pages = max_mappings() + BEYOND;
	struct gln_backend *backend = create();
	struct rig rig;

	if (pages > MAX_TESTED)
		cr_skip_test("vm.max_map_count is too large to be reached");

	char *memory = map_apart(pages);
	unsigned char *out = malloc(pages);
	size_t lost = 0;

	/* All start writable; every other page is taken and protected. */
	rig_init(&rig, backend, memory, pages, 5);
	cr_assert_eq(rig_start(&rig, GLN_LOG_START_ALL_MARKED), 0);
	for (size_t i = 0; i < pages; i += 2)
		atomic_store(&rig.marks[i], 1);
	cr_assert_eq(rig_harvest(&rig, out), (long)(pages + 1) / 2);
	for (size_t i = 0; i < pages; i += 2)
		rig_store(&rig, i);
	for (size_t i = 0; i < pages; i += 2)
		lost += !atomic_load(&rig.marks[i]);
	cr_assert_eq(lost, 0, "%zu pages were not protected", lost);
	rig_stop(&rig);
	free(out);
	rig_fini(&rig);
	rig_unmap(memory - rig.page_bytes, pages + 2);
	gln_process_destroy(backend);
}
