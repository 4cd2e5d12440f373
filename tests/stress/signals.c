/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - signal handlers mark, whatever their thread was doing. (G1, G3)
 *
 * A thread sends signals to one that marks, one that harvests, one that gets,
 * and one that adds and removes slots and holds the VM's lock; the handlers
 * mark. Nothing may deadlock, and the books must balance:
 *
 *	marks that were new = pages harvested + pages dropped with their log
 */
#include "tests/support/stress_guest.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

enum {
	BASE = 0x501,
	NR_PAGES = 1500,
	SLOT_ID = 1,
	OTHER_ID = 2,
	OTHER_PAGES = 70, /* right after the first slot */
	HANDLER_MARKS = 4,
	MIN_HANDLED = 20, /* by each thread */
};

/** struct target - a thread that gets signals. */
struct target {
	const char *name;
	void (*work)(struct target *target);
	pthread_t thread;
	struct stress_random random;	     /* of the thread */
	struct stress_random handler_random; /* of its handler */
	gln_word turns;
	gln_word marks_in; /* by the thread */
	gln_word handler_marks_in;
	gln_word handled;
};

static struct {
	struct gln_vm *vm;
	_Atomic uint32_t stop;
} test;

static _Thread_local struct target *self;

static gln_gfn any_frame(struct stress_random *random)
{
	return BASE + stress_below(random, NR_PAGES + OTHER_PAGES + 5);
}

static void on_signal(int signal)
{
	const int saved_errno = errno;

	(void)signal;
	for (unsigned int i = 0; i < HANDLER_MARKS; i++)
		if (gln_dirty_mark(test.vm, any_frame(&self->handler_random)) ==
		    1)
			gln_count(&self->handler_marks_in, 1);
	gln_count(&self->handled, 1);
	errno = saved_errno;
}

static void mark(struct target *target)
{
	const gln_gfn first = any_frame(&target->random);

	gln_count(&target->marks_in,
		  gln_dirty_mark_range(test.vm, (struct gln_range){first, 5}));
}

static void harvest(struct target *target)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = guest_strategy(),
	};
	struct gln_harvest *harvest;
	struct gln_range run;
	int err;

	(void)target;
	err = gln_harvest_begin(test.vm, SLOT_ID, &all, &harvest);
	CHECK(!err || err == -EBUSY, "a harvest answered %d", err);
	if (err)
		return;
	while (gln_harvest_next(harvest, &run, 1))
		continue;
	gln_harvest_commit(harvest);
}

static void get(struct target *target)
{
	static uint64_t bitmap[NR_PAGES / 64 + 1];
	const int err = gln_get_dirty_log(test.vm, SLOT_ID, bitmap);

	(void)target;
	CHECK(!err || err == -EBUSY, "get answered %d", err);
	sched_yield();
}

static void change(struct target *target)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = OTHER_ID,
		.base = BASE + NR_PAGES,
		.nr_pages = OTHER_PAGES,
	};

	(void)target;
	CHECK(!gln_slot_add(test.vm, &params), "a slot can be added");
	CHECK(!gln_log_enable(test.vm, OTHER_ID, 0), "logging can start");
	sched_yield();
	CHECK(!gln_slot_remove(test.vm, OTHER_ID), "a slot can be removed");
}

static struct target targets[] = {
	{.name = "marks", .work = mark},
	{.name = "harvests", .work = harvest},
	{.name = "gets", .work = get},
	{.name = "changes slots", .work = change},
};

static void *target_main(void *arg)
{
	struct target *const target = arg;
	sigset_t only;

	self = target;
	gln_dirty_mark(test.vm, 0); /* enters the registry beforehand */
	sigemptyset(&only);
	sigaddset(&only, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &only, NULL);
	while (!gln_load_relaxed(&test.stop)) {
		target->work(target);
		gln_count(&target->turns, 1);
	}

	return NULL;
}

static void start_targets(uint64_t seed)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t only;

	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_RESTART;
	CHECK(!sigaction(SIGUSR1, &action, NULL), "signals can be handled");
	/* Until a thread is ready for them. */
	sigemptyset(&only);
	sigaddset(&only, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &only, NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
		targets[i].random = stress_random_from(seed, 2 * i);
		targets[i].handler_random = stress_random_from(seed, 2 * i + 1);
		CHECK(!pthread_create(&targets[i].thread, NULL, target_main,
				      &targets[i]),
		      "a thread can be made");
	}
}

static bool all_have_handled(uint64_t least)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++)
		if (gln_load_relaxed(&targets[i].handled) < least)
			return false;

	return true;
}

/* A signal to each, when it has handled the last one. */
static void send_signals(uint64_t ms)
{
	const struct stress_soak soak = stress_soak(ms);
	uint64_t sent[ARRAY_SIZE(targets)] = {0};

	while (stress_goes_on(&soak, all_have_handled(MIN_HANDLED))) {
		for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
			if (gln_load_relaxed(&targets[i].handled) < sent[i])
				continue;
			sent[i]++;
			CHECK(!pthread_kill(targets[i].thread, SIGUSR1),
			      "a signal can be sent");
		}
		sched_yield();
	}
}

static uint64_t join_targets(void)
{
	uint64_t marks_in = 0;

	gln_store_relaxed(&test.stop, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(targets); i++) {
		struct target *const target = &targets[i];

		pthread_join(target->thread, NULL);
		printf("one that %-14s %" PRIu64 " turns, %" PRIu64
		       " signals, %" PRIu64 " new marks in handlers\n",
		       target->name, gln_load_relaxed(&target->turns),
		       gln_load_relaxed(&target->handled),
		       gln_load_relaxed(&target->handler_marks_in));
		marks_in += gln_load_relaxed(&target->marks_in) +
			    gln_load_relaxed(&target->handler_marks_in);
	}

	return marks_in;
}

static uint64_t run_vm(const struct gln_vm_params *params, uint64_t ms,
		       uint64_t seed)
{
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT_ID,
		.base = BASE,
		.nr_pages = NR_PAGES,
	};
	struct gln_stats stats = {.struct_bytes = sizeof(stats)};
	uint64_t in, out;

	CHECK(!gln_vm_create(params, &test.vm), "a VM can be made");
	CHECK(!gln_slot_add(test.vm, &slot), "a slot can be added");
	CHECK(!gln_log_enable(test.vm, SLOT_ID, 0), "logging can start");
	start_targets(seed);
	send_signals(ms);
	in = join_targets();
	harvest(NULL);

	CHECK(!gln_vm_stats(test.vm, &stats), "statistics can be read");
	out = stats.harvested_pages + stats.dropped_pages;
	printf("%" PRIu64 " marks in; %" PRIu64 " pages harvested, %" PRIu64
	       " dropped\n",
	       in, stats.harvested_pages, stats.dropped_pages);
	CHECK(!gln_vm_destroy(test.vm), "nothing uses the VM any more");
	CHECK(out <= in, "%" PRIu64 " marks came from nowhere", out - in);
	return in - out;
}

int main(int argc, char **argv)
{
	uint64_t ms = 3000;
	uint64_t full_fence = 0;
	uint64_t seed = 0;
	const struct stress_option options[] = {
		{"ms", &ms, NULL},
		{"full-fence", &full_fence, NULL},
		{"seed", &seed, NULL},
	};
	struct gln_vm_params params = {.struct_bytes = sizeof(params)};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	seed = stress_seed(seed);
	params.flags = full_fence ? GLN_VM_FULL_FENCE : 0;
	printf("signals; seed %" PRIu64 "\n", seed);

	return stress_verdict(run_vm(&params, ms, seed));
}
