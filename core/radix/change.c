/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * change.c - split, collapse, unmap: what changes the shape of the tree.
 *
 * Faults split too. All else here comes from one thread at a time, which the VM
 * sees to, and runs beside faults and harvests of other slots.
 */
#include "core/radix/radix.h"

/* A leaf of the level below, one of those that are to replace @block. */
static uint64_t child_of(const struct radix *radix, uint64_t block,
			 unsigned int level, uint64_t i)
{
	const struct radix_format *const f = &radix->format;
	const bool is_page = level == radix_last(radix);
	const uint64_t addr = radix_addr(radix, block) +
			      (i << radix->geometry.level[level].shift);
	uint64_t leaf = block & ~f->addr_low & ~f->addr_high;

	if (is_page)
		leaf = (leaf & ~(f->block_base & ~f->page_base)) | f->page_base;
	return leaf | radix_addr_bits(radix, addr);
}

/* Relaxed stores: nobody sees @table before its pointer. */
static void fill_children(const struct radix *radix, gln_word *table,
			  uint64_t block, unsigned int level,
			  enum radix_split how)
{
	for (uint64_t i = 0; i < radix_nr_entries(radix, level); i++) {
		uint64_t leaf = child_of(radix, block, level, i);

		if (how == RADIX_SPLIT_ARM)
			leaf = glni_radix_armed(radix, level, leaf);
		else if (!radix_allows(radix, leaf, GLN_ACCESS_WRITE))
			/* Dirty state of the block says nothing of a page. */
			leaf &= ~radix->logging.page_clear;
		gln_store_relaxed(&table[i], leaf);
	}
}

int glni_radix_split_entry(struct radix *radix, struct radix_cache *cache,
			   const struct radix_visit *visit,
			   enum radix_split how)
{
	const bool break_first = radix->ops->break_first;
	uint64_t seen = visit->seen;
	gln_word *table;

	if (!cache->nr)
		return -ENOMEM;
	table = cache->table[cache->nr - 1];

	if (break_first) {
		if (!radix_swap(visit->entry, seen, radix->format.locked))
			return RADIX_RACE;
		radix->ops->flush_entry(radix, visit->range.first,
					visit->level);
		fill_children(radix, table, seen, visit->level + 1, how);
		radix_make(visit->entry, glni_radix_pointer(radix, table));
		if (radix->ops->made)
			radix->ops->made(radix);
	} else {
		fill_children(radix, table, seen, visit->level + 1, how);
		if (!radix_swap(visit->entry, seen,
				glni_radix_pointer(radix, table))) {
			glni_radix_empty(radix, table);
			return RADIX_RACE;
		}
	}

	cache->nr--;
	/* Relaxed: a count orders nothing. */
	gln_fetch_add_relaxed(&radix->nr_tables, 1);
	return 0;
}

/* A walk that splits, stopping for more tables when it has none. */
struct split {
	struct radix_walk walk;
	struct radix_cache cache;
	enum radix_split how;
	gln_gfn next; /* where it stopped */
};

static int split_leaf(struct radix_walk *walk, const struct radix_visit *visit)
{
	struct split *const split = gln_container_of(walk, struct split, walk);
	struct radix_visit again = *visit;
	int said = 0;

	while (radix_is_leaf(walk->radix, again.level, again.seen)) {
		said = glni_radix_split_entry(walk->radix, &split->cache,
					      &again, split->how);
		if (said != RADIX_RACE)
			break;
		/* The CPU, or a fault, changed a bit of it. */
		again.seen = radix_see(again.entry);
	}
	if (said == -ENOMEM)
		split->next = gln_max(visit->range.first, walk->range.first);

	return said == RADIX_RACE ? 0 : said;
}

static const struct radix_visitor split_visitor = {
	.leaf = split_leaf,
};

/* Tables are allocated between walks: nothing sleeps in a section. */
int glni_radix_split(struct radix *radix, struct gln_range range,
		     enum radix_split how)
{
	const gln_gfn end = range.first + range.count;
	struct split split = {
		.walk = {.radix = radix, .visitor = &split_visitor},
		.how = how,
	};
	int err, said;

	split.next = range.first;
	do {
		split.walk.range =
			(struct gln_range){split.next, end - split.next};
		err = glni_radix_fill(radix, &split.cache, RADIX_CACHE_TABLES);
		said = glni_radix_walk_batches(&split.walk);
	} while (!err && said == -ENOMEM);
	glni_radix_drain(radix, &split.cache);

	return said;
}

/* Lock whatever is in a table that was unlinked; tables below it as well. */
static void lock_entries(struct radix *radix, struct gln_backend_slot *slot,
			 gln_word *table, unsigned int level, gln_gfn gfn)
{
	const uint64_t nr_pages = radix_pages(radix, level);

	for (uint64_t i = 0; i < radix_nr_entries(radix, level); i++) {
		uint64_t seen = radix_see(&table[i]);

		/* A fault may put a table here until we lock the entry. */
		while (!radix_is_table(radix, level, seen)) {
			const uint64_t expected = seen;

			if (seen == radix->format.locked ||
			    radix_swap(&table[i], expected,
				       radix->format.locked))
				break;
			seen = radix_see(&table[i]);
		}
		if (radix_is_table(radix, level, seen))
			lock_entries(radix, slot, radix_child(radix, seen),
				     level + 1, gfn + i * nr_pages);
		else if (slot && radix_was_written(radix, seen))
			slot->mark(slot, gfn + i * nr_pages, nr_pages);
	}
}

