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
struct gln_vm;

/** Most vCPUs of a guest: each is a thread. */
#define VCPUS_MAX 256U

/**
 * struct vcpus_params - how the guest is written.
 *
 * @ref:	the oracle, through which its guests must store; NULL stores to
 *		memory directly, and leaves it to the MMU to notice.
 * @pages_per_s: writes of pages a second, all vCPUs together; 0 is unlimited.
 */
struct vcpus_params {
	struct gln_vm *vm;
	const struct guest *guest;
	struct gln_backend *ref;
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
 * gln_vcpu_register() said.
 */
int vcpus_start(const struct vcpus_params *params, struct vcpus **vcpus);

/**
 * vcpus_stop() - stop writing: on return no vCPU writes any more. Frees @vcpus.
 *
 * Return: 0, or the first error of a store.
 */
int vcpus_stop(struct vcpus *vcpus);

#endif
