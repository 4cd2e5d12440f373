/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tlb.c - see tlb.h.
 */
#include "backends/model/tlb.h"

#include <string.h>

static size_t nr_places(unsigned int height)
{
	return height ? TLB_HIGHER : TLB_PAGES;
}

static struct translation *places(struct tlb *tlb, unsigned int height)
{
	return height ? tlb->higher[height - 1] : tlb->pages;
}

static bool has_height(const struct tlb *tlb, unsigned int height)
{
	return tlb->shift[height] < 64;
}

static uint64_t tag_of(const struct tlb *tlb, uint64_t address,
		       unsigned int height)
{
	return (address >> tlb->shift[height]) + 1;
}

static struct translation *place_of(struct tlb *tlb, uint64_t address,
				    unsigned int height)
{
	const uint64_t frame = address >> tlb->shift[height];

	return &places(tlb, height)[frame % nr_places(height)];
}

void glni_tlb_init(struct tlb *tlb, unsigned int page_shift,
		   unsigned int index_bits)
{
	memset(tlb, 0, sizeof(*tlb));
	for (unsigned int height = 0; height < TLB_HEIGHTS; height++)
		tlb->shift[height] = page_shift + height * index_bits;
}

struct translation *glni_tlb_find(struct tlb *tlb, uint64_t address,
				  unsigned int height)
{
	struct translation *place;

	if (!has_height(tlb, height))
		return NULL;
	place = place_of(tlb, address, height);
	return place->tag == tag_of(tlb, address, height) ? place : NULL;
}

void glni_tlb_put(struct tlb *tlb, uint64_t address, unsigned int height,
		  struct translation what)
{
	struct translation *const place = place_of(tlb, address, height);

	if (!place->tag)
		tlb->nr_used++;
	*place = what;
	place->tag = tag_of(tlb, address, height);
}

static uint64_t drop(struct tlb *tlb, struct translation *place)
{
	if (!place->tag)
		return 0;
	place->tag = 0;
	tlb->nr_used--;
	return 1;
}

static uint64_t drop_height(struct tlb *tlb, uint64_t first, uint64_t last,
			    unsigned int height)
{
	const uint64_t first_tag = tag_of(tlb, first, height);
	const uint64_t last_tag = tag_of(tlb, last, height);
	struct translation *const all = places(tlb, height);
	uint64_t dropped = 0;

	if (first_tag == last_tag) {
		struct translation *one = glni_tlb_find(tlb, first, height);

		return one ? drop(tlb, one) : 0;
	}
	for (size_t i = 0; i < nr_places(height) && tlb->nr_used; i++)
		if (all[i].tag >= first_tag && all[i].tag <= last_tag)
			dropped += drop(tlb, &all[i]);
	return dropped;
}

uint64_t glni_tlb_drop_range(struct tlb *tlb, uint64_t first, uint64_t last,
			     unsigned int heights)
{
	uint64_t dropped = 0;

	for (unsigned int height = 0; height < TLB_HEIGHTS; height++)
		if (heights >> height & 1 && has_height(tlb, height))
			dropped += drop_height(tlb, first, last, height);
	return dropped;
}

uint64_t glni_tlb_drop_all(struct tlb *tlb)
{
	const uint64_t dropped = tlb->nr_used;

	if (dropped) {
		memset(tlb->pages, 0, sizeof(tlb->pages));
		memset(tlb->higher, 0, sizeof(tlb->higher));
	}
	tlb->nr_used = 0;
	return dropped;
}
