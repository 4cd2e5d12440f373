/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * s2_test.c - the Arm stage-2 backend: what it refuses, what it writes into
 * descriptors, what it asks to be executed.
 */
#include <glean/s2.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/arm_s2/entry.h"
#include "tests/unit/require.h"

enum { VCPU_ID = 3, NR_PAGES = 64, BASE = 0x40000, MAX_OPS = 256 };

/* What was executed, and what @watched held when it was. */
static struct {
	size_t nr;
	uint32_t vcpu;
	struct gln_s2_op ops[MAX_OPS];
	const uint64_t *watched;
	uint64_t saw[MAX_OPS];
} done;

static void execute(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
		    size_t nr_ops)
{
	cr_assert_eq(ctx, &done);
	cr_assert(nr_ops > 0 && done.nr + nr_ops <= MAX_OPS);
	memcpy(&done.ops[done.nr], ops, nr_ops * sizeof(*ops));
	for (size_t i = 0; done.watched && i < nr_ops; i++)
		done.saw[done.nr + i] = *done.watched;
	done.nr += nr_ops;
	done.vcpu = vcpu;
}

static bool was_executed(enum gln_s2_instruction instruction)
{
	for (size_t i = 0; i < done.nr; i++)
		if (done.ops[i].instruction == instruction)
			return true;
	return false;
}

/*
 * Armv7 has 40 bits of physical address: those below this process's memory,
 * whose upper bits are the same throughout.
 */
#define ARMV7_BYTES (UINT64_C(1) << 40)
#define GUEST_HPA   (UINT64_C(1) << 32)
static uint64_t window;

static uint64_t phys_of(void *ctx, const void *memory)
{
	const uint64_t address = (uintptr_t)memory;

	(void)ctx;
	if (!window)
		window = address & ~(ARMV7_BYTES - 1);
	return address - window;
}

static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	return (void *)(uintptr_t)(window + hpa);
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	(void)slot;
	(void)gfn;
	(void)access;
	page->hpa = phys_of(ctx, (const void *)(uintptr_t)page->hpa);
	return 0;
}

static const struct gln_mmu_host armv7_host = {
	.phys_of = phys_of,
	.memory_at = memory_at,
	.translate = translate,
};

static struct gln_s2_params params_of(unsigned int granule,
				      unsigned int ipa_bits, uint32_t flags)
{
	return (struct gln_s2_params){
		.struct_bytes = sizeof(struct gln_s2_params),
		.granule = granule,
		.ipa_bits = ipa_bits,
		.flags = flags,
		.vmid = 9,
		.host = flags & GLN_S2_ARMV7 ? &armv7_host : NULL,
		.execute = execute,
		.execute_ctx = &done,
	};
}

static struct gln_backend *create(const struct gln_s2_params *params)
{
	struct gln_backend *backend;

	cr_assert_eq(gln_s2_create(params, &backend), 0);
	return backend;
}

static const struct refused_case {
	const char *what;
	struct gln_s2_params params;
} refused[] = {
	{"a granule", {.granule = 13}},
	{"too small", {.ipa_bits = 31}},
	{"too large without LPA2", {.ipa_bits = 49}},
	{"too large at all", {.ipa_bits = 53, .flags = GLN_S2_LPA2}},
	{"a mode", {.mode = (enum gln_s2_mode)2}},
	{"a flag", {.flags = 1U << 7}},
	{"Armv7 with DBM", {.mode = GLN_S2_DBM, .flags = GLN_S2_ARMV7}},
	{"Armv7 with ranges", {.flags = GLN_S2_ARMV7 | GLN_S2_TLB_RANGE}},
	{"Armv7 of 48 bits", {.ipa_bits = 48, .flags = GLN_S2_ARMV7}},
	{"Armv7 with a long VMID", {.vmid = 256, .flags = GLN_S2_ARMV7}},
	{"half an allocator", {.allocator = &(struct gln_allocator){0}}},
};

