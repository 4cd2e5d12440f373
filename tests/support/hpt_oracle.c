/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_oracle.c - hypercalls, one after the other, on an array.
 *
 * An entry is used or it is not; nothing else is known of it. Bits are those of
 * the Power ISA 2.07, book III-S 5.7.7, and of PAPR 14.5.4.
 */
#include "tests/support/hpt_oracle.h"

#include <errno.h>
#include <stdlib.h>

/* V. */
#define V_1T	   (UINT64_C(1) << 62)
#define V_B_BAD	   (UINT64_C(1) << 63)
#define V_L	   (UINT64_C(1) << 2)
#define V_H	   (UINT64_C(1) << 1)
#define V_USED	   (UINT64_C(1) << 0)
#define V_COMPARED (~UINT64_C(0x7f))
/* What a guest may give: neither the bits of the hypervisor nor VALID. */
#define V_GIVEN	   (~UINT64_C(0x61))
/* What there is room for since ISA 3.0: 68 bits of address, and B. */
#define V_KEPT_3_0 (UINT64_C(0xc000000000000000) | ((UINT64_C(1) << 52) - 1))

/* R. */
#define R_PP0	   (UINT64_C(1) << 63)
#define R_RESERVED (UINT64_C(1) << 62)
#define R_KEY_HI   (UINT64_C(3) << 60)
#define R_ADDRESS  UINT64_C(0x0ffffffffffff000)
#define R_KEY_LO   (UINT64_C(7) << 9)
#define R_R	   (UINT64_C(1) << 8)
#define R_C	   (UINT64_C(1) << 7)
#define R_G	   (UINT64_C(1) << 3)
#define R_N	   (UINT64_C(1) << 2)
#define R_PP	   UINT64_C(3)

/* An SLB entry. */
#define SLB_1T	 (UINT64_C(1) << 62)
#define SLB_B	 (UINT64_C(3) << 62)
#define SLB_KS	 (UINT64_C(1) << 11)
#define SLB_KP	 (UINT64_C(1) << 10)
#define SLB_N	 (UINT64_C(1) << 9)
#define SLB_SIZE UINT64_C(0x130) /* L and LP */

/* Flags, as PAPR numbers bits: from the left. */
#define FLAG(n)	  (UINT64_C(1) << (63 - (n)))
#define F_EXACT	  FLAG(24)
#define F_READ_4  FLAG(26)
#define F_AVPN	  FLAG(32)
#define F_ANDCOND FLAG(33)
#define F_COPY	  FLAG(49)
#define F_PAGE_INIT                                                        \
	(FLAG(28) | FLAG(29) | FLAG(30) | FLAG(31) | FLAG(40) | FLAG(41) | \
	 FLAG(48) | F_COPY)

int oracle_init(struct oracle *oracle, enum gln_hpt_isa isa, unsigned int order)
{
	*oracle = (struct oracle){
		.isa = isa,
		.nr_entries = (UINT64_C(1) << order) / 16,
	};
	oracle->entries =
		calloc((size_t)oracle->nr_entries, sizeof(*oracle->entries));
	return oracle->entries ? 0 : -ENOMEM;
}

void oracle_fini(struct oracle *oracle)
{
	free(oracle->entries);
}

static bool is_used(const struct oracle_entry *entry)
{
	return entry->v & V_USED;
}

/* Page sizes. */

bool oracle_shifts(uint64_t v, uint64_t r, unsigned int *base,
		   unsigned int *actual)
{
	/* The low nibble of LP; the high one, or -1 if it is address. */
	static const struct {
		int low, high;
		unsigned int base, actual;
	} sizes[] = {
		{0x0, 0, 24, 24},  {0x1, -1, 16, 16}, {0x3, 0, 34, 34},
		{0x7, -1, 12, 16}, {0x8, 0, 16, 24},  {0x8, 3, 12, 24},
	};
	const int low = (int)(r >> 12 & 15);
	const int high = (int)(r >> 16 & 15);

	if (!(v & V_L)) {
		*base = *actual = 12;
		return true;
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i].low != low ||
		    (sizes[i].high >= 0 && sizes[i].high != high))
			continue;
		*base = sizes[i].base;
		*actual = sizes[i].actual;
		return true;
	}

	return false;
}

