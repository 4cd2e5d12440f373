/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.c - main() for fuzz targets where there is no libFuzzer.
 *
 *	fuzz_TARGET [--seconds N] [--seed N]	random input until time is up
 *	fuzz_TARGET FILE...			each file's bytes, once
 *
 * An input is made from its seed alone, which is printed when one ends the
 * program: --seed with it begins there.
 */
#include "tests/fuzz/guest.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/random.h"

enum { MAX_BYTES = 4096, DECIMALS = 20, NS_PER_S = 1000000000 };

static volatile uint64_t seed_now;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A program that dies says of what: by hand, in a signal handler. */
static void say_seed(int number)
{
	char text[] =
		"fuzz: died of the input of --seed 00000000000000000000\n";
	uint64_t left = seed_now;
	ssize_t ignored;

	for (size_t i = sizeof(text) - 3; i > sizeof(text) - 3 - DECIMALS;
	     i--) {
		text[i] = (char)('0' + left % 10);
		left /= 10;
	}
	ignored = write(STDERR_FILENO, text, sizeof(text) - 1);
	(void)ignored;
	signal(number, SIG_DFL);
	raise(number);
}

/* Small values and short inputs are likelier than noise makes them. */
static size_t make_up(uint64_t seed, uint8_t *bytes)
{
	struct test_random random = {.state = seed};
	const size_t size = test_random_below(&random, 4)
				    ? test_random_below(&random, 600)
				    : test_random_below(&random, MAX_BYTES);
	const unsigned int share =
		(unsigned int)test_random_below(&random, 257);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(test_random_chance(&random, share)
					     ? test_random_below(&random, 8)
					     : test_random_next(&random));
	return size;
}

static int run_for(uint64_t seconds, uint64_t first_seed)
{
	const uint64_t end = now_ns() + seconds * NS_PER_S;
	static uint8_t bytes[MAX_BYTES];
	uint64_t nr = 0;

	printf("fuzz: from seed %" PRIu64 " for %" PRIu64 " s\n", first_seed,
	       seconds);
	fflush(stdout);
	do {
		seed_now = first_seed + nr++;
		LLVMFuzzerTestOneInput(bytes, make_up(seed_now, bytes));
	} while (now_ns() < end);
	printf("fuzz: %" PRIu64 " inputs, nothing found\n", nr);

	return EXIT_SUCCESS;
}

static int run_file(const char *path)
{
	static uint8_t bytes[1 << 20];
	FILE *const file = fopen(path, "rb");
	size_t size;

	if (!file) {
		fprintf(stderr, "fuzz: cannot read %s\n", path);
		return EXIT_FAILURE;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, size);

	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	uint64_t seconds = 20, seed = now_ns();
	int i = 1;

	signal(SIGABRT, say_seed);
	for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
		if (!strcmp(argv[i], "--seconds")) {
			seconds = strtoull(argv[i + 1], NULL, 0);
		} else if (!strcmp(argv[i], "--seed")) {
			seed = strtoull(argv[i + 1], NULL, 0);
		} else {
			break;
		}
	}
	if (i == argc)
		return run_for(seconds, seed);
	if (!strncmp(argv[i], "--", 2)) {
		fprintf(stderr,
			"fuzz: no option \"%s\": --seconds N, --seed N "
			"or files\n",
			argv[i]);
		return 2;
	}
	for (; i < argc; i++)
		if (run_file(argv[i]))
			return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
