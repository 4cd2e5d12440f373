/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hcall_random.c - random hypercalls of one vCPU, against an oracle that does
 * them one after the other on an array.
 *
 * After each: the code, every register, the entry as hardware finds it. In
 * between: faults, a host that takes pages away and makes them read-only,
 *aging, harvests, a table that is cleared, and a CPU that notes R and C when it
 *must and not before. What it noted of a logged slot is in a harvest, or lost.
 *
 * Few groups are used, so that they fill up; guests fill and drain by turns.
 *
 *	hcall_random [--steps N] [--seed N] [--isa 207|300] [--order N]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/hpt_oracle.h"
#include "tests/support/hpt_rig.h"
#include "tests/support/stress_frame.h"

typedef unsigned long long ull;

enum {
	NR_SEGMENTS = 16,
	NR_RECENT = 256, /* addresses that were entered, and are used */
	HOT_GROUPS = 16, /* and their complements */
	PHASE_STEPS = 2048,
	CHECK_STEPS = 1 << 16,
	BUSY_PERMILLE = 30, /* of an hypercall: something else comes first */
	ISA_2_07 = 207,
	ISA_3_0 = 300,
};

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define KIB UINT64_C(1024)

/* The slots: aligned to 16M; to nothing; read-only; one of 16G. */
enum { SLOT_BIG, SLOT_ODD, SLOT_READ_ONLY, SLOT_HUGE, NR_SLOTS, NR_LOGGED = 2 };

static const struct oracle_slot slots[NR_SLOTS] = {
	[SLOT_BIG] = {.base = 0, .bytes = 32 * MIB},
	[SLOT_ODD] = {.base = 64 * MIB + 20 * KIB, .bytes = 77 * 4 * KIB},
	[SLOT_READ_ONLY] = {.base = 128 * MIB,
			    .bytes = 1 * MIB,
			    .is_read_only = true},
	[SLOT_HUGE] = {.base = 16 * GIB, .bytes = 16 * GIB},
};

/* Host memory is there for the first three. */
#define MEMORY_BYTES (129 * MIB)

/* Sizes that an entry may have, and what encodes them. */
static const struct size {
	unsigned int base, actual;
	uint64_t v, lp;
} sizes[] = {
	{12, 12, 0, 0},
	{16, 16, GLN_HPTE_V_LARGE, 0x01},
	{24, 24, GLN_HPTE_V_LARGE, 0x00},
	{34, 34, GLN_HPTE_V_LARGE, 0x03},
	{12, 16, GLN_HPTE_V_LARGE, 0x07},
	{16, 24, GLN_HPTE_V_LARGE, 0x08},
	{12, 24, GLN_HPTE_V_LARGE, 0x38},
};

/* L and LP of an SLB entry. */
static const struct {
	unsigned int base;
	uint64_t slb;
} segment_sizes[] = {{12, 0}, {16, 0x110}, {24, 0x100}, {34, 0x120}};

/** struct segment - of the guest's address space. */
struct segment {
	uint64_t slb;
	unsigned int base;
};

/** struct address - one that the guest uses. */
struct address {
	const struct segment *segment;
	uint64_t ea;
};

/** struct logged - what a slot's log must say. */
struct logged {
	bool is_on;
	uint64_t nr_pages;
	uint8_t *must; /* a byte a page: noted, and not harvested yet */
	uint8_t *before;
	uint64_t *bitmap;
};

/** struct run - a guest under test. */
struct run {
	struct hpt_rig rig;
	struct oracle oracle;
	struct stress_random random;
	unsigned int order;
	uint64_t seed, step;
	bool fills;
	struct segment segments[NR_SEGMENTS];
	struct address recent[NR_RECENT];
	struct logged logs[NR_LOGGED];
	uint64_t nr_success, nr_full, nr_noted, nr_harvested;
	uint64_t nr_faults[GLN_FAULT_REFLECT + 1];
};

/* What went wrong, and when. Nothing goes on from there: it is one loss. */
__attribute__((noreturn, format(printf, 2, 3))) static void lose(
	const struct run *run, const char *format, ...)
{
	va_list arguments;

	printf("step %llu of --seed %llu --isa %d --order %u: ", (ull)run->step,
	       (ull)run->seed,
	       run->rig.isa == GLN_HPT_ISA_3_0 ? ISA_3_0 : ISA_2_07,
	       run->order);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	exit(stress_verdict(1));
}

#define MUST(run, condition, ...) \
	((condition) ? (void)0 : lose(run, __VA_ARGS__))

static uint64_t below(struct run *run, uint64_t n)
{
	return stress_below(&run->random, n);
}

static bool chance(struct run *run, uint64_t permille)
{
	return stress_chance(&run->random, permille);
}

static uint64_t any(struct run *run)
{
	return stress_random(&run->random);
}

/* What to call with. */

static uint64_t hot_group(struct run *run)
{
	const uint64_t group = below(run, HOT_GROUPS);

	return chance(run, 250)
		       ? run->oracle.nr_entries / ORACLE_GROUP - 1 - group
		       : group;
}

static uint64_t hot_index(struct run *run)
{
	return hot_group(run) * ORACLE_GROUP + below(run, ORACLE_GROUP);
}

/* Now and then one past the end, or from anywhere. */
static uint64_t any_index(struct run *run)
{
	if (!chance(run, 10))
		return hot_index(run);
	switch (below(run, 4)) {
	case 0:
		return run->oracle.nr_entries - 1;
	case 1:
		return run->oracle.nr_entries;
	case 2:
		return below(run, run->oracle.nr_entries);
	default:
		return any(run);
	}
}

