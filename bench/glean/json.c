/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.c - the few ways in which glean builds JSON.
 */
#include "bench/glean/json.h"

#include <errno.h>
#include <stdbool.h>

/* A value could not be built; see json.h. */
static bool incomplete;

void json_put(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		incomplete = true;
}

void json_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		incomplete = true;
}

void json_put_number(json_t *object, const char *key, uint64_t number)
{
	const uint64_t capped = number < INT64_MAX ? number : INT64_MAX;

	json_put(object, key, json_integer((json_int_t)capped));
}

void json_put_real(json_t *object, const char *key, double number)
{
	json_put(object, key, json_real(number));
}

void json_put_text(json_t *object, const char *key, const char *text)
{
	json_t *string = json_string(text);

	/* What the machine says of itself need not be UTF-8. */
	json_put(object, key, string ? string : json_string("unreadable"));
}

int json_print(json_t *value, FILE *file)
{
	int err = 0;

	if (!value || incomplete)
		err = -ENOMEM;
	else if (json_dumpf(value, file, JSON_INDENT(2)) ||
		 fputc('\n', file) == EOF || fflush(file))
		err = -EIO;
	json_decref(value);
	return err;
}
