/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault_fuzz.c - faults, and everything that changes the table under them.
 *
 * Frames past every limit, accesses of any bits, slots of odd sizes that come,
 * move and go, a host and an allocator that fail, what a CPU may have logged.
 * Each call may say only what is documented; a fault is told apart from one in
 * no slot; no bit of a log is past its slot.
 */
#include "tests/fuzz/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/radix/mmu.h"

enum {
	MAX_STEPS = 400,
	MAX_PAGES = 3000,
	CHECK_EVERY = 32,
	PML_ENTRIES = 512,
};

/* What there should be. */
struct expected_slot {
	bool exists;
	bool is_logged;
	uint32_t flags;
	gln_gfn base;
	uint64_t nr_pages;
};

static struct fuzz_guest guest;
static struct fuzz_input input;
static struct expected_slot slots[FUZZ_SLOTS];

static struct expected_slot *slot_of(gln_gfn gfn)
{
	for (struct expected_slot *slot = slots; slot < slots + FUZZ_SLOTS;
	     slot++)
		if (slot->exists && gfn >= slot->base &&
		    gfn - slot->base < slot->nr_pages)
			return slot;
	return NULL;
}

static gln_gfn any_gfn(void)
{
	const struct expected_slot *const slot =
		&slots[fuzz_below(&input, FUZZ_SLOTS)];

	if (slot->exists && fuzz_bytes(&input, 1) % 8)
		return slot->base + fuzz_below(&input, slot->nr_pages + 2) - 1;
	return fuzz_near(&input, guest.nr_frames);
}

static void add_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	struct expected_slot *const slot = &slots[id];
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = id,
		.base = fuzz_near(&input, guest.nr_frames),
		.nr_pages = fuzz_bytes(&input, 1) % 16
				    ? 1 + fuzz_below(&input, MAX_PAGES)
				    : fuzz_near(&input, guest.nr_frames),
		.flags = (uint32_t)(fuzz_bytes(&input, 1) % 8 == 0),
	};
	int err;

	/* Bitmaps of terabytes are not what is looked for. */
	if (params.nr_pages > MAX_PAGES && params.nr_pages <= guest.nr_frames)
		return;
	err = gln_slot_add(guest.vm, &params);
	FUZZ_CHECK(!err || err == -EINVAL || err == -EEXIST || err == -ENOMEM ||
			   err == -ERANGE,
		   "adding a slot");
	FUZZ_CHECK(err || !slot->exists, "an id twice");
	FUZZ_CHECK(err || params.base + params.nr_pages <= guest.nr_frames,
		   "a slot that no table translates");
	if (!err)
		*slot = (struct expected_slot){
			.exists = true,
			.flags = params.flags,
			.base = params.base,
			.nr_pages = params.nr_pages,
		};
}

static void remove_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS + 1);
	const int err = gln_slot_remove(guest.vm, id);

	FUZZ_CHECK(err == (id < FUZZ_SLOTS && slots[id].exists ? 0 : -ENOENT),
		   "removing a slot");
	if (!err)
		slots[id].exists = false;
}

static void move_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const gln_gfn base = any_gfn();
	const int err = gln_slot_move(guest.vm, id, base);

	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOENT || err == -EEXIST ||
			   err == -ENOMEM || err == -ERANGE || err == -EIO,
		   "moving a slot");
	FUZZ_CHECK((err == -ENOENT) == !slots[id].exists || err == -EINVAL,
		   "moving no slot");
	if (!err)
		slots[id].base = base;
	if (err == -EIO)
		slots[id].exists = false;
}

static void switch_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	struct expected_slot *const slot = &slots[id];
	int err;

	if (fuzz_bytes(&input, 1) & 1) {
		err = gln_log_disable(guest.vm, id);
		FUZZ_CHECK(
			err == (slot->exists && slot->is_logged ? 0 : -ENOENT),
			"switching a log off");
		slot->is_logged = false;
		return;
	}
	err = gln_log_enable(
		guest.vm, id,
		fuzz_bytes(&input, 1) & 1 ? GLN_LOG_ENABLE_ALL_MARKED : 0);
	FUZZ_CHECK(!err || err == -ENOMEM ||
			   err == (slot->exists ? -EEXIST : -ENOENT),
		   "switching a log on");
	FUZZ_CHECK(err || (slot->exists && !slot->is_logged), "a log of none");
	if (!err)
		slot->is_logged = true;
}

/* What a fault must say, where it does not depend on the host. */
static void check_fault(gln_gfn gfn, uint32_t access, int said)
{
	const struct expected_slot *const slot = slot_of(gfn);
	const uint32_t known =
		GLN_ACCESS_READ | GLN_ACCESS_WRITE | GLN_ACCESS_EXEC;

	if (!access || (access & ~known))
		FUZZ_CHECK(said == -EINVAL, "an access of unknown bits");
	else if (gfn >= guest.nr_frames)
		FUZZ_CHECK(said == -ERANGE, "a frame past the last");
	else if (!slot)
		FUZZ_CHECK(said == GLN_FAULT_MMIO, "a frame of no slot");
	else if ((slot->flags & GLN_SLOT_READ_ONLY) &&
		 (access & GLN_ACCESS_WRITE))
		FUZZ_CHECK(said == GLN_FAULT_READ_ONLY, "a read-only slot");
	else
		FUZZ_CHECK(
			(said >= GLN_FAULT_MAPPED && said <= GLN_FAULT_RETRY) ||
				said == -ENOMEM || said == -EFAULT,
			"a frame of a slot");
}

