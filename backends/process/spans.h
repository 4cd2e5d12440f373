/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spans.h - which slot an address belongs to: a sorted array of spans.
 *
 * Spans never overlap: a write through one address must mark one frame. Nothing
 * here locks; finding a span is safe in a signal handler.
 */
#ifndef GLN_BACKENDS_PROCESS_SPANS_H
#define GLN_BACKENDS_PROCESS_SPANS_H

#include <stdint.h>

#include <glean/backend.h>

/** struct glni_span - the memory of a slot, [start, end). */
struct glni_span {
	uintptr_t start;
	uintptr_t end;
	struct gln_backend_slot *slot;
};

/** struct glni_spans - @nr spans by ascending address, room for @max. */
struct glni_spans {
	size_t nr;
	size_t max;
	struct glni_span *at;
};

/** The span of a slot whose memory does not wrap around. */
struct glni_span glni_span_of(struct gln_backend_slot *slot);

/** Make room for @max spans in all. Return: 0 or -ENOMEM. */
int glni_spans_reserve(struct glni_spans *spans, size_t max);

/** The span that holds @address, or NULL. */
const struct glni_span *glni_spans_find(const struct glni_spans *spans,
					uintptr_t address);

/** Does any of @spans share an address with @span? */
bool glni_spans_overlap(const struct glni_spans *spans, struct glni_span span);

/** Put @span in; there is room, and no overlap. */
void glni_spans_insert(struct glni_spans *spans, struct glni_span span);

/** Take the span of @slot out, if it is there. */
void glni_spans_remove(struct glni_spans *spans,
		       const struct gln_backend_slot *slot);

/** Make @to equal to @from; there is room. */
void glni_spans_copy(struct glni_spans *to, const struct glni_spans *from);

void glni_spans_fini(struct glni_spans *spans);

#endif
