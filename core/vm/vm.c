/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm.c - make and destroy a VM; register its vCPUs.
 */
#include <glean/hpt.h>

#include "core/vm/vm.h"

#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) \
	TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *gln_version(void)
{
	return VERSION_TEXT(GLN_VERSION_MAJOR, GLN_VERSION_MINOR,
			    GLN_VERSION_PATCH);
}

/* The guest fills a hash table itself: then there is another kind of fault. */
static bool answers_faults(const struct gln_backend_ops *ops)
{
	const struct gln_backend_hpt_ops *const hpt = ops->hpt;

	if (!hpt)
		return ops->topup && ops->fault;
	return hpt->needs_set_up && hpt->set_up && hpt->allocate &&
	       hpt->hcall && hpt->fault && hpt->mmio_generation &&
	       hpt->resize_prepare && hpt->resize_work && hpt->resize_commit &&
	       hpt->kick && hpt->stream_open && hpt->stream_close &&
	       hpt->stream_read && hpt->stream_write && hpt->stats &&
	       hpt->check;
}

static bool backend_is_whole(const struct gln_backend *backend)
{
	const struct gln_backend_ops *ops;

	if (!backend)
		return true;
	ops = backend->ops;
	if (!ops)
		return false;
	if (ops->hpt && !(ops->caps & GLN_CAP_FAULT))
		return false;
	if ((ops->caps & GLN_CAP_FAULT) &&
	    !(ops->vcpu_attach && ops->vcpu_detach && answers_faults(ops) &&
	      ops->unmap && ops->age))
		return false;
	return (!(ops->caps & GLN_CAP_PROTECT) || ops->protect) &&
	       (!(ops->caps & GLN_CAP_COLLECT) || ops->collect) &&
	       (!(ops->caps & GLN_CAP_FLUSH) || ops->flush) &&
	       (!(ops->caps & (GLN_CAP_PROTECT | GLN_CAP_COLLECT)) ||
		ops->log_start);
}

static bool flags_are_valid(uint32_t flags)
{
	const uint32_t known = GLN_VM_FULL_FENCE | GLN_VM_QUICK_MARKS;

	return !(flags & ~known) && flags != known;
}

static bool params_are_valid(const struct gln_vm_params *params)
{
	const struct gln_allocator *const allocator = params->allocator;

	return params->page_shift >= GLN_PAGE_SHIFT_MIN &&
	       params->page_shift <= GLN_PAGE_SHIFT_MAX &&
	       flags_are_valid(params->flags) &&
	       backend_is_whole(params->backend) &&
	       (!allocator || (allocator->alloc && allocator->free));
}

static struct gln_backend_slot *slot_at(const struct gln_backend *backend,
					gln_gfn gfn, bool *is_closed)
{
	const struct gln_vm *const vm = backend->owner;
	struct slot *const slot = slot_find(&vm->slots, gfn);

	if (!slot)
		return NULL;
	/* Relaxed: whoever keeps us out waits for a grace period. */
	*is_closed = gln_load_relaxed(&slot->is_closed);
	return &slot->face;
}

/* From now on the backend can ask for slots. */
static void own_backend(struct gln_vm *vm, struct gln_backend *backend)
{
	vm->backend = backend;
	if (!backend)
		return;
	backend->slot_at = slot_at;
	backend->owner = vm;
}

static enum fence_form choose_fence(uint32_t flags)
{
	const enum fence_form form = glni_fence_form();

	if (flags & GLN_VM_FULL_FENCE)
		return FENCE_BOTH;
	return flags & GLN_VM_QUICK_MARKS && fence_is_heavy(form) ? FENCE_GRACE
								  : form;
}

