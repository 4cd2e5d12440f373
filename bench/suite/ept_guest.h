/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ept_guest.h - a guest of the x86 EPT backend, as large as you like: it has
 * addresses and tables, and no memory, for nobody runs in it.
 */
#ifndef BENCH_SUITE_EPT_GUEST_H
#define BENCH_SUITE_EPT_GUEST_H

#include <glean/glean.h>

#include "bench/suite/tables.h"
#include "bench/suite/tap.h"
#include "bench/suite/truth.h"

enum {
	EPT_GUEST_SLOT = 0,
	EPT_GUEST_ORDER_4K = 12,
	EPT_GUEST_ORDER_2M = 21,
	EPT_GUEST_ORDER_1G = 30,
};

/**
 * struct ept_guest - one slot at frame 0, one vCPU on the thread that made it.
 *
 * @order:	log2 of the bytes of its largest blocks.
 * @nr_invepts:	flushes that the backend asked the CPU for.
 * @place:	of the table of each 512 pages; see ept_guest_keep().
 */
struct ept_guest {
	uint64_t nr_pages;
	unsigned int order;
	void *reserved;
	size_t reserved_bytes;
	void *hva;
	uint64_t nr_invepts;
	struct tables tables;
	struct tap tap;
	struct gln_backend *backend;
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	size_t *place;
};

/**
 * ept_guest_init() - nothing is mapped, nothing logged.
 * @nr_pages:	a multiple of 512.
 *
 * Return: 0 or a negative errno; ept_guest_fini() is due in either case.
 */
int ept_guest_init(struct ept_guest *guest, uint64_t nr_pages,
		   unsigned int order);
void ept_guest_fini(struct ept_guest *guest);

/** ept_guest_add_slot() - the slot, after it was removed. */
int ept_guest_add_slot(struct ept_guest *guest);

/**
 * ept_guest_fault() - the vCPU's fault, with more tables when it has none left.
 *
 * Return: an enum gln_fault, or a negative errno.
 */
int ept_guest_fault(struct gln_vcpu *vcpu, gln_gfn gfn, uint32_t access);

/** ept_guest_map() - all of it, by the largest blocks. */
int ept_guest_map(struct ept_guest *guest);
/** ept_guest_split() - log it, and split its blocks: all pages protected. */
int ept_guest_split(struct ept_guest *guest);
/**
 * ept_guest_write() - the guest writes the pages of @truth;
 * ept_guest_write_all() all there are. Each was protected.
 */
int ept_guest_write(struct ept_guest *guest, const struct truth *truth);
int ept_guest_write_all(struct ept_guest *guest);
/**
 * ept_guest_drop_marks() - harvest, and forget. Return: how many there were, or
 * a negative errno.
 */
int64_t ept_guest_drop_marks(struct ept_guest *guest);

/** ept_guest_keep() - note what all tables hold, every page being mapped. */
int ept_guest_keep(struct ept_guest *guest);
/**
 * ept_guest_put_back() - make the tables that map pages of @truth what they
 * were then.
 */
void ept_guest_put_back(struct ept_guest *guest, const struct truth *truth);

/** ept_guest_entry() - what maps @page; ept_guest_kept() - what did then. */
uint64_t ept_guest_entry(const struct ept_guest *guest, uint64_t page);
uint64_t ept_guest_kept(const struct ept_guest *guest, uint64_t page);

/**
 * ept_guest_compare() - have just the pages of @truth changed since?
 * @nr_others:	how many others have.
 *
 * Return: 0, or -EBADMSG if a page of @truth has not.
 */
int ept_guest_compare(const struct ept_guest *guest, const struct truth *truth,
		      uint64_t *nr_others);

#endif
