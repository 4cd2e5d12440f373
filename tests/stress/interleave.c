/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * interleave.c - a thread is interrupted at every instruction of a mark or a
 * harvest, and something else is done there and then. (G1, G3, G5)
 *
 * No luck is needed: the processor's trap flag raises SIGTRAP after each
 * instruction, and at the chosen one, or at two of them, the handler harvests
 * or marks. All places are tried in turn; pairs of places all, or at random
 * where there are too many. So every schedule of two or three short operations
 * that one CPU can bring about is run. (What two CPUs see out of order is for
 * store_buffer.c.)
 *
 * The oracle is the content: each mark writes its page first, each harvest
 * copies what it reports; in the end every copy must equal its page.
 *
 * With --quick, marks are quick. A harvest then waits for a mark that it
 * interrupts, so another thread makes it: the handler goes on when that one has
 * ended or waits.
 *
 * It shows besides that a mark is wait-free: however it is interrupted, it
 * takes hardly more instructions than alone.
 */
#include "tests/support/stress_frame.h"

#include <glean/glean.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#if !defined(__x86_64__) || STRESS_TSAN
int main(void)
{
	stress_skip("single steps are taken on x86-64 only, and not under "
		    "ThreadSanitizer");
}
#else

#include "core/base/atomic.h"

enum {
	SLOT_ID = 4,
	BASE = 0x203,
	NR_PAGES = 1100, /* three lines of words; the last one is short */
	PAGE = 70,	 /* what the operation under test is about */
	SAME_WORD = 90,
	SAME_LINE = 200,
	OTHER_LINE = 700,
	LAST_LINE = NR_PAGES - 1,
	NR_ACTS = 2,
	NEVER = 1 << 30,
	STRIDE = 4993,	   /* a prime number */
	ASIDE_NS = 200000, /* a harvest that does not wait takes less */
};

/** struct settings - options, and their defaults. */
struct settings {
	uint64_t traps; /* for each scenario's places; half for pairs */
	uint64_t quick; /* quick marks */
	uint64_t until_lost;
	uint64_t seed;
};

static struct {
	struct settings settings;
	struct gln_vm *vm;
	struct stress_random random;
	uint64_t pages[NR_PAGES];
	uint64_t copies[NR_PAGES];
	uint64_t returned[NR_PAGES]; /* marks of these contents have */
	uint64_t marks_in;
	uint64_t pages_out;
	uint64_t runs;
	uint64_t traps;
	uint64_t lost;
} test;

typedef void (*act_fn)(void);

/* Where an operation is interrupted, and by what. */
static struct {
	volatile uint64_t step;
	uint64_t at[NR_ACTS];
	const act_fn *acts;
	uint64_t last; /* step after which nothing is counted any more */
} plan;

/* The trap flag. */

enum { TRAP_FLAG = 0x100 };

/* Leave the red zone alone: somebody may have put something there. */
#define STEP_ON()                                     \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t" \
			 "pushfq\n\t"                 \
			 "orq %0, (%%rsp)\n\t"        \
			 "popfq\n\t"                  \
			 "lea 128(%%rsp), %%rsp"      \
			 :                            \
			 : "i"(TRAP_FLAG)             \
			 : "memory", "cc")
#define STEP_OFF()                                    \
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t" \
			 "pushfq\n\t"                 \
			 "andq %0, (%%rsp)\n\t"       \
			 "popfq\n\t"                  \
			 "lea 128(%%rsp), %%rsp"      \
			 :                            \
			 : "i"(~TRAP_FLAG)            \
			 : "memory", "cc")

