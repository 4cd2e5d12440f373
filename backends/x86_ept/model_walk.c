/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_walk.c - how an x86 CPU asks the table (Intel SDM volume 3C, 29.3).
 *
 *	descend	 from the nearest table that is remembered to the leaf, changing
 *		 nothing; this finds violations and misconfigurations
 *	update	 accessed and dirty flags, tables first; a full log stops it
 *		 before the first, an entry that has changed sends it back
 *	remember the tables and the leaf
 */
#include "backends/x86_ept/entry.h"
#include "backends/x86_ept/model.h"

enum { TYPE_SHIFT = 3 }; /* memory type of a leaf, 5:3 */

/* Of a table's entry, 29.3.2; bit 7 as well where no leaf may stand. */
#define TABLE_RESERVED UINT64_C(0x78)
#define PML_PAGE_MASK  (~UINT64_C(0xfff))
/* What an entry must still say for a late accessed bit to be its own. */
#define SAME_LEAF      (EPT_READ | EPT_EXEC | EPT_LARGE | EPT_ADDRESS)

_Static_assert((int)EPT_READ == (int)GLN_ACCESS_READ &&
		       (int)EPT_WRITE == (int)GLN_ACCESS_WRITE &&
		       (int)EPT_EXEC == (int)GLN_ACCESS_EXEC,
	       "bits 2:0 of an entry are rights as the interface has them");

static bool has_ad(const struct gln_model_vcpu *vcpu)
{
	return model_of(vcpu)->eptp & EPTP_AD;
}

static bool is_leaf(uint64_t entry, unsigned int height)
{
	return height == 0 ||
	       (height <= LEAF_HEIGHT_MAX && (entry & EPT_LARGE));
}

/* EPT misconfigurations (29.3.3.1), on a CPU with 52 physical address bits. */
static bool is_misconfigured(uint64_t entry, unsigned int height)
{
	if ((entry & EPT_WRITE) && !(entry & EPT_READ))
		return true;
	if (!is_leaf(entry, height))
		return entry & (TABLE_RESERVED | EPT_LARGE);

	const uint64_t type = entry >> TYPE_SHIFT & 7;
	/* A leaf stands at 0 to LEAF_HEIGHT_MAX: within 2^30 bytes. */
	const unsigned int shift = shift_of(height) & 63;
	const uint64_t offset = (UINT64_C(1) << shift) - 1;

	return type == 2 || type == 3 || type == 7 ||
	       (entry & EPT_ADDRESS & offset);
}

/* Where to start: at the table nearest to the leaf that is remembered. */
static uint64_t start(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const struct ept_model *model = model_of(vcpu);

	for (unsigned int height = 1; height < model->levels; height++) {
		const struct translation *known =
			glni_tlb_find(&ept_of(vcpu)->tables, walk->gpa, height);

		if (known) {
			walk->top = height - 1;
			walk->rights = known->rights;
			return known->hpa;
		}
	}
	walk->top = model->levels - 1;
	walk->rights = EPT_RIGHTS;
	return model->eptp & EPTP_ROOT;
}

static gln_word *entry_at(struct gln_model_vcpu *vcpu, uint64_t table,
			  uint64_t gpa, unsigned int height)
{
	const uint64_t index =
		gpa >> shift_of(height) & (((uint64_t)1 << INDEX_BITS) - 1);

	/* No memory at the table is none at any entry of it. */
	if (!glni_model_memory(vcpu->model, table))
		return NULL;
	return glni_model_memory(vcpu->model, table + index * 8);
}

/* Read one entry; DONE where the walk can go on, or was at its leaf. */
static enum outcome read_step(struct gln_model_vcpu *vcpu, struct walk *walk,
			      uint64_t table, unsigned int height)
{
	struct step *const step = &walk->step[height];

	step->at = entry_at(vcpu, table, walk->gpa, height);
	if (!step->at) /* no memory there: a machine check, to a real CPU */
		return WALK_MISCONFIG;

	step->entry = glni_model_read_entry(step->at);
	if (!(step->entry & EPT_RIGHTS)) {
		walk->rights = 0;
		return WALK_VIOLATION;
	}
	if (is_misconfigured(step->entry, height))
		return WALK_MISCONFIG;
	walk->rights &= (uint32_t)step->entry;
	return WALK_DONE;
}

/* Down to the leaf, changing nothing. */
static enum outcome descend(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const unsigned int width = shift_of(model_of(vcpu)->levels);
	uint64_t table = start(vcpu, walk);

	if (walk->gpa >> width) {
		walk->rights = 0;
		return WALK_VIOLATION;
	}
	for (unsigned int height = walk->top;; height--) {
		const enum outcome outcome =
			read_step(vcpu, walk, table, height);

		if (outcome != WALK_DONE)
			return outcome;
		if (is_leaf(walk->step[height].entry, height)) {
			walk->height = height;
			break;
		}
		table = walk->step[height].entry & EPT_ADDRESS;
	}
	return walk->rights & walk->access ? WALK_DONE : WALK_VIOLATION;
}

static bool is_logging(const struct gln_model_vcpu *vcpu)
{
	return vcpu->pml && vcpu->pml->is_enabled;
}

