/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * units.c - numbers as people read them: three digits and a unit.
 */
#include "bench/glean/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* From here on a number rounds up to a digit more. */
#define ROUNDS_TO_10   9.995
#define ROUNDS_TO_100  99.95
#define ROUNDS_TO_1000 999.5

static int decimals(double value)
{
	if (value < ROUNDS_TO_10)
		return 2;
	return value < ROUNDS_TO_100 ? 1 : 0;
}

/* Divide @value until it has three digits; the last of @units takes the rest */
static const char *scale(double *value, double step, const char *const *units,
			 size_t nr_units)
{
	size_t i = 0;

	for (; i + 1 < nr_units && *value >= step * ROUNDS_TO_1000 / 1000; i++)
		*value /= step;
	return units[i];
}

const char *units_time(char text[UNITS_BYTES], double ns)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	const bool whole = ns < 1000 && ns == (double)(int)ns;
	const char *unit = scale(&ns, 1000, units, 4);

	snprintf(text, UNITS_BYTES, "%.*f %s", whole ? 0 : decimals(ns), ns,
		 unit);
	return text;
}

const char *units_size(char text[UNITS_BYTES], uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB",
					    "TiB"};
	double value = (double)bytes;
	const char *unit = scale(&value, 1024, units, 5);
	const bool whole = value < 1e6 && value == (double)(int)value;

	snprintf(text, UNITS_BYTES, "%.*f %s", whole ? 0 : decimals(value),
		 value, unit);
	return text;
}

const char *units_count(char text[UNITS_BYTES], double count)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	const char *unit = scale(&count, 1000, units, 5);
	const bool whole = count < 1e6 && count == (double)(int)count;

	snprintf(text, UNITS_BYTES, "%.*f%s", whole ? 0 : decimals(count),
		 count, unit);
	return text;
}
