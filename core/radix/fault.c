/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.c - what a vCPU does to the table: map, relax, split. No lock.
 *
 * One walk to one frame. A fault that loses a race changes nothing and says
 * RETRY: the guest makes the access again and finds what the winner left.
 */
#include "core/radix/radix.h"

/* Blocks larger than this would make changes of one unbounded (H-31). */
#define BLOCK_PAGES_MAX (UINT64_C(1) << 18)

/* A fault under way. */
struct fault {
	struct radix_walk walk;
	struct radix_cache *cache;
	uint32_t vcpu;
	struct gln_backend_slot *slot;
	struct gln_backend_fault *its;
	int result; /* enum gln_fault */
};

static struct fault *fault_of(struct radix_walk *walk)
{
	return gln_container_of(walk, struct fault, walk);
}

/* The largest order that what the host tells may have. */
enum { ORDER_MAX = 63 };

int glni_radix_host_page(const struct radix *radix,
			 const struct gln_backend_slot *slot, gln_gfn gfn,
			 uint32_t access, struct gln_host_page *page)
{
	const unsigned int shift = radix->geometry.page_shift;
	int err;

	*page = (struct gln_host_page){
		.hpa = (uintptr_t)slot->hva + ((gfn - slot->base) << shift),
		.order = ORDER_MAX,
		.is_writable = true,
		.type = GLN_MEMORY_NORMAL,
	};
	if (!radix->host.translate) {
		if (!slot->hva)
			return -EFAULT;
	} else {
		err = radix->host.translate(radix->host.ctx, slot, gfn, access,
					    page);
		if (err)
			return err;
	}

	/* What an entry cannot hold, or says of no memory, is not mapped. */
	if (page->hpa & ((UINT64_C(1) << shift) - 1) ||
	    radix_addr(radix, radix_addr_bits(radix, page->hpa)) != page->hpa ||
	    page->type > GLN_MEMORY_DEVICE)
		return -EFAULT;
	return 0;
}

bool glni_radix_fits(const struct radix *radix,
		     const struct gln_backend_slot *slot, unsigned int level,
		     gln_gfn gfn, const struct gln_host_page *page)
{
	const unsigned int shift = radix->geometry.level[level].shift;
	const uint64_t nr_pages = radix_pages(radix, level);
	const gln_gfn first = gfn & ~(nr_pages - 1);
	const uint64_t bytes_mask = (UINT64_C(1) << shift) - 1;

	if (level == radix_last(radix))
		return true;
	return radix->has_blocks && radix->geometry.level[level].block_ok &&
	       nr_pages <= BLOCK_PAGES_MAX && page->order >= shift &&
	       (page->hpa & bytes_mask) ==
		       (gfn << radix->geometry.page_shift & bytes_mask) &&
	       first >= slot->base && first - slot->base <= slot->nr_pages &&
	       nr_pages <= slot->nr_pages - (first - slot->base);
}

uint64_t glni_radix_leaf(const struct radix *radix,
			 const struct gln_backend_slot *slot,
			 unsigned int level, gln_gfn gfn,
			 const struct gln_host_page *page)
{
	const struct radix_format *const f = &radix->format;
	const uint64_t in_block = (gfn & (radix_pages(radix, level) - 1))
				  << radix->geometry.page_shift;
	uint64_t leaf =
		(level == radix_last(radix) ? f->page_base : f->block_base) |
		radix_addr_bits(radix, page->hpa - in_block) |
		f->type[page->type] | f->accessed;

	leaf = radix_grant(radix, leaf, GLN_ACCESS_READ | GLN_ACCESS_EXEC);
	if (page->is_writable && !(slot->flags & GLN_SLOT_READ_ONLY))
		leaf = radix_grant(radix,
				   leaf | f->host_writable | f->mmu_writable,
				   GLN_ACCESS_WRITE);

	return leaf;
}

/*
 * What the guest may do with a new leaf at once. While the slot is logged, a
 * page is made writable only if it is being written, so that its mark says
 * something; if the CPU notices writes, it is armed instead.
 */
static uint64_t restrict_new(const struct fault *fault, unsigned int level,
			     uint64_t leaf, bool *to_mark)
{
	const struct radix *const radix = fault->walk.radix;
	const bool is_write = fault->its->access & GLN_ACCESS_WRITE;

	*to_mark = false;
	if (!fault->its->is_logged)
		return leaf;
	if (radix->logging.cpu_notices || !is_write)
		return glni_radix_armed(radix, level, leaf);

	*to_mark = true;
	return leaf;
}

/* A leaf as it is to be, or -EAGAIN, -EFAULT: what the host said. */
static int make_leaf(const struct fault *fault, unsigned int level,
		     const struct gln_host_page *page, uint64_t *leaf,
		     bool *to_mark)
{
	const gln_gfn gfn = fault->its->gfn;

	if ((fault->its->access & GLN_ACCESS_WRITE) && !page->is_writable)
		return -EFAULT;
	*leaf = restrict_new(fault, level,
			     glni_radix_leaf(fault->walk.radix, fault->slot,
					     level, gfn, page),
			     to_mark);
	return 0;
}

