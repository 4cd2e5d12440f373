/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_backend.c - note, check, fail.
 */
#include "tests/support/fake_backend.h"

#include <glean/hpt.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a slot's @priv holds. */
/* GOING: detached while it is logged, as those that map the guest are. */
enum { DETACHED = 0, ATTACHED = 1, LOGGED = 2, GOING = 3 };

static _Noreturn void breach(const char *what)
{
	fprintf(stderr, "fake backend: %s\n", what);
	abort();
}

static struct fake_backend *fake_of(struct gln_backend *backend)
{
	return (struct fake_backend *)backend;
}

static void require_state(const struct gln_backend_slot *slot, uintptr_t state)
{
	if ((uintptr_t)slot->priv != state)
		breach("a call out of turn");
}

static void set_state(struct gln_backend_slot *slot, uintptr_t state)
{
	slot->priv = (void *)state;
}

static struct fake_call *note_id(struct fake_backend *fake,
				 enum fake_call_kind kind, uint32_t id)
{
	struct fake_call *const call = &fake->calls[fake->nr_calls];

	if (fake->nr_calls == FAKE_CALLS)
		breach("too many calls to note");
	fake->nr_calls++;
	fake->nr_of[kind]++;
	*call = (struct fake_call){
		.kind = kind,
		.id = id,
		.first_range = fake->nr_ranges,
	};

	return call;
}

static struct fake_call *note(struct fake_backend *fake,
			      enum fake_call_kind kind,
			      const struct gln_backend_slot *slot)
{
	struct fake_call *const call = note_id(fake, kind, slot->id);

	call->base = slot->base;
	return call;
}

static void note_ranges(struct fake_backend *fake, struct fake_call *call,
			const struct gln_backend_slot *slot,
			const struct gln_range *ranges, size_t nr_ranges)
{
	if (nr_ranges > FAKE_RANGES - fake->nr_ranges)
		breach("too many ranges to note");

	for (size_t i = 0; i < nr_ranges; i++) {
		const uint64_t page = ranges[i].first - slot->base;

		if (!ranges[i].count)
			breach("an empty range");
		if (ranges[i].first < slot->base || page >= slot->nr_pages ||
		    ranges[i].count > slot->nr_pages - page)
			breach("a range outside the slot");
		if (i && ranges[i].first <=
				 ranges[i - 1].first + ranges[i - 1].count)
			breach("ranges that do not ascend, or touch");
		fake->ranges[fake->nr_ranges++] = ranges[i];
	}
	call->nr_ranges = nr_ranges;
}

static int outcome(struct fake_backend *fake, enum fake_call_kind kind)
{
	return fake->fail_at[kind] && !--fake->fail_at[kind] ? fake->fail_with
							     : 0;
}

static int fake_attach(struct gln_backend *be, struct gln_backend_slot *slot)
{
	int err;

	require_state(slot, DETACHED);
	note(fake_of(be), FAKE_ATTACH, slot);
	err = outcome(fake_of(be), FAKE_ATTACH);
	if (err)
		return err;

	set_state(slot, ATTACHED);
	fake_of(be)->nr_slots++;
	return 0;
}

static void fake_detach(struct gln_backend *be, struct gln_backend_slot *slot)
{
	const bool maps = be->ops->caps & GLN_CAP_FAULT;
	const bool is_logged = maps && (uintptr_t)slot->priv == LOGGED;

	if (!is_logged)
		require_state(slot, ATTACHED);
	note(fake_of(be), FAKE_DETACH, slot);
	set_state(slot, is_logged ? GOING : DETACHED);
	fake_of(be)->nr_slots--;
}

static int fake_log_start(struct gln_backend *be, struct gln_backend_slot *slot,
			  uint32_t flags)
{
	int err;

	require_state(slot, ATTACHED);
	note(fake_of(be), FAKE_LOG_START, slot)->flags = flags;
	err = outcome(fake_of(be), FAKE_LOG_START);
	if (err)
		return err;

	set_state(slot, LOGGED);
	fake_of(be)->nr_logged++;
	return 0;
}

static void fake_log_stop(struct gln_backend *be, struct gln_backend_slot *slot)
{
	const bool is_going = (uintptr_t)slot->priv == GOING;

	if (!is_going)
		require_state(slot, LOGGED);
	note(fake_of(be), FAKE_LOG_STOP, slot);
	set_state(slot, is_going ? DETACHED : ATTACHED);
	fake_of(be)->nr_logged--;
}

static int fake_protect(struct gln_backend *be, struct gln_backend_slot *slot,
			const struct gln_range *ranges, size_t nr_ranges)
{
	struct fake_backend *const fake = fake_of(be);

	require_state(slot, LOGGED);
	note_ranges(fake, note(fake, FAKE_PROTECT, slot), slot, ranges,
		    nr_ranges);
	return outcome(fake, FAKE_PROTECT);
}

