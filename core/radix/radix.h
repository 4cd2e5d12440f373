/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * radix.h - second-stage tables that are radix trees, whosever they are.
 *
 * What differs between architectures is data: where an address is cut (struct
 * radix_geometry), what the bits of an entry mean (struct radix_format), how a
 * write is noticed (struct radix_logging). What must be executed comes as calls
 * (struct radix_ops). The rest is here, once:
 *
 *	table.c		pages of tables: caches, and their end
 *	walk.c		the depth-first walker
 *	fault.c		map, relax, split: what a vCPU does, without a lock
 *	log.c		arm, protect, collect, age: what a harvest does
 *	change.c	split, collapse, unmap: changes of the tree
 *	mmu.c		all of it as operations of a backend
 *
 * Who may change what (docs/internals/radix.md has the interleavings):
 *
 *   T1  An entry changes by a read-modify-write: the CPU sets bits of it too.
 *   T2  A fault turns an empty entry into a leaf or a table, a block into a
 *       table, and adds rights to a leaf. It takes nothing away, so it never
 *       frees a table.
 *   T3  What takes away (protect, unmap, collapse) comes from a harvest or,
 *       one at a time, from who changes the VM. A table is freed after it was
 *       unlinked, its entries locked, the CPUs flushed and a grace period over.
 *   T4  Whoever replaces a valid entry by a different one, where break-before-
 *       make is the rule, holds it locked meanwhile. A fault that meets a
 *       locked entry lets the guest try again. What a lock gives way to can be
 *       written only by somebody who marks afterwards; so a walk that protects
 *       passes by.
 *   T5  In a logged slot only pages are made writable, never blocks.
 */
#ifndef GLN_CORE_RADIX_RADIX_H
#define GLN_CORE_RADIX_RADIX_H

#include <glean/mmu.h>
#include <glean/platform.h>

#include "core/base/assert.h"
#include "core/base/atomic.h"
#include "core/base/bits.h"
#include "core/base/broken.h"
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/sync/rcu.h"

enum {
	/* x86 with 57 bits has 5; Arm with 52 bits of 4 KiB pages may have. */
	RADIX_MAX_LEVELS = 5,
	/* Tables a fault may need: one a level below the root. */
	RADIX_FAULT_TABLES = RADIX_MAX_LEVELS - 1,
	/* Tables a vCPU keeps: two faults' worth. */
	RADIX_CACHE_TABLES = 2 * RADIX_FAULT_TABLES,
	RADIX_ENTRY_SHIFT = 3,
	/* From here on allocators align a power of two to itself. */
	RADIX_TABLE_BYTES_MIN = 4096,
};

/**
 * struct radix_geometry - where an address is cut.
 *
 * @nr_levels:	level 0 is the root, @nr_levels - 1 maps pages.
 * @addr_bits:	bits of an address that are translated.
 * @level:	@shift: log2 of the bytes an entry maps; @bits: log2 of the
 *		entries of a table, the root's with those joined to it;
 *		@block_ok: a leaf may stand here although pages are smaller.
 */
struct radix_geometry {
	unsigned int nr_levels;
	unsigned int page_shift;
	unsigned int addr_bits;
	struct {
		unsigned int shift;
		unsigned int bits;
		bool block_ok;
	} level[RADIX_MAX_LEVELS];
};

/** struct radix_right - an access is allowed if @set are set, @clear clear. */
struct radix_right {
	uint64_t set;
	uint64_t clear;
};

/** Index of a right: the bit of GLN_ACCESS_*. */
enum { RADIX_READ, RADIX_WRITE, RADIX_EXEC, RADIX_RIGHTS };

/**
 * struct radix_format - the bits of an entry.
 *
 * @present:	one bit, set in leaves and tables and in nothing else.
 * @table:	set under @table_mask in a table above the last level.
 * @empty:	an entry that maps nothing, in a new table.
 * @locked:	an entry that is being replaced.
 * @mmio:	an entry that says "no memory here"; @empty if there is none.
 * @table_base, @page_base, @block_base: fixed bits of new entries.
 * @right:	by RADIX_*.
 * @addr_low:	address bits that stand where they belong.
 * @addr_high:	those that stand @addr_high_shift too low.
 * @type:	by enum gln_memory_type.
 * @accessed:	set when the entry was used.
 * @host_writable: software's: what backs the page may be written.
 * @mmu_writable: software's: a write fault may add the right without asking.
 */
struct radix_format {
	uint64_t present;
	uint64_t table_mask;
	uint64_t table;
	uint64_t empty;
	uint64_t locked;
	uint64_t mmio;
	uint64_t table_base;
	uint64_t page_base;
	uint64_t block_base;
	struct radix_right right[RADIX_RIGHTS];
	uint64_t addr_low;
	uint64_t addr_high;
	unsigned int addr_high_shift;
	uint64_t type[2];
	uint64_t accessed;
	uint64_t host_writable;
	uint64_t mmu_writable;
};

