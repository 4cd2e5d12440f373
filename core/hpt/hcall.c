/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hcall.c - the guest's calls about entries that are there (PAPR 14.5.4.1), and
 * H_PAGE_INIT.
 *
 * Each locks the entry, looks, and unlocks; H_BULK_REMOVE holds up to four.
 * What the guest is told of R and C is what it believes or what hardware noted.
 */
#include "core/base/errno.h"
#include "core/base/memory.h"
#include "core/hpt/real.h"

#define RC (GLN_HPTE_R_R | GLN_HPTE_R_C)

/** struct call - a hypercall under way. */
struct call {
	struct hpt_mmu *mmu;
	struct hpt_vcpu *vcpu;
	struct hpt *hpt;
	const uint64_t *args;
	uint64_t *rets;
};

/* What the guest is shown of an entry it has. */
static struct gln_hpte shown(const struct hpt_hold *hold)
{
	struct gln_hpte guest = glni_hold_guest(hold);

	if (hold_is_linked(hold))
		guest.r |= hpte_r(hold->entry) & RC;
	guest.v = (guest.v & ~(GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT)) |
		  GLN_HPTE_V_VALID;
	return guest;
}

/* Does V meet the conditions of the call? */
static bool is_wanted(const struct hpt_hold *hold, uint64_t flags,
		      uint64_t avpn)
{
	const uint64_t v = hpt_entry(hold->hpt, hold->v, hpte_r(hold->entry)).v;
	const uint64_t low = GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT;

	if (!hold_is_used(hold))
		return false;
	if ((flags & GLN_H_AVPN) && (v & GLN_HPTE_V_COMPARE) != avpn)
		return false;
	return !(flags & GLN_H_ANDCOND) ||
	       !((((v & ~low) | GLN_HPTE_V_VALID) & avpn));
}

/* Hold what the call is about; the page too if it is linked. */
static int64_t hold_wanted(const struct call *call, uint64_t flags,
			   uint64_t avpn, struct hpt_hold *hold,
			   struct hpt_page *page)
{
	const uint64_t index = call->args[1];

	if (index >= call->hpt->nr_entries)
		return GLN_H_PARAMETER;
	*hold = glni_hpt_hold(call->hpt, index);
	if (!is_wanted(hold, flags, avpn)) {
		hold_release(hold);
		return GLN_H_NOT_FOUND;
	}
	if (hold_is_linked(hold))
		*page = glni_hold_page(call->mmu, hold);
	return GLN_H_SUCCESS;
}

static int64_t h_remove(const struct call *call)
{
	const uint64_t flags = call->args[0];
	struct hpt_hold hold;
	struct hpt_page page;
	const int64_t code =
		hold_wanted(call, flags, call->args[2], &hold, &page);

	if (code)
		return code;
	if (hold_is_linked(&hold))
		glni_hold_expel(call->mmu, call->vcpu, &hold, &page);

	const struct gln_hpte told = shown(&hold);

	glni_hold_drop(call->mmu, call->vcpu, &hold);
	call->rets[0] = told.v;
	call->rets[1] = told.r;
	return GLN_H_SUCCESS;
}

/* H_BULK_REMOVE: the first doubleword of a pair (PAPR 14.5.4.1.7). */
enum {
	BULK_PAIRS = 4,
	BULK_TYPE_SHIFT = 62,
	BULK_REQUEST = 1,
	BULK_END = 3,
	BULK_FLAGS_SHIFT = 56,
	BULK_ANDCOND = 1,
	BULK_AVPN = 2,
	BULK_SUCCESS = 0x80,
	BULK_NOT_FOUND = 0x90,
	BULK_PARAMETER = 0xa0,
	BULK_RC_SHIFT = 51,
};

#define BULK_INDEX ((UINT64_C(1) << BULK_FLAGS_SHIFT) - 1)

