/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * info.c - `glean info`: what glean finds on this machine.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <glean/glean.h>

#include "bench/glean/command.h"
#include "bench/glean/json.h"
#include "bench/glean/kernels.h"
#include "bench/glean/options.h"
#include "bench/glean/run.h"
#include "bench/glean/units.h"

const char info_help[] =
	"usage: glean info [OPTIONS]\n"
	"\n"
	"Tell what glean finds on this machine: CPU, kernel, memory, NUMA nodes,\n"
	"backends, trackers and why each works or does not, scan kernels.\n"
	"\n"
	"  --json   one JSON object on standard output\n"
	"  --help   this text\n"
	"\n"
	"Exit status\n"
	"  0    done\n"
	"  1    the machine could not be looked at\n"
	"  2    an option is wrong\n";

enum { KEY_JSON = OPTION_FIRST_OWN };

static const struct option info_option_table[] = {
	OPTION_HELP_ENTRY,
	{"json", no_argument, NULL, KEY_JSON},
	{NULL, 0, NULL, 0},
};

struct tracker_info {
	const char *name;
	bool works;
	char reason[GLN_REASON_BYTES];
};

struct info {
	struct gln_host_info host;
	struct utsname kernel;
	struct tracker_info trackers[GLN_NR_TRACKERS];
	struct gln_kernel_info scan_kernels[KERNELS_MAX];
	size_t nr_scan_kernels;
};

/* One backend needs a tracker that works, the others nothing. */
static bool backend_works(const struct info *info, enum backend_kind backend)
{
	bool works = backend != BACKEND_PROCESS;

	for (int i = 0; i < GLN_NR_TRACKERS; i++)
		works = works || info->trackers[i].works;
	return works;
}

static int gather(struct info *info)
{
	*info = (struct info){.host.struct_bytes = sizeof(info->host)};

	const int err = gln_host_info(&info->host);

	if (err)
		return err;
	if (uname(&info->kernel))
		return -errno;
	for (int i = 0; i < GLN_NR_TRACKERS; i++) {
		const enum gln_tracker tracker = (enum gln_tracker)(i + 1);
		struct tracker_info *t = &info->trackers[i];

		t->name = gln_tracker_name(tracker);
		t->works = !gln_tracker_probe(tracker, t->reason);
	}
	info->nr_scan_kernels = kernels_list(info->scan_kernels);
	return 0;
}

/* The first line of a list has its heading, the others have room for it. */
static const char *heading(const char *text, size_t line)
{
	return line ? "" : text;
}

static void print_cache(const char *name, uint64_t bytes)
{
	if (!bytes)
		return;

	char size[UNITS_BYTES];

	printf(" %s %s", name, units_size(size, bytes));
}

static void print_machine(const struct info *info)
{
	const struct gln_host_info *host = &info->host;
	char memory[UNITS_BYTES], page[UNITS_BYTES];

	printf("glean         %s\n", gln_version());
	printf("CPU           %s, %" PRIu32 " usable\n", host->cpu_model,
	       host->nr_cpus);
	printf("caches       ");
	print_cache("L1d", host->l1d_bytes);
	print_cache("L2", host->l2_bytes);
	print_cache("L3", host->l3_bytes);
	if (!host->l1d_bytes && !host->l2_bytes && !host->l3_bytes)
		printf(" unknown");
	printf("\nkernel        %s %s %s\n", info->kernel.sysname,
	       info->kernel.release, info->kernel.machine);
	printf("memory        %s in pages of %s\n",
	       units_size(memory, host->memory_bytes),
	       units_size(page, host->page_bytes));
	printf("NUMA nodes    %" PRIu32 "\n", host->nr_numa_nodes);
	printf("heavy fence   %s\n",
	       host->heavy_fence ? "yes: marks need no full fence"
				 : "no: every mark takes a full fence");
}

