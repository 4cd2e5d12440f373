/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.h - the two system calls of a program without a C library.
 */
#ifndef TESTS_FREESTANDING_START_H
#define TESTS_FREESTANDING_START_H

#include <stddef.h>

/* The program; what it returns is the exit status. */
int hypervisor_main(void);

/* Write a string to standard output. */
void start_print(const char *text);

__attribute__((noreturn)) void start_exit(int status);

#endif