static void on_trap(int signal, siginfo_t *info, void *context)
{
	ucontext_t *const interrupted = context;
	const uint64_t step = plan.step++;

	(void)signal;
	(void)info;
	for (unsigned int i = 0; i < NR_ACTS; i++)
		if (step == plan.at[i])
			plan.acts[i]();
	if (step >= plan.last)
		interrupted->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void catch_traps(void)
{
	struct sigaction action = {
		.sa_sigaction = on_trap,
		.sa_flags = SA_SIGINFO,
	};

	sigemptyset(&action.sa_mask);
	CHECK(!sigaction(SIGTRAP, &action, NULL), "traps can be caught");
}

/* Do it step by step, with what is planned in between. */
static void step_through(act_fn work)
{
	STEP_ON();
	work();
	STEP_OFF();
}

/* What is done in the handler, or before. */

static void write_page(uint64_t page)
{
	const uint64_t content = ++test.pages[page];

	if (gln_dirty_mark(test.vm, BASE + page) == 1)
		test.marks_in++;
	if (test.returned[page] < content)
		test.returned[page] = content;
}

static void mark_page(void)
{
	write_page(PAGE);
}

static void mark_same_word(void)
{
	write_page(SAME_WORD);
}

static void mark_same_line(void)
{
	write_page(SAME_LINE);
}

static void mark_other_line(void)
{
	write_page(OTHER_LINE);
}

static void mark_range(void)
{
	for (uint64_t page = PAGE; page < PAGE + 200; page++)
		test.pages[page]++;
	test.marks_in += gln_dirty_mark_range(
		test.vm, (struct gln_range){BASE + PAGE, 200});
}

/* By exchange: a flip would wait for the mark that it interrupts. */
static struct gln_harvest *begin(void)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = GLN_HARVEST_EXCHANGE,
	};
	struct gln_harvest *harvest;

	CHECK(!gln_harvest_begin(test.vm, SLOT_ID, &all, &harvest),
	      "a harvest can begin");
	return harvest;
}

static void copy_run(struct gln_range run)
{
	const uint64_t first = run.first - BASE;

	memcpy(&test.copies[first], &test.pages[first],
	       (size_t)run.count * sizeof(test.pages[0]));
	test.pages_out += run.count;
}

/* A mark that returned before this harvest began is in this one (B1). */
static void check_returned(void)
{
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (test.copies[page] >= test.returned[page])
			continue;
		test.lost++;
		test.returned[page] = 0; /* counted */
	}
}

/* Nothing happens meanwhile: a handler is not interrupted. */
static void harvest(void)
{
	struct gln_harvest *const harvest = begin();
	struct gln_range run;

	while (gln_harvest_next(harvest, &run, 1))
		copy_run(run);
	gln_harvest_commit(harvest);
	check_returned();
}

static void mark_and_harvest(void)
{
	mark_page();
	harvest();
}

static void harvest_by_budget(void)
{
	struct gln_harvest_params some = {
		.struct_bytes = sizeof(some),
		.max_pages = 1,
	};
	struct gln_harvest_report report = {.struct_bytes = sizeof(report)};
	struct gln_harvest *harvest;
	struct gln_range run;

	while (some.first_page < NR_PAGES) {
		CHECK(!gln_harvest_begin(test.vm, SLOT_ID, &some, &harvest),
		      "a harvest can begin");
		while (gln_harvest_next(harvest, &run, 1))
			copy_run(run);
		CHECK(!gln_harvest_report(harvest, &report), "its report");
		some.first_page = report.next_page;
		gln_harvest_commit(harvest);
	}
}

static void abort_harvest(void)
{
	gln_harvest_abort(begin());
}

static uint64_t bitmap[NR_PAGES / 64 + 1];

static void get(void)
{
	CHECK(!gln_get_dirty_log(test.vm, SLOT_ID, bitmap), "get works");
}

static void clear(void)
{
	const struct gln_clear_log clear = {
		.slot = SLOT_ID,
		.num_pages = NR_PAGES,
		.bitmap = bitmap,
	};

	CHECK(!gln_clear_dirty_log(test.vm, &clear), "clear works");
}

static void copy_got(void)
{
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (bitmap[page / 64] >> page % 64 & 1)
			copy_run((struct gln_range){BASE + page, 1});
}

static void get_and_clear(void)
{
	get();
	clear();
	copy_got();
}

/* A harvest by another thread. */

enum { IDLE, WANTED, ENDED };

static _Atomic uint32_t aside;

/* What returned before it began is in it (B1); what returns meanwhile may be.
 */