/**
 * struct radix_logging - how a write is noticed while a slot is logged.
 *
 * @page_clear:	bits whose absence from a page makes its next write noticed.
 * @page_set:	bits a page needs as well, for the CPU to notice by itself.
 * @block_clear: bits whose absence makes a write of a block fault.
 * @dirty:	a page with all of them was written; 0 if entries do not tell.
 * @cpu_notices: the CPU does: software lets a page be written and need not mark
 *		it.
 */
struct radix_logging {
	uint64_t page_clear;
	uint64_t page_set;
	uint64_t block_clear;
	uint64_t dirty;
	bool cpu_notices;
};

struct radix;

/**
 * struct radix_ops - what must be executed, by the architecture.
 *
 * @break_first: a valid entry gives way to a different one by break, flush,
 *		make (Arm); else at once (x86).
 * @flush_entry: no CPU uses a translation by the leaf that was at @level and
 *		maps @gfn, on return.
 * @flush_range: nor any of @range, at whatever level, tables included.
 * @made:	entries that were written are seen by walks; NULL if always.
 * @relaxed:	on vCPU @vcpu: forget that an access of @gfn was refused; NULL
 *		if the refusal did that.
 */
struct radix_ops {
	bool break_first;
	void (*flush_entry)(struct radix *radix, gln_gfn gfn,
			    unsigned int level);
	void (*flush_range)(struct radix *radix, struct gln_range range);
	void (*made)(struct radix *radix);
	void (*relaxed)(struct radix *radix, uint32_t vcpu, gln_gfn gfn);
};

/**
 * struct radix - a table; the backend's structure begins with it.
 *
 * @lock:	serialises the allocator; nothing else is done under it.
 * @has_blocks:	leaves may stand above the last level.
 * @splits_eagerly: blocks are split when logging starts or a log is cleared,
 *not at faults only.
 * @nr_tables:	tables there are, the root not among them.
 */
struct radix {
	struct gln_backend backend;
	const struct radix_ops *ops;
	struct radix_geometry geometry;
	struct radix_format format;
	struct radix_logging logging;
	struct gln_mmu_host host;
	struct gln_allocator allocator;
	struct gln_plat_mutex lock;
	bool has_blocks;
	bool splits_eagerly;
	gln_word *root;
	gln_word nr_tables;
};

/** struct radix_cache - tables that nobody else knows, ready for a fault. */
struct radix_cache {
	unsigned int nr;
	gln_word *table[RADIX_CACHE_TABLES];
};

/* Arithmetic of entries. Levels count from 0 at the root. */

static inline unsigned int radix_last(const struct radix *radix)
{
	return radix->geometry.nr_levels - 1;
}

/** radix_pages() - pages that an entry at @level maps. */
static inline uint64_t radix_pages(const struct radix *radix,
				   unsigned int level)
{
	return UINT64_C(1) << (radix->geometry.level[level].shift -
			       radix->geometry.page_shift);
}

static inline uint64_t radix_index(const struct radix *radix,
				   unsigned int level, gln_gfn gfn)
{
	const unsigned int shift =
		radix->geometry.level[level].shift - radix->geometry.page_shift;

	return gfn >> shift &
	       ((UINT64_C(1) << radix->geometry.level[level].bits) - 1);
}

static inline uint64_t radix_nr_entries(const struct radix *radix,
					unsigned int level)
{
	return UINT64_C(1) << radix->geometry.level[level].bits;
}

/** radix_table_bytes() - a small root takes a page too: it must be aligned. */
static inline size_t radix_table_bytes(const struct radix *radix,
				       unsigned int level)
{
	return (size_t)gln_max(radix_nr_entries(radix, level)
				       << RADIX_ENTRY_SHIFT,
			       RADIX_TABLE_BYTES_MIN);
}

/** radix_nr_frames() - frames that can be translated. */
static inline uint64_t radix_nr_frames(const struct radix *radix)
{
	return UINT64_C(1) << (radix->geometry.addr_bits -
			       radix->geometry.page_shift);
}

static inline bool radix_is_present(const struct radix *radix, uint64_t entry)
{
	return entry & radix->format.present;
}

static inline bool radix_is_table(const struct radix *radix, unsigned int level,
				  uint64_t entry)
{
	return level < radix_last(radix) &&
	       (entry & radix->format.table_mask) == radix->format.table;
}

static inline bool radix_is_leaf(const struct radix *radix, unsigned int level,
				 uint64_t entry)
{
	return radix_is_present(radix, entry) &&
	       !radix_is_table(radix, level, entry);
}

static inline uint64_t radix_addr(const struct radix *radix, uint64_t entry)
{
	const struct radix_format *const f = &radix->format;

	return (entry & f->addr_low) | (entry & f->addr_high)
					       << f->addr_high_shift;
}

