/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - what an x86 CPU does with EPT (Intel SDM volume 3C, chapter 29).
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
#include "backends/model/model.h"

#include <errno.h>

#include "backends/model/tlb.h"
#include "backends/x86_ept/entry.h"

/* EPTP (25.6.11). Bits 11:7 and 63:52 are reserved, here as on most CPUs. */
enum {
	EPTP_TYPE_MASK = 7, /* 2:0 */
	EPTP_TYPE_UC = 0,
	EPTP_TYPE_WB = 6,
	EPTP_WALK_SHIFT = 3, /* 5:3: length of a walk, less 1 */
	EPTP_WALK_MASK = 7,
};
#define EPTP_AD	      (UINT64_C(1) << 6)
#define EPTP_RESERVED UINT64_C(0xfff0000000000f80)
#define EPTP_ROOT     UINT64_C(0x000ffffffffff000)

/* Exit qualification of an EPT violation (table 28-7). */
enum {
	QUAL_READ = 1 << 0,
	QUAL_WRITE = 1 << 1,
	QUAL_EXEC = 1 << 2,
	QUAL_RIGHTS_SHIFT = 3, /* 5:3: R, W, X, and-ed over the walk */
	QUAL_LINEAR_VALID = 1 << 7,
	QUAL_LINEAR_TRANSLATED = 1 << 8,
};

enum {
	PAGE_SHIFT = 12,
	INDEX_BITS = 9,
	TYPE_SHIFT = 3,	     /* memory type of a leaf, 5:3 */
	LEAF_HEIGHT_MAX = 2, /* 1 GiB */
	STALE_PERMILLE = 500,
};
/* Of a table's entry, 29.3.2; bit 7 as well where no leaf may stand. */
#define TABLE_RESERVED UINT64_C(0x78)
#define PML_PAGE_MASK  (~UINT64_C(0xfff))
/* What an entry must still say for a late accessed bit to be its own. */
#define SAME_LEAF      (EPT_READ | EPT_EXEC | EPT_LARGE | EPT_ADDRESS)

_Static_assert((int)EPT_READ == (int)GLN_ACCESS_READ &&
		       (int)EPT_WRITE == (int)GLN_ACCESS_WRITE &&
		       (int)EPT_EXEC == (int)GLN_ACCESS_EXEC,
	       "bits 2:0 of an entry are rights as the interface has them");
_Static_assert((int)QUAL_READ == (int)GLN_ACCESS_READ &&
		       (int)QUAL_WRITE == (int)GLN_ACCESS_WRITE &&
		       (int)QUAL_EXEC == (int)GLN_ACCESS_EXEC,
	       "and so are bits 2:0 of a qualification");

struct ept_model {
	struct gln_model model;
	uint64_t eptp;
	unsigned int levels;
};

/**
 * struct ept_vcpu - what the CPU caches.
 *
 * @tables:	at height n, the table that an entry of height n points to.
 */
struct ept_vcpu {
	struct gln_model_vcpu vcpu;
	struct tlb tlb;
	struct tlb tables;
};

static struct ept_model *model_of(const struct gln_model_vcpu *vcpu)
{
	return (struct ept_model *)(void *)vcpu->model;
}

static struct ept_vcpu *ept_of(struct gln_model_vcpu *vcpu)
{
	return (struct ept_vcpu *)(void *)vcpu;
}

static void vcpu_init(struct gln_model_vcpu *vcpu)
{
	glni_tlb_init(&ept_of(vcpu)->tlb, PAGE_SHIFT, INDEX_BITS);
	glni_tlb_init(&ept_of(vcpu)->tables, PAGE_SHIFT, INDEX_BITS);
}

static unsigned int shift_of(unsigned int height)
{
	return PAGE_SHIFT + height * INDEX_BITS;
}

/* One access, as it makes its way. */

/** struct step - an entry that a walk used. */
struct step {
	gln_word *at;
	uint64_t entry;
};

/**
 * struct walk - an access that asks the table.
 *
 * @step:	by height, from @top down to @height, where the leaf is.
 * @rights:	and-ed over the entries.
 */
struct walk {
	uint64_t gpa;
	uint32_t access;
	unsigned int top;
	unsigned int height;
	uint32_t rights;
	struct step step[TLB_HEIGHTS];
};

/** enum outcome - of a walk, or of a part of it. */
enum outcome {
	WALK_DONE,
	WALK_VIOLATION,
	WALK_MISCONFIG,
	WALK_LOG_FULL,
	WALK_AGAIN, /* an entry changed under it */
};

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

/* Remember the tables and the leaf that an access was made by. */
static void remember(struct gln_model_vcpu *vcpu, const struct walk *walk)
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
		remember(vcpu, walk);
	return outcome;
}

/* Each time round, somebody else has changed an entry. */
static enum outcome walk_table(struct gln_model_vcpu *vcpu, struct walk *walk)
{
	enum outcome outcome;

	glni_model_count(vcpu, MODEL_WALKS, 1);
	do
		outcome = walk_once(vcpu, walk);
	while (outcome == WALK_AGAIN);
	return outcome;
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
	glni_model_count(vcpu, MODEL_WALKS, 1);
	if (descend(vcpu, &walk) == WALK_DONE && walk.height != height &&
	    !(has_ad(vcpu) && needs_update(&walk, false)))
		remember(vcpu, &walk);
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

	switch (walk_table(vcpu, &walk)) {
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
