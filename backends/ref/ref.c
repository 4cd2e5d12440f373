/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ref.c - the oracle: one mutex, one byte a page.
 *
 * Everything happens under the mutex, so no order of steps inside a call can
 * matter; a store still makes the page writable first and marks it second, for
 * it is also the shortest example of a backend (G1).
 *
 * Nothing of the core is used here. What both get wrong in the same way, no
 * test could see.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <glean/backend.h>
#include <glean/ref.h>

/* What is known of a slot: a byte a page in both arrays, 0 or 1. */
struct ref_slot {
	struct ref_slot *next;
	struct gln_backend_slot *slot;
	uint8_t *writable;
	uint8_t *written; /* since the last gln_ref_take_written() */
};

struct ref {
	struct gln_backend backend;
	pthread_mutex_t lock;
	struct ref_slot *slots;
};

static struct ref *ref_of(struct gln_backend *backend)
{
	return (struct ref *)(void *)backend;
}

static struct ref_slot *private_part(const struct gln_backend_slot *slot)
{
	return slot->priv;
}

static struct ref_slot *find_by_id(const struct ref *ref, uint32_t id)
{
	struct ref_slot *found = ref->slots;

	while (found && found->slot->id != id)
		found = found->next;

	return found;
}

static bool holds(const struct gln_backend_slot *slot, uint64_t gpa)
{
	const gln_gfn gfn = gpa >> slot->page_shift;

	return slot->hva && gfn >= slot->base &&
	       gfn - slot->base < slot->nr_pages;
}

static struct ref_slot *find_by_gpa(const struct ref *ref, uint64_t gpa)
{
	struct ref_slot *found = ref->slots;

	while (found && !holds(found->slot, gpa))
		found = found->next;

	return found;
}

static void set_writable(struct ref_slot *own, struct gln_range range,
			 uint8_t writable)
{
	memset(own->writable + (range.first - own->slot->base), writable,
	       (size_t)range.count);
}

static void set_all_writable(struct ref_slot *own, uint8_t writable)
{
	const struct gln_range all = {
		.first = own->slot->base,
		.count = own->slot->nr_pages,
	};

	set_writable(own, all, writable);
}

/* Operations. */

static void free_ref_slot(struct ref_slot *own)
{
	free(own->writable);
	free(own->written);
	free(own);
}

static struct ref_slot *alloc_ref_slot(struct gln_backend_slot *slot)
{
	struct ref_slot *own = calloc(1, sizeof(*own));

	if (!own)
		return NULL;

	own->slot = slot;
	own->writable = malloc((size_t)slot->nr_pages);
	own->written = calloc((size_t)slot->nr_pages, 1);
	if (own->writable && own->written)
		return own;

	free_ref_slot(own);
	return NULL;
}

static int attach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct ref *ref = ref_of(backend);
	struct ref_slot *own = alloc_ref_slot(slot);

	if (!own)
		return -ENOMEM;

	set_all_writable(own, 1);
	slot->priv = own;
	pthread_mutex_lock(&ref->lock);
	own->next = ref->slots;
	ref->slots = own;
	pthread_mutex_unlock(&ref->lock);

	return 0;
}

static void detach(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct ref *ref = ref_of(backend);
	struct ref_slot *own = private_part(slot);
	struct ref_slot **link = &ref->slots;

	pthread_mutex_lock(&ref->lock);
	while (*link != own)
		link = &(*link)->next;
	*link = own->next;
	pthread_mutex_unlock(&ref->lock);

	slot->priv = NULL;
	free_ref_slot(own);
}

static int log_start(struct gln_backend *backend, struct gln_backend_slot *slot,
		     uint32_t flags)
{
	struct ref *ref = ref_of(backend);

	pthread_mutex_lock(&ref->lock);
	set_all_writable(private_part(slot),
			 flags & GLN_LOG_START_ALL_MARKED ? 1 : 0);
	pthread_mutex_unlock(&ref->lock);

	return 0;
}

