/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rig.h - one slot and the part of the core that a backend meets: marks, and a
 * harvest that takes and protects them. As small as it can be, and slow.
 */
#ifndef GLN_TESTS_UNIT_BACKENDS_RIG_H
#define GLN_TESTS_UNIT_BACKENDS_RIG_H

#include <stdatomic.h>

#include <glean/backend.h>
#include <glean/process.h>

/**
 * struct rig - a slot of real memory on a backend.
 *
 * @marks:	one a page.
 * @strays:	marks of frames that the slot does not have.
 * @dead:	detached: a mark now is counted as a stray.
 * @hook:	called at the end of a mark, if set.
 */
struct rig {
	struct gln_backend_slot slot; /* first: mark finds the rest by it */
	struct gln_backend *backend;
	char *memory;
	size_t page_bytes;
	size_t bytes;
	atomic_uchar *marks;
	atomic_ulong strays;
	atomic_bool dead;
	void (*hook)(struct rig *rig);
};

/** Anonymous memory that nobody has touched. */
char *rig_map(size_t pages);
void rig_unmap(char *memory, size_t pages);

/** A slot of @nr_pages from frame @base on, not attached. */
void rig_init(struct rig *rig, struct gln_backend *backend, char *memory,
	      size_t nr_pages, gln_gfn base);
void rig_fini(struct rig *rig);

/** Attach and log_start, and back. */
int rig_start(struct rig *rig, uint32_t flags);
void rig_stop(struct rig *rig);

/** Plain accesses to the first word of a page. */
void rig_store(const struct rig *rig, size_t page);
void rig_load(const struct rig *rig, size_t page);

/**
 * rig_harvest() - collect, take, protect, flush.
 * @out:	one byte a page, 1 if it was marked.
 *
 * Return: pages taken, or a negative errno.
 */
long rig_harvest(struct rig *rig, unsigned char *out);

/** Random bits, the same for the same seed. */
uint64_t rig_random(uint64_t *seed);

#endif
