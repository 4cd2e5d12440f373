/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.h - a table of core/radix, and all that stands around it.
 *
 * Some tables are Intel's; the others have a format and a geometry that no CPU
 * has, so that nothing of an architecture can hide in core/radix: pages of 64
 * bytes, tables of 8 entries, two tables joined to a root, an entry that maps
 * nothing without being 0, a marker for "locked" that is the accessed bit
 * alone, one for MMIO that has the bit of write in it, and a right that is
 * given by clearing a bit. What is executed, freed, marked or asked is recorded
 * in order.
 */
#ifndef GLN_TESTS_UNIT_RADIX_FIXTURE_H
#define GLN_TESTS_UNIT_RADIX_FIXTURE_H

#include <glean/ept.h>

#include <errno.h>
#include <string.h>

#include "core/radix/mmu.h"
#include "tests/support/fake_allocator.h"
#include "tests/support/random.h"
#include "tests/unit/require.h"

/* The made-up entry. Address bits 51:48 stand at 5:2. */
#define OWN_PRESENT	  (UINT64_C(1) << 0)
#define OWN_NO_BLOCK	  (UINT64_C(1) << 1)
#define OWN_ADDRESS_HIGH  UINT64_C(0x3c)
#define OWN_ADDRESS_LOW	  UINT64_C(0x0000ffffffffffc0)
#define OWN_READ	  (UINT64_C(1) << 48)
#define OWN_WRITE	  (UINT64_C(1) << 49)
#define OWN_NO_EXEC	  (UINT64_C(1) << 50)
#define OWN_DEVICE	  (UINT64_C(1) << 51)
#define OWN_ACCESSED	  (UINT64_C(1) << 52)
#define OWN_HOST_WRITABLE (UINT64_C(1) << 53)
#define OWN_MMU_WRITABLE  (UINT64_C(1) << 54)
#define OWN_CPU_MAY_WRITE (UINT64_C(1) << 55)
#define OWN_DIRTY	  (UINT64_C(1) << 56)
#define OWN_IS_BLOCK	  (UINT64_C(1) << 57)
#define OWN_IS_PAGE	  (UINT64_C(1) << 58)
#define OWN_IS_TABLE	  (UINT64_C(1) << 59)
#define OWN_EMPTY	  (UINT64_C(1) << 60)
#define OWN_LOCKED	  OWN_ACCESSED
#define OWN_MMIO	  (OWN_EMPTY | OWN_WRITE | UINT64_C(1) << 61)

enum {
	OWN_PAGE_SHIFT = 6,
	OWN_ADDRESS_HIGH_SHIFT = 46,
	OWN_FRAMES = 8192,
	RIG_PAGES = 8192, /* of a slot, at most */
	RIG_EVENTS = 512,
};

/* What backs the slot: bits 51:48 of its address are used, too. */
#define RIG_HPA	      UINT64_C(0x0005000000000000)
/* Set in the physical address of a table, to see that the hooks are asked. */
#define RIG_TABLE_BIT (UINT64_C(1) << 49)

/** enum rig_kind - a table to test. */
enum rig_kind {
	RIG_PROTECTS,	 /* made up: pages are write-protected */
	RIG_LOGS,	 /* made up: the CPU sets a dirty bit, and logs that */
	RIG_BREAKS,	 /* write-protected; break, flush, make */
	RIG_BREAKS_DIRTY /* the CPU sets the right itself; break, flush, make */
	,
	RIG_EPT,
	RIG_EPT_PML,
	RIG_KINDS,
};

/* The made-up ones come first. */
#define RIG_OWN_KINDS RIG_EPT

static const char *const rig_names[RIG_KINDS] = {
	"protects", "logs", "breaks", "breaks, dirty", "EPT", "EPT with PML",
};

/** enum rig_event - what was seen from outside. */
enum rig_event {
	EVENT_FLUSH_ENTRY,
	EVENT_FLUSH_RANGE,
	EVENT_MADE,
	EVENT_RELAXED,
	EVENT_MARK,
	EVENT_FREE,
	EVENT_TRANSLATE,
};

