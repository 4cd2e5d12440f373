/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stranger.c - somebody else's program, built from what is installed.
 *
 * It makes a VM with one slot, marks a page as a device would, and takes it
 * out again. Exit status 0 when the harvest holds just that page.
 */
#include <glean/glean.h>

#include <stdio.h>
#include <string.h>

enum { SLOT = 0, SLOT_BASE = 256, SLOT_PAGES = 1000, WRITTEN = 777 };

static int harvest_one(struct gln_vm *vm, struct gln_range *run)
{
	const struct gln_harvest_params params = {
		.struct_bytes = sizeof(params),
	};
	struct gln_harvest *harvest;
	size_t nr;
	int err;

	err = gln_harvest_begin(vm, SLOT, &params, &harvest);
	if (err)
		return err;

	nr = gln_harvest_next(harvest, run, 1);
	gln_harvest_commit(harvest);
	return nr == 1 ? 0 : -1;
}

static int log_a_page(struct gln_vm *vm)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = SLOT,
		.base = SLOT_BASE,
		.nr_pages = SLOT_PAGES,
	};
	struct gln_range run = {0, 0};

	if (gln_slot_add(vm, &params) || gln_log_enable(vm, SLOT, 0))
		return 1;
	if (gln_dirty_mark(vm, WRITTEN) != 1 || harvest_one(vm, &run))
		return 1;
	return run.first != WRITTEN || run.count != 1;
}

int main(void)
{
	const struct gln_vm_params params = {.struct_bytes = sizeof(params)};
	struct gln_vm *vm;
	char headers[32];
	int failed;

	snprintf(headers, sizeof(headers), "%d.%d.%d", GLN_VERSION_MAJOR,
		 GLN_VERSION_MINOR, GLN_VERSION_PATCH);
	if (strcmp(headers, gln_version())) {
		printf("headers are %s, the library is %s\n", headers,
		       gln_version());
		return 1;
	}

	if (gln_vm_create(&params, &vm))
		return 1;
	failed = log_a_page(vm);
	if (failed)
		printf("the page that was marked was not harvested\n");
	return gln_vm_destroy(vm) || failed;
}