static int finish(struct fault *fault, enum gln_fault result, bool to_mark)
{
	fault->result = (int)result;
	fault->its->to_mark = to_mark;
	return RADIX_DONE;
}

/* The host's answer in the walk's terms: not now is a race lost to it. */
static int host_said(int err)
{
	return err == -EAGAIN ? RADIX_RACE : err;
}

/* Put a leaf where nothing is mapped. */
static int map(struct fault *fault, gln_word *entry, uint64_t seen,
	       unsigned int level, const struct gln_host_page *page)
{
	struct radix *const radix = fault->walk.radix;
	uint64_t leaf;
	bool to_mark;
	int err = make_leaf(fault, level, page, &leaf, &to_mark);

	if (err)
		return err;
	if (!radix_swap(entry, seen, leaf))
		return RADIX_RACE;
	if (radix->ops->made)
		radix->ops->made(radix);

	return finish(fault, GLN_FAULT_MAPPED, to_mark);
}

/* Put a table where nothing is mapped; the walk goes on in it. */
static int grow(struct fault *fault, const struct radix_visit *visit)
{
	struct radix *const radix = fault->walk.radix;
	struct radix_cache *const cache = fault->cache;

	if (!cache->nr)
		return -ENOMEM;
	if (radix_swap(
		    visit->entry, visit->seen,
		    glni_radix_pointer(radix, cache->table[cache->nr - 1]))) {
		cache->nr--;
		/* Relaxed: a count orders nothing. */
		gln_fetch_add_relaxed(&radix->nr_tables, 1);
	}

	return 0;
}

/* Leaves that differ in rights, and in what was used or written, alone. */
static bool is_same_page(const struct radix *radix, uint64_t a, uint64_t b)
{
	const struct radix_format *const f = &radix->format;

	return !((a ^ b) &
		 (f->addr_low | f->addr_high | f->type[0] | f->type[1]));
}

static int split_to_replace(struct fault *fault, gln_word *entry, uint64_t seen,
			    unsigned int level)
{
	const uint64_t nr_pages = radix_pages(fault->walk.radix, level);
	const struct radix_visit visit = {
		.entry = entry,
		.seen = seen,
		.level = level,
		.range = {fault->its->gfn & ~(nr_pages - 1), nr_pages},
	};

	return glni_radix_split_entry(fault->walk.radix, fault->cache, &visit,
				      RADIX_SPLIT_KEEP);
}

/* The host moved the page, or let it be written: ask it again. */
static int replace(struct fault *fault, gln_word *entry, uint64_t seen,
		   unsigned int level)
{
	struct radix *const radix = fault->walk.radix;
	struct gln_host_page page;
	uint64_t leaf;
	bool to_mark;
	int err = glni_radix_host_page(radix, fault->slot, fault->its->gfn,
				       fault->its->access, &page);

	/* What is there is larger than what the host gives: the page's turn. */
	if (!err &&
	    !glni_radix_fits(radix, fault->slot, level, fault->its->gfn, &page))
		return split_to_replace(fault, entry, seen, level);
	if (!err)
		err = make_leaf(fault, level, &page, &leaf, &to_mark);
	if (err)
		return host_said(err);

	/* Same page, more rights: in place. */
	if (is_same_page(radix, leaf, seen)) {
		if (!radix_swap(entry, seen, leaf))
			return RADIX_RACE;
		if (radix->ops->relaxed)
			radix->ops->relaxed(radix, fault->vcpu,
					    fault->its->gfn);
		return finish(fault, GLN_FAULT_RELAXED, to_mark);
	}

	/* Another page: nobody may use the old one when the new one shows. */
	if (!radix_swap(entry, seen, radix->format.locked))
		return RADIX_RACE;
	radix->ops->flush_entry(radix, fault->its->gfn, level);
	radix_make(entry, leaf);
	if (radix->ops->made)
		radix->ops->made(radix);

	return finish(fault, GLN_FAULT_MAPPED,
		      to_mark || radix_was_written(radix, seen));
}