static const struct segment *any_segment(struct run *run)
{
	return &run->segments[below(run, NR_SEGMENTS)];
}

/* An address whose groups are hot ones. */
static uint64_t any_ea(struct run *run, const struct segment *segment)
{
	const uint64_t page =
		below(run, HOT_GROUPS) | below(run, 4) << (run->order - 7);
	const uint64_t segment_bytes =
		UINT64_C(1) << (segment->slb & GLN_SLB_1TB ? 40 : 28);
	uint64_t ea = page << segment->base;

	ea |= any(run) & ((UINT64_C(1) << segment->base) - 1);
	return ea & (segment_bytes - 1);
}

/* A slot that holds pages of this size, more often than not. */
static const struct oracle_slot *any_slot(struct run *run, unsigned int shift)
{
	static const unsigned int fit[] = {SLOT_BIG, SLOT_BIG, SLOT_HUGE,
					   SLOT_READ_ONLY, SLOT_ODD};
	const size_t nr_fit = shift > 24   ? 0
			      : shift > 16 ? 3
			      : shift > 12 ? 4
					   : 5;

	if (chance(run, 50))
		return &slots[below(run, NR_SLOTS)];
	return &slots[nr_fit ? fit[below(run, nr_fit)] : SLOT_HUGE];
}

static uint64_t any_gpa(struct run *run, unsigned int shift)
{
	const struct oracle_slot *const slot = any_slot(run, shift);

	switch (below(run, 16)) {
	case 0: /* an edge, from within or without */
		return slot->base + (chance(run, 500) ? 0 : slot->bytes) +
		       ((below(run, 4) - 2) << RIG_SHIFT);
	case 1:
		return any(run);
	case 2: /* few pages that many entries map */
	case 3:
	case 4:
	case 5:
		return slot->base + (below(run, 3) << RIG_SHIFT);
	default:
		return slot->base + below(run, slot->bytes);
	}
}

/* R but for address and size. */
static uint64_t any_rights(struct run *run)
{
	uint64_t r = GLN_HPTE_R_M | below(run, 4);

	if (chance(run, 100))
		r |= GLN_HPTE_R_PP0;
	if (chance(run, 200))
		r |= any(run) & GLN_HPTE_R_KEY;
	if (chance(run, 100))
		r ^= any(run) & GLN_HPTE_R_WIMG;
	if (chance(run, 100))
		r |= GLN_HPTE_R_N;
	if (chance(run, 300))
		r |= any(run) & (GLN_HPTE_R_R | GLN_HPTE_R_C);
	if (chance(run, 50))
		r |= UINT64_C(1) << 62;
	return r;
}

static uint64_t any_software_bits(struct run *run)
{
	uint64_t v = chance(run, 900) ? GLN_HPTE_V_VALID : 0;

	if (chance(run, 120))
		v |= GLN_HPTE_V_BOLTED;
	if (chance(run, 120))
		v |= GLN_HPTE_V_LOCK;
	if (chance(run, 60))
		v |= any(run) & (GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT);
	return v;
}

static const struct size *size_for(struct run *run,
				   const struct segment *segment)
{
	const struct size *size;

	do
		size = &sizes[below(run, ARRAY_SIZE(sizes))];
	while (size->base != segment->base);
	return size;
}

/* V and R, and a group where they belong. */
static void any_entry(struct run *run, uint64_t *index, uint64_t *v,
		      uint64_t *r)
{
	const struct segment *const segment = any_segment(run);
	const struct size *const size = size_for(run, segment);
	const uint64_t ea = any_ea(run, segment);
	const bool is_secondary = chance(run, 250);

	run->recent[below(run, NR_RECENT)] = (struct address){segment, ea};

	*index = oracle_group(&run->oracle, segment->slb, ea, is_secondary) *
			 ORACLE_GROUP +
		 below(run, ORACLE_GROUP);
	*v = oracle_vpn(segment->slb, ea) | size->v | any_software_bits(run) |
	     (is_secondary ? GLN_HPTE_V_SECONDARY : 0);
	*r = (any_gpa(run, size->actual) & GLN_HPTE_R_RPN) | any_rights(run);
	if (size->v)
		*r = (*r & ~GLN_HPTE_R_LP) | size->lp << GLN_HPTE_R_LP_SHIFT |
		     (size->actual == 16 ? *r & UINT64_C(0xf0000) : 0);

	if (chance(run, 15))
		*v |= UINT64_C(1) << 63;
	if (chance(run, 15))
		*r ^= any(run) & GLN_HPTE_R_LP;
	if (chance(run, 15))
		*v = any(run);
	if (chance(run, 15))
		*r = any(run);
}

/* What a condition compares with: right, nearly right, anything. */
static uint64_t any_avpn(struct run *run, uint64_t index)
{
	const uint64_t v = index < run->oracle.nr_entries
				   ? run->oracle.entries[index].v
				   : any(run);

	switch (below(run, 10)) {
	case 0:
		return v;
	case 1:
		return (v & GLN_HPTE_V_COMPARE) ^
		       UINT64_C(1) << (7 + below(run, 57));
	case 2:
		return any(run);
	default:
		return v & GLN_HPTE_V_COMPARE;
	}
}

static uint64_t any_mask(struct run *run)
{
	switch (below(run, 4)) {
	case 0:
		return 0;
	case 1:
		return GLN_HPTE_V_BOLTED;
	case 2:
		return any(run) & 0x7f;
	default:
		return GLN_HPTE_V_BOLTED | GLN_HPTE_V_LOCK;
	}
}

