/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.c - a VM on a backend of the input's choice, and a host that answers
 * as the input says. No memory stands behind the guest: nobody reads it.
 */
#include "tests/fuzz/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/radix/mmu.h"

enum {
	ALIGNMENT = 64,
	PAGE_BYTES = 4096,
	TABLE_BYTES_MAX = 1 << 20,
	RING_BYTES = 16384,
};

_Noreturn void fuzz_found(const char *what, const char *condition,
			  const char *file, int line)
{
	fprintf(stderr, "%s:%d: %s: %s is false\n", file, line, what,
		condition);
	abort();
}

uint64_t fuzz_bytes(struct fuzz_input *input, unsigned int nr)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < nr && input->left; i++, input->left--)
		value |= (uint64_t)*input->data++ << 8 * i;
	return value;
}

uint64_t fuzz_below(struct fuzz_input *input, uint64_t end)
{
	return fuzz_bytes(input, end <= 256 ? 1 : 4) % end;
}

uint64_t fuzz_near(struct fuzz_input *input, uint64_t edge)
{
	switch (fuzz_bytes(input, 1) % 4) {
	case 0:
		return fuzz_bytes(input, 1);
	case 1:
		return fuzz_bytes(input, 2);
	case 2:
		return edge + fuzz_bytes(input, 1) - 128;
	default:
		return fuzz_bytes(input, 8);
	}
}

static size_t alignment_of(size_t bytes)
{
	if (bytes % PAGE_BYTES)
		return ALIGNMENT;
	return bytes <= TABLE_BYTES_MAX && !(bytes & (bytes - 1)) ? bytes
								  : PAGE_BYTES;
}

