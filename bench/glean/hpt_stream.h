/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_stream.h - a hashed page table as records (struct gln_hpt_record of
 * hpt.h), with headers and entries big-endian: in memory, and in a file.
 */
#ifndef BENCH_GLEAN_HPT_STREAM_H
#define BENCH_GLEAN_HPT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include <glean/hpt.h>

/** struct hpt_stream - @bytes of them. */
struct hpt_stream {
	unsigned char *data;
	size_t bytes;
};

/**
 * hpt_stream_of() - all entries of a live table.
 *
 * Return: 0; -ENOMEM; or what the library said.
 */
int hpt_stream_of(struct gln_vm *vm, struct hpt_stream *stream);

/** hpt_stream_load(), hpt_stream_save() - a file. 0 or a negative errno. */
int hpt_stream_load(const char *path, struct hpt_stream *stream);
int hpt_stream_save(const struct hpt_stream *stream, const char *path);

void hpt_stream_fini(struct hpt_stream *stream);

/**
 * hpt_stream_next() - the next record.
 * @at:		where it begins; then where the next one does.
 * @entries:	its @nr_valid entries, 16 bytes each.
 *
 * Return: 1; 0 at the end; -EINVAL for a record that is cut off.
 */
int hpt_stream_next(const struct hpt_stream *stream, size_t *at,
		    struct gln_hpt_record *record,
		    const unsigned char **entries);

/** hpt_stream_entry() - number @i of @entries. */
struct gln_hpte hpt_stream_entry(const unsigned char *entries, size_t i);

#endif
