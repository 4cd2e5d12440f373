/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.h - what the fuzz targets share: input bytes, and a VM on a backend.
 */
#ifndef GLN_TESTS_FUZZ_GUEST_H
#define GLN_TESTS_FUZZ_GUEST_H

#include <glean/ept.h>
#include <glean/glean.h>
#include <glean/mmu.h>
#include <glean/ring.h>
#include <glean/s2.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The entry point, as libFuzzer has it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** FUZZ_CHECK() - what must hold whatever the input: else abort. */
#define FUZZ_CHECK(condition, what) \
	((condition) ? (void)0      \
		     : fuzz_found(what, #condition, __FILE__, __LINE__))
_Noreturn void fuzz_found(const char *what, const char *condition,
			  const char *file, int line);

/** struct fuzz_input - bytes not used yet; zeroes follow the last. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

uint64_t fuzz_bytes(struct fuzz_input *input, unsigned int nr);
/** A number below @end, which is not 0. */
uint64_t fuzz_below(struct fuzz_input *input, uint64_t end);
/** One near 0, near @edge, or anywhere in 64 bits. */
uint64_t fuzz_near(struct fuzz_input *input, uint64_t edge);

enum { FUZZ_SLOTS = 4 };

/**
 * struct fuzz_guest - a VM, its backend and one vCPU.
 *
 * @nr_frames:	what the table translates.
 * @fail_in:	allocations until one fails; 0: none will.
 * @host_seed:	what the host answers depends on it.
 */
struct fuzz_guest {
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	struct gln_backend *backend;
	struct gln_allocator allocator;
	unsigned int page_shift;
	uint64_t nr_frames;
	bool is_ept;
	bool cpu_logs;
	bool cpu_notices;
	uint64_t fail_in;
	uint64_t host_seed;
};

/** How a guest is made, in bits of what is given to fuzz_guest_open(). */
enum {
	FUZZ_PROTECTS_ONLY = 1 << 0, /* no backend whose CPU notices writes */
	FUZZ_RINGS = 1 << 1,
};

/** fuzz_guest_open() - a backend, and options of it, as the input says. */
void fuzz_guest_open(struct fuzz_guest *guest, struct fuzz_input *input,
		     unsigned int how);
/** fuzz_guest_check() - the tree keeps its rules. */
void fuzz_guest_check(struct fuzz_guest *guest);
/** fuzz_guest_close() - all is removed, and freed. */
void fuzz_guest_close(struct fuzz_guest *guest);

#endif
