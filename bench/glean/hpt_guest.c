/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_guest.c - a small kernel for a guest with a hashed page table.
 *
 * Two locks, neither of which is held outside a call of this file:
 *
 *   stripe	of a page: who holds it may look for the page's entry and make
 *		it; nobody else makes one. A victim belongs to another page and
 *		is thrown out without its stripe: who needs it enters it again.
 *   users	of the table: as many handlers as there are, or one resize. A
 *		handler never waits for it, since the resize waits in turn for
 *		every vCPU to leave the guest.
 */
#include "bench/glean/hpt_guest.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SEGMENT_SHIFT	 28U
#define SEGMENT_SHIFT_1T 40U

/*
 * Bits of a virtual segment id. Since ISA 3.0 an entry holds 68 bits of virtual
 * address, so 40 for a segment of 256 MiB and 28 for one of 1 TiB; the latter
 * gets fewer, so that none is the VRMA's 0x1ffffff.
 */
#define VSID_BITS    40U
#define VSID_BITS_1T 24U

/* Odd, so one to one; digits of pi, so that neighbours are far apart. */
#define VSID_MULTIPLIER UINT64_C(0x243f6a8885a308d3)

/* vCPUs that enter different pages seldom meet. */
#define NR_STRIPES 256U

/* Both groups can fill up again after each victim, but not so often. */
#define TRIES_MAX 10000

/* A lock that is taken for longer than this many looks is waited for. */
#define LOOKS 64

/* H_READ_4: so many at once. */
#define READ_ENTRIES 4U

/* The table is not for handlers now. */
#define RESIZING (-1)

struct hpt_guest {
	struct hpt_guest_params params;
	_Atomic unsigned int order;
	_Atomic int users;
	atomic_flag stripes[NR_STRIPES];
};

/* --- what maps an address --- */

static bool is_1tb(const struct hpt_guest *guest)
{
	return guest->params.segment_shift == SEGMENT_SHIFT_1T;
}

static uint64_t vsid_of(const struct hpt_guest *guest, uint64_t esid)
{
	const unsigned int bits = is_1tb(guest) ? VSID_BITS_1T : VSID_BITS;
	const uint64_t mixed = (esid + guest->params.seed) * VSID_MULTIPLIER;

	return mixed & ((UINT64_C(1) << bits) - 1);
}

/* What the SLB says of a base page size: L and LP (PAPR). */
static uint64_t slb_size(unsigned int base_shift)
{
	switch (base_shift) {
	case 12:
		return 0;
	case 16:
		return GLN_SLB_L | GLN_SLB_LP_64K;
	default:
		return GLN_SLB_L;
	}
}

uint64_t hpt_guest_slb(const struct hpt_guest *guest, uint64_t ea)
{
	const uint64_t vsid = vsid_of(guest, ea >> guest->params.segment_shift);
	const uint64_t bits = GLN_SLB_KP | slb_size(guest->params.base_shift);

	if (is_1tb(guest))
		return GLN_SLB_1TB | vsid << GLN_SLB_VSID_SHIFT_1T | bits;
	return vsid << GLN_SLB_VSID_SHIFT | bits;
}

struct gln_hpte hpt_guest_entry(const struct hpt_guest *guest, uint64_t ea)
{
	const struct gln_hpte_size size = {
		.base = guest->params.base_shift,
		.actual = guest->params.actual_shift,
	};
	const uint64_t page = (UINT64_C(1) << size.actual) - 1;
	struct gln_hpte entry = {0};

	/* Created with a pair that there is. PP of 0: the kernel writes. */
	(void)gln_hpte_encode(size, &entry);
	entry.v |= gln_hpt_vpn(hpt_guest_slb(guest, ea), ea) | GLN_HPTE_V_VALID;
	entry.r |= (ea & ~page) | GLN_HPTE_R_M;
	return entry;
}

/* --- locks --- */

static void wait_a_little(unsigned int *looks)
{
	if (++*looks > LOOKS)
		sched_yield();
}

static atomic_flag *stripe_of(struct hpt_guest *guest, uint64_t ea)
{
	const uint64_t page = ea >> guest->params.base_shift;

	return &guest->stripes[page % NR_STRIPES];
}

static void stripe_lock(atomic_flag *stripe)
{
	unsigned int looks = 0;

	/* Acquire: the entries that the last holder made are seen. */
	while (atomic_flag_test_and_set_explicit(stripe, memory_order_acquire))
		wait_a_little(&looks);
}

static void stripe_unlock(atomic_flag *stripe)
{
	/* Release: they are there first. */
	atomic_flag_clear_explicit(stripe, memory_order_release);
}