/* Flags that the call has no use for are ignored. */
static uint64_t stray_flags(struct run *run)
{
	const uint64_t meant =
		GLN_H_EXACT | GLN_H_READ_4 | GLN_H_AVPN | GLN_H_ANDCOND;

	return chance(run, 100) ? any(run) & ~meant : 0;
}

/* The entry as hardware finds it. */

static bool is_writable(uint64_t r)
{
	return !(r & GLN_HPTE_R_PP0) && (r & GLN_HPTE_R_PP) != 3;
}

/* PP0 and PP of an entry that was made read-only. */
static uint64_t read_only(uint64_t r)
{
	const uint64_t pp = r & (GLN_HPTE_R_PP0 | GLN_HPTE_R_PP);

	return pp & GLN_HPTE_R_PP0 || !pp ? GLN_HPTE_R_PP0 | 2 : 3;
}

static void check_valid(struct run *run, uint64_t index, struct gln_hpte real,
			const struct oracle_entry *guest)
{
	const uint64_t pp = GLN_HPTE_R_PP0 | GLN_HPTE_R_PP;
	const uint64_t gpa = oracle_gpa(guest);
	const struct oracle_slot *const slot =
		oracle_slot_at(&run->oracle, gpa);
	unsigned int base = 0, actual = 0, real_base = 0, real_actual = 0;
	uint64_t in_page;

	MUST(run, slot, "entry %llu is valid, and nothing is there",
	     (ull)index);
	(void)oracle_shifts(guest->v, guest->r, &base, &actual);
	MUST(run, oracle_shifts(real.v, real.r, &real_base, &real_actual),
	     "entry %llu has no size: %llx", (ull)index, (ull)real.r);
	MUST(run, base == real_base && actual == real_actual,
	     "entry %llu is %u in %u, not %u in %u", (ull)index, real_actual,
	     real_base, actual, base);
	in_page = (UINT64_C(1) << actual) - 1;
	MUST(run, (real.r & GLN_HPTE_R_RPN & ~in_page) == RIG_HPA + gpa,
	     "entry %llu maps %llx, not %llx", (ull)index,
	     (ull)(real.r & GLN_HPTE_R_RPN & ~in_page), (ull)(RIG_HPA + gpa));
	MUST(run,
	     !((real.r ^ guest->r) & (GLN_HPTE_R_KEY | GLN_HPTE_R_N)) &&
		     (real.r & GLN_HPTE_R_WIMG) == GLN_HPTE_R_M &&
		     !(real.r & UINT64_C(1) << 62),
	     "entry %llu is %llx for a guest's %llx", (ull)index, (ull)real.r,
	     (ull)guest->r);
	MUST(run,
	     !((real.r ^ guest->r) & pp) ||
		     (real.r & pp) == read_only(guest->r) ||
		     !is_writable(real.r),
	     "entry %llu has PP of %llx for a guest's %llx", (ull)index,
	     (ull)real.r, (ull)guest->r);
	MUST(run, !is_writable(real.r) || is_writable(guest->r),
	     "entry %llu may be written, against the guest: %llx for %llx",
	     (ull)index, (ull)real.r, (ull)guest->r);
	MUST(run, !is_writable(real.r) || !slot->is_read_only,
	     "entry %llu writes to read-only memory", (ull)index);
	MUST(run, !(real.r & ~guest->r & (GLN_HPTE_R_R | GLN_HPTE_R_C)),
	     "entry %llu noted what no CPU did: %llx", (ull)index, (ull)real.r);
}

static void check_memory(struct run *run, uint64_t index)
{
	const uint64_t states =
		GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT | GLN_HPTE_V_VALID;
	const struct oracle_entry *const guest = &run->oracle.entries[index];
	const struct gln_hpte real = hpt_rig_entry(&run->rig, index);
	const uint64_t state = real.v & states;

	if (!guest->v) {
		/* B may be left over where it is R's. */
		MUST(run, !(real.v & ~GLN_HPTE_V_B),
		     "entry %llu is free, not %llx", (ull)index, (ull)real.v);
		return;
	}
	MUST(run, state == GLN_HPTE_V_VALID || state == GLN_HPTE_V_ABSENT,
	     "entry %llu is neither valid nor absent: %llx", (ull)index,
	     (ull)real.v);
	MUST(run, !((real.v ^ guest->v) & ~states),
	     "entry %llu is %llx in memory, not %llx", (ull)index, (ull)real.v,
	     (ull)guest->v);
	if (state == GLN_HPTE_V_VALID) {
		check_valid(run, index, real, guest);
		return;
	}
	if (oracle_slot_at(&run->oracle, oracle_gpa(guest)))
		MUST(run, !(real.r & GLN_HPTE_R_KEY),
		     "absent memory at %llu looks like a device: %llx",
		     (ull)index, (ull)real.r);
	else
		MUST(run, !(~real.r & GLN_HPTE_R_KEY),
		     "a device at %llu looks like memory: %llx", (ull)index,
		     (ull)real.r);
}

/* What CPUs do. */

static void note_written(struct run *run, uint64_t gpa, uint64_t bytes)
{
	for (size_t i = 0; i < NR_LOGGED; i++) {
		struct logged *const log = &run->logs[i];
		const uint64_t page = (gpa - slots[i].base) >> RIG_SHIFT;

		if (log->is_on && gpa >= slots[i].base && page < log->nr_pages)
			memset(log->must + page, 1,
			       (size_t)((bytes + 4 * KIB - 1) >> RIG_SHIFT));
	}
}

