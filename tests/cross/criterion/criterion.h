/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * criterion.h - as much of Criterion as the unit tests of core/bitmap want, for
 * a CPU that there is no Criterion for: the same files run there.
 *
 * All tests of a program run in one process, in no order to rely on; the first
 * that fails ends it.
 */
#ifndef GLN_TESTS_CROSS_CRITERION_H
#define GLN_TESTS_CROSS_CRITERION_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** struct cross_test - one of them; a constructor of its file adds it. */
struct cross_test {
	const char *suite;
	const char *name;
	void (*run)(void);
	struct cross_test *next;
};

void cross_add(struct cross_test *test);

#define Test(suite, name)                                                   \
	static void suite##_##name(void);                                   \
	__attribute__((constructor)) static void suite##_##name##_add(void) \
	{                                                                   \
		static struct cross_test test = {#suite, #name,             \
						 suite##_##name, NULL};     \
		cross_add(&test);                                           \
	}                                                                   \
	static void suite##_##name(void)

/** cr_assert_fail() - say why, with a format, and end the program. */
#define cr_assert_fail(...)                            \
	do {                                           \
		printf("%s:%d: ", __FILE__, __LINE__); \
		printf(__VA_ARGS__);                   \
		putchar('\n');                         \
		exit(1);                               \
	} while (0)

/*
 * What follows the operands would be a message: the source has it. The 0 stands
 * in for it, since C wants something there.
 */
#define cross_assert(condition, ...)                      \
	do {                                              \
		if (!(condition))                         \
			cr_assert_fail("%s", #condition); \
	} while (0)
#define cross_assert_not(condition, ...) cross_assert(!(condition), 0)
#define cross_assert_eq(a, b, ...)	 cross_assert((a) == (b), 0)
#define cross_assert_gt(a, b, ...)	 cross_assert((a) > (b), 0)

#define cr_assert(...)		cross_assert(__VA_ARGS__, 0)
#define cr_assert_not(...)	cross_assert_not(__VA_ARGS__, 0)
#define cr_assert_not_null(...) cross_assert(__VA_ARGS__, 0)
#define cr_assert_null(...)	cross_assert_not(__VA_ARGS__, 0)
#define cr_assert_eq(...)	cross_assert_eq(__VA_ARGS__, 0)
#define cr_assert_gt(...)	cross_assert_gt(__VA_ARGS__, 0)

#endif
