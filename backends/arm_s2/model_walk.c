/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_walk.c - how an Arm CPU asks the table (Arm ARM DDI 0487, D8; for Armv7
 * with LPAE DDI 0406C, B3).
 *
 *	descend	 from the nearest table that is remembered to the leaf, changing
 *		 nothing in memory; this finds translation faults
 *	update	 access flag and dirty state of a leaf that allows the access;
 *		 if it has changed meanwhile, again
 *	remember the leaf, even one that is refused
 */
#include "backends/arm_s2/entry.h"
#include "backends/arm_s2/model.h"

/* What a descriptor must still say for a late access flag to be its own. */
#define SAME_LEAF                                                       \
	(S2_VALID | S2_TABLE | S2_ADDRESS_LPA2_4K | S2_HIGH_LPA2_MASK | \
	 S2_HIGH_64K_MASK)

/* Reserved in a leaf: nG, and bit 50. In Armv7 what came after it as well. */
#define LEAF_RESERVED  (UINT64_C(1) << 11 | UINT64_C(1) << 50)
#define LEAF7_RESERVED (UINT64_C(1) << 53 | UINT64_C(1) << 51)

uint64_t glni_s2_address_of(const struct model_geometry *g, uint64_t descriptor)
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
	       (glni_s2_address_of(g, descriptor) & offset);
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
		return fault(walk,
			     fsc_at_height(FSC_EXTERNAL_WALK, walk->height));
	walk->descriptor = glni_model_read_entry(walk->at);
	if (is_invalid(g, walk->descriptor, walk->height) ||
	    is_malformed(g, walk->descriptor, walk->height))
		return fault(walk,
			     fsc_at_height(FSC_TRANSLATION, walk->height));
	if (glni_s2_address_of(g, walk->descriptor) >> g->pa_bits)
		return fault(walk,
			     fsc_at_height(FSC_ADDRESS_SIZE, walk->height));
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
		table = glni_s2_address_of(g, walk->descriptor);
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
		.hpa = glni_s2_address_of(g, walk->descriptor),
		.rights = rights_of(g, walk->descriptor),
		.is_dirty = walk->descriptor & S2_WRITE,
	};
}

/* Denied or not: what has its access flag set may be remembered. */
void glni_s2_remember(struct gln_model_vcpu *vcpu, const struct walk *walk)
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
		return fault(walk,
			     fsc_at_height(FSC_ACCESS_FLAG, walk->height));
	if (!(rights_of(g, walk->descriptor) & walk->access)) {
		walk->fsc = fsc_at_height(FSC_PERMISSION, walk->height);
		if (walk->descriptor & S2_AF)
			glni_s2_remember(vcpu, walk);
		return WALK_DENIED;
	}
	outcome = update_leaf(vcpu, walk);
	if (outcome == WALK_DONE)
		glni_s2_remember(vcpu, walk);
	return outcome;
}

/* Each time round, somebody else has changed the leaf. */
enum outcome glni_s2_walk(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	enum outcome outcome;

	glni_model_count(vcpu, MODEL_WALKS, 1);
	do
		outcome = walk_once(vcpu, walk);
	while (outcome == WALK_AGAIN);
	return outcome;
}

bool glni_s2_walk_quietly(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	glni_model_count(vcpu, MODEL_WALKS, 1);
	return descend(vcpu, walk) == WALK_DONE && (walk->descriptor & S2_AF);
}