/* A leaf that refused the access: add the right, if it may be had. */
static int relax(struct fault *fault, gln_word *entry, uint64_t seen,
		 unsigned int level)
{
	struct radix *const radix = fault->walk.radix;
	const struct radix_logging *const logging = &radix->logging;
	const uint32_t access = fault->its->access;
	const bool is_write = access & GLN_ACCESS_WRITE;
	const bool cpu_writes = logging->cpu_notices && fault->its->is_logged;
	enum gln_fault result = GLN_FAULT_RELAXED;
	bool to_mark = is_write && fault->its->is_logged && !cpu_writes;
	uint64_t leaf = radix_grant(radix, seen | radix->format.accessed,
				    access & ~GLN_ACCESS_WRITE);

	if (is_write && !radix_allows(radix, seen, GLN_ACCESS_WRITE)) {
		if (!(seen & radix->format.mmu_writable))
			return replace(fault, entry, seen, level);
		leaf = radix_grant(radix, leaf, GLN_ACCESS_WRITE);
		if (cpu_writes)
			leaf = glni_radix_armed(radix, level, leaf);
	} else {
		to_mark = false;
	}

	if (leaf == seen)
		result = GLN_FAULT_SPURIOUS;
	else if (!radix_swap(entry, seen, leaf))
		return RADIX_RACE;
	if (radix->ops->relaxed)
		radix->ops->relaxed(radix, fault->vcpu, fault->its->gfn);

	return finish(fault, result, to_mark);
}

/* An entry that maps nothing: a leaf as large as may be, or a table. */
static int visit_hole(struct fault *fault, const struct radix_visit *visit)
{
	struct gln_host_page page;
	int err;

	if (fault->its->is_logged || !fault->walk.radix->has_blocks)
		return grow(fault, visit);
	err = glni_radix_host_page(fault->walk.radix, fault->slot,
				   fault->its->gfn, fault->its->access, &page);
	if (err)
		return host_said(err);
	if (!glni_radix_fits(fault->walk.radix, fault->slot, visit->level,
			     fault->its->gfn, &page))
		return grow(fault, visit);

	return map(fault, visit->entry, visit->seen, visit->level, &page);
}

static int visit_leaf(struct radix_walk *walk, const struct radix_visit *visit)
{
	struct fault *const fault = fault_of(walk);
	struct radix *const radix = walk->radix;

	if (visit->seen == radix->format.locked)
		return RADIX_RACE;
	if (!radix_is_present(radix, visit->seen))
		return visit_hole(fault, visit);
	/* T5: a write of one page must not let the others be written. */
	if (fault->its->is_logged && (fault->its->access & GLN_ACCESS_WRITE) &&
	    !radix_allows(radix, visit->seen, fault->its->access))
		return glni_radix_split_entry(radix, fault->cache, visit,
					      RADIX_SPLIT_ARM);

	return relax(fault, visit->entry, visit->seen, visit->level);
}

static int visit_page(struct radix_walk *walk, gln_word *entry, uint64_t nr,
		      gln_gfn gfn)
{
	struct fault *const fault = fault_of(walk);
	struct radix *const radix = walk->radix;
	/* Relaxed: a leaf has nothing behind it that we read. */
	const uint64_t seen = gln_load_relaxed(entry);
	struct gln_host_page page;
	int err;

	(void)nr;
	if (seen == radix->format.locked)
		return RADIX_RACE;
	if (radix_is_present(radix, seen))
		return relax(fault, entry, seen, radix_last(radix));

	err = glni_radix_host_page(radix, fault->slot, gfn, fault->its->access,
				   &page);
	if (err)
		return host_said(err);
	return map(fault, entry, seen, radix_last(radix), &page);
}

static const struct radix_visitor fault_visitor = {
	.is_fault = true,
	.pages = visit_page,
	.leaf = visit_leaf,
};

int glni_radix_map(struct radix *radix, struct radix_cache *cache,
		   uint32_t vcpu, struct gln_backend_slot *slot,
		   struct gln_backend_fault *its)
{
	struct fault fault = {
		.walk =
			{
				.radix = radix,
				.visitor = &fault_visitor,
				.range = {its->gfn, 1},
			},
		.cache = cache,
		.vcpu = vcpu,
		.slot = slot,
		.its = its,
		.result = GLN_FAULT_RETRY,
	};
	int said;

	its->to_mark = false;
	if (its->gfn >= radix_nr_frames(radix))
		return -ERANGE;
	said = glni_radix_walk(&fault.walk);

	return said < 0 ? said : fault.result;
}

/* Only where a table is: a guest that touches holes must not cost memory. */
static int visit_mmio(struct radix_walk *walk, gln_word *entry, uint64_t nr,
		      gln_gfn gfn)
{
	(void)nr;
	(void)gfn;
	radix_swap(entry, walk->radix->format.empty, walk->radix->format.mmio);
	return RADIX_DONE;
}

static const struct radix_visitor mmio_visitor = {
	.is_fault = true,
	.pages = visit_mmio,
};

int glni_radix_note_mmio(struct radix *radix, gln_gfn gfn)
{
	struct radix_walk walk = {
		.radix = radix,
		.visitor = &mmio_visitor,
		.range = {gfn, 1},
	};

	if (gfn >= radix_nr_frames(radix))
		return -ERANGE;
	glni_radix_walk(&walk);
	return 0;
}
