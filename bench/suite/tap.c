/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.c - between the library and its backend.
 */
#include "bench/suite/tap.h"

/* The seed's masks are of so many pages. */
#define WORD_PAGES 64

static struct tap *tap_of(struct gln_backend *backend)
{
	return (struct tap *)(uintptr_t)backend->ops;
}

static int call(struct tap *tap, struct gln_backend *backend,
		struct gln_backend_slot *slot, const struct gln_range *ranges,
		size_t nr)
{
	tap->nr_calls++;
	tap->nr_ranges += nr;
	return tap->real->protect(backend, slot, ranges, nr);
}

static int protect_pages(struct tap *tap, struct gln_backend *backend,
			 struct gln_backend_slot *slot,
			 const struct gln_range *ranges, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		struct gln_range page = {ranges[i].first, 1};

		for (uint64_t n = 0; n < ranges[i].count && !err; n++) {
			err = call(tap, backend, slot, &page, 1);
			page.first++;
		}
	}
	return err;
}

/* What of a range is in its first word, as a span of its own. */
static struct gln_range take_word(struct gln_range *range, gln_gfn base)
{
	const uint64_t room = WORD_PAGES - (range->first - base) % WORD_PAGES;
	const struct gln_range part = {
		range->first,
		range->count < room ? range->count : room,
	};

	range->first += part.count;
	range->count -= part.count;
	return part;
}

static bool same_word(gln_gfn a, gln_gfn b, gln_gfn base)
{
	return (a - base) / WORD_PAGES == (b - base) / WORD_PAGES;
}

/* A word whose runs come in two calls counts as two. */
static int protect_spans(struct tap *tap, struct gln_backend *backend,
			 struct gln_backend_slot *slot,
			 const struct gln_range *ranges, size_t nr)
{
	struct gln_range span = {0};
	int err = 0;

	for (size_t i = 0; i < nr; i++) {
		struct gln_range left = ranges[i];

		while (left.count && !err) {
			const struct gln_range part =
				take_word(&left, slot->base);

			if (span.count &&
			    same_word(span.first, part.first, slot->base)) {
				span.count =
					part.first + part.count - span.first;
				continue;
			}
			if (span.count)
				err = call(tap, backend, slot, &span, 1);
			span = part;
		}
	}
	if (span.count && !err)
		err = call(tap, backend, slot, &span, 1);
	return err;
}

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr)
{
	struct tap *const tap = tap_of(backend);

	switch (tap->how) {
	case TAP_SPANS:
		return protect_spans(tap, backend, slot, ranges, nr);
	case TAP_PAGES:
		return protect_pages(tap, backend, slot, ranges, nr);
	default:
		return call(tap, backend, slot, ranges, nr);
	}
}

static int flush(struct gln_backend *backend, struct gln_backend_slot *slot,
		 const struct gln_flush *plan)
{
	struct tap *const tap = tap_of(backend);

	tap->nr_flushes++;
	return tap->real->flush(backend, slot, plan);
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct tap *const tap = tap_of(backend);

	tap->slot = slot;
	return tap->real->attach(backend, slot);
}

void tap_open(struct tap *tap, struct gln_backend *backend)
{
	*tap = (struct tap){.ops = *backend->ops, .real = backend->ops};
	tap->ops.attach = attach;
	tap->ops.protect = protect;
	tap->ops.flush = flush;
	backend->ops = &tap->ops;
}

void tap_close(struct tap *tap, struct gln_backend *backend)
{
	backend->ops = tap->real;
}

void tap_reset(struct tap *tap)
{
	tap->nr_calls = 0;
	tap->nr_ranges = 0;
	tap->nr_flushes = 0;
}
