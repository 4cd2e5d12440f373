/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - the embedder's allocator, for one caller at a time; and tables
 * from it.
 *
 * It has a lock of its own, and the last in the order: the mmu's is not held
 * while a table is allocated, and others allocate meanwhile.
 */
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/mmu.h"

static void *alloc_in_turn(void *ctx, size_t bytes)
{
	struct hpt_memory *const memory = ctx;
	void *got;

	gln_plat_mutex_lock(&memory->lock);
	got = gln_alloc(&memory->from, bytes);
	gln_plat_mutex_unlock(&memory->lock);
	return got;
}

static void free_in_turn(void *ctx, void *what, size_t bytes)
{
	struct hpt_memory *const memory = ctx;

	gln_plat_mutex_lock(&memory->lock);
	gln_free(&memory->from, what, bytes);
	gln_plat_mutex_unlock(&memory->lock);
}

int glni_hpt_memory_init(struct hpt_mmu *mmu, const struct gln_allocator *from)
{
	int err = gln_plat_mutex_init(&mmu->memory.lock);

	if (err)
		return err;
	err = gln_plat_mutex_init(&mmu->change);
	if (err) {
		gln_plat_mutex_fini(&mmu->memory.lock);
		return err;
	}
	mmu->memory.from = *from;
	mmu->allocator = (struct gln_allocator){alloc_in_turn, free_in_turn,
						&mmu->memory};
	return 0;
}

void glni_hpt_memory_fini(struct hpt_mmu *mmu)
{
	gln_plat_mutex_fini(&mmu->change);
	gln_plat_mutex_fini(&mmu->memory.lock);
}

void glni_hpt_withdraw(struct hpt_mmu *mmu)
{
	gln_plat_mutex_lock(&mmu->change);
	hpt_publish(mmu, NULL);
	glni_synchronize();
}

void glni_hpt_bring_back(struct hpt_mmu *mmu, struct hpt *hpt)
{
	hpt_publish(mmu, hpt);
	gln_plat_mutex_unlock(&mmu->change);
}

bool glni_hpt_wait_for_table(struct hpt_mmu *mmu)
{
	bool is_there;

	gln_plat_mutex_lock(&mmu->change);
	is_there = hpt_table(mmu);
	gln_plat_mutex_unlock(&mmu->change);
	return is_there;
}

bool glni_hpt_holds_slots(const struct hpt_mmu *mmu, unsigned int order)
{
	for (const struct hpt_slot *s = mmu->slots; s; s = s->next)
		if (!hpt_holds(order, s->face))
			return false;
	return true;
}

/* Hardware ORs offsets into the address that it is told. */
static bool is_aligned(const struct hpt_mmu *mmu, const struct hpt *hpt)
{
	const uint64_t offset_mask = (UINT64_C(1) << hpt->order) - 1;
	const uint64_t order_field = hpt->order - GLN_HPT_ORDER_MIN;

	return (hpt_table_word(mmu, hpt) & offset_mask) == order_field;
}

int glni_hpt_make_table(struct hpt_mmu *mmu, unsigned int order,
			struct hpt_pool *pool, struct hpt **out)
{
	struct hpt *const hpt = gln_alloc(&mmu->allocator, sizeof(*hpt));
	int err;

	if (!hpt)
		return -ENOMEM;
	err = glni_hpt_init(hpt, &mmu->allocator, mmu->isa, order, pool);
	if (!err && !is_aligned(mmu, hpt)) {
		glni_hpt_fini(hpt, &mmu->allocator);
		err = -ERANGE;
	}
	if (err)
		gln_free(&mmu->allocator, hpt, sizeof(*hpt));
	else
		*out = hpt;
	return err;
}

void glni_hpt_free_table(struct hpt_mmu *mmu, struct hpt *hpt)
{
	if (!hpt)
		return;
	glni_hpt_fini(hpt, &mmu->allocator);
	gln_free(&mmu->allocator, hpt, sizeof(*hpt));
}
