/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_guest.h - a guest on any backend: memory, copies of it, writers.
 *
 * The oracle of all tests built on it is the content. Writers put growing
 * values into guest memory; whoever harvests copies what is reported; when the
 * writers rest and a last harvest is done, every copy must equal its source.
 */
#ifndef TESTS_SUPPORT_STRESS_GUEST_H
#define TESTS_SUPPORT_STRESS_GUEST_H

#include <pthread.h>

#include <glean/glean.h>

#include "core/base/atomic.h"
#include "tests/support/soft_mmu.h"
#include "tests/support/stress_frame.h"

struct guest;

enum {
	GUEST_MAX_SLOTS = 8,
	GUEST_MAX_WRITERS = 16,
};

/**
 * struct guest_slot_params - a slot of a guest.
 *
 * @joins:	its memory begins where that of the slot before it ends.
 */
struct guest_slot_params {
	uint32_t id;
	gln_gfn base;
	uint64_t nr_pages;
	bool joins;
};

/**
 * struct guest_slot - and what is known of it.
 *
 * @copied:	a byte a page: copied since somebody last cleared it.
 * @fetched:	a byte a page: came out of a ring and was not copied yet.
 * @mapping:	what was mapped for it and those that join; NULL in those.
 */
struct guest_slot {
	uint32_t id;
	gln_gfn base;
	uint64_t nr_pages;
	gln_word *memory;
	uint64_t *copy;
	uint8_t *copied;
	uint8_t *fetched;
	void *mapping;
	size_t mapping_bytes;
};

/**
 * struct guest_params - how to make a guest.
 *
 * @machine:	"ref", "pagemap-scan", "uffd", "mprotect", "soft", "explicit"
 *		for none: stores are followed by explicit marks; or a modelled
 *		MMU, see stress_models.c.
 * @vm_flags:	GLN_VM_*.
 * @huge:	ask for huge pages, else for none.
 * @allocator:	for the VM, or NULL.
 */
struct guest_params {
	const char *machine;
	uint32_t vm_flags;
	bool huge;
	struct soft_mmu_params soft;
	const struct gln_allocator *allocator;
	const struct guest_slot_params *slots;
	size_t nr_slots;
};

struct machine;
struct hpt_guest;
struct stress_hpt_cpu;

/**
 * struct guest - what guest_open() made.
 *
 * @how:	which machine this is and why, in words.
 */
struct guest {
	const struct machine *machine;
	struct gln_backend *backend; /* NULL for "explicit" */
	struct soft_mmu *soft;	     /* NULL for others */
	struct gln_model *model;     /* likewise */
	struct hpt_guest *kernel;    /* likewise: stress_hpt.c */
	struct gln_vm *vm;
	unsigned int page_shift;
	unsigned int page_words;
	size_t nr_slots;
	struct guest_slot slots[GUEST_MAX_SLOTS];
	bool has_rings;
	pthread_mutex_t rings_lock; /* cursors, and slots' @fetched */
	struct gln_ring_cursor rings[GUEST_MAX_WRITERS + 1];
	char how[GLN_REASON_BYTES];
};

/** guest_page_shift() - of a machine's guests. */
unsigned int guest_page_shift(const char *machine);
/** guest_nr_frames() - how many they may have. */
uint64_t guest_nr_frames(const char *machine);

/**
 * guest_open() - make it, with all slots added and none logged. Leaves the
 * program with a skip if the machine is not to be had here.
 */
void guest_open(struct guest *guest, const struct guest_params *params);
/** guest_close() - the VM goes with its slots; logging may be on. */
void guest_close(struct guest *guest);

/** guest_add_slot() - (again) add @slot to the VM. Return: as gln_slot_add().
 */
int guest_add_slot(struct guest *guest, const struct guest_slot *slot);

/** struct guest_cpu - a vCPU; each belongs to a thread. */
struct guest_cpu {
	struct guest *guest;
	struct gln_vcpu *vcpu;
	struct soft_vcpu *soft;
	struct gln_model_vcpu *modelled;
	struct stress_hpt_cpu *power; /* likewise */
	unsigned int index;
	struct stress_random random;
	gln_word nr_stores;
	uint64_t sequence; /* for whatever the writer counts */
	void *ctx;
};

/** guest_cpu_init() - on the thread that will use it; not yet entered. */
void guest_cpu_init(struct guest_cpu *cpu, struct guest *guest,
		    unsigned int index, uint64_t seed);
void guest_cpu_fini(struct guest_cpu *cpu);

/** guest_cpu_enter() - stores may follow; guest_cpu_leave() - may not. */
void guest_cpu_enter(struct guest_cpu *cpu);
void guest_cpu_leave(struct guest_cpu *cpu);

/**
 * guest_store() - the vCPU stores @value to the @word-th word of a page.
 *
 * Return: 0; -EFAULT if the machine found no such slot (it may have gone).
 */
int guest_store(struct guest_cpu *cpu, const struct guest_slot *slot,
		uint64_t page, unsigned int word, uint64_t value);

/** guest_load() - what the page holds now. */
uint64_t guest_load(const struct guest *guest, const struct guest_slot *slot,
		    uint64_t page, unsigned int word);

/**
 * guest_drain_rings() - fetch from all rings into @fetched of the slots, and
 * reset. Any thread. Return: entries that are free now.
 */
uint64_t guest_drain_rings(struct guest *guest);

/** guest_over_reported() - pages the backend admits to have invented (G2). */
uint64_t guest_over_reported(const struct guest *guest);

/** guest_copy() - copy frames of a slot; the range must lie in it. */
void guest_copy(const struct guest *guest, struct guest_slot *slot,
		struct gln_range range);
/** guest_copy_all() - copy the slot. */
void guest_copy_all(const struct guest *guest, struct guest_slot *slot);

/** guest_strategy() - another at each call, so that all are under stress. */
enum gln_harvest_strategy guest_strategy(void);

/** guest_harvest() - take everything, copy it, commit. Return: pages taken. */
uint64_t guest_harvest(const struct guest *guest, struct guest_slot *slot);

/** guest_count_lost() - pages of a slot whose copy differs. */
uint64_t guest_count_lost(const struct guest *guest,
			  const struct guest_slot *slot);

/** What a writer does, over and over. */
typedef void (*guest_step)(struct guest_cpu *cpu);

/** struct guest_writers - threads that write while they are let. */
struct guest_writers {
	struct guest *guest;
	guest_step step;
	void *ctx;
	uint64_t seed;
	unsigned int nr;
	pthread_t threads[GUEST_MAX_WRITERS];
	struct guest_cpu cpus[GUEST_MAX_WRITERS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	_Atomic uint32_t wish; /* enum in the .c */
	unsigned int nr_resting;
};

/** guest_writers_start() - @nr threads, at rest. */
void guest_writers_start(struct guest_writers *writers, struct guest *guest,
			 unsigned int nr, guest_step step, void *ctx,
			 uint64_t seed);
/** guest_writers_run() - off they go; guest_writers_rest() - all at rest. */
void guest_writers_run(struct guest_writers *writers);
void guest_writers_rest(struct guest_writers *writers);
/** guest_writers_stop() - join the threads, which must be at rest. */
void guest_writers_stop(struct guest_writers *writers);
/** guest_writers_stores() - stores so far, of all. */
uint64_t guest_writers_stores(struct guest_writers *writers);

#endif