static void fault(void)
{
	const gln_gfn gfn = any_gfn();
	const uint32_t access = fuzz_bytes(&input, 1) % 8
					? 1 + (uint32_t)fuzz_below(&input, 7)
					: (uint32_t)fuzz_bytes(&input, 4);

	check_fault(gfn, access, gln_vcpu_fault(guest.vcpu, gfn, access));
}

static void topup(void)
{
	const int err = gln_vcpu_topup(guest.vcpu);

	FUZZ_CHECK(!err || err == -ENOMEM, "a top-up");
}

/* The CPU's log: any index, any address. */
static void exit_guest(void)
{
	struct gln_ept_pml *const pml =
		guest.cpu_logs ? gln_ept_pml(guest.backend, 1) : NULL;

	if (pml) {
		for (unsigned int i = 0; i < 8; i++)
			pml->log[(PML_ENTRIES - 1 - i) % PML_ENTRIES] =
				fuzz_bytes(&input, 1) & 1
					? any_gfn() << guest.page_shift
					: fuzz_bytes(&input, 8);
		pml->index = fuzz_bytes(&input, 1) & 1
				     ? (uint16_t)(PML_ENTRIES - 1 -
						  fuzz_below(&input, 9))
				     : (uint16_t)fuzz_bytes(&input, 2);
	}
	gln_vcpu_exit(guest.vcpu);
}

static struct gln_range any_range(void)
{
	return (struct gln_range){
		any_gfn(),
		fuzz_bytes(&input, 1) % 4 ? fuzz_below(&input, 2000)
					  : fuzz_bytes(&input, 8),
	};
}

static void unmap(void)
{
	FUZZ_CHECK(!gln_mmu_unmap(guest.vm, any_range()), "an unmap");
}

static void age(void)
{
	const struct gln_range range = any_range();
	uint64_t nr_young = 0;

	FUZZ_CHECK(!gln_mmu_age(guest.vm, range, &nr_young), "aging");
	FUZZ_CHECK(nr_young <= range.count, "more young pages than pages");
}

static void split(void)
{
	const uint32_t id = (uint32_t)fuzz_near(&input, FUZZ_SLOTS);
	uint64_t next = fuzz_near(&input, MAX_PAGES);
	const uint64_t was = next;
	const int err = gln_mmu_split(guest.vm, id, &next,
				      fuzz_near(&input, MAX_PAGES));
	const bool exists =
		id < FUZZ_SLOTS && slots[id].exists && slots[id].is_logged;

	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOENT || err == -ENOMEM,
		   "a split");
	FUZZ_CHECK(err || (exists && next >= was && next <= slots[id].nr_pages),
		   "a split of no slot, or past its end");
	FUZZ_CHECK(err != -EINVAL || next == was, "a split that failed");
}

/* No bit past the slot's end; a buffer of just the size. */
static void get_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const struct expected_slot *const slot = &slots[id];
	const uint64_t nr_words = (slot->nr_pages + 63) / 64;
	uint64_t *const bitmap = calloc(nr_words + 1, 8);
	int err;

	FUZZ_CHECK(bitmap, "memory for a bitmap");
	bitmap[nr_words] = UINT64_C(0x5a5a5a5a5a5a5a5a);
	err = gln_get_dirty_log(guest.vm, id, bitmap);
	FUZZ_CHECK(err == (slot->exists && slot->is_logged ? 0 : -ENOENT),
		   "getting a log");
	FUZZ_CHECK(bitmap[nr_words] == UINT64_C(0x5a5a5a5a5a5a5a5a),
		   "a log longer than its slot");
	FUZZ_CHECK(err || !(slot->nr_pages % 64) ||
			   !(bitmap[nr_words - 1] >> slot->nr_pages % 64),
		   "bits past the end");
	free(bitmap);
}

static void set_host(void)
{
	if (fuzz_bytes(&input, 1) & 1) {
		guest.fail_in = fuzz_bytes(&input, 1);
		return;
	}
	/* The host says so, as it must. */
	guest.host_seed = fuzz_bytes(&input, 8);
	FUZZ_CHECK(!gln_mmu_unmap(guest.vm,
				  (struct gln_range){0, guest.nr_frames}),
		   "an unmap of everything");
}

static void step(void)
{
	static void (*const steps[])(void) = {
		fault,	   fault,      fault,	   fault,   fault,
		fault,	   fault,      topup,	   topup,   topup,
		add_slot,  add_slot,   unmap,	   age,	    split,
		split,	   switch_log, switch_log, get_log, remove_slot,
		move_slot, exit_guest, set_host,
	};

	steps[fuzz_below(&input, sizeof(steps) / sizeof(steps[0]))]();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct fuzz_input){data, size};
	memset(slots, 0, sizeof(slots));
	fuzz_guest_open(&guest, &input, 0);
	for (unsigned int i = 1; input.left && i < MAX_STEPS; i++) {
		step();
		if (!(i % CHECK_EVERY))
			fuzz_guest_check(&guest);
	}
	guest.fail_in = 0;
	fuzz_guest_close(&guest);

	return 0;
}