static int fake_flush(struct gln_backend *be, struct gln_backend_slot *slot,
		      const struct gln_flush *flush)
{
	struct fake_backend *const fake = fake_of(be);
	struct fake_call *const call = note(fake, FAKE_FLUSH, slot);

	require_state(slot, LOGGED);
	call->whole_slot = flush->whole_slot;
	call->nr_pages = flush->nr_pages;
	if (flush->nr_ranges > GLN_FLUSH_RANGES)
		breach("a plan of more ranges than it holds");
	if (!flush->whole_slot)
		note_ranges(fake, call, slot, flush->ranges, flush->nr_ranges);
	return outcome(fake, FAKE_FLUSH);
}

static int fake_collect(struct gln_backend *be, struct gln_backend_slot *slot,
			struct gln_range range)
{
	struct fake_backend *const fake = fake_of(be);
	const uint64_t first = range.first - slot->base;

	require_state(slot, LOGGED);
	note_ranges(fake, note(fake, FAKE_COLLECT, slot), slot, &range, 1);
	for (uint64_t i = first; i < first + range.count; i++) {
		if (!fake->written || slot->id != fake->written_id)
			break;
		if (fake->written[i])
			slot->mark(slot, slot->base + i, 1);
		fake->written[i] = 0;
	}

	return outcome(fake, FAKE_COLLECT);
}

static void require_vcpu(const struct gln_backend_vcpu *vcpu, uintptr_t state)
{
	if ((uintptr_t)vcpu->priv != state)
		breach("a vCPU's call out of turn");
}

/* Mark what the CPU of @vcpu has logged. */
static void drain(struct fake_backend *fake, struct gln_backend_vcpu *vcpu)
{
	for (size_t i = 0; i < fake->nr_cpu_log; i++)
		vcpu->mark(vcpu, fake->cpu_log[i]);
	fake->nr_cpu_log = 0;
}

static int fake_vcpu_attach(struct gln_backend *be,
			    struct gln_backend_vcpu *vcpu)
{
	int err;

	require_vcpu(vcpu, DETACHED);
	note_id(fake_of(be), FAKE_VCPU_ATTACH, vcpu->id);
	err = outcome(fake_of(be), FAKE_VCPU_ATTACH);
	if (err)
		return err;

	vcpu->priv = (void *)(uintptr_t)ATTACHED;
	fake_of(be)->nr_vcpus++;
	return 0;
}

static void fake_vcpu_detach(struct gln_backend *be,
			     struct gln_backend_vcpu *vcpu)
{
	require_vcpu(vcpu, ATTACHED);
	note_id(fake_of(be), FAKE_VCPU_DETACH, vcpu->id);
	drain(fake_of(be), vcpu);
	vcpu->priv = (void *)(uintptr_t)DETACHED;
	fake_of(be)->nr_vcpus--;
}

static int fake_topup(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	require_vcpu(vcpu, ATTACHED);
	note_id(fake_of(be), FAKE_TOPUP, vcpu->id);
	return outcome(fake_of(be), FAKE_TOPUP);
}

static int fake_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		      struct gln_backend_slot *slot,
		      struct gln_backend_fault *fault)
{
	struct fake_backend *const fake = fake_of(be);
	struct fake_call *const call = note(fake, FAKE_FAULT, slot);

	require_vcpu(vcpu, ATTACHED);
	if ((uintptr_t)slot->priv == DETACHED)
		breach("a fault in a slot that is not attached");
	if (fault->gfn < slot->base ||
	    fault->gfn - slot->base >= slot->nr_pages)
		breach("a fault outside the slot");
	if (fault->to_mark)
		breach("an output that is set before the call");
	call->gfn = fault->gfn;
	call->flags = fault->access;
	call->is_logged = fault->is_logged;
	if (fake->in_fault)
		fake->in_fault(fake, fault);
	if (outcome(fake, FAKE_FAULT))
		return fake->fail_with;

	fault->to_mark = fake->to_mark && fault->is_logged;
	return fake->answer;
}

static int fake_mmio(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
		     gln_gfn gfn)
{
	require_vcpu(vcpu, ATTACHED);
	note_id(fake_of(be), FAKE_MMIO, vcpu->id)->gfn = gfn;
	return outcome(fake_of(be), FAKE_MMIO);
}

static void fake_exited(struct gln_backend *be, struct gln_backend_vcpu *vcpu)
{
	require_vcpu(vcpu, ATTACHED);
	note_id(fake_of(be), FAKE_EXITED, vcpu->id);
	drain(fake_of(be), vcpu);
}

