/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.h - a computer in software whose second-stage tables are the
 * library's: the model of an MMU (model.h), the backend that writes its tables,
 * and the loop that runs a vCPU on it.
 *
 * The guest makes no access but through the model, so it can only write what
 * the tables, and its stale translations, let it write.
 */
#ifndef BENCH_GLEAN_MACHINE_H
#define BENCH_GLEAN_MACHINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gln_backend;
struct gln_vcpu;
struct gln_vm;
struct machine;
struct machine_vcpu;

enum machine_kind { MACHINE_X86_EPT, MACHINE_ARM_S2, MACHINE_BOOK3S };

/**
 * struct machine_hpt_params - of a machine with a hashed page table.
 *
 * @isa:	an enum gln_hpt_isa.
 * @page_shift:	what the guest maps its memory by: 12, 16 or 24.
 * @segment_shift: 28 or 40.
 * @order:	of the table.
 * @resizes:	the guest resizes it again and again while it runs.
 */
struct machine_hpt_params {
	int isa;
	unsigned int page_shift;
	unsigned int segment_shift;
	unsigned int order;
	bool resizes;
};

/**
 * struct machine_params - which computer.
 *
 * @dirty_by_hw: the CPU notes what is written: PML, DBM. Else faults do.
 * @blocks:	blocks map the guest while it is not logged.
 * @eager_split: they are split when logging starts or a log is cleared, not
 *		when a page of them is written.
 * @levels:	of the table; x86 only.
 * @page_shift: of the VM; on Arm that is the granule.
 * @ipa_bits:	what the guest can address; Arm only.
 * @hpt:	POWER only.
 */
struct machine_params {
	enum machine_kind kind;
	bool dirty_by_hw;
	bool blocks;
	bool eager_split;
	unsigned int levels;
	unsigned int page_shift;
	unsigned int ipa_bits;
	struct machine_hpt_params hpt;
	uint64_t seed;
};

/**
 * machine_create() - make it, without vCPUs.
 *
 * Return: 0; -ENOMEM; or what the library said.
 */
int machine_create(const struct machine_params *params,
		   struct machine **machine);

/** machine_destroy() - its VM and its vCPUs must be gone. */
void machine_destroy(struct machine *machine);

/** machine_backend() - for the VM. */
struct gln_backend *machine_backend(const struct machine *machine);

/**
 * machine_boot() - the VM is there, with the guest's memory, and no vCPU yet.
 * @base, @bytes: the memory, as guest physical addresses.
 *
 * Return: 0; -ENOMEM; or what the library said.
 */
int machine_boot(struct machine *machine, struct gln_vm *vm, uint64_t base,
		 uint64_t bytes);

/** machine_shut_down() - before that VM goes; its vCPUs are gone. */
void machine_shut_down(struct machine *machine);

/**
 * machine_enter_all() - the guest enters all its pages into its hashed page
 * table, on the calling thread. It has booted.
 *
 * Return: 0; -ENOTTY if it has no such table; or what the library said.
 */
int machine_enter_all(struct machine *machine);

/**
 * machine_vcpu_create() - a vCPU; on the thread that has registered @vcpu.
 * @id:		as it was registered.
 * @stop:	when set, an access that waits for a ring's consumer gives up.
 *
 * Return: 0; -ENOMEM; or what the library said.
 */
int machine_vcpu_create(struct machine *machine, uint32_t id,
			struct gln_vcpu *vcpu, const atomic_bool *stop,
			struct machine_vcpu **made);

/** machine_vcpu_destroy() - any thread, once its own has ended. */
void machine_vcpu_destroy(struct machine_vcpu *vcpu);

/**
 * machine_access() - one access of 8 aligned bytes by the guest, with all exits
 * and faults that it takes.
 * @access:	GLN_ACCESS_READ, _WRITE or _EXEC.
 * @value:	what to store, or where to load to.
 *
 * Return: 0; -ECANCELED if it gave up; -ELOOP if it made no progress; -EIO for
 * an exit that a guest of plain memory cannot have; or what the library said.
 */
int machine_access(struct machine_vcpu *vcpu, uint64_t gpa, uint32_t access,
		   uint64_t *value);

/** machine_halt() - the guest has nothing to do: its vCPU leaves it. */
void machine_halt(struct machine_vcpu *vcpu);

/**
 * machine_break() - break the library, in a build for tests that can be: see
 * core/base/broken.h. 0 is whole.
 */
void machine_break(int how);

#endif
