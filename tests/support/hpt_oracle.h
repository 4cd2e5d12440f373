/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_oracle.h - what a guest must see of its hashed page table: one call after
 * the other, on a plain array.
 *
 * Written from PAPR and the Power ISA, apart from the engine: the same bits are
 * spelled out once more, hash and page sizes are computed once more. It knows
 * nothing of locks, of real pages that come and go, of a CPU that is late: all
 * that must not show. What a CPU notes in R and C it is told.
 */
#ifndef TESTS_SUPPORT_HPT_ORACLE_H
#define TESTS_SUPPORT_HPT_ORACLE_H

#include <glean/hpt.h>

enum {
	ORACLE_MAX_SLOTS = 8,
	ORACLE_GROUP = 8,	/* entries */
	ORACLE_MAX_BULK = 4,	/* requests of one H_BULK_REMOVE */
	ORACLE_PAGE_SHIFT = 12, /* of H_PAGE_INIT, and of what R counts */
};

/** struct oracle_slot - guest memory, in bytes. */
struct oracle_slot {
	uint64_t base;
	uint64_t bytes;
	bool is_read_only;
};

/**
 * struct oracle_entry - what the guest may know of an entry.
 *
 * @v:	as it reads it, VALID among it; 0 if the entry is not used.
 * @r:	likewise, with what the CPU noted so far.
 */
struct oracle_entry {
	uint64_t v;
	uint64_t r;
};

/** struct oracle - a table, and the memory that it may map. */
struct oracle {
	enum gln_hpt_isa isa;
	uint64_t nr_entries;
	struct oracle_entry *entries;
	size_t nr_slots;
	struct oracle_slot slots[ORACLE_MAX_SLOTS];
};

/** oracle_init() - an empty table of 2^@order bytes. 0 or -ENOMEM. */
int oracle_init(struct oracle *oracle, enum gln_hpt_isa isa,
		unsigned int order);
void oracle_fini(struct oracle *oracle);

/**
 * struct oracle_undo - entries as they were before a call, at most one for each
 * that it may change.
 */
struct oracle_undo {
	unsigned int nr;
	struct {
		uint64_t index;
		struct oracle_entry was;
	} changes[ORACLE_MAX_BULK];
};

/**
 * struct oracle_answer - of a call.
 *
 * @written:	bit i: @rets[i] is; other registers stay as they are.
 * @mmio_gone:	an entry without memory behind it went, or was changed: what was
 *		remembered of it must be forgotten.
 */
struct oracle_answer {
	int64_t code;
	uint32_t written;
	uint64_t rets[GLN_HCALL_ARGS];
	bool mmio_gone;
};

/**
 * oracle_call() - serve a hypercall. H_RESIZE_* are not here.
 * @undo:	NULL, or what oracle_undo() needs.
 */
void oracle_call(struct oracle *oracle, uint64_t nr, const uint64_t *args,
		 struct oracle_answer *answer, struct oracle_undo *undo);
void oracle_undo(struct oracle *oracle, const struct oracle_undo *undo);

/** oracle_note() - the CPU noted @rc, of R and C, in an entry. */
void oracle_note(struct oracle *oracle, uint64_t index, uint64_t rc);

/** oracle_slot_at() - the slot that holds an address, or NULL. */
const struct oracle_slot *oracle_slot_at(const struct oracle *oracle,
					 uint64_t gpa);

/**
 * oracle_shifts() - page sizes of an entry, as log2 of bytes. False if it has
 * none.
 */
bool oracle_shifts(uint64_t v, uint64_t r, unsigned int *base,
		   unsigned int *actual);

/** oracle_gpa() - where an entry's page begins; it must have a size. */
uint64_t oracle_gpa(const struct oracle_entry *entry);

/** oracle_group() - the primary group of an address, or the secondary one. */
uint64_t oracle_group(const struct oracle *oracle, uint64_t slb, uint64_t ea,
		      bool is_secondary);

/** oracle_vpn() - B and AVPN of an entry for @ea. */
uint64_t oracle_vpn(uint64_t slb, uint64_t ea);

/** What comes of a fault, as far as it does not depend on the host. */
enum oracle_fault {
	ORACLE_ALLOWED,	  /* the entry allows the access */
	ORACLE_REFLECT,	  /* the guest's own business: see dsisr */
	ORACLE_MMIO,	  /* no memory there: see gpa */
	ORACLE_READ_ONLY, /* a store to a slot that takes none: see gpa */
};

/**
 * oracle_fault() - what must come of it; @fault's gpa and dsisr are set as
 * gln_hpt_fault() sets them. @index is that of the entry found, if one is.
 */
enum oracle_fault oracle_fault(const struct oracle *oracle,
			       struct gln_hpt_fault *fault, uint64_t *index);

/** oracle_allows() - may @fault's access be made with an entry's R? */
bool oracle_allows(const struct gln_hpt_fault *fault, uint64_t r);

#endif
