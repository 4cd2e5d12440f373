/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what an Arm CPU does with stage 2 (Arm ARM DDI 0487, D8; for Armv7
 * with LPAE DDI 0406C, B3): an access, by what is remembered or by a walk.
 *
 * Written from the manual; of the backend it knows the layout of a descriptor.
 * The guest's stage 1 is flat. As hostile as the manual allows:
 *
 *   - translations of stage 2, those of both stages combined, and pointers to
 *     tables are remembered apart, and each goes by its own maintenance only;
 *   - a TLBI takes effect at the DSB that waits for it, and not before;
 *   - two TLBIs that one DSB waits for take effect in the order that hurts;
 *   - a hint of a level is taken at its word: what has another level stays;
 *   - a refusal is remembered like a translation;
 *   - a page and a block of one address at once are a TLB conflict abort: the
 *     entry was replaced without a break;
 *   - translations come in that no access needed, beside those there are;
 *   - HPFAR is noise where the CPU need not write it;
 *   - the access flag may be set as late as the maintenance that follows.
 */
#include "backends/arm_s2/model.h"

#include <errno.h>

/* ESR_EL2 of an abort from a lower level (D19.2), and HPFAR_EL2. */
enum {
	ESR_EC_SHIFT = 26,
	ESR_EC_FETCH = 0x20,
	ESR_EC_DATA = 0x24,
	ESR_WNR_SHIFT = 6,
	HPFAR_SHIFT = 4, /* 43:4 hold 51:12 of the IPA */
	HPFAR_BITS = 40,
	HPFAR_PAGE_SHIFT = 12,
};
#define ESR_IL (UINT64_C(1) << 25)

/* How soon a late access flag is written, in accesses of 1000. */
enum { OWING_PERMILLE = 30 };

static void vcpu_init(struct gln_model_vcpu *vcpu)
{
	const struct model_geometry *g = geometry_of(vcpu);

	glni_tlb_init(&s2_of(vcpu)->tlb, g->page_shift, g->index_bits);
	glni_tlb_init(&s2_of(vcpu)->combined, g->page_shift, g->index_bits);
	glni_tlb_init(&s2_of(vcpu)->tables, g->page_shift, g->index_bits);
}

/*
 * HPFAR is written for faults of translation, access flag and address size. A
 * permission fault, an external abort and a conflict leave it UNKNOWN (D19.2).
 */
static bool writes_hpfar(unsigned int fsc)
{
	return fsc < FSC_PERMISSION || fsc == FSC_ADDRESS_SIZE_MINUS_1 ||
	       fsc == FSC_TRANSLATION_MINUS_1;
}

static enum gln_model_reason abort_with(struct gln_model_vcpu *vcpu,
					uint32_t access, unsigned int fsc,
					struct gln_model_exit *exit)
{
	const uint64_t ec =
		access == GLN_ACCESS_EXEC ? ESR_EC_FETCH : ESR_EC_DATA;
	const uint64_t wnr = access == GLN_ACCESS_WRITE;
	const uint64_t page = writes_hpfar(fsc) ? exit->gpa >> HPFAR_PAGE_SHIFT
						: field(glni_model_random(vcpu),
							0, HPFAR_BITS);

	exit->syndrome =
		ec << ESR_EC_SHIFT | ESR_IL | wnr << ESR_WNR_SHIFT | fsc;
	exit->hpfar = page << HPFAR_SHIFT;
	return GLN_MODEL_FAULT;
}

/* Translations. */

/**
 * enum found - what a TLB says of an address.
 *
 * FOUND_TWO: a page and a block of one address (D8.13.2: the CPU may abort).
 */
enum found {
	FOUND_NONE,
	FOUND_ONE,
	FOUND_TWO,
};

static enum found look_up(struct tlb *tlb, uint64_t ipa,
			  struct translation *what, unsigned int *at_height)
{
	enum found found = FOUND_NONE;

	for (unsigned int height = 0; height < TLB_HEIGHTS; height++) {
		const struct translation *known =
			glni_tlb_find(tlb, ipa, height);

		if (!known)
			continue;
		if (found == FOUND_ONE)
			return FOUND_TWO;
		found = FOUND_ONE;
		*what = *known;
		*at_height = height;
	}
	return found;
}