/* A call on a part of a slot, logged or not. */
static void note_part(struct fake_backend *fake, enum fake_call_kind kind,
		      const struct gln_backend_slot *slot,
		      struct gln_range range)
{
	if ((uintptr_t)slot->priv == DETACHED)
		breach("a call for a slot that is not attached");
	note_ranges(fake, note(fake, kind, slot), slot, &range, 1);
}

static void fake_unmap(struct gln_backend *be, struct gln_backend_slot *slot,
		       struct gln_range range)
{
	note_part(fake_of(be), FAKE_UNMAP, slot, range);
	if (fake_of(be)->in_unmap)
		fake_of(be)->in_unmap(fake_of(be));
	if (fake_of(be)->dirty.count)
		slot->mark(slot, fake_of(be)->dirty.first,
			   fake_of(be)->dirty.count);
}

static void fake_age(struct gln_backend *be, struct gln_backend_slot *slot,
		     struct gln_range range, uint64_t *nr_young)
{
	note_part(fake_of(be), FAKE_AGE, slot, range);
	*nr_young += fake_of(be)->nr_young;
}

static int fake_split(struct gln_backend *be, struct gln_backend_slot *slot,
		      struct gln_range range, uint32_t flags)
{
	require_state(slot, LOGGED);
	note_part(fake_of(be), FAKE_SPLIT, slot, range);
	fake_of(be)->split_flags = flags;
	return outcome(fake_of(be), FAKE_SPLIT);
}

/* What a backend that maps the guest has besides. */
static void map_guest(struct gln_backend_ops *ops)
{
	ops->vcpu_attach = fake_vcpu_attach;
	ops->vcpu_detach = fake_vcpu_detach;
	ops->topup = fake_topup;
	ops->fault = fake_fault;
	ops->mmio = fake_mmio;
	ops->exited = fake_exited;
	ops->unmap = fake_unmap;
	ops->age = fake_age;
	ops->split = fake_split;
}

void fake_backend_init(struct fake_backend *fake, uint32_t caps)
{
	/* What was noted is large, and means nothing past its counts. */
	memset(fake, 0, offsetof(struct fake_backend, calls));
	fake->backend.ops = &fake->ops;
	fake->fail_with = -EIO;
	fake->ops = (struct gln_backend_ops){
		.name = "fake",
		.caps = caps,
		.attach = fake_attach,
		.detach = fake_detach,
		.log_start = fake_log_start,
		.log_stop = fake_log_stop,
		.protect = caps & GLN_CAP_PROTECT ? fake_protect : NULL,
		.flush = caps & GLN_CAP_FLUSH ? fake_flush : NULL,
		.collect = caps & GLN_CAP_COLLECT ? fake_collect : NULL,
	};
	if (caps & GLN_CAP_FAULT)
		map_guest(&fake->ops);
}

/* Of a hash table. */

/* In the core alone: see core/hpt/ops.h. */
enum { TOO_HARD = 9999 };

static struct fake_backend *fake_of_const(const struct gln_backend *be)
{
	return fake_of((struct gln_backend *)(uintptr_t)be);
}

static struct fake_call *note_change(struct fake_backend *fake,
				     enum fake_call_kind kind, uint32_t order)
{
	struct fake_call *const call = note_id(fake, kind, order);

	if (fake->in_change)
		fake->in_change(fake, kind);
	return call;
}

static bool fake_needs_set_up(const struct gln_backend *be)
{
	return !fake_of_const(be)->has_table;
}

static int fake_set_up(struct gln_backend *be)
{
	struct fake_backend *const fake = fake_of(be);
	int err;

	if (fake->has_table)
		breach("set up twice");
	note_change(fake, FAKE_SET_UP, 0);
	err = outcome(fake, FAKE_SET_UP);
	fake->has_table = !err;
	return err;
}

/* What belongs to the table is to be made anew. */
static int fake_allocate(struct gln_backend *be, unsigned int order)
{
	struct fake_backend *const fake = fake_of(be);
	int err;

	note_change(fake, FAKE_ALLOCATE, order);
	err = outcome(fake, FAKE_ALLOCATE);
	if (!err)
		fake->has_table = false;
	return err;
}

/* Is this one of the calls that find the table being changed? */
static bool is_too_hard(struct fake_backend *fake)
{
	return fake->nr_too_hard && fake->nr_too_hard--;
}

static int64_t fake_hcall(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			  uint64_t nr, const uint64_t *args, uint64_t *rets)
{
	struct fake_backend *const fake = fake_of(be);

	(void)nr;
	require_vcpu(vcpu, ATTACHED);
	fake->nr_hcalls++;
	if (!fake->has_table)
		breach("a hypercall without a table");
	if (is_too_hard(fake))
		return TOO_HARD;
	rets[0] = args[0] + 1;
	return fake->answer_hcall;
}

