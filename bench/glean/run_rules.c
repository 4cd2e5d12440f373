/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_rules.c - which options of `glean run` go together, and what to say of
 * those that do not.
 */
#include "bench/glean/run_rules.h"

#include <inttypes.h>
#include <unistd.h>

#include "bench/glean/guest.h"
#include "bench/glean/hpt_size.h"
#include "bench/glean/units.h"

#define EPT_PAGE_SHIFT	  12U
/* A level of an EPT table translates so many bits (SDM 29.3.2). */
#define EPT_LEVEL_BITS	  9U
/* Real addresses that an entry holds: before ISA 3.0, and since (R's RPN). */
#define HPT_REAL_BITS	  60U
#define HPT_REAL_BITS_3_0 57U

const char *const backend_names[NR_BACKENDS + 1] = {
	[BACKEND_PROCESS] = "process",	   [BACKEND_REF] = "ref",
	[BACKEND_X86_EPT] = "x86_ept",	   [BACKEND_ARM_S2] = "arm_s2",
	[BACKEND_BOOK3S_HV] = "book3s_hv",
};

const char *const isa_names[] = {
	[GLN_HPT_ISA_2_07] = "2.07",
	[GLN_HPT_ISA_3_0] = "3.0",
	NULL,
};

/* Sets of backends. */
#define ON_PROCESS (1U << BACKEND_PROCESS)
#define ON_EPT	   (1U << BACKEND_X86_EPT)
#define ON_S2	   (1U << BACKEND_ARM_S2)
#define ON_HPT	   (1U << BACKEND_BOOK3S_HV)
#define ON_TABLES  (ON_EPT | ON_S2)
#define ON_MODELS  (ON_TABLES | ON_HPT)
#define ON_ALL	   ((1U << NR_BACKENDS) - 1)

/* Options that some backends have no use for, and who has. */
static const struct scope {
	const char *option;
	const char *instead;
	int key;
	unsigned int backends;
} scopes[] = {
	{"--tracker", "process", KEY_TRACKER, ON_PROCESS},
	{"--levels", "x86_ept", KEY_LEVELS, ON_EPT},
	{"--granule", "arm_s2", KEY_GRANULE, ON_S2},
	{"--ipa-bits", "arm_s2", KEY_IPA_BITS, ON_S2},
	{"--blocks", "x86_ept or arm_s2", KEY_BLOCKS, ON_TABLES},
	{"--eager-split", "x86_ept or arm_s2", KEY_EAGER_SPLIT, ON_TABLES},
	{"--page", "book3s_hv", KEY_PAGE, ON_HPT},
	{"--isa", "book3s_hv", KEY_ISA, ON_HPT},
	{"--segment", "book3s_hv", KEY_SEGMENT, ON_HPT},
	{"--hpt-order", "book3s_hv", KEY_HPT_ORDER, ON_HPT},
	{"--resize", "book3s_hv", KEY_RESIZE, ON_HPT},
	{"--hpt-save", "book3s_hv", KEY_HPT_SAVE, ON_HPT},
	{"--break", "x86_ept, arm_s2 or book3s_hv", KEY_BREAK, ON_MODELS},
};

#define NR_SCOPES (sizeof(scopes) / sizeof(scopes[0]))

/* Who can keep which log. */
static const unsigned int log_backends[NR_LOGS] = {
	[LOG_BITMAP] = ON_ALL, [LOG_MANUAL] = ON_ALL, [LOG_RING] = ON_TABLES,
	[LOG_PML] = ON_EPT,    [LOG_DBM] = ON_S2,
};

void run_note_given(struct run_reading *reading, int key)
{
	/* Everyone can have the tracker that is chosen for him. */
	if (key == KEY_TRACKER && reading->options->tracker == GLN_TRACKER_AUTO)
		return;
	for (size_t i = 0; i < NR_SCOPES; i++)
		if (scopes[i].key == key)
			reading->given |= 1U << i;
}

static bool is_in(enum backend_kind backend, unsigned int backends)
{
	return backends >> backend & 1;
}

static bool options_have_use(const struct run_reading *reading)
{
	const enum backend_kind backend = reading->options->backend;

	for (size_t i = 0; i < NR_SCOPES; i++) {
		const struct scope *scope = &scopes[i];

		if (!(reading->given >> i & 1) ||
		    is_in(backend, scope->backends))
			continue;
		complain("run",
			 "%s: the %s backend has none: leave out %s or give "
			 "--backend %s",
			 scope->option, backend_names[backend], scope->option,
			 scope->instead);
		return false;
	}
	return true;
}

static bool log_is_kept(const struct run_options *options)
{
	const enum backend_kind backend = options->backend;
	const char *names[NR_LOGS + 1];
	char list[64];
	size_t nr = 0;

	if (is_in(backend, log_backends[options->log]))
		return true;
	for (unsigned int i = 0; i < NR_LOGS; i++)
		if (is_in(backend, log_backends[i]))
			names[nr++] = log_names[i];
	names[nr] = NULL;
	join_names(names, list, sizeof(list));
	complain("run", "--log: the %s backend has no %s: give %s",
		 backend_names[backend], log_names[options->log], list);
	return false;
}