static void *allocate(void *ctx, size_t bytes)
{
	struct fuzz_guest *const guest = ctx;
	void *memory;

	if (guest->fail_in && !--guest->fail_in)
		return NULL;
	if (posix_memalign(&memory, alignment_of(bytes), bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

static void release(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

/* Runs of 512 frames are contiguous, or not; writable, or not; or not there. */
static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	const struct fuzz_guest *const guest = ctx;
	const uint64_t lot =
		(guest->host_seed ^ gfn >> 9) * UINT64_C(0x9e3779b97f4a7c15) >>
		56;

	(void)access;
	page->hpa = gfn << slot->page_shift & ((UINT64_C(1) << 40) - 1);
	if (lot < 16) {
		page->order = 0;
		page->hpa ^= UINT64_C(1) << 39;
	} else if (lot < 24) {
		page->is_writable = false;
	} else if (lot < 28) {
		return -EAGAIN;
	} else if (lot < 32) {
		return -EFAULT;
	} else if (lot < 36) {
		page->hpa = guest->host_seed; /* no address at all */
	} else if (lot < 40) {
		page->type = GLN_MEMORY_DEVICE;
	}
	return 0;
}

static void kick(void *ctx)
{
	const struct fuzz_guest *const guest = ctx;

	if (guest->vcpu)
		gln_vcpu_exit(guest->vcpu);
}

static void invept(void *ctx, uint64_t eptp)
{
	(void)ctx;
	(void)eptp;
}

static void execute(void *ctx, uint32_t vcpu, const struct gln_s2_op *ops,
		    size_t nr_ops)
{
	volatile uint64_t sum = vcpu;

	(void)ctx;
	for (size_t i = 0; i < nr_ops; i++)
		sum += ops[i].operand;
	(void)sum;
}

static void open_ept(struct fuzz_guest *guest, struct fuzz_input *input,
		     const struct gln_mmu_host *host, unsigned int how)
{
	const struct gln_ept_params params = {
		.struct_bytes = sizeof(params),
		.levels = fuzz_bytes(input, 1) & 1 ? 5 : 4,
		.mode = how & FUZZ_PROTECTS_ONLY
				? GLN_EPT_WRITE_PROTECT
				: (enum gln_ept_mode)(fuzz_bytes(input, 1) & 1),
		.flags = (uint32_t)fuzz_bytes(input, 1) &
			 (GLN_EPT_NO_BLOCKS | GLN_EPT_EAGER_SPLIT),
		.host = host,
		.allocator = &guest->allocator,
		.invept = invept,
	};

	guest->is_ept = true;
	guest->page_shift = 12;
	guest->cpu_logs = params.mode == GLN_EPT_PML;
	guest->cpu_notices = guest->cpu_logs;
	FUZZ_CHECK(!gln_ept_create(&params, &guest->backend), "EPT");
}

static void open_s2(struct fuzz_guest *guest, struct fuzz_input *input,
		    const struct gln_mmu_host *host, unsigned int how)
{
	static const unsigned int granules[] = {12, 14, 16};
	const struct gln_s2_params params = {
		.struct_bytes = sizeof(params),
		.granule = granules[fuzz_bytes(input, 1) % 3],
		.ipa_bits = 36 + (unsigned int)fuzz_bytes(input, 1) % 13,
		.mode = how & FUZZ_PROTECTS_ONLY
				? GLN_S2_WRITE_PROTECT
				: (enum gln_s2_mode)(fuzz_bytes(input, 1) & 1),
		.flags = (uint32_t)fuzz_bytes(input, 1) &
			 (GLN_S2_NO_BLOCKS | GLN_S2_EAGER_SPLIT |
			  GLN_S2_TLB_RANGE | GLN_S2_TTL | GLN_S2_HW_AF),
		.host = host,
		.allocator = &guest->allocator,
		.execute = execute,
	};

	guest->page_shift = params.granule;
	guest->cpu_notices = params.mode == GLN_S2_DBM;
	FUZZ_CHECK(!gln_s2_create(&params, &guest->backend), "stage 2");
}

void fuzz_guest_open(struct fuzz_guest *guest, struct fuzz_input *input,
		     unsigned int how)
{
	const struct gln_mmu_host host = {
		.ctx = guest,
		.translate = translate,
		.kick = kick,
	};
	struct gln_vm_params params = {.struct_bytes = sizeof(params)};

	memset(guest, 0, sizeof(*guest));
	guest->allocator = (struct gln_allocator){allocate, release, guest};
	guest->host_seed = fuzz_bytes(input, 2);
	if (fuzz_bytes(input, 1) & 1)
		open_ept(guest, input, &host, how);
	else
		open_s2(guest, input, &host, how);
	guest->nr_frames = radix_nr_frames(radix_of(guest->backend));
	params.page_shift = guest->page_shift;
	params.backend = guest->backend;
	params.allocator = &guest->allocator;
	FUZZ_CHECK(!gln_vm_create(&params, &guest->vm), "a VM");
	if (how & FUZZ_RINGS) {
		const uint32_t flags =
			(fuzz_bytes(input, 1) & 1) || guest->cpu_notices
				? GLN_RING_WITH_BITMAP
				: 0;

		FUZZ_CHECK(!gln_ring_enable(guest->vm, RING_BYTES, flags),
			   "rings");
	}
	FUZZ_CHECK(!gln_vcpu_register(guest->vm, 1, &guest->vcpu), "a vCPU");
}

void fuzz_guest_check(struct fuzz_guest *guest)
{
	const char *why = "no reason";

	if (glni_radix_check(radix_of(guest->backend), &why))
		fuzz_found(why, "glni_radix_check()", __FILE__, __LINE__);
}

void fuzz_guest_close(struct fuzz_guest *guest)
{
	struct gln_vcpu *const vcpu = guest->vcpu;

	guest->fail_in = 0;
	fuzz_guest_check(guest);
	gln_vcpu_exit(vcpu);
	guest->vcpu = NULL;
	gln_vcpu_unregister(vcpu);
	FUZZ_CHECK(!gln_vm_destroy(guest->vm), "nobody uses the VM");
	fuzz_guest_check(guest);
	if (guest->is_ept)
		gln_ept_destroy(guest->backend);
	else
		gln_s2_destroy(guest->backend);
}
