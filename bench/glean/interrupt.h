/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interrupt.h - SIGINT and SIGTERM end a run in good order.
 */
#ifndef BENCH_GLEAN_INTERRUPT_H
#define BENCH_GLEAN_INTERRUPT_H

/**
 * interrupt_install() - from now on the first signal is only noted; a second
 * one of the same kind ends the process at once.
 */
void interrupt_install(void);

/** interrupt_block() - this thread leaves the signals to the main thread. */
void interrupt_block(void);

/** interrupt_signal() - the signal that came, or 0. Context: any thread. */
int interrupt_signal(void);

#endif
