/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hypervisor.c - a guest logged by libglean-core, with no C library at hand.
 *
 * A backend of one table of flags stands in for the MMU, so that each step can
 * be seen: what was marked is what is harvested, what is harvested is what was
 * protected and flushed (G1, G4, G8), what is aborted comes back (G5), the log
 * has KVM's shape (G9), and nothing is allocated on the way (G6).
 */
#include <glean/backend.h>
#include <glean/dirty.h>
#include <glean/harvest.h>
#include <glean/log.h>
#include <glean/slot.h>
#include <glean/stats.h>
#include <glean/vm.h>

#include "tests/freestanding/platform.h"
#include "tests/freestanding/start.h"

enum {
	SLOT = 7,
	SLOT_BASE = 1000, /* no multiple of 64: G9 */
	SLOT_PAGES = 200, /* nor this */
	MAX_RUNS = 8,
};

/* The MMU: one entry a page, and what it was asked to do. */
struct mmu {
	struct gln_backend backend;
	struct gln_backend_slot *slot;
	bool is_writable[SLOT_PAGES];
	uint64_t nr_flushed;
};

static struct mmu *mmu_of(struct gln_backend *backend)
{
	return (struct mmu *)(void *)backend; /* its first member */
}

static int mmu_attach(struct gln_backend *backend,
		      struct gln_backend_slot *slot)
{
	mmu_of(backend)->slot = slot;
	return 0;
}

static int mmu_log_start(struct gln_backend *backend,
			 struct gln_backend_slot *slot, uint32_t flags)
{
	(void)slot;
	(void)flags;
	memset(mmu_of(backend)->is_writable, 0, SLOT_PAGES * sizeof(bool));
	return 0;
}

static int mmu_protect(struct gln_backend *backend,
		       struct gln_backend_slot *slot,
		       const struct gln_range *ranges, size_t nr_ranges)
{
	struct mmu *const mmu = mmu_of(backend);

	for (size_t i = 0; i < nr_ranges; i++)
		memset(&mmu->is_writable[ranges[i].first - slot->base], 0,
		       ranges[i].count * sizeof(bool));

	return 0;
}

static int mmu_flush(struct gln_backend *backend, struct gln_backend_slot *slot,
		     const struct gln_flush *flush)
{
	(void)slot;
	mmu_of(backend)->nr_flushed += flush->nr_pages;
	return 0;
}

static const struct gln_backend_ops mmu_ops = {
	.name = "table of flags",
	.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH,
	.attach = mmu_attach,
	.log_start = mmu_log_start,
	.protect = mmu_protect,
	.flush = mmu_flush,
};

/* A guest write: fault if the entry says so, writable first, then the mark. */
static void guest_writes(struct mmu *mmu, gln_gfn gfn)
{
	bool *const is_writable = &mmu->is_writable[gfn - SLOT_BASE];

	if (*is_writable)
		return;
	*is_writable = true;
	mmu->slot->mark(mmu->slot, gfn, 1);
}

static void guest_writes_range(struct mmu *mmu, struct gln_range range)
{
	for (uint64_t i = 0; i < range.count; i++)
		guest_writes(mmu, range.first + i);
}

/* End the program with a word of why, unless @held. */
static void expect(bool held, const char *what)
{
	if (held)
		return;
	start_print("expected: ");
	start_print(what);
	start_print("\n");
	start_exit(1);
}

static const struct gln_range written[] = {
	{SLOT_BASE, 1},			 /* the first page */
	{SLOT_BASE + 60, 10},		 /* across a word of the bitmap */
	{SLOT_BASE + SLOT_PAGES - 3, 3}, /* up to the last */
};
enum { NR_WRITTEN = sizeof(written) / sizeof(written[0]), PAGES_WRITTEN = 14 };

static void guest_works(struct mmu *mmu)
{
	for (size_t i = 0; i < NR_WRITTEN; i++)
		guest_writes_range(mmu, written[i]);
}

