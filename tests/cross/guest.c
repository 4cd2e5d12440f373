/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guest.c - a guest with a hashed page table, on a host of either byte order.
 *
 * Hypercalls put entries in; what is in memory is read byte by byte, as the
 * hardware of this test, which also notes R and C there. The log is little-
 * endian, the table and its stream are big-endian, and a stream's headers are
 * what their reader asked for.
 */
#include <glean/glean.h>
#include <glean/hpt.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/stress_frame.h"

enum {
	ORDER = GLN_HPT_ORDER_MIN,
	PAGE_SHIFT = 12,
	RAM_PAGES = 256,
	PAGE = 0x2b, /* the one that is mapped: bit 3 of byte 5 of the log */
	GROUP = 0x88,
	INDEX = GROUP * 8 + 3,
	TABLE_OFFSET = 0x3ffff, /* of a table word, below the address */
	HEADER_BYTES = 8,
	ENTRY_BYTES = 16,
	BUFFER_BYTES = 4096,
};

/* The address of the first hash vector of tests/unit/hpt/hash_test.c. */
#define SEGMENT (UINT64_C(0x12345) << GLN_SLB_VSID_SHIFT)
#define EA	UINT64_C(0x0abcdef0)
#define HPA	UINT64_C(0x0000012300000000)

static struct {
	struct gln_backend *backend;
	struct gln_vm *vm;
	struct gln_vcpu *vcpu;
	uint64_t nr_tlbies;
} machine;

static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)ctx;
	(void)ops;
	machine.nr_tlbies += nr;
}

static void flush_all(void *ctx, uint32_t lpid)
{
	(void)ctx;
	(void)lpid;
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	(void)ctx;
	(void)slot;
	(void)access;
	*page = (struct gln_host_page){
		.hpa = HPA + (gfn << PAGE_SHIFT),
		.order = PAGE_SHIFT,
		.is_writable = true,
		.type = GLN_MEMORY_NORMAL,
	};
	return 0;
}

static uint64_t phys_of(void *ctx, const void *at)
{
	(void)ctx;
	return (uintptr_t)at;
}

static void start(enum gln_hpt_isa isa)
{
	static const struct gln_mmu_host host = {
		.translate = translate,
		.phys_of = phys_of,
	};
	const struct gln_hpt_params hpt = {
		.struct_bytes = sizeof(hpt),
		.isa = isa,
		.host = &host,
		.tlbie = tlbie,
		.flush_all = flush_all,
	};
	struct gln_vm_params vm = {.struct_bytes = sizeof(vm)};
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.nr_pages = RAM_PAGES,
	};
	uint32_t order = ORDER;

	CHECK(!gln_hpt_create(&hpt, &machine.backend), "a backend");
	vm.backend = machine.backend;
	CHECK(!gln_vm_create(&vm, &machine.vm), "a VM");
	CHECK(!gln_vcpu_register(machine.vm, 0, &machine.vcpu), "a vCPU");
	CHECK(!gln_slot_add(machine.vm, &slot), "a slot");
	CHECK(!gln_hpt_allocate(machine.vm, &order), "a table");
	CHECK(!gln_vcpu_enter(machine.vcpu), "the vCPU enters");
}

static void stop(void)
{
	const char *why = "";

	gln_vcpu_leave(machine.vcpu);
	CHECK(!gln_hpt_check(machine.vm, &why), "%s", why);
	gln_vcpu_unregister(machine.vcpu);
	CHECK(!gln_vm_destroy(machine.vm), "the VM goes");
	gln_hpt_destroy(machine.backend);
}

/* The bytes of entry INDEX, where hardware looks for it. */
static uint8_t *entry_bytes(void)
{
	const uint64_t word = gln_hpt_table_word(machine.backend);

	CHECK((word & TABLE_OFFSET) == ORDER - 18, "the order");
	return (uint8_t *)(uintptr_t)(word & ~(uint64_t)TABLE_OFFSET) +
	       INDEX * ENTRY_BYTES;
}

static uint64_t be64(const uint8_t *bytes)
{
	uint64_t x = 0;

	for (size_t i = 0; i < sizeof(x); i++)
		x = x << 8 | bytes[i];
	return x;
}

static int64_t hcall(uint64_t nr, uint64_t *args)
{
	return gln_hcall(machine.vcpu, nr, args, args);
}

/* V and R as the guest gives them. */
#define GUEST_V (gln_hpt_vpn(SEGMENT, EA) | GLN_HPTE_V_VALID)
#define GUEST_R ((uint64_t)PAGE << PAGE_SHIFT | GLN_HPTE_R_M | 2)

static void enter(void)
{
	uint64_t args[GLN_HCALL_ARGS] = {GLN_H_EXACT, INDEX, GUEST_V, GUEST_R};

	CHECK(hcall(GLN_H_ENTER, args) == GLN_H_SUCCESS, "H_ENTER");
	CHECK(args[0] == INDEX, "where it was asked for");
}

static void must_read(uint64_t v, uint64_t r)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, INDEX};

	CHECK(hcall(GLN_H_READ, args) == GLN_H_SUCCESS, "H_READ");
	CHECK(args[0] == v && args[1] == r, "V %#llx R %#llx",
	      (unsigned long long)args[0], (unsigned long long)args[1]);
}

static void check_memory(void)
{
	const uint8_t *const bytes = entry_bytes();

	CHECK(be64(bytes) == GUEST_V, "V in memory");
	CHECK((be64(bytes + 8) & GLN_HPTE_R_RPN) ==
		      HPA + ((uint64_t)PAGE << PAGE_SHIFT),
	      "the host's page in memory");
	must_read(GUEST_V, GUEST_R);
}

