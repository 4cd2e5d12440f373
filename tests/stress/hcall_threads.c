/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hcall_threads.c - hypercalls of several vCPUs at once: is there an order of
 * them, one after the other, in which an oracle answers the same?
 *
 * Rounds of a few calls on two groups. Each call draws a ticket before and
 * after: one that ended before another began comes before it. All orders are
 * tried that leave this so, until one gives what every call returned and what
 * the table is when all is done; then the round was linearisable.
 *
 * Some calls are several steps, each of which has its own place in the order:
 * the requests of H_BULK_REMOVE; the entries of an H_READ of four; an H_ENTER
 * that found its group full found its eight entries used one by one. Which free
 * entry an H_ENTER takes is its own choice.
 *
 * Meanwhile the host takes pages back, ages and harvests them, and vCPUs fault
 * them in: a guest sees nothing of that.
 *
 *	hcall_threads [--ms N] [--threads N] [--seed N] [--isa 207|300]
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hpt_oracle.h"
#include "tests/support/hpt_rig.h"
#include "tests/support/stress_frame.h"

typedef unsigned long long ull;

enum {
	MAX_THREADS = 8,
	MAX_CALLS = 6,	  /* of a thread in a round */
	ROUND_CALLS = 14, /* of all threads, about */
	MAX_STEPS = MAX_CALLS * ORACLE_GROUP,
	NR_HOT = 2 * ORACLE_GROUP,
	NR_NAMES = 4, /* virtual pages of a group */
	ORDER = 18,
	VISITED = 1 << 16, /* states that a search remembers */
	VISITED_MAX = VISITED / 2,
	DISTURB_NS = 30000,
	MIN_ROUNDS = 100,
	ISA_2_07 = 207,
	ISA_3_0 = 300,
};

#define SLOT_BYTES (UINT64_C(16) << RIG_SHIFT)
#define MMIO_GPA   (UINT64_C(1) << 30)

/** struct step - what must have been done at one moment. */
struct step {
	uint64_t nr;
	uint64_t args[GLN_HCALL_ARGS];
	int64_t code;
	uint64_t rets[GLN_HCALL_ARGS];
	uint64_t began, ended; /* tickets of its call */
};

/** struct call - as it was made. */
struct call {
	uint64_t nr;
	uint64_t args[GLN_HCALL_ARGS];
	uint64_t rets[GLN_HCALL_ARGS];
	int64_t code;
	uint64_t began, ended;
};

struct stage;

/** struct worker - a vCPU. */
struct worker {
	struct stage *stage;
	pthread_t thread;
	unsigned int index;
	struct stress_random random;
	unsigned int nr_calls;
	struct call calls[MAX_CALLS];
	unsigned int nr_steps;
	struct step steps[MAX_STEPS];
};

/** struct stage - everything. */
struct stage {
	struct hpt_rig rig;
	struct oracle oracle;
	struct stress_random random;
	uint64_t seed, round;
	unsigned int nr_workers;
	struct worker workers[MAX_THREADS];
	pthread_t disturber;
	_Atomic uint32_t is_over;
	gln_word go;	/* the round that is under way */
	gln_word ready; /* who has begun it, all rounds */
	gln_word done;	/* who has ended it, all rounds */
	gln_word ticket;
	struct oracle_entry final[NR_HOT];
	uint64_t visited[VISITED];
	unsigned int nr_visited;
	uint64_t nr_calls, nr_overlaps, nr_full, nr_tried, nr_cut;
};

/* Callbacks of the MMU: slow, now and then, with entries locked. */

static void linger(void)
{
	static _Thread_local uint64_t turn;
	const uint64_t lot = turn++ * UINT64_C(0x9e3779b97f4a7c15) >> 60;

	if (lot < 4)
		sched_yield();
	for (volatile uint64_t i = 0; i < lot * 16; i++)
		;
}

static void tlbie(void *rig, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)rig;
	(void)ops;
	(void)nr;
	linger();
}

static void flush_all(void *rig, uint32_t lpid)
{
	(void)rig;
	(void)lpid;
}

/* What is called. */

/* 256M segments whose hash is the page's number, as far as groups go. */
static uint64_t name_slb(uint64_t name)
{
	return (name << 20) << GLN_SLB_VSID_SHIFT;
}

static uint64_t name_v(uint64_t name, uint64_t group)
{
	return oracle_vpn(name_slb(name), group << RIG_SHIFT);
}

