/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.cpp - the library's atomics and its platform, by Relacy.
 */
#include <relacy/relacy.hpp>

/* It takes these from C++ and from C; the headers below mean what they say. */
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

#include "tests/model/relacy/model.h"

#include <glean/platform.h>

namespace
{

typedef rl::generic_atomic<uint64_t, false> cell;
typedef rl::var<uint64_t> variable;

enum {
	MAX_CELLS = 200, /* a number fits into a byte */
	MAX_VARIABLES = 8,
	/* Accesses of an execution: one with more goes round in circles. */
	MAX_DEPTH = 20000,
};

/* Room for objects that live as long as an execution. */
template <typename T, unsigned max> struct pool {
	alignas(T) unsigned char room[max][sizeof(T)];
	unsigned int nr;

	/* Numbers begin at 1. */
	T &at(uint64_t number)
	{
		return *reinterpret_cast<T *>(room[number - 1]);
	}

	uint64_t add()
	{
		if (nr == max)
			abort();
		::new (room[nr]) T();
		return ++nr;
	}

	void clear()
	{
		while (nr)
			at(nr--).~T();
	}
};

pool<cell, MAX_CELLS> cells;
pool<variable, MAX_VARIABLES> variables;

const struct model_client *client;
bool is_beginning;
const struct model_weakness *weakness;

/* Threads that are in a read-side section. */
_Atomic(uint64_t) sections[MODEL_MAX_THREADS];

rl::debug_info info_of(const model_place &place)
{
	return rl::debug_info(place.function, place.file, place.line);
}

bool is_weak(model_access access, const model_place &place)
{
	return weakness->function && weakness->access == access &&
	       !strcmp(weakness->function, place.function);
}

rl::memory_order order_of(model_access access, model_order order,
			  const model_place &place)
{
	static const rl::memory_order orders[] = {
		rl::mo_relaxed,
		rl::mo_acquire,
		rl::mo_release,
		rl::mo_acq_rel,
	};

	return is_weak(access, place) ? rl::mo_relaxed : orders[order];
}

template <unsigned nr_threads>
struct suite : rl::test_suite<suite<nr_threads>, nr_threads> {
	~suite()
	{
		cells.clear();
		variables.clear();
	}

	void before()
	{
		is_beginning = true;
		model_step = nullptr;
		memset(sections, 0, sizeof(sections));
		for (_Atomic(uint64_t) &section : sections)
			gln_store_relaxed(&section, 0);
		client->begin();
		is_beginning = false;
	}

	void thread(unsigned int i)
	{
		client->threads[i]();
	}

	void after()
	{
		client->check();
	}
};

template <unsigned nr_threads>
rl::test_result_e search(rl::test_params &params, std::ostream &state)
{
	typedef suite<nr_threads> test;

	switch (params.search_type) {
	case rl::sched_full:
		return rl::run_test<test,
				    rl::full_search_scheduler<nr_threads>>(
			params, state, false);
	case rl::sched_bound:
		return rl::run_test<test,
				    rl::context_bound_scheduler<nr_threads>>(
			params, state, false);
	default:
		return rl::run_test<test, rl::random_scheduler<nr_threads>>(
			params, state, false);
	}
}

rl::test_result_e search_threads(rl::test_params &params, std::ostream &state)
{
	/* An execution that went wrong has left them. */
	cells.nr = 0;
	variables.nr = 0;
	return client->nr_threads == 2 ? search<2>(params, state)
				       : search<3>(params, state);
}

} /* namespace */

static enum model_outcome outcome_of(rl::test_result_e result)
{
	switch (result) {
	case rl::test_result_success:
		return MODEL_HELD;
	case rl::test_result_user_assert_failed:
	case rl::test_result_data_race:
		return MODEL_LOST;
	default:
		return MODEL_STUCK;
	}
}

static struct model_verdict run(rl::test_params params, bool show)
{
	std::ostream nowhere(nullptr);
	rl::ostringstream state, again;

	params.execution_depth_limit = MAX_DEPTH;
	params.progress_stream = &nowhere;

	const rl::test_result_e result = search_threads(params, state);
	const uint64_t nr = params.stop_iteration;

	if (result != rl::test_result_success && show) {
		params.initial_state = state.str();
		params.collect_history = true;
		search_threads(params, again);
	}
	return {outcome_of(result), rl::test_result_str(result), nr};
}

int glni_broken = GLNI_BREAK_NONE;

