/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair.h - one thread or two that do the same work at the same time.
 *
 * The first is the caller's own. Each is on a CPU of its own, if there are so
 * many; they start together, and a run is over when the last has ended.
 */
#ifndef BENCH_SUITE_PAIR_H
#define BENCH_SUITE_PAIR_H

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct pair_ops - what they do; @index is 0 or 1.
 *
 * @enter:	once, on the thread, before all work. 0 or a negative errno.
 * @work:	a run's; returns its part of the answer.
 * @leave:	once, on the thread, after all work; only after an enter that
 *		returned 0.
 */
struct pair_ops {
	int (*enter)(void *ctx, unsigned int index);
	uint64_t (*work)(void *ctx, unsigned int index);
	void (*leave)(void *ctx, unsigned int index);
};

/**
 * struct pair - one or two threads.
 *
 * @back_to_back: runs follow each other at once: the other thread need not
 *		sleep between them, and never does.
 * @round:	counts runs: the other thread starts when it changes.
 * @awaits:	the round that the other thread looks out for.
 * @ended:	the round that it has come to the end of.
 * @others_answer: of its last run.
 * @entered:	posted by the other thread, once, when it can.
 * @wake:	posted when a run is near: it need not sleep any more.
 * @cpus:	where the caller's thread may run otherwise.
 */
struct pair {
	const struct pair_ops *ops;
	void *ctx;
	unsigned int nr_threads;
	bool back_to_back;
	bool is_running;
	bool is_ending;
	bool has_entered[2];
	int err;
	uint64_t others_answer;
	pthread_t other;
	_Atomic unsigned int round;
	_Atomic unsigned int awaits;
	_Atomic unsigned int ended;
	sem_t entered;
	sem_t wake;
	cpu_set_t cpus;
};

/**
 * pair_start() - start @nr_threads, 1 or 2, and have them enter.
 *
 * Return: 0; -EAGAIN if there is no thread; or what enter said. In all cases
 * pair_stop() comes later.
 */
int pair_start(struct pair *pair, unsigned int nr_threads, bool back_to_back,
	       const struct pair_ops *ops, void *ctx);

/** pair_stop() - have them leave. A pair of all zeroes is fine too. */
void pair_stop(struct pair *pair);

/** pair_meet() - have the other thread ready to start at once. */
void pair_meet(struct pair *pair);

/**
 * pair_run() - both do their work, once. pair_meet() has come before the first
 * run, and before each if they are not back to back.
 *
 * Return: the sum of what their work returned.
 */
uint64_t pair_run(struct pair *pair);

#endif