static void harvest_and_check_before(void)
{
	static uint64_t before[NR_PAGES];
	struct gln_harvest *harvest;
	struct gln_range run;

	memcpy(before, test.returned, sizeof(before));
	harvest = begin();
	while (gln_harvest_next(harvest, &run, 1))
		copy_run(run);
	gln_harvest_commit(harvest);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		test.lost += test.copies[page] < before[page];
}

static void *aside_main(void *arg)
{
	for (;;) {
		while (gln_load_acquire(&aside) != WANTED)
			sched_yield();
		harvest_and_check_before();
		gln_store_release(&aside, ENDED);
	}

	return arg;
}

/* Has it come as far as it can? It waits for nothing else that takes long. */
static void harvest_aside(void)
{
	const uint64_t end = stress_now_ns() + ASIDE_NS;

	gln_store_release(&aside, WANTED);
	while (gln_load_acquire(&aside) == WANTED && stress_now_ns() < end)
		sched_yield();
}

static void mark_and_harvest_aside(void)
{
	mark_page();
	harvest_aside();
}

static void await_aside(void)
{
	while (gln_load_acquire(&aside) == WANTED)
		sched_yield();
	gln_store_release(&aside, IDLE);
}

static void start_aside(void)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, aside_main, NULL) &&
		      !pthread_detach(thread),
	      "a thread can be made");
}

/* What is done step by step. */

static struct gln_harvest *open_harvest;

static void begin_it(void)
{
	open_harvest = begin();
}

static void commit_it(void)
{
	gln_harvest_commit(open_harvest);
}

static void abort_it(void)
{
	gln_harvest_abort(open_harvest);
}

static void abort_some_of_it(void)
{
	gln_harvest_abort_range(open_harvest,
				(struct gln_range){BASE + SAME_WORD, 400});
}

static void copy_it(void)
{
	struct gln_range run;

	while (gln_harvest_next(open_harvest, &run, 1))
		copy_run(run);
}

static void step_mark(void)
{
	step_through(mark_page);
}

static void step_range(void)
{
	step_through(mark_range);
}

static void step_begin(void)
{
	step_through(begin_it);
	copy_it();
	commit_it();
}

static void step_commit(void)
{
	begin_it();
	copy_it();
	step_through(commit_it);
}

static void step_budget(void)
{
	step_through(harvest_by_budget);
}

static void step_abort(void)
{
	begin_it();
	step_through(abort_it);
}

static void step_abort_some(void)
{
	begin_it();
	step_through(abort_some_of_it);
	copy_it();
	commit_it();
}

static void step_clear(void)
{
	get();
	step_through(clear);
	copy_got();
}

static void nothing(void)
{
}

static void some_marks(void)
{
	mark_page();
	mark_same_word();
	write_page(LAST_LINE);
}

/** struct scenario - what comes first, is stepped through, and interrupts. */
struct scenario {
	const char *name;
	act_fn before;
	act_fn work;
	act_fn acts[NR_ACTS];
};