/** struct rig_record - one of them, and what the entry watched was then. */
struct rig_record {
	enum rig_event what;
	struct gln_range range;
	unsigned int level;
	uint64_t watched;
};

/**
 * struct rig - a table, a slot, a vCPU.
 *
 * @on_flush, @on_translate: called once, in the midst of it.
 * @watched:	an entry, its value noted with each event.
 */
static struct rig {
	enum rig_kind kind;
	struct radix own;
	struct radix *radix;
	struct radix_ops ops;
	struct fake_allocator memory;
	struct gln_allocator allocator;
	struct gln_backend_slot slot;
	struct radix_cache cache;
	struct gln_backend_fault fault;
	bool is_logged;
	bool marked[RIG_PAGES];
	uint64_t nr_marks;
	uint64_t nr_marks_outside;
	struct gln_host_page host[RIG_PAGES];
	int host_says[RIG_PAGES];
	uint64_t nr_memory_at;
	gln_word *watched;
	size_t nr_events;
	struct rig_record events[RIG_EVENTS];
	void (*on_flush)(void);
	void (*on_translate)(void);
} rig;

static void rig_record(enum rig_event what, gln_gfn first, uint64_t count,
		       unsigned int level)
{
	if (rig.nr_events < RIG_EVENTS)
		rig.events[rig.nr_events++] = (struct rig_record){
			.what = what,
			.range = {first, count},
			.level = level,
			.watched =
				rig.watched ? gln_load_relaxed(rig.watched) : 0,
		};
}

static void rig_call(void (**hook)(void))
{
	void (*const call)(void) = *hook;

	*hook = NULL;
	if (call)
		call();
}

static void rig_flush_entry(struct radix *radix, gln_gfn gfn,
			    unsigned int level)
{
	rig_record(EVENT_FLUSH_ENTRY, gfn, radix_pages(radix, level), level);
	rig_call(&rig.on_flush);
}

static void rig_flush_range(struct radix *radix, struct gln_range range)
{
	(void)radix;
	rig_record(EVENT_FLUSH_RANGE, range.first, range.count, 0);
	rig_call(&rig.on_flush);
}

static void rig_made(struct radix *radix)
{
	(void)radix;
	rig_record(EVENT_MADE, 0, 0, 0);
}

static void rig_relaxed(struct radix *radix, uint32_t vcpu, gln_gfn gfn)
{
	(void)radix;
	(void)vcpu;
	rig_record(EVENT_RELAXED, gfn, 1, 0);
}

static void rig_invept(void *ctx, uint64_t eptp)
{
	(void)ctx;
	(void)eptp;
	rig_record(EVENT_FLUSH_RANGE, 0, UINT64_MAX, 0);
	rig_call(&rig.on_flush);
}

static void rig_kick(void *ctx)
{
	(void)ctx;
}

static void rig_mark(struct gln_backend_slot *slot, gln_gfn first,
		     uint64_t count)
{
	rig_record(EVENT_MARK, first, count, 0);
	rig.nr_marks += count;
	for (gln_gfn gfn = first; gfn < first + count; gfn++)
		if (gfn < slot->base || gfn - slot->base >= slot->nr_pages)
			rig.nr_marks_outside++;
		else
			rig.marked[gfn - slot->base] = true;
}

static uint64_t rig_phys_of(void *ctx, const void *memory)
{
	(void)ctx;
	return (uintptr_t)memory | RIG_TABLE_BIT;
}

static void *rig_memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	rig.nr_memory_at++;
	require(hpa & RIG_TABLE_BIT, "%#" PRIx64 " is no table", hpa);
	return (void *)(uintptr_t)(hpa & ~RIG_TABLE_BIT);
}

static int rig_translate(void *ctx, const struct gln_backend_slot *slot,
			 gln_gfn gfn, uint32_t access,
			 struct gln_host_page *page)
{
	(void)ctx;
	(void)access;
	rig_record(EVENT_TRANSLATE, gfn, 1, 0);
	rig_call(&rig.on_translate);
	if (rig.host_says[gfn - slot->base])
		return rig.host_says[gfn - slot->base];
	*page = rig.host[gfn - slot->base];
	return 0;
}

