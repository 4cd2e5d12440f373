/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - what the files of the EPT model share.
 *
 *	model.c		translations, violations, INVEPT
 *	model_walk.c	walks: entries, accessed and dirty flags, the log
 */
#ifndef GLN_BACKENDS_X86_EPT_MODEL_H
#define GLN_BACKENDS_X86_EPT_MODEL_H

#include "backends/model/model.h"
#include "backends/model/tlb.h"

/* Of EPTP (25.6.11). */
#define EPTP_AD	  (UINT64_C(1) << 6)
#define EPTP_ROOT UINT64_C(0x000ffffffffff000)

enum {
	PAGE_SHIFT = 12,
	INDEX_BITS = 9,
	LEAF_HEIGHT_MAX = 2, /* 1 GiB */
};

struct ept_model {
	struct gln_model model;
	uint64_t eptp;
	unsigned int levels;
};

/**
 * struct ept_vcpu - what the CPU caches.
 *
 * @tables:	at height n, the table that an entry of height n points to.
 */
struct ept_vcpu {
	struct gln_model_vcpu vcpu;
	struct tlb tlb;
	struct tlb tables;
};

static inline struct ept_model *model_of(const struct gln_model_vcpu *vcpu)
{
	return (struct ept_model *)(void *)vcpu->model;
}

static inline struct ept_vcpu *ept_of(struct gln_model_vcpu *vcpu)
{
	return (struct ept_vcpu *)(void *)vcpu;
}

static inline unsigned int shift_of(unsigned int height)
{
	return PAGE_SHIFT + height * INDEX_BITS;
}

/** struct step - an entry that a walk used. */
struct step {
	gln_word *at;
	uint64_t entry;
};

/**
 * struct walk - an access that asks the table.
 *
 * @step:	by height, from @top down to @height, where the leaf is.
 * @rights:	and-ed over the entries.
 */
struct walk {
	uint64_t gpa;
	uint32_t access;
	unsigned int top;
	unsigned int height;
	uint32_t rights;
	struct step step[TLB_HEIGHTS];
};

/** enum outcome - of a walk, or of a part of it. */
enum outcome {
	WALK_DONE,
	WALK_VIOLATION,
	WALK_MISCONFIG,
	WALK_LOG_FULL,
	WALK_AGAIN, /* an entry changed under it */
};

/**
 * glni_ept_walk() - ask the table for an access, and note what it has to be
 * told; of a walk that is done all is remembered. Never WALK_AGAIN.
 */
enum outcome glni_ept_walk(struct gln_model_vcpu *vcpu, struct walk *walk);

/** glni_ept_walk_quietly() - can that be had without a flag being set? */
bool glni_ept_walk_quietly(struct gln_model_vcpu *vcpu, struct walk *walk);

/** glni_ept_remember() - the tables and the leaf that a walk came by. */
void glni_ept_remember(struct gln_model_vcpu *vcpu, const struct walk *walk);

#endif
