/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * logging.c - switch logging of a slot on and off while vCPUs run.
 *
 * On: publish an empty log, wait a grace period, then have the backend protect.
 * A marker that saw no log made its entry writable before the wait ended, so
 * the protection catches it; one that comes later finds the log. The other way
 * round a page could be opened between protection and publication, unmarked.
 */
#include <glean/log.h>

#include "core/vm/vm.h"

int gln_log_set_mode(struct gln_vm *vm, uint32_t mode)
{
	const uint32_t known = GLN_LOG_MANUAL_PROTECT | GLN_LOG_INITIALLY_SET;

	if (mode & ~known)
		return -EINVAL;
	if ((mode & GLN_LOG_INITIALLY_SET) && !(mode & GLN_LOG_MANUAL_PROTECT))
		return -EINVAL;

	/* Relaxed: a setting; whoever must see it is told by the caller. */
	gln_store_relaxed(&vm->log_mode, mode);
	return 0;
}

static bool can_log(const struct gln_vm *vm)
{
	return !vm->backend ||
	       (vm->backend->ops->caps & (GLN_CAP_PROTECT | GLN_CAP_COLLECT));
}

/* Withdraw the log; on return nobody marks in it. Returns the marks in it. */
static uint64_t withdraw_log(struct gln_vm *vm, struct slot *slot)
{
	struct log *const log = slot->log;
	uint64_t nr_marks;

	slot_publish_marks(slot, NULL);
	glni_synchronize();
	slot->log = NULL;
	nr_marks = glni_bitmap_count(log->live);
	dirty_count(&vm->stats.log_bytes, 0 - log->bytes);
	glni_log_destroy(&vm->allocator, log);

	return nr_marks;
}

int glni_vm_start_backend(struct gln_vm *vm, struct slot *slot, uint32_t flags)
{
	if (!vm->backend)
		return 0;
	return vm->backend->ops->log_start(vm->backend, &slot->face, flags);
}

static int start_logging(struct gln_vm *vm, struct slot *slot, bool all_marked)
{
	const uint64_t nr_pages = slot->face.nr_pages;
	struct log *log;
	int err = glni_log_create(&vm->allocator, nr_pages, vm->fence, &log);

	if (err)
		return err;
	log->is_all_marked = all_marked;
	if (all_marked)
		glni_bitmap_mark_range(log->live, 0, nr_pages);
	dirty_count(&vm->stats.log_bytes, log->bytes);
	slot->log = log;
	slot_publish_marks(slot, log->live);
	if (!GLN_BREAK_NO_GRACE)
		glni_synchronize();

	err = glni_vm_start_backend(vm, slot,
				    all_marked ? GLN_LOG_START_ALL_MARKED : 0);
	if (err)
		withdraw_log(vm, slot);
	return err;
}

/* A harvest that finds a slot not logged lets go of it at once: wait for it. */
static int claim_unlogged(struct gln_vm *vm, uint32_t id, struct slot **slot)
{
	int err;

	do {
		err = glni_vm_claim(vm, id, CLAIM_ANY, slot);
		if (err != -EBUSY)
			return err;
		glni_read_lock();
		*slot = glni_slot_by_id(&vm->slots, id);
		if (slot_marks(*slot))
			err = -EEXIST;
		glni_read_unlock();
	} while (err == -EBUSY);

	return err;
}

int gln_log_enable(struct gln_vm *vm, uint32_t id, uint32_t flags)
{
	struct slot *slot;
	bool all_marked;
	int err;

	if (flags & ~GLN_LOG_ENABLE_ALL_MARKED)
		return -EINVAL;

	gln_plat_mutex_lock(&vm->lock);
	all_marked = (flags & GLN_LOG_ENABLE_ALL_MARKED) ||
		     (gln_load_relaxed(&vm->log_mode) & GLN_LOG_INITIALLY_SET);
	err = claim_unlogged(vm, id, &slot);
	if (err)
		goto out;

	if (slot->log)
		err = -EEXIST;
	else if (!can_log(vm))
		err = -ENOTSUP;
	else if (all_marked && vm_has_rings_only(vm))
		err = -EINVAL;
	else
		err = start_logging(vm, slot, all_marked);
	slot_release(slot);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}

void glni_vm_drop_log(struct gln_vm *vm, struct slot *slot)
{
	dirty_count(&vm->stats.dropped_pages, withdraw_log(vm, slot));
}

void glni_vm_stop_logging(struct gln_vm *vm, struct slot *slot)
{
	if (vm->backend && vm->backend->ops->log_stop)
		vm->backend->ops->log_stop(vm->backend, &slot->face);
	glni_vm_drop_log(vm, slot);
}

int gln_log_disable(struct gln_vm *vm, uint32_t id)
{
	struct slot *slot;
	int err;

	gln_plat_mutex_lock(&vm->lock);
	err = glni_vm_claim(vm, id, CLAIM_ANY, &slot);
	if (err)
		goto out;

	if (slot->log)
		glni_vm_stop_logging(vm, slot);
	else
		err = -ENOENT;
	slot_release(slot);
out:
	gln_plat_mutex_unlock(&vm->lock);
	return err;
}