static struct gln_harvest *begin(struct gln_vm *vm)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest = NULL;

	expect(!gln_harvest_begin(vm, SLOT, &params, &harvest),
	       "a harvest begins");
	return harvest;
}

/* The harvest holds just the runs that were written. */
static void expect_written(struct mmu *mmu, struct gln_harvest *harvest)
{
	struct gln_range runs[MAX_RUNS];

	expect(gln_harvest_next(harvest, runs, MAX_RUNS) == NR_WRITTEN,
	       "as many runs as were written");
	for (size_t i = 0; i < NR_WRITTEN; i++) {
		expect(runs[i].first == written[i].first &&
			       runs[i].count == written[i].count,
		       "runs where they were written");
		for (uint64_t n = 0; n < runs[i].count; n++)
			expect(!mmu->is_writable[runs[i].first + n - SLOT_BASE],
			       "harvested pages are protected");
	}
}

static void expect_clean(struct gln_vm *vm)
{
	struct gln_harvest *const harvest = begin(vm);
	struct gln_range run;

	expect(gln_harvest_next(harvest, &run, 1) == 0, "a clean log");
	gln_harvest_commit(harvest);
}

static struct gln_vm *make_vm(struct mmu *mmu)
{
	const struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.backend = &mmu->backend,
	};
	const struct gln_slot_params slot_params = {
		.struct_bytes = sizeof(slot_params),
		.id = SLOT,
		.base = SLOT_BASE,
		.nr_pages = SLOT_PAGES,
	};
	struct gln_vm *vm = NULL;

	expect(!gln_vm_create(&vm_params, &vm), "a VM");
	expect(!gln_slot_add(vm, &slot_params), "a slot");
	expect(!gln_log_enable(vm, SLOT, 0), "a log");
	return vm;
}

/* The same fourteen pages, in KVM's shape. */
static void expect_kvm_log(struct gln_vm *vm, struct mmu *mmu)
{
	uint8_t bits[(SLOT_PAGES + 63) / 64 * 8];
	uint64_t nr = 0;

	guest_works(mmu);
	expect(!gln_get_dirty_log(vm, SLOT, bits), "KVM's log");
	for (unsigned int i = 0; i < sizeof(bits) * 8; i++)
		nr += bits[i / 8] >> i % 8 & 1;
	expect(nr == PAGES_WRITTEN, "as many bits as pages written");
	expect(bits[60 / 8] >> 60 % 8 & 1, "little-endian bits");
	expect_clean(vm);
}

static void log_a_guest(void)
{
	static struct mmu mmu = {.backend.ops = &mmu_ops};
	struct gln_vm *const vm = make_vm(&mmu);
	const size_t bytes_held = platform.bytes_held;
	struct gln_harvest *harvest;

	mmu.nr_flushed = 0;
	guest_works(&mmu);
	harvest = begin(vm);
	expect_written(&mmu, harvest);
	gln_harvest_abort(harvest);

	harvest = begin(vm);
	expect_written(&mmu, harvest);
	gln_harvest_commit(harvest);
	expect_clean(vm);
	expect(mmu.nr_flushed == UINT64_C(2) * PAGES_WRITTEN,
	       "a flush of what is taken");

	expect_kvm_log(vm, &mmu);
	expect(gln_dirty_mark(vm, SLOT_BASE - 1) < 0, "no slot below the slot");
	expect(platform.bytes_held == bytes_held, "nothing allocated");

	expect(!gln_slot_remove(vm, SLOT), "the slot goes");
	expect(!gln_vm_destroy(vm), "the VM goes");
	expect(platform.bytes_held == 0, "all memory given back");
	expect(platform.grace_periods > 0, "grace periods were waited for");
}

int hypervisor_main(void)
{
	log_a_guest();
	platform.has_heavy_fence = true;
	log_a_guest();
	start_print("a guest was logged, with full fences and a heavy one\n");
	return 0;
}