/* Combined first; a miss there is made good from stage 2, table unseen. */
static enum found look_up_both(struct gln_model_vcpu *vcpu, uint64_t ipa,
			       struct translation *what, unsigned int *height)
{
	struct s2_vcpu *const s2 = s2_of(vcpu);
	enum found found = look_up(&s2->combined, ipa, what, height);

	if (found != FOUND_NONE)
		return found;
	found = look_up(&s2->tlb, ipa, what, height);
	if (found == FOUND_ONE)
		glni_tlb_put(&s2->combined, ipa, *height, *what);
	return found;
}

/*
 * A walk that no access asked for: it reads, and sets nothing. What is already
 * known of that size stays, however old it is.
 */
static void fill_eagerly(struct gln_model_vcpu *vcpu, uint64_t ipa)
{
	struct walk walk = {.ipa = ipa, .access = GLN_ACCESS_READ};
	struct translation known;
	unsigned int height;

	if (look_up_both(vcpu, ipa, &known, &height) != FOUND_ONE)
		return;
	if (glni_s2_walk_quietly(vcpu, &walk) && walk.height != height)
		glni_s2_remember(vcpu, &walk);
}

static enum gln_model_reason use(struct gln_model_vcpu *vcpu, uint32_t access,
				 uint64_t hpa, unsigned int height,
				 gln_word **word, struct gln_model_exit *exit)
{
	const uint64_t offset =
		(UINT64_C(1) << shift_of(geometry_of(vcpu), height)) - 1;

	*word = glni_model_memory(vcpu->model, hpa + (exit->gpa & offset));
	return *word ? GLN_MODEL_DONE
		     : abort_with(vcpu, access, FSC_EXTERNAL, exit);
}

static enum gln_model_reason translate_by_walk(struct gln_model_vcpu *vcpu,
					       uint32_t access, gln_word **word,
					       struct gln_model_exit *exit)
{
	struct walk walk = {.ipa = exit->gpa, .access = access};

	if (glni_s2_walk(vcpu, &walk) != WALK_DONE)
		return abort_with(vcpu, access, walk.fsc, exit);
	return use(vcpu, access,
		   glni_s2_address_of(geometry_of(vcpu), walk.descriptor),
		   walk.height, word, exit);
}

static enum gln_model_reason translate(struct gln_model_vcpu *vcpu,
				       uint32_t access, gln_word **word,
				       struct gln_model_exit *exit)
{
	struct translation known;
	unsigned int height;

	if (glni_model_chance(vcpu, OWING_PERMILLE))
		glni_model_settle(vcpu);
	if (glni_model_is_eager(vcpu))
		fill_eagerly(vcpu, exit->gpa);
	switch (look_up_both(vcpu, exit->gpa, &known, &height)) {
	case FOUND_TWO:
		return abort_with(vcpu, access, FSC_CONFLICT, exit);
	case FOUND_ONE:
		if (!(known.rights & access))
			return abort_with(vcpu, access,
					  fsc_at_height(FSC_PERMISSION, height),
					  exit);
		if (access == GLN_ACCESS_WRITE && !known.is_dirty)
			break; /* writable-clean: the table has to know */
		glni_model_count(vcpu, MODEL_TLB_HITS, 1);
		return use(vcpu, access, known.hpa, height, word, exit);
	case FOUND_NONE:
		break;
	}
	return translate_by_walk(vcpu, access, word, exit);
}

/* The machine. */

int gln_s2_model_create(const struct gln_model_params *params,
			struct gln_model **model)
{
	static const struct glni_model_ops ops = {
		.vcpu_bytes = sizeof(struct s2_vcpu),
		.vcpu_init = vcpu_init,
		.translate = translate,
	};

	return glni_model_create(params, &ops, sizeof(struct s2_model), model);
}

int gln_s2_model_set(struct gln_model *theirs, uint64_t vtcr, uint64_t vttbr,
		     bool armv7)
{
	struct s2_model *model = (struct s2_model *)(void *)theirs;
	struct model_geometry geometry = {0};

	if (armv7 ? glni_s2_model_decode7(vtcr, vttbr, &geometry)
		  : glni_s2_model_decode(vtcr, vttbr, &geometry))
		return -EINVAL;

	model->geometry = geometry;
	for (struct gln_model_vcpu *vcpu = theirs->vcpus; vcpu;
	     vcpu = vcpu->next)
		vcpu_init(vcpu);
	return 0;
}
