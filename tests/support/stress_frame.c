/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_frame.c - options, verdicts, clock, random numbers.
 */
#include "tests/support/stress_frame.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct stress_option *find_option(
	const struct stress_option *options, size_t nr_options, const char *arg)
{
	for (size_t i = 0; i < nr_options; i++)
		if (!strncmp(arg, "--", 2) && !strcmp(arg + 2, options[i].name))
			return &options[i];

	return NULL;
}

__attribute__((noreturn)) static void usage(const char *program,
					    const char *what, const char *arg,
					    const struct stress_option *options,
					    size_t nr_options)
{
	fprintf(stderr, "%s: %s: %s; options are", program, arg, what);
	for (size_t i = 0; i < nr_options; i++)
		fprintf(stderr, " --%s %s", options[i].name,
			options[i].word ? "WORD" : "N");
	fprintf(stderr, "\n");
	exit(STRESS_USAGE);
}

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, 0);
	return !errno && !*end;
}

static char **command_line;

void stress_parse(int argc, char **argv, const struct stress_option *options,
		  size_t nr_options)
{
	command_line = argv;
	for (int i = 1; i < argc; i += 2) {
		const struct stress_option *const option =
			find_option(options, nr_options, argv[i]);

		if (!option)
			usage(argv[0], "no such option", argv[i], options,
			      nr_options);
		if (i + 1 == argc)
			usage(argv[0], "needs a value", argv[i], options,
			      nr_options);
		if (option->word)
			*option->word = argv[i + 1];
		else if (!parse_number(argv[i + 1], option->number))
			usage(argv[0], "not a number", argv[i + 1], options,
			      nr_options);
	}
}

static uint64_t fresh_seed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_nsec << 22 ^ (uint64_t)now.tv_sec ^
	       (uint64_t)getpid() << 48;
}

/* At once: who crashes later prints no more. The last of an option counts. */
static void say_how_to_repeat(uint64_t seed)
{
	const char *const how = getenv("STRESS_BREAK");

	printf("again: %s%s", how ? "STRESS_BREAK=" : "", how ? how : "");
	for (char **arg = command_line; arg && *arg; arg++)
		printf("%s%s", arg == command_line && !how ? "" : " ", *arg);
	printf(" --seed %" PRIu64 "\n", seed);
	fflush(stdout);
}

uint64_t stress_seed(uint64_t seed)
{
	if (!seed)
		seed = fresh_seed();
	say_how_to_repeat(seed);
	return seed;
}

/* Other threads are running: leave without the handlers of exit(). */
__attribute__((noreturn)) static void leave(const char *word,
					    const char *format, va_list args,
					    int status)
{
	fflush(stdout);
	printf("%s: ", word);
	vprintf(format, args);
	printf("\n");
	fflush(stdout);
	_exit(status);
}

void stress_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	leave("fail", format, args, STRESS_FAIL);
}

void stress_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	leave("skip", format, args, STRESS_SKIP);
}

void stress_broken(const char *condition, const char *file, int line,
		   const char *format, ...)
{
	va_list args;

	printf("%s:%d: not so: %s\n", file, line, condition);
	va_start(args, format);
	leave("fail", format, args, STRESS_FAIL);
}

int stress_verdict(uint64_t nr_lost)
{
	printf("lost %llu\n", (unsigned long long)nr_lost);
	return nr_lost ? STRESS_FAIL : STRESS_PASS;
}

static cpu_set_t allowed;

static void read_allowed(void)
{
	CHECK(!sched_getaffinity(0, sizeof(allowed), &allowed),
	      "at most %d CPUs", CPU_SETSIZE);
}

/* The @n-th CPU that we may run on; there are more than @n. */
static size_t nth_cpu(size_t n)
{
	size_t cpu = 0;

	while (n || !CPU_ISSET(cpu, &allowed)) {
		n -= CPU_ISSET(cpu, &allowed) ? 1 : 0;
		cpu++;
	}

	return cpu;
}

unsigned int stress_pin(unsigned int index)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned int nr;
	cpu_set_t one;

	pthread_once(&once, read_allowed);
	nr = (unsigned int)CPU_COUNT(&allowed);
	CPU_ZERO(&one);
	CPU_SET(nth_cpu(index % nr), &one);
	CHECK(!sched_setaffinity(0, sizeof(one), &one), "a CPU of our own");

	return nr;
}

size_t stress_page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

uint64_t stress_ms(uint64_t ms)
{
	return ms * UINT64_C(1000000);
}

uint64_t stress_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) +
	       (uint64_t)now.tv_nsec;
}

void stress_sleep_ns(uint64_t ns)
{
	struct timespec left = {
		.tv_sec = (time_t)(ns / UINT64_C(1000000000)),
		.tv_nsec = (long)(ns % UINT64_C(1000000000)),
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		continue;
}

/* Well below the time that a test case has. */
enum { PATIENCE_MS = 300000 };

struct stress_soak stress_soak(uint64_t ms)
{
	const uint64_t end_ns = stress_now_ns() + stress_ms(ms);

	return (struct stress_soak){end_ns, end_ns + stress_ms(PATIENCE_MS)};
}

bool stress_goes_on(const struct stress_soak *soak, bool has_happened)
{
	const uint64_t now_ns = stress_now_ns();

	if (now_ns >= soak->last_ns && !has_happened)
		stress_fail("%d s more, and not all of it has happened",
			    PATIENCE_MS / 1000);
	return now_ns < soak->end_ns || !has_happened;
}

/* SplitMix64 (Steele, Lea, Flood 2014): any state will do as a seed. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct stress_random stress_random_from(uint64_t seed, uint64_t stream)
{
	return (struct stress_random){.state = mix(seed + mix(stream + 1))};
}

uint64_t stress_random(struct stress_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(random->state);
}

uint64_t stress_below(struct stress_random *random, uint64_t n)
{
	return stress_random(random) % n;
}

bool stress_chance(struct stress_random *random, uint64_t permille)
{
	return stress_below(random, 1000) < permille;
}