/**
 * struct bulk - entries that are held and wait to be invalidated together.
 *
 * @pair:	whose request each is.
 */
struct bulk {
	size_t nr;
	size_t pair[BULK_PAIRS];
	bool is_linked[BULK_PAIRS];
	struct hpt_hold hold[BULK_PAIRS];
	struct hpt_page page[BULK_PAIRS];
	struct gln_hpte guest[BULK_PAIRS];
};

static void answer_pair(const struct call *call, size_t pair, uint64_t answer)
{
	const uint64_t request = call->rets[2 * pair];
	const uint64_t flags = request >> BULK_FLAGS_SHIFT & 3;

	call->rets[2 * pair] =
		(answer | flags) << BULK_FLAGS_SHIFT | (request & BULK_INDEX);
}

/* One invalidation for all that are linked; then they are empty. */
static void bulk_finish(const struct call *call, struct bulk *bulk)
{
	struct gln_hpt_tlbie ops[BULK_PAIRS];
	size_t nr_ops = 0;

	for (size_t i = 0; i < bulk->nr; i++) {
		struct hpt_hold *const hold = &bulk->hold[i];

		bulk->guest[i] = glni_hold_guest(hold);
		if (!bulk->is_linked[i])
			continue;
		ops[nr_ops++] = glni_hold_tlbie(call->mmu, hold);
		glni_hold_break(hold);
	}
	if (nr_ops)
		glni_hpt_tlbie(call->mmu, call->vcpu, ops, nr_ops);

	for (size_t i = 0; i < bulk->nr; i++) {
		struct hpt_hold *const hold = &bulk->hold[i];

		if (bulk->is_linked[i])
			glni_hold_retire(call->mmu, hold, &bulk->page[i],
					 bulk->guest[i], hpte_r(hold->entry));
		answer_pair(call, bulk->pair[i], BULK_SUCCESS);
		call->rets[2 * bulk->pair[i]] |= (shown(hold).r & RC)
						 << BULK_RC_SHIFT;
		glni_hold_drop(call->mmu, call->vcpu, hold);
	}
	bulk->nr = 0;
}

/* Wait for the first lock only: who has the others may wait for us (H-64). */
static void bulk_hold(const struct call *call, struct bulk *bulk,
		      uint64_t index, struct hpt_hold *hold)
{
	if (bulk->nr && glni_hpt_try_hold(call->hpt, index, 0, hold))
		return;
	bulk_finish(call, bulk);
	*hold = glni_hpt_hold(call->hpt, index);
}

/* A request that was checked. */
static void bulk_one(const struct call *call, struct bulk *bulk, size_t pair)
{
	static const uint64_t conditions[] = {
		[BULK_ANDCOND] = GLN_H_ANDCOND,
		[BULK_AVPN] = GLN_H_AVPN,
	};
	const uint64_t request = call->rets[2 * pair];
	const uint64_t flags = conditions[request >> BULK_FLAGS_SHIFT & 3];
	struct hpt_hold hold;

	bulk_hold(call, bulk, request & BULK_INDEX, &hold);
	if (!is_wanted(&hold, flags, call->rets[2 * pair + 1])) {
		hold_release(&hold);
		answer_pair(call, pair, BULK_NOT_FOUND);
		return;
	}
	if (hold_is_linked(&hold))
		bulk->page[bulk->nr] = glni_hold_page(call->mmu, &hold);
	bulk->is_linked[bulk->nr] = hold_is_linked(&hold);
	bulk->hold[bulk->nr] = hold;
	bulk->pair[bulk->nr++] = pair;
}

static bool bulk_is_valid(const struct call *call, uint64_t request)
{
	return request >> BULK_TYPE_SHIFT == BULK_REQUEST &&
	       (request >> BULK_FLAGS_SHIFT & 3) <= BULK_AVPN &&
	       (request & BULK_INDEX) < call->hpt->nr_entries;
}

