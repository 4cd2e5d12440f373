/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * require.h - what unit tests assert with, besides Criterion's own.
 */
#ifndef GLN_TESTS_UNIT_REQUIRE_H
#define GLN_TESTS_UNIT_REQUIRE_H

#include <criterion/criterion.h>
#include <inttypes.h>

#define ARRAY_END(array) ((array) + sizeof(array) / sizeof((array)[0]))

/*
 * cr_assert for the inner loops of a property: silent, and so fast, while the
 * condition holds. The message says which case it was: the seed above all.
 */
#define require(condition, ...)                      \
	do {                                         \
		if (!(condition))                    \
			cr_assert_fail(__VA_ARGS__); \
	} while (0)

/*
 * A test between setup() and teardown(), which its file defines. Criterion has
 * .init and .fini for that, but takes no notice of an assertion that fails
 * there.
 */
#define FixtureTest(suite, name)                 \
	static void suite##_##name##_body(void); \
	Test(suite, name)                        \
	{                                        \
		setup();                         \
		suite##_##name##_body();         \
		teardown();                      \
	}                                        \
	static void suite##_##name##_body(void)

#endif
