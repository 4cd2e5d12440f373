/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what a POWER CPU does with a hashed page table (Power ISA 2.07 book
 * III-S 5.7; 3.0 book III 5.7).
 *
 * Written from the manual; of the engine it knows the layout of an entry. As
 * hostile as the manual allows:
 *
 *   - a translation stays in use, to refuse an access as well, until a tlbie
 *     names it;
 *   - of two pages of different size that translate an address, either is used;
 *   - C is owed to the entry, from the store until the tlbie that names the
 *     page: until then it may not be there, when the tlbie returns it is, even
 *     if the entry is no longer valid;
 *   - a store through a translation that came by a load need not look at the
 *     table again: it may owe C as well.
 *
 * R is set by the walk. An access that is refused sets neither. A vCPU that is
 * destroyed pays nothing: the table may be gone. So whoever wants to know what
 * was written harvests first.
 */
#include "backends/book3s_hv/model.h"

#include <errno.h>

#include "core/base/assert.h"

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
	VA_BITS = 78,
	VA_BITS_3_0 = 68,
	B_SHIFT = 62,	  /* in V */
	B_SHIFT_3_0 = 58, /* in R */
	B_MASK = 3,
};

enum {
	LP_MASK = 0xff,
	AMR_TOP = 62, /* key 0 is the highest pair */
	AMR_READ = 1, /* what it denies */
	AMR_WRITE = 2,
	HASH_1T_SHIFT = 25,
	COIN = 500,
	/* How often a store pays what its page has owed for some time. */
	PAY_PERMILLE = 20,
};

enum { NR_SIZES = 4 };
static const unsigned int page_shifts[NR_SIZES] = {12, 16, 24, 34};

static uint64_t low_mask(unsigned int bits)
{
	return (UINT64_C(1) << bits) - 1;
}

static unsigned int va_bits(enum gln_hpt_isa isa)
{
	return isa == GLN_HPT_ISA_2_07 ? VA_BITS : VA_BITS_3_0;
}

/* Segments. */

/* Base page size: L and LP of an SLB entry (PAPR ibm,segment-page-sizes). */
static unsigned int slb_page_shift(uint64_t slb)
{
	switch (slb & (GLN_SLB_L | GLN_SLB_LP)) {
	case 0:
		return 12;
	case GLN_SLB_L | GLN_SLB_LP_64K:
		return 16;
	case GLN_SLB_L:
		return 24;
	case GLN_SLB_L | GLN_SLB_LP_16G:
		return 34;
	default:
		return 0;
	}
}

/* What there is of a VSID follows from how long a virtual address is. */
static uint64_t slb_vsid(enum gln_hpt_isa isa, uint64_t slb)
{
	const uint64_t field = slb & ~GLN_SLB_B;

	if (slb & GLN_SLB_1TB)
		return field >> GLN_SLB_VSID_SHIFT_1T &
		       low_mask(va_bits(isa) - SEGMENT_1T);
	return field >> GLN_SLB_VSID_SHIFT &
	       low_mask(va_bits(isa) - SEGMENT_256M);
}

int gln_hpt_model_slb(struct gln_model_vcpu *vcpu, unsigned int index,
		      uint64_t esid, uint64_t slb)
{
	struct segment segment = {
		.esid = esid,
		.slb = slb,
		.shift = slb & GLN_SLB_1TB ? SEGMENT_1T : SEGMENT_256M,
		.page_shift = slb_page_shift(slb),
		.vsid = slb_vsid(power_model_of(vcpu)->isa, slb),
	};

	if (index >= GLN_HPT_MODEL_SLB_ENTRIES)
		return -EINVAL;
	if (!(esid & GLN_HPT_MODEL_SLB_VALID)) {
		power_of(vcpu)->segments[index].shift = 0;
		return 0;
	}
	if ((slb & GLN_SLB_B) > GLN_SLB_1TB || !segment.page_shift ||
	    segment.page_shift > segment.shift)
		return -EINVAL;
	power_of(vcpu)->segments[index] = segment;
	return 0;
}

