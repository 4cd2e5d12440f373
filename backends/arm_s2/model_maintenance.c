/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_maintenance.c - TLBI and DSB, done as late and as badly as is allowed
 * (Arm ARM DDI 0487, C5.5 and D8.14).
 */
#include "backends/arm_s2/model.h"

/* Operands of TLBI (C5.5). */
enum {
	TLBI_PAGE_SHIFT = 12, /* of the IPA, for every granule */
	TLBI_TTL_SHIFT = 44,  /* 47:46 granule, 45:44 level */
	RANGE_TTL_SHIFT = 37,
	RANGE_NUM_SHIFT = 39,
	RANGE_SCALE_SHIFT = 44,
	RANGE_TG_SHIFT = 46,
	RANGE_LPA2_SHIFT = 16, /* of the base, with 52-bit addresses (DS) */
};
#define TLBI_IPA_MASK	((UINT64_C(1) << 40) - 1)
#define RANGE_BASE_MASK ((UINT64_C(1) << 37) - 1)

/** struct named - what a TLBI of stage 2 names. */
struct named {
	uint64_t first; /* bytes [first, last] */
	uint64_t last;
	unsigned int heights; /* of leaves */
	bool has_tables;      /* pointers to tables on the way, too */
};

/*
 * Of a level that is hinted, only leaves go. And pointers to tables stay:
 * whoever takes a table away cannot know the level of the leaves below it.
 */
static void name_level(struct named *named, uint64_t level)
{
	named->heights = 1U << (LAST_LEVEL - level);
	named->has_tables = false;
}

/* 1, 2, 3 for 4, 16, 64 KiB: the granule in TTL and in a range. */
static uint64_t granule_code(const struct model_geometry *g)
{
	return (g->page_shift - 12) / 2 + 1;
}

/* By address: false if nothing has to go. */
static bool name_ipa(const struct model_geometry *g, uint64_t operand,
		     struct named *named)
{
	const uint64_t granule = field(operand, TLBI_TTL_SHIFT + 2, 2);
	const uint64_t level = field(operand, TLBI_TTL_SHIFT, 2);
	const uint64_t page = UINT64_C(1) << g->page_shift;

	named->first =
		(operand & TLBI_IPA_MASK) << TLBI_PAGE_SHIFT & ~(page - 1);
	named->last = named->first + (page - 1);
	if (!granule)
		return true;
	/* Level 0, with 4 KiB, is LPA2's; else reserved, and so no hint. */
	if (level == 0 && !(g->is_ds && g->page_shift == 12))
		return true;
	name_level(named, level);
	return granule == granule_code(g);
}

static bool name_range(const struct model_geometry *g, uint64_t operand,
		       struct named *named)
{
	const uint64_t num = field(operand, RANGE_NUM_SHIFT, 5);
	const uint64_t scale = field(operand, RANGE_SCALE_SHIFT, 2);
	const uint64_t level = field(operand, RANGE_TTL_SHIFT, 2);
	const unsigned int base_shift =
		g->is_ds ? RANGE_LPA2_SHIFT : g->page_shift;
	const uint64_t pages = (num + 1) << (5 * scale + 1);

	named->first = (operand & RANGE_BASE_MASK) << base_shift;
	named->last = named->first + (pages << g->page_shift) - 1;
	if (level)
		name_level(named, level);
	return field(operand, RANGE_TG_SHIFT, 2) == granule_code(g);
}

static bool is_stage_1(enum gln_s2_instruction instruction)
{
	return instruction == GLN_S2_TLBI_VMALLE1IS ||
	       instruction == GLN_S2_TLBI_VMALLE1;
}

static bool is_stage_2(enum gln_s2_instruction instruction)
{
	return instruction == GLN_S2_TLBI_IPAS2E1IS ||
	       instruction == GLN_S2_TLBI_IPAS2E1 ||
	       instruction == GLN_S2_TLBI_RIPAS2E1IS;
}

static bool is_local(enum gln_s2_instruction instruction)
{
	return instruction == GLN_S2_TLBI_IPAS2E1 ||
	       instruction == GLN_S2_TLBI_VMALLE1;
}

static uint64_t drop_stage_2(struct gln_model_vcpu *vcpu,
			     const struct gln_s2_op *op)
{
	const struct model_geometry *g = geometry_of(vcpu);
	struct named named = {.heights = TLB_ANY_HEIGHT, .has_tables = true};
	uint64_t dropped;

	if (op->instruction == GLN_S2_TLBI_RIPAS2E1IS
		    ? !name_range(g, op->operand, &named)
		    : !name_ipa(g, op->operand, &named))
		return 0;
	dropped = glni_tlb_drop_range(&s2_of(vcpu)->tlb, named.first,
				      named.last, named.heights);
	if (named.has_tables)
		glni_tlb_drop_range(&s2_of(vcpu)->tables, named.first,
				    named.last, TLB_ANY_HEIGHT);
	return dropped;
}

static uint64_t drop_everything(struct gln_model_vcpu *vcpu)
{
	struct s2_vcpu *const s2 = s2_of(vcpu);
	const uint64_t dropped =
		glni_tlb_drop_all(&s2->tlb) + glni_tlb_drop_all(&s2->combined);

	glni_tlb_drop_all(&s2->tables);
	return dropped;
}

/*
 * Armv7 has no maintenance by IPA, so that it does nothing; and its TLBIALL and
 * TLBIALLIS, executed by the hypervisor, take all of the VMID (B4.2.2).
 */
