/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpus.c - threads that write the guest, as its vCPUs would.
 *
 * A write of a page puts one value into three of its words: the first, the
 * last, and one between. No value is ever used twice, so a copy that lacks the
 * last write of a page differs from it.
 *
 * On a machine they also load and fetch now and then, so that its tables see
 * all three kinds of access.
 */
#include "bench/glean/vcpus.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <glean/backend.h>
#include <glean/ref.h>
#include <glean/vm.h>

#include "bench/glean/clock.h"
#include "bench/glean/copy.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/machine.h"
#include "bench/glean/random.h"

/* A value is the vCPU's number and this many bits of its write's number. */
#define SEQUENCE_BITS 48

/* A paced vCPU sleeps so long, then makes the writes that are due. */
#define PACE_NS (NS_PER_MS / 2)

/* Writes that are overdue for longer are not made up for. */
#define BACKLOG_NS (20 * NS_PER_MS)

/* Of so many page writes on a machine, one comes with a load or a fetch. */
#define WRITES_PER_READ 32

/*
 * A machine's guest reads one page in so many bytes before it starts to write:
 * what it runs on is mapped then, by blocks where it may be.
 */
#define BOOT_BYTES (UINT64_C(2) << 20)

/**
 * struct vcpu - one of them.
 *
 * @err:	the first error of an access; it has ended then.
 */
struct vcpu {
	struct vcpus *all;
	uint32_t id;
	pthread_t thread;
	bool started;
	struct gln_vcpu *registered;
	struct machine_vcpu *cpu; /* on a machine */
	int create_err;
	int err;
	uint64_t nr_writes;
	struct pattern pattern;
};

struct vcpus {
	struct vcpus_params params;
	double pages_per_ns; /* of one vCPU */
	atomic_bool stop;
	sem_t created; /* by each vCPU, or it failed */
	struct vcpu vcpu[];
};

static bool stopped(const struct vcpu *vcpu)
{
	return atomic_load_explicit(&vcpu->all->stop, memory_order_relaxed);
}

/* It goes on writing until it is told to stop, or cannot. */
static bool goes_on(const struct vcpu *vcpu)
{
	return !vcpu->err && !stopped(vcpu);
}

static uint64_t gpa_of(const struct vcpu *vcpu, uint64_t page, uint64_t offset)
{
	const struct guest *guest = vcpu->all->params.guest;

	return (guest->base + page) * guest->page_bytes + offset;
}

static void note(struct vcpu *vcpu, int err)
{
	/* An access that was given up was not made, which is no error. */
	if (err && err != -ECANCELED && !vcpu->err)
		vcpu->err = err;
}

static void store_word(struct vcpu *vcpu, uint64_t page, uint64_t word,
		       uint64_t value)
{
	const struct vcpus_params *params = &vcpu->all->params;
	const uint64_t offset = word * sizeof(value);
	const uint64_t gpa = gpa_of(vcpu, page, offset);

	if (vcpu->cpu)
		note(vcpu,
		     machine_access(vcpu->cpu, gpa, GLN_ACCESS_WRITE, &value));
	else if (params->ref)
		note(vcpu,
		     gln_ref_store(params->ref, gpa, &value, sizeof(value)));
	else
		guest_word_store(guest_page(params->guest, page) + offset,
				 value);
}

/* Load from a page, or fetch from it: any page, chosen by @random. */
static void read_page(struct vcpu *vcpu, uint64_t random)
{
	const uint64_t page = random % vcpu->all->params.guest->nr_pages;
	const uint32_t access =
		random >> 63 ? GLN_ACCESS_EXEC : GLN_ACCESS_READ;
	uint64_t value;

	note(vcpu,
	     machine_access(vcpu->cpu, gpa_of(vcpu, page, 0), access, &value));
}

static void write_page(struct vcpu *vcpu)
{
	const uint64_t words =
		vcpu->all->params.guest->page_bytes / sizeof(uint64_t);
	const uint64_t page = pattern_next(&vcpu->pattern);
	const uint64_t value =
		((uint64_t)vcpu->id + 1) << SEQUENCE_BITS | ++vcpu->nr_writes;
	const uint64_t random = random_mix(value);

	store_word(vcpu, page, 0, value);
	store_word(vcpu, page, 1 + random % (words - 2), value);
	store_word(vcpu, page, words - 1, value);
	if (vcpu->cpu && vcpu->nr_writes % WRITES_PER_READ == 0)
		read_page(vcpu, random);
}

