/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - `glean run`: a live guest copied while it is written, every byte
 * verified.
 *
 * Each function below makes one thing, calls the next with it, and takes it
 * away again: backend, guest, VM, log, vCPUs.
 */
#include "bench/glean/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glean/glean.h>

#include "bench/glean/clock.h"
#include "bench/glean/command.h"
#include "bench/glean/copy.h"
#include "bench/glean/guest.h"
#include "bench/glean/hpt_options.h"
#include "bench/glean/hpt_stream.h"
#include "bench/glean/interrupt.h"
#include "bench/glean/machine.h"
#include "bench/glean/options.h"
#include "bench/glean/table.h"
#include "bench/glean/units.h"
#include "bench/glean/vcpus.h"

/* Enough for some thousand writes between two rounds. */
#define BROKEN_PAUSE_NS (20 * NS_PER_MS)

/* A run under way: what was asked, what is there, what comes out. */
struct run {
	struct run_options options;
	struct run_result result;
	struct gln_backend *backend;
	struct machine *machine; /* of a backend that needs one */
	struct guest guest;
	struct table table;
};

/* The status for an error of the library or the system, after a complaint. */
static int failed(int err, const char *what)
{
	if (err == -EINTR)
		return STATUS_SIGNALLED + interrupt_signal();
	complain("run", "%s failed: %s", what, strerror(-err));
	return err == -ENOMEM || err == -EAGAIN ? STATUS_CANNOT : STATUS_FAILED;
}

/* While it is resized there are two, each with its reverse map. */
static int check_table(const struct run_options *options)
{
	const unsigned int copies = options->resize ? 5 : 1;

	if (options->backend != BACKEND_BOOK3S_HV ||
	    hpt_fits("run", options->hpt_order, copies))
		return STATUS_OK;
	return STATUS_CANNOT;
}

static int check_memory(const struct run_options *options)
{
	char guest[UNITS_BYTES], needed[UNITS_BYTES], available[UNITS_BYTES];
	const uint64_t need = guest_memory_needed(options->memory_bytes);
	const uint64_t have = guest_memory_available();

	if (need <= have)
		return check_table(options);
	complain("run",
		 "--memory: a guest of %s and its copy need %s and this "
		 "machine has %s available: give %" PRIu64 "M or less",
		 units_size(guest, options->memory_bytes),
		 units_size(needed, need), units_size(available, have),
		 guest_memory_largest(have) >> 20);
	return STATUS_CANNOT;
}

/* Copy in rounds while the vCPUs run, stop them, compare. */
static int copy_guest(struct run *run, struct source *source,
		      struct vcpus *vcpus)
{
	const struct run_options *options = &run->options;
	struct precopy *job = &run->result.job;

	*job = (struct precopy){
		.guest = &run->guest,
		.source = source,
		.vcpus = vcpus,
		.table = &run->table,
		.max_rounds = options->max_rounds,
		.target_ns = options->downtime_ms * NS_PER_MS,
	};
	/* What is broken gets all the rounds, and time, to show it. */
	if (options->broken) {
		job->target_ns = 0;
		job->pause_ns = BROKEN_PAUSE_NS;
	}

	const int err = precopy_run(job);

	if (err) {
		table_abandon(&run->table);
		return failed(err, job->failed);
	}
	run->result.mismatched_pages = count_different_pages(
		run->guest.memory, run->guest.copy, run->guest.nr_pages,
		run->guest.page_bytes);
	run->result.verified = !run->result.mismatched_pages;
	return STATUS_OK;
}

static int run_vcpus(struct run *run, struct gln_vm *vm, struct source *source)
{
	const struct run_options *options = &run->options;
	const struct vcpus_params params = {
		.vm = vm,
		.guest = &run->guest,
		.ref = options->backend == BACKEND_REF ? run->backend : NULL,
		.machine = run->machine,
		.nr_vcpus = (uint32_t)options->nr_vcpus,
		.pattern = options->pattern,
		.pages_per_s = options->pages_per_s,
		.seed = options->seed,
	};
	struct vcpus *vcpus;

	table_header(&run->table, options, &run->result);

	const int err = vcpus_start(&params, &vcpus);

	if (err)
		return failed(err, "starting the vCPUs");

	const int status = copy_guest(run, source, vcpus);

	vcpus_destroy(vcpus);
	return status;
}

/* Tell what came out, and how it went by the status. */
static int report(struct run *run)
{
	table_verdict(&run->table, &run->options, &run->result);
	if (run->options.json) {
		const int err = run_json_print(&run->options, &run->result);

		if (err)
			return failed(err, "writing JSON");
	}
	return run->result.verified ? STATUS_OK : STATUS_FAILED;
}

