/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what an Arm CPU does with stage 2 (Arm ARM DDI 0487, D8; for Armv7
 * with LPAE DDI 0406C, B3).
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

#include "backends/arm_s2/entry.h"

/* ESR_EL2 of an abort from a lower level (D19.2), and HPFAR_EL2. */
enum {
	ESR_EC_SHIFT = 26,
	ESR_EC_FETCH = 0x20,
	ESR_EC_DATA = 0x24,
	ESR_WNR_SHIFT = 6,
	HPFAR_SHIFT = 4, /* 43:4 hold 51:12 of the IPA */
	HPFAR_BITS = 40,
	HPFAR_PAGE_SHIFT = 12,
	FSC_ADDRESS_SIZE = 0x00, /* | level, 0 to 3 */
	FSC_TRANSLATION = 0x04,
	FSC_ACCESS_FLAG = 0x08,
	FSC_PERMISSION = 0x0c,
	FSC_EXTERNAL = 0x10,
	FSC_EXTERNAL_WALK = 0x14,
	FSC_EXTERNAL_WALK_MINUS_1 = 0x13,
	FSC_CONFLICT = 0x30,
	FSC_ADDRESS_SIZE_MINUS_1 = 0x29, /* level -1 */
	FSC_TRANSLATION_MINUS_1 = 0x2b,
};
#define ESR_IL (UINT64_C(1) << 25)

/* How soon a late access flag is written, in accesses of 1000. */
enum { OWING_PERMILLE = 30 };

/* What a descriptor must still say for a late access flag to be its own. */
#define SAME_LEAF                                                       \
	(S2_VALID | S2_TABLE | S2_ADDRESS_LPA2_4K | S2_HIGH_LPA2_MASK | \
	 S2_HIGH_64K_MASK)

/* Reserved in a leaf: nG, and bit 50. In Armv7 what came after it as well. */
#define LEAF_RESERVED  (UINT64_C(1) << 11 | UINT64_C(1) << 50)
#define LEAF7_RESERVED (UINT64_C(1) << 53 | UINT64_C(1) << 51)

static void vcpu_init(struct gln_model_vcpu *vcpu)
{
	const struct model_geometry *g = geometry_of(vcpu);

	glni_tlb_init(&s2_of(vcpu)->tlb, g->page_shift, g->index_bits);
	glni_tlb_init(&s2_of(vcpu)->combined, g->page_shift, g->index_bits);
	glni_tlb_init(&s2_of(vcpu)->tables, g->page_shift, g->index_bits);
}

/* Descriptors. */

/* OA, or the address of the next table. */
static uint64_t address_of(const struct model_geometry *g, uint64_t descriptor)
{
	const uint64_t pages = ~((UINT64_C(1) << g->page_shift) - 1);
	uint64_t address = descriptor & pages & S2_ADDRESS_4K;

	if (g->is_ds) {
		address = descriptor & pages & S2_ADDRESS_LPA2_4K;
		address |= (descriptor & S2_HIGH_LPA2_MASK)
			   << S2_HIGH_LPA2_SHIFT;
	}
	if (g->is_64k_52)
		address |= (descriptor & S2_HIGH_64K_MASK) << S2_HIGH_64K_SHIFT;
	return address;
}

static bool is_table(uint64_t descriptor, unsigned int height)
{
	return height && (descriptor & S2_TABLE);
}

/* Invalid, or a form that is reserved at its level: both translation faults. */
static bool is_invalid(const struct model_geometry *g, uint64_t descriptor,
		       unsigned int height)
{
	if (!(descriptor & S2_VALID))
		return true;
	if (height == 0)
		return !(descriptor & S2_PAGE);
	return !(descriptor & S2_TABLE) && height > g->block_max;
}

/*
 * RES0 bits that are set. A CPU of today may not mind; the table would mean
 * something else to the next. Faults like an invalid one here.
 */
static bool is_malformed(const struct model_geometry *g, uint64_t descriptor,
			 unsigned int height)
{
	const uint64_t offset = (UINT64_C(1) << shift_of(g, height)) - 1;
	const uint64_t low_address =
		((UINT64_C(1) << g->page_shift) - 1) & S2_ADDRESS_4K;
	uint64_t reserved = g->is_64k_52 ? 0 : low_address;

	if (!g->is_ds)
		reserved |= UINT64_C(3) << 48;
	if (!is_table(descriptor, height))
		reserved |= LEAF_RESERVED | (g->is_armv7 ? LEAF7_RESERVED : 0);
	if (descriptor & reserved)
		return true;
	return !is_table(descriptor, height) &&
	       (address_of(g, descriptor) & offset);
}