static void *rig_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return gln_alloc(&rig.memory.allocator, bytes);
}

static void rig_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	rig_record(EVENT_FREE, 0, bytes, 0);
	gln_free(&rig.memory.allocator, memory, bytes);
}

static const struct gln_mmu_host rig_host = {
	.phys_of = rig_phys_of,
	.memory_at = rig_memory_at,
	.translate = rig_translate,
	.kick = rig_kick,
};

static const struct radix_geometry own_geometry = {
	.nr_levels = 4,
	.page_shift = OWN_PAGE_SHIFT,
	.addr_bits = 19,
	.level =
		{
			{15, 4, false},
			{12, 3, true},
			{9, 3, true},
			{6, 3, false},
		},
};

static const struct radix_format own_format = {
	.present = OWN_PRESENT,
	.table_mask = OWN_PRESENT | OWN_NO_BLOCK,
	.table = OWN_PRESENT | OWN_NO_BLOCK,
	.empty = OWN_EMPTY,
	.locked = OWN_LOCKED,
	.mmio = OWN_MMIO,
	.table_base = OWN_PRESENT | OWN_NO_BLOCK | OWN_IS_TABLE,
	.page_base = OWN_PRESENT | OWN_NO_BLOCK | OWN_NO_EXEC | OWN_IS_PAGE,
	.block_base = OWN_PRESENT | OWN_NO_EXEC | OWN_IS_BLOCK,
	.right =
		{
			[RADIX_READ] = {.set = OWN_READ},
			[RADIX_WRITE] = {.set = OWN_WRITE},
			[RADIX_EXEC] = {.clear = OWN_NO_EXEC},
		},
	.addr_low = OWN_ADDRESS_LOW,
	.addr_high = OWN_ADDRESS_HIGH,
	.addr_high_shift = OWN_ADDRESS_HIGH_SHIFT,
	.type = {0, OWN_DEVICE},
	.accessed = OWN_ACCESSED,
	.host_writable = OWN_HOST_WRITABLE,
	.mmu_writable = OWN_MMU_WRITABLE,
};

static const struct radix_logging own_logging[] = {
	[RIG_PROTECTS] = {.page_clear = OWN_WRITE, .block_clear = OWN_WRITE},
	[RIG_LOGS] =
		{
			.page_clear = OWN_DIRTY,
			.page_set = OWN_WRITE,
			.block_clear = OWN_WRITE,
			.dirty = OWN_DIRTY,
			.cpu_notices = true,
		},
	[RIG_BREAKS] = {.page_clear = OWN_WRITE, .block_clear = OWN_WRITE},
	[RIG_BREAKS_DIRTY] =
		{
			.page_clear = OWN_WRITE,
			.page_set = OWN_CPU_MAY_WRITE,
			.block_clear = OWN_WRITE,
			.dirty = OWN_WRITE | OWN_CPU_MAY_WRITE,
			.cpu_notices = true,
		},
};

static inline bool rig_is_ept(void)
{
	return rig.kind == RIG_EPT || rig.kind == RIG_EPT_PML;
}

/* The slot, and what backs it: contiguous, aligned as the frames are. */
static void rig_slot(gln_gfn base, uint64_t nr_pages)
{
	cr_assert_leq(nr_pages, (uint64_t)RIG_PAGES);
	rig.slot = (struct gln_backend_slot){
		.id = 1,
		.page_shift = rig.radix->geometry.page_shift,
		.base = base,
		.nr_pages = nr_pages,
		.mark = rig_mark,
	};
	for (uint64_t i = 0; i < nr_pages; i++)
		rig.host[i] = (struct gln_host_page){
			.hpa = RIG_HPA + ((base + i) << rig.slot.page_shift),
			.order = 63,
			.is_writable = true,
		};
}