static void print_text(const struct info *info)
{
	print_machine(info);
	for (size_t i = 0; i < NR_BACKENDS; i++)
		printf("%-13s %-13s %s\n", heading("backends", i),
		       backend_names[i],
		       backend_works(info, (enum backend_kind)i) ? "yes"
								 : "no");
	for (size_t i = 0; i < GLN_NR_TRACKERS; i++)
		printf("%-13s %-13s %-3s  %s\n", heading("trackers", i),
		       info->trackers[i].name,
		       info->trackers[i].works ? "yes" : "no",
		       info->trackers[i].reason);
	for (size_t i = 0; i < info->nr_scan_kernels; i++)
		printf("%-13s %-13s %s%s\n", heading("scan kernels", i),
		       info->scan_kernels[i].name,
		       info->scan_kernels[i].usable ? "yes" : "no",
		       info->scan_kernels[i].chosen ? "  chosen" : "");
}

static json_t *cpu_json(const struct gln_host_info *host)
{
	json_t *object = json_object();

	json_put_text(object, "model", host->cpu_model);
	json_put_number(object, "cpus", host->nr_cpus);
	json_put_number(object, "l1d_bytes", host->l1d_bytes);
	json_put_number(object, "l2_bytes", host->l2_bytes);
	json_put_number(object, "l3_bytes", host->l3_bytes);
	json_put(object, "heavy_fence", json_boolean(host->heavy_fence));
	return object;
}

static json_t *backends_json(const struct info *info)
{
	json_t *array = json_array();

	for (size_t i = 0; i < NR_BACKENDS; i++) {
		json_t *object = json_object();

		json_put_text(object, "name", backend_names[i]);
		json_put(object, "works",
			 json_boolean(
				 backend_works(info, (enum backend_kind)i)));
		json_append(array, object);
	}
	return array;
}

static json_t *trackers_json(const struct info *info)
{
	json_t *array = json_array();

	for (size_t i = 0; i < GLN_NR_TRACKERS; i++) {
		json_t *object = json_object();

		json_put_text(object, "name", info->trackers[i].name);
		json_put(object, "works",
			 json_boolean(info->trackers[i].works));
		json_put_text(object, "reason", info->trackers[i].reason);
		json_append(array, object);
	}
	return array;
}

static json_t *scan_kernels_json(const struct info *info)
{
	json_t *array = json_array();

	for (size_t i = 0; i < info->nr_scan_kernels; i++) {
		const struct gln_kernel_info *kernel = &info->scan_kernels[i];
		json_t *object = json_object();

		json_put_text(object, "name", kernel->name);
		json_put(object, "usable", json_boolean(kernel->usable));
		json_put(object, "chosen", json_boolean(kernel->chosen));
		json_append(array, object);
	}
	return array;
}

static int print_json(const struct info *info)
{
	json_t *object = json_object();
	char kernel[3 * sizeof(info->kernel.sysname)];

	snprintf(kernel, sizeof(kernel), "%s %s %s", info->kernel.sysname,
		 info->kernel.release, info->kernel.machine);
	json_put_text(object, "version", gln_version());
	json_put(object, "cpu", cpu_json(&info->host));
	json_put_text(object, "kernel", kernel);
	json_put_number(object, "memory_bytes", info->host.memory_bytes);
	json_put_number(object, "page_bytes", info->host.page_bytes);
	json_put_number(object, "numa_nodes", info->host.nr_numa_nodes);
	json_put(object, "backends", backends_json(info));
	json_put(object, "trackers", trackers_json(info));
	json_put(object, "scan_kernels", scan_kernels_json(info));
	return json_print(object, stdout);
}

static int tell(bool json)
{
	struct info info;
	int err = gather(&info);

	if (!err && json)
		err = print_json(&info);
	else if (!err)
		print_text(&info);
	if (!err)
		return STATUS_OK;
	complain("info", "looking at this machine failed: %s", strerror(-err));
	return STATUS_FAILED;
}

int command_info(int argc, char **argv)
{
	bool json = false;

	while (true) {
		switch (option_next(argc, argv, info_option_table)) {
		case OPTION_END:
			return tell(json);
		case OPTION_HELP:
			fputs(info_help, stdout);
			return STATUS_OK;
		case KEY_JSON:
			json = true;
			break;
		default:
			return STATUS_USAGE;
		}
	}
}