static void noted(void *ctx, uint64_t index, uint64_t rc)
{
	struct run *const run = ctx;
	const struct oracle_entry *const entry = &run->oracle.entries[index];
	unsigned int base, actual;

	MUST(run, entry->v && oracle_shifts(entry->v, entry->r, &base, &actual),
	     "a CPU used entry %llu, which is none", (ull)index);
	oracle_note(&run->oracle, index, rc);
	if (rc & GLN_HPTE_R_C)
		note_written(run, oracle_gpa(entry), UINT64_C(1) << actual);
	run->nr_noted++;
}

/* An access by an entry, noted at once or late. */
static void use_entry(struct run *run, uint64_t index)
{
	const struct gln_hpte real = hpt_rig_entry(&run->rig, index);
	uint64_t rc = GLN_HPTE_R_R;

	if (!(real.v & GLN_HPTE_V_VALID))
		return;
	if (is_writable(real.r) && chance(run, 600))
		rc |= GLN_HPTE_R_C;
	if (chance(run, 500))
		(void)hpt_rig_keep(&run->rig, index, rc);
	else
		hpt_rig_note(&run->rig, index, rc);
}

static void step_access(struct run *run)
{
	use_entry(run, hot_index(run));
}

static void check_served(struct run *run, const struct gln_hpt_fault *fault,
			 uint64_t index, int said)
{
	const struct oracle_entry *const guest = &run->oracle.entries[index];
	const struct gln_hpte real = hpt_rig_entry(&run->rig, index);
	const bool is_away =
		hpt_rig_mood(&run->rig, oracle_gpa(guest)) == RIG_AWAY;

	if (said == GLN_FAULT_RETRY) {
		MUST(run, is_away, "a fault of entry %llu is to be retried",
		     (ull)index);
		return;
	}
	MUST(run,
	     said == GLN_FAULT_MAPPED || said == GLN_FAULT_RELAXED ||
		     said == GLN_FAULT_SPURIOUS,
	     "a fault of entry %llu says %d", (ull)index, said);
	MUST(run, real.v & GLN_HPTE_V_VALID && oracle_allows(fault, real.r),
	     "access %x of entry %llu was granted (%d), and V %llx R %llx does "
	     "not allow it",
	     fault->access, (ull)index, said, (ull)real.v, (ull)real.r);
	use_entry(run, index);
}

/* One that was entered some time ago; or any. */
static struct address any_address(struct run *run)
{
	struct address at = run->recent[below(run, NR_RECENT)];

	if (chance(run, 100))
		at.segment = any_segment(run);
	if (chance(run, 100))
		at.ea = any_ea(run, at.segment);
	return at;
}

static void step_fault(struct run *run)
{
	static const uint32_t accesses[] = {GLN_ACCESS_READ, GLN_ACCESS_READ,
					    GLN_ACCESS_WRITE, GLN_ACCESS_WRITE,
					    GLN_ACCESS_EXEC};
	const struct address at = any_address(run);
	struct gln_hpt_fault fault = {
		.ea = at.ea,
		.slb = at.segment->slb |
		       (any(run) & (GLN_SLB_KS | GLN_SLB_KP)) |
		       (chance(run, 50) ? GLN_SLB_N : 0),
		.amr = chance(run, 300) ? any(run) : 0,
		.flags = chance(run, 500) ? GLN_HPT_PROBLEM : 0,
		.access = accesses[below(run, ARRAY_SIZE(accesses))],
	};
	struct gln_hpt_fault expected = fault;
	uint64_t index = 0;
	const enum oracle_fault is =
		oracle_fault(&run->oracle, &expected, &index);
	const int said = gln_hpt_fault(run->rig.vcpu, &fault);

	MUST(run, said >= 0 && said <= GLN_FAULT_REFLECT, "a fault says %d",
	     said);
	run->nr_faults[said]++;
	switch (is) {
	case ORACLE_REFLECT:
		MUST(run,
		     said == GLN_FAULT_REFLECT && fault.dsisr == expected.dsisr,
		     "a fault at %llx says %d, DSISR %llx, not %llx",
		     (ull)fault.ea, said, (ull)fault.dsisr,
		     (ull)expected.dsisr);
		break;
	case ORACLE_MMIO:
		MUST(run, said == GLN_FAULT_MMIO && fault.gpa == expected.gpa,
		     "a fault at %llx says %d at %llx, not MMIO at %llx",
		     (ull)fault.ea, said, (ull)fault.gpa, (ull)expected.gpa);
		break;
	case ORACLE_READ_ONLY:
		MUST(run,
		     (said == GLN_FAULT_READ_ONLY &&
		      fault.gpa == expected.gpa) ||
			     (said == GLN_FAULT_RETRY &&
			      hpt_rig_mood(&run->rig, expected.gpa) ==
				      RIG_AWAY),
		     "a fault at %llx says %d at %llx, not READ_ONLY at %llx",
		     (ull)fault.ea, said, (ull)fault.gpa, (ull)expected.gpa);
		break;
	case ORACLE_ALLOWED:
		check_served(run, &fault, index, said);
		check_memory(run, index);
		break;
	}
}

/* Hypercalls. */

static void print_call(uint64_t nr, const uint64_t *args, const uint64_t *got,
		       const uint64_t *wanted)
{
	printf("hypercall %#" PRIx64 "\n", nr);
	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		printf("  r%u %016" PRIx64 " became %016" PRIx64
		       ", expected %016" PRIx64 "\n",
		       4 + i, args[i], got[i], wanted[i]);
}

