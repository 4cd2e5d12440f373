/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - vCPUs of a modelled machine, whatever its architecture.
 */
#include "backends/model/model.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/assert.h"

_Static_assert(sizeof(struct gln_model_stats) ==
		       offsetof(struct gln_model_stats, accesses) +
			       MODEL_COUNTS * sizeof(uint64_t),
	       "a figure for each count");
_Static_assert(offsetof(struct gln_model_stats, dirty_updates) ==
		       offsetof(struct gln_model_stats, accesses) +
			       MODEL_DIRTY_UPDATES * sizeof(uint64_t),
	       "in the same order");

/* Choices. */

/* splitmix64: every seed is a good one, 0 included. */
uint64_t glni_model_random(struct gln_model_vcpu *vcpu)
{
	uint64_t x = vcpu->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

bool glni_model_chance(struct gln_model_vcpu *vcpu, unsigned int permille)
{
	return permille && glni_model_random(vcpu) % 1000 < permille;
}

/*
 * A yield is nothing where a CPU is idle, and a sleep is long: tens of
 * microseconds, in which another thread gets through a whole harvest.
 */
void glni_model_pause(struct gln_model_vcpu *vcpu)
{
	const struct timespec shortest = {.tv_nsec = 1};

	if (!glni_model_chance(vcpu, vcpu->model->pause_permille))
		return;
	if (glni_model_random(vcpu) & 3)
		sched_yield();
	else
		nanosleep(&shortest, NULL);
}

/* How often an access brings in beforehand what the table says by now. */
enum { EAGER_PERMILLE = 100 };

/* A machine that is never slow is neither late nor eager: tests count on it. */
bool glni_model_is_late(struct gln_model_vcpu *vcpu)
{
	return vcpu->model->pause_permille && (glni_model_random(vcpu) & 1);
}

bool glni_model_is_eager(struct gln_model_vcpu *vcpu)
{
	return vcpu->model->pause_permille &&
	       glni_model_chance(vcpu, EAGER_PERMILLE);
}

/* Figures. */

void glni_model_count(struct gln_model_vcpu *vcpu, enum model_count what,
		      uint64_t n)
{
	gln_count(&vcpu->count[what], n);
}

/* Memory. */

gln_word *glni_model_memory(const struct gln_model *model, uint64_t hpa)
{
	const struct gln_mmu_host *host = &model->host;

	if (host->memory_at)
		return host->memory_at(host->ctx, hpa);
	return (gln_word *)(uintptr_t)hpa;
}

uint64_t glni_model_read_entry(gln_word *entry)
{
	/*
	 * sync model.1 (acquire) <- radix.2, radix.3: a walk follows the
	 * address in the entry, and so sees the table as it was when it was
	 * linked in; else it reads what that memory held before.
	 */
	return gln_load_acquire(entry);
}

/* Accessed states that are not written yet. */

/*
 * A CPU that writes a state back looks again at what it writes to: the entry
 * may have been emptied, or may map something else by now.
 *
 * Relaxed: whoever takes the bit needs nothing that came before it.
 */
static void write_back(struct gln_model_vcpu *vcpu, const struct late *late)
{
	uint64_t seen = gln_load_relaxed(late->entry);

	while (!((seen ^ late->seen) & late->same) && !(seen & late->bit)) {
		if (gln_cas_strong_relaxed(late->entry, &seen,
					   seen | late->bit)) {
			glni_model_count(vcpu, MODEL_ACCESSED_UPDATES, 1);
			return;
		}
	}
}

void glni_model_settle(struct gln_model_vcpu *vcpu)
{
	for (size_t i = 0; i < vcpu->nr_late; i++)
		write_back(vcpu, &vcpu->late[i]);
	vcpu->nr_late = 0;
}

void glni_model_owe(struct gln_model_vcpu *vcpu, struct late late)
{
	if (vcpu->nr_late == MODEL_LATE)
		glni_model_settle(vcpu);
	vcpu->late[vcpu->nr_late++] = late;
}

/* Locks. */

void glni_model_lock(struct gln_model *model)
{
	pthread_mutex_lock(&model->lock);
}

void glni_model_unlock(struct gln_model *model)
{
	pthread_mutex_unlock(&model->lock);
}

/*
 * A mutex alone would let a vCPU that makes one access after the other keep
 * others waiting for ever. Relaxed: the count is a request, the mutex decides.
 */
void glni_model_vcpu_claim(struct gln_model_vcpu *vcpu)
{
	gln_fetch_add_relaxed(&vcpu->nr_waiting, 1);
	pthread_mutex_lock(&vcpu->lock);
	gln_fetch_add_relaxed(&vcpu->nr_waiting, UINT64_MAX);
}

void glni_model_vcpu_release(struct gln_model_vcpu *vcpu)
{
	pthread_mutex_unlock(&vcpu->lock);
}

static void enter(struct gln_model_vcpu *vcpu)
{
	/* Relaxed: see glni_model_vcpu_claim(). */
	while (gln_load_relaxed(&vcpu->nr_waiting))
		sched_yield();
	pthread_mutex_lock(&vcpu->lock);
}

/* Accesses. */

enum { ACCESS_BYTES = 8 };

/* Relaxed: a guest's own ordering is the guest's business, and it has none. */
static void transfer(gln_word *word, uint32_t access, uint64_t *value)
{
	if (access == GLN_ACCESS_WRITE)
		gln_store_relaxed(word, *value);
	else
		*value = gln_load_relaxed(word);
}

static enum gln_model_reason access_once(struct gln_model_vcpu *vcpu,
					 uint32_t access, uint64_t *value,
					 struct gln_model_exit *exit)
{
	enum gln_model_reason reason;
	gln_word *word;

	if (vcpu->is_kicked) {
		vcpu->is_kicked = false;
		return GLN_MODEL_KICKED;
	}
	reason = vcpu->model->ops->translate(vcpu, access, &word, exit);
	if (reason == GLN_MODEL_DONE)
		transfer(word, access, value);
	return reason;
}

bool gln_model_access(struct gln_model_vcpu *vcpu, uint64_t gpa,
		      uint32_t access, uint64_t *value,
		      struct gln_model_exit *exit)
{
	static const enum model_count counts[] = {
		[GLN_MODEL_DONE] = MODEL_ACCESSES,
		[GLN_MODEL_FAULT] = MODEL_FAULTS,
		[GLN_MODEL_MISCONFIG] = MODEL_MISCONFIGS,
		[GLN_MODEL_LOG_FULL] = MODEL_LOGS_FULL,
		[GLN_MODEL_KICKED] = MODEL_KICKS,
		[GLN_MODEL_NO_SEGMENT] = MODEL_FAULTS,
	};

	gln_assert(gpa % ACCESS_BYTES == 0);
	gln_assert(access == GLN_ACCESS_READ || access == GLN_ACCESS_WRITE ||
		   access == GLN_ACCESS_EXEC);

	*exit = (struct gln_model_exit){.gpa = gpa};
	enter(vcpu);
	exit->reason = access_once(vcpu, access, value, exit);
	glni_model_count(vcpu, counts[exit->reason], 1);
	pthread_mutex_unlock(&vcpu->lock);

	return exit->reason == GLN_MODEL_DONE;
}

void gln_model_kick(void *ctx)
{
	struct gln_model *model = ctx;

	glni_model_lock(model);
	for (struct gln_model_vcpu *vcpu = model->vcpus; vcpu;
	     vcpu = vcpu->next) {
		glni_model_vcpu_claim(vcpu);
		vcpu->is_kicked = true;
		glni_model_vcpu_release(vcpu);
	}
	glni_model_unlock(model);
}

/* vCPUs come and go. */

static struct gln_model_vcpu **find_vcpu(struct gln_model *model, uint32_t id)
{
	struct gln_model_vcpu **at = &model->vcpus;

	while (*at && (*at)->id != id)
		at = &(*at)->next;

	return at;
}

static struct gln_model_vcpu *alloc_vcpu(struct gln_model *model, uint32_t id)
{
	struct gln_model_vcpu *vcpu = calloc(1, model->ops->vcpu_bytes);

	if (!vcpu)
		return NULL;

	vcpu->model = model;
	vcpu->id = id;
	vcpu->random = model->seed ^ (uint64_t)id << 32;
	pthread_mutex_init(&vcpu->lock, NULL);
	model->ops->vcpu_init(vcpu);
	return vcpu;
}

static void free_vcpu(struct gln_model_vcpu *vcpu)
{
	pthread_mutex_destroy(&vcpu->lock);
	free(vcpu);
}

int gln_model_vcpu_create(struct gln_model *model, uint32_t id,
			  struct gln_ept_pml *pml,
			  struct gln_model_vcpu **theirs)
{
	struct gln_model_vcpu *vcpu = alloc_vcpu(model, id);
	struct gln_model_vcpu **at;
	int err = 0;

	if (!vcpu)
		return -ENOMEM;
	vcpu->pml = pml;

	glni_model_lock(model);
	at = find_vcpu(model, id);
	if (*at)
		err = -EEXIST;
	else
		*at = vcpu;
	glni_model_unlock(model);

	if (err)
		free_vcpu(vcpu);
	else
		*theirs = vcpu;
	return err;
}

/* What it still owes the table it does not pay: the table may be gone. */
void gln_model_vcpu_destroy(struct gln_model_vcpu *vcpu)
{
	struct gln_model *const model = vcpu->model;

	glni_model_lock(model);
	*find_vcpu(model, vcpu->id) = vcpu->next;
	for (unsigned int i = 0; i < MODEL_COUNTS; i++)
		/* Relaxed: nobody counts any more. */
		model->gone[i] += gln_load_relaxed(&vcpu->count[i]);
	glni_model_unlock(model);
	free_vcpu(vcpu);
}

/* The machine. */

int glni_model_create(const struct gln_model_params *params,
		      const struct glni_model_ops *ops, size_t model_bytes,
		      struct gln_model **theirs)
{
	struct gln_model *model;

	if (params->struct_bytes != sizeof(*params))
		return -EINVAL;

	model = calloc(1, model_bytes);
	if (!model)
		return -ENOMEM;

	model->ops = ops;
	if (params->host)
		model->host = *params->host;
	model->seed = params->seed;
	model->pause_permille = params->pause_permille;
	pthread_mutex_init(&model->lock, NULL);
	*theirs = model;
	return 0;
}

void gln_model_destroy(struct gln_model *model)
{
	if (!model)
		return;
	gln_assert(!model->vcpus);
	pthread_mutex_destroy(&model->lock);
	free(model);
}

static void sum_counts(struct gln_model *model, uint64_t *sums)
{
	glni_model_lock(model);
	for (unsigned int i = 0; i < MODEL_COUNTS; i++) {
		sums[i] = model->gone[i];
		for (struct gln_model_vcpu *vcpu = model->vcpus; vcpu;
		     vcpu = vcpu->next)
			/* Relaxed: figures may be some accesses apart. */
			sums[i] += gln_load_relaxed(&vcpu->count[i]);
	}
	glni_model_unlock(model);
}

int gln_model_stats(struct gln_model *model, struct gln_model_stats *stats)
{
	const size_t head = offsetof(struct gln_model_stats, accesses);
	uint64_t sums[MODEL_COUNTS];
	const size_t bytes = stats->struct_bytes;

	if (bytes < head || bytes > sizeof(*stats))
		return -EINVAL;

	sum_counts(model, sums);
	memcpy((char *)stats + head, sums, bytes - head);
	return 0;
}