static int64_t h_bulk_remove(const struct call *call)
{
	struct bulk bulk = {.nr = 0};
	int64_t code = GLN_H_SUCCESS;

	if (call->rets != call->args)
		memcpy(call->rets, call->args,
		       sizeof(*call->rets) * 2 * BULK_PAIRS);
	for (size_t i = 0; i < BULK_PAIRS && !code; i++) {
		const uint64_t request = call->rets[2 * i];

		if (request >> BULK_TYPE_SHIFT == BULK_END)
			break;
		if (!bulk_is_valid(call, request)) {
			answer_pair(call, i, BULK_PARAMETER);
			code = GLN_H_PARAMETER;
		} else {
			bulk_one(call, &bulk, i);
		}
	}
	bulk_finish(call, &bulk);
	return code;
}

/* What H_PROTECT sets, from its flags (PAPR 14.5.4.1.6). */
#define PROTECT_MASK \
	(GLN_HPTE_R_PP0 | GLN_HPTE_R_PP | GLN_HPTE_R_N | GLN_HPTE_R_KEY)

enum {
	PROTECT_PP0_SHIFT = 55,	   /* flag bit 8 to R's 63 */
	PROTECT_KEY_HI_SHIFT = 48, /* 13:12 to 61:60 */
};

static uint64_t protect_bits(uint64_t flags)
{
	return (flags & (GLN_HPTE_R_PP | GLN_HPTE_R_N | GLN_HPTE_R_KEY_LO)) |
	       (flags << PROTECT_PP0_SHIFT & GLN_HPTE_R_PP0) |
	       (flags << PROTECT_KEY_HI_SHIFT & GLN_HPTE_R_KEY_HI);
}

/*
 * The entry itself never gains the right to write here: the host may have taken
 * it away. A fault gives it back (H-61).
 */
static void protect_valid(const struct call *call, struct hpt_hold *hold,
			  uint64_t bits)
{
	struct gln_hpte real =
		hpt_entry(hold->hpt, hold->v, hpte_r(hold->entry));
	uint64_t r = (real.r & ~PROTECT_MASK) | bits;

	if (!hpt_is_writable(real.r) && hpt_is_writable(r))
		r = hpt_read_only(r);
	if (!((r ^ real.r) & ~RC))
		return;
	real = glni_hold_invalidate(call->mmu, call->vcpu, hold);
	real.r = (r & ~RC) | (real.r & RC);
	glni_hold_make_valid(hold, real);
}

static int64_t h_protect(const struct call *call)
{
	const uint64_t flags = call->args[0];
	const uint64_t bits = protect_bits(flags);
	struct hpt_hold hold;
	struct hpt_page page;
	const int64_t code = hold_wanted(call, flags & GLN_H_AVPN,
					 call->args[2], &hold, &page);

	if (code)
		return code;

	struct gln_hpte guest = glni_hold_guest(&hold);

	guest.r = (guest.r & ~PROTECT_MASK) | bits;
	if (hold_is_linked(&hold)) {
		protect_valid(call, &hold, bits);
	} else if (glni_hold_is_mmio(&hold)) {
		glni_hpt_mmio_changed(call->mmu);
	}
	glni_rev_set_guest(hold.hpt, hold.index, hold_is_linked(&hold),
			   guest.r);
	glni_hold_changed(call->mmu, &hold);
	hold_release(&hold);
	return GLN_H_SUCCESS;
}

static void read_one(const struct call *call, uint64_t index, uint64_t *told)
{
	struct hpte *const entry = &call->hpt->entries[index];
	const uint64_t any =
		GLN_HPTE_V_HVLOCK | GLN_HPTE_V_VALID | GLN_HPTE_V_ABSENT;
	struct gln_hpte guest = {0, 0};

	if (hpte_v(entry) & any) {
		struct hpt_hold hold = glni_hpt_hold(call->hpt, index);

		if (hold_is_used(&hold))
			guest = shown(&hold);
		hold_release(&hold);
	}
	told[0] = guest.v;
	told[1] = guest.r;
}