/* Must A or D be set before the access can be made? */
static bool needs_update(const struct walk *walk, bool is_late)
{
	const uint64_t leaf = walk->step[walk->height].entry;

	for (unsigned int height = walk->height + 1; height <= walk->top;
	     height++)
		if (!(walk->step[height].entry & EPT_ACCESSED))
			return true;
	if (walk->access == GLN_ACCESS_WRITE)
		return (leaf & (EPT_ACCESSED | EPT_DIRTY)) !=
		       (EPT_ACCESSED | EPT_DIRTY);
	return !(leaf & EPT_ACCESSED) && !is_late;
}

/*
 * Set bits by a locked operation that fails if the entry is not what the walk
 * read. Relaxed: whoever takes the bits needs nothing that came before them,
 * and waits for what comes after by a flush.
 */
static bool update(struct gln_model_vcpu *vcpu, struct step *step,
		   uint64_t bits)
{
	const uint64_t missing = bits & ~step->entry;
	uint64_t seen = step->entry;

	if (!missing)
		return true;
	if (!gln_cas_strong_relaxed(step->at, &seen, seen | missing))
		return false;

	step->entry |= missing;
	if (missing & EPT_ACCESSED)
		glni_model_count(vcpu, MODEL_ACCESSED_UPDATES, 1);
	if (missing & EPT_DIRTY)
		glni_model_count(vcpu, MODEL_DIRTY_UPDATES, 1);
	return true;
}

/* Page-modification logging (29.3.6): the index was looked at before. */
static void log_page(struct gln_ept_pml *pml, uint64_t gpa)
{
	pml->log[pml->index] = gpa & PML_PAGE_MASK;
	pml->index--;
}

static enum outcome update_leaf(struct gln_model_vcpu *vcpu, struct walk *walk,
				bool is_late)
{
	struct step *const leaf = &walk->step[walk->height];
	const bool was_dirty = leaf->entry & EPT_DIRTY;

	if (walk->access == GLN_ACCESS_WRITE) {
		if (!update(vcpu, leaf, EPT_ACCESSED | EPT_DIRTY))
			return WALK_AGAIN;
		if (!was_dirty && is_logging(vcpu))
			log_page(vcpu->pml, walk->gpa);
		if (!was_dirty)
			glni_model_pause(vcpu);
		return WALK_DONE;
	}
	if (is_late && !(leaf->entry & EPT_ACCESSED)) {
		glni_model_owe(vcpu, (struct late){
					     .entry = leaf->at,
					     .seen = leaf->entry,
					     .same = SAME_LEAF,
					     .bit = EPT_ACCESSED,
				     });
		return WALK_DONE;
	}
	return update(vcpu, leaf, EPT_ACCESSED) ? WALK_DONE : WALK_AGAIN;
}

/*
 * Accessed and dirty flags (29.3.5). With logging on, a full log stops the
 * access before any of them is set, an accessed flag included (29.3.6).
 */
static enum outcome update_all(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	const bool is_late = glni_model_is_late(vcpu);

	if (!has_ad(vcpu))
		return WALK_DONE;
	if (is_logging(vcpu) && vcpu->pml->index >= GLN_EPT_PML_ENTRIES &&
	    needs_update(walk, is_late))
		return WALK_LOG_FULL;

	for (unsigned int height = walk->top; height > walk->height; height--)
		if (!update(vcpu, &walk->step[height], EPT_ACCESSED))
			return WALK_AGAIN;
	return update_leaf(vcpu, walk, is_late);
}

void glni_ept_remember(struct gln_model_vcpu *vcpu, const struct walk *walk)
{
	const struct step *const leaf = &walk->step[walk->height];
	const struct translation *above = NULL;
	uint32_t rights = EPT_RIGHTS;

	if (walk->top + 1 < model_of(vcpu)->levels)
		above = glni_tlb_find(&ept_of(vcpu)->tables, walk->gpa,
				      walk->top + 1);
	if (above)
		rights = above->rights;
	for (unsigned int height = walk->top; height > walk->height; height--) {
		const uint64_t entry = walk->step[height].entry;

		rights &= (uint32_t)entry;
		glni_tlb_put(&ept_of(vcpu)->tables, walk->gpa, height,
			     (struct translation){
				     .hpa = entry & EPT_ADDRESS,
				     .rights = rights,
			     });
	}
	glni_tlb_put(
		&ept_of(vcpu)->tlb, walk->gpa, walk->height,
		(struct translation){
			.hpa = leaf->entry & EPT_ADDRESS,
			.rights = walk->rights,
			.is_dirty = !has_ad(vcpu) || (leaf->entry & EPT_DIRTY),
		});
}

static enum outcome walk_once(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	enum outcome outcome = descend(vcpu, walk);

	if (outcome != WALK_DONE)
		return outcome;
	glni_model_pause(vcpu);
	outcome = update_all(vcpu, walk);
	if (outcome == WALK_DONE)
		glni_ept_remember(vcpu, walk);
	return outcome;
}

/* Each time round, somebody else has changed an entry. */
enum outcome glni_ept_walk(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	enum outcome outcome;

	glni_model_count(vcpu, MODEL_WALKS, 1);
	do
		outcome = walk_once(vcpu, walk);
	while (outcome == WALK_AGAIN);
	return outcome;
}

bool glni_ept_walk_quietly(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	glni_model_count(vcpu, MODEL_WALKS, 1);
	return descend(vcpu, walk) == WALK_DONE &&
	       !(has_ad(vcpu) && needs_update(walk, false));
}
