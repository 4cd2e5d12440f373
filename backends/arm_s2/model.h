/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - what the files of the Arm model share.
 *
 *	model_registers.c	VTCR and VTTBR: the geometry of a walk
 *	model.c			translations, syndromes
 *	model_walk.c		walks: descriptors, access flag and dirty state
 *	model_maintenance.c	TLBI and DSB
 */
#ifndef GLN_BACKENDS_ARM_S2_MODEL_H
#define GLN_BACKENDS_ARM_S2_MODEL_H

#include <pthread.h>

#include "backends/model/model.h"
#include "backends/model/tlb.h"

enum {
	LAST_LEVEL = 3,	 /* Arm's number; ours is a height, 3 - level */
	ENTRY_SHIFT = 3, /* 8 bytes a descriptor */
	PENDING = 64,	 /* TLBIs that no DSB has waited for */
};

/**
 * struct model_geometry - what VTCR and VTTBR say.
 *
 * @top:	height of the root's descriptors.
 * @block_max:	height of the largest block.
 */
struct model_geometry {
	unsigned int page_shift;
	unsigned int index_bits;
	unsigned int ipa_bits;
	unsigned int pa_bits;
	unsigned int top;
	unsigned int block_max;
	uint64_t root;
	uint16_t vmid;
	bool is_armv7;
	bool is_ds;	/* LPA2's descriptors */
	bool is_64k_52; /* 51:48 of an address in bits 15:12 */
	bool has_ha;
	bool has_hd;
};

/** struct pending - a TLBI that no DSB has waited for yet. */
struct pending {
	pthread_t issuer;
	uint32_t vcpu;
	struct gln_s2_op op;
};

struct s2_model {
	struct gln_model model;
	struct model_geometry geometry;
	size_t nr_pending;
	struct pending pending[PENDING];
};

/**
 * struct s2_vcpu - what the CPU caches.
 *
 * @tlb:	stage 2: IPA to PA.
 * @combined:	both stages: VA to PA; VA is IPA here.
 * @tables:	at height n, the table that a descriptor of height n points to.
 */
struct s2_vcpu {
	struct gln_model_vcpu vcpu;
	struct tlb tlb;
	struct tlb combined;
	struct tlb tables;
};

static inline struct s2_model *model_of(const struct gln_model_vcpu *vcpu)
{
	return (struct s2_model *)(void *)vcpu->model;
}

static inline const struct model_geometry *geometry_of(
	const struct gln_model_vcpu *vcpu)
{
	return &model_of(vcpu)->geometry;
}

static inline struct s2_vcpu *s2_of(struct gln_model_vcpu *vcpu)
{
	return (struct s2_vcpu *)(void *)vcpu;
}

static inline uint64_t field(uint64_t value, unsigned int shift,
			     unsigned int bits)
{
	return value >> shift & ((UINT64_C(1) << bits) - 1);
}

static inline unsigned int shift_of(const struct model_geometry *g,
				    unsigned int height)
{
	return g->page_shift + height * g->index_bits;
}

/**
 * What VTCR_EL2 and VTTBR_EL2 say, or those of Armv7: 0, or -EINVAL for what is
 * reserved, or does not fit together.
 */
int glni_s2_model_decode(uint64_t vtcr, uint64_t vttbr,
			 struct model_geometry *g);
int glni_s2_model_decode7(uint64_t vtcr, uint64_t vttbr,
			  struct model_geometry *g);

/* Fault status of ESR_EL2 (D19.2). */
enum {
	FSC_ADDRESS_SIZE = 0x00, /* | level, 0 to 3 */
	FSC_TRANSLATION = 0x04,
	FSC_ACCESS_FLAG = 0x08,
	FSC_PERMISSION = 0x0c,
	FSC_EXTERNAL = 0x10,
	FSC_EXTERNAL_WALK = 0x14,
	FSC_EXTERNAL_WALK_MINUS_1 = 0x13,
	FSC_CONFLICT = 0x30,
	FSC_ADDRESS_SIZE_MINUS_1 = 0x29, /* level -1 */
	FSC_TRANSLATION_MINUS_1 = 0x2b,
};

/* A fault status with its level, of which there is one below 0. */
static inline unsigned int fsc_at_height(unsigned int fsc, unsigned int height)
{
	if (height <= LAST_LEVEL)
		return fsc | (LAST_LEVEL - height);
	switch (fsc) {
	case FSC_ADDRESS_SIZE:
		return FSC_ADDRESS_SIZE_MINUS_1;
	case FSC_EXTERNAL_WALK:
		return FSC_EXTERNAL_WALK_MINUS_1;
	default:
		return FSC_TRANSLATION_MINUS_1;
	}
}

/**
 * struct walk - an access that asks the table.
 *
 * @fsc:	the fault, once there is one.
 * @at:		the leaf; @descriptor as it was read, at @height.
 */
struct walk {
	uint64_t ipa;
	uint32_t access;
	unsigned int fsc;
	unsigned int height;
	gln_word *at;
	uint64_t descriptor;
};

/** enum outcome - of a walk, or of a part of it. */
enum outcome {
	WALK_DONE,
	WALK_FAULT,
	WALK_DENIED, /* a permission fault: the leaf is remembered */
	WALK_AGAIN,  /* the leaf changed under it */
};

/** glni_s2_address_of() - OA, or the address of the next table. */
uint64_t glni_s2_address_of(const struct model_geometry *g,
			    uint64_t descriptor);

/**
 * glni_s2_walk() - ask the table for an access, and note what it has to be
 * told; what may be remembered is. Never WALK_AGAIN.
 */
enum outcome glni_s2_walk(struct gln_model_vcpu *vcpu, struct walk *walk);

/** glni_s2_walk_quietly() - is there a leaf that was accessed? Sets nothing. */
bool glni_s2_walk_quietly(struct gln_model_vcpu *vcpu, struct walk *walk);

/** glni_s2_remember() - the leaf, denied or not, whose access flag is set. */
void glni_s2_remember(struct gln_model_vcpu *vcpu, const struct walk *walk);

#endif
