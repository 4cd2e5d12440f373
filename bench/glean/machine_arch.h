/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_arch.h - what the files of a machine share.
 */
#ifndef BENCH_GLEAN_MACHINE_ARCH_H
#define BENCH_GLEAN_MACHINE_ARCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <glean/model.h>

#include "bench/glean/hpt_guest.h"

struct machine;
struct machine_hpt;
struct machine_params;
struct machine_vcpu;

/** struct machine_fault - a fault, as its vCPU's CPU tells it. */
struct machine_fault {
	gln_gfn gfn;
	uint32_t access;
};

/**
 * struct machine_arch - how an architecture's parts are made and read. NULL is
 * allowed for @load, @pml, @boot, @shut_down and @vcpu_start.
 *
 * @load:	give the CPUs the table, as the backend says.
 * @pml:	the log of vCPU @id's CPU, or NULL.
 * @decode:	only where @answer is machine_second_stage().
 * @boot:	as machine_boot().
 * @vcpu_start:	the guest's own part of a vCPU.
 * @answer:	the guest has left at @exit, trying @access: 0 if it shall try
 *		again.
 */
struct machine_arch {
	int (*create_model)(const struct gln_model_params *params,
			    const struct machine_params *machine,
			    struct gln_model **model);
	int (*create_backend)(struct machine *machine,
			      const struct machine_params *params);
	int (*load)(struct machine *machine);
	struct gln_ept_pml *(*pml)(const struct machine *machine, uint32_t id);
	void (*decode)(const struct machine *machine,
		       const struct gln_model_exit *exit,
		       struct machine_fault *fault);
	int (*boot)(struct machine *machine, struct gln_vm *vm, uint64_t base,
		    uint64_t bytes);
	void (*shut_down)(struct machine *machine);
	void (*vcpu_start)(struct machine_vcpu *vcpu, uint32_t id);
	int (*answer)(struct machine_vcpu *vcpu,
		      const struct gln_model_exit *exit, uint32_t access);
	void (*destroy_backend)(struct gln_backend *backend);
};

/** struct machine - constant once it has booted. */
struct machine {
	const struct machine_arch *arch;
	struct gln_model *model;
	struct gln_backend *backend;
	unsigned int page_shift;
	struct machine_hpt *hpt; /* POWER only */
};

/**
 * struct machine_vcpu - a vCPU; its thread's.
 *
 * @inside:	between gln_vcpu_enter() and gln_vcpu_leave().
 * @kernel:	POWER only.
 */
struct machine_vcpu {
	struct machine *machine;
	struct gln_vcpu *vcpu;
	struct gln_model_vcpu *cpu;
	const atomic_bool *stop;
	bool inside;
	struct hpt_guest_cpu kernel;
};

/** machine_second_stage() - answer what a guest exits with on x86 and Arm. */
int machine_second_stage(struct machine_vcpu *vcpu,
			 const struct gln_model_exit *exit, uint32_t access);

/** The architecture of machine_hpt.c. */
extern const struct machine_arch machine_book3s;

#endif
