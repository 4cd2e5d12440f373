/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - what the files of the POWER model share.
 *
 *	model.c		accesses, by a translation or by the table; R and C
 *	model_segment.c	segments, and what an entry allows by way of them
 *	model_search.c	the entry that the table has for an address
 *	model_tlb.c	translations: how long they stay, what tlbie names
 */
#ifndef GLN_BACKENDS_BOOK3S_HV_MODEL_H
#define GLN_BACKENDS_BOOK3S_HV_MODEL_H

#include "backends/model/model.h"
#include "core/hpt/entry.h"

/* Bytes of a segment, as log2: B is 0 or 1. */
enum {
	SEGMENT_256M = 28,
	SEGMENT_1T = 40,
};

/* Bits of a virtual address. */
enum {
	VA_BITS = 78,
	VA_BITS_3_0 = 68,
};

/** struct va - a virtual address: a segment of the guest, and where in it. */
struct va {
	unsigned int segment_shift;
	uint64_t vsid;
	uint64_t offset;
};

/**
 * struct page - a translation that the CPU keeps.
 *
 * @va:		of its first byte.
 * @size:	@actual is 0 where there is none.
 * @r:		the entry's second doubleword, for the rights in it.
 * @entry:	where C is due.
 * @is_changed:	a store need not ask the table: C is set there, or owed.
 * @owes:	C is owed.
 */
struct page {
	struct va va;
	struct gln_hpte_size size;
	uint64_t hpa;
	uint64_t r;
	struct hpte *entry;
	bool is_changed;
	bool owes;
};

/* Places for pages of each size: the small ones so that conflicts are rare. */
enum {
	PLACES_4K = 1024,
	PLACES_64K = 1024,
	PLACES_16M = 64,
	PLACES_16G = 16,
	PLACES = PLACES_4K + PLACES_64K + PLACES_16M + PLACES_16G,
};

/** struct power_tlb - what the CPU remembers of the table. */
struct power_tlb {
	size_t nr_used;
	struct page pages[PLACES];
};

/**
 * struct segment - an entry of the segment lookaside buffer.
 *
 * @slb:	second doubleword, as it was written.
 * @shift:	0 where the entry is not valid.
 * @page_shift:	base page size.
 */
struct segment {
	uint64_t esid;
	uint64_t slb;
	unsigned int shift;
	unsigned int page_shift;
	uint64_t vsid;
};

struct power_vcpu {
	struct gln_model_vcpu vcpu;
	struct segment segments[GLN_HPT_MODEL_SLB_ENTRIES];
	uint64_t amr;
	bool is_problem; /* MSR[PR] */
	struct power_tlb tlb;
};

/** struct power_model - the machine; @table is SDR1 or what stands for it. */
struct power_model {
	struct gln_model model;
	enum gln_hpt_isa isa;
	uint32_t lpid;
	gln_word table;
};

static inline struct power_model *power_model_of(
	const struct gln_model_vcpu *vcpu)
{
	return (struct power_model *)(void *)vcpu->model;
}

static inline struct power_vcpu *power_of(struct gln_model_vcpu *vcpu)
{
	return (struct power_vcpu *)(void *)vcpu;
}

/**
 * struct search - for the entry of an address.
 *
 * @page_shift:	base page size of the segment.
 * @entry:	found: where, its second doubleword, and its page sizes.
 */
struct search {
	struct va va;
	unsigned int page_shift;
	struct hpte *entry;
	uint64_t r;
	struct gln_hpte_size size;
};

/** enum outcome - of a search. */
enum outcome {
	FOUND,
	NOT_FOUND,
	NO_MEMORY, /* at the table: a machine check, to a real CPU */
};

static inline uint64_t low_mask(unsigned int bits)
{
	return (UINT64_C(1) << bits) - 1;
}

static inline unsigned int va_bits(enum gln_hpt_isa isa)
{
	return isa == GLN_HPT_ISA_2_07 ? VA_BITS : VA_BITS_3_0;
}

/** glni_power_segment() - the segment that effective address @ea is in. */
const struct segment *glni_power_segment(const struct power_vcpu *power,
					 uint64_t ea);

/**
 * glni_power_refuse() - what HDSISR says against an access, 0 if nothing.
 * @r:		the entry's second doubleword.
 */
uint64_t glni_power_refuse(const struct power_vcpu *power,
			   const struct segment *segment, uint64_t r,
			   uint32_t access);

/** glni_power_search() - fill in what the table has for @search->va. */
enum outcome glni_power_search(struct gln_model_vcpu *vcpu,
			       struct search *search);

/**
 * glni_power_lp() - the page sizes that an LP field of 8 bits means where L is
 * 1; false if none.
 */
bool glni_power_lp(uint64_t lp, struct gln_hpte_size *size);

/** glni_power_note() - set R, C or both in an entry, and count it. */
void glni_power_note(struct gln_model_vcpu *vcpu, struct hpte *entry,
		     uint64_t bits);

/** glni_power_find() - the translation of @va of just this size, or NULL. */
struct page *glni_power_find(struct power_tlb *tlb, const struct va *va,
			     struct gln_hpte_size size);

/** glni_power_put() - keep @page; what it replaces pays what it owes. */
void glni_power_put(struct gln_model_vcpu *vcpu, const struct page *page);

/** glni_power_pay() - set C in the table if @page owes it. */
void glni_power_pay(struct gln_model_vcpu *vcpu, struct page *page);

#endif