static uint64_t execute_one(struct gln_model_vcpu *vcpu,
			    const struct gln_s2_op *op)
{
	const bool is_armv7 = geometry_of(vcpu)->is_armv7;

	if (is_stage_2(op->instruction))
		return is_armv7 ? 0 : drop_stage_2(vcpu, op);
	if (is_stage_1(op->instruction) && !is_armv7)
		return glni_tlb_drop_all(&s2_of(vcpu)->combined);
	return drop_everything(vcpu);
}

/** struct batch - TLBIs that one DSB waits for. */
struct batch {
	size_t nr;
	struct pending of[PENDING];
};

static bool reaches(const struct pending *pending,
		    const struct gln_model_vcpu *vcpu)
{
	return !is_local(pending->op.instruction) || pending->vcpu == vcpu->id;
}

static uint64_t execute_those(struct gln_model_vcpu *vcpu,
			      const struct batch *batch,
			      bool (*is_this)(enum gln_s2_instruction))
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < batch->nr; i++)
		if (is_this(batch->of[i].op.instruction) &&
		    reaches(&batch->of[i], vcpu))
			dropped += execute_one(vcpu, &batch->of[i].op);
	return dropped;
}

static bool is_whole(enum gln_s2_instruction instruction)
{
	return !is_stage_1(instruction) && !is_stage_2(instruction);
}

static bool has_any(const struct gln_model_vcpu *vcpu,
		    const struct batch *batch,
		    bool (*is_this)(enum gln_s2_instruction))
{
	for (size_t i = 0; i < batch->nr; i++)
		if (is_this(batch->of[i].op.instruction) &&
		    reaches(&batch->of[i], vcpu))
			return true;
	return false;
}

/*
 * Nothing orders what one DSB waits for. So stage 1 goes first, and walks of
 * stage 1 fill the combined translations again from those of stage 2 that are
 * about to go: what a DSB between the two would have forbidden (H-26).
 */
static void execute_batch(struct gln_model_vcpu *vcpu,
			  const struct batch *batch)
{
	struct s2_vcpu *const s2 = s2_of(vcpu);
	const bool has_1 = has_any(vcpu, batch, is_stage_1);
	const bool has_2 = has_any(vcpu, batch, is_stage_2);
	uint64_t dropped;

	if (!has_1 && !has_2 && !has_any(vcpu, batch, is_whole))
		return;

	glni_model_vcpu_claim(vcpu);
	glni_model_settle(vcpu);
	dropped = execute_those(vcpu, batch, is_stage_1);
	if (has_1 && has_2)
		s2->combined = s2->tlb;
	dropped += execute_those(vcpu, batch, is_stage_2);
	dropped += execute_those(vcpu, batch, is_whole);
	vcpu->model->gone[MODEL_FLUSHED] += dropped;
	glni_model_vcpu_release(vcpu);
}

/* Move what the DSB waits for from what is pending to @batch. */
static void take_batch(struct s2_model *model, enum gln_s2_instruction dsb,
		       struct batch *batch)
{
	size_t nr_left = 0;

	batch->nr = 0;
	for (size_t i = 0; i < model->nr_pending; i++) {
		const struct pending *pending = &model->pending[i];
		const bool is_waited_for =
			pthread_equal(pending->issuer, pthread_self()) &&
			(dsb == GLN_S2_DSB_ISH ||
			 is_local(pending->op.instruction));

		if (is_waited_for)
			batch->of[batch->nr++] = *pending;
		else
			model->pending[nr_left++] = *pending;
	}
	model->nr_pending = nr_left;
}

static void synchronize(struct s2_model *model, enum gln_s2_instruction dsb)
{
	struct batch batch;

	take_batch(model, dsb, &batch);
	for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
	     vcpu = vcpu->next)
		execute_batch(vcpu, &batch);
}

/* Early is always allowed: where there is no room, the oldest is done now. */
static void issue(struct s2_model *model, uint32_t vcpu_id,
		  const struct gln_s2_op *op)
{
	model->model.gone[MODEL_FLUSH_OPS]++;
	if (model->nr_pending == PENDING) {
		const struct batch oldest = {.nr = 1,
					     .of = {model->pending[0]}};

		for (struct gln_model_vcpu *vcpu = model->model.vcpus; vcpu;
		     vcpu = vcpu->next)
			execute_batch(vcpu, &oldest);
		model->nr_pending--;
		for (size_t i = 0; i < model->nr_pending; i++)
			model->pending[i] = model->pending[i + 1];
	}
	model->pending[model->nr_pending++] = (struct pending){
		.issuer = pthread_self(),
		.vcpu = vcpu_id,
		.op = *op,
	};
}

void gln_s2_model_execute(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
			  size_t nr_ops)
{
	struct s2_model *model = ctx;

	glni_model_lock(&model->model);
	for (size_t i = 0; i < nr_ops; i++) {
		switch (ops[i].instruction) {
		case GLN_S2_DSB_ISHST: /* waits for stores, not for TLBIs */
		case GLN_S2_ISB:
			break;
		case GLN_S2_DSB_ISH:
		case GLN_S2_DSB_NSH:
			synchronize(model, ops[i].instruction);
			break;
		default:
			issue(model, vcpu, &ops[i]);
		}
	}
	glni_model_unlock(&model->model);
}
