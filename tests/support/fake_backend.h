/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_backend.h - a backend that notes what it is asked to do.
 *
 * It holds the core to backend.h: ranges lie in the slot, ascend and do not
 * touch; protect, flush and collect come between log_start and log_stop, those
 * between attach and detach; faults come from attached vCPUs, outside of what
 * is moving. A breach ends the test with a line on standard error. It may be
 * told to fail a call, what a collect or a CPU's log is to find, and how to
 * answer a fault.
 */
#ifndef GLN_TESTS_SUPPORT_FAKE_BACKEND_H
#define GLN_TESTS_SUPPORT_FAKE_BACKEND_H

#include <glean/backend.h>

/** enum fake_call_kind - the calls of struct gln_backend_ops. */
enum fake_call_kind {
	FAKE_ATTACH,
	FAKE_DETACH,
	FAKE_LOG_START,
	FAKE_LOG_STOP,
	FAKE_COLLECT,
	FAKE_PROTECT,
	FAKE_FLUSH,
	FAKE_VCPU_ATTACH,
	FAKE_VCPU_DETACH,
	FAKE_TOPUP,
	FAKE_FAULT,
	FAKE_MMIO,
	FAKE_EXITED,
	FAKE_UNMAP,
	FAKE_AGE,
	FAKE_SPLIT,
	FAKE_SET_UP,
	FAKE_ALLOCATE,
	FAKE_PREPARE,
	FAKE_WORK,
	FAKE_COMMIT,
	FAKE_KICK,
	FAKE_STREAM_OPEN,
	FAKE_STREAM_CLOSE,
	FAKE_STREAM_READ,
	FAKE_STREAM_WRITE,
	FAKE_CHECK,
	NR_FAKE_CALL_KINDS,
};

/**
 * struct fake_call - one call.
 *
 * @id:		the slot's; or the vCPU's, of calls that have no slot; or the
 *		order of a hash table.
 * @base:	the slot's.
 * @flags:	of log_start; the access, of a fault; of a resize.
 * @first_range, @nr_ranges: of protect, collect, flush, unmap, age and split,
 *in the backend's @ranges.
 * @whole_slot, @nr_pages: of flush.
 * @gfn, @is_logged: of a fault; @gfn of mmio.
 */
struct fake_call {
	enum fake_call_kind kind;
	uint32_t id;
	gln_gfn base;
	uint32_t flags;
	size_t first_range;
	size_t nr_ranges;
	bool whole_slot;
	uint64_t nr_pages;
	gln_gfn gfn;
	bool is_logged;
};

enum {
	FAKE_CALLS = 4096,
	FAKE_RANGES = 1 << 16,
};

/**
 * struct fake_backend - give @backend to the VM.
 *
 * @ops:	all calls; a test takes out what it wants absent.
 * @nr_of:	calls of each kind since the last fake_backend_forget().
 * @fail_at:	for each kind which call fails, with @fail_with: 1 is the next
 *		one, 0 none.
 * @written:	NULL, or one byte for each page of slot @written_id: what the
 *		next collect of it marks and resets to 0.
 * @nr_slots, @nr_logged, @nr_vcpus: attached and logged now.
 * @answer:	of a fault, an enum gln_fault.
 * @to_mark:	of a fault of a logged slot.
 * @in_fault:	NULL, or called in the middle of a fault; @in_unmap likewise.
 * @cpu_log, @nr_cpu_log: frames that the next exit or detach of a vCPU marks.
 * @dirty:	what unmap marks of its range.
 * @nr_young:	what age adds for each range.
 * @has_table:	of a hash table: nothing is to be set up.
 * @in_change:	NULL, or called in the middle of what needs vCPUs to be outside.
 * @can_kick, @in_kick: whether there is a kick, and what is in the middle of
 *		it, or NULL.
 * @answer_prepare, @answer_commit, @answer_stream, @answer_hcall: of these; of
 *		a fault it is @answer.
 * @nr_too_hard: so many calls first find the table being changed.
 * @nr_hcalls:	hypercalls, which vCPUs make side by side.
 */
struct fake_backend {
	struct gln_backend backend;
	struct gln_backend_ops ops;
	struct gln_backend_hpt_ops hpt_ops;
	uint64_t nr_of[NR_FAKE_CALL_KINDS];
	uint64_t fail_at[NR_FAKE_CALL_KINDS];
	int fail_with;
	uint8_t *written;
	uint32_t written_id;
	unsigned int nr_slots;
	unsigned int nr_logged;
	unsigned int nr_vcpus;
	int answer;
	bool to_mark;
	void (*in_fault)(struct fake_backend *fake,
			 const struct gln_backend_fault *fault);
	void (*in_unmap)(struct fake_backend *fake);
	const gln_gfn *cpu_log;
	size_t nr_cpu_log;
	struct gln_range dirty;
	uint64_t nr_young;
	uint32_t split_flags; /* of the last split */
	_Atomic bool has_table;
	void (*in_change)(struct fake_backend *fake, enum fake_call_kind kind);
	bool can_kick;
	void (*in_kick)(struct fake_backend *fake);
	int answer_prepare;
	int answer_commit;
	int64_t answer_stream;
	int64_t answer_hcall;
	unsigned int nr_too_hard;
	_Atomic uint64_t nr_hcalls;
	size_t nr_calls;
	size_t nr_ranges;
	struct fake_call calls[FAKE_CALLS];
	struct gln_range ranges[FAKE_RANGES];
};

/** fake_backend_init() - with the calls that @caps need, and no more. */
void fake_backend_init(struct fake_backend *fake, uint32_t caps);

/**
 * fake_backend_add_hpt() - and a hash table, for GLN_CAP_FAULT: what needs
 * vCPUs to be outside of it is noted, what they do is counted.
 */
void fake_backend_add_hpt(struct fake_backend *fake);

/** fake_backend_forget() - forget the calls noted so far. */
void fake_backend_forget(struct fake_backend *fake);

/** fake_backend_nth() - the @n-th call of a kind, from 0; NULL past the last.
 */
const struct fake_call *fake_backend_nth(const struct fake_backend *fake,
					 enum fake_call_kind kind, size_t n);

#endif