static int fake_hpt_fault(struct gln_backend *be, struct gln_backend_vcpu *vcpu,
			  struct gln_hpt_fault *fault)
{
	require_vcpu(vcpu, ATTACHED);
	note_id(fake_of(be), FAKE_FAULT, vcpu->id)->flags = fault->access;
	return fake_of(be)->answer;
}

static uint64_t fake_mmio_generation(const struct gln_backend *be)
{
	return fake_of_const(be)->nr_of[FAKE_ALLOCATE];
}

static int fake_prepare(struct gln_backend *be, unsigned int order,
			uint32_t flags)
{
	note_id(fake_of(be), FAKE_PREPARE, order)->flags = flags;
	return fake_of(be)->answer_prepare;
}

static int fake_work(struct gln_backend *be, uint64_t max_groups)
{
	note_id(fake_of(be), FAKE_WORK, 0)->nr_pages = max_groups;
	return 1;
}

static int fake_commit(struct gln_backend *be, unsigned int order)
{
	note_change(fake_of(be), FAKE_COMMIT, order);
	return fake_of(be)->answer_commit;
}

static bool fake_kick(struct gln_backend *be)
{
	struct fake_backend *const fake = fake_of(be);

	note_id(fake, FAKE_KICK, 0);
	if (fake->can_kick && fake->in_kick)
		fake->in_kick(fake);
	return fake->can_kick;
}

static int fake_stream_open(struct gln_backend *be,
			    const struct gln_hpt_stream_params *params,
			    struct gln_hpt_stream **stream)
{
	struct fake_backend *const fake = fake_of(be);
	int err;

	note_id(fake, FAKE_STREAM_OPEN, 0)->flags = params->flags;
	err = outcome(fake, FAKE_STREAM_OPEN);
	if (!err)
		*stream = (struct gln_hpt_stream *)fake;
	return err;
}

/* It is the one that was opened. */
static struct fake_backend *fake_of_stream(struct gln_backend *be,
					   struct gln_hpt_stream *stream)
{
	if ((void *)stream != (void *)be)
		breach("another stream than the one opened");
	return fake_of(be);
}

static void fake_stream_close(struct gln_backend *be,
			      struct gln_hpt_stream *stream)
{
	note_id(fake_of_stream(be, stream), FAKE_STREAM_CLOSE, 0);
}

static int64_t fake_stream_read(struct gln_backend *be,
				struct gln_hpt_stream *stream, void *buffer,
				size_t bytes)
{
	struct fake_backend *const fake = fake_of_stream(be, stream);

	(void)buffer;
	note_id(fake, FAKE_STREAM_READ, 0)->nr_pages = bytes;
	return is_too_hard(fake) ? -EAGAIN : fake->answer_stream;
}

static int64_t fake_stream_write(struct gln_backend *be,
				 struct gln_hpt_stream *stream,
				 const void *buffer, size_t bytes)
{
	struct fake_backend *const fake = fake_of_stream(be, stream);

	(void)buffer;
	note_change(fake, FAKE_STREAM_WRITE, 0)->nr_pages = bytes;
	return fake->answer_stream;
}

static void fake_stats(struct gln_backend *be, struct gln_hpt_stats *stats)
{
	stats->enters = fake_of(be)->nr_hcalls;
}

static int fake_check(struct gln_backend *be, const char **why)
{
	note_change(fake_of(be), FAKE_CHECK, 0);
	*why = "I1: it is a fake";
	return -EIO;
}

void fake_backend_add_hpt(struct fake_backend *fake)
{
	fake->hpt_ops = (struct gln_backend_hpt_ops){
		.needs_set_up = fake_needs_set_up,
		.set_up = fake_set_up,
		.allocate = fake_allocate,
		.hcall = fake_hcall,
		.fault = fake_hpt_fault,
		.mmio_generation = fake_mmio_generation,
		.resize_prepare = fake_prepare,
		.resize_work = fake_work,
		.resize_commit = fake_commit,
		.kick = fake_kick,
		.stream_open = fake_stream_open,
		.stream_close = fake_stream_close,
		.stream_read = fake_stream_read,
		.stream_write = fake_stream_write,
		.stats = fake_stats,
		.check = fake_check,
	};
	fake->ops.hpt = &fake->hpt_ops;
	fake->ops.topup = NULL;
	fake->ops.fault = NULL;
}

void fake_backend_forget(struct fake_backend *fake)
{
	fake->nr_calls = 0;
	fake->nr_ranges = 0;
	memset(fake->nr_of, 0, sizeof(fake->nr_of));
}

const struct fake_call *fake_backend_nth(const struct fake_backend *fake,
					 enum fake_call_kind kind, size_t n)
{
	for (size_t i = 0; i < fake->nr_calls; i++)
		if (fake->calls[i].kind == kind && !n--)
			return &fake->calls[i];

	return NULL;
}
