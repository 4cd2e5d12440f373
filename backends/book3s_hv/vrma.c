/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vrma.c - the virtual real-mode area: a segment of 1 TiB whose entries map
 * guest address 0 on, for a guest that has translation off (ISA 2.07 book III-S
 * 5.7.3.3; the segment's id is a convention of PAPR guests and hypervisors).
 *
 * Entry i is the last of its primary group, and bolted. Addresses that differ
 * by less than the table has groups are in different ones, so there is one to a
 * group and no more.
 */
#include "backends/book3s_hv/book3s_hv.h"
#include "core/base/bits.h"
#include "core/base/errno.h"
#include "core/hpt/ops.h"
#include "core/hpt/real.h"

#define VRMA_VSID UINT64_C(0x1ffffff)
#define VRMA_SLB  (GLN_SLB_1TB | VRMA_VSID << GLN_SLB_VSID_SHIFT_1T)

enum {
	VRMA_SHIFT_MAX = 40, /* a segment */
	VRMA_PLACE = GLN_HPT_GROUP_ENTRIES - 1,
};

/* Page sizes, largest first, and how the segment says them. */
static const struct vrma_size {
	unsigned int shift;
	uint64_t slb;
} sizes[] = {
	{24, GLN_SLB_L},
	{16, GLN_SLB_L | GLN_SLB_LP_64K},
	{12, 0},
};

enum { NR_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* The slot that holds guest address 0. The VM's lock is held. */
static struct hpt_slot *slot_at_0(const struct hpt_mmu *mmu)
{
	struct hpt_slot *slot = mmu->slots;

	while (slot && slot->face->base)
		slot = slot->next;
	return slot;
}

/* The largest that the backing of address 0, and the slot, have room for. */
static const struct vrma_size *choose_size(const struct hpt_mmu *mmu,
					   struct hpt_slot *slot)
{
	const struct hpt_page page = hpt_page_of(slot, 0);
	struct gln_host_page host;
	unsigned int i = 0;
	int err;

	glni_read_lock();
	err = glni_hpt_ask_host(mmu, &page, GLN_ACCESS_READ, &host);
	glni_read_unlock();

	/* What is not there now may come back in small pieces. */
	if (err)
		return &sizes[NR_SIZES - 1];
	while (i < NR_SIZES - 1 &&
	       (sizes[i].shift > host.order ||
		host.hpa & ((UINT64_C(1) << sizes[i].shift) - 1) ||
		!glni_hpt_fits_slot(slot,
				    (struct gln_hpte_size){sizes[i].shift,
							   sizes[i].shift})))
		i++;
	return &sizes[i];
}

static uint64_t nr_entries(const struct hpt *hpt, const struct hpt_slot *slot,
			   unsigned int shift)
{
	const struct gln_backend_slot *const face = slot->face;
	const uint64_t in_slot =
		shift > face->page_shift
			? face->nr_pages >> (shift - face->page_shift)
			: face->nr_pages << (face->page_shift - shift);
	const uint64_t in_segment = UINT64_C(1) << (VRMA_SHIFT_MAX - shift);

	return gln_min(gln_min(in_slot, in_segment), hpt->group_mask + 1);
}

static uint64_t index_of(const struct hpt *hpt, const struct vrma_size *size,
			 uint64_t addr)
{
	const uint64_t hash = gln_hpt_hash(VRMA_SLB | size->slb, addr);

	return (hash & hpt->group_mask) * GLN_HPT_GROUP_ENTRIES + VRMA_PLACE;
}

/* Map the page at @addr. */
static int64_t enter(struct hpt_mmu *mmu, const struct hpt *hpt,
		     const struct vrma_size *size, uint64_t addr)
{
	struct gln_hpte entry;
	uint64_t index;
	int64_t code;

	gln_hpte_encode((struct gln_hpte_size){size->shift, size->shift},
			&entry);
	entry.v |= gln_hpt_vpn(VRMA_SLB | size->slb, addr) | GLN_HPTE_V_BOLTED;
	entry.r |= addr | GLN_HPTE_R_R | GLN_HPTE_R_C | GLN_HPTE_R_M;

	glni_read_lock();
	code = glni_hpt_enter(mmu, NULL, GLN_H_EXACT, index_of(hpt, size, addr),
			      entry, &index);
	glni_read_unlock();
	return code;
}

/*
 * Map with pages of this size, and say how many. A place that is taken was
 * restored from a stream, before the guest first ran here, and is the same.
 */
static uint64_t map(struct hpt_mmu *mmu, const struct hpt *hpt,
		    const struct vrma_size *size, uint64_t nr)
{
	uint64_t i;

	for (i = 0; i < nr; i++) {
		const int64_t code = enter(mmu, hpt, size, i << size->shift);

		if (code != GLN_H_SUCCESS && code != GLN_H_PTEG_FULL)
			break;
	}
	return i;
}

static void unmap(struct hpt_mmu *mmu, struct hpt *hpt,
		  const struct vrma_size *size, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		struct hpt_hold hold = glni_hpt_hold(
			hpt, index_of(hpt, size, i << size->shift));

		glni_hpt_clear(mmu, &hold);
	}
}

/*
 * A page in the middle that cannot be mapped so large may be in smaller ones:
 * then all are. Where even the smallest will not do, the area ends.
 */
int glni_hpt_map_vrma(struct hpt_mmu *mmu)
{
	struct hpt *const hpt = hpt_table(mmu);
	struct hpt_slot *const slot = slot_at_0(mmu);
	const struct vrma_size *size;

	if (!slot)
		return -EINVAL;
	for (size = choose_size(mmu, slot);; size++) {
		const uint64_t nr = nr_entries(hpt, slot, size->shift);
		const uint64_t mapped = map(mmu, hpt, size, nr);

		if (mapped == nr || size == &sizes[NR_SIZES - 1])
			return mapped ? 0 : -EINVAL;
		unmap(mmu, hpt, size, mapped);
	}
}