Test(s2, what_no_cpu_has_is_refused)
{
	struct gln_backend *const before = (struct gln_backend *)&done;
	struct gln_backend *backend = before;
	struct gln_s2_params params;

	for (const struct refused_case *c = refused; c < ARRAY_END(refused);
	     c++) {
		params = c->params;
		params.struct_bytes = sizeof(params);
		params.execute = execute;
		cr_assert_eq(gln_s2_create(&params, &backend), -EINVAL, "%s",
			     c->what);
		cr_assert_eq(backend, before, "%s", c->what);
	}

	params = params_of(0, 0, 0);
	params.execute = NULL;
	cr_assert_eq(gln_s2_create(&params, &backend), -EINVAL);
	params = params_of(0, 0, 0);
	params.struct_bytes++;
	cr_assert_eq(gln_s2_create(&params, &backend), -EINVAL);
	cr_assert_eq(backend, before);
}

Test(s2, zeroes_mean_4k_and_40_bits)
{
	const struct gln_s2_params params = params_of(0, 0, 0);
	struct gln_backend *const backend = create(&params);

	cr_assert_eq(gln_s2_vtcr(backend), 0x80053558);
	cr_assert_eq(gln_s2_vttbr(backend) >> 48, 9);
	gln_s2_destroy(backend);
}

/* What an allocator promises (types.h), for sizes of up to 1 MiB. */
static size_t least_align(size_t bytes)
{
	return bytes >= 4096 && !(bytes & (bytes - 1)) ? bytes : 64;
}

/* Gives that, and no more: a multiple of twice as much never. */
static void *least_alloc(void *ctx, size_t bytes)
{
	const size_t align = least_align(bytes);
	const size_t whole = (bytes + 4 * align - 1) & -(2 * align);
	char *const memory = aligned_alloc(2 * align, whole);

	(void)ctx;
	if (!memory)
		return NULL;
	memset(memory, 0, whole);
	return memory + align;
}

static void least_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	free((char *)memory - least_align(bytes));
}

/* The CPU takes the low bits of a root for 0. */
Test(s2, the_root_of_every_geometry_is_aligned_to_its_size)
{
	const struct gln_allocator least = {
		.alloc = least_alloc,
		.free = least_free,
	};

	for (unsigned int granule = 12; granule <= 16; granule += 2)
		for (unsigned int bits = 32; bits <= 48; bits++) {
			struct gln_s2_params params =
				params_of(granule, bits, 0);
			struct gln_backend *backend;

			params.allocator = &least;
			backend = create(&params);

			const uint64_t sl0 = gln_s2_vtcr(backend) >> 6 & 3;
			const uint64_t levels = sl0 + (granule == 12 ? 2 : 1);
			const uint64_t root_bits =
				bits - granule - (levels - 1) * (granule - 3);
			const uint64_t root = gln_s2_vttbr(backend) &
					      UINT64_C(0xffffffffffff);

			require(!(root & ((UINT64_C(8) << root_bits) - 1)),
				"granule %u, %u bits: root at %#" PRIx64,
				granule, bits, root);
			gln_s2_destroy(backend);
		}
}

/* A slot and a vCPU on a backend, without a core. */
struct guest {
	struct gln_backend *backend;
	struct gln_backend_slot slot;
	struct gln_backend_vcpu vcpu;
	unsigned int granule;
	bool is_armv7;
	uint64_t marked; /* by page of the slot */
};

static void mark(struct gln_backend_slot *slot, gln_gfn first, uint64_t count)
{
	struct guest *const guest =
		(struct guest *)(void *)((char *)slot -
					 offsetof(struct guest, slot));

	for (uint64_t i = 0; i < count; i++)
		guest->marked |= UINT64_C(1) << (first + i - slot->base);
}

