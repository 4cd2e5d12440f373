/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * soft_mmu.c - the entries, the TLBs and the shootdown of soft_mmu.h.
 *
 * A vCPU catches up with flushes between two stores, as a CPU takes interrupts
 * between two instructions. Whoever flushes names the pages in each vCPU's mail
 * and raises the generation; a vCPU that sees the generation raised drops what
 * its mail names, and says so.
 */
#include "tests/support/soft_mmu.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "core/base/atomic.h"

enum {
	MAX_SLOTS = 32,
	MAX_VCPUS = 16,
	TLB_ENTRIES = 8,
	MAIL_RANGES = 4 * GLN_FLUSH_RANGES,
	ENTRY_WRITABLE = 1,
};

/** struct translation - frame @tag - 1 may be written at @page; 0: none. */
struct translation {
	gln_gfn tag;
	gln_word *page;
};

struct soft_slot {
	struct gln_backend_slot *face;
	gln_word entries[];
};

/** struct mail - frames whose translations a vCPU must drop. */
struct mail {
	pthread_mutex_t lock;
	bool all; /* more than there is room for */
	size_t nr_ranges;
	struct gln_range ranges[MAIL_RANGES];
};

/**
 * struct soft_vcpu - a vCPU.
 *
 * @entered:	runs guest code or handles its faults; may hold a soft_slot.
 * @in_guest:	runs guest code: may store through its TLB.
 * @served:	the generation it has caught up with; @seen is its own copy.
 */
struct soft_vcpu {
	struct soft_mmu *mmu;
	_Atomic uint32_t entered;
	_Atomic uint32_t in_guest;
	gln_word served;
	uint64_t seen;
	gln_word faults;
	struct translation tlb[TLB_ENTRIES];
	struct mail mail;
};

struct soft_mmu {
	struct gln_backend backend;
	struct soft_mmu_params params;
	pthread_mutex_t lock; /* slots, vCPUs; one flush at a time */
	_Atomic(struct soft_slot *) slots[MAX_SLOTS];
	struct soft_vcpu *vcpus[MAX_VCPUS];
	gln_word generation;
	gln_word fail_permille;
	gln_word fallible_calls;
	gln_word gone_faults; /* of vCPUs that were destroyed */
	gln_word protect_calls;
	gln_word protected_pages;
	gln_word flushes;
};

static struct soft_mmu *mmu_of(struct gln_backend *backend)
{
	return (struct soft_mmu *)(void *)backend;
}

static bool range_holds(struct gln_range range, gln_gfn gfn)
{
	return gfn >= range.first && gfn - range.first < range.count;
}

static struct gln_range whole(const struct gln_backend_slot *face)
{
	return (struct gln_range){.first = face->base, .count = face->nr_pages};
}

/* Does this one of many turns, of which @permille of 1000 do something? */
static bool is_turn(uint64_t turn, uint64_t permille)
{
	return turn * permille % 1000 + permille >= 1000;
}

/* The shootdown. */

static void post(struct mail *mail, const struct gln_range *ranges, size_t nr)
{
	pthread_mutex_lock(&mail->lock);
	for (size_t i = 0; i < nr; i++) {
		if (mail->nr_ranges == MAIL_RANGES)
			mail->all = true;
		else
			mail->ranges[mail->nr_ranges++] = ranges[i];
	}
	pthread_mutex_unlock(&mail->lock);
}

static bool mail_names(const struct mail *mail, gln_gfn gfn)
{
	for (size_t i = 0; i < mail->nr_ranges; i++)
		if (range_holds(mail->ranges[i], gfn))
			return true;

	return mail->all;
}

/* Between two stores: drop what was flushed since the last time, and say so. */
static void serve_flushes(struct soft_vcpu *vcpu)
{
	struct mail *const mail = &vcpu->mail;
	/* Acquire: the mail and the entries from before this generation. */
	const uint64_t generation = gln_load_acquire(&vcpu->mmu->generation);

	if (generation == vcpu->seen)
		return;

	pthread_mutex_lock(&mail->lock);
	for (struct translation *t = vcpu->tlb; t < vcpu->tlb + TLB_ENTRIES;
	     t++)
		if (t->tag && mail_names(mail, t->tag - 1))
			t->tag = 0;
	mail->nr_ranges = 0;
	mail->all = false;
	pthread_mutex_unlock(&mail->lock);

	vcpu->seen = generation;
	/* Release: our stores through what we dropped. */
	gln_store_release(&vcpu->served, generation);
}