static uint64_t page_bytes(const struct oracle_entry *entry)
{
	unsigned int base = 0, actual = 0;

	(void)oracle_shifts(entry->v, entry->r, &base, &actual);
	return UINT64_C(1) << actual;
}

uint64_t oracle_gpa(const struct oracle_entry *entry)
{
	return entry->r & R_ADDRESS & ~(page_bytes(entry) - 1);
}

/* Memory. */

const struct oracle_slot *oracle_slot_at(const struct oracle *oracle,
					 uint64_t gpa)
{
	for (size_t i = 0; i < oracle->nr_slots; i++) {
		const struct oracle_slot *const slot = &oracle->slots[i];

		if (gpa >= slot->base && gpa - slot->base < slot->bytes)
			return slot;
	}

	return NULL;
}

static bool is_mmio(const struct oracle *oracle,
		    const struct oracle_entry *entry)
{
	return !oracle_slot_at(oracle, oracle_gpa(entry));
}

/* Changes. */

static void change(struct oracle *oracle, uint64_t index,
		   struct oracle_entry now, struct oracle_undo *undo)
{
	if (undo) {
		undo->changes[undo->nr].index = index;
		undo->changes[undo->nr++].was = oracle->entries[index];
	}
	oracle->entries[index] = now;
}

void oracle_undo(struct oracle *oracle, const struct oracle_undo *undo)
{
	for (unsigned int i = undo->nr; i--;)
		oracle->entries[undo->changes[i].index] = undo->changes[i].was;
}

static void give(struct oracle_answer *answer, unsigned int i, uint64_t value)
{
	answer->rets[i] = value;
	answer->written |= 1U << i;
}

/* Calls: each returns its code. */

/* A place for a new entry, or nr_entries. */
static uint64_t find_place(const struct oracle *oracle, uint64_t flags,
			   uint64_t index)
{
	const uint64_t group = index - index % ORACLE_GROUP;

	if (flags & F_EXACT)
		return is_used(&oracle->entries[index]) ? oracle->nr_entries
							: index;
	for (uint64_t i = group; i < group + ORACLE_GROUP; i++)
		if (!is_used(&oracle->entries[i]))
			return i;
	return oracle->nr_entries;
}

static int64_t enter(struct oracle *oracle, const uint64_t *args,
		     struct oracle_answer *answer, struct oracle_undo *undo)
{
	struct oracle_entry entry = {args[2] & V_GIVEN, args[3] & ~R_RESERVED};
	const struct oracle_slot *slot;
	unsigned int base, actual;
	uint64_t page, place;

	if (args[2] & V_B_BAD ||
	    !oracle_shifts(args[2], args[3], &base, &actual))
		return GLN_H_PARAMETER;
	page = UINT64_C(1) << actual;
	slot = oracle_slot_at(oracle, oracle_gpa(&entry));
	if (slot && (slot->base % page || slot->bytes % page))
		return GLN_H_PARAMETER;
	place = find_place(oracle, args[0], args[1]);
	if (place == oracle->nr_entries)
		return GLN_H_PTEG_FULL;

	if (oracle->isa == GLN_HPT_ISA_3_0)
		entry.v &= V_KEPT_3_0;
	entry.v |= V_USED;
	change(oracle, place, entry, undo);
	give(answer, 0, place);
	return GLN_H_SUCCESS;
}

static bool is_meant(const struct oracle_entry *entry, bool by_avpn,
		     bool by_and, uint64_t avpn)
{
	return is_used(entry) &&
	       !(by_avpn && (entry->v & V_COMPARED) != avpn) &&
	       !(by_and && (entry->v & avpn));
}

static struct oracle_entry take(struct oracle *oracle, uint64_t index,
				struct oracle_answer *answer,
				struct oracle_undo *undo)
{
	const struct oracle_entry was = oracle->entries[index];