static void start_with(struct guest *guest, const struct gln_s2_params *params,
		       uint64_t nr_pages)
{
	const unsigned int granule = params->granule;

	*guest = (struct guest){
		.backend = create(params),
		.granule = granule,
		.is_armv7 = params->flags & GLN_S2_ARMV7,
		.slot = {.page_shift = granule,
			 .base = BASE >> (granule - 12),
			 .nr_pages = nr_pages,
			 .mark = mark},
		.vcpu = {.id = VCPU_ID},
	};
	/* Nobody looks at this memory: an address will do. */
	guest->slot.hva = (void *)(uintptr_t)(window + GUEST_HPA);

	const struct gln_backend_ops *const ops = guest->backend->ops;

	cr_assert_eq(ops->attach(guest->backend, &guest->slot), 0);
	cr_assert_eq(ops->vcpu_attach(guest->backend, &guest->vcpu), 0);
	cr_assert_eq(ops->topup(guest->backend, &guest->vcpu), 0);
}

static void start(struct guest *guest, const struct gln_s2_params *params)
{
	start_with(guest, params, NR_PAGES);
}

static void end(struct guest *guest)
{
	guest->backend->ops->vcpu_detach(guest->backend, &guest->vcpu);
	guest->backend->ops->detach(guest->backend, &guest->slot);
	gln_s2_destroy(guest->backend);
}

static struct gln_backend_fault serve(struct guest *guest,
				      struct gln_backend_fault its,
				      enum gln_fault want)
{
	done.nr = 0;
	cr_assert_eq(guest->backend->ops->fault(guest->backend, &guest->vcpu,
						&guest->slot, &its),
		     (int)want);
	return its;
}

static struct gln_backend_fault fault(struct guest *guest, uint64_t page,
				      uint32_t access, enum gln_fault want)
{
	return serve(guest,
		     (struct gln_backend_fault){
			     .gfn = guest->slot.base + page,
			     .access = access,
			     .is_logged = true,
		     },
		     want);
}

static struct gln_backend_fault fault_unlogged(struct guest *guest,
					       uint64_t page, uint32_t access,
					       enum gln_fault want)
{
	return serve(guest,
		     (struct gln_backend_fault){
			     .gfn = guest->slot.base + page,
			     .access = access,
		     },
		     want);
}

static uint64_t *memory_from(uint64_t from, uint64_t hpa)
{
	return (uint64_t *)(uintptr_t)(from + hpa);
}

/* The descriptor of a page, by a walk of three levels below 2^40 bytes. */
static uint64_t *entry_of(const struct guest *guest, uint64_t page)
{
	const unsigned int stride = guest->granule - 3;
	const uint64_t vtcr = gln_s2_vtcr(guest->backend);
	const uint64_t gfn = guest->slot.base + page;
	unsigned int level =
		(unsigned int)(vtcr >> 6 & 3) + (guest->granule == 12 ? 1 : 0);
	const uint64_t from = guest->is_armv7 ? window : 0;
	uint64_t *table = memory_from(from, gln_s2_vttbr(guest->backend) &
						    UINT64_C(0xffffffffffff));
	uint64_t index = gfn >> level * stride;

	while (level--) {
		table = memory_from(from, table[index] & S2_ADDRESS_4K);
		index = gfn >> level * stride & ((UINT64_C(1) << stride) - 1);
	}
	return &table[index];
}

static const struct {
	unsigned int granule;
	uint32_t flags;
	uint64_t shareable;
} shapes[] = {
	{12, 0, S2_SH_INNER},
	{12, GLN_S2_LPA2, 0},
	{12, GLN_S2_ARMV7, S2_SH_INNER},
	{14, 0, S2_SH_INNER},
	{14, GLN_S2_LPA2, 0},
	{16, GLN_S2_LPA2, S2_SH_INNER},
};

