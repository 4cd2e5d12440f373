/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * book3s_hv.c - the hashed page table of a POWER guest over core/hpt: make the
 * backend, and say what it can do.
 *
 * Hardware notes writes in C, and the guest may fill the table without asking
 * whether it may write: so dirty state is collected, and what protection there
 * is, core/hpt does by itself. Nothing is left for a harvest to flush.
 */
#include "backends/book3s_hv/book3s_hv.h"
#include "core/base/errno.h"
#include "core/base/params.h"
#include "core/hpt/ops.h"
#include "core/hpt/resize.h"
#include "core/hpt/stream.h"

static uint64_t mmio_generation(const struct gln_backend *be)
{
	/* Relaxed: what is told by it is told by nothing else. */
	return gln_load_relaxed(&hpt_mmu_of(be)->mmio_generation);
}

static bool kick(struct gln_backend *be)
{
	const struct gln_mmu_host *const host = &hpt_mmu_of(be)->host;

	if (!host->kick)
		return false;
	host->kick(host->ctx);
	return true;
}

static const struct gln_backend_hpt_ops hpt_ops = {
	.needs_set_up = glni_hpt_op_needs_set_up,
	.set_up = glni_hpt_op_set_up,
	.allocate = glni_hpt_op_allocate,
	.hcall = glni_hpt_op_hcall,
	.fault = glni_hpt_op_fault,
	.mmio_generation = mmio_generation,
	.resize_prepare = glni_hpt_op_resize_prepare,
	.resize_work = glni_hpt_op_resize_work,
	.resize_commit = glni_hpt_op_resize_commit,
	.kick = kick,
	.stream_open = glni_hpt_op_stream_open,
	.stream_close = glni_hpt_op_stream_close,
	.stream_read = glni_hpt_op_stream_read,
	.stream_write = glni_hpt_op_stream_write,
	.stats = glni_hpt_op_stats,
	.check = glni_hpt_op_check,
};

static const struct gln_backend_ops ops = {
	.name = "book3s_hv",
	.caps = GLN_CAP_COLLECT | GLN_CAP_FAULT,
	.attach = glni_hpt_op_attach,
	.detach = glni_hpt_op_detach,
	.log_start = glni_hpt_op_log_start,
	.log_stop = glni_hpt_op_log_stop,
	.collect = glni_hpt_op_collect,
	.vcpu_attach = glni_hpt_op_vcpu_attach,
	.vcpu_detach = glni_hpt_op_vcpu_detach,
	.unmap = glni_hpt_op_unmap,
	.age = glni_hpt_op_age,
	.hpt = &hpt_ops,
};

static bool params_are_valid(const struct gln_hpt_params *params)
{
	return params->isa <= GLN_HPT_ISA_3_0 &&
	       !(params->flags & ~GLN_HPT_VRMA) &&
	       hpt_order_is_valid(params->default_order) &&
	       hpt_order_is_valid(params->max_order) && params->tlbie &&
	       params->flush_all;
}

static void mmu_set(struct hpt_mmu *mmu, const struct gln_hpt_params *params)
{
	mmu->backend.ops = &ops;
	mmu->isa = params->isa;
	mmu->flags = params->flags;
	mmu->default_order = params->default_order;
	mmu->max_order = params->max_order;
	if (params->host)
		mmu->host = *params->host;
	mmu->tlbie = params->tlbie;
	mmu->flush_all = params->flush_all;
	mmu->set_table = params->set_table;
	mmu->ctx = params->ctx;
	mmu->hpt_host = params->hpt_host;
	mmu->vrma_due = params->flags & GLN_HPT_VRMA;
}

/* All of it or nothing. */
static int mmu_init(struct hpt_mmu *mmu, const struct gln_hpt_params *params,
		    const struct gln_allocator *allocator)
{
	int err;

	mmu_set(mmu, params);
	err = gln_plat_mutex_init(&mmu->lock);
	if (err)
		return err;
	err = glni_hpt_memory_init(mmu, allocator);
	if (err)
		goto fini_lock;
	mmu->lpid = HPT_ONLY_LPID;
	if (mmu->hpt_host)
		err = glni_hpt_lpid_take(mmu->hpt_host, &mmu->lpid);
	if (!err)
		return 0;

	glni_hpt_memory_fini(mmu);
fini_lock:
	gln_plat_mutex_fini(&mmu->lock);
	return err;
}

int gln_hpt_create(const struct gln_hpt_params *theirs,
		   struct gln_backend **backend)
{
	struct gln_hpt_params params;
	struct gln_allocator allocator;
	struct hpt_mmu *mmu;
	int err;

	if (!params_copy(&params, sizeof(params), theirs) ||
	    !glni_hpt_allocator(params.allocator, &allocator))
		return -EINVAL;
	if (!params.default_order)
		params.default_order = GLN_HPT_ORDER_DEFAULT;
	if (!params.max_order)
		params.max_order = GLN_HPT_ORDER_MAX;
	if (!params_are_valid(&params))
		return -EINVAL;

	mmu = gln_alloc(&allocator, sizeof(*mmu));
	if (!mmu)
		return -ENOMEM;
	err = mmu_init(mmu, &params, &allocator);
	if (err)
		gln_free(&allocator, mmu, sizeof(*mmu));
	else
		*backend = &mmu->backend;
	return err;
}

void gln_hpt_destroy(struct gln_backend *backend)
{
	struct hpt_mmu *const mmu = hpt_mmu_of(backend);
	const struct gln_allocator allocator = mmu->memory.from;

	/* Of a resize nothing is left when its work is done. */
	glni_hpt_op_resize_prepare(backend, 0, 0);
	while (glni_hpt_op_resize_work(backend, UINT64_MAX) > 0)
		;
	glni_hpt_drop_table(mmu);
	if (mmu->hpt_host)
		glni_hpt_lpid_give(mmu->hpt_host, mmu->lpid);
	glni_hpt_memory_fini(mmu);
	gln_plat_mutex_fini(&mmu->lock);
	gln_free(&allocator, mmu, sizeof(*mmu));
}

uint32_t gln_hpt_lpid(const struct gln_backend *backend)
{
	return hpt_mmu_of(backend)->lpid;
}

/* In a section: the table that it tells of may be on its way out. */
uint64_t gln_hpt_table_word(const struct gln_backend *backend)
{
	const struct hpt_mmu *const mmu = hpt_mmu_of(backend);
	uint64_t word;

	glni_read_lock();
	word = hpt_table_word(mmu, hpt_table(mmu));
	glni_read_unlock();
	return word;
}