static void rig_open_own(void)
{
	rig.ops = (struct radix_ops){
		.break_first = rig.kind >= RIG_BREAKS,
		.flush_entry = rig_flush_entry,
		.flush_range = rig_flush_range,
		.made = rig_made,
		.relaxed = rig_relaxed,
	};
	rig.radix = &rig.own;
	rig.own = (struct radix){
		.ops = &rig.ops,
		.geometry = own_geometry,
		.format = own_format,
		.logging = own_logging[rig.kind],
		.host = rig_host,
		.allocator = rig.allocator,
		.has_blocks = true,
	};
	cr_assert_eq(glni_radix_init(rig.radix), 0);
}

static void rig_open_ept(unsigned int levels)
{
	const struct gln_ept_params params = {
		.struct_bytes = sizeof(params),
		.levels = levels,
		.mode = rig.kind == RIG_EPT ? GLN_EPT_WRITE_PROTECT
					    : GLN_EPT_PML,
		.host = &rig_host,
		.allocator = &rig.allocator,
		.invept = rig_invept,
	};
	struct gln_backend *be;

	cr_assert_eq(gln_ept_create(&params, &be), 0);
	rig.radix = radix_of(be);
}

/* A slot of a few blocks of every size, not aligned to any. */
static void rig_default_slot(void)
{
	if (rig_is_ept())
		rig_slot(512 * 3 - 5, 512 * 4 + 11);
	else
		rig_slot(64 * 3 - 5, 64 * 4 + 11);
}

static void rig_open(enum rig_kind kind)
{
	memset(&rig, 0, sizeof(rig));
	fake_allocator_init(&rig.memory);
	rig.allocator = (struct gln_allocator){rig_alloc, rig_free, NULL};
	rig.kind = kind;
	if (rig_is_ept())
		rig_open_ept(4);
	else
		rig_open_own();
	rig_default_slot();
	cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache, RADIX_CACHE_TABLES),
		     0);
}

static void rig_check(const char *what)
{
	const char *why = NULL;

	require(!glni_radix_check(rig.radix, &why), "%s, %s: %s",
		rig_names[rig.kind], what, why);
	require(!rig.nr_marks_outside, "%s, %s: marks outside the slot",
		rig_names[rig.kind], what);
}

static void rig_close(void)
{
	rig_check("at the end");
	rig.watched = NULL;
	glni_radix_drain(rig.radix, &rig.cache);
	if (rig_is_ept())
		gln_ept_destroy(&rig.radix->backend);
	else
		glni_radix_fini(rig.radix);
	cr_assert_eq(rig.memory.nr_live, 0, "%s: %zu blocks are left",
		     rig_names[rig.kind], rig.memory.nr_live);
}

static inline void rig_forget_events(void)
{
	rig.nr_events = 0;
}

static inline size_t rig_count(enum rig_event what)
{
	size_t nr = 0;

	for (size_t i = 0; i < rig.nr_events; i++)
		nr += rig.events[i].what == what;
	return nr;
}

/** The @nth event of its kind, or NULL. */
static inline const struct rig_record *rig_nth(enum rig_event what, size_t nth)
{
	for (size_t i = 0; i < rig.nr_events; i++)
		if (rig.events[i].what == what && !nth--)
			return &rig.events[i];
	return NULL;
}

/** The entry that @gfn has at @level, or NULL; read as the CPU would. */
static inline gln_word *rig_entry(gln_gfn gfn, unsigned int level)
{
	const struct radix_geometry *const geometry = &rig.radix->geometry;
	const uint64_t gpa = gfn << geometry->page_shift;
	gln_word *table = rig.radix->root;

	for (unsigned int i = 0;; i++) {
		const uint64_t index =
			gpa >> geometry->level[i].shift &
			((UINT64_C(1) << geometry->level[i].bits) - 1);
		const uint64_t entry = gln_load_relaxed(&table[index]);

		if (i == level)
			return &table[index];
		if (!radix_is_table(rig.radix, i, entry))
			return NULL;
		table = (gln_word *)(uintptr_t)(radix_addr(rig.radix, entry) &
						~RIG_TABLE_BIT);
	}
}