static inline uint64_t radix_addr_bits(const struct radix *radix, uint64_t hpa)
{
	const struct radix_format *const f = &radix->format;

	return (hpa & f->addr_low) | (hpa >> f->addr_high_shift & f->addr_high);
}

/** radix_allows() - does a leaf let all of @access through? */
static inline bool radix_allows(const struct radix *radix, uint64_t entry,
				uint32_t access)
{
	for (unsigned int i = 0; i < RADIX_RIGHTS; i++) {
		const struct radix_right *const right = &radix->format.right[i];

		if ((access & 1U << i) && ((entry & right->set) != right->set ||
					   (entry & right->clear)))
			return false;
	}

	return true;
}

/** radix_grant() - the leaf that does. */
static inline uint64_t radix_grant(const struct radix *radix, uint64_t entry,
				   uint32_t access)
{
	for (unsigned int i = 0; i < RADIX_RIGHTS; i++)
		if (access & 1U << i)
			entry = (entry | radix->format.right[i].set) &
				~radix->format.right[i].clear;

	return entry;
}

/** radix_was_written() - by what the CPU left in a page's entry. */
static inline bool radix_was_written(const struct radix *radix, uint64_t entry)
{
	const uint64_t dirty = radix->logging.dirty;

	return dirty && radix_is_present(radix, entry) &&
	       (entry & dirty) == dirty;
}

/** radix_child() - the table that @entry points to. */
static inline gln_word *radix_child(const struct radix *radix, uint64_t entry)
{
	const uint64_t hpa = radix_addr(radix, entry);

	if (radix->host.memory_at)
		return radix->host.memory_at(radix->host.ctx, hpa);
	return (gln_word *)(uintptr_t)hpa;
}

/** radix_see() - an entry, and the table behind it if there is one. */
static inline uint64_t radix_see(const gln_word *entry)
{
	/*
	 * sync radix.1 (acquire) <- radix.2, radix.3: a table before its
	 * pointer.
	 */
	return gln_load_acquire(entry);
}

/**
 * radix_swap() - replace what was seen, if it is still there; @new may point to
 * a table.
 */
static inline bool radix_swap(gln_word *entry, uint64_t seen, uint64_t new)
{
	/*
	 * sync radix.2 (release) -> radix.1, model.1: a table before its
	 * pointer.
	 */
	return gln_cas_strong_release(entry, &seen, new);
}

/** radix_make() - replace an entry that we hold locked. */
static inline void radix_make(gln_word *entry, uint64_t new)
{
	/* sync radix.3 (release) -> radix.1, model.1: the same. */
	gln_store_release(entry, new);
}

/* table.c */

/**
 * glni_radix_init() - an empty root, once geometry, format, host and allocator
 * are set. Return: 0; -ENOMEM; -ERANGE if it came from where no entry can
 * point.
 */
int glni_radix_init(struct radix *radix);
/** glni_radix_fini() - free all tables. Nobody uses any. */
void glni_radix_fini(struct radix *radix);

/** glni_radix_fill() - have @nr tables in the cache. Errors as init's. */
int glni_radix_fill(struct radix *radix, struct radix_cache *cache,
		    unsigned int nr);
/** glni_radix_drain() - free what is in the cache. */
void glni_radix_drain(struct radix *radix, struct radix_cache *cache);
/** glni_radix_empty() - make a table below the root, unused, new again. */
void glni_radix_empty(const struct radix *radix, gln_word *table);
/** glni_radix_free_tree() - free a table and all below it; nobody uses any. */
void glni_radix_free_tree(struct radix *radix, gln_word *table,
			  unsigned int level);

/** glni_radix_pointer() - the entry that points to @table. */
uint64_t glni_radix_pointer(const struct radix *radix, gln_word *table);

/* walk.c */

/**
 * struct radix_visit - an entry above the last level, as the walker saw it.
 *
 * @range:	the frames it maps, all of them; not all need be in the walk.
 */
struct radix_visit {
	gln_word *entry;
	uint64_t seen;
	unsigned int level;
	struct gln_range range;
};

struct radix_walk;

/** What a visitor says besides 0 and errors. */
enum {
	RADIX_DONE = 1, /* end the walk */
	RADIX_RACE = 2, /* lost one: ends the walk of a fault, and no other */
};

/**
 * struct radix_visitor - what is done on the way. NULL calls are not made.
 *
 * After @leaf and @table_pre the walker reads the entry again, and goes down if
 * it now points to a table, only then.
 *
 * @pages:	@nr entries of a table of pages, the first of which maps @gfn.
 * @leaf:	an entry above them that points to no table: block, empty or
 *		locked.
 * @table_pre:	a table, before it is entered; @table_post: after.
 */