enum {
	/* Tables unlinked between two flushes: a grace period for all. */
	DEAD_TABLES = 64,
};

/**
 * struct dead - tables that were unlinked, and what is to stand for them.
 *
 * @entry holds format.locked until then.
 */
struct dead {
	unsigned int nr;
	struct {
		gln_word *entry;
		gln_word *table;
		unsigned int level; /* of the entry */
		uint64_t becomes;
		struct gln_range range;
	} of[DEAD_TABLES];
};

/* A walk that takes tables away. */
struct removal {
	struct radix_walk walk;
	struct gln_backend_slot *slot;
	struct gln_range whole; /* the walk goes by batches of it */
	struct gln_range room;	/* tables within it map nothing else */
	gln_gfn first, end;	/* what must be flushed: blocks went whole */
	struct dead dead;
};

static struct removal *removal_of(struct radix_walk *walk)
{
	return gln_container_of(walk, struct removal, walk);
}

/* No CPU walks them, no thread: give way, and free. Outside sections. */
static void bury(struct radix *radix, struct dead *dead)
{
	gln_gfn first = UINT64_MAX, end = 0;

	if (!dead->nr)
		return;
	/* One flush for all: they ascend, but for those of two levels. */
	for (unsigned int i = 0; i < dead->nr; i++) {
		first = gln_min(first, dead->of[i].range.first);
		end = gln_max(end, dead->of[i].range.first +
					   dead->of[i].range.count);
	}
	radix->ops->flush_range(radix, (struct gln_range){first, end - first});
	for (unsigned int i = 0; i < dead->nr; i++)
		radix_make(dead->of[i].entry, dead->of[i].becomes);
	if (radix->ops->made)
		radix->ops->made(radix);
	glni_synchronize();
	for (unsigned int i = 0; i < dead->nr; i++)
		glni_radix_free_tree(radix, dead->of[i].table,
				     dead->of[i].level + 1);
	dead->nr = 0;
}

/* Unlink the table of @visit. The marks of what it held go to @slot. */
static void unlink_table(struct removal *removal,
			 const struct radix_visit *visit,
			 struct gln_backend_slot *slot, uint64_t becomes)
{
	struct radix *const radix = removal->walk.radix;
	struct dead *const dead = &removal->dead;
	gln_word *const table = radix_child(radix, visit->seen);
	uint64_t seen = visit->seen;

	/* The CPU may set "accessed" of it; a table it stays. */
	while (!radix_swap(visit->entry, seen, radix->format.locked))
		seen = radix_see(visit->entry);
	lock_entries(radix, slot, table, visit->level + 1, visit->range.first);

	dead->of[dead->nr].entry = visit->entry;
	dead->of[dead->nr].table = table;
	dead->of[dead->nr].level = visit->level;
	dead->of[dead->nr].becomes = becomes;
	dead->of[dead->nr].range = visit->range;
	dead->nr++;
}

static bool is_within(struct gln_range part, struct gln_range whole)
{
	return part.first >= whole.first &&
	       part.first - whole.first <= whole.count &&
	       part.count <= whole.count - (part.first - whole.first);
}

/* Read-side sections end after this many pages, or when a batch is full. */
#define STEP_PAGES (UINT64_C(1) << 18)

/* Walk all of @removal->whole, burying between sections. */
static void remove_by_steps(struct removal *removal)
{
	struct radix *const radix = removal->walk.radix;
	const gln_gfn end = removal->whole.first + removal->whole.count;

	for (gln_gfn first = removal->whole.first; first < end;) {
		const gln_gfn next =
			gln_min((first | (STEP_PAGES - 1)) + 1, end);
		int said;

		removal->walk.range = (struct gln_range){first, next - first};
		glni_read_lock();
		said = glni_radix_walk(&removal->walk);
		glni_read_unlock();
		bury(radix, &removal->dead);
		if (said != RADIX_DONE) /* else the batch was full: again */
			first = next;
	}
}

/* The block that can stand for a table, or 0. */
static uint64_t block_for(const struct removal *removal,
			  const struct radix_visit *visit)
{
	const struct radix *const radix = removal->walk.radix;
	struct gln_host_page page;

	if (glni_radix_host_page(radix, removal->slot, visit->range.first,
				 GLN_ACCESS_READ, &page) ||
	    !glni_radix_fits(radix, removal->slot, visit->level,
			     visit->range.first, &page))
		return 0;
	return glni_radix_leaf(radix, removal->slot, visit->level,
			       visit->range.first, &page);
}