Test(s2, a_page_is_described_as_the_cpu_reads_it)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct gln_s2_params params =
			params_of(shapes[i].granule, 40, shapes[i].flags);
		struct guest guest;

		start(&guest, &params);

		const struct gln_backend_fault its =
			fault(&guest, 5, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED);
		const uint64_t hpa = (uintptr_t)guest.slot.hva +
				     ((uint64_t)5 << guest.granule) -
				     (guest.is_armv7 ? window : 0);

		cr_assert(its.to_mark);
		cr_assert_eq(*entry_of(&guest, 5),
			     hpa | shapes[i].shareable | S2_VALID | S2_PAGE |
				     S2_ATTR_NORMAL | S2_READ | S2_WRITE |
				     S2_AF | S2_HOST_WRITABLE | S2_MMU_WRITABLE,
			     "granule %u: %#" PRIx64, shapes[i].granule,
			     *entry_of(&guest, 5));
		/* Nothing was there: no TLB to tell. */
		cr_assert(done.nr > 0);
		for (size_t op = 0; op < done.nr; op++)
			cr_assert_eq(done.ops[op].instruction,
				     GLN_S2_DSB_ISHST);
		end(&guest);
	}
}

Test(s2, a_right_that_is_added_is_flushed_where_it_was_missed)
{
	const struct gln_s2_params params = params_of(12, 40, 0);
	struct guest guest;

	start(&guest, &params);
	fault(&guest, 7, GLN_ACCESS_READ, GLN_FAULT_MAPPED);
	cr_assert(!(*entry_of(&guest, 7) & S2_WRITE));
	cr_assert(
		fault(&guest, 7, GLN_ACCESS_WRITE, GLN_FAULT_RELAXED).to_mark);
	cr_assert(*entry_of(&guest, 7) & S2_WRITE);
	cr_assert_eq(done.vcpu, VCPU_ID);
	cr_assert(was_executed(GLN_S2_TLBI_IPAS2E1));
	cr_assert(!was_executed(GLN_S2_TLBI_IPAS2E1IS));
	end(&guest);
}

Test(s2, armv7_tells_every_cpu)
{
	const struct gln_s2_params params = params_of(12, 40, GLN_S2_ARMV7);
	struct guest guest;

	start(&guest, &params);
	fault(&guest, 7, GLN_ACCESS_READ, GLN_FAULT_MAPPED);
	fault(&guest, 7, GLN_ACCESS_WRITE, GLN_FAULT_RELAXED);
	cr_assert_eq(done.vcpu, GLN_S2_EVERYWHERE);
	cr_assert(was_executed(GLN_S2_TLBI_VMALLS12E1IS));
	end(&guest);
}

Test(s2, a_harvest_protects_and_flushes_everywhere)
{
	const struct gln_s2_params params = params_of(14, 40, 0);
	const struct gln_range range = {(BASE >> 2) + 1, 1};
	const struct gln_flush flush = {
		.nr_pages = 1,
		.nr_ranges = 1,
		.ranges = {range},
	};
	struct guest guest;

	start(&guest, &params);
	fault(&guest, 1, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED);
	fault(&guest, 2, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED);
	guest.backend->ops->protect(guest.backend, &guest.slot, &range, 1);
	cr_assert(!(*entry_of(&guest, 1) & S2_WRITE));
	cr_assert(*entry_of(&guest, 2) & S2_WRITE);

	done.nr = 0;
	cr_assert_eq(
		guest.backend->ops->flush(guest.backend, &guest.slot, &flush),
		0);
	cr_assert_eq(done.vcpu, GLN_S2_EVERYWHERE);
	cr_assert_eq(done.ops[1].instruction, GLN_S2_TLBI_IPAS2E1IS);
	cr_assert_eq(done.ops[1].operand, (BASE + 4));
	end(&guest);
}