static uint64_t hot_index(struct stress_random *random)
{
	/* Half of all calls meet at four entries. */
	return stress_chance(random, 500) ? stress_below(random, 4)
					  : stress_below(random, NR_HOT);
}

static void make_enter(struct stress_random *random, uint64_t *args)
{
	const uint64_t index = hot_index(random);
	const uint64_t page = stress_below(random, 3);

	args[0] = stress_chance(random, 400) ? GLN_H_EXACT : 0;
	args[1] = index;
	args[2] = name_v(stress_below(random, NR_NAMES), index / ORACLE_GROUP) |
		  GLN_HPTE_V_VALID |
		  (stress_chance(random, 200) ? GLN_HPTE_V_BOLTED : 0);
	args[3] = (page == 2 ? MMIO_GPA : page << RIG_SHIFT) | GLN_HPTE_R_M |
		  (stress_random(random) &
		   (GLN_HPTE_R_PP | GLN_HPTE_R_R | GLN_HPTE_R_C));
}

static void make_bulk(struct stress_random *random, uint64_t *args)
{
	const unsigned int nr =
		1 + (unsigned int)stress_below(random, ORACLE_MAX_BULK);

	for (unsigned int i = 0; i < nr; i++) {
		const uint64_t index = hot_index(random);

		args[2 * i] = UINT64_C(1) << 62 |
			      stress_below(random, 3) << 56 | index;
		args[2 * i + 1] = name_v(stress_below(random, NR_NAMES),
					 index / ORACLE_GROUP);
	}
	if (nr < ORACLE_MAX_BULK)
		args[2 * nr] = UINT64_C(3) << 62;
}

static void make_call(struct stress_random *random, struct call *call)
{
	static const uint64_t numbers[] = {
		GLN_H_ENTER,	   GLN_H_ENTER,	  GLN_H_ENTER,
		GLN_H_ENTER,	   GLN_H_REMOVE,  GLN_H_REMOVE,
		GLN_H_BULK_REMOVE, GLN_H_PROTECT, GLN_H_PROTECT,
		GLN_H_READ,	   GLN_H_READ,	  GLN_H_CLEAR_REF,
		GLN_H_CLEAR_MOD,
	};
	uint64_t *const args = call->args;

	memset(call, 0, sizeof(*call));
	call->nr = numbers[stress_below(random, ARRAY_SIZE(numbers))];
	if (call->nr == GLN_H_ENTER) {
		make_enter(random, args);
		return;
	}
	if (call->nr == GLN_H_BULK_REMOVE) {
		make_bulk(random, args);
		return;
	}
	args[1] = hot_index(random);
	args[2] =
		name_v(stress_below(random, NR_NAMES), args[1] / ORACLE_GROUP);
	if (stress_chance(random, 300))
		args[0] = GLN_H_AVPN;
	if (call->nr == GLN_H_READ && stress_chance(random, 300))
		args[0] = GLN_H_READ_4;
	if (call->nr == GLN_H_PROTECT)
		args[0] |= stress_random(random) & 7;
}

/* Workers. */

static void wait_for(gln_word *word, uint64_t value)
{
	for (unsigned int i = 0; gln_load_acquire(word) < value; i++)
		if (i > 64)
			sched_yield();
}

/* A fault of a page that may be entered: says what it says. */
static void fault(struct worker *worker, struct gln_vcpu *vcpu)
{
	struct gln_hpt_fault fault = {
		.ea = stress_below(&worker->random, 2) << RIG_SHIFT,
		.slb = name_slb(stress_below(&worker->random, NR_NAMES)),
		.access = stress_chance(&worker->random, 500) ? GLN_ACCESS_WRITE
							      : GLN_ACCESS_READ,
	};
	const int said = gln_hpt_fault(vcpu, &fault);

	CHECK(said >= 0, "a fault can be answered, error %d", said);
}

static void make_calls(struct worker *worker, struct gln_vcpu *vcpu)
{
	struct stage *const stage = worker->stage;

	for (unsigned int i = 0; i < worker->nr_calls; i++) {
		struct call *const call = &worker->calls[i];

		memcpy(call->rets, call->args, sizeof(call->rets));
		call->began = gln_fetch_add_acq_rel(&stage->ticket, 1);
		call->code = gln_hcall(vcpu, call->nr, call->args, call->rets);
		call->ended = gln_fetch_add_acq_rel(&stage->ticket, 1);
		if (stress_chance(&worker->random, 200))
			fault(worker, vcpu);
	}
}