static int add_slot(struct run *run, struct gln_vm *vm)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = SOURCE_SLOT,
		.base = run->guest.base,
		.nr_pages = run->guest.nr_pages,
		.hva = run->guest.memory,
	};

	return gln_slot_add(vm, &params);
}

static int run_booted(struct run *run, struct gln_vm *vm, struct source *source)
{
	const struct guest *guest = &run->guest;
	int status;

	if (!run->machine)
		return run_vcpus(run, vm, source);

	const int err =
		machine_boot(run->machine, vm, guest->base * guest->page_bytes,
			     run->options.memory_bytes);

	status = err ? failed(err, "booting the guest")
		     : run_vcpus(run, vm, source);
	machine_shut_down(run->machine);
	return status;
}

/*
 * The log is chosen before there is a slot that could be logged. A flip waits
 * for faults under way, and so forgives those that are broken: no flips then.
 */
static int run_with_log(struct run *run, struct gln_vm *vm)
{
	const struct source_params params = {
		.kind = run->options.log,
		.vm = vm,
		.base_gfn = run->guest.base,
		.nr_pages = run->guest.nr_pages,
		.strategy = run->options.broken ? GLN_HARVEST_EXCHANGE
						: GLN_HARVEST_AUTO,
		.has_strays = run->options.backend == BACKEND_ARM_S2,
	};
	struct source *source;
	const char *what;
	int err = source_create(&params, &source, &what);

	if (err)
		return failed(err, what);

	err = add_slot(run, vm);
	const int status = err ? failed(err, "adding the memory slot")
			       : run_booted(run, vm, source);

	source_destroy(source);
	return status;
}

static unsigned int log2_of(uint64_t power_of_two)
{
	unsigned int log = 0;

	while (power_of_two >> log > 1)
		log++;
	return log;
}

static int save_hpt(struct gln_vm *vm, const char *path)
{
	struct hpt_stream stream;
	int err = hpt_stream_of(vm, &stream);

	if (err)
		return failed(err, "reading the hashed page table");
	err = hpt_stream_save(&stream, path);
	hpt_stream_fini(&stream);
	if (!err)
		return STATUS_OK;
	complain("run", "--hpt-save: '%s' cannot be written: %s", path,
		 strerror(-err));
	return STATUS_FAILED;
}

/* The guest has gone: look at the table it leaves. */
static int look_at_hpt(struct run *run, struct gln_vm *vm)
{
	struct run_result *result = &run->result;
	int err;

	if (run->options.backend != BACKEND_BOOK3S_HV)
		return STATUS_OK;
	result->hpt.struct_bytes = sizeof(result->hpt);
	err = gln_hpt_stats(vm, &result->hpt);
	if (err)
		return failed(err, "reading the table's statistics");
	err = gln_hpt_check(vm, &result->hpt_wrong);
	if (err && err != -EIO)
		return failed(err, "checking the hashed page table");
	result->verified = result->verified && !err;
	if (run->options.hpt_save)
		return save_hpt(vm, run->options.hpt_save);
	return STATUS_OK;
}

static int read_stats(struct gln_vm *vm, struct run_result *result)
{
	int err;

	result->stats.struct_bytes = sizeof(result->stats);
	err = gln_vm_stats(vm, &result->stats);
	for (enum gln_step step = 0; step < GLN_NR_STEPS && !err; step++) {
		result->steps[step].struct_bytes = sizeof(result->steps[step]);
		err = gln_vm_histogram(vm, step, &result->steps[step]);
	}

	return err;
}

static int run_in_vm(struct run *run)
{
	const struct gln_vm_params params = {
		.struct_bytes = sizeof(params),
		.page_shift = log2_of(run->options.page_bytes),
		.backend = run->backend,
	};
	struct gln_vm *vm;
	int err = gln_vm_create(&params, &vm);

	if (err)
		return failed(err, "making the VM");

	int status = run_with_log(run, vm);

	err = read_stats(vm, &run->result);
	if (err && status == STATUS_OK)
		status = failed(err, "reading the statistics");
	if (status == STATUS_OK)
		status = look_at_hpt(run, vm);
	/* Refused if anything still uses the VM: then a run is not all right */
	err = gln_vm_destroy(vm);
	if (err && status == STATUS_OK)
		return failed(err, "ending the VM");
	if (status == STATUS_OK)
		status = report(run);
	return status;
}

