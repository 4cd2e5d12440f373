/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_frame.h - the frame of a plain-C test program.
 *
 * Such a program prints what it checked, with its seed and counts, and exits 0
 * if all was well, 1 if not, 77 if it cannot run here (its last line is then
 * "skip: REASON"), 2 for a wrong option.
 */
#ifndef TESTS_SUPPORT_STRESS_FRAME_H
#define TESTS_SUPPORT_STRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STRESS_PASS = 0,
	STRESS_FAIL = 1,
	STRESS_USAGE = 2,
	STRESS_SKIP = 77,
};

#if defined(__SANITIZE_THREAD__)
#define STRESS_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define STRESS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STRESS_TSAN 1
#elif __has_feature(address_sanitizer)
#define STRESS_ASAN 1
#endif
#endif
#ifndef STRESS_TSAN
#define STRESS_TSAN 0
#endif
#ifndef STRESS_ASAN
#define STRESS_ASAN 0
#endif

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/** struct stress_option - "--name VALUE": a number, or a word if @word. */
struct stress_option {
	const char *name;
	uint64_t *number;
	const char **word;
};

/**
 * stress_parse() - set options from the command line; exits 2 at the first
 * that is none of them. Values not named keep what they were set to.
 */
void stress_parse(int argc, char **argv, const struct stress_option *options,
		  size_t nr_options);

/**
 * stress_seed() - @seed, or one from the clock if it is 0. Says with which
 * command line, that of stress_parse() before it, the same is seen again.
 */
uint64_t stress_seed(uint64_t seed);

/** stress_fail() - say why on a line of its own, and exit 1. Any thread. */
__attribute__((noreturn, format(printf, 1, 2))) void stress_fail(
	const char *format, ...);
/** stress_skip() - the same for what cannot run here; exit 77. */
__attribute__((noreturn, format(printf, 1, 2))) void stress_skip(
	const char *format, ...);

/** stress_verdict() - the last line, "lost N", and what main() returns. */
int stress_verdict(uint64_t nr_lost);

/** CHECK() - a fact that must hold; the words say what it was about. */
#define CHECK(condition, ...) \
	((condition)          \
		 ? (void)0    \
		 : stress_broken(#condition, __FILE__, __LINE__, __VA_ARGS__))
__attribute__((noreturn, format(printf, 4, 5))) void stress_broken(
	const char *condition, const char *file, int line, const char *format,
	...);

/**
 * stress_pin() - keep this thread to the @index-th CPU that it may run on,
 * modulo their number. Return: that number.
 */
unsigned int stress_pin(unsigned int index);

/** stress_page_bytes() - the host's page size. */
size_t stress_page_bytes(void);

uint64_t stress_now_ns(void);
uint64_t stress_ms(uint64_t ms); /* in nanoseconds */
void stress_sleep_ns(uint64_t ns);

/**
 * struct stress_soak - how long to go on: for the time asked for, and longer
 * where the machine is so busy that there was nothing to see in it.
 */
struct stress_soak {
	uint64_t end_ns;
	uint64_t last_ns;
};

struct stress_soak stress_soak(uint64_t ms);
/**
 * stress_goes_on() - false when the time is up and @has_happened; fails if that
 * does not come true for long.
 */
bool stress_goes_on(const struct stress_soak *soak, bool has_happened);

/** struct stress_random - a stream of numbers; one thread's own. */
struct stress_random {
	uint64_t state;
};

struct stress_random stress_random_from(uint64_t seed, uint64_t stream);
uint64_t stress_random(struct stress_random *random);
/** From 0 to @n - 1; @n is not 0. */
uint64_t stress_below(struct stress_random *random, uint64_t n);
/** True @permille times out of 1000. */
bool stress_chance(struct stress_random *random, uint64_t permille);

#endif
