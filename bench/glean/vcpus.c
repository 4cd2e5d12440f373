/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpus.c - threads that write the guest, as its vCPUs would.
 *
 * A write of a page puts one value into three of its words: the first, the
 * last, and one between. No value is ever used twice, so a copy that lacks the
 * last write of a page differs from it.
 */
#include "bench/glean/vcpus.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <glean/ref.h>
#include <glean/vm.h>

#include "bench/glean/clock.h"
#include "bench/glean/copy.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/random.h"

/* A value is the vCPU's number and this many bits of its write's number. */
#define SEQUENCE_BITS 48

/* A paced vCPU sleeps so long, then makes the writes that are due. */
#define PACE_NS (NS_PER_MS / 2)

/* Writes that are overdue for longer are not made up for. */
#define BACKLOG_NS (20 * NS_PER_MS)

struct vcpu {
	struct vcpus *all;
	uint32_t id;
	pthread_t thread;
	bool started;
	int register_err;
	int store_err;
	uint64_t nr_writes;
	struct pattern pattern;
};

struct vcpus {
	struct vcpus_params params;
	double pages_per_ns; /* of one vCPU */
	atomic_bool stop;
	sem_t registered;
	struct vcpu vcpu[];
};

static bool stopped(const struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->all->stop, memory_order_relaxed);
}

static void store_word(struct vcpu *vcpu, uint64_t page, uint64_t word,
		       uint64_t value)
{
	const struct vcpus_params *params = &vcpu->all->params;
	const uint64_t page_bytes = params->guest->page_bytes;
	const uint64_t offset = word * sizeof(value);

	if (!params->ref) {
		guest_word_store(guest_page(params->guest, page) + offset,
				 value);
		return;
	}

	const uint64_t gpa = (GUEST_BASE_GFN + page) * page_bytes + offset;
	const int err = gln_ref_store(params->ref, gpa, &value, sizeof(value));

	if (err)
		vcpu->store_err = err;
}

static void write_page(struct vcpu *vcpu)
{
	const uint64_t words =
		vcpu->all->params.guest->page_bytes / sizeof(uint64_t);
	const uint64_t page = pattern_next(&vcpu->pattern);
	const uint64_t value =
		((uint64_t)vcpu->id + 1) << SEQUENCE_BITS | ++vcpu->nr_writes;

	store_word(vcpu, page, 0, value);
	store_word(vcpu, page, 1 + random_mix(value) % (words - 2), value);
	store_word(vcpu, page, words - 1, value);
}

static void write_unlimited(struct vcpu *vcpu)
{
	while (!stopped(vcpu))
		write_page(vcpu);
}

static void write_paced(struct vcpu *vcpu)
{
	const double per_ns = vcpu->all->pages_per_ns;
	const struct timespec pace = {.tv_nsec = PACE_NS};
	uint64_t last_ns = clock_ns();
	double due = 0;

	while (!stopped(vcpu)) {
		const uint64_t now_ns = clock_ns();
		const uint64_t gone_ns = now_ns - last_ns;

		last_ns = now_ns;
		due += per_ns *
		       (double)(gone_ns < BACKLOG_NS ? gone_ns : BACKLOG_NS);
		for (; due >= 1 && !stopped(vcpu); due--)
			write_page(vcpu);
		nanosleep(&pace, NULL);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct gln_vcpu *registered;

	interrupt_block();
	const int err =
		gln_vcpu_register(vcpu->all->params.vm, vcpu->id, &registered);

	vcpu->register_err = err;
	sem_post(&vcpu->all->registered);
	if (err)
		return NULL;

	if (vcpu->all->params.pages_per_s)
		write_paced(vcpu);
	else
		write_unlimited(vcpu);
	gln_vcpu_unregister(registered);
	return NULL;
}

/* Room for all vCPUs, none of them running. */
static struct vcpus *vcpus_alloc(const struct vcpus_params *params)
{
	const uint32_t nr = params->nr_vcpus;
	struct vcpus *vcpus =
		calloc(1, sizeof(*vcpus) + nr * sizeof(vcpus->vcpu[0]));
	struct pattern pattern;

	if (!vcpus)
		return NULL;
	vcpus->params = *params;
	vcpus->pages_per_ns =
		(double)params->pages_per_s / nr / (double)NS_PER_S;
	atomic_init(&vcpus->stop, false);
	sem_init(&vcpus->registered, 0, 0);

	pattern_init(&pattern, params->pattern, params->guest->nr_pages,
		     params->seed);
	for (uint32_t i = 0; i < nr; i++) {
		pattern_set_vcpu(&pattern, i, nr);
		vcpus->vcpu[i] = (struct vcpu){
			.all = vcpus,
			.id = i,
			.pattern = pattern,
		};
	}
	return vcpus;
}

/* Start threads up to the first that fails; tell how many run. */
static int start_threads(struct vcpus *vcpus, uint32_t *nr_started)
{
	uint32_t nr = 0;
	int err = 0;

	for (; nr < vcpus->params.nr_vcpus; nr++) {
		struct vcpu *vcpu = &vcpus->vcpu[nr];

		err = -pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
		if (err)
			break;
		vcpu->started = true;
	}
	*nr_started = nr;
	return err;
}

/* The first error of registering. They come in any order: wait for all. */
static int wait_registered(struct vcpus *vcpus, uint32_t nr_started)
{
	int err = 0;

	for (uint32_t i = 0; i < nr_started; i++) {
		while (sem_wait(&vcpus->registered) && errno == EINTR)
			;
	}
	for (uint32_t i = 0; i < nr_started && !err; i++)
		err = vcpus->vcpu[i].register_err;
	return err;
}

int vcpus_stop(struct vcpus *vcpus)
{
	int err = 0;

	atomic_store_explicit(&vcpus->stop, true, memory_order_relaxed);
	for (uint32_t i = 0; i < vcpus->params.nr_vcpus; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		if (!vcpu->started)
			continue;
		pthread_join(vcpu->thread, NULL);
		if (!err)
			err = vcpu->store_err;
	}
	sem_destroy(&vcpus->registered);
	free(vcpus);
	return err;
}

int vcpus_start(const struct vcpus_params *params, struct vcpus **vcpus)
{
	struct vcpus *made = vcpus_alloc(params);

	if (!made)
		return -ENOMEM;

	uint32_t nr_started;
	int err = start_threads(made, &nr_started);
	const int register_err = wait_registered(made, nr_started);

	if (!err)
		err = register_err;
	if (!err) {
		*vcpus = made;
		return 0;
	}
	vcpus_stop(made);
	return err;
}