const char *const run_break_names[NR_RUN_BREAKS] = {
	[RUN_BREAK_SKIP_FLUSH - 1] = "skip-flush",
	[RUN_BREAK_MARK_FIRST - 1] = "mark-first",
	[RUN_BREAK_LOSE_DIRTY - 1] = "lose-dirty",
	[RUN_BREAK_SPAN - 1] = "span",
	[RUN_BREAK_EARLY_C - 1] = "early-c",
	[RUN_BREAK_KEEP_RMAP - 1] = "reset-rmap",
	[RUN_BREAK_PUBLISH_FIRST - 1] = "publish-first",
};

/* Who does what a break leaves out. */
static const unsigned int break_backends[NR_RUN_BREAKS] = {
	[RUN_BREAK_SKIP_FLUSH] = ON_MODELS, [RUN_BREAK_MARK_FIRST] = ON_TABLES,
	[RUN_BREAK_LOSE_DIRTY] = ON_MODELS, [RUN_BREAK_SPAN] = ON_TABLES,
	[RUN_BREAK_EARLY_C] = ON_HPT,	    [RUN_BREAK_KEEP_RMAP] = ON_HPT,
	[RUN_BREAK_PUBLISH_FIRST] = ON_HPT,
};

static bool break_is_of_backend(const struct run_options *options)
{
	const char *names[NR_RUN_BREAKS];
	char list[96];
	size_t nr = 0;

	if (!options->broken ||
	    is_in(options->backend, break_backends[options->broken]))
		return true;
	for (unsigned int i = 1; i < NR_RUN_BREAKS; i++)
		if (is_in(options->backend, break_backends[i]))
			names[nr++] = run_break_names[i - 1];
	names[nr] = NULL;
	join_names(names, list, sizeof(list));
	complain("run", "--break: in the %s backend %s breaks nothing: give %s",
		 backend_names[options->backend],
		 run_break_names[options->broken - 1], list);
	return false;
}

/* Where the CPU notices writes, no fault marks a page: nothing is first. */
static bool break_has_effect(const struct run_options *options)
{
	if (!break_is_of_backend(options))
		return false;
	if (options->broken != RUN_BREAK_MARK_FIRST ||
	    (options->log != LOG_PML && options->log != LOG_DBM))
		return true;
	complain("run",
		 "--break: with --log %s no fault marks, so mark-first breaks "
		 "nothing: give --log bitmap, manual or ring",
		 log_names[options->log]);
	return false;
}

static uint64_t page_bytes_of(const struct run_options *options)
{
	switch (options->backend) {
	case BACKEND_X86_EPT:
		return UINT64_C(1) << EPT_PAGE_SHIFT;
	case BACKEND_ARM_S2:
		return UINT64_C(1) << options->granule;
	case BACKEND_BOOK3S_HV:
		return UINT64_C(1) << hpt_slot_shift(options->map_shift);
	default:
		return (uint64_t)sysconf(_SC_PAGESIZE);
	}
}

uint64_t run_align_bytes(const struct run_options *options)
{
	if (options->backend == BACKEND_BOOK3S_HV)
		return UINT64_C(1) << options->map_shift;
	return options->page_bytes;
}

static bool is_whole_pages(const struct run_options *options)
{
	const uint64_t align = run_align_bytes(options);
	char page[UNITS_BYTES];

	if (options->memory_bytes % align == 0)
		return true;
	complain("run",
		 "--memory: '%s' is not a whole number of pages: give a "
		 "multiple of %s",
		 options->memory_text, units_size(page, align));
	return false;
}

/* Bits of the guest's addresses, and what would give more; NULL: nothing. */
static unsigned int address_bits(const struct run_options *options,
				 const char **more)
{
	if (options->backend == BACKEND_ARM_S2) {
		*more = options->ipa_bits < IPA_BITS_MAX ? "--ipa-bits" : NULL;
		return (unsigned int)options->ipa_bits;
	}
	if (options->backend == BACKEND_BOOK3S_HV) {
		*more = NULL;
		return options->isa == GLN_HPT_ISA_3_0 ? HPT_REAL_BITS_3_0
						       : HPT_REAL_BITS;
	}
	*more = options->levels < EPT_LEVELS_MAX ? "--levels" : NULL;
	return EPT_PAGE_SHIFT + EPT_LEVEL_BITS * (unsigned int)options->levels;
}

/* Does the table translate all of the guest? Real memory has no such end. */
static bool is_in_reach(const struct run_options *options)
{
	const uint64_t base =
		guest_base(options->page_bytes, run_align_bytes(options));
	const char *more;
	const unsigned int bits = address_bits(options, &more);
	char memory[UNITS_BYTES], from[UNITS_BYTES];

	if (!is_in(options->backend, ON_MODELS) ||
	    options->memory_bytes <= (UINT64_C(1) << bits) - base)
		return true;
	complain("run",
		 "--memory: a guest of %s from %s on is more than %u bits of "
		 "address reach: give less%s%s",
		 units_size(memory, options->memory_bytes),
		 units_size(from, base), bits, more ? ", or more " : "",
		 more ? more : "");
	return false;
}

bool run_options_agree(const struct run_reading *reading)
{
	struct run_options *options = reading->options;

	options->page_bytes = page_bytes_of(options);
	if (!options->hpt_order)
		options->hpt_order = hpt_order(options->memory_bytes);
	return options_have_use(reading) && log_is_kept(options) &&
	       break_has_effect(options) && is_whole_pages(options) &&
	       is_in_reach(options);
}
