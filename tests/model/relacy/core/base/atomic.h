/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic.h - the names of core/base/atomic.h over a model checker, in C++.
 *
 * It stands before the real one in the include path; everything else that is
 * compiled against it is the library's own text. An atomic object holds no
 * value: it holds the number of a cell of the checker's, which knows all values
 * it has had and who may still see which (model.cpp). So types have the sizes
 * and places that they have in the library. Zeroed memory is an object without
 * a cell; what a client does before its threads run gives it one.
 *
 * Each access says where it is, by the name of its function: that is how a test
 * weakens one of them (model.h).
 */
#ifndef GLN_CORE_BASE_ATOMIC_H
#define GLN_CORE_BASE_ATOMIC_H

#include <stdint.h>
#include <string.h>

/* What C calls them. */
#define _Static_assert static_assert
#define restrict __restrict

/** enum model_order - the orders that the library uses. */
enum model_order {
	MODEL_RELAXED,
	MODEL_ACQUIRE,
	MODEL_RELEASE,
	MODEL_ACQ_REL,
};

/** enum model_access - kinds of accesses. */
enum model_access {
	MODEL_LOAD,
	MODEL_STORE,
	MODEL_CHANGE, /* read-modify-write */
	MODEL_FENCE,
};

/** enum model_change - what a read-modify-write does. */
enum model_change {
	MODEL_XCHG,
	MODEL_OR,
	MODEL_XOR,
	MODEL_AND,
	MODEL_ADD,
	MODEL_SUB,
};

/** struct model_place - where an access stands. */
struct model_place {
	const char *function;
	const char *file;
	unsigned int line;
};

#define MODEL_HERE (model_place{__func__, __FILE__, __LINE__})

/** model_cell() - the cell numbered @number, a new one for 0; its number. */
uint64_t model_cell(uint64_t number);

uint64_t model_cell_load(uint64_t cell, model_order order, model_place place);
void model_cell_store(uint64_t cell, uint64_t value, model_order order,
		      model_place place);
uint64_t model_cell_change(uint64_t cell, model_change change, uint64_t operand,
			   model_order order, model_place place);
bool model_cell_cas(uint64_t cell, uint64_t *seen, uint64_t value,
		    bool may_fail, model_order order, model_place place);
void model_fence_seq_cst(model_place place);

template <typename T> struct model_number {
	typedef T type;
};

template <> struct model_number<bool> {
	typedef unsigned char type;
};

template <typename T> struct model_number<T *> {
	typedef uintptr_t type;
};

/** struct model_atomic - _Atomic(T). */
template <typename T> struct model_atomic {
	typename model_number<T>::type number;
};

#define _Atomic(type) model_atomic<type>

/** gln_word - as in the library. */
typedef model_atomic<uint64_t> gln_word;
typedef model_atomic<uint8_t> gln_byte;

static_assert(sizeof(gln_word) == 8, "a word of a bitmap is 8 bytes");

/* Below, numbers and pointers become numbers, and back, as in C. */

/* Looking for a cell may make it: for that, a const object is not. */
template <typename T> uint64_t model_cell_of(const model_atomic<T> *object)
{
	model_atomic<T> *const place = const_cast<model_atomic<T> *>(object);
	const uint64_t cell = model_cell(place->number);

	place->number = static_cast<typename model_number<T>::type>(cell);
	return cell;
}

/* As @type is, not as the argument happens to be. */
template <typename T> struct model_exactly {
	typedef T type;
};

template <typename T>
T model_load(const model_atomic<T> *object, model_order order,
	     model_place place)
{
	return (T)model_cell_load(model_cell_of(object), order, place);
}

template <typename T>
void model_store(model_atomic<T> *object, typename model_exactly<T>::type value,
		 model_order order, model_place place)
{
	model_cell_store(model_cell_of(object), (uint64_t)value, order, place);
}

template <typename T>
T model_change_value(model_atomic<T> *object, model_change change,
		     typename model_exactly<T>::type operand, model_order order,
		     model_place place)
{
	return (T)model_cell_change(model_cell_of(object), change,
				    (uint64_t)operand, order, place);
}

template <typename T>
bool model_cas(model_atomic<T> *object, T *seen,
	       typename model_exactly<T>::type value, bool may_fail,
	       model_order order, model_place place)
{
	uint64_t found = (uint64_t)*seen;
	const bool done =
		model_cell_cas(model_cell_of(object), &found, (uint64_t)value,
			       may_fail, order, place);

	*seen = (T)found;
	return done;
}

#define gln_load_relaxed(p) model_load(p, MODEL_RELAXED, MODEL_HERE)
#define gln_load_acquire(p) model_load(p, MODEL_ACQUIRE, MODEL_HERE)

#define gln_store_relaxed(p, v) model_store(p, v, MODEL_RELAXED, MODEL_HERE)
#define gln_store_release(p, v) model_store(p, v, MODEL_RELEASE, MODEL_HERE)

#define MODEL_CHANGE_HERE(p, change, v, order) \
	model_change_value(p, change, v, order, MODEL_HERE)

#define gln_xchg_relaxed(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_XCHG, v, MODEL_RELAXED)
#define gln_xchg_acquire(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_XCHG, v, MODEL_ACQUIRE)
#define gln_xchg_acq_rel(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_XCHG, v, MODEL_ACQ_REL)
#define gln_fetch_or_relaxed(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_OR, v, MODEL_RELAXED)
#define gln_fetch_or_acq_rel(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_OR, v, MODEL_ACQ_REL)
#define gln_fetch_xor_relaxed(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_XOR, v, MODEL_RELAXED)
#define gln_fetch_and_acq_rel(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_AND, v, MODEL_ACQ_REL)
#define gln_fetch_and_relaxed(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_AND, v, MODEL_RELAXED)
#define gln_fetch_add_acq_rel(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_ADD, v, MODEL_ACQ_REL)
#define gln_fetch_add_relaxed(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_ADD, v, MODEL_RELAXED)
#define gln_fetch_sub_release(p, v) \
	MODEL_CHANGE_HERE(p, MODEL_SUB, v, MODEL_RELEASE)

#define gln_cas_acquire(p, seen, v) \
	model_cas(p, seen, v, true, MODEL_ACQUIRE, MODEL_HERE)
#define gln_cas_strong_acquire(p, seen, v) \
	model_cas(p, seen, v, false, MODEL_ACQUIRE, MODEL_HERE)
#define gln_cas_strong_release(p, seen, v) \
	model_cas(p, seen, v, false, MODEL_RELEASE, MODEL_HERE)
#define gln_cas_strong_relaxed(p, seen, v) \
	model_cas(p, seen, v, false, MODEL_RELAXED, MODEL_HERE)

#define gln_fence_seq_cst()  model_fence_seq_cst(MODEL_HERE)
/* The checker's compiler reorders nothing. */
#define gln_fence_compiler() ((void)0)

static inline void gln_count(gln_word *counter, uint64_t n)
{
	gln_store_relaxed(counter, gln_load_relaxed(counter) + n);
}

#endif
