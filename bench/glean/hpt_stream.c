/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_stream.c - a hashed page table as records, in memory and in a file.
 */
#include "bench/glean/hpt_stream.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES 8U
#define ENTRY_BYTES  16U

/* The first piece of memory; it doubles whenever it is full. */
#define FIRST_BYTES (UINT64_C(1) << 16)

/* --- records --- */

int hpt_stream_next(const struct hpt_stream *stream, size_t *at,
		    struct gln_hpt_record *record,
		    const unsigned char **entries)
{
	const unsigned char *header = stream->data + *at;
	const size_t left = stream->bytes - *at;
	struct gln_hpt_record be;

	if (!left)
		return 0;
	if (left < RECORD_BYTES)
		return -EINVAL;
	memcpy(&be, header, sizeof(be));
	record->index = be32toh(be.index);
	record->nr_valid = be16toh(be.nr_valid);
	record->nr_invalid = be16toh(be.nr_invalid);
	if ((left - RECORD_BYTES) / ENTRY_BYTES < record->nr_valid)
		return -EINVAL;

	*entries = header + RECORD_BYTES;
	*at += RECORD_BYTES + (size_t)record->nr_valid * ENTRY_BYTES;
	return 1;
}

_Static_assert(sizeof(struct gln_hpt_record) == RECORD_BYTES,
	       "a record's header has no holes");

struct gln_hpte hpt_stream_entry(const unsigned char *entries, size_t i)
{
	struct gln_hpte be;

	memcpy(&be, entries + i * ENTRY_BYTES, sizeof(be));
	return (struct gln_hpte){.v = be64toh(be.v), .r = be64toh(be.r)};
}

/* --- memory --- */

void hpt_stream_fini(struct hpt_stream *stream)
{
	free(stream->data);
	*stream = (struct hpt_stream){.bytes = 0};
}

/* Room for as much again as there is, and for something at first. */
static int grow(struct hpt_stream *stream, size_t *room)
{
	const size_t more = *room ? 2 * *room : FIRST_BYTES;
	unsigned char *data = more > *room ? realloc(stream->data, more) : NULL;

	if (!data)
		return -ENOMEM;
	stream->data = data;
	*room = more;
	return 0;
}

/* The entry after the last that the records from *@at on tell of. */
static uint64_t end_of(const struct hpt_stream *stream, size_t *at,
		       uint64_t end)
{
	struct gln_hpt_record record;
	const unsigned char *entries;

	while (hpt_stream_next(stream, at, &record, &entries) > 0)
		end = (uint64_t)record.index + record.nr_valid +
		      record.nr_invalid;
	return end;
}

/* One pass, from the table's first entry to its last. */
static int read_pass(struct gln_hpt_stream *from, uint64_t nr_entries,
		     struct hpt_stream *stream)
{
	size_t room = 0;
	size_t at = 0;
	uint64_t end = 0;

	while (end < nr_entries) {
		if (room - stream->bytes < FIRST_BYTES / 2 &&
		    grow(stream, &room))
			return -ENOMEM;

		const int64_t got =
			gln_hpt_stream_read(from, stream->data + stream->bytes,
					    room - stream->bytes);

		if (got <= 0)
			return (int)got;
		stream->bytes += (size_t)got;
		end = end_of(stream, &at, end);
	}
	return 0;
}

int hpt_stream_of(struct gln_vm *vm, struct hpt_stream *stream)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.endian = GLN_HPT_ENDIAN_BIG,
	};
	struct gln_hpt_stats stats = {.struct_bytes = sizeof(stats)};
	struct gln_hpt_stream *from;
	int err = gln_hpt_stats(vm, &stats);

	if (!err)
		err = gln_hpt_stream_open(vm, &params, &from);
	if (err)
		return err;
	*stream = (struct hpt_stream){.bytes = 0};
	err = read_pass(from, stats.table_bytes / ENTRY_BYTES, stream);
	gln_hpt_stream_close(from);
	if (err)
		hpt_stream_fini(stream);
	return err;
}

/* --- files --- */

static int load(FILE *file, struct hpt_stream *stream)
{
	size_t room = 0;

	while (!feof(file)) {
		if (stream->bytes == room && grow(stream, &room))
			return -ENOMEM;
		stream->bytes += fread(stream->data + stream->bytes, 1,
				       room - stream->bytes, file);
		if (ferror(file))
			return errno ? -errno : -EIO;
	}
	return 0;
}

int hpt_stream_load(const char *path, struct hpt_stream *stream)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return -errno;
	*stream = (struct hpt_stream){.bytes = 0};

	const int err = load(file, stream);

	fclose(file);
	if (err)
		hpt_stream_fini(stream);
	return err;
}

int hpt_stream_save(const struct hpt_stream *stream, const char *path)
{
	FILE *file = fopen(path, "wb");
	int err = 0;

	if (!file)
		return -errno;
	errno = EIO;
	if (fwrite(stream->data, 1, stream->bytes, file) != stream->bytes)
		err = -errno;
	errno = EIO;
	if (fclose(file) && !err)
		err = -errno;
	return err;
}