/* S2AP and XN, for an access from EL1. */
static uint32_t rights_of(const struct model_geometry *g, uint64_t descriptor)
{
	const uint64_t xn = field(descriptor, 53, 2);
	uint32_t rights = 0;

	if (descriptor & S2_READ)
		rights |= GLN_ACCESS_READ;
	if ((descriptor & S2_WRITE) || (g->has_hd && (descriptor & S2_DBM)))
		rights |= GLN_ACCESS_WRITE;
	if (xn == 0 || (xn == 3 && !g->is_armv7))
		rights |= GLN_ACCESS_EXEC;
	return rights;
}

/* Syndromes. */

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

/* A fault status with its level, of which there is one below 0. */
static unsigned int at_height(unsigned int fsc, unsigned int height)
{
	if (height <= LAST_LEVEL)
		return fsc | (LAST_LEVEL - height);
	switch (fsc) {
	case FSC_ADDRESS_SIZE:
		return FSC_ADDRESS_SIZE_MINUS_1;
	case FSC_EXTERNAL_WALK:
		return FSC_EXTERNAL_WALK_MINUS_1;
	default:
		return FSC_TRANSLATION_MINUS_1;
	}
}

/* Walks. */

/**
 * struct walk - an access that asks the table.
 *
 * @fsc:	the fault, once there is one.
 * @at:		the leaf; @descriptor as it was read, at @height.
 */
struct walk {
	uint64_t ipa;
	uint32_t access;
	unsigned int fsc;
	unsigned int height;
	gln_word *at;
	uint64_t descriptor;
};

enum outcome {
	WALK_DONE,
	WALK_FAULT,
	WALK_DENIED, /* a permission fault: the leaf is remembered */
	WALK_AGAIN,  /* the leaf changed under it */
};

static enum outcome fault(struct walk *walk, unsigned int fsc)
{
	walk->fsc = fsc;
	return WALK_FAULT;
}

/* Where to start: at the table nearest to the leaf that is remembered. */
static uint64_t start(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const struct model_geometry *g = geometry_of(vcpu);

	for (unsigned int height = 1; height <= g->top; height++) {
		const struct translation *known =
			glni_tlb_find(&s2_of(vcpu)->tables, walk->ipa, height);

		if (known) {
			walk->height = height - 1;
			return known->hpa;
		}
	}
	walk->height = g->top;
	return g->root;
}

static gln_word *descriptor_at(struct gln_model_vcpu *vcpu, uint64_t table,
			       const struct walk *walk)
{
	const struct model_geometry *g = geometry_of(vcpu);
	uint64_t index = walk->ipa >> shift_of(g, walk->height);

	/* The root may be several tables side by side: all of the index. */
	if (walk->height != g->top)
		index &= (UINT64_C(1) << g->index_bits) - 1;
	/* No memory at the table is none at any descriptor of it. */
	if (!glni_model_memory(vcpu->model, table))
		return NULL;
	return glni_model_memory(vcpu->model, table + (index << ENTRY_SHIFT));
}

static enum outcome read_step(struct gln_model_vcpu *vcpu, struct walk *walk,
			      uint64_t table)
{
	const struct model_geometry *g = geometry_of(vcpu);

	walk->at = descriptor_at(vcpu, table, walk);
	if (!walk->at)
		return fault(walk, at_height(FSC_EXTERNAL_WALK, walk->height));
	walk->descriptor = glni_model_read_entry(walk->at);
	if (is_invalid(g, walk->descriptor, walk->height) ||
	    is_malformed(g, walk->descriptor, walk->height))
		return fault(walk, at_height(FSC_TRANSLATION, walk->height));
	if (address_of(g, walk->descriptor) >> g->pa_bits)
		return fault(walk, at_height(FSC_ADDRESS_SIZE, walk->height));
	return WALK_DONE;
}