static void check_answer(struct run *run, uint64_t nr, const uint64_t *args,
			 const uint64_t *got, int64_t code,
			 const struct oracle_answer *answer)
{
	uint64_t wanted[GLN_HCALL_ARGS];
	bool is_equal;

	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		wanted[i] =
			answer->written >> i & 1 ? answer->rets[i] : args[i];
	is_equal = !memcmp(wanted, got, sizeof(wanted));
	if (code != answer->code || !is_equal)
		print_call(nr, args, got, wanted);
	MUST(run, code == answer->code && is_equal,
	     "hypercall %llx said %lld, not %lld", (ull)nr, (long long)code,
	     (long long)answer->code);
}

static void check_after(struct run *run, uint64_t index)
{
	if (index < run->oracle.nr_entries)
		check_memory(run, index);
	check_memory(run, hot_index(run));
}

/* Make a call, on both sides. In place, or to other registers. */
static void call(struct run *run, uint64_t nr, const uint64_t *args,
		 struct oracle_answer *answer)
{
	const uint64_t generation = gln_hpt_mmio_generation(run->rig.vm);
	uint64_t in_place[GLN_HCALL_ARGS], apart[GLN_HCALL_ARGS];
	uint64_t *const rets = chance(run, 500) ? in_place : apart;
	int64_t code;

	memcpy(in_place, args, sizeof(in_place));
	memcpy(apart, args, sizeof(apart));
	code = gln_hcall(run->rig.vcpu, nr, in_place, rets);
	oracle_call(&run->oracle, nr, args, answer, NULL);

	check_answer(run, nr, args, rets, code, answer);
	MUST(run,
	     !answer->mmio_gone ||
		     gln_hpt_mmio_generation(run->rig.vm) != generation,
	     "a device's entry went by hypercall %llx, and nobody is told",
	     (ull)nr);
	run->nr_success += code == GLN_H_SUCCESS;
	run->nr_full += code == GLN_H_PTEG_FULL;
}

static void step_enter(struct run *run)
{
	uint64_t args[GLN_HCALL_ARGS];
	struct oracle_answer answer;

	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		args[i] = any(run);
	args[0] = stray_flags(run) | (chance(run, 200) ? GLN_H_EXACT : 0);
	any_entry(run, &args[1], &args[2], &args[3]);
	if (chance(run, 50))
		args[1] = any_index(run);
	call(run, GLN_H_ENTER, args, &answer);
	check_after(run, answer.code ? args[1] : answer.rets[0]);
}

/* Calls that name an entry, and may set conditions. */
static void step_by_index(struct run *run, uint64_t nr)
{
	uint64_t args[GLN_HCALL_ARGS];
	struct oracle_answer answer;

	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		args[i] = any(run);
	args[0] = stray_flags(run);
	args[1] = any_index(run);
	args[2] = any_avpn(run, args[1]);
	if (chance(run, 300))
		args[0] |= GLN_H_AVPN;
	if (chance(run, 200)) {
		args[0] |= GLN_H_ANDCOND;
		args[2] = chance(run, 500) ? args[2] : any_mask(run);
	}
	if (nr == GLN_H_READ && chance(run, 400))
		args[0] |= GLN_H_READ_4;
	if (nr == GLN_H_PROTECT)
		args[0] =
			(args[0] & ~UINT64_C(0x3fff)) |
			(any(run) & 0x3fff & (chance(run, 700) ? 0x7 : 0x3fff));
	if (nr == GLN_H_CLEAR_REF && args[1] < run->oracle.nr_entries)
		hpt_rig_settle(&run->rig, args[1]);
	call(run, nr, args, &answer);
	check_after(run, args[1]);
}

static void step_remove(struct run *run)
{
	step_by_index(run, GLN_H_REMOVE);
}

static void step_protect(struct run *run)
{
	step_by_index(run, GLN_H_PROTECT);
}

static void step_read(struct run *run)
{
	step_by_index(run, GLN_H_READ);
}

static void step_clear_ref(struct run *run)
{
	step_by_index(run, GLN_H_CLEAR_REF);
}

static void step_clear_mod(struct run *run)
{
	step_by_index(run, GLN_H_CLEAR_MOD);
}

static void step_bulk(struct run *run)
{
	uint64_t args[GLN_HCALL_ARGS];
	struct oracle_answer answer;

	for (unsigned int i = 0; i < 2 * ORACLE_MAX_BULK; i += 2) {
		const uint64_t index = any_index(run);
		uint64_t flags = below(run, 3);

		args[i] = UINT64_C(1) << 62 | flags << 56 |
			  (index & ((UINT64_C(1) << 56) - 1));
		if (i && chance(run, 60))
			args[i] = args[i - 2]; /* the same again */
		args[i + 1] = flags == 1 ? any_mask(run) : any_avpn(run, index);
		if (chance(run, 40)) /* end, answer, nothing; flags of 3 */
			args[i] ^= below(run, 4) << 62 | below(run, 4) << 56;
		if (chance(run, 30)) /* bits that mean nothing */
			args[i] |= below(run, 16) << 58;
	}
	args[GLN_HCALL_ARGS - 1] = any(run);
	call(run, GLN_H_BULK_REMOVE, args, &answer);
	for (unsigned int i = 0; i < 2 * ORACLE_MAX_BULK; i += 2)
		check_after(run, args[i] & ((UINT64_C(1) << 56) - 1));
}