/** What maps @gfn, whatever it is, and at which level. */
static inline gln_word *rig_mapping(gln_gfn gfn, unsigned int *level)
{
	gln_word *entry = NULL, *below = rig_entry(gfn, 0);

	*level = 0;
	for (unsigned int i = 0; below; i++) {
		entry = below;
		*level = i;
		below = i < radix_last(rig.radix) ? rig_entry(gfn, i + 1)
						  : NULL;
	}

	return entry;
}

static inline uint64_t rig_see(gln_gfn gfn)
{
	unsigned int level;

	return gln_load_relaxed(rig_mapping(gfn, &level));
}

static inline unsigned int rig_level(gln_gfn gfn)
{
	unsigned int level;

	rig_mapping(gfn, &level);
	return level;
}

/** Remove frames as if they were a slot, with nothing else about. */
static inline void rig_remove(struct radix *radix,
			      struct gln_backend_slot *slot,
			      struct gln_range range)
{
	const struct gln_backend_slot whole = *slot;

	slot->base = range.first;
	slot->nr_pages = range.count;
	slot->room = range;
	glni_radix_remove(radix, slot);
	*slot = whole;
}

/** Where @gfn leads: the host's address, or UINT64_MAX if nowhere. */
static inline uint64_t rig_hpa(gln_gfn gfn)
{
	const uint64_t entry = rig_see(gfn);
	const unsigned int shift = rig.radix->geometry.page_shift;

	if (!radix_is_present(rig.radix, entry))
		return UINT64_MAX;
	return radix_addr(rig.radix, entry) +
	       ((gfn & (radix_pages(rig.radix, rig_level(gfn)) - 1)) << shift);
}

static inline bool rig_allows(gln_gfn gfn, uint32_t access)
{
	const uint64_t entry = rig_see(gfn);

	return radix_is_present(rig.radix, entry) &&
	       radix_allows(rig.radix, entry, access);
}

/** A fault, but for the mark. */
static inline int rig_fault_only(gln_gfn gfn, uint32_t access)
{
	int said;

	rig.fault = (struct gln_backend_fault){
		.gfn = gfn,
		.access = access,
		.is_logged = rig.is_logged,
	};
	glni_read_lock();
	said = glni_radix_map(rig.radix, &rig.cache, 0, &rig.slot, &rig.fault);
	glni_read_unlock();

	return said;
}

static inline void rig_topup(void)
{
	cr_assert_eq(glni_radix_fill(rig.radix, &rig.cache, RADIX_CACHE_TABLES),
		     0);
}

/** A fault, as the core handles it. */
static inline int rig_fault(gln_gfn gfn, uint32_t access)
{
	int said;

	rig_topup();
	said = rig_fault_only(gfn, access);
	if (said >= 0 && rig.fault.to_mark && rig.is_logged)
		rig.slot.mark(&rig.slot, gfn, 1);
	return said;
}

/**
 * What the CPU does with an access: sets its bits, logs, or is refused.
 * In a table whose CPU logs, what it logged is marked at once.
 */
static inline bool rig_cpu(gln_gfn gfn, uint32_t access)
{
	const struct radix_logging *const logging = &rig.radix->logging;
	unsigned int level;
	gln_word *const entry = rig_mapping(gfn, &level);
	uint64_t seen = gln_load_relaxed(entry);
	uint64_t left = seen | rig.radix->format.accessed;

	if (!radix_is_present(rig.radix, seen))
		return false;
	if (rig.kind == RIG_BREAKS_DIRTY && (access & GLN_ACCESS_WRITE) &&
	    (seen & OWN_CPU_MAY_WRITE))
		left |= OWN_WRITE;
	if (!radix_allows(rig.radix, left, access))
		return false;
	if (access & GLN_ACCESS_WRITE && logging->dirty &&
	    logging->page_set != OWN_CPU_MAY_WRITE) {
		if (rig.is_logged && !(left & logging->dirty))
			rig.slot.mark(&rig.slot, gfn, 1);
		left |= logging->dirty;
	}
	gln_store_relaxed(entry, left);
	return true;
}

