/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spans_test.c - an address is found in its span, and in no other.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "backends/process/spans.h"

enum { PAGE_SHIFT = 12, NR = 7 };

static struct gln_backend_slot slots[NR];

/* Slot i has i + 1 pages from 0x10000 * (i + 1) on. */
static struct glni_span span(size_t i)
{
	slots[i] = (struct gln_backend_slot){
		.id = (uint32_t)i,
		.page_shift = PAGE_SHIFT,
		.nr_pages = i + 1,
		.hva = (void *)(uintptr_t)(0x10000 * (i + 1)),
	};
	return glni_span_of(&slots[i]);
}

static void insert_all(struct glni_spans *spans)
{
	static const size_t order[NR] = {3, 6, 0, 5, 1, 4, 2};

	cr_assert_eq(glni_spans_reserve(spans, NR), 0);
	for (size_t i = 0; i < NR; i++)
		glni_spans_insert(spans, span(order[i]));
}

Test(spans, an_address_is_found_in_its_span_only)
{
	struct glni_spans spans = {0};

	cr_assert_eq(glni_spans_find(&spans, 0x10000), NULL);
	insert_all(&spans);
	for (size_t i = 0; i < NR; i++) {
		const struct glni_span s = span(i);

		cr_assert_eq(s.end - s.start, (i + 1) << PAGE_SHIFT);
		cr_assert_eq(glni_spans_find(&spans, s.start)->slot, &slots[i]);
		cr_assert_eq(glni_spans_find(&spans, s.end - 1)->slot,
			     &slots[i]);
		cr_assert_eq(glni_spans_find(&spans, s.start - 1), NULL);
		cr_assert_eq(glni_spans_find(&spans, s.end), NULL);
	}
	cr_assert_eq(glni_spans_find(&spans, 0), NULL);
	cr_assert_eq(glni_spans_find(&spans, UINTPTR_MAX), NULL);
	glni_spans_fini(&spans);
}

Test(spans, one_that_is_removed_is_not_found)
{
	struct glni_spans spans = {0};

	insert_all(&spans);
	for (size_t i = 0; i < NR; i++) {
		glni_spans_remove(&spans, &slots[i]);
		glni_spans_remove(&spans, &slots[i]);
		cr_assert_eq(spans.nr, NR - 1 - i);
		cr_assert_eq(glni_spans_find(&spans, span(i).start), NULL);
		if (i + 1 < NR)
			cr_assert_eq(glni_spans_find(&spans, span(i + 1).start)
					     ->slot,
				     &slots[i + 1]);
	}
	glni_spans_fini(&spans);
}

Test(spans, sharing_one_address_is_overlapping)
{
	const struct glni_span low = {0x1000, 0x3000, NULL};
	const struct glni_span high = {0x5000, 0x6000, NULL};
	static const struct overlap_case {
		const char *what;
		struct glni_span span;
		bool overlaps;
	} cases[] = {
		{"before all", {0x0, 0x1000, NULL}, false},
		{"the first page", {0x0, 0x2000, NULL}, true},
		{"within", {0x1000, 0x2000, NULL}, true},
		{"the last page", {0x2000, 0x4000, NULL}, true},
		{"the gap", {0x3000, 0x5000, NULL}, false},
		{"the gap and more", {0x3000, 0x5001, NULL}, true},
		{"around one", {0x4000, 0x7000, NULL}, true},
		{"around all", {0x0, 0x9000, NULL}, true},
		{"after all", {0x6000, 0x7000, NULL}, false},
	};
	struct glni_spans spans = {0};

	cr_assert_eq(glni_spans_reserve(&spans, 2), 0);
	glni_spans_insert(&spans, high);
	glni_spans_insert(&spans, low);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(glni_spans_overlap(&spans, cases[i].span),
			     cases[i].overlaps, "%s", cases[i].what);
	glni_spans_fini(&spans);
}

Test(spans, room_grows_and_keeps_what_is_there)
{
	struct glni_spans spans = {0};
	struct glni_spans copy = {0};

	for (size_t i = 0; i < 1000; i++) {
		const struct glni_span s = {i * 16, i * 16 + 16, NULL};

		cr_assert_eq(glni_spans_reserve(&spans, i + 1), 0);
		cr_assert_geq(spans.max, i + 1);
		glni_spans_insert(&spans, s);
	}
	cr_assert_eq(glni_spans_reserve(&copy, 1000), 0);
	glni_spans_copy(&copy, &spans);
	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(glni_spans_find(&copy, i * 16 + 7)->start, i * 16);
	glni_spans_fini(&spans);
	glni_spans_fini(&copy);
}