static void step_unknown(struct run *run)
{
	static const uint64_t numbers[] = {0x00,  0x01,	 0x02,	0x1c,  0x20,
					   0x328, 0x358, 0x374, 0xffff};
	uint64_t nr = numbers[below(run, ARRAY_SIZE(numbers))];
	uint64_t args[GLN_HCALL_ARGS];
	struct oracle_answer answer;

	if (chance(run, 300))
		nr = any(run) | UINT64_C(1) << 32;
	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		args[i] = any(run);
	call(run, nr, args, &answer);
}

/* H_PAGE_INIT: memory, too. */

static uint64_t *word_at(struct run *run, uint64_t gpa)
{
	return (uint64_t *)(void *)(run->rig.memory + gpa);
}

static uint64_t any_init_gpa(struct run *run)
{
	uint64_t gpa;

	do
		gpa = any_gpa(run, RIG_SHIFT);
	while (gpa >= slots[SLOT_HUGE].base &&
	       gpa - slots[SLOT_HUGE].base < slots[SLOT_HUGE].bytes);
	return chance(run, 970) ? gpa & ~(4 * KIB - 1) : gpa;
}

static bool is_away(struct run *run, uint64_t gpa)
{
	return oracle_slot_at(&run->oracle, gpa) &&
	       hpt_rig_mood(&run->rig, gpa) == RIG_AWAY;
}

/* What the oracle leaves to us: the host, and who may write. */
static int64_t expect_init(struct run *run, const uint64_t *args)
{
	const struct oracle_slot *const slot =
		oracle_slot_at(&run->oracle, args[1]);
	struct oracle_answer answer;

	oracle_call(&run->oracle, GLN_H_PAGE_INIT, args, &answer, NULL);
	if (answer.code == GLN_H_SUCCESS && (!slot || slot->is_read_only))
		return GLN_H_PARAMETER;
	return answer.code;
}

static void step_page_init(struct run *run)
{
	const uint64_t known = GLN_H_ZERO_PAGE | GLN_H_COPY_PAGE |
			       GLN_H_ICACHE_INVALIDATE | GLN_H_PAGE_UNUSED |
			       GLN_H_ICACHE_SYNCHRONIZE |
			       GLN_H_PAGE_STATE_CHANGE | GLN_H_PAGE_LOANED;
	uint64_t args[GLN_HCALL_ARGS] = {
		chance(run, 950) ? any(run) & known
				 : any(run) & ~GLN_H_COALESCE_CAND,
		any_init_gpa(run), any_init_gpa(run)};
	const uint64_t word = below(run, 512) * 8;
	const bool copies = args[0] & GLN_H_COPY_PAGE;
	const bool writes = args[0] & (GLN_H_COPY_PAGE | GLN_H_ZERO_PAGE);
	const int64_t expected = expect_init(run, args);
	uint64_t gprs[GLN_HCALL_ARGS];
	int64_t code;

	if (!expected && copies)
		*word_at(run, args[2] + word) = any(run);
	if (!expected && args[1] != args[2])
		*word_at(run, args[1] + word) = any(run) | 1;
	memcpy(gprs, args, sizeof(gprs));
	code = hpt_rig_call(&run->rig, GLN_H_PAGE_INIT, gprs);
	if (code == GLN_H_BUSY &&
	    (is_away(run, args[1]) || (copies && is_away(run, args[2]))))
		return;
	MUST(run, code == expected && !memcmp(gprs, args, sizeof(gprs)),
	     "H_PAGE_INIT of %llx from %llx, flags %llx: %lld, not %lld",
	     (ull)args[1], (ull)args[2], (ull)args[0], (long long)code,
	     (long long)expected);
	if (code || !writes)
		return;
	MUST(run,
	     *word_at(run, args[1] + word) ==
		     (copies ? *word_at(run, args[2] + word) : 0),
	     "H_PAGE_INIT left something at %llx", (ull)(args[1] + word));
	note_written(run, args[1], 4 * KIB);
}

/* The host. */

static struct gln_range any_range(struct run *run)
{
	const struct oracle_slot *const slot = &slots[below(run, NR_SLOTS)];
	const uint64_t nr = slot->bytes >> RIG_SHIFT;
	const uint64_t first = below(run, nr);

	if (chance(run, 3))
		return (struct gln_range){0, UINT64_MAX};
	return (struct gln_range){(slot->base >> RIG_SHIFT) + first,
				  1 + below(run, 600)};
}

static void step_unmap(struct run *run)
{
	MUST(run, !gln_mmu_unmap(run->rig.vm, any_range(run)), "%s",
	     "the host cannot take pages back");
	check_after(run, hot_index(run));
}

static void step_age(struct run *run)
{
	const struct gln_range range = any_range(run);
	uint64_t nr_young = 0;

	MUST(run, !gln_mmu_age(run->rig.vm, range, &nr_young), "%s",
	     "pages cannot grow old");
	MUST(run, nr_young <= range.count, "%llu young pages of %llu",
	     (ull)nr_young, (ull)range.count);
	check_after(run, hot_index(run));
}

static void step_moods(struct run *run)
{
	const struct gln_range all = {0, UINT64_MAX};

	if (!chance(run, 30))
		return;
	run->rig.moods = chance(run, 300) ? 0 : any(run) | 1;
	MUST(run, !gln_mmu_unmap(run->rig.vm, all), "%s",
	     "the host cannot take pages back");
}

/* The log. */

static void log_on(struct run *run, size_t i)
{
	struct logged *const log = &run->logs[i];
	const int err = gln_log_enable(run->rig.vm, (uint32_t)i, 0);

	MUST(run, !err, "logging cannot start: %d", err);
	log->is_on = true;
	memset(log->must, 0, (size_t)log->nr_pages);
}