static int64_t h_read(const struct call *call)
{
	enum { READ_4 = 4 };
	const unsigned int nr = call->args[0] & GLN_H_READ_4 ? READ_4 : 1;
	const uint64_t index = call->args[1] & ~(uint64_t)(nr - 1);

	if (call->args[1] >= call->hpt->nr_entries)
		return GLN_H_PARAMETER;
	for (size_t i = 0; i < nr; i++)
		read_one(call, index + i, &call->rets[2 * i]);
	return GLN_H_SUCCESS;
}

/* R may be cleared under hardware's hands: nobody minds if one is missed. */
static void clear_ref_valid(const struct call *call, struct hpt_hold *hold,
			    const struct hpt_page *page)
{
	const struct gln_hpt_tlbie op = glni_hold_tlbie(call->mmu, hold);

	if (!(hpte_r(hold->entry) & GLN_HPTE_R_R))
		return;
	hpte_clear_r(hold->entry);
	glni_hpt_tlbie(call->mmu, call->vcpu, &op, 1);
	page_unlock(page->head, page_lock(page->head) | PAGE_R);
}

static int64_t h_clear_ref(const struct call *call)
{
	struct hpt_hold hold;
	struct hpt_page page;
	const int64_t code = hold_wanted(call, 0, 0, &hold, &page);

	if (code)
		return code;

	const uint64_t told = shown(&hold).r;

	if (hold_is_linked(&hold))
		clear_ref_valid(call, &hold, &page);
	glni_rev_set_guest(hold.hpt, hold.index, hold_is_linked(&hold),
			   glni_hold_guest(&hold).r & ~GLN_HPTE_R_R);
	glni_hold_changed(call->mmu, &hold);
	hold_release(&hold);
	call->rets[0] = told;
	return GLN_H_SUCCESS;
}

static int64_t h_clear_mod(const struct call *call)
{
	struct hpt_hold hold;
	struct hpt_page page;
	const int64_t code = hold_wanted(call, 0, 0, &hold, &page);
	struct gln_hpte guest, real;

	if (code)
		return code;

	guest = glni_hold_guest(&hold);
	call->rets[0] = guest.r;
	if (hold_is_linked(&hold)) {
		real = glni_hold_invalidate(call->mmu, call->vcpu, &hold);
		call->rets[0] |= real.r & RC;
		if (real.r & GLN_HPTE_R_C)
			glni_hold_mark(guest, &page);
		real.r &= ~GLN_HPTE_R_C;
		glni_hold_make_valid(&hold, real);
	}
	glni_rev_set_guest(hold.hpt, hold.index, hold_is_linked(&hold),
			   guest.r & ~GLN_HPTE_R_C);
	glni_hold_changed(call->mmu, &hold);
	hold_release(&hold);
	return GLN_H_SUCCESS;
}

/* H_PAGE_INIT works on 4 KiB whatever the page. */
enum { INIT_SHIFT = 12 };

#define INIT_BYTES (UINT64_C(1) << INIT_SHIFT)
#define INIT_FLAGS                                                     \
	(GLN_H_ICACHE_INVALIDATE | GLN_H_ICACHE_SYNCHRONIZE |          \
	 GLN_H_ZERO_PAGE | GLN_H_COPY_PAGE | GLN_H_PAGE_STATE_CHANGE | \
	 GLN_H_PAGE_UNUSED | GLN_H_PAGE_LOANED | GLN_H_COALESCE_CAND)