int gln_vm_create(const struct gln_vm_params *theirs, struct gln_vm **out)
{
	struct gln_vm_params params;
	struct gln_allocator allocator;
	struct gln_vm *vm;
	int err;

	if (!params_copy(&params, sizeof(params), theirs))
		return -EINVAL;
	if (!params.page_shift)
		params.page_shift = GLN_PAGE_SHIFT_MIN;
	if (!params_are_valid(&params))
		return -EINVAL;

	allocator = gln_allocator_of(params.allocator);
	vm = gln_alloc(&allocator, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	err = gln_plat_mutex_init(&vm->lock);
	if (err) {
		gln_free(&allocator, vm, sizeof(*vm));
		return err;
	}

	vm->allocator = allocator;
	own_backend(vm, params.backend);
	vm->page_shift = params.page_shift;
	vm->fence = choose_fence(params.flags);
	*out = vm;
	return 0;
}

static bool is_in_use(struct gln_vm *vm)
{
	const struct slot_array *const array = slot_array_get(&vm->slots);

	if (vm->vcpus)
		return true;
	/* Relaxed: the caller says that nobody else is here. */
	for (size_t i = 0; array && i < array->nr_slots; i++)
		if (gln_load_relaxed(&array->slots[i]->claim))
			return true;

	return false;
}

int gln_vm_destroy(struct gln_vm *vm)
{
	const struct slot_array *array;
	struct gln_allocator allocator;

	if (is_in_use(vm))
		return -EBUSY;

	gln_plat_mutex_lock(&vm->lock);
	while ((array = slot_array_get(&vm->slots)) && array->nr_slots) {
		struct slot *const slot = array->slots[array->nr_slots - 1];

		slot_try_claim(slot);
		glni_vm_remove_slot(vm, slot);
	}
	gln_plat_mutex_unlock(&vm->lock);

	allocator = vm->allocator;
	glni_slot_set_fini(&vm->slots, &allocator);
	gln_plat_mutex_fini(&vm->lock);
	gln_free(&allocator, vm, sizeof(*vm));
	return 0;
}

static struct gln_vcpu **find_vcpu(struct gln_vm *vm, uint32_t id)
{
	struct gln_vcpu **link = &vm->vcpus;

	while (*link && (*link)->face.id != id)
		link = &(*link)->next;

	return link;
}

/* Enter the RCU registry now, so that no mark will have to. */
static void register_reader(void)
{
	glni_read_lock();
	glni_read_unlock();
}

/* A CPU's log says that the vCPU wrote a frame. */
static void mark_from_backend(struct gln_backend_vcpu *face, gln_gfn gfn)
{
	struct gln_vcpu *const vcpu =
		gln_container_of(face, struct gln_vcpu, face);
	struct slot *slot;

	if (GLN_BREAK_LOSE_DIRTY)
		return;
	glni_read_lock();
	slot = slot_find(&vcpu->vm->slots, gfn);
	if (slot)
		glni_vcpu_mark(vcpu, slot, gfn);
	glni_read_unlock();
}

/* What a new vCPU needs besides itself. All of it or nothing. */
static int vcpu_init(struct gln_vm *vm, struct gln_vcpu *vcpu, uint32_t id)
{
	int err = 0;

	vcpu->face.id = id;
	vcpu->face.mark = mark_from_backend;
	vcpu->vm = vm;
	if (vm->ring_entries)
		err = glni_ring_init(&vcpu->ring, &vm->allocator,
				     vm->ring_entries,
				     glni_vm_reserved_entries(vm));
	if (err || !vm_maps_guest(vm))
		return err;

	err = vm->backend->ops->vcpu_attach(vm->backend, &vcpu->face);
	if (err)
		glni_ring_fini(&vcpu->ring, &vm->allocator);
	return err;
}

int gln_vcpu_register(struct gln_vm *vm, uint32_t id, struct gln_vcpu **out)
{
	struct gln_vcpu *vcpu = NULL;
	int err = -EEXIST;

	register_reader();
	gln_plat_mutex_lock(&vm->lock);
	if (*find_vcpu(vm, id))
		goto out;

	err = -ENOMEM;
	vcpu = gln_alloc(&vm->allocator, sizeof(*vcpu));
	if (!vcpu)
		goto out;

	err = vcpu_init(vm, vcpu, id);
	if (err) {
		gln_free(&vm->allocator, vcpu, sizeof(*vcpu));
		goto out;
	}
	vcpu->next = vm->vcpus;
	vm->vcpus = vcpu;
	*out = vcpu;
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

void gln_vcpu_unregister(struct gln_vcpu *vcpu)
{
	struct gln_vm *const vm = vcpu->vm;

	gln_vcpu_leave(vcpu);
	gln_plat_mutex_lock(&vm->lock);
	/* What its CPU has logged still goes to its ring: H-46. */
	if (vm_maps_guest(vm))
		vm->backend->ops->vcpu_detach(vm->backend, &vcpu->face);
	*find_vcpu(vm, vcpu->face.id) = vcpu->next;
	for (unsigned int i = 0; i < NR_VCPU_COUNTS; i++)
		/* Relaxed: nobody uses the vCPU any more. */
		vm->gone[i] += gln_load_relaxed(&vcpu->counts[i]);
	if (vcpu->ring.entries)
		glni_ring_spill(&vcpu->ring, &vm->slots);
	glni_ring_fini(&vcpu->ring, &vm->allocator);
	gln_free(&vm->allocator, vcpu, sizeof(*vcpu));
	gln_plat_mutex_unlock(&vm->lock);
}
