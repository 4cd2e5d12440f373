/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - read what the user typed. Nothing here trusts it.
 */
#include "bench/glean/options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer complaints are cut: what was typed is quoted in them. */
enum { COMPLAINT_BYTES = 512 };

/* One line, whatever was typed: no byte of it may drive a terminal. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == '\x7f')
			*text = '?';
}

void complain(const char *command, const char *format, ...)
{
	char text[COMPLAINT_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_printable(text);
	fprintf(stderr, command ? "glean %s: %s\n" : "glean: %s%s\n",
		command ? command : "", text);
}

static int complain_unknown(const char *command, const char *text)
{
	/* getopt names the option it found, if only its use was wrong. */
	if (optopt >= OPTION_HELP)
		complain(command, "'%s': this option takes no value", text);
	else
		complain(command, "unknown option '%s': see 'glean help %s'",
			 text, command);
	return OPTION_BAD;
}

int option_next(int argc, char **argv, const struct option *options)
{
	const char *command = argv[0];
	const int at = optind;

	opterr = 0;
	const int key = getopt_long(argc, argv, "+:h", options, NULL);

	switch (key) {
	case 'h':
		return OPTION_HELP;
	case '?':
		return complain_unknown(command, argv[at]);
	case ':':
		complain(command, "%s needs a value: see 'glean help %s'",
			 argv[at], command);
		return OPTION_BAD;
	case -1:
		if (optind == argc)
			return OPTION_END;
		complain(command,
			 "unexpected argument '%s': see 'glean help %s'",
			 argv[optind], command);
		return OPTION_BAD;
	default:
		return key;
	}
}

/* Digits only: no sign, no space, no octal. Stops at the first other byte. */
static bool take_digits(const char **text, uint64_t *number)
{
	const char *at = *text;
	uint64_t sum = 0;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		const uint64_t digit = (uint64_t)(*at - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*text = at;
	*number = sum;
	return true;
}

bool read_number(const struct option_value *value, const char *what,
		 uint64_t min, uint64_t max, uint64_t *number)
{
	const char *rest = value->text;
	uint64_t read;

	if (take_digits(&rest, &read) && !*rest && read >= min && read <= max) {
		*number = read;
		return true;
	}
	complain(value->command,
		 "%s: '%s' is not %s: give %" PRIu64 " to %" PRIu64,
		 value->option, value->text, what, min, max);
	return false;
}

/* log2 of what a suffix multiplies by, or a negative number. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "KMGT";
	const char *letter;

	if (!*suffix)
		return 0;
	letter = strchr(letters, *suffix & ~0x20); /* upper case */
	if (!letter || !*letter || suffix[1])
		return -1;
	return 10 * (int)(letter - letters + 1);
}

bool read_size(const struct option_value *value, uint64_t *bytes)
{
	const char *rest = value->text;
	uint64_t read;

	if (take_digits(&rest, &read) && read) {
		const int shift = suffix_shift(rest);

		if (shift >= 0 && read <= UINT64_MAX >> shift) {
			*bytes = read << shift;
			return true;
		}
	}
	complain(value->command, "%s: '%s' is not a size: give e.g. 64M or 4G",
		 value->option, value->text);
	return false;
}

void join_names(const char *const *names, char *list, size_t bytes)
{
	size_t used = 0;

	list[0] = '\0';
	for (size_t i = 0; names[i] && used < bytes; i++) {
		const char *glue = !i ? "" : names[i + 1] ? ", " : " or ";
		const int n = snprintf(list + used, bytes - used, "%s%s", glue,
				       names[i]);

		used += n > 0 ? (size_t)n : 0;
	}
}

bool read_name(const struct option_value *value, const char *what,
	       const char *const *names, unsigned int *index)
{
	char list[160];

	for (unsigned int i = 0; names[i]; i++) {
		if (!strcmp(value->text, names[i])) {
			*index = i;
			return true;
		}
	}
	join_names(names, list, sizeof(list));
	complain(value->command, "%s: '%s' is not %s: give %s", value->option,
		 value->text, what, list);
	return false;
}