static const struct scenario scenarios[] = {
	{"mark | harvest, harvest", nothing, step_mark, {harvest, harvest}},
	{"mark again | harvest, harvest",
	 mark_page,
	 step_mark,
	 {harvest, harvest}},
	{"mark | same page, and harvest",
	 nothing,
	 step_mark,
	 {mark_and_harvest, harvest}},
	{"mark | harvest, same page",
	 mark_same_line,
	 step_mark,
	 {harvest, mark_page}},
	{"mark | same word, harvest",
	 nothing,
	 step_mark,
	 {mark_same_word, harvest}},
	{"mark | harvest, same line",
	 nothing,
	 step_mark,
	 {harvest, mark_same_line}},
	{"mark | harvest, same page and harvest",
	 mark_same_line,
	 step_mark,
	 {harvest, mark_and_harvest}},
	{"mark | harvest by budget, same word",
	 mark_same_line,
	 step_mark,
	 {harvest_by_budget, mark_same_word}},
	{"mark | abort, harvest",
	 mark_same_word,
	 step_mark,
	 {abort_harvest, harvest}},
	{"mark | clear, harvest",
	 mark_same_word,
	 step_mark,
	 {get_and_clear, harvest}},
	{"range | harvest, harvest", nothing, step_range, {harvest, harvest}},
	{"harvest | same line, other line",
	 some_marks,
	 step_begin,
	 {mark_same_line, mark_other_line}},
	{"harvest | same page, same word",
	 some_marks,
	 step_begin,
	 {mark_page, mark_same_word}},
	{"harvest of nothing | mark, mark",
	 nothing,
	 step_begin,
	 {mark_page, mark_page}},
	{"commit | same page, same line",
	 some_marks,
	 step_commit,
	 {mark_page, mark_same_line}},
	{"harvest by budget | same line, mark",
	 some_marks,
	 step_budget,
	 {mark_same_line, mark_page}},
	{"abort | same page, other line",
	 some_marks,
	 step_abort,
	 {mark_page, mark_other_line}},
	{"abort of a part | same word, mark",
	 some_marks,
	 step_abort_some,
	 {mark_same_word, mark_page}},
	{"clear | same page, same word",
	 some_marks,
	 step_clear,
	 {mark_page, mark_same_word}},
};

static const struct scenario quick_scenarios[] = {
	{"quick mark | harvest, same page and harvest",
	 nothing,
	 step_mark,
	 {harvest_aside, mark_and_harvest_aside}},
	{"quick mark beside another | the same",
	 mark_same_line,
	 step_mark,
	 {harvest_aside, mark_and_harvest_aside}},
	{"quick mark again | the same",
	 mark_page,
	 step_mark,
	 {harvest_aside, mark_and_harvest_aside}},
	{"quick range | the same",
	 mark_same_line,
	 step_range,
	 {harvest_aside, mark_and_harvest_aside}},
};

/* With nothing given back, each new mark is reported once. */
static bool must_balance(const struct scenario *scenario)
{
	return scenario->work != step_abort &&
	       scenario->work != step_abort_some &&
	       scenario->acts[0] != abort_harvest;
}

static void check(const struct scenario *scenario, uint64_t first,
		  uint64_t second)
{
	uint64_t lost = 0;

	for (uint64_t page = 0; page < NR_PAGES; page++) {
		if (test.copies[page] == test.pages[page])
			continue;
		if (!lost++ && !test.lost)
			printf("%s: page %" PRIu64 " is lost\n", scenario->name,
			       page);
		test.copies[page] = test.pages[page];
	}
	test.lost += lost;
	CHECK(lost || !must_balance(scenario) ||
		      test.marks_in == test.pages_out,
	      "%s, interrupted at %" PRIu64 " and %" PRIu64 ": %" PRIu64
	      " new marks were reported %" PRIu64 " times",
	      scenario->name, first, second, test.marks_in, test.pages_out);
}

/* What a loss left in the summary shall not be found by the next run. */
static void start_clean(void)
{
	harvest();
	mark_same_line();
	mark_other_line();
	write_page(LAST_LINE);
	harvest();
	test.marks_in = 0;
	test.pages_out = 0;
}