/* False while it is being resized. */
static bool table_get(struct hpt_guest *guest)
{
	/* Relaxed: the exchange decides. */
	int users = atomic_load_explicit(&guest->users, memory_order_relaxed);

	do {
		if (users == RESIZING)
			return false;
		/* Acquire: the order that a resize has left. */
	} while (!atomic_compare_exchange_weak_explicit(
		&guest->users, &users, users + 1, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

static void table_put(struct hpt_guest *guest)
{
	/* Release: what we did in the table comes before its resize. */
	atomic_fetch_sub_explicit(&guest->users, 1, memory_order_release);
}

/* Handlers end soon: none of them waits. False: somebody else resizes it. */
static bool table_claim(struct hpt_guest *guest)
{
	unsigned int looks = 0;

	while (true) {
		int users = 0;

		if (atomic_compare_exchange_weak_explicit(
			    &guest->users, &users, RESIZING,
			    memory_order_acquire, memory_order_relaxed))
			return true;
		if (users == RESIZING)
			return false;
		wait_a_little(&looks);
	}
}

static void table_release(struct hpt_guest *guest)
{
	atomic_store_explicit(&guest->users, 0, memory_order_release);
}

/* --- the table, by hypercall --- */

/* Where an entry may be: its group's first index, and H for V. */
struct place {
	uint64_t index;
	uint64_t secondary;
};

unsigned int hpt_guest_order(const struct hpt_guest *guest)
{
	/* Relaxed: who works with it has the table, or looks only. */
	return atomic_load_explicit(&guest->order, memory_order_relaxed);
}

static struct place place_of(const struct hpt_guest *guest, uint64_t ea,
			     bool secondary)
{
	const uint64_t hash = gln_hpt_hash(hpt_guest_slb(guest, ea), ea);
	const unsigned int order = hpt_guest_order(guest);
	const uint64_t mask =
		(UINT64_C(1) << (order - GLN_HPT_GROUP_SHIFT)) - 1;
	const uint64_t group = (secondary ? ~hash : hash) & mask;

	return (struct place){
		.index = group * GLN_HPT_GROUP_ENTRIES,
		.secondary = secondary ? GLN_HPTE_V_SECONDARY : 0,
	};
}

static int64_t hcall(struct hpt_guest_cpu *kernel, uint64_t nr,
		     uint64_t args[GLN_HCALL_ARGS])
{
	return gln_hcall(kernel->vcpu, nr, args, args);
}

/* 1 if @entry is at @place, 0 if it is not; or -EIO. */
static int look_at(struct hpt_guest_cpu *kernel, const struct place *place,
		   const struct gln_hpte *entry)
{
	const uint64_t bits = GLN_HPTE_V_COMPARE | GLN_HPTE_V_LARGE |
			      GLN_HPTE_V_SECONDARY | GLN_HPTE_V_VALID;
	const uint64_t wanted = entry->v | place->secondary;

	for (unsigned int i = 0; i < GLN_HPT_GROUP_ENTRIES; i += READ_ENTRIES) {
		uint64_t args[GLN_HCALL_ARGS] = {GLN_H_READ_4,
						 place->index + i};

		if (hcall(kernel, GLN_H_READ, args) != GLN_H_SUCCESS)
			return -EIO;
		for (size_t j = 0; j < READ_ENTRIES; j++)
			if (!((args[2 * j] ^ wanted) & bits))
				return 1;
	}
	return 0;
}

/* Is @entry where it belongs? 1, 0 or -EIO. */
static int is_entered(struct hpt_guest_cpu *kernel,
		      const struct place places[2],
		      const struct gln_hpte *entry)
{
	const int found = look_at(kernel, &places[0], entry);

	return found ? found : look_at(kernel, &places[1], entry);
}

/* A GLN_H_* code. */
static int64_t enter_at(struct hpt_guest_cpu *kernel, const struct place *place,
			const struct gln_hpte *entry)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, place->index,
					 entry->v | place->secondary, entry->r};

	return hcall(kernel, GLN_H_ENTER, args);
}

/* 0, or -ENOSPC if all of the group is bolted; or -EIO. */
static int throw_one_out(struct hpt_guest_cpu *kernel,
			 const struct place *place)
{
	kernel->random = kernel->random * UINT64_C(6364136223846793005) + 1;

	const uint64_t first = kernel->random >> 32;

	for (uint64_t i = 0; i < GLN_HPT_GROUP_ENTRIES; i++) {
		const uint64_t slot = (first + i) % GLN_HPT_GROUP_ENTRIES;
		uint64_t args[GLN_HCALL_ARGS] = {
			GLN_H_ANDCOND, place->index + slot, GLN_HPTE_V_BOLTED};
		const int64_t code = hcall(kernel, GLN_H_REMOVE, args);

		if (code == GLN_H_SUCCESS)
			return 0;
		if (code != GLN_H_NOT_FOUND)
			return -EIO;
	}
	return -ENOSPC;
}

/* Primary, then secondary group, then in place of another one. */
static int enter(struct hpt_guest_cpu *kernel, const struct place places[2],
		 const struct gln_hpte *entry)
{
	int err = -ENOSPC;

	for (unsigned int i = 0; i < TRIES_MAX; i++) {
		const int64_t code = enter_at(kernel, &places[i % 2], entry);

		if (code == GLN_H_SUCCESS)
			return 0;
		if (code != GLN_H_PTEG_FULL)
			return -EIO;
		if (i % 2 == 0)
			continue;
		/*
		 * Nothing to throw out may mean that others have just done so:
		 * a slot that is not used is not found either.
		 */
		err = throw_one_out(kernel, &places[0]);
		if (err && err != -ENOSPC)
			return err;
	}
	return err;
}

int hpt_guest_enter(struct hpt_guest_cpu *kernel, uint64_t ea, uint64_t flags)
{
	struct hpt_guest *guest = kernel->guest;

	if (!table_get(guest)) {
		sched_yield();
		return 0;
	}

	const struct place places[2] = {
		place_of(guest, ea, false),
		place_of(guest, ea, true),
	};
	struct gln_hpte entry = hpt_guest_entry(guest, ea);

	entry.v |= flags;
	stripe_lock(stripe_of(guest, ea));

	const int found = is_entered(kernel, places, &entry);
	const int err = found < 0 ? found
			: found	  ? 0
				  : enter(kernel, places, &entry);

	stripe_unlock(stripe_of(guest, ea));
	table_put(guest);
	return err;
}

int hpt_guest_fault(struct hpt_guest_cpu *kernel, uint64_t ea, uint64_t dsisr)
{
	if (!(dsisr & GLN_DSISR_NOHPTE))
		return -EFAULT;
	return hpt_guest_enter(kernel, ea, 0);
}

int hpt_guest_segment(struct hpt_guest_cpu *kernel, uint64_t ea)
{
	const unsigned int shift = kernel->guest->params.segment_shift;
	const uint64_t esid = ea >> shift << shift | GLN_HPT_MODEL_SLB_VALID;
	const unsigned int index = kernel->slb_next;

	kernel->slb_next = (index + 1) % GLN_HPT_MODEL_SLB_ENTRIES;
	return gln_hpt_model_slb(kernel->cpu, index, esid,
				 hpt_guest_slb(kernel->guest, ea))
		       ? -EIO
		       : 0;
}

/* --- resize --- */

static int resize_error(int64_t code)
{
	switch (code) {
	case GLN_H_SUCCESS:
		return 0;
	case GLN_H_PTEG_FULL:
		return -ENOSPC;
	case GLN_H_NO_MEM:
	case GLN_H_RESOURCE:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static int prepare(struct hpt_guest_cpu *kernel, unsigned int order)
{
	const struct timespec wait = {.tv_nsec = 1000000};

	while (true) {
		uint64_t args[GLN_HCALL_ARGS] = {0, order};
		const int64_t code =
			hcall(kernel, GLN_H_RESIZE_HPT_PREPARE, args);

		if (code != GLN_H_LONG_BUSY_ORDER_100_MSEC)
			return resize_error(code);
		nanosleep(&wait, NULL);
	}
}

int hpt_guest_resize(struct hpt_guest_cpu *kernel, unsigned int order)
{
	struct hpt_guest *guest = kernel->guest;
	uint64_t args[GLN_HCALL_ARGS] = {0, order};
	int err = prepare(kernel, order);

	if (err)
		return err;
	if (!table_claim(guest))
		return -EAGAIN;
	err = resize_error(hcall(kernel, GLN_H_RESIZE_HPT_COMMIT, args));
	/* Relaxed: table_release() announces it. */
	if (!err)
		atomic_store_explicit(&guest->order, order,
				      memory_order_relaxed);
	table_release(guest);
	return err;
}

/* --- life --- */

static bool is_possible(const struct hpt_guest_params *params)
{
	const struct gln_hpte_size size = {
		.base = params->base_shift,
		.actual = params->actual_shift,
	};
	struct gln_hpte entry;

	/* Pages of 16 GiB do not fit into a segment of 256 MiB. */
	return (params->segment_shift == SEGMENT_SHIFT ||
		params->segment_shift == SEGMENT_SHIFT_1T) &&
	       params->base_shift <= 24 && gln_hpte_encode(size, &entry) &&
	       params->order >= GLN_HPT_ORDER_MIN &&
	       params->order <= GLN_HPT_ORDER_MAX;
}

int hpt_guest_create(const struct hpt_guest_params *params,
		     struct hpt_guest **guest)
{
	struct hpt_guest *made;

	if (!is_possible(params))
		return -EINVAL;
	made = malloc(sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->params = *params;
	atomic_init(&made->order, params->order);
	atomic_init(&made->users, 0);
	for (unsigned int i = 0; i < NR_STRIPES; i++)
		atomic_flag_clear(&made->stripes[i]);
	*guest = made;
	return 0;
}

void hpt_guest_destroy(struct hpt_guest *guest)
{
	free(guest);
}

void hpt_guest_cpu_init(struct hpt_guest_cpu *kernel, struct hpt_guest *guest,
			uint32_t id, struct gln_vcpu *vcpu,
			struct gln_model_vcpu *cpu)
{
	*kernel = (struct hpt_guest_cpu){
		.guest = guest,
		.vcpu = vcpu,
		.cpu = cpu,
		.id = id,
		.random = (guest->params.seed + id) * VSID_MULTIPLIER,
	};
}