Test(s2, what_the_cpu_made_writable_is_collected_and_armed_again)
{
	struct gln_s2_params params = params_of(16, 42, 0);
	struct guest guest;

	params.mode = GLN_S2_DBM;
	start(&guest, &params);

	const struct gln_range all = {guest.slot.base, NR_PAGES};

	cr_assert(
		!fault(&guest, 3, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED).to_mark);
	fault(&guest, 4, GLN_ACCESS_READ, GLN_FAULT_MAPPED);
	for (uint64_t page = 3; page <= 4; page++)
		cr_assert_eq(*entry_of(&guest, page) & (S2_DBM | S2_WRITE),
			     S2_DBM);

	*entry_of(&guest, 4) |= S2_WRITE; /* as the CPU does */
	guest.backend->ops->collect(guest.backend, &guest.slot, all);
	cr_assert_eq(guest.marked, UINT64_C(1) << 4);
	cr_assert_eq(*entry_of(&guest, 4) & (S2_DBM | S2_WRITE), S2_DBM);
	end(&guest);
}

/*
 * Descriptors whole, as numbers put together by hand from the tables of D8.3:
 * nothing here comes from the backend's own page of bits. Tables lie in @arena,
 * whose physical address is the case's; pages where the case's host says.
 */
enum { ARENA_BYTES = 1 << 24 };

static struct {
	char *memory;
	size_t used;
	uint64_t hpa;
	struct gln_host_page page; /* what the host tells */
} arena;

static void *arena_alloc(void *ctx, size_t bytes)
{
	const size_t align = least_align(bytes);
	const size_t at = (arena.used + align - 1) & -align;

	(void)ctx;
	if (at + bytes > ARENA_BYTES)
		return NULL;
	arena.used = at + bytes;
	return arena.memory + at;
}

static void arena_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)memory;
	(void)bytes;
}

static uint64_t arena_phys_of(void *ctx, const void *memory)
{
	(void)ctx;
	return arena.hpa + (uint64_t)((const char *)memory - arena.memory);
}

static void *arena_memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	require(hpa - arena.hpa < ARENA_BYTES, "no table at %#" PRIx64, hpa);
	return arena.memory + (hpa - arena.hpa);
}

static int arena_translate(void *ctx, const struct gln_backend_slot *slot,
			   gln_gfn gfn, uint32_t access,
			   struct gln_host_page *page)
{
	(void)ctx;
	(void)slot;
	(void)gfn;
	(void)access;
	*page = arena.page;
	return 0;
}

static const struct gln_mmu_host arena_host = {
	.phys_of = arena_phys_of,
	.memory_at = arena_memory_at,
	.translate = arena_translate,
};

static const struct gln_allocator arena_allocator = {
	.alloc = arena_alloc,
	.free = arena_free,
};

static void start_in_arena(struct guest *guest, struct gln_s2_params params,
			   uint64_t hpa)
{
	params.host = &arena_host;
	params.allocator = &arena_allocator;
	arena.memory = aligned_alloc(ARENA_BYTES, ARENA_BYTES);
	memset(arena.memory, 0, ARENA_BYTES);
	arena.used = 0;
	arena.hpa = hpa;
	/* 1 GiB of frames: room for any block but those of 52 bits. */
	start_with(guest, &params, UINT64_C(1) << (30 - params.granule));
}

static void end_in_arena(struct guest *guest)
{
	end(guest);
	free(arena.memory);
}

/* Of an address, or of a descriptor of a table: where it is in the arena. */
static uint64_t offset_in_arena(const struct guest *guest, uint64_t from)
{
	return from & (ARENA_BYTES - 1) &
	       ~((UINT64_C(1) << guest->granule) - 1);
}