	answer->mmio_gone |= is_mmio(oracle, &was);
	change(oracle, index, (struct oracle_entry){0, 0}, undo);
	return was;
}

static int64_t remove_one(struct oracle *oracle, const uint64_t *args,
			  struct oracle_answer *answer,
			  struct oracle_undo *undo)
{
	struct oracle_entry was;

	if (!is_meant(&oracle->entries[args[1]], args[0] & F_AVPN,
		      args[0] & F_ANDCOND, args[2]))
		return GLN_H_NOT_FOUND;
	was = take(oracle, args[1], answer, undo);
	give(answer, 0, was.v);
	give(answer, 1, was.r);
	return GLN_H_SUCCESS;
}

/* What the top byte of a request says, and of an answer. */
enum {
	BULK_REQUEST = 1,
	BULK_END = 3,
	BULK_ANDCOND = 1,
	BULK_AVPN = 2,
	BULK_BAD_FLAGS = 3,
	BULK_SUCCESS = 0x80,
	BULK_NOT_FOUND = 0x90,
	BULK_PARAMETER = 0xa0,
};

static int64_t remove_bulk(struct oracle *oracle, const uint64_t *args,
			   struct oracle_answer *answer,
			   struct oracle_undo *undo)
{
	for (unsigned int i = 0; i < 2 * ORACLE_MAX_BULK; i += 2) {
		const unsigned int type = (unsigned int)(args[i] >> 62);
		const uint64_t flags = args[i] >> 56 & 3;
		const uint64_t index = args[i] & ((UINT64_C(1) << 56) - 1);
		uint64_t code = BULK_NOT_FOUND, rc = 0;

		if (type == BULK_END)
			break;
		if (type != BULK_REQUEST || flags == BULK_BAD_FLAGS ||
		    index >= oracle->nr_entries) {
			give(answer, i, (BULK_PARAMETER | flags) << 56 | index);
			return GLN_H_PARAMETER;
		}
		if (is_meant(&oracle->entries[index], flags == BULK_AVPN,
			     flags == BULK_ANDCOND, args[i + 1])) {
			code = BULK_SUCCESS;
			rc = take(oracle, index, answer, undo).r & (R_R | R_C);
		}
		/* R is bit 59 of the answer, C is bit 58. */
		give(answer, i, (code | flags) << 56 | rc << 51 | index);
	}

	return GLN_H_SUCCESS;
}

static int64_t protect(struct oracle *oracle, const uint64_t *args,
		       struct oracle_answer *answer, struct oracle_undo *undo)
{
	const uint64_t low = R_PP | R_N | R_KEY_LO;
	struct oracle_entry entry = oracle->entries[args[1]];

	if (!is_meant(&entry, args[0] & F_AVPN, false, args[2]))
		return GLN_H_NOT_FOUND;
	entry.r &= ~(R_PP0 | R_KEY_HI | low);
	entry.r |= (args[0] & low) | (args[0] << 48 & R_KEY_HI) |
		   (args[0] << 55 & R_PP0);
	answer->mmio_gone = is_mmio(oracle, &entry);
	change(oracle, args[1], entry, undo);
	return GLN_H_SUCCESS;
}

static int64_t read_entries(const struct oracle *oracle, const uint64_t *args,
			    struct oracle_answer *answer)
{
	const unsigned int nr = args[0] & F_READ_4 ? 4 : 1;
	const uint64_t first = args[1] - args[1] % nr;

	for (unsigned int i = 0; i < nr; i++) {
		give(answer, 2 * i, oracle->entries[first + i].v);
		give(answer, 2 * i + 1, oracle->entries[first + i].r);
	}
	return GLN_H_SUCCESS;
}

static int64_t clear_bit(struct oracle *oracle, const uint64_t *args,
			 uint64_t bit, struct oracle_answer *answer,
			 struct oracle_undo *undo)
{
	struct oracle_entry entry = oracle->entries[args[1]];