static void log_off(struct run *run, size_t i)
{
	const int err = gln_log_disable(run->rig.vm, (uint32_t)i);

	MUST(run, !err, "logging cannot stop: %d", err);
	run->logs[i].is_on = false;
}

static void check_quiet(struct run *run, size_t i)
{
	for (unsigned int j = 0; j < run->rig.nr_kept; j++) {
		const struct rig_kept *const kept = &run->rig.kept[j];
		const struct oracle_entry *const entry =
			&run->oracle.entries[kept->index];

		MUST(run,
		     !(kept->rc & GLN_HPTE_R_C) ||
			     oracle_slot_at(&run->oracle, oracle_gpa(entry)) !=
				     &run->oracle.slots[i],
		     "vCPUs rest, slot %zu was harvested, and entry %llu was "
		     "written unnoticed",
		     i, (ull)kept->index);
	}
}

static void harvest(struct run *run, size_t i)
{
	struct logged *const log = &run->logs[i];
	int err;

	memcpy(log->before, log->must, (size_t)log->nr_pages);
	err = gln_get_dirty_log(run->rig.vm, (uint32_t)i, log->bitmap);
	MUST(run, !err, "slot %zu cannot be harvested: %d", i, err);
	for (uint64_t page = 0; page < log->nr_pages; page++) {
		const uint64_t word = page / 64;
		const bool is_told = log->bitmap[word] >> page % 64 & 1;

		MUST(run, is_told || !log->before[page],
		     "page %llu of slot %zu was written: lost", (ull)page, i);
		if (is_told)
			log->must[page] = 0;
		run->nr_harvested += is_told;
	}
}

static void enter(struct run *run)
{
	const int err = gln_vcpu_enter(run->rig.vcpu);

	MUST(run, !err, "the vCPU cannot enter: %d", err);
}

static void step_log(struct run *run)
{
	const size_t i = (size_t)below(run, NR_LOGGED);
	const bool is_quiet = chance(run, 500);

	if (is_quiet)
		gln_vcpu_leave(run->rig.vcpu);
	if (!run->logs[i].is_on)
		log_on(run, i);
	else if (chance(run, 50))
		log_off(run, i);
	else
		harvest(run, i);
	if (is_quiet && run->logs[i].is_on)
		check_quiet(run, i);
	if (is_quiet)
		enter(run);
	check_after(run, hot_index(run));
}

/* All of the table. */

static void check_table(struct run *run)
{
	const char *why = "no reason";

	for (uint64_t i = 0; i < run->oracle.nr_entries; i++) {
		uint64_t gprs[GLN_HCALL_ARGS] = {0, i};
		const int64_t code = hpt_rig_call(&run->rig, GLN_H_READ, gprs);
		const struct oracle_entry *const entry =
			&run->oracle.entries[i];

		MUST(run, !code && gprs[0] == entry->v && gprs[1] == entry->r,
		     "entry %llu reads %llx %llx, not %llx %llx", (ull)i,
		     (ull)gprs[0], (ull)gprs[1], (ull)entry->v, (ull)entry->r);
		check_memory(run, i);
	}
	gln_vcpu_leave(run->rig.vcpu);
	MUST(run, !gln_hpt_check(run->rig.vm, &why), "the table: %s", why);
	enter(run);
}

/* The guest boots again. */
static void step_clear(struct run *run)
{
	uint32_t order = run->order;
	int err;

	if (!chance(run, 30))
		return;
	check_table(run);
	gln_vcpu_leave(run->rig.vcpu);
	err = gln_hpt_allocate(run->rig.vm, &order);
	MUST(run, !err && order == run->order,
	     "the table cannot be cleared: %d, order %u", err, order);
	memset(run->oracle.entries, 0,
	       (size_t)run->oracle.nr_entries * sizeof(*run->oracle.entries));
	enter(run);
	MUST(run, !run->rig.nr_kept, "%s",
	     "the table was cleared, and CPUs use what was in it");
}

static void step(struct run *run)
{
	static const struct {
		void (*step)(struct run *run);
		unsigned int filling, draining; /* lots */
	} steps[] = {
		{step_enter, 400, 130},	  {step_remove, 40, 200},
		{step_bulk, 10, 120},	  {step_protect, 120, 120},
		{step_read, 100, 100},	  {step_clear_ref, 50, 50},
		{step_clear_mod, 50, 50}, {step_access, 90, 90},
		{step_fault, 120, 120},	  {step_unknown, 3, 3},
		{step_page_init, 10, 10}, {step_unmap, 3, 3},
		{step_age, 3, 3},	  {step_log, 3, 3},
		{step_moods, 1, 1},	  {step_clear, 1, 1},
	};
	unsigned int total = 0;
	uint64_t lot;
	size_t i = 0;

	for (size_t j = 0; j < ARRAY_SIZE(steps); j++)
		total += run->fills ? steps[j].filling : steps[j].draining;
	lot = below(run, total);
	for (;; i++) {
		const unsigned int share =
			run->fills ? steps[i].filling : steps[i].draining;

		if (lot < share)
			break;
		lot -= share;
	}
	steps[i].step(run);
}

/* Life. */