/* Nothing to do for a while: a machine's vCPU leaves the guest. */
static void halt(struct vcpu *vcpu)
{
	if (vcpu->cpu)
		machine_halt(vcpu->cpu);
}

static void write_unlimited(struct vcpu *vcpu)
{
	while (goes_on(vcpu))
		write_page(vcpu);
}

static void write_paced(struct vcpu *vcpu)
{
	const double per_ns = vcpu->all->pages_per_ns;
	const struct timespec pace = {.tv_nsec = PACE_NS};
	uint64_t last_ns = clock_ns();
	double due = 0;

	while (goes_on(vcpu)) {
		const uint64_t now_ns = clock_ns();
		const uint64_t gone_ns = now_ns - last_ns;

		last_ns = now_ns;
		due += per_ns *
		       (double)(gone_ns < BACKLOG_NS ? gone_ns : BACKLOG_NS);
		for (; due >= 1 && goes_on(vcpu); due--)
			write_page(vcpu);
		halt(vcpu);
		nanosleep(&pace, NULL);
	}
}

/* Its part of the guest is mapped before anything else happens. */
static void boot(struct vcpu *vcpu)
{
	const struct guest *guest = vcpu->all->params.guest;
	const uint64_t step = vcpu->all->params.nr_vcpus * BOOT_BYTES;
	const uint64_t end = guest->nr_pages * guest->page_bytes;
	uint64_t value;

	for (uint64_t at = vcpu->id * BOOT_BYTES; at < end && goes_on(vcpu);
	     at += step)
		note(vcpu, machine_access(vcpu->cpu, gpa_of(vcpu, 0, at),
					  GLN_ACCESS_READ, &value));
}

/* On its own thread, which it is registered for. */
static int create(struct vcpu *vcpu)
{
	const struct vcpus_params *params = &vcpu->all->params;
	int err = gln_vcpu_register(params->vm, vcpu->id, &vcpu->registered);

	if (err || !params->machine)
		return err;
	err = machine_vcpu_create(params->machine, vcpu->id, vcpu->registered,
				  &vcpu->all->stop, &vcpu->cpu);
	if (!err)
		boot(vcpu);
	return err;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	interrupt_block();
	vcpu->create_err = create(vcpu);
	sem_post(&vcpu->all->created);
	if (vcpu->create_err)
		return NULL;

	if (vcpu->all->params.pages_per_s)
		write_paced(vcpu);
	else
		write_unlimited(vcpu);
	halt(vcpu);
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
	sem_init(&vcpus->created, 0, 0);

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

/* The first error of creating. They come in any order: wait for all. */
static int wait_created(struct vcpus *vcpus, uint32_t nr_started)
{
	int err = 0;

	for (uint32_t i = 0; i < nr_started; i++) {
		while (sem_wait(&vcpus->created) && errno == EINTR)
			;
	}
	for (uint32_t i = 0; i < nr_started && !err; i++)
		err = vcpus->vcpu[i].create_err;
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
		vcpu->started = false;
		if (!err)
			err = vcpu->err;
	}
	return err;
}

void vcpus_destroy(struct vcpus *vcpus)
{
	for (uint32_t i = 0; i < vcpus->params.nr_vcpus; i++) {
		struct vcpu *vcpu = &vcpus->vcpu[i];

		if (vcpu->cpu)
			machine_vcpu_destroy(vcpu->cpu);
		if (vcpu->registered)
			gln_vcpu_unregister(vcpu->registered);
	}
	sem_destroy(&vcpus->created);
	free(vcpus);
}

uint32_t vcpus_count(const struct vcpus *vcpus)
{
	return vcpus->params.nr_vcpus;
}

struct gln_vcpu *vcpus_registered(const struct vcpus *vcpus, uint32_t i)
{
	return vcpus->vcpu[i].registered;
}

int vcpus_start(const struct vcpus_params *params, struct vcpus **vcpus)
{
	struct vcpus *made = vcpus_alloc(params);

	if (!made)
		return -ENOMEM;

	uint32_t nr_started;
	int err = start_threads(made, &nr_started);
	const int create_err = wait_created(made, nr_started);

	if (!err)
		err = create_err;
	if (!err) {
		*vcpus = made;
		return 0;
	}
	vcpus_stop(made);
	vcpus_destroy(made);
	return err;
}
