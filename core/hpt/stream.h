/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - the table as a stream of records, and back.
 */
#ifndef GLN_CORE_HPT_STREAM_H
#define GLN_CORE_HPT_STREAM_H

#include "core/hpt/mmu.h"

/**
 * struct gln_hpt_stream - an open stream.
 *
 * @epoch:	of the table that the rest is about.
 * @index:	the next entry to look at.
 * @nr_unseen:	entries that were never looked at: the first pass goes on.
 */
struct gln_hpt_stream {
	uint32_t flags;
	enum gln_hpt_endian endian;
	uint64_t start;
	uint64_t epoch;
	uint64_t index;
	uint64_t nr_unseen;
};

/** stream_reads() - or else it writes. */
static inline bool stream_reads(const struct gln_hpt_stream *stream)
{
	return !(stream->flags & GLN_HPT_STREAM_WRITE);
}

int glni_hpt_op_stream_open(struct gln_backend *be,
			    const struct gln_hpt_stream_params *params,
			    struct gln_hpt_stream **stream);
void glni_hpt_op_stream_close(struct gln_backend *be,
			      struct gln_hpt_stream *stream);

/** -EAGAIN while the table is being changed, besides what the public one says.
 */
int64_t glni_hpt_op_stream_read(struct gln_backend *be,
				struct gln_hpt_stream *stream, void *buffer,
				size_t bytes);
int64_t glni_hpt_op_stream_write(struct gln_backend *be,
				 struct gln_hpt_stream *stream,
				 const void *buffer, size_t bytes);

/** glni_hpt_op_check() - the rules of a quiet table; see check.c. */
int glni_hpt_op_check(struct gln_backend *be, const char **why);

#endif