static void choose_segments(struct run *run)
{
	for (unsigned int i = 0; i < NR_SEGMENTS; i++) {
		const size_t size = i % ARRAY_SIZE(segment_sizes);
		const bool is_1t = i & 4;
		const uint64_t vsid = below(run, HOT_GROUPS) | below(run, 64)
								       << 20;

		run->segments[i] = (struct segment){
			.slb = segment_sizes[size].slb |
			       (is_1t ? GLN_SLB_1TB | vsid << 24 : vsid << 12),
			.base = segment_sizes[size].base,
		};
	}
	for (unsigned int i = 0; i < NR_RECENT; i++)
		run->recent[i].segment = &run->segments[i % NR_SEGMENTS];
}

static void open_logs(struct run *run)
{
	for (size_t i = 0; i < NR_LOGGED; i++) {
		struct logged *const log = &run->logs[i];

		log->nr_pages = slots[i].bytes >> RIG_SHIFT;
		log->must = calloc((size_t)log->nr_pages, 1);
		log->before = calloc((size_t)log->nr_pages, 1);
		log->bitmap = calloc((size_t)log->nr_pages / 64 + 1, 8);
		CHECK(log->must && log->before && log->bitmap,
		      "memory for a log");
	}
}

static void open_run(struct run *run, enum gln_hpt_isa isa, unsigned int order,
		     uint64_t seed)
{
	const struct hpt_rig_params params = {
		.isa = isa,
		.order = order,
		.memory_bytes = MEMORY_BYTES,
	};
	int err;

	memset(run, 0, sizeof(*run));
	run->seed = seed;
	run->order = order;
	run->random = stress_random_from(seed, isa);
	CHECK(!oracle_init(&run->oracle, isa, order), "memory for an oracle");
	err = hpt_rig_open(&run->rig, &params);
	CHECK(!err, "a guest can be made, error %d", err);
	run->rig.noted = noted;
	run->rig.ctx = run;
	for (uint32_t i = 0; i < NR_SLOTS; i++) {
		run->oracle.slots[i] = slots[i];
		err = hpt_rig_slot(&run->rig, i, slots[i].base, slots[i].bytes,
				   slots[i].is_read_only ? GLN_SLOT_READ_ONLY
							 : 0);
		CHECK(!err, "slot %u can be added, error %d", i, err);
	}
	run->oracle.nr_slots = NR_SLOTS;
	open_logs(run);
	choose_segments(run);
}

static void close_run(struct run *run)
{
	CHECK(!hpt_rig_close(&run->rig), "nobody uses the VM");
	oracle_fini(&run->oracle);
	for (size_t i = 0; i < NR_LOGGED; i++) {
		free(run->logs[i].must);
		free(run->logs[i].before);
		free(run->logs[i].bitmap);
	}
}

static void print_run(const struct run *run, uint64_t nr_steps, uint64_t ns)
{
	const uint64_t *const faults = run->nr_faults;

	printf("ISA %s: %" PRIu64 " steps in %" PRIu64 " ms: %" PRIu64
	       " calls succeeded, %" PRIu64 " groups full, %" PRIu64
	       " notes of CPUs, %" PRIu64 " pages harvested\n",
	       run->rig.isa == GLN_HPT_ISA_3_0 ? "3.0" : "2.07", nr_steps,
	       ns / 1000000, run->nr_success, run->nr_full, run->nr_noted,
	       run->nr_harvested);
	printf("  faults: %" PRIu64 " mapped, %" PRIu64 " relaxed, %" PRIu64
	       " spurious, %" PRIu64 " retry, %" PRIu64 " MMIO, %" PRIu64
	       " read-only, %" PRIu64 " reflected\n",
	       faults[GLN_FAULT_MAPPED], faults[GLN_FAULT_RELAXED],
	       faults[GLN_FAULT_SPURIOUS], faults[GLN_FAULT_RETRY],
	       faults[GLN_FAULT_MMIO], faults[GLN_FAULT_READ_ONLY],
	       faults[GLN_FAULT_REFLECT]);
}

static void run_isa(enum gln_hpt_isa isa, unsigned int order, uint64_t seed,
		    uint64_t nr_steps)
{
	static struct run run;
	const uint64_t begin_ns = stress_now_ns();

	open_run(&run, isa, order, seed);
	enter(&run);
	for (run.step = 1; run.step <= nr_steps; run.step++) {
		const char *why;

		if (run.step % PHASE_STEPS == 1)
			run.fills = !run.fills;
		step(&run);
		why = hpt_rig_check_cpu(&run.rig);
		MUST(&run, !why, "%s", why);
		if (run.step % CHECK_STEPS == 0)
			check_table(&run);
	}
	check_table(&run);
	gln_vcpu_leave(run.rig.vcpu);
	print_run(&run, nr_steps, stress_now_ns() - begin_ns);
	close_run(&run);
}

int main(int argc, char **argv)
{
	uint64_t steps = STRESS_TSAN ? 30000 : 2000000;
	uint64_t seed = 0, isa = 0, order = GLN_HPT_ORDER_MIN;
	uint64_t until_lost = 0; /* it always ends then */
	const struct stress_option options[] = {
		{"steps", &steps, NULL},
		{"seed", &seed, NULL},
		{"isa", &isa, NULL},
		{"order", &order, NULL},
		{"until-lost", &until_lost, NULL},
	};

	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	seed = stress_seed(seed);
	printf("hcall_random: --seed %" PRIu64 " --steps %" PRIu64 "\n", seed,
	       steps);
	fflush(stdout);
	if (isa != ISA_3_0)
		run_isa(GLN_HPT_ISA_2_07, (unsigned int)order, seed, steps);
	if (isa != ISA_2_07)
		run_isa(GLN_HPT_ISA_3_0, (unsigned int)order, seed, steps);

	return stress_verdict(0);
}
