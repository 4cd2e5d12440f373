/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - read what the user typed; in one line, say what is wrong with it
 * and what would be right.
 */
#ifndef BENCH_GLEAN_OPTIONS_H
#define BENCH_GLEAN_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What option_next() returns beside a subcommand's own keys. */
enum {
	OPTION_END = -1,
	OPTION_BAD = -2,
	OPTION_HELP = 256,
	OPTION_FIRST_OWN /* keys of the subcommands start here */
};

/** Goes first in every subcommand's table. */
#define OPTION_HELP_ENTRY                              \
	{                                              \
		"help", no_argument, NULL, OPTION_HELP \
	}

/**
 * complain() - one line on standard error: "glean COMMAND: ...".
 * @command:	subcommand, or NULL for glean itself.
 */
__attribute__((format(printf, 2, 3))) void complain(const char *command,
						    const char *format, ...);

/**
 * option_next() - the key of the next option; its value is in optarg.
 *
 * Return: a key of @options, OPTION_HELP, OPTION_END when all are read, or
 * OPTION_BAD after a complaint. What is no option is bad.
 */
int option_next(int argc, char **argv, const struct option *options);

/** struct option_value - an option as it was given, for reading and blaming. */
struct option_value {
	const char *command; /* "run" */
	const char *option;  /* "--vcpus" */
	const char *text;
};

/**
 * read_number() - a decimal number from @min to @max.
 * @what:	what it counts, with article: "a number of vCPUs".
 *
 * Return: false after a complaint, @number untouched.
 */
bool read_number(const struct option_value *value, const char *what,
		 uint64_t min, uint64_t max, uint64_t *number);

/** read_size() - bytes, with a binary suffix K, M, G or T or none. */
bool read_size(const struct option_value *value, uint64_t *bytes);

/**
 * read_name() - one of @names, which end with NULL.
 * @what:	what it names, with article.
 * @index:	which of @names it is.
 */
bool read_name(const struct option_value *value, const char *what,
	       const char *const *names, unsigned int *index);

/** join_names() - "a, b or c", as far as it fits in @bytes. */
void join_names(const char *const *names, char *list, size_t bytes);

#endif
