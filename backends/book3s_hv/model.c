/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what a POWER CPU does with a hashed page table (Power ISA 2.07 book
 * III-S 5.7; 3.0 book III 5.7): an access, from the segment to the page.
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

enum {
	COIN = 500,
	/* How often a store pays what its page has owed for some time. */
	PAY_PERMILLE = 20,
};

enum { NR_SIZES = 4 };
static const unsigned int page_shifts[NR_SIZES] = {12, 16, 24, 34};

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
	if (glni_power_search(vcpu, &search) != FOUND ||
	    !(search.r & GLN_HPTE_R_R) ||
	    glni_power_refuse(power_of(vcpu), request->segment, search.r,
			      GLN_ACCESS_READ))
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
	const enum outcome outcome = glni_power_search(vcpu, &search);
	struct page page;
	uint64_t why;

	if (outcome == NO_MEMORY)
		return GLN_MODEL_MISCONFIG;
	if (outcome == NOT_FOUND)
		return fault(GLN_DSISR_NOHPTE, request->access, exit);
	why = glni_power_refuse(power_of(vcpu), request->segment, search.r,
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

	why = glni_power_refuse(power_of(vcpu), request->segment, page->r,
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
		glni_power_segment(power_of(vcpu), exit->gpa);

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
