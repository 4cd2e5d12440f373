/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_tlb.c - translations that a POWER CPU keeps, and tlbie (Power ISA 2.07
 * book III-S 5.9.3.3; 3.0 book III 5.9.3.3).
 *
 * A translation goes when a tlbie names its partition, segment size, page sizes
 * and address, all of them right, or when another takes its place. What it owes
 * the table is paid then at the latest, to the entry it came from, whatever has
 * become of that: the architecture has C in memory when the tlbie is complete,
 * and does not ask whether the entry is valid still.
 */
#include <string.h>

#include "backends/book3s_hv/model.h"

/* Places are direct-mapped; segments of a guest are spread over them. */

#define SPREAD UINT64_C(0x9e3779b1) /* an odd number without a pattern */

/** struct places - of pages of one size. */
struct places {
	unsigned int shift;
	size_t first;
	size_t nr; /* a power of 2: pages of a segment never get in each
		    * other's way while they are no more than that */
};

static const struct places places[] = {
	{12, 0, PLACES_4K},
	{16, PLACES_4K, PLACES_64K},
	{24, PLACES_4K + PLACES_64K, PLACES_16M},
	{34, PLACES_4K + PLACES_64K + PLACES_16M, PLACES_16G},
};

/*
 * The low 64 bits of a virtual address. More of it does not go into RB, so that
 * tlbie takes pages along that differ only further up.
 */
static uint64_t low_bits(const struct va *va)
{
	return va->vsid << va->segment_shift | va->offset;
}

static struct page *place_of(struct power_tlb *tlb, uint64_t low,
			     unsigned int segment_shift, unsigned int shift)
{
	const struct places *at = places;

	while (at->shift != shift)
		at++;

	const uint64_t spread = (low >> segment_shift) * SPREAD >> 16;

	return &tlb->pages[at->first +
			   ((low >> shift ^ spread) & (at->nr - 1))];
}

static bool is_same_size(struct gln_hpte_size a, struct gln_hpte_size b)
{
	return a.base == b.base && a.actual == b.actual;
}

struct page *glni_power_find(struct power_tlb *tlb, const struct va *va,
			     struct gln_hpte_size size)
{
	struct page *const page =
		place_of(tlb, low_bits(va), va->segment_shift, size.actual);

	if (!is_same_size(page->size, size) ||
	    page->va.segment_shift != va->segment_shift ||
	    page->va.vsid != va->vsid ||
	    (page->va.offset ^ va->offset) >> size.actual)
		return NULL;
	return page;
}

void glni_power_pay(struct gln_model_vcpu *vcpu, struct page *page)
{
	if (!page->owes)
		return;
	glni_power_note(vcpu, page->entry, GLN_HPTE_R_C);
	page->owes = false;
}

static void drop(struct gln_model_vcpu *vcpu, struct page *page)
{
	if (!page->size.actual)
		return;
	glni_power_pay(vcpu, page);
	page->size.actual = 0;
	power_of(vcpu)->tlb.nr_used--;
}

void glni_power_put(struct gln_model_vcpu *vcpu, const struct page *page)
{
	struct power_tlb *const tlb = &power_of(vcpu)->tlb;
	struct page *const place =
		place_of(tlb, low_bits(&page->va), page->va.segment_shift,
			 page->size.actual);

	drop(vcpu, place);
	*place = *page;
	tlb->nr_used++;
}

static uint64_t drop_all(struct gln_model_vcpu *vcpu)
{
	struct power_tlb *const tlb = &power_of(vcpu)->tlb;
	const uint64_t dropped = tlb->nr_used;

	for (size_t i = 0; i < PLACES && tlb->nr_used; i++)
		drop(vcpu, &tlb->pages[i]);
	return dropped;
}

/* RB of tlbie. */

enum {
	RB_L = 1,
	RB_AVAL = 0xfe, /* with L: bits 19:13 of the address */
	RB_AVAL_SHIFT = 12,
	RB_AP_SHIFT = 5, /* 7:5, without L: actual page size */
	RB_AP_MASK = 7,
	RB_B_SHIFT = 8, /* 9:8 */
	RB_B_MASK = 3,
	RB_IS = 0xc00,	  /* 11:10: not by address */
	RB_LP_SHIFT = 12, /* 19:12, with L */
	RB_LP_MASK = 0xff,
};
/* Bits of the address that stand in their own places: without L, and with. */
#define RB_AVA_4K (~UINT64_C(0xfff))
#define RB_AVA	  (~UINT64_C(0xfffff))