	if (!is_used(&entry))
		return GLN_H_NOT_FOUND;
	give(answer, 0, entry.r);
	entry.r &= ~bit;
	change(oracle, args[1], entry, undo);
	return GLN_H_SUCCESS;
}

/* It is the caller's memory: the oracle says only whether it may be done. */
static int64_t page_init(const struct oracle *oracle, const uint64_t *args)
{
	const uint64_t in_page = (UINT64_C(1) << ORACLE_PAGE_SHIFT) - 1;
	const bool copies = args[0] & F_COPY;
	const bool writes = args[0] & (F_COPY | FLAG(48));

	if (args[0] & ~F_PAGE_INIT || args[1] & in_page ||
	    (copies && args[2] & in_page))
		return GLN_H_PARAMETER;
	if ((writes && !oracle_slot_at(oracle, args[1])) ||
	    (copies && !oracle_slot_at(oracle, args[2])))
		return GLN_H_PARAMETER;
	return GLN_H_SUCCESS;
}

static int64_t call_entry(struct oracle *oracle, uint64_t nr,
			  const uint64_t *args, struct oracle_answer *answer,
			  struct oracle_undo *undo)
{
	if (args[1] >= oracle->nr_entries)
		return GLN_H_PARAMETER;
	switch (nr) {
	case 0x04:
		return remove_one(oracle, args, answer, undo);
	case 0x08:
		return enter(oracle, args, answer, undo);
	case 0x0c:
		return read_entries(oracle, args, answer);
	case 0x10:
		return clear_bit(oracle, args, R_C, answer, undo);
	case 0x14:
		return clear_bit(oracle, args, R_R, answer, undo);
	default:
		return protect(oracle, args, answer, undo);
	}
}

void oracle_call(struct oracle *oracle, uint64_t nr, const uint64_t *args,
		 struct oracle_answer *answer, struct oracle_undo *undo)
{
	*answer = (struct oracle_answer){.written = 0};
	if (undo)
		undo->nr = 0;
	switch (nr) {
	case 0x04:
	case 0x08:
	case 0x0c:
	case 0x10:
	case 0x14:
	case 0x18:
		answer->code = call_entry(oracle, nr, args, answer, undo);
		return;
	case 0x2c:
		answer->code = page_init(oracle, args);
		return;
	case 0x124:
		answer->code = remove_bulk(oracle, args, answer, undo);
		return;
	default:
		answer->code = GLN_H_FUNCTION;
	}
}

void oracle_note(struct oracle *oracle, uint64_t index, uint64_t rc)
{
	oracle->entries[index].r |= rc & (R_R | R_C);
}

/* Translation. */

static unsigned int slb_shift(uint64_t slb)
{
	switch (slb & SLB_SIZE) {
	case 0x100:
		return 24;
	case 0x110:
		return 16;
	case 0x120:
		return 34;
	default:
		return 12;
	}
}

static unsigned int segment_shift(uint64_t slb)
{
	return slb & SLB_1T ? 40 : 28;
}

static uint64_t in_segment(uint64_t slb, uint64_t ea)
{
	return ea & ((UINT64_C(1) << segment_shift(slb)) - 1);
}

static uint64_t vsid_of(uint64_t slb)
{
	return (slb & ~SLB_B) >> (slb & SLB_1T ? 24 : 12);
}

uint64_t oracle_group(const struct oracle *oracle, uint64_t slb, uint64_t ea,
		      bool is_secondary)
{
	const uint64_t vsid = vsid_of(slb);
	uint64_t hash = vsid ^ in_segment(slb, ea) >> slb_shift(slb);

	if (slb & SLB_1T)
		hash ^= vsid << 25;
	if (is_secondary)
		hash = ~hash;
	return hash % (oracle->nr_entries / ORACLE_GROUP);
}

uint64_t oracle_vpn(uint64_t slb, uint64_t ea)
{
	const unsigned int shift = slb_shift(slb);
	/* Bits of the virtual address, less the 16 that V has no place for. */
	const uint64_t avpn = vsid_of(slb) << (segment_shift(slb) - 16) |
			      (in_segment(slb, ea) >> shift << shift) >> 16;

	return (slb & SLB_B) | (avpn & V_COMPARED);
}

