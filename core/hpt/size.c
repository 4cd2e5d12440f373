/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * size.c - page sizes of entries and segments, by table. (H-88)
 *
 *	LP	base	actual		bits of LP that encode it
 *	0000	0000	16M	16M	all 8
 *	rrrr	0001	64K	64K	the low 4; r is the real page's
 *	0000	0011	16G	16G	all 8
 *	rrrr	0111	4K	64K	the low 4
 *	0000	1000	64K	16M	all 8
 *	0011	1000	4K	16M	all 8
 *
 * (POWER7 and later: PAPR, ibm,segment-page-sizes.) An entry without L is 4K in
 * 4K, and these bits are its real page's. All other encodings mean nothing.
 */
#include <glean/hpte.h>

#include "core/base/bits.h"

enum {
	SHIFT_4K = 12,
	SHIFT_64K = 16,
	SHIFT_16M = 24,
	SHIFT_16G = 34,
};

/* No two rows agree in what both masks have: the test looks at all 256. */
static const struct encoding {
	uint8_t lp;
	uint8_t mask;
	uint8_t base;
	uint8_t actual;
} encodings[] = {
	{0x00, 0xff, SHIFT_16M, SHIFT_16M}, {0x01, 0x0f, SHIFT_64K, SHIFT_64K},
	{0x03, 0xff, SHIFT_16G, SHIFT_16G}, {0x07, 0x0f, SHIFT_4K, SHIFT_64K},
	{0x08, 0xff, SHIFT_64K, SHIFT_16M}, {0x38, 0xff, SHIFT_4K, SHIFT_16M},
};

/* Of a segment. L without LP is 16M, as it was when there was no LP. */
static const struct {
	uint64_t slb;
	unsigned int shift;
} segments[] = {
	{0, SHIFT_4K},
	{GLN_SLB_L | GLN_SLB_LP_64K, SHIFT_64K},
	{GLN_SLB_L, SHIFT_16M},
	{GLN_SLB_L | GLN_SLB_LP_16G, SHIFT_16G},
};

#define END(array) ((array) + sizeof(array) / sizeof((array)[0]))

bool gln_hpte_decode(uint64_t v, uint64_t r, struct gln_hpte_size *size)
{
	const uint64_t lp = (r & GLN_HPTE_R_LP) >> GLN_HPTE_R_LP_SHIFT;

	if (!(v & GLN_HPTE_V_LARGE)) {
		*size = (struct gln_hpte_size){SHIFT_4K, SHIFT_4K};
		return true;
	}
	for (const struct encoding *e = encodings; e < END(encodings); e++) {
		if ((lp & e->mask) != e->lp)
			continue;
		*size = (struct gln_hpte_size){e->base, e->actual};
		return true;
	}
	return false;
}

bool gln_hpte_encode(struct gln_hpte_size size, struct gln_hpte *entry)
{
	if (size.base == SHIFT_4K && size.actual == SHIFT_4K) {
		*entry = (struct gln_hpte){0, 0};
		return true;
	}
	for (const struct encoding *e = encodings; e < END(encodings); e++) {
		if (size.base != e->base || size.actual != e->actual)
			continue;
		*entry = (struct gln_hpte){
			.v = GLN_HPTE_V_LARGE,
			.r = (uint64_t)e->lp << GLN_HPTE_R_LP_SHIFT,
		};
		return true;
	}
	return false;
}

unsigned int gln_slb_page_shift(uint64_t slb)
{
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
		if ((slb & (GLN_SLB_L | GLN_SLB_LP)) == segments[i].slb)
			return segments[i].shift;
	return 0;
}
