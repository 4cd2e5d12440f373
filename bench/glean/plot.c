/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plot.c - curves of results, drawn by gnuplot.
 *
 * Benchmarks whose names differ only in the method and in what goes along the
 * axis are in one chart. Names may be anybody's: each byte that could mean
 * something to gnuplot, or to the file system, becomes '_'.
 */
#include "bench/glean/plot.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/glean/options.h"

#define TEXT_BYTES 256
#define PATH_BYTES 4096

/* Curves of a chart, at most. */
#define METHODS_MAX 16

extern char **environ;

/*
 * What goes along the axis.
 *
 * @key:	of the name, whose value it is.
 * @is_clean:	only of what has the density 0; else of what has none of 0.
 * @prefix:	of the files' names.
 */
static const struct axis {
	const char *key;
	bool is_clean;
	const char *label;
	const char *prefix;
} axes[] = {
	{"density", false, "dirty pages, as a part of all", "density"},
	{"pages", true, "pages of the guest", "clean"},
};

#define NR_AXES (sizeof(axes) / sizeof(axes[0]))

/* One result, as a point of a chart. */
struct point {
	char chart[TEXT_BYTES]; /* the name, less axis and method */
	char method[TEXT_BYTES];
	double x;
};

struct chart {
	const struct results *results;
	const struct axis *axis;
	const char *name;
	char methods[METHODS_MAX][TEXT_BYTES];
	size_t nr_methods;
};

/* --- names --- */

/* The value of "/key:value" in @name; false if there is none. */
static bool value_of(const char *name, const char *key, char value[TEXT_BYTES])
{
	const size_t length = strlen(key);

	for (const char *at = strchr(name, '/'); at; at = strchr(at, '/')) {
		at++;
		if (strncmp(at, key, length) || at[length] != ':')
			continue;
		at += length + 1;
		snprintf(value, TEXT_BYTES, "%.*s", (int)strcspn(at, "/"), at);
		return true;
	}
	return false;
}

/* @name less the part that begins with "key:". */
static void leave_out(char name[TEXT_BYTES], const char *key)
{
	char part[TEXT_BYTES];
	char *at;

	snprintf(part, sizeof(part), "/%s:", key);
	at = strstr(name, part);
	if (!at)
		return;

	const char *const rest = at + 1 + strcspn(at + 1, "/");

	memmove(at, rest, strlen(rest) + 1);
}

static void make_harmless(char *text)
{
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("-.:/", *text))
			*text = '_';
}

static bool point_of(const struct result *result, const struct axis *axis,
		     struct point *point)
{
	char text[TEXT_BYTES];
	double density;

	if (!value_of(result->name, "density", text))
		return false;
	density = strtod(text, NULL);
	if (axis->is_clean != (density <= 0) ||
	    !value_of(result->name, "method", point->method) ||
	    !value_of(result->name, axis->key, text))
		return false;

	point->x = strtod(text, NULL);
	snprintf(point->chart, sizeof(point->chart), "%s", result->name);
	leave_out(point->chart, axis->key);
	leave_out(point->chart, "method");
	make_harmless(point->chart);
	make_harmless(point->method);
	return point->x > 0;
}

/* --- one chart --- */

/* The points of a chart, one after the other: false at the end. */
static bool next_point(const struct chart *chart, size_t *at,
		       struct point *point)
{
	for (; *at < chart->results->nr; (*at)++)
		if (point_of(&chart->results->list[*at], chart->axis, point) &&
		    !strcmp(point->chart, chart->name)) {
			(*at)++;
			return true;
		}
	return false;
}

static bool has_method(const struct chart *chart, const char *method)
{
	for (size_t i = 0; i < chart->nr_methods; i++)
		if (!strcmp(chart->methods[i], method))
			return true;
	return false;
}

/* Find the methods. False if nothing goes along the axis: there is no curve. */
static bool look_through(struct chart *chart)
{
	double low = INFINITY, high = 0;
	struct point point;

	for (size_t at = 0; next_point(chart, &at, &point);) {
		low = point.x < low ? point.x : low;
		high = point.x > high ? point.x : high;
		if (chart->nr_methods < METHODS_MAX &&
		    !has_method(chart, point.method))
			snprintf(chart->methods[chart->nr_methods++],
				 TEXT_BYTES, "%s", point.method);
	}
	return low < high;
}

/* A median each, in seconds, as gnuplot wants them for "10 us". */
static void write_curve(const struct chart *chart, size_t method, FILE *script)
{
	struct point point;

	fprintf(script, "$curve%zu << END\n", method);
	for (size_t at = 0; next_point(chart, &at, &point);)
		if (!strcmp(point.method, chart->methods[method]))
			fprintf(script, "%.9g %.9g\n", point.x,
				result_median(&chart->results->list[at - 1]) /
					1e9);
	fprintf(script, "END\n");
}