struct radix_visitor {
	bool is_fault;
	int (*pages)(struct radix_walk *walk, gln_word *entries, uint64_t nr,
		     gln_gfn gfn);
	int (*leaf)(struct radix_walk *walk, const struct radix_visit *visit);
	int (*table_pre)(struct radix_walk *walk,
			 const struct radix_visit *visit);
	int (*table_post)(struct radix_walk *walk,
			  const struct radix_visit *visit);
};

/** struct radix_walk - a walk; embed it in what the visitor needs. */
struct radix_walk {
	struct radix *radix;
	const struct radix_visitor *visitor;
	struct gln_range range;
};

/**
 * glni_radix_walk() - visit what maps @walk->range, in a read-side section.
 *
 * Return: 0, RADIX_DONE, RADIX_RACE (faults only) or what a visitor said.
 */
int glni_radix_walk(struct radix_walk *walk);

/**
 * glni_radix_walk_batches() - the same for a range of any size, in sections of
 * its own: each ends after a bounded number of pages.
 */
int glni_radix_walk_batches(struct radix_walk *walk);

/* fault.c */

/** glni_radix_map() - struct gln_backend_ops.fault, with the vCPU's cache. */
int glni_radix_map(struct radix *radix, struct radix_cache *cache,
		   uint32_t vcpu, struct gln_backend_slot *slot,
		   struct gln_backend_fault *fault);

/** glni_radix_note_mmio() - leave @format.mmio at @gfn if it costs no table. */
int glni_radix_note_mmio(struct radix *radix, gln_gfn gfn);

/** glni_radix_host_page() - what backs a frame. 0, -EAGAIN or -EFAULT. */
int glni_radix_host_page(const struct radix *radix,
			 const struct gln_backend_slot *slot, gln_gfn gfn,
			 uint32_t access, struct gln_host_page *page);

/** glni_radix_fits() - may a leaf at @level map @gfn, as far as host goes? */
bool glni_radix_fits(const struct radix *radix,
		     const struct gln_backend_slot *slot, unsigned int level,
		     gln_gfn gfn, const struct gln_host_page *page);

/** glni_radix_leaf() - a new leaf at @level, readable and executable. */
uint64_t glni_radix_leaf(const struct radix *radix,
			 const struct gln_backend_slot *slot,
			 unsigned int level, gln_gfn gfn,
			 const struct gln_host_page *page);

/* log.c */

/** glni_radix_armed() - a leaf whose next write is noticed. */
uint64_t glni_radix_armed(const struct radix *radix, unsigned int level,
			  uint64_t leaf);
/** glni_radix_arm() - make it so for every leaf in @range; no flush. */
void glni_radix_arm(struct radix *radix, struct gln_range range);
/** glni_radix_protect() - for pages that have been armed before; no flush. */
void glni_radix_protect(struct radix *radix, const struct gln_range *ranges,
			size_t nr_ranges);
/** glni_radix_collect() - mark pages that entries say were written; re-arm. */
void glni_radix_collect(struct radix *radix, struct gln_backend_slot *slot,
			struct gln_range range);
/** glni_radix_age() - count and clear accessed pages. */
uint64_t glni_radix_age(struct radix *radix, struct gln_range range);

/* change.c */

/** enum radix_split - what becomes of a split block's pages. */
enum radix_split {
	RADIX_SPLIT_KEEP, /* as writable as the block */
	RADIX_SPLIT_ARM,  /* their next write is noticed */
};

/**
 * glni_radix_split_entry() - put a table in place of the block of @visit.
 *
 * Return: 0 if it was split, by us or another; RADIX_RACE; -ENOMEM if @cache is
 * empty.
 */
int glni_radix_split_entry(struct radix *radix, struct radix_cache *cache,
			   const struct radix_visit *visit,
			   enum radix_split how);
/** glni_radix_split() - split every block in @range. 0 or -ENOMEM. */
int glni_radix_split(struct radix *radix, struct gln_range range,
		     enum radix_split how);
/** glni_radix_collapse() - put blocks where they can stand in the slot. */
void glni_radix_collapse(struct radix *radix, struct gln_backend_slot *slot);
/**
 * glni_radix_unmap() - empty what maps @range, marking in @slot what the
 * entries say was written; flush. Meanwhile nobody faults in @slot.
 */
void glni_radix_unmap(struct radix *radix, struct gln_backend_slot *slot,
		      struct gln_range range);
/**
 * glni_radix_remove() - the same, for a slot that no fault finds any more; and
 * free the tables that map nothing else.
 */
void glni_radix_remove(struct radix *radix, struct gln_backend_slot *slot);

/**
 * glni_radix_check() - are all rules kept? For tests: nobody else uses it.
 *
 * Return: 0; -EINVAL, and *why.
 */
int glni_radix_check(struct radix *radix, const char **why);

#endif