void gln_hpt_model_state(struct gln_model_vcpu *vcpu, uint64_t amr,
			 uint32_t flags)
{
	gln_assert(!(flags & ~GLN_HPT_PROBLEM));

	power_of(vcpu)->amr = amr;
	power_of(vcpu)->is_problem = flags & GLN_HPT_PROBLEM;
}

/* Two that match are a machine check on some CPUs; here the first is used. */
static const struct segment *find_segment(const struct power_vcpu *power,
					  uint64_t ea)
{
	for (unsigned int i = 0; i < GLN_HPT_MODEL_SLB_ENTRIES; i++) {
		const struct segment *const segment = &power->segments[i];

		if (segment->shift && !((segment->esid ^ ea) >> segment->shift))
			return segment;
	}
	return NULL;
}

/* Rights. */

/*
 * What PP allows (ISA 2.07 book III-S figure 38), by PP0 and PP: key 0, then
 * key 1. PP0 with anything but 2 is reserved, and treated like PP0 with 2.
 */
static const uint32_t pp_rights[2][8] = {
	{
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ | GLN_ACCESS_WRITE,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
		GLN_ACCESS_READ,
	},
	{0, GLN_ACCESS_READ, GLN_ACCESS_READ | GLN_ACCESS_WRITE,
	 GLN_ACCESS_READ},
};

static bool pp_allows(const struct power_vcpu *power,
		      const struct segment *segment, uint64_t r,
		      uint32_t access)
{
	const uint64_t key = power->is_problem ? GLN_SLB_KP : GLN_SLB_KS;
	const unsigned int pp = (r & GLN_HPTE_R_PP0 ? 4 : 0) +
				(unsigned int)(r & GLN_HPTE_R_PP);

	return pp_rights[segment->slb & key ? 1 : 0][pp] & access;
}

/* Virtual page class keys (5.7.9.1 there): two bits of AMR for each of 32. */
static bool key_allows(const struct power_vcpu *power, uint64_t r,
		       uint32_t access)
{
	const unsigned int high = (unsigned int)(r >> 60) & 3;
	const unsigned int low = (unsigned int)(r >> 9) & 7;
	const unsigned int key = high << 3 | low;
	const uint64_t denied = power->amr >> (AMR_TOP - 2 * key);

	return !(denied & (access == GLN_ACCESS_WRITE ? AMR_WRITE : AMR_READ));
}

/* AMR is for data. Guarded storage is not for instructions. */
static uint64_t refuse_fetch(const struct power_vcpu *power,
			     const struct segment *segment, uint64_t r)
{
	if (r & (GLN_HPTE_R_N | GLN_HPTE_R_G))
		return GLN_DSISR_NOEXEC;
	if (!pp_allows(power, segment, r, GLN_ACCESS_READ))
		return GLN_DSISR_PROTFAULT;
	return 0;
}

/* What HDSISR says against an access; 0 if nothing. */
static uint64_t refuse(const struct power_vcpu *power,
		       const struct segment *segment, uint64_t r,
		       uint32_t access)
{
	uint64_t why = 0;

	if (access == GLN_ACCESS_EXEC)
		return refuse_fetch(power, segment, r);
	if (!pp_allows(power, segment, r, access))
		why |= GLN_DSISR_PROTFAULT;
	if (!key_allows(power, r, access))
		why |= GLN_DSISR_KEYFAULT;
	return why;
}

/* The search of the table. */

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

