/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt.c - the hashed page table of a VM: who may be in it, and when.
 *
 * The gate is open while there is a table with all that belongs to it. Who
 * changes the table holds the VM's lock and closes the gate. Between two such
 * changes it stays closed only when something is to be made before a vCPU
 * enters; so whoever finds it closed, with the lock, knows that those who are
 * counted were refused and are on their way out.
 *
 * A vCPU never takes the lock while it is counted, but for a hypercall: then a
 * changer that waits for it would have kicked it, and waits no longer for the
 * guest than until it is outside.
 */
#include <glean/hpt.h>

#include "core/hpt/ops.h"
#include "core/vm/vm.h"

/* Let vCPUs in if nothing is left to be made. The VM's lock is held. */
static void open_gate(struct gln_vm *vm)
{
	if (!vm_hpt(vm)->needs_set_up(vm->backend))
		gate_open(&vm->gate);
}

/* Keep vCPUs out. False, and nothing changed, if one is inside. */
static bool close_gate(struct gln_vm *vm)
{
	if (!gate_is_ready(&vm->gate) || !gate_close(&vm->gate))
		return true;
	gate_open(&vm->gate);
	return false;
}

/* The same, and whoever is inside waits, outside of the guest. */
static bool close_gate_by_kick(struct gln_vm *vm)
{
	if (!gate_is_ready(&vm->gate) || !gate_close(&vm->gate) ||
	    vm_hpt(vm)->kick(vm->backend))
		return true;
	gate_open(&vm->gate);
	return false;
}

/*
 * The order comes from, and goes to, memory that may not be there: both are
 * tried before anything is changed. A table has the order that was asked for,
 * so what was written then is still right in the end (H-53).
 */
static int copy_order(uint32_t *theirs, uint32_t *order)
{
	int err = gln_plat_copy_in(order, theirs, sizeof(*order));

	if (!err)
		err = gln_plat_copy_out(theirs, order, sizeof(*order));
	if (err)
		return err;
	return *order < GLN_HPT_ORDER_MIN || *order > GLN_HPT_ORDER_MAX
		       ? -EINVAL
		       : 0;
}

int gln_hpt_allocate(struct gln_vm *vm, uint32_t *theirs)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vm);
	uint32_t order;
	int err;

	if (!hpt)
		return -ENOTTY;
	err = copy_order(theirs, &order);
	if (err)
		return err;

	gln_plat_mutex_lock(&vm->lock);
	err = -EBUSY;
	if (close_gate(vm)) {
		err = hpt->allocate(vm->backend, order);
		open_gate(vm);
	}
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

/* Wait for who has closed the gate, and make what he left to be made. */
static int make_ready(struct gln_vm *vm)
{
	int err = 0;

	gln_plat_mutex_lock(&vm->lock);
	if (!gate_is_ready(&vm->gate)) {
		err = vm_hpt(vm)->set_up(vm->backend);
		if (!err)
			gate_open(&vm->gate);
	}
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

int gln_vcpu_enter(struct gln_vcpu *vcpu)
{
	struct gln_vm *const vm = vcpu->vm;
	int err;

	if (!vm_hpt(vm))
		return 0;
	gln_assert(!vcpu->is_inside);
	while (!gate_enter(&vm->gate)) {
		gate_leave(&vm->gate);
		err = make_ready(vm);
		if (err)
			return err;
	}
	vcpu->is_inside = true;
	return 0;
}

bool gln_vcpu_may_run(struct gln_vcpu *vcpu)
{
	return !vm_hpt(vcpu->vm) ||
	       (vcpu->is_inside && gate_is_ready(&vcpu->vm->gate));
}

void gln_vcpu_leave(struct gln_vcpu *vcpu)
{
	if (!vcpu->is_inside)
		return;
	vcpu->is_inside = false;
	gate_leave(&vcpu->vm->gate);
}

/* What a preparation says to a library's caller, and to the guest. */
static int64_t code_of_prepare(int result)
{
	if (result > 0)
		return GLN_H_LONG_BUSY_ORDER_100_MSEC;
	switch (result) {
	case 0:
		return GLN_H_SUCCESS;
	case -EINVAL:
		return GLN_H_PARAMETER;
	case -ENOMEM:
		return GLN_H_NO_MEM;
	case -ERANGE:
		return GLN_H_RESOURCE;
	default:
		return GLN_H_HARDWARE;
	}
}

static int64_t code_of_commit(int result)
{
	switch (result) {
	case 0:
		return GLN_H_SUCCESS;
	case -EINVAL:
		return GLN_H_PARAMETER;
	case -ENXIO:
		return GLN_H_CLOSED;
	case -EBUSY:
		return GLN_H_BUSY;
	case -ENOSPC:
		return GLN_H_PTEG_FULL;
	case -ENOMEM:
		return GLN_H_NO_MEM;
	case -ERANGE:
		return GLN_H_RESOURCE;
	default:
		return GLN_H_HARDWARE;
	}
}

/* Arguments of either: no flags are known, and a size is 18 to 46 or 0. */
static bool resize_args_are_valid(const uint64_t *args)
{
	return !args[0] && args[1] <= GLN_HPT_ORDER_MAX;
}

int gln_hpt_resize_prepare(struct gln_vm *vm, unsigned int order,
			   uint32_t flags)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vm);
	int result;

	if (!hpt)
		return -ENOTTY;
	gln_plat_mutex_lock(&vm->lock);
	result = hpt->resize_prepare(vm->backend, order, flags);
	if (result != -EINVAL)
		vm->resize_flags = flags;
	gln_plat_mutex_unlock(&vm->lock);
	return result;
}