/* Memory of a guest page that the host can reach. 0 or a GLN_H_* code. */
static int64_t find_memory(const struct call *call, uint64_t addr,
			   uint32_t access, struct hpt_page *page,
			   gln_word **memory)
{
	const struct gln_mmu_host *const host = &call->mmu->host;
	struct gln_host_page backing;
	struct gln_backend_slot *face;
	uint64_t in_page;
	int err;

	switch (glni_hpt_where(call->mmu, addr, page)) {
	case WHERE_NOWHERE:
		return GLN_H_PARAMETER;
	case WHERE_CLOSED:
		return HPT_H_TOO_HARD;
	case WHERE_SLOT:
		break;
	}
	face = page->slot->face;
	in_page = addr & ((UINT64_C(1) << face->page_shift) - 1);
	err = glni_hpt_ask_host(call->mmu, page, access, &backing);
	if (err == -EAGAIN)
		return GLN_H_BUSY;
	if (err ||
	    ((access & GLN_ACCESS_WRITE) &&
	     (!backing.is_writable || (face->flags & GLN_SLOT_READ_ONLY))))
		return GLN_H_PARAMETER;
	*memory = host->memory_at
			  ? host->memory_at(host->ctx, backing.hpa + in_page)
			  : (gln_word *)(uintptr_t)(backing.hpa + in_page);
	return *memory ? GLN_H_SUCCESS : GLN_H_PARAMETER;
}

/* Relaxed: the guest's other vCPUs may be in these pages; that is theirs. */
static void init_page(gln_word *to, const gln_word *from)
{
	for (size_t i = 0; i < INIT_BYTES / sizeof(*to); i++)
		gln_store_relaxed(&to[i],
				  from ? gln_load_relaxed(&from[i]) : 0);
}

static int64_t h_page_init(const struct call *call)
{
	const uint64_t flags = call->args[0];
	const uint64_t dest = call->args[1], src = call->args[2];
	gln_word *to = NULL, *from = NULL;
	struct hpt_page page, source;
	int64_t code;

	if ((flags & ~INIT_FLAGS) || dest % INIT_BYTES ||
	    ((flags & GLN_H_COPY_PAGE) && src % INIT_BYTES))
		return GLN_H_PARAMETER;
	code = find_memory(call, dest, GLN_ACCESS_WRITE, &page, &to);
	if (!code && (flags & GLN_H_COPY_PAGE))
		code = find_memory(call, src, GLN_ACCESS_READ, &source, &from);
	if (code || !(flags & (GLN_H_COPY_PAGE | GLN_H_ZERO_PAGE)))
		return code;

	init_page(to, from);
	/* No hardware saw it (H-71). */
	page.slot->face->mark(page.slot->face, page.gfn, 1);
	return GLN_H_SUCCESS;
}

static int64_t h_enter(const struct call *call)
{
	const struct gln_hpte entry = {call->args[2], call->args[3]};
	uint64_t found = 0;
	const int64_t code =
		glni_hpt_enter(call->mmu, call->vcpu, call->args[0],
			       call->args[1], entry, &found);

	if (code == GLN_H_SUCCESS)
		call->rets[0] = found;
	return code;
}

int64_t glni_hpt_op_hcall(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			  uint64_t nr, const uint64_t *args, uint64_t *rets)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(be);
	struct call call = {
		.mmu = mmu,
		.vcpu = vcpu->priv,
		.hpt = hpt_table(mmu),
		.args = args,
	};

	call.rets = rets;
	if (!call.hpt)
		return HPT_H_TOO_HARD;
	switch (nr) {
	case GLN_H_ENTER:
		return h_enter(&call);
	case GLN_H_REMOVE:
		return h_remove(&call);
	case GLN_H_BULK_REMOVE:
		return h_bulk_remove(&call);
	case GLN_H_PROTECT:
		return h_protect(&call);
	case GLN_H_READ:
		return h_read(&call);
	case GLN_H_CLEAR_REF:
		return h_clear_ref(&call);
	case GLN_H_CLEAR_MOD:
		return h_clear_mod(&call);
	case GLN_H_PAGE_INIT:
		return h_page_init(&call);
	default:
		return GLN_H_FUNCTION;
	}
}