static void *worker_main(void *arg)
{
	struct worker *const worker = arg;
	struct stage *const stage = worker->stage;
	struct gln_vcpu *vcpu;

	CHECK(!gln_vcpu_register(stage->rig.vm, 10 + worker->index, &vcpu),
	      "vCPU %u can be registered", worker->index);
	CHECK(!gln_vcpu_enter(vcpu), "it can enter");
	for (uint64_t round = 1;; round++) {
		wait_for(&stage->go, round);
		if (gln_load_acquire(&stage->is_over))
			break;
		gln_fetch_add_acq_rel(&stage->ready, 1);
		wait_for(&stage->ready, round * stage->nr_workers);
		make_calls(worker, vcpu);
		gln_fetch_add_acq_rel(&stage->done, 1);
	}
	gln_vcpu_leave(vcpu);
	gln_vcpu_unregister(vcpu);

	return NULL;
}

/* The host is never at rest. */
static void *disturber_main(void *arg)
{
	struct stage *const stage = arg;
	struct gln_vm *const vm = stage->rig.vm;
	struct stress_random random =
		stress_random_from(stage->seed, MAX_THREADS);
	uint64_t bitmap[2], nr_young;
	bool is_logged = false;

	while (!gln_load_acquire(&stage->is_over)) {
		const struct gln_range range = {stress_below(&random, 4),
						1 + stress_below(&random, 4)};

		switch (stress_below(&random, 4)) {
		case 0:
			CHECK(!gln_mmu_unmap(vm, range), "pages can be taken");
			break;
		case 1:
			CHECK(!gln_mmu_age(vm, range, &nr_young),
			      "pages can grow old");
			break;
		case 2:
			if (is_logged)
				CHECK(!gln_get_dirty_log(vm, 0, bitmap),
				      "there is a log");
			break;
		default:
			CHECK(!(is_logged ? gln_log_disable(vm, 0)
					  : gln_log_enable(vm, 0, 0)),
			      "the log can be switched");
			is_logged = !is_logged;
		}
		stress_sleep_ns(DISTURB_NS);
	}

	return NULL;
}

/* Calls become steps. */

static struct step *add_step(struct worker *worker, const struct call *call,
			     uint64_t nr)
{
	struct step *const step = &worker->steps[worker->nr_steps++];

	memset(step, 0, sizeof(*step));
	step->nr = nr;
	step->began = call->began;
	step->ended = call->ended;
	return step;
}

static void whole_step(struct worker *worker, const struct call *call)
{
	struct step *const step = add_step(worker, call, call->nr);

	memcpy(step->args, call->args, sizeof(step->args));
	memcpy(step->rets, call->rets, sizeof(step->rets));
	step->code = call->code;
}

static void read_steps(struct worker *worker, const struct call *call)
{
	enum { READ_4 = 4 };
	const uint64_t first = call->args[1] - call->args[1] % READ_4;

	for (unsigned int i = 0; i < READ_4; i++) {
		struct step *const step = add_step(worker, call, GLN_H_READ);

		step->args[1] = first + i;
		memcpy(step->rets, step->args, sizeof(step->rets));
		step->rets[0] = call->rets[2 * i];
		step->rets[1] = call->rets[2 * i + 1];
		step->code = call->code;
	}
}

static void bulk_steps(struct worker *worker, const struct call *call)
{
	const uint64_t end = UINT64_C(3) << 62;

	for (unsigned int i = 0; i < 2 * ORACLE_MAX_BULK; i += 2) {
		struct step *step;

		if (call->args[i] >> 62 == 3)
			break;
		step = add_step(worker, call, GLN_H_BULK_REMOVE);
		step->args[0] = call->args[i];
		step->args[1] = call->args[i + 1];
		step->args[2] = end;
		memcpy(step->rets, step->args, sizeof(step->rets));
		step->rets[0] = call->rets[i];
		step->code = call->code;
	}
}

/* It is at the place it got that the entry must have been free. */
static void entered_step(struct worker *worker, const struct call *call)
{
	struct step *const step = add_step(worker, call, GLN_H_ENTER);

	CHECK(call->rets[0] / ORACLE_GROUP == call->args[1] / ORACLE_GROUP,
	      "entry %llu is in the group of %llu", (ull)call->rets[0],
	      (ull)call->args[1]);
	memcpy(step->args, call->args, sizeof(step->args));
	memcpy(step->rets, call->rets, sizeof(step->rets));
	step->args[0] |= GLN_H_EXACT;
	step->args[1] = call->rets[0];
	step->rets[1] = step->args[1];
}