typedef bool (*busy_fn)(struct soft_vcpu *vcpu);

/* Acquire, both: what the vCPU did before it left. */
static bool is_in_guest(struct soft_vcpu *vcpu)
{
	return gln_load_acquire(&vcpu->in_guest);
}

static bool is_entered(struct soft_vcpu *vcpu)
{
	return gln_load_acquire(&vcpu->entered);
}

/*
 * Name @ranges to every vCPU and wait until each has caught up, or is not
 * @busy. The MMU's lock is held.
 */
static void shoot_down(struct soft_mmu *mmu, const struct gln_range *ranges,
		       size_t nr, busy_fn busy)
{
	/* Relaxed: changed under the lock only. */
	const uint64_t generation = gln_load_relaxed(&mmu->generation) + 1;

	for (size_t i = 0; i < MAX_VCPUS; i++)
		if (mmu->vcpus[i])
			post(&mmu->vcpus[i]->mail, ranges, nr);
	gln_store_release(&mmu->generation, generation);
	/* With the fence of come_in(): it sees the generation, or we see it. */
	gln_fence_seq_cst();

	for (size_t i = 0; i < MAX_VCPUS; i++) {
		struct soft_vcpu *const vcpu = mmu->vcpus[i];

		while (vcpu && gln_load_acquire(&vcpu->served) < generation &&
		       busy(vcpu))
			sched_yield();
	}
}

/* The backend. */

static struct soft_slot *private_part(const struct gln_backend_slot *face)
{
	return face->priv;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *face)
{
	struct soft_mmu *const mmu = mmu_of(backend);
	struct soft_slot *const slot = calloc(
		1, sizeof(*slot) + face->nr_pages * sizeof(slot->entries[0]));
	int err = -ENOMEM;

	if (!slot)
		return err;
	slot->face = face;
	face->priv = slot;

	pthread_mutex_lock(&mmu->lock);
	for (size_t i = 0; i < MAX_SLOTS && err; i++) {
		if (gln_load_relaxed(&mmu->slots[i]))
			continue;
		gln_store_release(&mmu->slots[i], slot);
		err = 0;
	}
	pthread_mutex_unlock(&mmu->lock);

	if (err)
		free(slot);
	return err;
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *face)
{
	struct soft_mmu *const mmu = mmu_of(backend);
	struct soft_slot *const slot = private_part(face);
	const struct gln_range all = whole(face);

	pthread_mutex_lock(&mmu->lock);
	for (size_t i = 0; i < MAX_SLOTS; i++)
		if (gln_load_relaxed(&mmu->slots[i]) == slot)
			gln_store_relaxed(&mmu->slots[i], NULL);
	shoot_down(mmu, &all, 1, is_entered);
	pthread_mutex_unlock(&mmu->lock);

	free(slot);
}

static void protect_range(struct soft_slot *slot, struct gln_range range)
{
	const uint64_t first = range.first - slot->face->base;

	/* Relaxed: what a table walk sees when is the flush's business. */
	for (uint64_t i = first; i < first + range.count; i++)
		gln_store_relaxed(&slot->entries[i], 0);
}

static bool must_fail(struct soft_mmu *mmu)
{
	return is_turn(gln_fetch_add_relaxed(&mmu->fallible_calls, 1),
		       gln_load_relaxed(&mmu->fail_permille));
}

static int log_start(struct gln_backend *backend, struct gln_backend_slot *face,
		     uint32_t flags)
{
	struct soft_mmu *const mmu = mmu_of(backend);
	const struct gln_range all = whole(face);

	if (flags & GLN_LOG_START_ALL_MARKED)
		return 0;

	protect_range(private_part(face), all);
	pthread_mutex_lock(&mmu->lock);
	shoot_down(mmu, &all, 1, is_in_guest);
	pthread_mutex_unlock(&mmu->lock);
	return 0;
}