static int run_with_guest(struct run *run)
{
	int err = guest_create(&run->guest, run->options.memory_bytes,
			       run->options.page_bytes,
			       run_align_bytes(&run->options));

	if (err)
		return failed(err, "mapping the guest's memory");

	err = guest_fill(&run->guest);
	const int status =
		err ? failed(err, "filling the guest") : run_in_vm(run);

	free(run->result.job.rounds);
	guest_destroy(&run->guest);
	return status;
}

static int run_on_ref(struct run *run)
{
	const int err = gln_ref_create(&run->backend);

	if (err)
		return failed(err, "making the ref backend");
	run->result.tracker = "none";
	snprintf(run->result.reason, sizeof(run->result.reason),
		 "none: ref notes each store as it makes it");

	const int status = run_with_guest(run);

	gln_ref_destroy(run->backend);
	return status;
}

static int run_on_process(struct run *run)
{
	const enum gln_tracker asked = run->options.tracker;
	const int err =
		gln_process_create(asked, run->result.reason, &run->backend);

	if (err == -ENOTSUP || err == -EPERM) {
		complain("run", "--tracker: %s", run->result.reason);
		return STATUS_CANNOT;
	}
	if (err)
		return failed(err, "making the process backend");
	run->result.tracker =
		gln_tracker_name(gln_process_tracker(run->backend));

	const int status = run_with_guest(run);

	gln_process_destroy(run->backend);
	return status;
}

/* What a CPU does, by its model, when a clean page is written. */
static void describe_machine(struct run *run)
{
	const struct run_options *options = &run->options;
	static const char *const models[NR_BACKENDS] = {
		[BACKEND_X86_EPT] = "EPT",
		[BACKEND_ARM_S2] = "Arm's stage 2",
		[BACKEND_BOOK3S_HV] = "POWER's MMU",
	};
	const char *name = "write-protect";
	const char *how = "a write of a protected page faults";

	switch (options->log) {
	case LOG_RING:
		name = "ring";
		how = "a write of a protected page faults, into a ring";
		break;
	case LOG_PML:
		name = "pml";
		how = "the CPU logs a page when it sets its dirty bit";
		break;
	case LOG_DBM:
		name = "dbm";
		how = "the CPU makes the entry writable-dirty by itself";
		break;
	default:
		if (options->backend != BACKEND_BOOK3S_HV)
			break;
		name = "changed-bit";
		how = "the CPU notes a write in C of the entry";
		break;
	}
	run->result.tracker = name;
	snprintf(run->result.reason, sizeof(run->result.reason),
		 "%s: %s, in a model of %s", name, how,
		 models[options->backend]);
}

static enum machine_kind machine_kind(enum backend_kind backend)
{
	switch (backend) {
	case BACKEND_X86_EPT:
		return MACHINE_X86_EPT;
	case BACKEND_ARM_S2:
		return MACHINE_ARM_S2;
	default:
		return MACHINE_BOOK3S;
	}
}

static int run_on_machine(struct run *run)
{
	const struct run_options *options = &run->options;
	const struct machine_params params = {
		.kind = machine_kind(options->backend),
		.dirty_by_hw =
			options->log == LOG_PML || options->log == LOG_DBM,
		.blocks = options->blocks,
		.eager_split = options->eager_split,
		.levels = (unsigned int)options->levels,
		.page_shift = log2_of(options->page_bytes),
		.ipa_bits = (unsigned int)options->ipa_bits,
		.hpt = {.isa = (int)options->isa,
			.page_shift = options->map_shift,
			.segment_shift = options->segment_shift,
			.order = (unsigned int)options->hpt_order,
			.resizes = options->resize},
		.seed = options->seed,
	};
	const int err = machine_create(&params, &run->machine);

	if (err)
		return failed(err, "making the model and its backend");
	run->backend = machine_backend(run->machine);
	describe_machine(run);
	machine_break(options->broken);

	const int status = run_with_guest(run);

	machine_destroy(run->machine);
	return status;
}

static int run_on_backend(struct run *run)
{
	switch (run->options.backend) {
	case BACKEND_PROCESS:
		return run_on_process(run);
	case BACKEND_REF:
		return run_on_ref(run);
	default:
		return run_on_machine(run);
	}
}

int command_run(int argc, char **argv)
{
	struct run run = {.backend = NULL};
	bool help;
	int status = run_options_read(argc, argv, &run.options, &help);

	if (status != STATUS_OK || help)
		return status;
	status = check_memory(&run.options);
	if (status != STATUS_OK)
		return status;

	interrupt_install();
	table_init(&run.table, &run.options);
	return run_on_backend(&run);
}
