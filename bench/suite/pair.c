/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pair.c - one thread or two that do the same work at the same time.
 */
#include "bench/suite/pair.h"

#include <errno.h>
#include <string.h>

/* On the CPU that has our number among those there are. */
static void pin(const struct pair *pair, unsigned int index)
{
	unsigned int left = index % (unsigned int)CPU_COUNT(&pair->cpus);
	unsigned int cpu = 0;
	cpu_set_t one;

	while (!CPU_ISSET(cpu, &pair->cpus) || left-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

/* Spin: who sleeps comes late. */
static void wait_for(_Atomic unsigned int *what, unsigned int value)
{
	while (*what != value)
		;
}

static int enter(struct pair *pair, unsigned int index)
{
	int err;

	pin(pair, index);
	err = pair->ops->enter(pair->ctx, index);
	pair->has_entered[index] = !err;
	return err;
}

static void leave(struct pair *pair, unsigned int index)
{
	if (pair->has_entered[index])
		pair->ops->leave(pair->ctx, index);
}

static void *other_main(void *argument)
{
	struct pair *const pair = argument;

	pair->err = enter(pair, 1);
	sem_post(&pair->entered);
	for (unsigned int round = 1;; round++) {
		if (!pair->back_to_back)
			sem_wait(&pair->wake);
		pair->awaits = round;
		wait_for(&pair->round, round);
		if (pair->is_ending)
			break;
		pair->others_answer = pair->ops->work(pair->ctx, 1);
		pair->ended = round;
	}
	leave(pair, 1);
	return NULL;
}

static int start_other(struct pair *pair)
{
	pair->is_running =
		!pthread_create(&pair->other, NULL, other_main, pair);
	if (!pair->is_running)
		return -EAGAIN;
	sem_wait(&pair->entered);
	return pair->err;
}

int pair_start(struct pair *pair, unsigned int nr_threads, bool back_to_back,
	       const struct pair_ops *ops, void *ctx)
{
	int err;

	memset(pair, 0, sizeof(*pair));
	pair->ops = ops;
	pair->ctx = ctx;
	pair->nr_threads = nr_threads;
	pair->back_to_back = back_to_back;
	pthread_getaffinity_np(pthread_self(), sizeof(pair->cpus), &pair->cpus);
	sem_init(&pair->entered, 0, 0);
	sem_init(&pair->wake, 0, 0);

	err = enter(pair, 0);
	if (!err && nr_threads > 1)
		err = start_other(pair);
	return err;
}

void pair_meet(struct pair *pair)
{
	if (!pair->is_running)
		return;
	if (!pair->back_to_back)
		sem_post(&pair->wake);
	wait_for(&pair->awaits, pair->round + 1);
}

uint64_t pair_run(struct pair *pair)
{
	const unsigned int round = ++pair->round;
	const uint64_t answer = pair->ops->work(pair->ctx, 0);

	if (!pair->is_running)
		return answer;
	wait_for(&pair->ended, round);
	return answer + pair->others_answer;
}

void pair_stop(struct pair *pair)
{
	if (!pair->ops)
		return;
	pair->is_ending = true;
	pair_meet(pair);
	pair->round++;
	if (pair->is_running)
		pthread_join(pair->other, NULL);
	leave(pair, 0);
	pthread_setaffinity_np(pthread_self(), sizeof(pair->cpus), &pair->cpus);
	sem_destroy(&pair->entered);
	sem_destroy(&pair->wake);
	pair->ops = NULL;
}