/* What hardware notes is seen; and taken from the byte it is in alone. */
static void check_notes(void)
{
	uint64_t args[GLN_HCALL_ARGS] = {0, INDEX};
	uint8_t *const bytes = entry_bytes();

	bytes[14] |= 0x01;
	bytes[15] |= 0x80;
	must_read(GUEST_V, GUEST_R | GLN_HPTE_R_R | GLN_HPTE_R_C);
	CHECK(hcall(GLN_H_CLEAR_REF, args) == GLN_H_SUCCESS, "H_CLEAR_REF");
	CHECK(!(entry_bytes()[14] & 0x01), "R is gone");
	CHECK(entry_bytes()[15] & 0x80, "C is not");
	must_read(GUEST_V, GUEST_R | GLN_HPTE_R_C);
}

static bool is_logged(void)
{
	uint8_t bitmap[RAM_PAGES / 8];

	CHECK(!gln_get_dirty_log(machine.vm, 0, bitmap), "the log");
	for (size_t i = 0; i < sizeof(bitmap); i++)
		CHECK(!(bitmap[i] & ~(i == PAGE / 8 ? 1 << PAGE % 8 : 0)),
		      "no other page, byte %zu", i);
	return bitmap[PAGE / 8];
}

/* A write faults, the hardware notes C, the log has the page: once. */
static void check_log(void)
{
	struct gln_hpt_fault fault = {
		.ea = EA,
		.slb = SEGMENT,
		.access = GLN_ACCESS_WRITE,
	};

	CHECK(!gln_log_enable(machine.vm, 0, 0), "logging");
	is_logged(); /* what C said before */
	CHECK(!is_logged(), "clean");
	CHECK(gln_hpt_fault(machine.vcpu, &fault) >= 0, "the fault");
	entry_bytes()[14] |= 0x01;
	entry_bytes()[15] |= 0x80;
	CHECK(is_logged(), "dirty");
	CHECK(!(entry_bytes()[15] & 0x80), "C was taken");
	CHECK(!is_logged(), "clean again");
	CHECK(!gln_log_disable(machine.vm, 0), "no logging");
}

static uint64_t field(const uint8_t *bytes, size_t nr,
		      enum gln_hpt_endian endian)
{
	uint64_t x = 0;

	for (size_t i = 0; i < nr; i++)
		x = x << 8 |
		    bytes[endian == GLN_HPT_ENDIAN_BIG ? i : nr - 1 - i];
	return x;
}

static struct gln_hpt_stream *open_stream(uint32_t flags,
					  enum gln_hpt_endian endian)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.flags = flags,
		.endian = endian,
	};
	struct gln_hpt_stream *stream;

	CHECK(!gln_hpt_stream_open(machine.vm, &params, &stream), "a stream");
	return stream;
}

/* Find the entry in the stream; write it back to where it was taken from. */
static void check_stream(enum gln_hpt_endian endian)
{
	struct gln_hpt_stream *stream = open_stream(0, endian);
	uint64_t args[GLN_HCALL_ARGS] = {0, INDEX};
	uint8_t bytes[BUFFER_BYTES];
	int64_t got = gln_hpt_stream_read(stream, bytes, sizeof(bytes));
	const uint8_t *record = bytes;

	gln_hpt_stream_close(stream);
	/* Empty entries before it may have a record of their own. */
	while (got > 0 && !field(record + 4, 2, endian)) {
		record += HEADER_BYTES;
		got -= HEADER_BYTES;
	}
	CHECK(got >= HEADER_BYTES + ENTRY_BYTES, "a record");
	CHECK(field(record, 4, endian) == INDEX, "its index");
	CHECK(field(record + 4, 2, endian) == 1, "one entry");
	CHECK(be64(record + HEADER_BYTES) == GUEST_V, "V is big-endian");
	CHECK((be64(record + HEADER_BYTES + 8) & GLN_HPTE_R_RPN) ==
		      (GUEST_R & GLN_HPTE_R_RPN),
	      "R is the guest's, and big-endian");

	CHECK(hcall(GLN_H_REMOVE, args) == GLN_H_SUCCESS, "H_REMOVE");
	CHECK(!(entry_bytes()[7] & GLN_HPTE_V_VALID), "it is gone");
	gln_vcpu_leave(machine.vcpu);
	stream = open_stream(GLN_HPT_STREAM_WRITE, endian);
	CHECK(gln_hpt_stream_write(stream, record, (size_t)got) == got,
	      "written");
	gln_hpt_stream_close(stream);
	CHECK(!gln_vcpu_enter(machine.vcpu), "the vCPU enters again");
	args[0] = 0;
	args[1] = INDEX;
	CHECK(hcall(GLN_H_READ, args) == GLN_H_SUCCESS, "H_READ");
	CHECK(args[0] == GUEST_V, "it is back");
}

int main(void)
{
	static const enum gln_hpt_isa isas[] = {GLN_HPT_ISA_2_07,
						GLN_HPT_ISA_3_0};

	for (size_t i = 0; i < ARRAY_SIZE(isas); i++) {
		start(isas[i]);
		enter();
		check_memory();
		check_notes();
		check_log();
		check_stream(GLN_HPT_ENDIAN_BIG);
		check_stream(GLN_HPT_ENDIAN_LITTLE);
		stop();
	}
	printf("%llu invalidations\n", (unsigned long long)machine.nr_tlbies);
	return stress_verdict(0);
}
