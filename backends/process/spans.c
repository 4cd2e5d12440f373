/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spans.c - which slot an address belongs to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/process/spans.h"

/* Index of the first span that ends after @address; @nr if none does. */
static size_t first_ending_after(const struct glni_spans *spans,
				 uintptr_t address)
{
	size_t low = 0;
	size_t high = spans->nr;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (spans->at[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}

	return low;
}

struct glni_span glni_span_of(struct gln_backend_slot *slot)
{
	const uintptr_t start = (uintptr_t)slot->hva;

	return (struct glni_span){
		.start = start,
		.end = start + (uintptr_t)(slot->nr_pages << slot->page_shift),
		.slot = slot,
	};
}

int glni_spans_reserve(struct glni_spans *spans, size_t max)
{
	size_t room = spans->max ? spans->max : 8;

	while (room < max)
		room *= 2;
	if (room == spans->max)
		return 0;

	struct glni_span *at = realloc(spans->at, room * sizeof(*at));

	if (!at)
		return -ENOMEM;
	spans->at = at;
	spans->max = room;
	return 0;
}

const struct glni_span *glni_spans_find(const struct glni_spans *spans,
					uintptr_t address)
{
	const size_t i = first_ending_after(spans, address);

	if (i == spans->nr || spans->at[i].start > address)
		return NULL;

	return &spans->at[i];
}

bool glni_spans_overlap(const struct glni_spans *spans, struct glni_span span)
{
	const size_t i = first_ending_after(spans, span.start);

	return i < spans->nr && spans->at[i].start < span.end;
}

void glni_spans_insert(struct glni_spans *spans, struct glni_span span)
{
	const size_t i = first_ending_after(spans, span.start);

	memmove(&spans->at[i + 1], &spans->at[i],
		(spans->nr - i) * sizeof(spans->at[0]));
	spans->at[i] = span;
	spans->nr++;
}

void glni_spans_remove(struct glni_spans *spans,
		       const struct gln_backend_slot *slot)
{
	for (size_t i = 0; i < spans->nr; i++) {
		if (spans->at[i].slot != slot)
			continue;
		spans->nr--;
		memmove(&spans->at[i], &spans->at[i + 1],
			(spans->nr - i) * sizeof(spans->at[0]));
		return;
	}
}

void glni_spans_copy(struct glni_spans *to, const struct glni_spans *from)
{
	if (from->nr)
		memcpy(to->at, from->at, from->nr * sizeof(from->at[0]));
	to->nr = from->nr;
}

void glni_spans_fini(struct glni_spans *spans)
{
	free(spans->at);
	*spans = (struct glni_spans){0};
}
