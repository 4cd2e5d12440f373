/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_harvest.h - harvest all logged slots of a VM as one transaction.
 *
 * It does for the VM what harvest.h does for a slot, but for G7: there is no
 * budget and no cursor. It waits once where harvests slot by slot wait once
 * each: one grace period, one fence, and one flush where the backend has one
 *for the whole guest.
 *
 * Given workers, it is cut into parts, which several threads take, protect,
 * hand out, commit or put back side by side. A part is 2097152 pages (8 GiB of
 * 4 KiB) of one slot. Without workers, with one, or with little to do, the
 * caller does all and nothing is cut.
 *
 *	struct gln_vm_harvest_params params = {
 *		.struct_bytes = sizeof(params),
 *		.workers = workers,
 *	};
 *	struct gln_vm_harvest *harvest;
 *
 *	err = gln_vm_harvest_begin(vm, &params, &harvest);
 *	if (!err)
 *		gln_vm_harvest_each(harvest, copy_pages, &copy);
 *	...
 *	gln_vm_harvest_commit(harvest);
 */
#ifndef GLN_VM_HARVEST_H
#define GLN_VM_HARVEST_H

#include <glean/harvest.h>
#include <glean/workers.h>

GLN_BEGIN_DECLS

struct gln_vm_harvest;

/**
 * struct gln_vm_harvest_params - how.
 *
 * @struct_bytes: sizeof(struct gln_vm_harvest_params).
 * @strategy:	as in harvest.h, chosen for each slot by itself, by what
 *		harvests of that slot alone have cost.
 * @workers:	who helps, until the harvest ends; NULL is nobody.
 */
struct gln_vm_harvest_params {
	size_t struct_bytes;
	enum gln_harvest_strategy strategy;
	struct gln_workers *workers;
};

/**
 * struct gln_vm_harvest_report - what begin did, for all slots together.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @nr_slots:	slots that are in it.
 * @nr_pages:	pages taken, and merged into it (merge.h).
 * @nr_runs:	ranges handed to the backend: runs, or several of them where
 *		prices say so (backend.h); cut between parts.
 * @take_ns, @protect_ns, @flush_ns: as in harvest.h; by the clock, however
 *		many threads worked.
 * @protect_calls: calls of the backend, each with a vector of runs.
 * @flush_calls: likewise.
 * @is_shared:	slots were cut into parts, and workers called on, so far.
 */
struct gln_vm_harvest_report {
	size_t struct_bytes;
	uint64_t nr_slots;
	uint64_t nr_pages;
	uint64_t nr_runs;
	uint64_t take_ns;
	uint64_t protect_ns;
	uint64_t flush_ns;
	uint64_t protect_calls;
	uint64_t flush_calls;
	bool is_shared;
};

/**
 * gln_vm_harvest_begin() - take the marks of all logged slots, protect, flush.
 * @harvest:	the transaction; lives until its commit or abort.
 *
 * Context: as gln_harvest_begin(), and it waits for who changes a slot. The
 * backend's protect may come from any of the workers, for several slots at
 * once; see GLN_CAP_PARTS for protect of one slot. Its collect comes from the
 * caller. Return: 0; -EINVAL for a wrong @struct_bytes or strategy, or workers
 * without
 * @run; -ENOENT if no slot is logged; -EBUSY if one of them is being harvested
 * or changed; -ENXIO if the VM logs in rings only and nothing is marked
 * elsewhere; or what the backend said. On failure every mark is back, no slot
 * is held and @harvest untouched.
 */
GLN_PUBLIC int gln_vm_harvest_begin(struct gln_vm *vm,
				    const struct gln_vm_harvest_params *params,
				    struct gln_vm_harvest **harvest);

/**
 * gln_vm_harvest_report() - what begin did, in figures.
 *
 * May have to read snapshots to count pages: see gln_harvest_report().
 *
 * Context: the harvester.
 * Return: 0; -EINVAL if @report->struct_bytes is smaller than the member itself
 * or larger than this library knows.
 */
GLN_PUBLIC int gln_vm_harvest_report(struct gln_vm_harvest *harvest,
				     struct gln_vm_harvest_report *report);

/**
 * gln_vm_harvest_slot() - the part of the transaction that is about one slot:
 * to walk it, and to commit or abort ranges of it (harvest.h).
 *
 * Not to commit or abort it as a whole: that ends here with all the others.
 *
 * Context: the harvester.
 * Return: NULL if slot @id is not in it: it was not logged, or had nothing but
 * a ring, or is no more.
 */
GLN_PUBLIC struct gln_harvest *gln_vm_harvest_slot(
	struct gln_vm_harvest *harvest, uint32_t id);

/**
 * gln_vm_harvest_each() - hand out all runs that are not settled yet.
 * @visit:	called with up to 64 runs, frames of the guest, and @ctx.
 *
 * Workers call @visit side by side, each page in one call. The calls of a part
 * come in order, from one thread. Without workers all calls ascend. A run is
 * maximal, but for cuts between parts, and where it was settled in part.
 *
 * Context: the harvester. @visit settles nothing and does not call this; it may
 * do so once this has returned.
 */
GLN_PUBLIC void gln_vm_harvest_each(struct gln_vm_harvest *harvest,
				    void (*visit)(void *ctx,
						  const struct gln_range *runs,
						  size_t nr_runs),
				    void *ctx);

/**
 * gln_vm_harvest_commit() - all that is left was dealt with; end the harvest.
 * gln_vm_harvest_abort() - all that is left was not; mark it again and end.
 *
 * Context: the harvester. @harvest is gone afterwards.
 * Return: pages settled.
 */
GLN_PUBLIC uint64_t gln_vm_harvest_commit(struct gln_vm_harvest *harvest);
GLN_PUBLIC uint64_t gln_vm_harvest_abort(struct gln_vm_harvest *harvest);

GLN_END_DECLS

#endif