/* Run with acts at two steps, or NEVER. Returns steps up to @last. */
static uint64_t run_once(const struct scenario *scenario, uint64_t first,
			 uint64_t second, uint64_t last)
{
	start_clean();
	scenario->before();

	plan.acts = scenario->acts;
	plan.at[0] = first;
	plan.at[1] = second;
	plan.step = 0;
	plan.last = last;
	scenario->work();

	await_aside();
	harvest();
	check(scenario, first, second);
	test.runs++;
	test.traps += plan.step;
	return plan.step;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_over(void)
{
	return test.settings.until_lost && test.lost;
}

/* One act, at each step, or where chance has it if there are too many. */
static bool run_singles(const struct scenario *scenario, uint64_t steps)
{
	const uint64_t end = test.traps + test.settings.traps;
	const uint64_t start = stress_below(&test.random, steps);

	for (uint64_t i = 0; i < NR_ACTS * steps; i++) {
		/* A stride prime to the number of steps visits each. */
		const uint64_t at = (start + i * STRIDE) % steps;

		if (is_over() || test.traps >= end)
			return false;
		run_once(scenario, i < steps ? at : NEVER,
			 i < steps ? NEVER : at, at);
	}

	return true;
}

/* Two acts, in either order, where chance has them. */
static uint64_t run_pairs(const struct scenario *scenario, uint64_t steps)
{
	const uint64_t end = test.traps + test.settings.traps / 2;
	uint64_t nr = 0;

	while (!is_over() && test.traps < end) {
		const uint64_t first = stress_below(&test.random, steps);
		const uint64_t second = stress_below(&test.random, steps);

		run_once(scenario, first, second, later(first, second));
		nr++;
	}

	return nr;
}

/* However it is interrupted, a mark takes hardly more steps than alone. */
static void check_wait_freedom(const struct scenario *scenario, uint64_t alone)
{
	uint64_t most = 0;

	for (uint64_t at = 0; at < alone; at += 3)
		for (unsigned int act = 0; act < NR_ACTS; act++)
			most = later(most, run_once(scenario, act ? NEVER : at,
						    act ? at : NEVER, NEVER));
	printf("  at most %" PRIu64 " steps when interrupted\n", most);
	CHECK(most < 2 * alone, "a mark is wait-free");
}

static void run_scenario(const struct scenario *scenario)
{
	const uint64_t steps = run_once(scenario, NEVER, NEVER, NEVER);
	const uint64_t runs = test.runs;
	const bool all = run_singles(scenario, steps);
	const uint64_t nr_single = test.runs - runs;
	const uint64_t nr_pairs = run_pairs(scenario, steps);

	printf("%-36s %" PRIu64 " steps, %" PRIu64 " places%s, %" PRIu64
	       " pairs\n",
	       scenario->name, steps, nr_single, all ? " (all)" : "", nr_pairs);
	if (scenario == scenarios && !is_over())
		check_wait_freedom(scenario, steps);
}

static void run_form(uint32_t vm_flags, const struct scenario *list, size_t nr)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.flags = vm_flags,
	};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = SLOT_ID,
		.base = BASE,
		.nr_pages = NR_PAGES,
	};

	CHECK(!gln_vm_create(&params, &test.vm), "a VM can be made");
	CHECK(!gln_slot_add(test.vm, &slot), "a slot can be added");
	CHECK(!gln_log_set_mode(test.vm, GLN_LOG_MANUAL_PROTECT),
	      "clear is for manual protection");
	CHECK(!gln_log_enable(test.vm, SLOT_ID, 0), "logging can start");
	for (size_t i = 0; i < nr && !is_over(); i++)
		run_scenario(&list[i]);
	CHECK(!gln_vm_destroy(test.vm), "nothing uses the VM any more");
}

int main(int argc, char **argv)
{
	const struct stress_option options[] = {
		{"traps", &test.settings.traps, NULL},
		{"quick", &test.settings.quick, NULL},
		{"until-lost", &test.settings.until_lost, NULL},
		{"seed", &test.settings.seed, NULL},
	};

	test.settings = (struct settings){.traps = 16000};
	stress_parse(argc, argv, options, ARRAY_SIZE(options));
	test.settings.seed = stress_seed(test.settings.seed);
	test.random = stress_random_from(test.settings.seed, 0);
	catch_traps();
	printf("interleave; seed %" PRIu64 "\n", test.settings.seed);
	if (test.settings.quick) {
		printf("quick marks\n");
		start_aside();
		run_form(GLN_VM_QUICK_MARKS, quick_scenarios,
			 ARRAY_SIZE(quick_scenarios));
	} else {
		printf("the platform's fence\n");
		run_form(0, scenarios, ARRAY_SIZE(scenarios));
	}
	if (!test.settings.quick && !is_over()) {
		printf("full fences\n");
		run_form(GLN_VM_FULL_FENCE, scenarios, ARRAY_SIZE(scenarios));
	}
	printf("%" PRIu64 " runs, %" PRIu64 " traps\n", test.runs, test.traps);

	return stress_verdict(test.lost);
}
#endif
