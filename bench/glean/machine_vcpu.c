/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine_vcpu.c - run a guest on a modelled CPU: enter, and answer what it
 * exits with, until the access is made. The embedder's loop of mmu.h.
 */
#include "bench/glean/machine.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <glean/ring.h>

#include "bench/glean/machine_arch.h"

/*
 * Tries of one access before it counts as stuck. Faults race each other and the
 * harvest, and each of them can lose some times, but not so often.
 */
#define TRIES_MAX 100000

/* A vCPU whose ring is full looks again after so long. */
#define RING_WAIT_NS 50000

static bool told_to_stop(const struct machine_vcpu *vcpu)
{
	/* Relaxed: nothing is read that the flag announces. */
	return atomic_load_explicit(vcpu->stop, memory_order_relaxed);
}

int machine_vcpu_create(struct machine *machine, uint32_t id,
			struct gln_vcpu *vcpu, const atomic_bool *stop,
			struct machine_vcpu **made)
{
	struct gln_ept_pml *(*pml)(const struct machine *machine, uint32_t id) =
		machine->arch->pml;
	struct machine_vcpu *new = malloc(sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = (struct machine_vcpu){
		.machine = machine,
		.vcpu = vcpu,
		.stop = stop,
	};

	const int err = gln_model_vcpu_create(
		machine->model, id, pml ? pml(machine, id) : NULL, &new->cpu);

	if (err) {
		free(new);
		return err;
	}
	if (machine->arch->vcpu_start)
		machine->arch->vcpu_start(new, id);
	*made = new;
	return 0;
}

void machine_vcpu_destroy(struct machine_vcpu *vcpu)
{
	gln_model_vcpu_destroy(vcpu->cpu);
	free(vcpu);
}

/* Whoever wants to replace a hashed page table waits for all to do this. */
static void leave(struct machine_vcpu *vcpu)
{
	if (vcpu->inside)
		gln_vcpu_leave(vcpu->vcpu);
	vcpu->inside = false;
}

void machine_halt(struct machine_vcpu *vcpu)
{
	gln_vcpu_exit(vcpu->vcpu);
	leave(vcpu);
}

/* The last before the CPU goes on: with a table that stays. */
static int enter(struct machine_vcpu *vcpu)
{
	while (!vcpu->inside || !gln_vcpu_may_run(vcpu->vcpu)) {
		leave(vcpu);

		const int err = gln_vcpu_enter(vcpu->vcpu);

		if (err)
			return err;
		vcpu->inside = true;
	}
	return 0;
}

/*
 * The consumer of the ring makes room; it does not know that somebody waits.
 * False if there is none and nobody will make any.
 */
static bool has_room(const struct machine_vcpu *vcpu)
{
	const struct timespec wait = {.tv_nsec = RING_WAIT_NS};

	while (gln_ring_is_full(vcpu->vcpu)) {
		if (told_to_stop(vcpu))
			return false;
		nanosleep(&wait, NULL);
	}
	return true;
}

/* 0 if the guest should try again. */
static int fault(struct machine_vcpu *vcpu, const struct machine_fault *fault)
{
	if (!fault->access)
		return -EIO;

	int result = gln_vcpu_topup(vcpu->vcpu);

	if (!result)
		result = gln_vcpu_fault(vcpu->vcpu, fault->gfn, fault->access);
	switch (result) {
	case GLN_FAULT_MAPPED:
	case GLN_FAULT_RELAXED:
	case GLN_FAULT_SPURIOUS:
		return 0;
	case GLN_FAULT_RETRY:
		sched_yield();
		return 0;
	case GLN_FAULT_RING_FULL: /* seen before the next entry */
		return 0;
	case GLN_FAULT_MMIO:
	case GLN_FAULT_READ_ONLY:
		return -EIO;
	default:
		return result;
	}
}

/* An exit whose syndrome does not say what was tried: we know. */
static int misconfig(struct machine_vcpu *vcpu,
		     const struct gln_model_exit *exit, uint32_t access)
{
	const struct machine_fault told = {
		.gfn = exit->gpa >> vcpu->machine->page_shift,
		.access = access,
	};

	return fault(vcpu, &told);
}

int machine_second_stage(struct machine_vcpu *vcpu,
			 const struct gln_model_exit *exit, uint32_t access)
{
	struct machine_fault told;

	switch (exit->reason) {
	case GLN_MODEL_FAULT:
		vcpu->machine->arch->decode(vcpu->machine, exit, &told);
		return fault(vcpu, &told);
	case GLN_MODEL_MISCONFIG:
		return misconfig(vcpu, exit, access);
	default: /* its log was full, or it was kicked: it has left */
		return 0;
	}
}

int machine_access(struct machine_vcpu *vcpu, uint64_t gpa, uint32_t access,
		   uint64_t *value)
{
	struct gln_model_exit exit;

	for (unsigned int i = 0; i < TRIES_MAX; i++) {
		if (!has_room(vcpu))
			return -ECANCELED;

		int err = enter(vcpu);

		if (err)
			return err;
		if (gln_model_access(vcpu->cpu, gpa, access, value, &exit))
			return 0;
		gln_vcpu_exit(vcpu->vcpu);
		err = vcpu->machine->arch->answer(vcpu, &exit, access);
		if (err)
			return err;
	}
	return -ELOOP;
}
