/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interrupt.c - SIGINT and SIGTERM end a run in good order.
 */
#include "bench/glean/interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_int caught;

static void note(int signal)
{
	atomic_store_explicit(&caught, signal, memory_order_relaxed);
}

void interrupt_install(void)
{
	struct sigaction action = {.sa_handler = note};

	action.sa_flags = SA_RESTART | (int)SA_RESETHAND;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

void interrupt_block(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int interrupt_signal(void)
{
	return atomic_load_explicit(&caught, memory_order_relaxed);
}