static void full_steps(struct worker *worker, const struct call *call)
{
	const uint64_t first = call->args[1] - call->args[1] % ORACLE_GROUP;

	for (unsigned int i = 0; i < ORACLE_GROUP; i++) {
		struct step *const step = add_step(worker, call, GLN_H_ENTER);

		memcpy(step->args, call->args, sizeof(step->args));
		step->args[0] |= GLN_H_EXACT;
		step->args[1] = first + i;
		memcpy(step->rets, step->args, sizeof(step->rets));
		step->code = GLN_H_PTEG_FULL;
	}
	worker->stage->nr_full++;
}

static void make_steps(struct worker *worker)
{
	worker->nr_steps = 0;
	for (unsigned int i = 0; i < worker->nr_calls; i++) {
		const struct call *const call = &worker->calls[i];
		const bool chooses = call->nr == GLN_H_ENTER &&
				     !(call->args[0] & GLN_H_EXACT);

		if (call->nr == GLN_H_READ && call->args[0] & GLN_H_READ_4)
			read_steps(worker, call);
		else if (call->nr == GLN_H_BULK_REMOVE)
			bulk_steps(worker, call);
		else if (chooses && call->code == GLN_H_SUCCESS)
			entered_step(worker, call);
		else if (chooses && call->code == GLN_H_PTEG_FULL)
			full_steps(worker, call);
		else
			whole_step(worker, call);
	}
}

/* The search. */

static bool is_answer(const struct step *step,
		      const struct oracle_answer *answer)
{
	if (step->code != answer->code)
		return false;
	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++) {
		const uint64_t expected = answer->written >> i & 1
						  ? answer->rets[i]
						  : step->args[i];

		if (step->rets[i] != expected)
			return false;
	}
	return true;
}

/* Nobody else's next step ended before this one began. */
static bool may_be_next(const struct stage *stage, const unsigned int *at,
			unsigned int who)
{
	const struct step *const step = &stage->workers[who].steps[at[who]];

	for (unsigned int i = 0; i < stage->nr_workers; i++) {
		const struct worker *const other = &stage->workers[i];

		if (i != who && at[i] < other->nr_steps &&
		    other->steps[at[i]].ended < step->began)
			return false;
	}
	return true;
}

/* Where everybody is, and the table: the same leads to the same. */
static uint64_t state_of(const struct stage *stage, const unsigned int *at)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned int i = 0; i < stage->nr_workers; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned int i = 0; i < NR_HOT; i++) {
		hash ^= stage->oracle.entries[i].v;
		hash = (hash ^ hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		hash ^= stage->oracle.entries[i].r;
		hash = (hash ^ hash >> 32) * UINT64_C(0x94d049bb133111eb);
	}
	return hash | 1;
}

/* False if we were here before, in vain. */
static bool visit(struct stage *stage, uint64_t state)
{
	uint64_t i = state >> 1;

	for (;; i++) {
		uint64_t *const seen = &stage->visited[i % VISITED];

		if (*seen == state)
			return false;
		if (*seen)
			continue;
		if (stage->nr_visited < VISITED_MAX) {
			stage->nr_visited++;
			*seen = state;
		}
		return true;
	}
}

/* Searches that are longer than this are given up, and counted. */
#define MAX_TRIED UINT64_C(5000000)

/* Is there an order of what is left? */
static bool search(struct stage *stage, unsigned int *at)
{
	bool is_end = true;

	if (++stage->nr_tried > MAX_TRIED)
		return true;
	for (unsigned int who = 0; who < stage->nr_workers; who++) {
		struct worker *const worker = &stage->workers[who];
		struct oracle_answer answer;
		struct oracle_undo undo;
		const struct step *step;

		if (at[who] == worker->nr_steps)
			continue;
		is_end = false;
		if (!may_be_next(stage, at, who))
			continue;
		step = &worker->steps[at[who]];
		oracle_call(&stage->oracle, step->nr, step->args, &answer,
			    &undo);
		at[who]++;
		if (is_answer(step, &answer) &&
		    visit(stage, state_of(stage, at)) && search(stage, at))
			return true;
		at[who]--;
		oracle_undo(&stage->oracle, &undo);
	}
	return is_end && !memcmp(stage->oracle.entries, stage->final,
				 sizeof(stage->final));
}

/* Rounds. */

