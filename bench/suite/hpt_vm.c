/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_vm.c - a guest of the book3s_hv backend, without memory.
 */
#include "bench/suite/hpt_vm.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/glean/hpt_guest.h"
#include "bench/suite/memory.h"

#define SEGMENT_SHIFT 28

/* From here on a table's memory is aligned to its size, however large. */
#define ALIGNED_BYTES ((size_t)1 << GLN_HPT_ORDER_MIN)

/* Below a table's address the word for hardware has its order, less 18. */
#define WORD_ADDRESS (~(uint64_t)(ALIGNED_BYTES - 1))

/* Where the guest's frame 0 is in the host: nobody goes there. */
#define HOST_BASE (UINT64_C(1) << 40)

/* --- memory, as struct gln_hpt_params asks for it --- */

static bool is_table(size_t bytes)
{
	return bytes >= ALIGNED_BYTES && !(bytes & (bytes - 1));
}

/* Huge pages where there are any, and all there, as suite_alloc() has it. */
static void *table_alloc(size_t bytes)
{
	unsigned char *const map =
		mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map == MAP_FAILED)
		return NULL;

	const size_t head = -(uintptr_t)map & (bytes - 1);

	if (head)
		munmap(map, head);
	munmap(map + head + bytes, bytes - head);
	madvise(map + head, bytes, MADV_HUGEPAGE);
	return memset(map + head, 0, bytes);
}

static void *hpt_alloc(void *ctx, size_t bytes)
{
	(void)ctx;
	return is_table(bytes) ? table_alloc(bytes) : suite_alloc(bytes);
}

static void hpt_free(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	if (is_table(bytes) && memory)
		munmap(memory, bytes);
	else
		suite_free(memory, bytes);
}

static const struct gln_allocator hpt_allocator = {
	.alloc = hpt_alloc,
	.free = hpt_free,
};

/* --- the machine: no CPU has a translation of it --- */

static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)ctx;
	(void)ops;
	(void)nr;
}

static void flush_all(void *ctx, uint32_t lpid)
{
	(void)ctx;
	(void)lpid;
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	(void)ctx;
	(void)slot;
	(void)access;
	page->hpa = HOST_BASE + (gfn << HPT_VM_PAGE_SHIFT);
	return 0;
}

/* --- making and unmaking it --- */

static int make_guest(struct hpt_vm *vm)
{
	const struct hpt_guest_params params = {
		.base_shift = HPT_VM_PAGE_SHIFT,
		.actual_shift = HPT_VM_PAGE_SHIFT,
		.segment_shift = SEGMENT_SHIFT,
		.order = vm->params.order,
		.seed = vm->params.seed,
	};

	return hpt_guest_create(&params, &vm->guest);
}

static int make_backend(struct hpt_vm *vm)
{
	const struct gln_mmu_host host = {.translate = translate};
	const struct gln_hpt_params params = {
		.struct_bytes = sizeof(params),
		.isa = vm->params.isa,
		.host = &host,
		.allocator = &hpt_allocator,
		.tlbie = tlbie,
		.flush_all = flush_all,
	};

	return gln_hpt_create(&params, &vm->backend);
}

static int make_vm(struct hpt_vm *vm)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.page_shift = HPT_VM_PAGE_SHIFT,
		.backend = vm->backend,
		.allocator = &suite_allocator,
	};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = HPT_VM_SLOT,
		.nr_pages = vm->params.nr_pages,
	};
	int err = gln_vm_create(&params, &vm->vm);

	if (!err)
		err = gln_slot_add(vm->vm, &slot);
	if (!err)
		err = gln_vcpu_register(vm->vm, 0, &vm->vcpu);
	return err;
}

static int make_table(struct hpt_vm *vm)
{
	uint32_t order = vm->params.order;
	const int err = gln_hpt_allocate(vm->vm, &order);

	vm->nr_entries = UINT64_C(1) << (order - GLN_HPT_ENTRY_SHIFT);
	return err ? err : hpt_vm_inside(vm);
}

