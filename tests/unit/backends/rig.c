/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig.c - one slot and the part of the core that a backend meets.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/backends/rig.h"

static size_t host_page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

char *rig_map(size_t pages)
{
	void *memory =
		mmap(NULL, pages * host_page_bytes(), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

void rig_unmap(char *memory, size_t pages)
{
	munmap(memory, pages * host_page_bytes());
}

/* Called from threads and signal handlers. */
static void mark(struct gln_backend_slot *slot, gln_gfn first, uint64_t count)
{
	struct rig *rig = (struct rig *)(void *)slot;

	for (uint64_t i = 0; i < count; i++) {
		const uint64_t page = first + i - slot->base;

		if (page < slot->nr_pages && !atomic_load(&rig->dead))
			atomic_store(&rig->marks[page], 1);
		else
			atomic_fetch_add(&rig->strays, 1);
	}
	if (rig->hook)
		rig->hook(rig);
}

void rig_init(struct rig *rig, struct gln_backend *backend, char *memory,
	      size_t nr_pages, gln_gfn base)
{
	const size_t page_bytes = host_page_bytes();

	*rig = (struct rig){
		.backend = backend,
		.memory = memory,
		.page_bytes = page_bytes,
		.bytes = nr_pages * page_bytes,
		.marks = calloc(nr_pages, sizeof(rig->marks[0])),
	};
	rig->slot.page_shift = (unsigned int)__builtin_ctzl(page_bytes);
	rig->slot.base = base;
	rig->slot.nr_pages = nr_pages;
	rig->slot.hva = memory;
	rig->slot.mark = mark;
	if (!rig->marks)
		abort();
}

void rig_fini(struct rig *rig)
{
	free(rig->marks);
}

int rig_start(struct rig *rig, uint32_t flags)
{
	const struct gln_backend_ops *ops = rig->backend->ops;
	int err;

	atomic_store(&rig->dead, false);
	err = ops->attach(rig->backend, &rig->slot);
	if (err)
		return err;

	err = ops->log_start(rig->backend, &rig->slot, flags);
	if (err)
		ops->detach(rig->backend, &rig->slot);
	return err;
}

void rig_stop(struct rig *rig)
{
	const struct gln_backend_ops *ops = rig->backend->ops;

	ops->log_stop(rig->backend, &rig->slot);
	ops->detach(rig->backend, &rig->slot);
	atomic_store(&rig->dead, true);
}

static volatile uint64_t *first_word(const struct rig *rig, size_t page)
{
	return (volatile uint64_t *)(void *)(rig->memory +
					     page * rig->page_bytes);
}

void rig_store(const struct rig *rig, size_t page)
{
	*first_word(rig, page) += 1;
}

void rig_load(const struct rig *rig, size_t page)
{
	(void)*first_word(rig, page);
}

/* Move the marks to @out. */
static long take(struct rig *rig, unsigned char *out)
{
	long taken = 0;

	for (size_t i = 0; i < rig->slot.nr_pages; i++) {
		out[i] = atomic_exchange(&rig->marks[i], 0);
		taken += out[i];
	}

	return taken;
}

static size_t runs_of(const struct rig *rig, const unsigned char *out,
		      struct gln_range *runs)
{
	size_t nr = 0;

	for (size_t i = 0; i < rig->slot.nr_pages; i++) {
		if (!out[i])
			continue;
		if (i && out[i - 1])
			runs[nr - 1].count++;
		else
			runs[nr++] = (struct gln_range){rig->slot.base + i, 1};
	}

	return nr;
}

static int protect(struct rig *rig, const unsigned char *out)
{
	const struct gln_backend_ops *ops = rig->backend->ops;
	const struct gln_flush everything = {.whole_slot = true};
	struct gln_range *runs =
		malloc((rig->slot.nr_pages / 2 + 1) * sizeof(*runs));

	if (!runs)
		abort();

	int err = ops->protect(rig->backend, &rig->slot, runs,
			       runs_of(rig, out, runs));

	if (!err && ops->caps & GLN_CAP_FLUSH)
		err = ops->flush(rig->backend, &rig->slot, &everything);
	free(runs);

	return err;
}

long rig_harvest(struct rig *rig, unsigned char *out)
{
	const struct gln_backend_ops *ops = rig->backend->ops;
	const struct gln_range all = {rig->slot.base, rig->slot.nr_pages};
	int err = 0;

	if (ops->caps & GLN_CAP_COLLECT)
		err = ops->collect(rig->backend, &rig->slot, all);
	if (err)
		return err;

	const long taken = take(rig, out);

	if (ops->caps & GLN_CAP_PROTECT)
		err = protect(rig, out);
	return err ? err : taken;
}

/* xorshift64*; a seed of 0 is none. */
uint64_t rig_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