struct model_verdict model_run(const struct model_client *of,
			       const struct model_weakness *without,
			       const struct model_effort *effort, bool show)
{
	rl::test_params all, random;

	client = of;
	weakness = without;
	glni_broken = without->broken;
	all.search_type = effort->max_switches == MODEL_ALL ? rl::sched_full
							    : rl::sched_bound;
	all.context_bound = effort->max_switches;
	random.search_type = rl::sched_random;
	random.iteration_count = effort->nr_random;

	struct model_verdict verdict = run(all, show);

	if (verdict.outcome == MODEL_HELD && effort->nr_random) {
		const uint64_t nr = verdict.nr_executions;

		verdict = run(random, show);
		verdict.nr_executions += nr;
	}
	return verdict;
}

void model_check(bool condition, const char *what)
{
	if (!condition)
		rl::ctx().fail_test(what, rl::test_result_user_assert_failed,
				    RL_INFO);
}

/* Accesses. */

/* A value that is there before the threads are is one that all of them see. */
uint64_t model_cell(uint64_t number)
{
	if (number)
		return number;
	if (!is_beginning) {
		fputs("an atomic object that the client did not make\n",
		      stderr);
		abort();
	}
	return cells.add();
}

uint64_t model_cell_load(uint64_t number, model_order order, model_place place)
{
	return cells.at(number).load(order_of(MODEL_LOAD, order, place),
				     info_of(place));
}

void model_cell_store(uint64_t number, uint64_t value, model_order order,
		      model_place place)
{
	cells.at(number).store(value, order_of(MODEL_STORE, order, place),
			       info_of(place));
}

uint64_t model_cell_change(uint64_t number, model_change change,
			   uint64_t operand, model_order wanted,
			   model_place place)
{
	const rl::memory_order order = order_of(MODEL_CHANGE, wanted, place);
	const rl::debug_info info = info_of(place);
	cell &it = cells.at(number);

	switch (change) {
	case MODEL_XCHG:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_swap>(), operand,
			      order, info);
	case MODEL_OR:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_or>(), operand, order,
			      info);
	case MODEL_XOR:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_xor>(), operand,
			      order, info);
	case MODEL_AND:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_and>(), operand,
			      order, info);
	case MODEL_ADD:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_add>(), operand,
			      order, info);
	default:
		return it.rmw(rl::rmw_type_t<rl::rmw_type_sub>(), operand,
			      order, info);
	}
}

bool model_cell_cas(uint64_t number, uint64_t *seen, uint64_t value,
		    bool may_fail, model_order wanted, model_place place)
{
	const rl::memory_order order = order_of(MODEL_CHANGE, wanted, place);
	const rl::debug_info info = info_of(place);
	cell &it = cells.at(number);

	if (may_fail)
		return it.compare_exchange(rl::bool_t<true>(), *seen, value,
					   order, rl::mo_relaxed, info);
	return it.compare_exchange(rl::bool_t<false>(), *seen, value, order,
				   rl::mo_relaxed, info);
}

void model_fence_seq_cst(model_place place)
{
	if (!is_weak(MODEL_FENCE, place))
		rl::atomic_thread_fence(rl::mo_seq_cst, info_of(place));
}

static uint64_t number_of(struct model_plain *plain)
{
	if (!plain->number)
		plain->number = variables.add();
	return plain->number;
}

uint64_t model_read(struct model_plain *plain)
{
	return variables.at(number_of(plain))(RL_INFO).load();
}

void model_write(struct model_plain *plain, uint64_t value)
{
	variables.at(number_of(plain))(RL_INFO).store(value);
}

/* The platform. */

const char *model_step;

/*
 * All threads at once, at one moment between two accesses: what was done before
 * it is seen by all after it. That is what membarrier(2) gives its caller.
 */
bool gln_plat_heavy_fence(void)
{
	if (model_step && weakness->step && !strcmp(weakness->step, model_step))
		return true;
	rl::ctx().sched();
	rl::systemwide_fence(RL_INFO);
	return true;
}

void gln_plat_relax(unsigned int)
{
	rl::ctx().yield(1, RL_INFO);
}

/* As liburcu does with membarrier: a reader has no fence of its own. */
void gln_plat_read_lock(void)
{
	gln_store_relaxed(&sections[rl::thread_index()], 1);
}

void gln_plat_read_unlock(void)
{
	gln_store_release(&sections[rl::thread_index()], 0);
}

void gln_plat_synchronize(void)
{
	gln_plat_heavy_fence();
	for (unsigned int i = 0; i < client->nr_threads; i++)
		while (gln_load_acquire(&sections[i]))
			gln_plat_relax(0);
	gln_plat_heavy_fence();
}

/* Nothing here has a deadline. */
uint64_t gln_plat_now_ns(void)
{
	return 0;
}

void gln_plat_assert_failed(const char *what, const char *, int)
{
	model_check(false, what);
	abort();
}