/* Top down: what the walk replaces it does not enter. */
static int collapse_table(struct radix_walk *walk,
			  const struct radix_visit *visit)
{
	struct removal *const removal = removal_of(walk);
	uint64_t block;

	if (!is_within(visit->range, removal->whole))
		return 0;
	block = block_for(removal, visit);
	if (!block)
		return 0;
	unlink_table(removal, visit, NULL, block);

	return removal->dead.nr == DEAD_TABLES ? RADIX_DONE : 0;
}

static const struct radix_visitor collapse_visitor = {
	.table_pre = collapse_table,
};

void glni_radix_collapse(struct radix *radix, struct gln_backend_slot *slot)
{
	struct removal removal = {
		.walk = {.radix = radix, .visitor = &collapse_visitor},
		.slot = slot,
		.whole = {slot->base, slot->nr_pages},
	};

	if (radix->has_blocks)
		remove_by_steps(&removal);
}

/* Empty an entry, waiting for who has it locked (T4). Returns what it held. */
static uint64_t empty_entry(const struct radix *radix, gln_word *entry)
{
	uint64_t seen = radix_see(entry);

	while (seen != radix->format.empty) {
		if (seen != radix->format.locked &&
		    radix_swap(entry, seen, radix->format.empty))
			break;
		seen = radix_see(entry);
	}

	return seen;
}

static int unmap_pages(struct radix_walk *walk, gln_word *entries, uint64_t nr,
		       gln_gfn gfn)
{
	struct gln_backend_slot *const slot = removal_of(walk)->slot;

	for (uint64_t i = 0; i < nr; i++)
		if (radix_was_written(walk->radix,
				      empty_entry(walk->radix, &entries[i])))
			slot->mark(slot, gfn + i, 1);

	return 0;
}

/* A block goes whole, also for a part of it: the rest comes back by faults. */
static int unmap_block(struct radix_walk *walk, const struct radix_visit *visit)
{
	const struct radix *const radix = walk->radix;
	struct removal *const removal = removal_of(walk);
	uint64_t seen = visit->seen;

	while (!radix_is_table(radix, visit->level, seen) &&
	       seen != radix->format.empty) {
		if (seen != radix->format.locked &&
		    radix_swap(visit->entry, seen, radix->format.empty))
			break;
		seen = radix_see(visit->entry);
	}
	if (radix_is_leaf(radix, visit->level, seen)) {
		removal->first = gln_min(removal->first, visit->range.first);
		removal->end = gln_max(removal->end,
				       visit->range.first + visit->range.count);
	}

	return 0;
}

static void flush_removed(struct removal *removal)
{
	removal->walk.radix->ops->flush_range(
		removal->walk.radix,
		(struct gln_range){removal->first,
				   removal->end - removal->first});
}

static const struct radix_visitor unmap_visitor = {
	.pages = unmap_pages,
	.leaf = unmap_block,
};

void glni_radix_unmap(struct radix *radix, struct gln_backend_slot *slot,
		      struct gln_range range)
{
	struct removal removal = {
		.walk =
			{
				.radix = radix,
				.visitor = &unmap_visitor,
				.range = range,
			},
		.slot = slot,
		.first = range.first,
		.end = range.first + range.count,
	};

	glni_radix_walk_batches(&removal.walk);
	flush_removed(&removal);
}

/* A table of nothing else, and of no more than a section may walk. */
static int remove_table(struct radix_walk *walk,
			const struct radix_visit *visit)
{
	struct removal *const removal = removal_of(walk);

	if (visit->range.count > STEP_PAGES ||
	    !is_within(visit->range, removal->room))
		return 0;
	unlink_table(removal, visit, removal->slot, walk->radix->format.empty);

	return removal->dead.nr == DEAD_TABLES ? RADIX_DONE : 0;
}

/* A larger one, when the walk has emptied it: it is at its end, or the slot's.
 */
static int remove_large_table(struct radix_walk *walk,
			      const struct radix_visit *visit)
{
	struct removal *const removal = removal_of(walk);
	const gln_gfn walked = walk->range.first + walk->range.count;
	const gln_gfn end =
		gln_min(visit->range.first + visit->range.count,
			removal->whole.first + removal->whole.count);

	if (visit->range.count <= STEP_PAGES || walked < end ||
	    !is_within(visit->range, removal->room))
		return 0;
	if (removal->dead.nr < DEAD_TABLES)
		unlink_table(removal, visit, removal->slot,
			     walk->radix->format.empty);

	return removal->dead.nr == DEAD_TABLES ? RADIX_DONE : 0;
}

static const struct radix_visitor remove_visitor = {
	.pages = unmap_pages,
	.leaf = unmap_block,
	.table_pre = remove_table,
	.table_post = remove_large_table,
};

void glni_radix_remove(struct radix *radix, struct gln_backend_slot *slot)
{
	const struct gln_range range = {slot->base, slot->nr_pages};
	struct removal removal = {
		.walk = {.radix = radix, .visitor = &remove_visitor},
		.slot = slot,
		.whole = range,
		.room = slot->room,
		.first = range.first,
		.end = range.first + range.count,
	};

	remove_by_steps(&removal);
	flush_removed(&removal);
}
