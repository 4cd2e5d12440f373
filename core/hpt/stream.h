/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - the table as a stream of records, and back.
 */
#ifndef GLN_CORE_HPT_STREAM_H
#define GLN_CORE_HPT_STREAM_H

#include "core/hpt/mmu.h"

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