static bool finds(const struct oracle *oracle, uint64_t index, uint64_t slb,
		  uint64_t ea, bool is_secondary)
{
	const struct oracle_entry *const entry = &oracle->entries[index];
	unsigned int base, actual;

	return is_used(entry) &&
	       (entry->v & V_COMPARED) == oracle_vpn(slb, ea) &&
	       !(entry->v & V_H) == !is_secondary &&
	       oracle_shifts(entry->v, entry->r, &base, &actual) &&
	       base == slb_shift(slb);
}

static bool find(const struct oracle *oracle, uint64_t slb, uint64_t ea,
		 uint64_t *index)
{
	for (unsigned int hash = 0; hash < 2; hash++) {
		const uint64_t first =
			oracle_group(oracle, slb, ea, hash) * ORACLE_GROUP;

		for (uint64_t i = first; i < first + ORACLE_GROUP; i++) {
			if (!finds(oracle, i, slb, ea, hash))
				continue;
			*index = i;
			return true;
		}
	}

	return false;
}

/* PP0 and PP with the key of the segment. */
static bool pp_reads(unsigned int pp, bool key)
{
	return key ? pp == 1 || pp == 2 || pp == 3 : true;
}

static bool pp_writes(unsigned int pp, bool key)
{
	return key ? pp == 2 : pp <= 2;
}

/* Bit 0 of the pair denies reads, bit 1 writes. */
static unsigned int storage_key(uint64_t amr, uint64_t r)
{
	const unsigned int key =
		(unsigned int)((r >> 60 & 3) << 3 | (r >> 9 & 7));

	return (unsigned int)(amr >> (62 - 2 * key) & 3);
}

/* DSISR of what is refused, all that applies; 0: nothing is. */
static uint64_t refused(const struct gln_hpt_fault *fault, uint64_t r)
{
	const bool key =
		fault->slb & (fault->flags & GLN_HPT_PROBLEM ? SLB_KP : SLB_KS);
	const unsigned int pp = (unsigned int)((r & R_PP) | (r >> 63) << 2);
	const bool writes = fault->access & GLN_ACCESS_WRITE;
	uint64_t why = 0;

	if (!(writes ? pp_writes(pp, key) : pp_reads(pp, key)))
		why |= GLN_DSISR_PROTFAULT;
	if (fault->access & GLN_ACCESS_EXEC) {
		if (fault->slb & SLB_N || r & (R_N | R_G))
			why |= GLN_DSISR_NOEXEC;
	} else if (storage_key(fault->amr, r) & (writes ? 2 : 1)) {
		why |= GLN_DSISR_KEYFAULT;
	}
	return why && writes ? why | GLN_DSISR_ISSTORE : why;
}

bool oracle_allows(const struct gln_hpt_fault *fault, uint64_t r)
{
	return !refused(fault, r);
}

enum oracle_fault oracle_fault(const struct oracle *oracle,
			       struct gln_hpt_fault *fault, uint64_t *index)
{
	const bool writes = fault->access & GLN_ACCESS_WRITE;
	const struct oracle_entry *entry;
	const struct oracle_slot *slot;
	uint64_t page;

	if (!find(oracle, fault->slb, fault->ea, index)) {
		fault->dsisr =
			GLN_DSISR_NOHPTE | (writes ? GLN_DSISR_ISSTORE : 0);
		return ORACLE_REFLECT;
	}
	entry = &oracle->entries[*index];
	fault->dsisr = refused(fault, entry->r);
	if (fault->dsisr)
		return ORACLE_REFLECT;
	page = oracle_gpa(entry);
	fault->gpa = page | (fault->ea & (page_bytes(entry) - 1));
	slot = oracle_slot_at(oracle, page);
	if (!slot)
		return ORACLE_MMIO;
	return slot->is_read_only && writes ? ORACLE_READ_ONLY : ORACLE_ALLOWED;
}