static enum outcome search_table(struct gln_model_vcpu *vcpu,
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

/* Referenced and changed. */

/*
 * Relaxed: whoever takes R or C needs nothing that came before it, and waits
 * for what comes after by a tlbie.
 */
void glni_power_note(struct gln_model_vcpu *vcpu, struct hpte *entry,
		     uint64_t bits)
{
	const uint64_t before =
		hpte_be(gln_fetch_or_relaxed(&entry->r, hpte_be(bits)));

	if (bits & ~before & GLN_HPTE_R_R)
		glni_model_count(vcpu, MODEL_ACCESSED_UPDATES, 1);
	if (bits & ~before & GLN_HPTE_R_C)
		glni_model_count(vcpu, MODEL_DIRTY_UPDATES, 1);
}

/* The translation that a search found, before anything is noted. */
static struct page page_of(enum gln_hpt_isa isa, const struct search *search)
{
	const uint64_t rpn =
		isa == GLN_HPT_ISA_2_07 ? GLN_HPTE_R_RPN : HPTE_R_RPN_3_0;
	/* What LP displaced from the RPN is below the page's size. */
	const uint64_t frame = ~low_mask(search->size.actual);

	return (struct page){
		.va = {.segment_shift = search->va.segment_shift,
		       .vsid = search->va.vsid,
		       .offset = search->va.offset & frame},
		.size = search->size,
		.hpa = search->r & rpn & frame,
		.r = search->r,
		.entry = search->entry,
		.is_changed = search->r & GLN_HPTE_R_C,
	};
}

/* Note what an access that is permitted has to, and keep how it went. */
static void note_and_keep(struct gln_model_vcpu *vcpu, struct page *page,
			  uint32_t access)
{
	uint64_t due = GLN_HPTE_R_R;

	if (access == GLN_ACCESS_WRITE && !page->is_changed) {
		page->is_changed = true;
		page->owes = glni_model_is_late(vcpu);
		if (!page->owes)
			due |= GLN_HPTE_R_C;
	}
	if (due & ~page->r)
		glni_power_note(vcpu, page->entry, due);
	glni_power_put(vcpu, page);
}

/* Accesses. */

/** struct request - an access on its way. */
struct request {
	const struct segment *segment;
	struct va va;
	uint32_t access;
};

/* Small pages first or large ones, as a coin shows. */
static struct page *look_up(struct gln_model_vcpu *vcpu,
			    const struct request *request)
{
	const bool is_downward = glni_model_chance(vcpu, COIN);

	for (size_t i = 0; i < NR_SIZES; i++) {
		const struct gln_hpte_size size = {
			.base = request->segment->page_shift,
			.actual =
				page_shifts[is_downward ? NR_SIZES - 1 - i : i],
		};
		struct page *const page = glni_power_find(&power_of(vcpu)->tlb,
							  &request->va, size);

		if (page)
			return page;
	}
	return NULL;
}

/*
 * A search that no access asked for, of the page itself or of the next: given
 * up where R would have to be set. Pages of two sizes for one address may both
 * be known then; one of a size that is known already stays as it is.
 */
static void fill_eagerly(struct gln_model_vcpu *vcpu,
			 const struct request *request)
{
	struct search search = {
		.va = request->va,
		.page_shift = request->segment->page_shift,
	};
	struct page page;

	if (glni_model_chance(vcpu, COIN))
		search.va.offset ^= UINT64_C(1) << search.page_shift;
	if (search_table(vcpu, &search) != FOUND ||
	    !(search.r & GLN_HPTE_R_R) ||
	    refuse(power_of(vcpu), request->segment, search.r, GLN_ACCESS_READ))
		return;
	if (glni_power_find(&power_of(vcpu)->tlb, &search.va, search.size))
		return;
	page = page_of(power_model_of(vcpu)->isa, &search);
	glni_power_put(vcpu, &page);
}

/* The address of an access within its page, in memory. */
static enum gln_model_reason use(struct gln_model_vcpu *vcpu,
				 const struct request *request,
				 const struct page *page, gln_word **word)
{
	const uint64_t offset =
		request->va.offset & low_mask(page->size.actual);

	*word = glni_model_memory(vcpu->model, page->hpa | offset);
	return *word ? GLN_MODEL_DONE : GLN_MODEL_MISCONFIG;
}

static enum gln_model_reason fault(uint64_t why, uint32_t access,
				   struct gln_model_exit *exit)
{
	exit->syndrome = why;
	if (access == GLN_ACCESS_WRITE)
		exit->syndrome |= GLN_DSISR_ISSTORE;
	return GLN_MODEL_FAULT;
}

/* False where this store has to ask the table, to have C set there. */
static bool may_store(struct gln_model_vcpu *vcpu, struct page *page)
{
	if (page->owes && glni_model_chance(vcpu, PAY_PERMILLE))
		glni_power_pay(vcpu, page);
	if (page->is_changed)
		return true;
	page->owes = page->is_changed = glni_model_is_late(vcpu);
	return page->is_changed;
}

static enum gln_model_reason translate_by_table(struct gln_model_vcpu *vcpu,
						const struct request *request,
						gln_word **word,
						struct gln_model_exit *exit)
{
	struct search search = {
		.va = request->va,
		.page_shift = request->segment->page_shift,
	};
	const enum outcome outcome = search_table(vcpu, &search);
	struct page page;
	uint64_t why;

	if (outcome == NO_MEMORY)
		return GLN_MODEL_MISCONFIG;
	if (outcome == NOT_FOUND)
		return fault(GLN_DSISR_NOHPTE, request->access, exit);
	why = refuse(power_of(vcpu), request->segment, search.r,
		     request->access);
	if (why)
		return fault(why, request->access, exit);

	page = page_of(power_model_of(vcpu)->isa, &search);
	note_and_keep(vcpu, &page, request->access);
	glni_model_pause(vcpu);
	return use(vcpu, request, &page, word);
}

static enum gln_model_reason translate_in(struct gln_model_vcpu *vcpu,
					  const struct request *request,
					  gln_word **word,
					  struct gln_model_exit *exit)
{
	struct page *page;
	uint64_t why;

	if (glni_model_is_eager(vcpu))
		fill_eagerly(vcpu, request);
	page = look_up(vcpu, request);
	if (!page)
		return translate_by_table(vcpu, request, word, exit);

	why = refuse(power_of(vcpu), request->segment, page->r,
		     request->access);
	if (why)
		return fault(why, request->access, exit);
	if (request->access == GLN_ACCESS_WRITE && !may_store(vcpu, page))
		return translate_by_table(vcpu, request, word, exit);

	glni_model_count(vcpu, MODEL_TLB_HITS, 1);
	return use(vcpu, request, page, word);
}

static enum gln_model_reason translate(struct gln_model_vcpu *vcpu,
				       uint32_t access, gln_word **word,
				       struct gln_model_exit *exit)
{
	const struct segment *const segment =
		find_segment(power_of(vcpu), exit->gpa);

	if (!segment)
		return GLN_MODEL_NO_SEGMENT;

	const struct request request = {
		.segment = segment,
		.va = {.segment_shift = segment->shift,
		       .vsid = segment->vsid,
		       .offset = exit->gpa & low_mask(segment->shift)},
		.access = access,
	};

	exit->hpfar = segment->slb;
	if (access == GLN_ACCESS_EXEC && (segment->slb & GLN_SLB_N))
		return fault(GLN_DSISR_NOEXEC, access, exit);
	return translate_in(vcpu, &request, word, exit);
}

/* The machine. */

static void vcpu_init(struct gln_model_vcpu *vcpu)
{
	(void)vcpu; /* zeroed: nothing is valid, nothing is kept */
}

int gln_hpt_model_create(const struct gln_model_params *params,
			 enum gln_hpt_isa isa, uint32_t lpid,
			 struct gln_model **theirs)
{
	static const struct glni_model_ops ops = {
		.vcpu_bytes = sizeof(struct power_vcpu),
		.vcpu_init = vcpu_init,
		.translate = translate,
	};
	struct gln_model *model;
	int err;

	if (isa != GLN_HPT_ISA_2_07 && isa != GLN_HPT_ISA_3_0)
		return -EINVAL;
	err = glni_model_create(params, &ops, sizeof(struct power_model),
				&model);
	if (err)
		return err;

	((struct power_model *)(void *)model)->isa = isa;
	((struct power_model *)(void *)model)->lpid = lpid;
	*theirs = model;
	return 0;
}