static void write_script(const struct chart *chart, const char *file,
			 FILE *script)
{
	fprintf(script,
		"# Medians. Draw again: gnuplot %s.gp\n"
		"set terminal svg size 900,600 dynamic background 'white'\n"
		"set output '%s.svg'\n"
		"set title '%s' noenhanced\n"
		"set xlabel '%s'\n"
		"set ylabel 'time, less is better'\n"
		"set logscale xy\n"
		"set format x '10^{%%L}'\n"
		"set format y '%%.0s %%cs'\n"
		"set grid\n"
		"set key outside right noenhanced\n",
		file, file, chart->name, chart->axis->label);
	for (size_t i = 0; i < chart->nr_methods; i++)
		write_curve(chart, i, script);
	fprintf(script, "plot");
	for (size_t i = 0; i < chart->nr_methods; i++)
		fprintf(script,
			"%s \\\n\t$curve%zu smooth unique with "
			"linespoints linewidth 2 title '%s'",
			i ? "," : "", i, chart->methods[i]);
	fprintf(script, "\n");
}

static int run_gnuplot(const char *folder, const char *script)
{
	char *const argv[] = {"gnuplot", (char *)(uintptr_t)script, NULL};
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t child;
	int err;

	if (posix_spawn_file_actions_init(&actions))
		return -ENOMEM;
	err = posix_spawn_file_actions_addchdir_np(&actions, folder);
	if (!err)
		err = posix_spawnp(&child, "gnuplot", &actions, NULL, argv,
				   environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		return -err;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

static int draw(struct chart *chart, const char *folder, FILE *out)
{
	char file[2 * TEXT_BYTES], script_name[2 * TEXT_BYTES + 8];
	char path[PATH_BYTES];
	FILE *script;
	int err;

	snprintf(file, sizeof(file), "%s-%s", chart->axis->prefix, chart->name);
	for (char *at = file; *at; at++)
		if (*at == '/' || *at == ':')
			*at = '-';
	snprintf(script_name, sizeof(script_name), "%s.gp", file);
	if (snprintf(path, sizeof(path), "%s/%s", folder, script_name) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;

	script = fopen(path, "w");
	if (!script)
		return -errno;
	write_script(chart, file, script);
	err = ferror(script) ? -EIO : 0;
	if (fclose(script) && !err)
		err = -errno;
	if (!err)
		err = run_gnuplot(folder, script_name);
	if (!err)
		fprintf(out, "%s/%s.svg\n", folder, file);
	return err;
}

/* --- all charts --- */

/* Has a result before this one the same chart? */
static bool was_drawn(const struct results *results, const struct axis *axis,
		      size_t index, const char *name)
{
	const struct chart same = {
		.results = results,
		.axis = axis,
		.name = name,
	};
	struct point point;
	size_t at = 0;

	return next_point(&same, &at, &point) && at - 1 < index;
}

static int draw_all(const struct results *results, const struct axis *axis,
		    const char *folder, FILE *out)
{
	int err = -ENOENT;

	for (size_t i = 0; i < results->nr; i++) {
		struct point point;
		struct chart chart = {
			.results = results,
			.axis = axis,
			.name = point.chart,
		};

		if (!point_of(&results->list[i], axis, &point) ||
		    was_drawn(results, axis, i, point.chart) ||
		    !look_through(&chart))
			continue;
		err = draw(&chart, folder, out);
		if (err)
			return err;
	}
	return err;
}

int plot_results(const struct results *results, const char *folder, FILE *out)
{
	int all = -ENOENT;

	for (size_t i = 0; i < NR_AXES; i++) {
		const int err = draw_all(results, &axes[i], folder, out);

		if (err && err != -ENOENT) {
			complain("bench", "--plot: drawing into '%s': %s",
				 folder, strerror(-err));
			return -EINVAL;
		}
		if (!err)
			all = 0;
	}
	return all;
}

static bool has_gnuplot(void)
{
	const char *path = getenv("PATH");

	for (const char *at = path ? path : ""; *at;) {
		const size_t length = strcspn(at, ":");
		char file[PATH_BYTES];

		snprintf(file, sizeof(file), "%.*s/gnuplot", (int)length, at);
		if (!access(file, X_OK))
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

int plot_prepare(const char *folder)
{
	if (!has_gnuplot()) {
		complain("bench", "--plot: gnuplot is not installed: "
				  "apt-get install gnuplot-nox");
		return -ENOTSUP;
	}
	if (mkdir(folder, 0777) && errno != EEXIST) {
		complain("bench", "--plot: '%s' cannot be made: %s", folder,
			 strerror(errno));
		return -EINVAL;
	}
	return 0;
}
