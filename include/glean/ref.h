/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ref.h - the oracle: a backend so simple that it can be seen to be right.
 *
 * One mutex, one byte a page, guest stores by function call. It shares no code
 * with the core and keeps a second log of its own, of what was really written,
 * so that a test can ask both.
 */
#ifndef GLN_REF_H
#define GLN_REF_H

#include <glean/types.h>

GLN_BEGIN_DECLS

struct gln_backend;

/**
 * gln_ref_create() - make the backend. Hosted library only.
 *
 * Context: any thread; may allocate.
 * Return: 0 or -ENOMEM.
 */
GLN_PUBLIC int gln_ref_create(struct gln_backend **backend);

/**
 * gln_ref_destroy() - free it. Its VM must be gone.
 */
GLN_PUBLIC void gln_ref_destroy(struct gln_backend *backend);

/**
 * gln_ref_store() - a guest store, as a vCPU makes it: fault if the page is
 * protected (make writable, then mark), then write.
 * @gpa:	guest physical address of the first byte.
 * @data:	bytes to write; they must not cross a page.
 *
 * Context: any thread; takes the backend's mutex.
 * Return: 0; -EFAULT if no slot with memory holds @gpa; -EINVAL if @bytes is 0
 * or crosses a page.
 */
GLN_PUBLIC int gln_ref_store(struct gln_backend *backend, uint64_t gpa,
			     const void *data, size_t bytes);

/**
 * gln_ref_take_written() - the oracle's own log: which pages of a slot
 * gln_ref_store() wrote since the last take, one byte a page, 1 for written.
 * @bytes:	room for @nr_pages bytes.
 * @nr_pages:	the slot's size in pages.
 *
 * Context: any thread; takes the backend's mutex.
 * Return: 0; -ENOENT if there is no such slot; -EINVAL if @nr_pages is not its
 * size.
 */
GLN_PUBLIC int gln_ref_take_written(struct gln_backend *backend, uint32_t id,
				    uint8_t *bytes, uint64_t nr_pages);

GLN_END_DECLS

#endif
