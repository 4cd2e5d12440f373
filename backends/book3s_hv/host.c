/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - partition ids, and tables allocated beforehand.
 */
#include "backends/book3s_hv/book3s_hv.h"
#include "core/base/bits.h"
#include "core/base/errno.h"
#include "core/base/params.h"

enum {
	LPIDS_DEFAULT = 1024, /* 10 bits (ISA 2.07 book III-S 2.8) */
	LPIDS_MIN = 2,	      /* the hypervisor's own, and one */
	LPID_OWN = 0,
};

bool glni_hpt_allocator(const struct gln_allocator *theirs,
			struct gln_allocator *ours)
{
	*ours = gln_allocator_of(theirs);
	return ours->alloc && ours->free;
}

static size_t taken_bytes(uint32_t nr_lpids)
{
	return (size_t)gln_div_up(nr_lpids, GLN_WORD_BITS) * GLN_WORD_BYTES;
}

static uint64_t lpid_bit(uint32_t lpid)
{
	return UINT64_C(1) << lpid % GLN_WORD_BITS;
}

/* The lowest one that is free; @nr_lpids if there is none. */
static uint64_t free_lpid(const struct gln_hpt_host *host)
{
	const uint64_t nr_words = gln_div_up(host->nr_lpids, GLN_WORD_BITS);

	for (uint64_t i = 0; i < nr_words; i++)
		if (~host->taken[i])
			return gln_min(i * GLN_WORD_BITS +
					       gln_ctz64(~host->taken[i]),
				       host->nr_lpids);
	return host->nr_lpids;
}

/* An id is no error and an error no id: they have not the same type (H-50). */
int glni_hpt_lpid_take(struct gln_hpt_host *host, uint32_t *lpid)
{
	uint64_t found;

	gln_plat_mutex_lock(&host->lock);
	found = free_lpid(host);
	if (found < host->nr_lpids)
		host->taken[found / GLN_WORD_BITS] |= lpid_bit((uint32_t)found);
	gln_plat_mutex_unlock(&host->lock);

	if (found >= host->nr_lpids)
		return -ENOSPC;
	*lpid = (uint32_t)found;
	return 0;
}

void glni_hpt_lpid_give(struct gln_hpt_host *host, uint32_t lpid)
{
	gln_plat_mutex_lock(&host->lock);
	gln_assert(host->taken[lpid / GLN_WORD_BITS] & lpid_bit(lpid));
	host->taken[lpid / GLN_WORD_BITS] &= ~lpid_bit(lpid);
	gln_plat_mutex_unlock(&host->lock);
}

/* All of it or nothing. */
static int host_init(struct gln_hpt_host *host,
		     const struct gln_hpt_host_params *params)
{
	int err = -ENOMEM;

	host->nr_lpids = params->nr_lpids;
	host->taken = gln_alloc(&host->allocator, taken_bytes(host->nr_lpids));
	if (!host->taken)
		return -ENOMEM;
	host->taken[0] = lpid_bit(LPID_OWN);

	err = gln_plat_mutex_init(&host->lock);
	if (err)
		goto free_taken;
	err = glni_hpt_pool_init(&host->pool, &host->allocator, params->order,
				 params->nr_tables);
	if (!err)
		return 0;
	/* What is not aligned is no memory for a table. */
	err = -ENOMEM;
	gln_plat_mutex_fini(&host->lock);
free_taken:
	gln_free(&host->allocator, host->taken, taken_bytes(host->nr_lpids));
	return err;
}

int gln_hpt_host_create(const struct gln_hpt_host_params *theirs,
			struct gln_hpt_host **out)
{
	struct gln_hpt_host_params params;
	struct gln_allocator allocator;
	struct gln_hpt_host *host;
	int err;

	if (!params_copy(&params, sizeof(params), theirs) ||
	    !glni_hpt_allocator(params.allocator, &allocator))
		return -EINVAL;
	if (!params.nr_lpids)
		params.nr_lpids = LPIDS_DEFAULT;
	if (!params.order)
		params.order = GLN_HPT_ORDER_DEFAULT;
	if (params.nr_lpids < LPIDS_MIN || !hpt_order_is_valid(params.order))
		return -EINVAL;

	host = gln_alloc(&allocator, sizeof(*host));
	if (!host)
		return -ENOMEM;
	host->allocator = allocator;
	err = host_init(host, &params);
	if (err)
		gln_free(&allocator, host, sizeof(*host));
	else
		*out = host;
	return err;
}

void gln_hpt_host_destroy(struct gln_hpt_host *host)
{
	const struct gln_allocator allocator = host->allocator;

	glni_hpt_pool_fini(&host->pool);
	gln_plat_mutex_fini(&host->lock);
	gln_free(&allocator, host->taken, taken_bytes(host->nr_lpids));
	gln_free(&allocator, host, sizeof(*host));
}