static enum outcome descend(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const struct model_geometry *g = geometry_of(vcpu);
	uint64_t table = start(vcpu, walk);

	/* Beyond the size: level 0, and in Armv7 level 1, wherever it starts.
	 */
	if (walk->ipa >> g->ipa_bits)
		return fault(walk, FSC_TRANSLATION | (g->is_armv7 ? 1 : 0));
	for (;;) {
		const enum outcome outcome = read_step(vcpu, walk, table);

		if (outcome != WALK_DONE)
			return outcome;
		if (!is_table(walk->descriptor, walk->height))
			return WALK_DONE;
		table = address_of(g, walk->descriptor);
		glni_tlb_put(&s2_of(vcpu)->tables, walk->ipa, walk->height,
			     (struct translation){.hpa = table});
		walk->height--;
	}
}

/*
 * Set bits of the leaf by a compare-exchange (D8.4.6). Relaxed: whoever takes
 * the bits needs nothing that came before them, and waits for what comes after
 * by maintenance.
 */
static enum outcome update(struct gln_model_vcpu *vcpu, struct walk *walk,
			   uint64_t bits)
{
	const uint64_t missing = bits & ~walk->descriptor;
	uint64_t seen = walk->descriptor;

	if (!missing)
		return WALK_DONE;
	if (!gln_cas_strong_relaxed(walk->at, &seen, seen | missing))
		return WALK_AGAIN;

	walk->descriptor |= missing;
	if (missing & S2_AF)
		glni_model_count(vcpu, MODEL_ACCESSED_UPDATES, 1);
	if (missing & S2_WRITE)
		glni_model_count(vcpu, MODEL_DIRTY_UPDATES, 1);
	return WALK_DONE;
}

/* Hardware's own updates, of an access that is allowed. */
static enum outcome update_leaf(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const bool is_accessed = walk->descriptor & S2_AF;

	if (walk->access == GLN_ACCESS_WRITE) {
		const bool was_clean = !(walk->descriptor & S2_WRITE);
		const enum outcome outcome =
			update(vcpu, walk, S2_AF | S2_WRITE);

		if (was_clean && outcome == WALK_DONE)
			glni_model_pause(vcpu);
		return outcome;
	}
	if (!is_accessed && glni_model_is_late(vcpu)) {
		glni_model_owe(vcpu, (struct late){
					     .entry = walk->at,
					     .seen = walk->descriptor,
					     .same = SAME_LEAF,
					     .bit = S2_AF,
				     });
		return WALK_DONE;
	}
	return update(vcpu, walk, S2_AF);
}

static struct translation remembered(const struct model_geometry *g,
				     const struct walk *walk)
{
	return (struct translation){
		.hpa = address_of(g, walk->descriptor),
		.rights = rights_of(g, walk->descriptor),
		.is_dirty = walk->descriptor & S2_WRITE,
	};
}

/* Denied or not: what has its access flag set may be remembered. */
static void remember(struct gln_model_vcpu *vcpu, const struct walk *walk)
{
	const struct translation what = remembered(geometry_of(vcpu), walk);

	glni_tlb_put(&s2_of(vcpu)->tlb, walk->ipa, walk->height, what);
	glni_tlb_put(&s2_of(vcpu)->combined, walk->ipa, walk->height, what);
}

static enum outcome walk_once(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const struct model_geometry *g = geometry_of(vcpu);
	enum outcome outcome = descend(vcpu, walk);

	if (outcome != WALK_DONE)
		return outcome;
	glni_model_pause(vcpu);
	if (!(walk->descriptor & S2_AF) && !g->has_ha)
		return fault(walk, at_height(FSC_ACCESS_FLAG, walk->height));
	if (!(rights_of(g, walk->descriptor) & walk->access)) {
		walk->fsc = at_height(FSC_PERMISSION, walk->height);
		if (walk->descriptor & S2_AF)
			remember(vcpu, walk);
		return WALK_DENIED;
	}
	outcome = update_leaf(vcpu, walk);
	if (outcome == WALK_DONE)
		remember(vcpu, walk);
	return outcome;
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
	glni_model_count(vcpu, MODEL_WALKS, 1);
	if (descend(vcpu, &walk) == WALK_DONE && (walk.descriptor & S2_AF) &&
	    walk.height != height)
		remember(vcpu, &walk);
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
	enum outcome outcome;

	glni_model_count(vcpu, MODEL_WALKS, 1);
	do
		outcome = walk_once(vcpu, &walk);
	while (outcome == WALK_AGAIN);

	if (outcome != WALK_DONE)
		return abort_with(vcpu, access, walk.fsc, exit);
	return use(vcpu, access, address_of(geometry_of(vcpu), walk.descriptor),
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
					  at_height(FSC_PERMISSION, height),
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