static int protect(struct gln_backend *backend, struct gln_backend_slot *face,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	struct soft_mmu *const mmu = mmu_of(backend);
	const bool fails = must_fail(mmu);

	if (fails)
		nr_ranges /= 2;
	gln_fetch_add_relaxed(&mmu->protect_calls, 1);
	for (size_t i = 0; i < nr_ranges; i++) {
		protect_range(private_part(face), ranges[i]);
		gln_fetch_add_relaxed(&mmu->protected_pages, ranges[i].count);
	}

	return fails ? -SOFT_MMU_ERROR : 0;
}

static int flush(struct gln_backend *backend, struct gln_backend_slot *face,
		 const struct gln_flush *plan)
{
	struct soft_mmu *const mmu = mmu_of(backend);
	const struct gln_range all = whole(face);

	if (must_fail(mmu))
		return -SOFT_MMU_ERROR;

	gln_fetch_add_relaxed(&mmu->flushes, 1);
	pthread_mutex_lock(&mmu->lock);
	if (plan->whole_slot)
		shoot_down(mmu, &all, 1, is_in_guest);
	else
		shoot_down(mmu, plan->ranges, plan->nr_ranges, is_in_guest);
	pthread_mutex_unlock(&mmu->lock);
	return 0;
}

static const struct gln_backend_ops ops = {
	.name = "soft",
	.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_GAPS,
	.attach = attach,
	.detach = detach,
	.log_start = log_start,
	.protect = protect,
	.flush = flush,
};

struct gln_backend *soft_mmu_backend(struct soft_mmu *mmu)
{
	return &mmu->backend;
}

struct soft_mmu *soft_mmu_create(const struct soft_mmu_params *params)
{
	struct soft_mmu *const mmu = calloc(1, sizeof(*mmu));

	if (!mmu)
		return NULL;
	mmu->backend.ops = &ops;
	mmu->params = *params;
	if (!pthread_mutex_init(&mmu->lock, NULL))
		return mmu;

	free(mmu);
	return NULL;
}

void soft_mmu_destroy(struct soft_mmu *mmu)
{
	pthread_mutex_destroy(&mmu->lock);
	free(mmu);
}

void soft_mmu_fail(struct soft_mmu *mmu, unsigned int permille)
{
	gln_store_relaxed(&mmu->fail_permille, permille);
}

static uint64_t count_faults(struct soft_mmu *mmu)
{
	uint64_t nr;

	pthread_mutex_lock(&mmu->lock);
	nr = gln_load_relaxed(&mmu->gone_faults);
	for (size_t i = 0; i < MAX_VCPUS; i++)
		if (mmu->vcpus[i])
			nr += gln_load_relaxed(&mmu->vcpus[i]->faults);
	pthread_mutex_unlock(&mmu->lock);

	return nr;
}

struct soft_mmu_stats soft_mmu_stats(struct soft_mmu *mmu)
{
	return (struct soft_mmu_stats){
		.faults = count_faults(mmu),
		.protect_calls = gln_load_relaxed(&mmu->protect_calls),
		.protected_pages = gln_load_relaxed(&mmu->protected_pages),
		.flushes = gln_load_relaxed(&mmu->flushes),
	};
}

/* vCPUs. */

static bool add_vcpu(struct soft_mmu *mmu, struct soft_vcpu *vcpu)
{
	bool added = false;

	pthread_mutex_lock(&mmu->lock);
	for (size_t i = 0; i < MAX_VCPUS && !added; i++) {
		if (mmu->vcpus[i])
			continue;
		vcpu->seen = gln_load_relaxed(&mmu->generation);
		gln_store_relaxed(&vcpu->served, vcpu->seen);
		mmu->vcpus[i] = vcpu;
		added = true;
	}
	pthread_mutex_unlock(&mmu->lock);

	return added;
}

struct soft_vcpu *soft_vcpu_create(struct soft_mmu *mmu)
{
	struct soft_vcpu *const vcpu = calloc(1, sizeof(*vcpu));

	if (!vcpu)
		return NULL;
	vcpu->mmu = mmu;
	if (pthread_mutex_init(&vcpu->mail.lock, NULL))
		goto free_it;
	if (add_vcpu(mmu, vcpu))
		return vcpu;

	pthread_mutex_destroy(&vcpu->mail.lock);
free_it:
	free(vcpu);
	return NULL;
}