/* The descriptor of a frame, @height tables above those of pages. */
static uint64_t *descriptor_of(const struct guest *guest, gln_gfn gfn,
			       unsigned int height)
{
	const unsigned int stride = guest->granule - 3;
	const uint64_t vtcr = gln_s2_vtcr(guest->backend);
	unsigned int at =
		(unsigned int)(vtcr >> 6 & 3) + (guest->granule == 12 ? 1 : 0);
	/* A root of 4 KiB is aligned to no more. */
	uint64_t offset = gln_s2_vttbr(guest->backend) & (ARENA_BYTES - 4096);
	uint64_t index = gfn >> at * stride;

	for (;; at--) {
		uint64_t *const table =
			(uint64_t *)(void *)(arena.memory + offset);

		if (at == height)
			return &table[index];
		offset = offset_in_arena(guest, table[index]);
		index = gfn >> (at - 1) * stride &
			((UINT64_C(1) << stride) - 1);
	}
}

/* An address of 52 bits: 51:48, and the rest. */
#define AT(high, low) (UINT64_C(0x##high) << 48 | UINT64_C(0x##low))

/*
 * @what the host tells, and the leaf. Low bits of a leaf that may be read and
 * written: 0x4ff is AF, S2AP 3, MemAttr 15, a page; 0x300 is SH inner. 0x0180
 * at the top is software's: the host, and the log, allow writes.
 */
static const struct leaf_case {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
	enum gln_s2_mode mode;
	unsigned int height;
	struct gln_host_page page;
	uint32_t access;
	bool is_logged;
	uint64_t leaf;
} leaves[] = {
	{"4K page",
	 12,
	 40,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef1000), .order = 12, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcdef17ff)},
	{"2M block",
	 12,
	 40,
	 0,
	 0,
	 1,
	 {.hpa = AT(0, 89abcde00000), .order = 21, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcde007fd)},
	{"1G block",
	 12,
	 40,
	 0,
	 0,
	 2,
	 {.hpa = AT(0, 89abc0000000), .order = 30, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abc00007fd)},
	{"16K page",
	 14,
	 40,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef4000), .order = 14, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcdef47ff)},
	{"32M block",
	 14,
	 40,
	 0,
	 0,
	 1,
	 {.hpa = AT(0, 89abce000000), .order = 25, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abce0007fd)},
	{"64K page",
	 16,
	 48,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef0000), .order = 16, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcdef07ff)},
	/* 51:48 of the address, 1010, in 15:12 */
	{"64K page of 52 bits",
	 16,
	 52,
	 0,
	 0,
	 0,
	 {.hpa = AT(a, 89abcdef0000), .order = 16, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcdefa7ff)},
	{"512M block of 52 bits",
	 16,
	 52,
	 0,
	 0,
	 1,
	 {.hpa = AT(a, 89abe0000000), .order = 29, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abe000a7fd)},
	/* 51:50 of 0110 in 9:8 is 0x100, 49:48 stay: 2 */
	{"LPA2 4K page",
	 12,
	 52,
	 GLN_S2_LPA2,
	 0,
	 0,
	 {.hpa = AT(6, 89abcdef1000), .order = 12, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018289abcdef15ff)},
	{"LPA2 2M block",
	 12,
	 52,
	 GLN_S2_LPA2,
	 0,
	 1,
	 {.hpa = AT(6, 89abcde00000), .order = 21, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018289abcde005fd)},
	/* 51:50 of 1001 in 9:8 is 0x200, 49:48 stay: 1 */
	{"LPA2 16K page",
	 14,
	 52,
	 GLN_S2_LPA2,
	 0,
	 0,
	 {.hpa = AT(9, 89abcdef4000), .order = 14, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018189abcdef46ff)},
	{"LPA2 32M block",
	 14,
	 52,
	 GLN_S2_LPA2,
	 0,
	 1,
	 {.hpa = AT(9, 89abce000000), .order = 25, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018189abce0006fd)},
	/* MemAttr 0001: 0x4 for 0x3c */
	{"device",
	 12,
	 40,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef1000),
	  .order = 12,
	  .is_writable = true,
	  .type = GLN_MEMORY_DEVICE},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x018089abcdef17c7)},
	{"the host's page is read-only",
	 12,
	 40,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef1000), .order = 12},
	 GLN_ACCESS_READ,
	 false,
	 UINT64_C(0x000089abcdef177f)},
	{"protected for the log",
	 12,
	 40,
	 0,
	 0,
	 0,
	 {.hpa = AT(0, 89abcdef1000), .order = 12, .is_writable = true},
	 GLN_ACCESS_READ,
	 true,
	 UINT64_C(0x018089abcdef177f)},
	/* DBM is bit 51 */
	{"armed for the log",
	 12,
	 40,
	 0,
	 GLN_S2_DBM,
	 0,
	 {.hpa = AT(0, 89abcdef1000), .order = 12, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 true,
	 UINT64_C(0x018889abcdef177f)},
	{"Armv7 page",
	 12,
	 40,
	 GLN_S2_ARMV7,
	 0,
	 0,
	 {.hpa = AT(0, 0089abcde000), .order = 12, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x01800089abcde7ff)},
	{"Armv7 block",
	 12,
	 40,
	 GLN_S2_ARMV7,
	 0,
	 1,
	 {.hpa = AT(0, 0089abc00000), .order = 21, .is_writable = true},
	 GLN_ACCESS_WRITE,
	 false,
	 UINT64_C(0x01800089abc007fd)},
};

