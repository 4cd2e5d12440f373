/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_machine.h - what a guest of the stress tests can be made of.
 */
#ifndef TESTS_SUPPORT_STRESS_MACHINE_H
#define TESTS_SUPPORT_STRESS_MACHINE_H

#include <glean/hpt.h>

#include "tests/support/stress_guest.h"

/**
 * struct stress_hpt_params - how a guest maps itself; order 0: it does not.
 *
 * Entries larger than a page of the VM say of all of it that it was written,
 * and want slots that begin and end where they do.
 */
struct stress_hpt_params {
	enum gln_hpt_isa isa;
	unsigned int base_shift;
	unsigned int actual_shift;
	unsigned int order;
};

/** struct stress_model_params - a modelled MMU; only for machines that are. */
struct stress_model_params {
	bool is_arm;
	unsigned int page_shift;
	unsigned int addr_bits;
	unsigned int levels; /* x86 */
	bool cpu_notices;    /* PML, DBM */
	uint32_t flags;	     /* GLN_EPT_*, GLN_S2_* */
	uint64_t ring_bytes; /* 0: no rings */
	uint32_t ring_flags;
	struct stress_hpt_params hpt;
};

/**
 * struct machine - how a backend is made, and how a guest stores on it.
 *
 * @tracker:	for the process backend; AUTO on others.
 * @model:	for modelled MMUs; else page_shift is 0.
 * @vm_made:	NULL, or called when the VM is there and has nothing yet.
 * @cpu_init, @cpu_fini, @enter, @leave: NULL where there is nothing to do.
 * @access:	of modelled MMUs: 0 when it came to an end, or as @store.
 */
struct machine {
	const char *name;
	enum gln_tracker tracker;
	struct stress_model_params model;
	void (*open)(struct guest *guest, const struct guest_params *params);
	void (*close)(struct guest *guest);
	void (*vm_made)(struct guest *guest);
	void (*cpu_init)(struct guest_cpu *cpu);
	void (*cpu_fini)(struct guest_cpu *cpu);
	void (*enter)(struct guest_cpu *cpu);
	void (*leave)(struct guest_cpu *cpu);
	int (*access)(struct guest_cpu *cpu, uint64_t gpa, uint32_t access,
		      uint64_t *value);
	int (*store)(struct guest_cpu *cpu, const struct guest_slot *slot,
		     uint64_t page, unsigned int word, uint64_t value);
};

/** stress_model() - the modelled machine of this name, or NULL. */
const struct machine *stress_model(const char *name);

/** stress_model_store() - a machine's @store, by its @access. */
int stress_model_store(struct guest_cpu *cpu, const struct guest_slot *slot,
		       uint64_t page, unsigned int word, uint64_t value);

/** stress_model_names() - print them all to standard error. */
void stress_model_names(void);

/** stress_hpt(), stress_hpt_names() - the same, of those with a hashed table.
 */
const struct machine *stress_hpt(const char *name);
void stress_hpt_names(void);

#endif
