/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ept_guest.c - a guest of the x86 EPT backend, without memory.
 */
#include "bench/suite/ept_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench/suite/memory.h"

#define PAGE_SHIFT 12

/* A table's pages have it as the address bits of its entries (SDM 29.3.2). */
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

/* Tables of upper levels, and those that vCPUs and splits keep. */
#define SPARE_TABLES 256

static uint64_t nr_leaf_tables(const struct ept_guest *guest)
{
	return guest->nr_pages / TABLE_ENTRIES;
}

/* --- making and unmaking it --- */

static void count_invept(void *ctx, uint64_t eptp)
{
	struct ept_guest *const guest = ctx;

	(void)eptp;
	guest->nr_invepts++;
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	const struct ept_guest *const guest = ctx;

	(void)slot;
	(void)gfn;
	(void)access;
	if (page->order > guest->order)
		page->order = guest->order;
	return 0;
}

/* Addresses that are nobody's, aligned so that the largest block fits. */
static int reserve(struct ept_guest *guest)
{
	const uintptr_t unit = (uintptr_t)1 << EPT_GUEST_ORDER_1G;
	const size_t bytes = (size_t)guest->nr_pages << PAGE_SHIFT;
	void *memory = mmap(NULL, bytes + unit, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -ENOMEM;
	guest->reserved = memory;
	guest->reserved_bytes = bytes + unit;
	guest->hva = (void *)(((uintptr_t)memory + unit - 1) & ~(unit - 1));
	return 0;
}

static int make_backend(struct ept_guest *guest)
{
	const struct gln_mmu_host host = {
		.ctx = guest,
		.translate = translate,
	};
	const struct gln_ept_params params = {
		.struct_bytes = sizeof(params),
		.mode = GLN_EPT_WRITE_PROTECT,
		.host = &host,
		.allocator = &guest->tables.allocator,
		.invept = count_invept,
		.invept_ctx = guest,
	};
	const int err = gln_ept_create(&params, &guest->backend);

	if (!err)
		tap_open(&guest->tap, guest->backend);
	return err;
}

static int make_vm(struct ept_guest *guest)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.page_shift = PAGE_SHIFT,
		.backend = guest->backend,
		.allocator = &suite_allocator,
	};
	int err = gln_vm_create(&params, &guest->vm);

	if (!err)
		err = ept_guest_add_slot(guest);
	if (!err)
		err = gln_vcpu_register(guest->vm, 0, &guest->vcpu);
	return err;
}

int ept_guest_add_slot(struct ept_guest *guest)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = EPT_GUEST_SLOT,
		.nr_pages = guest->nr_pages,
		.hva = guest->hva,
	};

	return gln_slot_add(guest->vm, &params);
}

int ept_guest_init(struct ept_guest *guest, uint64_t nr_pages,
		   unsigned int order)
{
	int err;

	*guest = (struct ept_guest){.nr_pages = nr_pages, .order = order};
	err = tables_init(&guest->tables,
			  (size_t)nr_leaf_tables(guest) + SPARE_TABLES);
	if (!err)
		err = reserve(guest);
	if (!err)
		err = make_backend(guest);
	if (!err)
		err = make_vm(guest);
	return err;
}

void ept_guest_fini(struct ept_guest *guest)
{
	if (guest->vcpu)
		gln_vcpu_unregister(guest->vcpu);
	if (guest->vm)
		gln_vm_destroy(guest->vm);
	if (guest->backend) {
		tap_close(&guest->tap, guest->backend);
		gln_ept_destroy(guest->backend);
	}
	if (guest->reserved)
		munmap(guest->reserved, guest->reserved_bytes);
	tables_fini(&guest->tables);
	free(guest->place);
}

/* --- what happens in it --- */

int ept_guest_fault(struct gln_vcpu *vcpu, gln_gfn gfn, uint32_t access)
{
	int result;

	while ((result = gln_vcpu_fault(vcpu, gfn, access)) == -ENOMEM) {
		const int err = gln_vcpu_topup(vcpu);

		if (err)
			return err;
	}
	return result;
}

