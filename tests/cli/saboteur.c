/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * saboteur.c - a library for LD_PRELOAD that comes between the command and
 * libglean and breaks one thing: does the command notice?
 *
 * SABOTAGE names it:
 *   lose	from the second harvest on, marks are thrown away
 *   wild	the first run of a harvest lies past the guest's end
 *   harvest	the second harvest fails
 *   enable	logging cannot be switched on
 *   tracker	no tracker may be used
 *   vcpu	the second vCPU cannot be registered
 *   memory	there is no memory for a VM
 *   answer	every harvest reports a page too much
 *   fault	from the twentieth on, faults of the second stage fail
 *   mmio	from the twentieth on, faults find no memory
 *   ring	a page in a ring lies past the guest's end
 *   reset	a reset of the rings frees an entry too few
 *   clear	the dirty log cannot be cleared
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

static bool asked_for(const char *what)
{
	const char *sabotage = getenv("SABOTAGE");

	return sabotage && !strcmp(sabotage, what);
}

/* The function that would have been called, into a pointer of its type. */
static void find_real(const char *name, void *function)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	memcpy(function, &found, sizeof(found));
}

GLN_PUBLIC int gln_harvest_begin(struct gln_vm *vm, uint32_t id,
				 const struct gln_harvest_params *params,
				 struct gln_harvest **harvest)
{
	static int nr;
	int (*begin)(struct gln_vm *, uint32_t,
		     const struct gln_harvest_params *, struct gln_harvest **);
	uint64_t (*commit)(struct gln_harvest *);

	find_real("gln_harvest_begin", &begin);
	find_real("gln_harvest_commit", &commit);
	nr++;
	if (nr == 2 && asked_for("harvest"))
		return -EIO;
	if (nr >= 2 && asked_for("lose") && !begin(vm, id, params, harvest))
		commit(*harvest);
	return begin(vm, id, params, harvest);
}

GLN_PUBLIC size_t gln_harvest_next(struct gln_harvest *harvest,
				   struct gln_range *ranges, size_t max_ranges)
{
	size_t (*next)(struct gln_harvest *, struct gln_range *, size_t);

	find_real("gln_harvest_next", &next);

	const size_t nr = next(harvest, ranges, max_ranges);

	if (nr && asked_for("wild"))
		ranges[0].first += UINT64_C(1) << 40;
	return nr;
}

GLN_PUBLIC uint64_t gln_harvest_commit(struct gln_harvest *harvest)
{
	uint64_t (*commit)(struct gln_harvest *);

	find_real("gln_harvest_commit", &commit);
	return commit(harvest) + asked_for("answer");
}

GLN_PUBLIC int gln_harvest_report(struct gln_harvest *harvest,
				  struct gln_harvest_report *report)
{
	int (*real)(struct gln_harvest *, struct gln_harvest_report *);

	find_real("gln_harvest_report", &real);

	const int err = real(harvest, report);

	if (asked_for("answer"))
		report->nr_pages++;
	return err;
}

/* Faults that vCPUs had so far, this one included. */
static unsigned int count_fault(void)
{
	static atomic_uint nr;

	return atomic_fetch_add(&nr, 1) + 1;
}

GLN_PUBLIC int gln_vcpu_fault(struct gln_vcpu *vcpu, gln_gfn gfn,
			      uint32_t access)
{
	int (*fault)(struct gln_vcpu *, gln_gfn, uint32_t);

	find_real("gln_vcpu_fault", &fault);
	if (asked_for("fault") && count_fault() >= 20)
		return -EFAULT;
	if (asked_for("mmio") && count_fault() >= 20)
		return GLN_FAULT_MMIO;
	return fault(vcpu, gfn, access);
}

GLN_PUBLIC bool gln_ring_fetch(struct gln_ring_cursor *cursor, uint32_t *slot,
			       uint64_t *offset)
{
	bool (*fetch)(struct gln_ring_cursor *, uint32_t *, uint64_t *);

	find_real("gln_ring_fetch", &fetch);
	if (!fetch(cursor, slot, offset))
		return false;
	if (asked_for("ring"))
		*offset = UINT64_MAX;
	return true;
}

GLN_PUBLIC int gln_ring_reset(struct gln_vm *vm)
{
	int (*reset)(struct gln_vm *);

	find_real("gln_ring_reset", &reset);
	return reset(vm) - asked_for("reset");
}

GLN_PUBLIC int gln_clear_dirty_log(struct gln_vm *vm,
				   const struct gln_clear_log *clear)
{
	int (*real)(struct gln_vm *, const struct gln_clear_log *);

	find_real("gln_clear_dirty_log", &real);
	return asked_for("clear") ? -EIO : real(vm, clear);
}

GLN_PUBLIC int gln_log_enable(struct gln_vm *vm, uint32_t id, uint32_t flags)
{
	int (*enable)(struct gln_vm *, uint32_t, uint32_t);

	find_real("gln_log_enable", &enable);
	return asked_for("enable") ? -ENOTSUP : enable(vm, id, flags);
}

GLN_PUBLIC int gln_process_create(enum gln_tracker tracker, char *reason,
				  struct gln_backend **backend)
{
	int (*create)(enum gln_tracker, char *, struct gln_backend **);

	find_real("gln_process_create", &create);
	if (!asked_for("tracker"))
		return create(tracker, reason, backend);
	snprintf(reason, GLN_REASON_BYTES, "sabotaged");
	return -EPERM;
}

GLN_PUBLIC int gln_vcpu_register(struct gln_vm *vm, uint32_t id,
				 struct gln_vcpu **vcpu)
{
	int (*enter)(struct gln_vm *, uint32_t, struct gln_vcpu **);

	find_real("gln_vcpu_register", &enter);
	return id == 1 && asked_for("vcpu") ? -ENOMEM : enter(vm, id, vcpu);
}

GLN_PUBLIC int gln_vm_create(const struct gln_vm_params *params,
			     struct gln_vm **vm)
{
	int (*create)(const struct gln_vm_params *, struct gln_vm **);

	find_real("gln_vm_create", &create);
	return asked_for("memory") ? -ENOMEM : create(params, vm);
}