int hpt_vm_init(struct hpt_vm *vm, const struct hpt_vm_params *params)
{
	int err;

	*vm = (struct hpt_vm){.params = *params};
	err = make_guest(vm);
	if (!err)
		err = make_backend(vm);
	if (!err)
		err = make_vm(vm);
	if (!err)
		err = make_table(vm);
	return err;
}

void hpt_vm_fini(struct hpt_vm *vm)
{
	hpt_vm_outside(vm);
	if (vm->vcpu)
		gln_vcpu_unregister(vm->vcpu);
	if (vm->vm)
		gln_vm_destroy(vm->vm);
	if (vm->backend)
		gln_hpt_destroy(vm->backend);
	if (vm->guest)
		hpt_guest_destroy(vm->guest);
	*vm = (struct hpt_vm){.params = vm->params};
}

int hpt_vm_inside(struct hpt_vm *vm)
{
	const int err = vm->is_inside ? 0 : gln_vcpu_enter(vm->vcpu);

	vm->is_inside = !err;
	return err;
}

void hpt_vm_outside(struct hpt_vm *vm)
{
	if (vm->is_inside)
		gln_vcpu_leave(vm->vcpu);
	vm->is_inside = false;
}

/* --- its kernel --- */

static uint64_t address(uint64_t page)
{
	return page << HPT_VM_PAGE_SHIFT;
}

struct gln_hpte hpt_vm_entry(const struct hpt_vm *vm, uint64_t page)
{
	return hpt_guest_entry(vm->guest, address(page));
}

uint64_t hpt_vm_group(const struct hpt_vm *vm, uint64_t page,
		      unsigned int order, uint64_t v)
{
	const uint64_t ea = address(page);
	const uint64_t hash = gln_hpt_hash(hpt_guest_slb(vm->guest, ea), ea);
	const uint64_t mask =
		(UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1;

	return ((v & GLN_HPTE_V_SECONDARY ? ~hash : hash) & mask) *
	       GLN_HPT_GROUP_ENTRIES;
}

/* A GLN_H_* code. */
static int64_t enter_at(struct hpt_vm *vm, uint64_t page, uint64_t flags,
			uint64_t *index)
{
	const struct gln_hpte entry = hpt_vm_entry(vm, page);
	const uint64_t v = entry.v | flags;
	uint64_t args[GLN_HCALL_ARGS] = {
		0, hpt_vm_group(vm, page, vm->params.order, v), v, entry.r};
	const int64_t code = gln_hcall(vm->vcpu, GLN_H_ENTER, args, args);

	if (code == GLN_H_SUCCESS && index)
		*index = args[0];
	return code;
}

int hpt_vm_enter(struct hpt_vm *vm, uint64_t page, uint64_t flags,
		 uint64_t *index)
{
	int64_t code = enter_at(vm, page, flags, index);

	if (code == GLN_H_PTEG_FULL)
		code = enter_at(vm, page, flags | GLN_HPTE_V_SECONDARY, index);
	if (code == GLN_H_PTEG_FULL)
		return -ENOSPC;
	return code == GLN_H_SUCCESS ? 0 : -EIO;
}

int hpt_vm_fault(struct hpt_vm *vm, uint64_t page, uint32_t access)
{
	const uint64_t ea = address(page);
	struct gln_hpt_fault fault = {
		.ea = ea,
		.slb = hpt_guest_slb(vm->guest, ea),
		.access = access,
	};

	return gln_hpt_fault(vm->vcpu, &fault);
}

/* --- its table --- */

struct hpt_vm_pair *hpt_vm_table(const struct hpt_vm *vm)
{
	const uint64_t word = gln_hpt_table_word(vm->backend);

	return (struct hpt_vm_pair *)(uintptr_t)(word & WORD_ADDRESS);
}
