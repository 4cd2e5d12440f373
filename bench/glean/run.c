/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - `glean run`: a live guest copied while it is written, every byte
 * verified.
 *
 * Each function below makes one thing, calls the next with it, and takes it
 * away again: backend, guest, VM, vCPUs.
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
#include "bench/glean/interrupt.h"
#include "bench/glean/options.h"
#include "bench/glean/table.h"
#include "bench/glean/units.h"
#include "bench/glean/vcpus.h"

/* A run under way: what was asked, what is there, what comes out. */
struct run {
	struct run_options options;
	struct run_result result;
	struct gln_backend *backend;
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

static int check_memory(const struct run_options *options)
{
	char guest[UNITS_BYTES], needed[UNITS_BYTES], available[UNITS_BYTES];
	const uint64_t need = guest_memory_needed(options->memory_bytes);
	const uint64_t have = guest_memory_available();

	if (need <= have)
		return STATUS_OK;
	complain("run",
		 "--memory: a guest of %s and its copy need %s and this "
		 "machine has %s available: give %" PRIu64 "M or less",
		 units_size(guest, options->memory_bytes),
		 units_size(needed, need), units_size(available, have),
		 guest_memory_largest(have) >> 20);
	return STATUS_CANNOT;
}

/* Log, copy in rounds, stop, compare. The VM has its slot, and no vCPU yet. */
static int migrate(struct run *run, struct gln_vm *vm)
{
	const struct run_options *options = &run->options;
	struct precopy *job = &run->result.job;
	const struct vcpus_params params = {
		.vm = vm,
		.guest = &run->guest,
		.ref = options->backend == BACKEND_REF ? run->backend : NULL,
		.nr_vcpus = (uint32_t)options->nr_vcpus,
		.pattern = options->pattern,
		.pages_per_s = options->pages_per_s,
		.seed = options->seed,
	};

	*job = (struct precopy){
		.vm = vm,
		.guest = &run->guest,
		.table = &run->table,
		.max_rounds = options->max_rounds,
		.target_ns = options->downtime_ms * NS_PER_MS,
	};
	table_header(&run->table, options, &run->result);

	int err = vcpus_start(&params, &job->vcpus);

	if (err)
		return failed(err, "starting the vCPUs");
	err = precopy_run(job);
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
		.id = PRECOPY_SLOT,
		.base = GUEST_BASE_GFN,
		.nr_pages = run->guest.nr_pages,
		.hva = run->guest.memory,
	};

	return gln_slot_add(vm, &params);
}

static unsigned int log2_of(uint64_t power_of_two)
{
	unsigned int log = 0;

	while (power_of_two >> log > 1)
		log++;
	return log;
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

	err = add_slot(run, vm);
	int status =
		err ? failed(err, "adding the memory slot") : migrate(run, vm);

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
			       run->options.page_bytes);

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
	return run.options.backend == BACKEND_REF ? run_on_ref(&run)
						  : run_on_process(&run);
}
