/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpus.h - threads that write the guest, as its vCPUs would.
 */
#ifndef BENCH_GLEAN_VCPUS_H
#define BENCH_GLEAN_VCPUS_H

#include <stdint.h>

#include "bench/glean/guest.h"
#include "bench/glean/pattern.h"

struct gln_backend;
struct gln_vcpu;
struct gln_vm;
struct machine;

/** Most vCPUs of a guest: each is a thread. */
#define VCPUS_MAX 256U

/**
 * struct vcpus_params - how the guest is written.
 *
 * @ref:	the oracle, through which its guests must store; or
 * @machine:	the computer on which they run. With neither, stores go to
 *		memory directly, and it is the MMU's to notice.
 * @pages_per_s: writes of pages a second, all vCPUs together; 0 is unlimited.
 */
struct vcpus_params {
	struct gln_vm *vm;
	const struct guest *guest;
	struct gln_backend *ref;
	struct machine *machine;
	uint32_t nr_vcpus;
	enum pattern_kind pattern;
	uint64_t pages_per_s;
	uint64_t seed;
};

struct vcpus;

/**
 * vcpus_start() - start writing.
 *
 * Return: 0; -ENOMEM, -EAGAIN if there cannot be so many threads; or what
 * gln_vcpu_register() or making the machine's vCPU said.
 */
int vcpus_start(const struct vcpus_params *params, struct vcpus **vcpus);

/**
 * vcpus_stop() - stop writing: on return no vCPU writes any more. They stay
 * registered: what they logged can be read.
 *
 * Return: 0, or the first error of a store.
 */
int vcpus_stop(struct vcpus *vcpus);

/** vcpus_destroy() - take them out of the VM and free them. They have stopped.
 */
void vcpus_destroy(struct vcpus *vcpus);

/** vcpus_count() - how many; vcpus_registered() - number @i to the library. */
uint32_t vcpus_count(const struct vcpus *vcpus);
struct gln_vcpu *vcpus_registered(const struct vcpus *vcpus, uint32_t i);

#endif
