/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernels.c - the library's scan kernels, for options and reports.
 */
#include "bench/glean/kernels.h"

#include <errno.h>

size_t kernels_list(struct gln_kernel_info *kernels)
{
	const size_t nr = gln_scan_kernels(kernels, KERNELS_MAX);

	return nr < KERNELS_MAX ? nr : KERNELS_MAX;
}

const char *kernels_chosen(void)
{
	struct gln_kernel_info kernels[KERNELS_MAX];
	const size_t nr = kernels_list(kernels);
	size_t i = 0;

	while (i < nr && !kernels[i].chosen)
		i++;

	return i < nr ? kernels[i].name : "unknown";
}

/* "scalar, popcnt or avx2": those that this CPU can run. */
static void join_usable(char *list, size_t bytes)
{
	struct gln_kernel_info kernels[KERNELS_MAX];
	const char *names[KERNELS_MAX + 1] = {NULL};
	const size_t nr = kernels_list(kernels);
	size_t nr_usable = 0;

	for (size_t i = 0; i < nr; i++)
		if (kernels[i].usable)
			names[nr_usable++] = kernels[i].name;
	join_names(names, list, bytes);
}

bool kernels_use(const struct option_value *value)
{
	const int err = gln_scan_kernel_use(value->text);
	char list[160];

	if (!err)
		return true;
	join_usable(list, sizeof(list));
	if (err == -ENOTSUP)
		complain(value->command,
			 "%s: this CPU cannot run '%s': give %s", value->option,
			 value->text, list);
	else
		complain(value->command,
			 "%s: '%s' is not a scan kernel: give %s",
			 value->option, value->text, list);
	return false;
}
