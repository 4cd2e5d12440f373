/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what an x86 CPU does with EPT (Intel SDM volume 3C, chapter 29): an
 * access, by what is remembered or by a walk; and what makes it forget.
 *
 * Written from the manual; of the backend it knows the layout of an entry. As
 * hostile as the manual allows:
 *
 *   - translations, and pointers to tables, stay in use until INVEPT, or until
 *     the vCPU itself has a violation at their address (29.4.3.1);
 *   - of a page and a block that both translate an address, either is used;
 *   - a violation may come from a translation that the table has outgrown;
 *   - the accessed bit of a leaf may be set as late as the next INVEPT;
 *   - a store through a translation whose dirty bit is known to be set does not
 *     look at the table again.
 */
#include "backends/x86_ept/model.h"

#include <errno.h>

#include "backends/x86_ept/entry.h"

/* EPTP (25.6.11). Bits 11:7 and 63:52 are reserved, here as on most CPUs. */
enum {
	EPTP_TYPE_MASK = 7, /* 2:0 */
	EPTP_TYPE_UC = 0,
	EPTP_TYPE_WB = 6,
	EPTP_WALK_SHIFT = 3, /* 5:3: length of a walk, less 1 */
	EPTP_WALK_MASK = 7,
};
#define EPTP_RESERVED UINT64_C(0xfff0000000000f80)

/* Exit qualification of an EPT violation (table 28-7). */
enum {
	QUAL_READ = 1 << 0,
	QUAL_WRITE = 1 << 1,
	QUAL_EXEC = 1 << 2,
	QUAL_RIGHTS_SHIFT = 3, /* 5:3: R, W, X, and-ed over the walk */
	QUAL_LINEAR_VALID = 1 << 7,
	QUAL_LINEAR_TRANSLATED = 1 << 8,
};

_Static_assert(
	(int)QUAL_READ == (int)GLN_ACCESS_READ &&
		(int)QUAL_WRITE == (int)GLN_ACCESS_WRITE &&
		(int)QUAL_EXEC == (int)GLN_ACCESS_EXEC,
	"bits 2:0 of a qualification are rights as the interface has them");

/* A coin. */
enum { STALE_PERMILLE = 500 };

static void vcpu_init(struct gln_model_vcpu *vcpu)
{
	glni_tlb_init(&ept_of(vcpu)->tlb, PAGE_SHIFT, INDEX_BITS);
	glni_tlb_init(&ept_of(vcpu)->tables, PAGE_SHIFT, INDEX_BITS);
}

/* Translations. */

/* A page or a block, whichever a coin shows first. */
static const struct translation *look_up(struct gln_model_vcpu *vcpu,
					 uint64_t gpa, unsigned int *height)
{
	const bool is_downward = glni_model_chance(vcpu, STALE_PERMILLE);

	for (unsigned int i = 0; i <= LEAF_HEIGHT_MAX; i++) {
		const unsigned int h = is_downward ? LEAF_HEIGHT_MAX - i : i;
		const struct translation *known =
			glni_tlb_find(&ept_of(vcpu)->tlb, gpa, h);

		if (known) {
			*height = h;
			return known;
		}
	}
	return NULL;
}

/*
 * A walk that no access asked for: it is given up where a flag would have to be
 * set. A page and a block of one address may both be known then.
 */
static void fill_eagerly(struct gln_model_vcpu *vcpu, uint64_t gpa)
{
	struct walk walk = {.gpa = gpa, .access = GLN_ACCESS_READ};
	unsigned int height;

	if (!look_up(vcpu, gpa, &height))
		return;
	if (glni_ept_walk_quietly(vcpu, &walk) && walk.height != height)
		glni_ept_remember(vcpu, &walk);
}

static enum gln_model_reason use(struct gln_model_vcpu *vcpu, uint64_t gpa,
				 uint64_t hpa, unsigned int height,
				 gln_word **word)
{
	const uint64_t offset = (UINT64_C(1) << shift_of(height)) - 1;

	*word = glni_model_memory(vcpu->model, hpa + (gpa & offset));
	return *word ? GLN_MODEL_DONE : GLN_MODEL_MISCONFIG;
}

