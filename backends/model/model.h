/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - what the models of all architectures share: vCPUs and their locks,
 * choices, figures, and how to reach memory by its physical address.
 *
 * Lock order: the model's, then a vCPU's. A vCPU's lock is held for the whole
 * of an access, from the walk to the store. So maintenance, which takes each in
 * turn, waits for accesses under way, as it does on hardware. A vCPU that
 * handles an exit holds no lock and may ask for maintenance itself.
 */
#ifndef GLN_BACKENDS_MODEL_MODEL_H
#define GLN_BACKENDS_MODEL_MODEL_H

#include <pthread.h>

#include <glean/model.h>

#include "core/base/atomic.h"

struct glni_model_ops;

/** enum model_count - figures of struct gln_model_stats, in its order. */
enum model_count {
	MODEL_ACCESSES,
	MODEL_TLB_HITS,
	MODEL_WALKS,
	MODEL_FAULTS,
	MODEL_MISCONFIGS,
	MODEL_LOGS_FULL,
	MODEL_KICKS,
	MODEL_FLUSH_OPS,
	MODEL_FLUSHED,
	MODEL_ACCESSED_UPDATES,
	MODEL_DIRTY_UPDATES,
	MODEL_COUNTS,
};

/**
 * struct gln_model - a machine; first in an architecture's own.
 *
 * @gone:	counted by vCPUs that are gone, and by nobody in particular.
 */
struct gln_model {
	const struct glni_model_ops *ops;
	struct gln_mmu_host host;
	uint64_t seed;
	unsigned int pause_permille;
	pthread_mutex_t lock; /* of the list, and of @gone */
	struct gln_model_vcpu *vcpus;
	uint64_t gone[MODEL_COUNTS];
};

/** Accessed states that a vCPU may owe to the table at once. */
enum { MODEL_LATE = 32 };

/** struct late - @bit is due in @entry, if it still says @seen in @same. */
struct late {
	gln_word *entry;
	uint64_t seen;
	uint64_t same;
	uint64_t bit;
};

/**
 * struct gln_model_vcpu - a vCPU; first in an architecture's own.
 *
 * @nr_waiting:	threads that want @lock: the vCPU steps back for them.
 * @count:	written under @lock, read by anybody.
 */
struct gln_model_vcpu {
	struct gln_model *model;
	struct gln_model_vcpu *next;
	uint32_t id;
	bool is_kicked;
	struct gln_ept_pml *pml;
	pthread_mutex_t lock;
	gln_word nr_waiting;
	uint64_t random;
	size_t nr_late;
	struct late late[MODEL_LATE];
	gln_word count[MODEL_COUNTS];
};

/**
 * struct glni_model_ops - an architecture.
 *
 * @vcpu_bytes:	size of its vCPU, which comes zeroed.
 * @vcpu_init:	make its TLBs.
 * @translate:	find the memory of an access: DONE and @word, or why not, with
 *		@exit's syndrome and hpfar. Under the vCPU's lock.
 */
struct glni_model_ops {
	size_t vcpu_bytes;
	void (*vcpu_init)(struct gln_model_vcpu *vcpu);
	enum gln_model_reason (*translate)(struct gln_model_vcpu *vcpu,
					   uint32_t access, gln_word **word,
					   struct gln_model_exit *exit);
};

/** A model of @model_bytes, of which struct gln_model is the first part. */
int glni_model_create(const struct gln_model_params *params,
		      const struct glni_model_ops *ops, size_t model_bytes,
		      struct gln_model **model);

/** Maintenance: lock the list; each vCPU in turn; count what was done. */
void glni_model_lock(struct gln_model *model);
void glni_model_unlock(struct gln_model *model);
void glni_model_vcpu_claim(struct gln_model_vcpu *vcpu);
void glni_model_vcpu_release(struct gln_model_vcpu *vcpu);

/** Memory at @hpa, or NULL if there is none. */
gln_word *glni_model_memory(const struct gln_model *model, uint64_t hpa);

/** Read an entry of a table, as a walk does. */
uint64_t glni_model_read_entry(gln_word *entry);

/** Add to a figure of the vCPU, whose lock is held. */
void glni_model_count(struct gln_model_vcpu *vcpu, enum model_count what,
		      uint64_t n);

/** A number that means nothing. */
uint64_t glni_model_random(struct gln_model_vcpu *vcpu);

/** True so many of 1000 times. */
bool glni_model_chance(struct gln_model_vcpu *vcpu, unsigned int permille);

/** Be slow here, sometimes: where other CPUs may get in between. */
void glni_model_pause(struct gln_model_vcpu *vcpu);

/** Does this CPU put off an accessed state this time? */
bool glni_model_is_late(struct gln_model_vcpu *vcpu);

/** Does this CPU walk although its TLB has the answer? It may at any time. */
bool glni_model_is_eager(struct gln_model_vcpu *vcpu);

/**
 * Set a bit of an entry some time before maintenance takes effect here.
 * glni_model_settle() is that time. An entry that means something else by then,
 * in the bits @same, is left alone.
 */
void glni_model_owe(struct gln_model_vcpu *vcpu, struct late late);
void glni_model_settle(struct gln_model_vcpu *vcpu);

#endif
