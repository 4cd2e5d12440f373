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

static struct {
	size_t nr;
	uint32_t vcpu;
	struct gln_s2_op ops[MAX_OPS];
} done;

static void execute(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
		    size_t nr_ops)
{
	cr_assert_eq(ctx, &done);
	cr_assert(nr_ops > 0 && done.nr + nr_ops <= MAX_OPS);
	memcpy(&done.ops[done.nr], ops, nr_ops * sizeof(*ops));
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

static void start(struct guest *guest, const struct gln_s2_params *params)
{
	const unsigned int granule = params->granule;

	*guest = (struct guest){
		.backend = create(params),
		.granule = granule,
		.is_armv7 = params->flags & GLN_S2_ARMV7,
		.slot = {.page_shift = granule,
			 .base = BASE >> (granule - 12),
			 .nr_pages = NR_PAGES,
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

static void end(struct guest *guest)
{
	guest->backend->ops->vcpu_detach(guest->backend, &guest->vcpu);
	guest->backend->ops->detach(guest->backend, &guest->slot);
	gln_s2_destroy(guest->backend);
}

static struct gln_backend_fault fault(struct guest *guest, uint64_t page,
				      uint32_t access, enum gln_fault want)
{
	struct gln_backend_fault its = {
		.gfn = guest->slot.base + page,
		.access = access,
		.is_logged = true,
	};

	done.nr = 0;
	cr_assert_eq(guest->backend->ops->fault(guest->backend, &guest->vcpu,
						&guest->slot, &its),
		     (int)want);
	return its;
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