/* The guest says how large, and nothing of how. */
static int64_t hcall_prepare(struct gln_vm *vm, const uint64_t *args)
{
	int result;

	if (!resize_args_are_valid(args))
		return GLN_H_PARAMETER;
	gln_plat_mutex_lock(&vm->lock);
	result = vm_hpt(vm)->resize_prepare(vm->backend, (unsigned int)args[1],
					    vm->resize_flags |
						    GLN_HPT_RESIZE_BY_GUEST);
	gln_plat_mutex_unlock(&vm->lock);
	return code_of_prepare(result);
}

int gln_hpt_resize_work(struct gln_vm *vm, uint64_t max_groups)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vm);

	return hpt ? hpt->resize_work(vm->backend, max_groups) : -ENOTTY;
}

/* The VM's lock is held. */
static int commit(struct gln_vm *vm, unsigned int order)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vm);
	const uint64_t start_ns = gln_plat_now_ns();
	int err;

	if (!close_gate_by_kick(vm)) {
		/* Used up whatever comes. */
		hpt->resize_prepare(vm->backend, 0, 0);
		return -EBUSY;
	}
	err = hpt->resize_commit(vm->backend, order);
	open_gate(vm);
	vm->resize_pause_ns =
		gln_max(vm->resize_pause_ns, gln_plat_now_ns() - start_ns);
	return err;
}

int gln_hpt_resize_commit(struct gln_vm *vm, unsigned int order)
{
	int err;

	if (!vm_hpt(vm))
		return -ENOTTY;
	gln_plat_mutex_lock(&vm->lock);
	err = commit(vm, order);
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

/*
 * The vCPU that asks would wait for itself, so it leaves meanwhile. If it
 * cannot enter again, gln_vcpu_may_run() says so, and the next enter says why.
 */
static int64_t hcall_commit(struct gln_vcpu *vcpu, const uint64_t *args)
{
	int err;

	if (!resize_args_are_valid(args))
		return GLN_H_PARAMETER;
	gln_vcpu_leave(vcpu);
	err = gln_hpt_resize_commit(vcpu->vm, (unsigned int)args[1]);
	if (gln_vcpu_enter(vcpu))
		return GLN_H_HARDWARE;
	return code_of_commit(err);
}

/* The table is being changed: wait until it has been. */
static void wait_for_changer(struct gln_vm *vm)
{
	gln_plat_mutex_lock(&vm->lock);
	gln_plat_mutex_unlock(&vm->lock);
}

static int64_t hcall_once(struct gln_vcpu *vcpu, uint64_t nr,
			  const uint64_t *args, uint64_t *rets)
{
	struct gln_backend *const backend = vcpu->vm->backend;
	int64_t code;

	glni_read_lock();
	code = backend->ops->hpt->hcall(backend, &vcpu->face, nr, args, rets);
	glni_read_unlock();
	return code;
}

int64_t gln_hcall(struct gln_vcpu *vcpu, uint64_t nr, const uint64_t *args,
		  uint64_t *rets)
{
	int64_t code;

	if (!vm_hpt(vcpu->vm))
		return GLN_H_FUNCTION;
	gln_assert(vcpu->is_inside);
	if (nr == GLN_H_RESIZE_HPT_PREPARE)
		return hcall_prepare(vcpu->vm, args);
	if (nr == GLN_H_RESIZE_HPT_COMMIT)
		return hcall_commit(vcpu, args);

	while ((code = hcall_once(vcpu, nr, args, rets)) == HPT_H_TOO_HARD)
		wait_for_changer(vcpu->vm);
	return code;
}

static bool fault_is_valid(const struct gln_hpt_fault *fault)
{
	const uint32_t access = fault->access;

	return !(fault->flags & ~GLN_HPT_PROBLEM) &&
	       (access == GLN_ACCESS_READ || access == GLN_ACCESS_WRITE ||
		access == GLN_ACCESS_EXEC);
}

int gln_hpt_fault(struct gln_vcpu *vcpu, struct gln_hpt_fault *fault)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vcpu->vm);
	int result;

	if (!hpt)
		return -ENOTTY;
	if (!fault_is_valid(fault))
		return -EINVAL;

	glni_read_lock();
	result = hpt->fault(vcpu->vm->backend, &vcpu->face, fault);
	glni_read_unlock();

	if (result >= 0 && result <= GLN_FAULT_RETRY)
		vcpu_count(vcpu, VCPU_FAULTS + (enum vcpu_count)result);
	return result;
}