Test(s2, a_leaf_is_the_manuals_number)
{
	for (const struct leaf_case *c = leaves; c < ARRAY_END(leaves); c++) {
		struct gln_s2_params params =
			params_of(c->granule, c->ipa_bits, c->flags);
		const uint64_t page = c->height ? 0 : 5;
		struct guest guest;
		uint64_t got;

		params.mode = c->mode;
		start_in_arena(&guest, params, AT(0, 12000000));
		arena.page = c->page;
		if (c->is_logged)
			fault(&guest, page, c->access, GLN_FAULT_MAPPED);
		else
			fault_unlogged(&guest, page, c->access,
				       GLN_FAULT_MAPPED);
		got = *descriptor_of(&guest, guest.slot.base + page, c->height);
		cr_assert_eq(got, c->leaf, "%s: %#018" PRIx64, c->what, got);
		end_in_arena(&guest);
	}
}

/* @arena: where tables lie; @table: the rest of a descriptor that names one. */
static const struct table_case {
	const char *what;
	unsigned int granule;
	unsigned int ipa_bits;
	uint32_t flags;
	uint64_t arena;
	uint64_t table;
} tables[] = {
	{"4K", 12, 40, 0, AT(0, 89ab12000000), UINT64_C(0x000089ab12000003)},
	{"16K", 14, 40, 0, AT(0, 89ab12000000), UINT64_C(0x000089ab12000003)},
	{"64K", 16, 48, 0, AT(0, 89ab12000000), UINT64_C(0x000089ab12000003)},
	{"64K of 52 bits", 16, 52, 0, AT(a, 89ab12000000),
	 UINT64_C(0x000089ab1200a003)},
	{"LPA2 4K", 12, 52, GLN_S2_LPA2, AT(6, 89ab12000000),
	 UINT64_C(0x000289ab12000103)},
	{"LPA2 16K", 14, 52, GLN_S2_LPA2, AT(9, 89ab12000000),
	 UINT64_C(0x000189ab12000203)},
	{"Armv7", 12, 40, GLN_S2_ARMV7, AT(0, 00ab12000000),
	 UINT64_C(0x000000ab12000003)},
};