static int64_t main_call(struct stage *stage, uint64_t nr, uint64_t *gprs)
{
	return hpt_rig_call(&stage->rig, nr, gprs);
}

static void read_table(struct stage *stage, struct oracle_entry *entries)
{
	for (uint64_t i = 0; i < NR_HOT; i++) {
		uint64_t gprs[GLN_HCALL_ARGS] = {0, i};

		CHECK(!main_call(stage, GLN_H_READ, gprs), "H_READ");
		entries[i] = (struct oracle_entry){gprs[0], gprs[1]};
	}
}

/* Before a round: so many entries free, or none, or all. */
static void prepare_table(struct stage *stage)
{
	const uint64_t share = stress_below(&stage->random, 5) * 250;

	for (uint64_t i = 0; i < NR_HOT; i++) {
		uint64_t gprs[GLN_HCALL_ARGS] = {0, i};

		if (stress_chance(&stage->random, share)) {
			make_enter(&stage->random, gprs);
			gprs[0] = GLN_H_EXACT;
			gprs[1] = i;
			(void)main_call(stage, GLN_H_ENTER, gprs);
		} else if (stress_chance(&stage->random, 500)) {
			(void)main_call(stage, GLN_H_REMOVE, gprs);
		}
	}
	read_table(stage, stage->oracle.entries);
}

static void print_round(const struct stage *stage)
{
	for (unsigned int i = 0; i < stage->nr_workers; i++) {
		const struct worker *const worker = &stage->workers[i];

		for (unsigned int j = 0; j < worker->nr_steps; j++) {
			const struct step *const step = &worker->steps[j];

			printf("vCPU %u, tickets %llu to %llu: %#llx(%llx, "
			       "%llx, %llx, %llx) = %lld (%llx, %llx)\n",
			       i, (ull)step->began, (ull)step->ended,
			       (ull)step->nr, (ull)step->args[0],
			       (ull)step->args[1], (ull)step->args[2],
			       (ull)step->args[3], (long long)step->code,
			       (ull)step->rets[0], (ull)step->rets[1]);
		}
	}
	for (unsigned int i = 0; i < NR_HOT; i++)
		printf("entry %2u: %016llx %016llx, at last %016llx %016llx\n",
		       i, (ull)stage->oracle.entries[i].v,
		       (ull)stage->oracle.entries[i].r, (ull)stage->final[i].v,
		       (ull)stage->final[i].r);
}

static bool overlap(const struct stage *stage)
{
	for (unsigned int i = 0; i < stage->nr_workers; i++)
		for (unsigned int j = 0; j < stage->workers[i].nr_calls; j++)
			if (stage->workers[i].calls[j].ended !=
			    stage->workers[i].calls[j].began + 1)
				return true;
	return false;
}

static void check_round(struct stage *stage)
{
	unsigned int at[MAX_THREADS] = {0};

	for (unsigned int i = 0; i < stage->nr_workers; i++)
		make_steps(&stage->workers[i]);
	if (stage->nr_visited)
		memset(stage->visited, 0, sizeof(stage->visited));
	stage->nr_visited = 0;
	stage->nr_tried = 0;
	if (!search(stage, at)) {
		print_round(stage);
		printf("round %llu of --seed %llu --threads %u: no order of "
		       "these calls, one after the other, gives this\n",
		       (ull)stage->round, (ull)stage->seed, stage->nr_workers);
		exit(stress_verdict(1));
	}
	stage->nr_cut += stage->nr_tried > MAX_TRIED;
	stage->nr_overlaps += overlap(stage);
}

static void run_round(struct stage *stage)
{
	const unsigned int nr_calls =
		ROUND_CALLS / stage->nr_workers < MAX_CALLS
			? ROUND_CALLS / stage->nr_workers
			: MAX_CALLS;

	stage->round++;
	prepare_table(stage);
	for (unsigned int i = 0; i < stage->nr_workers; i++) {
		struct worker *const worker = &stage->workers[i];

		worker->nr_calls = nr_calls;
		for (unsigned int j = 0; j < nr_calls; j++)
			make_call(&stage->random, &worker->calls[j]);
	}
	stage->nr_calls += (uint64_t)nr_calls * stage->nr_workers;
	gln_store_release(&stage->go, stage->round);
	wait_for(&stage->done, stage->round * stage->nr_workers);
	read_table(stage, stage->final);
	check_round(stage);
}

/* Life. */

