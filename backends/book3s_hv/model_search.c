/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_search.c - the entry that a POWER CPU finds for an address (Power ISA
 * 2.07 book III-S 5.7; 3.0 book III 5.7): in the group that the hash names, or
 * else in the one that its complement names.
 *
 * Nothing is set here: who may use what was found notes R and C (model.c).
 */
#include "backends/book3s_hv/model.h"

/* The table's word: SDR1, or a partition's entry (ISA 3.0 book III 5.7.6.1). */
enum {
	TABLE_SIZE_MASK = 0x1f, /* 4:0: order less 18 */
	TABLE_SIZE_MAX = GLN_HPT_ORDER_MAX - GLN_HPT_ORDER_MIN,
};
#define TABLE_ORIGIN UINT64_C(0x0ffffffffffc0000)

/* Page numbers in an entry are in 8 MiB: the rest follows from its group. */
enum {
	AVPN_SHIFT = 23,  /* of the lowest bit, in the address */
	AVPN_V_SHIFT = 7, /* and in V */
	B_SHIFT = 62,	  /* in V */
	B_SHIFT_3_0 = 58, /* in R */
	B_MASK = 3,
};

enum {
	LP_MASK = 0xff,
	HASH_1T_SHIFT = 25,
};

bool glni_power_lp(uint64_t lp, struct gln_hpte_size *size)
{
	static const struct {
		unsigned int mask;
		unsigned int lp;
		struct gln_hpte_size size;
	} codes[] = {
		{0xff, 0x00, {24, 24}}, /* other bits of LP are the page's */
		{0x0f, 0x01, {16, 16}}, {0xff, 0x03, {34, 34}},
		{0x0f, 0x07, {12, 16}}, {0xff, 0x08, {16, 24}},
		{0xff, 0x38, {12, 24}},
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if ((lp & codes[i].mask) != codes[i].lp)
			continue;
		*size = codes[i].size;
		return true;
	}
	return false;
}

static bool decode_size(uint64_t v, uint64_t r, struct gln_hpte_size *size)
{
	if (v & GLN_HPTE_V_LARGE)
		return glni_power_lp(r >> GLN_HPTE_R_LP_SHIFT & LP_MASK, size);
	*size = (struct gln_hpte_size){12, 12};
	return true;
}

/*
 * VALID, H and AVPN; of large pages the AVPN's low bits are the offset's, but
 * those of the VSID are compared, be the page larger than its segment.
 */
static bool is_v_it(enum gln_hpt_isa isa, const struct search *search,
		    uint64_t v, uint64_t h)
{
	const struct va *const va = &search->va;
	const unsigned int in_page = search->page_shift < va->segment_shift
					     ? search->page_shift
					     : va->segment_shift;
	const unsigned int ignored =
		in_page > AVPN_SHIFT ? in_page : AVPN_SHIFT;
	const uint64_t avpn = va->vsid << (va->segment_shift - AVPN_SHIFT) |
			      va->offset >> AVPN_SHIFT;
	const uint64_t differs = (v >> AVPN_V_SHIFT ^ avpn) &
				 low_mask(va_bits(isa) - AVPN_SHIFT);

	return (v & (GLN_HPTE_V_VALID | GLN_HPTE_V_SECONDARY)) ==
		       (GLN_HPTE_V_VALID | h) &&
	       !(differs >> (ignored - AVPN_SHIFT));
}

/* The rest: B, wherever it is, and the base page size. */
static bool is_entry_it(enum gln_hpt_isa isa, struct search *search, uint64_t v,
			uint64_t r)
{
	const uint64_t b =
		isa == GLN_HPT_ISA_2_07 ? v >> B_SHIFT : r >> B_SHIFT_3_0;
	const uint64_t wanted = search->va.segment_shift == SEGMENT_1T;
	struct gln_hpte_size size;

	if ((b & B_MASK) != wanted || !decode_size(v, r, &size) ||
	    size.base != search->page_shift)
		return false;
	search->r = r;
	search->size = size;
	return true;
}

/*
 * Hardware has both doublewords at once, software has two loads: if the first
 * has changed by the second, look again. That leaves an entry whose first
 * doubleword was written too early, and nothing helps against that one.
 */
static bool is_it(struct gln_model_vcpu *vcpu, struct search *search,
		  struct hpte *entry, uint64_t h)
{
	const enum gln_hpt_isa isa = power_model_of(vcpu)->isa;
	uint64_t before;
	uint64_t v;
	uint64_t r;

	do {
		/*
		 * sync model.2 (acquire) <- hpte.2: the second doubleword that
		 * belongs to this first one; else a valid entry leads to the
		 * page that it had before.
		 */
		before = gln_load_acquire(&entry->v);
		v = hpte_be(before);
		if (!is_v_it(isa, search, v, h))
			return false;
		glni_model_pause(vcpu);
		/*
		 * Relaxed: of an entry that was valid nobody changes the second
		 * doubleword before a tlbie, and that waits for us.
		 */
		r = hpte_be(gln_load_relaxed(&entry->r));
		/* Relaxed: as above; this is for who breaks that rule. */
	} while (gln_load_relaxed(&entry->v) != before);

	search->entry = entry;
	return is_entry_it(isa, search, v, r);
}

/* The hash (5.7.7.3): all its bits; the secondary one is its complement. */
static uint64_t hash_of(const struct search *search)
{
	const struct va *const va = &search->va;
	const uint64_t page = va->offset >> search->page_shift;

	if (va->segment_shift == SEGMENT_1T)
		return va->vsid ^ va->vsid << HASH_1T_SHIFT ^ page;
	return va->vsid ^ page;
}

/* The table's origin gives the high bits, the hash the low ones. */
static struct hpte *group_at(const struct gln_model_vcpu *vcpu, uint64_t word,
			     uint64_t hash)
{
	const unsigned int order =
		GLN_HPT_ORDER_MIN + (unsigned int)(word & TABLE_SIZE_MASK);
	const uint64_t group = hash & low_mask(order - GLN_HPT_GROUP_SHIFT);
	const uint64_t hpa =
		(word & TABLE_ORIGIN) | group << GLN_HPT_GROUP_SHIFT;

	return (struct hpte *)(void *)glni_model_memory(vcpu->model, hpa);
}

static enum outcome search_group(struct gln_model_vcpu *vcpu,
				 struct search *search, struct hpte *group,
				 uint64_t h)
{
	if (!group)
		return NO_MEMORY;
	for (unsigned int i = 0; i < GLN_HPT_GROUP_ENTRIES; i++)
		if (is_it(vcpu, search, &group[i], h))
			return FOUND;
	return NOT_FOUND;
}

enum outcome glni_power_search(struct gln_model_vcpu *vcpu,
			       struct search *search)
{
	/* Relaxed: gln_hpt_model_set_table() orders it by our lock. */
	const uint64_t word = gln_load_relaxed(&power_model_of(vcpu)->table);
	const uint64_t hash = hash_of(search);
	enum outcome outcome;

	glni_model_count(vcpu, MODEL_WALKS, 1);
	if (!word || (word & TABLE_SIZE_MASK) > TABLE_SIZE_MAX)
		return NOT_FOUND;
	outcome = search_group(vcpu, search, group_at(vcpu, word, hash), 0);
	if (outcome != NOT_FOUND)
		return outcome;
	return search_group(vcpu, search, group_at(vcpu, word, ~hash),
			    GLN_HPTE_V_SECONDARY);
}
