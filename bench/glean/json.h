/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - the few ways in which glean builds JSON.
 *
 * Without memory the put functions put nothing and the object stays smaller;
 * json_print() then fails, so no half answer is ever printed.
 */
#ifndef BENCH_GLEAN_JSON_H
#define BENCH_GLEAN_JSON_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/** json_put() - add a member; json_append() - an element. Takes @value. */
void json_put(json_t *object, const char *key, json_t *value);
void json_append(json_t *array, json_t *value);

/** json_put_number() - as json_put(); numbers from 2^63 on become 2^63 - 1. */
void json_put_number(json_t *object, const char *key, uint64_t number);
void json_put_real(json_t *object, const char *key, double number);
void json_put_text(json_t *object, const char *key, const char *text);

/**
 * json_print() - write @value and a newline; takes @value.
 *
 * Return: 0; -ENOMEM if anything could not be built; -EIO.
 */
int json_print(json_t *value, FILE *file);

#endif