/** struct named - what a tlbie names: a page, by its lowest address. */
struct named {
	uint64_t low;
	unsigned int segment_shift;
	struct gln_hpte_size size;
};

/* Pages in segments of 4 KiB. AP has other values: they name nothing. */
static bool name_4k(uint64_t rb, struct named *named)
{
	static const unsigned int actual[RB_AP_MASK + 1] = {
		[0] = 12,
		[4] = 24,
		[5] = 16,
	};

	named->low = rb & RB_AVA_4K;
	named->size.base = 12;
	named->size.actual = actual[rb >> RB_AP_SHIFT & RB_AP_MASK];
	return named->size.actual;
}

/* In segments of larger ones: LP says which, and AVAL has what LP displaced. */
static bool name_large(uint64_t rb, struct named *named)
{
	named->low = (rb & RB_AVA) | (rb & RB_AVAL) << RB_AVAL_SHIFT;
	return glni_power_lp(rb >> RB_LP_SHIFT & RB_LP_MASK, &named->size) &&
	       named->size.base > 12;
}

/* False for an operand that names no page: a CPU then does nothing useful. */
static bool name_page(uint64_t rb, struct named *named)
{
	const uint64_t b = rb >> RB_B_SHIFT & RB_B_MASK;

	if (b > 1 || (rb & RB_IS))
		return false;
	named->segment_shift = b ? SEGMENT_1T : SEGMENT_256M;
	if (!(rb & RB_L ? name_large(rb, named) : name_4k(rb, named)))
		return false;
	named->low &= ~UINT64_C(0) << named->size.actual;
	return true;
}

static uint64_t drop_named(struct gln_model_vcpu *vcpu,
			   const struct named *named)
{
	struct page *const page =
		place_of(&power_of(vcpu)->tlb, named->low, named->segment_shift,
			 named->size.actual);

	if (!is_same_size(page->size, named->size) ||
	    page->va.segment_shift != named->segment_shift ||
	    low_bits(&page->va) != named->low)
		return 0;
	drop(vcpu, page);
	return 1;
}

/* Maintenance. */

static void tlbie_vcpu(struct gln_model_vcpu *vcpu,
		       const struct gln_hpt_tlbie *ops, size_t nr)
{
	uint64_t dropped = 0;
	struct named named;

	glni_model_vcpu_claim(vcpu);
	for (size_t i = 0; i < nr; i++)
		if (ops[i].lpid == power_model_of(vcpu)->lpid &&
		    name_page(ops[i].rb, &named))
			dropped += drop_named(vcpu, &named);
	vcpu->model->gone[MODEL_FLUSHED] += dropped;
	glni_model_vcpu_release(vcpu);
}

/*
 * Nobody says which vCPU asks. So a local one reaches all of them, as one does
 * that an embedder executes everywhere because it has moved the vCPU; with one
 * vCPU there is no difference.
 */
void gln_hpt_model_tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	struct power_model *model = ctx;

	glni_model_lock(&model->model);
	model->model.gone[MODEL_FLUSH_OPS] += nr;
	for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
	     vcpu = vcpu->next)
		tlbie_vcpu(vcpu, ops, nr);
	glni_model_unlock(&model->model);
}

static void flush_vcpu(struct gln_model_vcpu *vcpu)
{
	glni_model_vcpu_claim(vcpu);
	vcpu->model->gone[MODEL_FLUSHED] += drop_all(vcpu);
	glni_model_vcpu_release(vcpu);
}

void gln_hpt_model_flush_all(void *ctx, uint32_t lpid)
{
	struct power_model *model = ctx;

	glni_model_lock(&model->model);
	model->model.gone[MODEL_FLUSH_OPS]++;
	if (lpid == model->lpid)
		for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
		     vcpu = vcpu->next)
			flush_vcpu(vcpu);
	glni_model_unlock(&model->model);
}

/* Translations stay: a CPU keeps those of the table before until it flushes. */
void gln_hpt_model_set_table(void *ctx, uint64_t word)
{
	struct power_model *model = ctx;

	glni_model_lock(&model->model);
	/* Relaxed: the locks below put it before every access that follows. */
	gln_store_relaxed(&model->table, word);
	for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
	     vcpu = vcpu->next) {
		glni_model_vcpu_claim(vcpu);
		glni_model_vcpu_release(vcpu);
	}
	glni_model_unlock(&model->model);
}