static void log_stop(struct gln_backend *backend, struct gln_backend_slot *slot)
{
	struct ref *ref = ref_of(backend);

	pthread_mutex_lock(&ref->lock);
	set_all_writable(private_part(slot), 1);
	pthread_mutex_unlock(&ref->lock);
}

static int protect(struct gln_backend *backend, struct gln_backend_slot *slot,
		   const struct gln_range *ranges, size_t nr_ranges)
{
	struct ref *ref = ref_of(backend);

	pthread_mutex_lock(&ref->lock);
	for (size_t i = 0; i < nr_ranges; i++)
		set_writable(private_part(slot), ranges[i], 0);
	pthread_mutex_unlock(&ref->lock);

	return 0;
}

/* Nothing is cached: a store looks at the bytes, under the mutex. */
static int flush(struct gln_backend *backend, struct gln_backend_slot *slot,
		 const struct gln_flush *plan)
{
	(void)backend;
	(void)slot;
	(void)plan;
	return 0;
}

static const struct gln_backend_ops ops = {
	.name = "ref",
	.caps = GLN_CAP_PROTECT | GLN_CAP_FLUSH | GLN_CAP_GAPS,
	.attach = attach,
	.detach = detach,
	.log_start = log_start,
	.log_stop = log_stop,
	.protect = protect,
	.flush = flush,
};

/* The public face. */

int gln_ref_create(struct gln_backend **backend)
{
	struct ref *ref = calloc(1, sizeof(*ref));

	if (!ref)
		return -ENOMEM;
	if (pthread_mutex_init(&ref->lock, NULL)) {
		free(ref);
		return -ENOMEM;
	}

	ref->backend.ops = &ops;
	*backend = &ref->backend;
	return 0;
}

void gln_ref_destroy(struct gln_backend *backend)
{
	struct ref *ref = ref_of(backend);

	pthread_mutex_destroy(&ref->lock);
	free(ref);
}

static void fault(struct ref_slot *own, gln_gfn gfn)
{
	own->writable[gfn - own->slot->base] = 1;
	own->slot->mark(own->slot, gfn, 1);
}

/* A store of @bytes at @gpa, which lies in the slot. */
static int store(struct ref_slot *own, uint64_t gpa, const void *data,
		 size_t bytes)
{
	struct gln_backend_slot *slot = own->slot;
	const uint64_t page_bytes = UINT64_C(1) << slot->page_shift;
	const uint64_t offset = gpa & (page_bytes - 1);
	const gln_gfn gfn = gpa >> slot->page_shift;
	const uint64_t page = gfn - slot->base;

	if (bytes > page_bytes - offset)
		return -EINVAL;

	if (!own->writable[page])
		fault(own, gfn);
	memcpy((char *)slot->hva + (page << slot->page_shift) + offset, data,
	       bytes);
	own->written[page] = 1;
	return 0;
}

int gln_ref_store(struct gln_backend *backend, uint64_t gpa, const void *data,
		  size_t bytes)
{
	struct ref *ref = ref_of(backend);
	int err = -EFAULT;

	if (!bytes)
		return -EINVAL;

	pthread_mutex_lock(&ref->lock);
	struct ref_slot *own = find_by_gpa(ref, gpa);

	if (own)
		err = store(own, gpa, data, bytes);
	pthread_mutex_unlock(&ref->lock);

	return err;
}

int gln_ref_take_written(struct gln_backend *backend, uint32_t id,
			 uint8_t *bytes, uint64_t nr_pages)
{
	struct ref *ref = ref_of(backend);
	int err = 0;

	pthread_mutex_lock(&ref->lock);
	struct ref_slot *own = find_by_id(ref, id);

	if (!own) {
		err = -ENOENT;
	} else if (own->slot->nr_pages != nr_pages) {
		err = -EINVAL;
	} else {
		memcpy(bytes, own->written, (size_t)nr_pages);
		memset(own->written, 0, (size_t)nr_pages);
	}
	pthread_mutex_unlock(&ref->lock);

	return err;
}
