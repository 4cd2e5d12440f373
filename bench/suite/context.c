/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * context.c - where and with what a measurement was made.
 *
 * What the machine does not tell is left out or 0: it spoils no measurement.
 */
#include "bench/suite/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <glean/host.h>
#include <glean/vm.h>

#include "bench/glean/json.h"
#include "bench/glean/kernels.h"

/* Caches of a CPU, at most: instructions, data, and two or three shared. */
#define CACHES_MAX 8

#define CACHE_DIR "/sys/devices/system/cpu/cpu0/cache"
#define GOVERNOR  "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"

/* The first line of a small file, without its newline; "" if there is none. */
static void read_line(const char *path, char *line, int bytes)
{
	FILE *file = fopen(path, "r");

	line[0] = '\0';
	if (!file)
		return;
	if (!fgets(line, bytes, file))
		line[0] = '\0';
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
}

static void put_date(json_t *context)
{
	const time_t now = time(NULL);
	struct tm local;
	char text[64] = "";

	if (localtime_r(&now, &local))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &local);
	json_put_text(context, "date", text);
}

static void put_names(json_t *context)
{
	struct utsname system;
	char text[3 * sizeof(system.sysname)];
	char path[4096];
	const ssize_t length =
		readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	json_put_text(context, "executable", path);
	if (uname(&system))
		return;
	snprintf(text, sizeof(text), "%s %s %s", system.sysname, system.release,
		 system.machine);
	json_put_text(context, "host_name", system.nodename);
	json_put_text(context, "kernel", text);
}

static double cpu_mhz(void)
{
	char line[256];
	double mhz = 0;
	FILE *file = fopen("/proc/cpuinfo", "r");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "cpu MHz : %lf", &mhz) == 1)
			break;
	}
	fclose(file);
	return mhz;
}

static void put_cpu(json_t *context)
{
	struct gln_host_info host = {.struct_bytes = sizeof(host)};
	char governor[64];

	if (!gln_host_info(&host)) {
		json_put_text(context, "cpu_model", host.cpu_model);
		json_put_number(context, "num_cpus", host.nr_cpus);
	}
	json_put_number(context, "mhz_per_cpu", (uint64_t)(cpu_mhz() + 0.5));
	read_line(GOVERNOR, governor, sizeof(governor));
	json_put(context, "cpu_scaling_enabled",
		 json_boolean(governor[0] && strcmp(governor, "performance")));
}

/* CPUs named by a list such as "0-3,8"; 0 if it is no list. */
static uint64_t count_cpus(const char *list)
{
	uint64_t nr = 0;
	uint64_t first, last;
	int used;

	while (sscanf(list, "%" SCNu64 "%n", &first, &used) == 1) {
		list += used;
		last = first;
		if (sscanf(list, "-%" SCNu64 "%n", &last, &used) == 1)
			list += used;
		nr += last - first + 1;
		list += *list == ',';
	}
	return nr;
}

static void read_cache_file(int index, const char *name, char *text, int bytes)
{
	char path[128];

	snprintf(path, sizeof(path), CACHE_DIR "/index%d/%s", index, name);
	read_line(path, text, bytes);
}

/* One cache of the first CPU, or NULL past the last. */
static json_t *cache_json(int index)
{
	char type[32], level[32], size[32], shared[256];

	read_cache_file(index, "type", type, sizeof(type));
	read_cache_file(index, "level", level, sizeof(level));
	read_cache_file(index, "size", size, sizeof(size));
	read_cache_file(index, "shared_cpu_list", shared, sizeof(shared));
	if (!type[0])
		return NULL;

	json_t *cache = json_object();

	json_put_text(cache, "type", type);
	json_put_number(cache, "level", strtoull(level, NULL, 10));
	/* The kernel gives it in KiB: "32K". */
	json_put_number(cache, "size", strtoull(size, NULL, 10) * 1024);
	json_put_number(cache, "num_sharing", count_cpus(shared));
	return cache;
}

static void put_caches(json_t *context)
{
	json_t *caches = json_array();

	for (int i = 0; i < CACHES_MAX; i++) {
		json_t *cache = cache_json(i);

		if (!cache)
			break;
		json_append(caches, cache);
	}
	json_put(context, "caches", caches);
}

static void put_load(json_t *context)
{
	json_t *loads = json_array();
	double load[3];
	const int nr = getloadavg(load, 3);

	for (int i = 0; i < nr; i++)
		json_append(loads, json_real(load[i]));
	json_put(context, "load_avg", loads);
}

static void put_build(json_t *context)
{
#ifdef NDEBUG
	const char *type = "release";
#else
	const char *type = "debug";
#endif
#ifdef __clang__
	const char *compiler = "clang " __clang_version__;
#else
	const char *compiler = "gcc " __VERSION__;
#endif

	/* Of the library that measures, which is glean itself. */
	json_put_text(context, "library_version", gln_version());
	json_put_text(context, "library_build_type", type);
	json_put_text(context, "glean_version", gln_version());
	json_put_text(context, "compiler", compiler);
	json_put_text(context, "flags", GLN_COMPILE_FLAGS);
	json_put_text(context, "scan_kernel", kernels_chosen());
	json_put_text(context, "commit", context_commit);
	json_put_number(context, "json_schema_version", 1);
}

json_t *context_json(void)
{
	json_t *context = json_object();

	put_date(context);
	put_names(context);
	put_cpu(context);
	put_caches(context);
	put_load(context);
	put_build(context);
	return context;
}
