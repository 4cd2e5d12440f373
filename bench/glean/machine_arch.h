/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_arch.h - what machine.c and machine_vcpu.c share.
 */
#ifndef BENCH_GLEAN_MACHINE_ARCH_H
#define BENCH_GLEAN_MACHINE_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include <glean/model.h>

struct machine;
struct machine_params;

/** struct machine_fault - a fault, as its vCPU's CPU tells it. */
struct machine_fault {
	gln_gfn gfn;
	uint32_t access;
};

/**
 * struct machine_arch - how an architecture's parts are made and read.
 *
 * @load:	give the CPUs the table, as the backend says.
 * @pml:	the log of vCPU @id's CPU, or NULL.
 */
struct machine_arch {
	int (*create_model)(const struct gln_model_params *params,
			    struct gln_model **model);
	int (*create_backend)(struct machine *machine,
			      const struct machine_params *params);
	int (*load)(struct machine *machine);
	struct gln_ept_pml *(*pml)(const struct machine *machine, uint32_t id);
	void (*decode)(const struct machine *machine,
		       const struct gln_model_exit *exit,
		       struct machine_fault *fault);
	void (*destroy_backend)(struct gln_backend *backend);
};

/** struct machine - constant once it is made. */
struct machine {
	const struct machine_arch *arch;
	struct gln_model *model;
	struct gln_backend *backend;
	unsigned int page_shift;
};

#endif