void soft_vcpu_destroy(struct soft_vcpu *vcpu)
{
	struct soft_mmu *const mmu = vcpu->mmu;

	pthread_mutex_lock(&mmu->lock);
	for (size_t i = 0; i < MAX_VCPUS; i++)
		if (mmu->vcpus[i] == vcpu)
			mmu->vcpus[i] = NULL;
	gln_count(&mmu->gone_faults, gln_load_relaxed(&vcpu->faults));
	pthread_mutex_unlock(&mmu->lock);

	pthread_mutex_destroy(&vcpu->mail.lock);
	free(vcpu);
}

/* Into the guest: from here on flushes wait for us, or were served. */
static void come_in(struct soft_vcpu *vcpu)
{
	gln_store_relaxed(&vcpu->in_guest, 1);
	gln_fence_seq_cst();
	serve_flushes(vcpu);
}

void soft_vcpu_enter(struct soft_vcpu *vcpu)
{
	gln_store_relaxed(&vcpu->entered, 1);
	come_in(vcpu);
}

void soft_vcpu_leave(struct soft_vcpu *vcpu)
{
	gln_store_release(&vcpu->in_guest, 0);
	gln_store_release(&vcpu->entered, 0);
}

static struct soft_slot *find_slot(struct soft_mmu *mmu, gln_gfn gfn)
{
	for (size_t i = 0; i < MAX_SLOTS; i++) {
		/* Acquire: the slot, before its address. */
		struct soft_slot *const slot = gln_load_acquire(&mmu->slots[i]);

		if (slot && range_holds(whole(slot->face), gfn))
			return slot;
	}

	return NULL;
}

static void dwell(struct soft_vcpu *vcpu)
{
	if (is_turn(gln_load_relaxed(&vcpu->faults),
		    vcpu->mmu->params.preempt_permille))
		sched_yield();
}

/* Relaxed: what orders it is the mark that follows (G1). */
static void make_writable(struct soft_slot *slot, gln_gfn gfn)
{
	gln_store_relaxed(&slot->entries[gfn - slot->face->base],
			  ENTRY_WRITABLE);
}

/*
 * Outside the guest: give permission and mark, in the order to be tested. No
 * locked operation here: it would hide a missing fence in mark.
 */
static void handle_fault(struct soft_vcpu *vcpu, struct soft_slot *slot,
			 gln_gfn gfn)
{
	struct gln_backend_slot *const face = slot->face;

	gln_count(&vcpu->faults, 1);
	if (vcpu->mmu->params.order == SOFT_MARK_THEN_MAP) {
		face->mark(face, gfn, 1);
		dwell(vcpu);
		make_writable(slot, gfn);
	} else {
		make_writable(slot, gfn);
		dwell(vcpu);
		face->mark(face, gfn, 1);
	}
}

/* Walk the table and fill @t. Return: 0; -EAGAIN after a fault; -EFAULT. */
static int walk(struct soft_vcpu *vcpu, gln_gfn gfn, struct translation *t)
{
	struct soft_slot *const slot = find_slot(vcpu->mmu, gfn);
	uint64_t page;

	if (!slot)
		return -EFAULT;

	page = gfn - slot->face->base;
	if (!(gln_load_relaxed(&slot->entries[page]) & ENTRY_WRITABLE)) {
		gln_store_release(&vcpu->in_guest, 0);
		handle_fault(vcpu, slot, gfn);
		come_in(vcpu);
		return -EAGAIN;
	}

	t->tag = gfn + 1;
	t->page = (gln_word *)slot->face->hva +
		  (page << slot->face->page_shift) / sizeof(*t->page);
	return 0;
}

int soft_vcpu_store(struct soft_vcpu *vcpu, gln_gfn gfn, unsigned int word,
		    uint64_t value)
{
	struct translation *const t = &vcpu->tlb[gfn % TLB_ENTRIES];
	int err;

	do {
		serve_flushes(vcpu);
		err = t->tag == gfn + 1 ? 0 : walk(vcpu, gfn, t);
	} while (err == -EAGAIN);
	if (err)
		return err;

	/* Relaxed: guest memory; the vCPU orders nothing for us. */
	gln_store_relaxed(&t->page[word], value);
	return 0;
}