Test(s2, a_table_is_named_by_the_manuals_number)
{
	for (const struct table_case *c = tables; c < ARRAY_END(tables); c++) {
		struct guest guest;
		uint64_t got;

		start_in_arena(&guest,
			       params_of(c->granule, c->ipa_bits, c->flags),
			       c->arena);
		arena.page = (struct gln_host_page){
			.hpa = AT(0, 0012340000),
			.order = c->granule,
		};
		fault(&guest, 5, GLN_ACCESS_READ, GLN_FAULT_MAPPED);
		got = *descriptor_of(&guest, guest.slot.base + 5, 1);
		cr_assert_eq(got, c->table | offset_in_arena(&guest, got),
			     "%s: %#018" PRIx64, c->what, got);
		/* And it is there that the page is. */
		got = *descriptor_of(&guest, guest.slot.base + 5, 0);
		cr_assert_eq(got & UINT64_C(0xffff0003), 0x12340003,
			     "%s: %#018" PRIx64, c->what, got);
		end_in_arena(&guest);
	}
}

/*
 * H-29: wherever a TLBI for everybody was executed the entry was invalid, and
 * what is executed at last finds the new one.
 */
static void require_broken_before_made(uint64_t old)
{
	size_t nr_tlbi = 0;

	for (size_t i = 0; i < done.nr; i++) {
		if (done.ops[i].instruction != GLN_S2_TLBI_IPAS2E1IS &&
		    done.ops[i].instruction != GLN_S2_TLBI_VMALLE1IS)
			continue;
		nr_tlbi++;
		/* Valid is bit 0; the lock is bit 10, and nothing else. */
		cr_assert_eq(done.saw[i], 0x400, "TLBI %zu: %#018" PRIx64, i,
			     done.saw[i]);
	}
	cr_assert_eq(nr_tlbi, 2, "of stage 2, and of what is combined");
	cr_assert_neq(*done.watched, old);
	cr_assert_eq(done.saw[done.nr - 1], *done.watched);
	done.watched = NULL;
}

static void is_broken_before_the_table_is_made(unsigned int granule,
					       unsigned int order)
{
	struct guest guest;
	uint64_t block;

	start_in_arena(&guest, params_of(granule, 40, 0), AT(0, 12000000));
	arena.page = (struct gln_host_page){
		.hpa = AT(0, 89abe0000000),
		.order = order,
		.is_writable = true,
	};
	fault_unlogged(&guest, 0, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED);
	done.nr = 0;
	cr_assert_eq(
		guest.backend->ops->log_start(guest.backend, &guest.slot, 0),
		0);
	done.watched = descriptor_of(&guest, guest.slot.base, 1);
	block = *done.watched;
	cr_assert_eq(block & 3, 1);
	/* To ask the host for one page would show, here. */
	arena.page = (struct gln_host_page){0};
	fault(&guest, 5, GLN_ACCESS_WRITE, GLN_FAULT_RELAXED);
	cr_assert_eq(*done.watched & 3, 3);
	require_broken_before_made(block);
	end_in_arena(&guest);
}

Test(s2, a_block_is_broken_before_its_table_is_made)
{
	is_broken_before_the_table_is_made(12, 21);
	is_broken_before_the_table_is_made(14, 25);
	is_broken_before_the_table_is_made(16, 29);
}

Test(s2, a_page_is_broken_before_another_stands_there)
{
	struct guest guest;

	start_in_arena(&guest, params_of(12, 40, 0), AT(0, 12000000));
	arena.page = (struct gln_host_page){
		.hpa = AT(0, 89abcdef1000),
		.order = 12,
	};
	fault(&guest, 5, GLN_ACCESS_READ, GLN_FAULT_MAPPED);
	/* The host copies it on write. */
	arena.page.hpa = AT(0, 123456789000);
	arena.page.is_writable = true;
	done.watched = descriptor_of(&guest, guest.slot.base + 5, 0);
	cr_assert(fault(&guest, 5, GLN_ACCESS_WRITE, GLN_FAULT_MAPPED).to_mark);
	require_broken_before_made(UINT64_C(0x000089abcdef177f));
	cr_assert_eq(*descriptor_of(&guest, guest.slot.base + 5, 0),
		     UINT64_C(0x01801234567897ff));
	end_in_arena(&guest);
}