/** The guest makes an access and gets through: faults are answered. */
static inline void rig_access(gln_gfn gfn, uint32_t access)
{
	for (unsigned int tries = 0; !rig_cpu(gfn, access); tries++) {
		const int said = rig_fault(gfn, access);

		require(tries < 4 && said >= 0, "%s: gfn %" PRIu64 ": %d",
			rig_names[rig.kind], gfn, said);
	}
}

/** May @gfn be written with nobody to notice, now or from the entry? */
static inline bool rig_is_silent(gln_gfn gfn)
{
	const struct radix_logging *const logging = &rig.radix->logging;
	const uint64_t entry = rig_see(gfn);

	if (!rig_allows(gfn, GLN_ACCESS_WRITE))
		return false;
	if (!logging->dirty || rig_level(gfn) < radix_last(rig.radix))
		return true;
	/* One that the CPU logs is noticed; one it has written is in there. */
	if (logging->page_set == OWN_CPU_MAY_WRITE)
		return (entry & logging->dirty) != logging->dirty;
	return entry & logging->dirty;
}

/** All entries as they are, to see that nothing has changed. */
struct rig_state {
	uint64_t sum;
	uint64_t nr_tables;
	unsigned int nr_cached;
};

static uint64_t rig_sum(gln_word *table, unsigned int level, uint64_t sum)
{
	for (uint64_t i = 0; i < radix_nr_entries(rig.radix, level); i++) {
		const uint64_t entry = gln_load_relaxed(&table[i]);

		sum = (sum ^ entry) * UINT64_C(0x100000001b3);
		if (radix_is_table(rig.radix, level, entry))
			sum = rig_sum(radix_child(rig.radix, entry), level + 1,
				      sum);
	}
	return sum;
}

static inline struct rig_state rig_state(void)
{
	return (struct rig_state){
		.sum = rig_sum(rig.radix->root, 0, 1),
		.nr_tables = gln_load_relaxed(&rig.radix->nr_tables),
		.nr_cached = rig.cache.nr,
	};
}

static inline bool rig_is_unchanged(struct rig_state was)
{
	const struct rig_state is = rig_state();

	return is.sum == was.sum && is.nr_tables == was.nr_tables &&
	       is.nr_cached == was.nr_cached;
}

/*
 * Every body that follows holds for every table. A declaration takes no
 * parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
 */
#define each_kind(kind)                                                     \
	for (enum rig_kind kind = 0; kind < RIG_KINDS; rig_close(), kind++) \
		for (bool once = (rig_open(kind), true); once; once = false)
/* NOLINTEND(bugprone-macro-parentheses) */

/* A frame in the middle of a block that fits the slot; its level and pages. */
static inline gln_gfn in_block(void)
{
	return rig_is_ept() ? 512 * 4 + 7 : 64 * 4 + 13;
}

static inline unsigned int block_level(void)
{
	return rig_is_ept() ? 2 : 1;
}

static inline uint64_t block_pages(void)
{
	return radix_pages(rig.radix, block_level());
}

static inline gln_gfn block_first(void)
{
	return in_block() & ~(block_pages() - 1);
}

static inline bool cpu_notices(void)
{
	return rig.radix->logging.cpu_notices;
}

static inline struct gln_range all_of_slot(void)
{
	return (struct gln_range){rig.slot.base, rig.slot.nr_pages};
}

/** Map all of the slot; by pages, or by blocks where they fit. */
static inline void rig_populate(bool by_pages, uint32_t access)
{
	const bool has_blocks = rig.radix->has_blocks;

	rig.radix->has_blocks = !by_pages;
	for (uint64_t i = 0; i < rig.slot.nr_pages; i++)
		if (rig_hpa(rig.slot.base + i) == UINT64_MAX)
			require(rig_fault(rig.slot.base + i, access) ==
					GLN_FAULT_MAPPED,
				"%s: page %" PRIu64 " is not mapped",
				rig_names[rig.kind], i);
	rig.radix->has_blocks = has_blocks;
	rig_forget_events();
}

#endif