uint64_t gln_hpt_mmio_generation(struct gln_vm *vm)
{
	const struct gln_backend_hpt_ops *const hpt = vm_hpt(vm);

	if (!hpt)
		return 0;
	/* Relaxed: what it tells of was there before it. */
	return hpt->mmio_generation(vm->backend) +
	       gln_load_relaxed(&vm->slots_generation);
}

/*
 * A stream, as its reader has it: the backend's, and the VM that the calls do
 * not name. Outside of this file it is a struct gln_hpt_stream.
 */
struct vm_stream {
	struct gln_vm *vm;
	struct gln_hpt_stream *stream;
};

static struct vm_stream *vm_stream_of(struct gln_hpt_stream *theirs)
{
	return (struct vm_stream *)(void *)theirs;
}

/* The VM's lock is held. */
static int open_stream(struct gln_vm *vm,
		       const struct gln_hpt_stream_params *params,
		       struct gln_hpt_stream **theirs)
{
	struct vm_stream *const own = gln_alloc(&vm->allocator, sizeof(*own));
	int err;

	if (!own)
		return -ENOMEM;
	own->vm = vm;
	err = vm_hpt(vm)->stream_open(vm->backend, params, &own->stream);
	if (err)
		gln_free(&vm->allocator, own, sizeof(*own));
	else
		*theirs = (struct gln_hpt_stream *)(void *)own;
	return err;
}

int gln_hpt_stream_open(struct gln_vm *vm,
			const struct gln_hpt_stream_params *theirs,
			struct gln_hpt_stream **stream)
{
	struct gln_hpt_stream_params params;
	int err;

	if (!vm_hpt(vm))
		return -ENOTTY;
	if (!params_copy(&params, sizeof(params), theirs))
		return -EINVAL;
	gln_plat_mutex_lock(&vm->lock);
	err = open_stream(vm, &params, stream);
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

void gln_hpt_stream_close(struct gln_hpt_stream *stream)
{
	struct vm_stream *const own = vm_stream_of(stream);
	struct gln_vm *const vm = own->vm;

	gln_plat_mutex_lock(&vm->lock);
	vm_hpt(vm)->stream_close(vm->backend, own->stream);
	gln_free(&vm->allocator, own, sizeof(*own));
	gln_plat_mutex_unlock(&vm->lock);
}

/* -EAGAIN is never a reader's: the table is being changed. */
int64_t gln_hpt_stream_read(struct gln_hpt_stream *stream, void *buffer,
			    size_t bytes)
{
	struct vm_stream *const own = vm_stream_of(stream);
	struct gln_backend *const backend = own->vm->backend;
	int64_t result;

	/* It is a section, or several, of its own. */
	while ((result = backend->ops->hpt->stream_read(
			backend, own->stream, buffer, bytes)) == -EAGAIN)
		wait_for_changer(own->vm);
	return result;
}

int64_t gln_hpt_stream_write(struct gln_hpt_stream *stream, const void *buffer,
			     size_t bytes)
{
	struct vm_stream *const own = vm_stream_of(stream);
	struct gln_vm *const vm = own->vm;
	int64_t result = -EBUSY;

	gln_plat_mutex_lock(&vm->lock);
	if (close_gate(vm)) {
		result = vm_hpt(vm)->stream_write(vm->backend, own->stream,
						  buffer, bytes);
		open_gate(vm);
	}
	gln_plat_mutex_unlock(&vm->lock);
	return result;
}

int gln_hpt_stats(struct gln_vm *vm, struct gln_hpt_stats *theirs)
{
	struct gln_hpt_stats stats = {0};

	if (!vm_hpt(vm))
		return -ENOTTY;
	gln_plat_mutex_lock(&vm->lock);
	vm_hpt(vm)->stats(vm->backend, &stats);
	stats.resize_pause_ns = vm->resize_pause_ns;
	gln_plat_mutex_unlock(&vm->lock);
	return vm_give_report(theirs, &stats, sizeof(stats)) ? 0 : -EINVAL;
}

int gln_hpt_check(struct gln_vm *vm, const char **why)
{
	const char *none;
	int err = -EBUSY;

	if (!vm_hpt(vm))
		return -ENOTTY;
	gln_plat_mutex_lock(&vm->lock);
	if (close_gate(vm)) {
		err = vm_hpt(vm)->check(vm->backend, why ? why : &none);
		open_gate(vm);
	}
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}