/* A violation takes with it what translates its address (29.4.3.1). */
static enum gln_model_reason violate(struct gln_model_vcpu *vcpu,
				     uint32_t access, uint32_t rights,
				     struct gln_model_exit *exit)
{
	const uint64_t gpa = exit->gpa;

	glni_model_settle(vcpu);
	glni_tlb_drop_range(&ept_of(vcpu)->tlb, gpa, gpa, TLB_ANY_HEIGHT);
	glni_tlb_drop_range(&ept_of(vcpu)->tables, gpa, gpa, TLB_ANY_HEIGHT);
	exit->syndrome = access | (uint64_t)rights << QUAL_RIGHTS_SHIFT |
			 QUAL_LINEAR_VALID | QUAL_LINEAR_TRANSLATED;
	return GLN_MODEL_FAULT;
}

static enum gln_model_reason translate_by_walk(struct gln_model_vcpu *vcpu,
					       uint32_t access, gln_word **word,
					       struct gln_model_exit *exit)
{
	struct walk walk = {.gpa = exit->gpa, .access = access};

	switch (glni_ept_walk(vcpu, &walk)) {
	case WALK_VIOLATION:
		return violate(vcpu, access, walk.rights, exit);
	case WALK_LOG_FULL:
		return GLN_MODEL_LOG_FULL;
	case WALK_DONE:
		return use(vcpu, exit->gpa,
			   walk.step[walk.height].entry & EPT_ADDRESS,
			   walk.height, word);
	default:
		return GLN_MODEL_MISCONFIG;
	}
}

static enum gln_model_reason translate(struct gln_model_vcpu *vcpu,
				       uint32_t access, gln_word **word,
				       struct gln_model_exit *exit)
{
	const struct translation *known;
	unsigned int height;

	if (glni_model_is_eager(vcpu))
		fill_eagerly(vcpu, exit->gpa);
	known = look_up(vcpu, exit->gpa, &height);
	if (known && (known->rights & access)) {
		if (access != GLN_ACCESS_WRITE || known->is_dirty) {
			glni_model_count(vcpu, MODEL_TLB_HITS, 1);
			return use(vcpu, exit->gpa, known->hpa, height, word);
		}
	} else if (known && glni_model_chance(vcpu, STALE_PERMILLE)) {
		return violate(vcpu, access, known->rights, exit);
	}
	return translate_by_walk(vcpu, access, word, exit);
}

/* The machine. */

int gln_ept_model_create(const struct gln_model_params *params,
			 struct gln_model **model)
{
	static const struct glni_model_ops ops = {
		.vcpu_bytes = sizeof(struct ept_vcpu),
		.vcpu_init = vcpu_init,
		.translate = translate,
	};

	return glni_model_create(params, &ops, sizeof(struct ept_model), model);
}

int gln_ept_model_set(struct gln_model *theirs, uint64_t eptp)
{
	struct ept_model *model = (struct ept_model *)(void *)theirs;
	const unsigned int levels =
		(eptp >> EPTP_WALK_SHIFT & EPTP_WALK_MASK) + 1;
	const uint64_t type = eptp & EPTP_TYPE_MASK;

	if (type != EPTP_TYPE_WB && type != EPTP_TYPE_UC)
		return -EINVAL;
	if (levels != 4 && levels != 5)
		return -EINVAL;
	if (eptp & EPTP_RESERVED)
		return -EINVAL;

	model->eptp = eptp;
	model->levels = levels;
	return 0;
}

static void invept_vcpu(struct gln_model_vcpu *vcpu)
{
	glni_model_vcpu_claim(vcpu);
	glni_model_settle(vcpu);
	vcpu->model->gone[MODEL_FLUSHED] +=
		glni_tlb_drop_all(&ept_of(vcpu)->tlb);
	glni_tlb_drop_all(&ept_of(vcpu)->tables);
	glni_model_vcpu_release(vcpu);
}

/* Translations go by the root's address alone (29.4.2: EP4TA). */
void gln_ept_model_invept(void *ctx, uint64_t eptp)
{
	struct ept_model *model = ctx;

	glni_model_lock(&model->model);
	model->model.gone[MODEL_FLUSH_OPS]++;
	if (!((eptp ^ model->eptp) & EPTP_ROOT))
		for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
		     vcpu = vcpu->next)
			invept_vcpu(vcpu);
	glni_model_unlock(&model->model);
}