static void open_stage(struct stage *stage, enum gln_hpt_isa isa,
		       unsigned int nr_workers, uint64_t seed)
{
	const struct hpt_rig_params params = {
		.isa = isa,
		.order = ORDER,
		.memory_bytes = SLOT_BYTES,
		.tlbie = tlbie,
		.flush_all = flush_all,
	};
	int err;

	memset(stage, 0, sizeof(*stage));
	stage->seed = seed;
	stage->nr_workers = nr_workers;
	stage->random = stress_random_from(seed, nr_workers);
	CHECK(!oracle_init(&stage->oracle, isa, ORDER), "memory");
	err = hpt_rig_open(&stage->rig, &params);
	CHECK(!err, "a guest can be made, error %d", err);
	err = hpt_rig_slot(&stage->rig, 0, 0, SLOT_BYTES, 0);
	CHECK(!err, "a slot can be added, error %d", err);
	stage->oracle.slots[0] = (struct oracle_slot){.bytes = SLOT_BYTES};
	stage->oracle.nr_slots = 1;
	CHECK(!gln_vcpu_enter(stage->rig.vcpu), "the vCPU can enter");
}

static void start_threads(struct stage *stage)
{
	for (unsigned int i = 0; i < stage->nr_workers; i++) {
		struct worker *const worker = &stage->workers[i];

		worker->stage = stage;
		worker->index = i;
		worker->random = stress_random_from(stage->seed, 100 + i);
		CHECK(!pthread_create(&worker->thread, NULL, worker_main,
				      worker),
		      "a thread can be made");
	}
	CHECK(!pthread_create(&stage->disturber, NULL, disturber_main, stage),
	      "a thread can be made");
}

static void stop_threads(struct stage *stage)
{
	gln_store_release(&stage->is_over, 1);
	gln_store_release(&stage->go, UINT64_MAX);
	for (unsigned int i = 0; i < stage->nr_workers; i++)
		pthread_join(stage->workers[i].thread, NULL);
	pthread_join(stage->disturber, NULL);
}

static void run_stage(enum gln_hpt_isa isa, unsigned int nr_workers,
		      uint64_t ms, uint64_t seed)
{
	static struct stage stage;
	const struct stress_soak soak = stress_soak(ms);
	const char *why = "no reason";

	open_stage(&stage, isa, nr_workers, seed);
	start_threads(&stage);
	while (stress_goes_on(&soak,
			      stage.nr_overlaps && stage.round >= MIN_ROUNDS))
		run_round(&stage);
	stop_threads(&stage);
	gln_vcpu_leave(stage.rig.vcpu);
	CHECK(!gln_hpt_check(stage.rig.vm, &why), "the table: %s", why);
	printf("%u threads, ISA %s: %" PRIu64 " rounds, %" PRIu64
	       " of which had calls that met; %" PRIu64 " calls, %" PRIu64
	       " found a group full; %" PRIu64 " searches given up\n",
	       nr_workers, isa == GLN_HPT_ISA_3_0 ? "3.0" : "2.07", stage.round,
	       stage.nr_overlaps, stage.nr_calls, stage.nr_full, stage.nr_cut);
	fflush(stdout);
	CHECK(stage.nr_cut * 100 <= stage.round, "searches come to an end");
	CHECK(!hpt_rig_close(&stage.rig), "nobody uses the VM");
	oracle_fini(&stage.oracle);
}

int main(int argc, char **argv)
{
	static const unsigned int crowds[] = {2, 3, 4, 8};
	uint64_t ms = 2500, threads = 0, seed = 0, isa = 0;
	uint64_t until_lost = 0; /* it always ends then */
	const struct stress_option options[] = {
		{"ms", &ms, NULL},
		{"threads", &threads, NULL},
		{"seed", &seed, NULL},
		{"isa", &isa, NULL},
		{"until-lost", &until_lost, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	seed = stress_seed(seed);
	printf("hcall_threads: --seed %" PRIu64 " --ms %" PRIu64 "\n", seed,
	       ms);
	fflush(stdout);
	CHECK(threads <= MAX_THREADS, "at most %d threads", MAX_THREADS);
	for (size_t i = 0; i < ARRAY_SIZE(crowds); i++) {
		if (threads && threads != crowds[i])
			continue;
		if (isa != ISA_3_0)
			run_stage(GLN_HPT_ISA_2_07, crowds[i], ms, seed);
		if (isa != ISA_2_07)
			run_stage(GLN_HPT_ISA_3_0, crowds[i], ms, seed);
	}

	return stress_verdict(0);
}
