/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.c - where the kernel enters the program, and how it leaves again.
 *
 * System calls by Linux's numbers: write is 1 on x86-64 and 64 on AArch64,
 * exit_group is 231 and 94.
 */
#include "tests/freestanding/start.h"

__attribute__((noreturn)) void start_c(void);

#if defined(__x86_64__)
enum { CALL_WRITE = 1, CALL_EXIT_GROUP = 231 };

/* The stack is not yet aligned as the ABI wants it at a call. */
__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	and $-16, %rsp\n"
	"	call start_c\n");

static long call3(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
enum { CALL_WRITE = 64, CALL_EXIT_GROUP = 94 };

__asm__(".globl _start\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	bl start_c\n");

static long call3(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2)
			 : "memory");
	return x0;
}
#endif

void start_print(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	call3(CALL_WRITE, 1, (long)text, (long)length);
}

void start_exit(int status)
{
	for (;;)
		call3(CALL_EXIT_GROUP, status, 0, 0);
}

void start_c(void)
{
	start_exit(hypervisor_main());
}