int ept_guest_map(struct ept_guest *guest)
{
	const uint64_t step = UINT64_C(1) << (guest->order - PAGE_SHIFT);

	for (gln_gfn gfn = 0; gfn < guest->nr_pages; gfn += step) {
		const int result =
			ept_guest_fault(guest->vcpu, gfn, GLN_ACCESS_READ);

		if (result < 0)
			return result;
		if (result != GLN_FAULT_MAPPED && result != GLN_FAULT_SPURIOUS)
			return -EBADMSG;
	}
	return 0;
}

int ept_guest_split(struct ept_guest *guest)
{
	uint64_t next = 0;
	int err = gln_log_enable(guest->vm, EPT_GUEST_SLOT, 0);

	if (!err)
		err = gln_mmu_split(guest->vm, EPT_GUEST_SLOT, &next, 0);
	return err || next == guest->nr_pages ? err : -EBADMSG;
}

static int write_run(struct ept_guest *guest, struct gln_range run)
{
	for (uint64_t i = 0; i < run.count; i++) {
		const int result = ept_guest_fault(guest->vcpu, run.first + i,
						   GLN_ACCESS_WRITE);

		if (result != GLN_FAULT_RELAXED)
			return result < 0 ? result : -EBADMSG;
	}
	return 0;
}

int ept_guest_write(struct ept_guest *guest, const struct truth *truth)
{
	struct gln_range run = {0};
	int err = 0;

	while (!err &&
	       (run = truth_next_run(truth, run.first + run.count)).count)
		err = write_run(guest, run);
	return err;
}

int ept_guest_write_all(struct ept_guest *guest)
{
	return write_run(guest, (struct gln_range){0, guest->nr_pages});
}

int64_t ept_guest_drop_marks(struct ept_guest *guest)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	const int err =
		gln_harvest_begin(guest->vm, EPT_GUEST_SLOT, &params, &harvest);

	return err ? err : (int64_t)gln_harvest_commit(harvest);
}

/* --- its tables --- */

/* A table of pages holds addresses of the guest; others, those of tables. */
static void find_place(struct ept_guest *guest, size_t place)
{
	const uint64_t addr =
		guest->tables.memory[place].entry[0] & ENTRY_ADDRESS;
	const uint64_t page = (addr - (uintptr_t)guest->hva) >> PAGE_SHIFT;

	if (addr >= (uintptr_t)guest->hva && page < guest->nr_pages)
		guest->place[page / TABLE_ENTRIES] = place;
}

int ept_guest_keep(struct ept_guest *guest)
{
	if (!guest->place)
		guest->place = calloc((size_t)nr_leaf_tables(guest),
				      sizeof(*guest->place));
	if (!guest->place)
		return -ENOMEM;
	for (size_t i = 0; i < guest->tables.nr; i++)
		find_place(guest, i);
	return tables_keep(&guest->tables);
}

static bool any_in_table(const struct truth *truth, uint64_t table)
{
	const size_t words = TABLE_ENTRIES / 64;

	for (size_t i = 0; i < words; i++)
		if (truth->words[table * words + i])
			return true;
	return false;
}

void ept_guest_put_back(struct ept_guest *guest, const struct truth *truth)
{
	for (uint64_t i = 0; i < nr_leaf_tables(guest); i++)
		if (any_in_table(truth, i))
			tables_put_back(&guest->tables, guest->place[i]);
}

static size_t place_of(const struct ept_guest *guest, uint64_t page)
{
	return guest->place[page / TABLE_ENTRIES];
}

uint64_t ept_guest_entry(const struct ept_guest *guest, uint64_t page)
{
	return guest->tables.memory[place_of(guest, page)]
		.entry[page % TABLE_ENTRIES];
}

uint64_t ept_guest_kept(const struct ept_guest *guest, uint64_t page)
{
	return guest->tables.kept[place_of(guest, page)]
		.entry[page % TABLE_ENTRIES];
}

int ept_guest_compare(const struct ept_guest *guest, const struct truth *truth,
		      uint64_t *nr_others)
{
	uint64_t nr = 0;

	for (uint64_t page = 0; page < guest->nr_pages; page++) {
		const bool changed = ept_guest_entry(guest, page) !=
				     ept_guest_kept(guest, page);

		if (changed && !truth_has(truth, page))
			nr++;
		else if (!changed && truth_has(truth, page))
			return -EBADMSG;
	}
	*nr_others = nr;
	return 0;
}
