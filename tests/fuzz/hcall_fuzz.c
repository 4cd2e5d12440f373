/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hcall_fuzz.c - a guest with a hashed page table that means harm.
 *
 * Hypercalls of any number with any registers, faults of any structure, streams
 * of any bytes, orders of any value, while slots come and go and host and
 * allocator fail. Each call may say only what is documented, and writes only
 * the registers that it returns; the table keeps its rules; HVLOCK, ABSENT and
 * the reserved bit of R are never shown. (G11)
 */
#include "tests/fuzz/guest.h"

#include <glean/hpt.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_STEPS = 500,
	MAX_PAGES = 40000,
	CHECK_EVERY = 64,
	SHIFT = 12,
	SCRATCH_BYTES = 1 << 16, /* the largest page of a slot */
	ALIGNMENT = 64,
	MAX_ORDER = 20,
	BUFFER_BYTES = 4096,
};

/* What there should be. */
struct expected {
	bool exists;
	bool is_logged;
	uint64_t nr_pages;
	gln_gfn base;
};

static struct fuzz_input input;
static struct gln_hpt_host *hpt_host;
static struct gln_backend *backend;
static struct gln_vm *vm;
static struct gln_vcpu *vcpu;
static struct gln_hpt_stream *stream;
static bool stream_writes;
static struct expected slots[FUZZ_SLOTS];
static unsigned int page_shift;
static uint64_t fail_in;
static uint64_t host_seed;
static uint64_t resize_order; /* what the guest asked for last */
static uint64_t scratch[SCRATCH_BYTES / 8];

/* The machine. */

static void *allocate(void *ctx, size_t bytes)
{
	const bool is_power = bytes > ALIGNMENT && !(bytes & (bytes - 1));
	void *memory;

	(void)ctx;
	if (fail_in && !--fail_in)
		return NULL;
	if (posix_memalign(&memory, is_power ? bytes : ALIGNMENT, bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

static void release(void *ctx, void *memory, size_t bytes)
{
	(void)ctx;
	(void)bytes;
	free(memory);
}

static const struct gln_allocator allocator = {allocate, release, NULL};

/* Usually what it should be; else a device, not there, or no address. */
static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	const uint64_t lot =
		(host_seed ^ gfn >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 56;

	(void)ctx;
	page->hpa = (UINT64_C(1) << 44) + (gfn << slot->page_shift);
	if (lot < 8)
		page->is_writable = access & GLN_ACCESS_WRITE;
	else if (lot < 16)
		page->is_writable = false;
	else if (lot < 24)
		return -EAGAIN;
	else if (lot < 28)
		return -EFAULT;
	else if (lot < 32)
		page->hpa = host_seed;
	else if (lot < 40)
		page->order = (unsigned int)host_seed % 40;
	else if (lot < 44)
		page->type = GLN_MEMORY_DEVICE;
	else if (lot < 46)
		page->type = (enum gln_memory_type)7;
	return 0;
}

/* All guest memory is these bytes; there is none where there is no page. */
static void *memory_at(void *ctx, uint64_t hpa)
{
	(void)ctx;
	if (hpa % SCRATCH_BYTES > SCRATCH_BYTES - (1U << SHIFT) || hpa % 8)
		return NULL;
	return &scratch[hpa % SCRATCH_BYTES / 8];
}

static void kick(void *ctx)
{
	(void)ctx;
}

static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	(void)ctx;
	FUZZ_CHECK(nr, "an invalidation of nothing");
	for (size_t i = 0; i < nr; i++)
		FUZZ_CHECK(!(ops[i].rb & 0x200),
			   "a reserved segment size is in tlbie");
}

static void flush_all(void *ctx, uint32_t lpid)
{
	(void)ctx;
	FUZZ_CHECK(lpid == gln_hpt_lpid(backend), "another partition's TLB");
}

/* Arguments. */

static uint64_t any_index(void)
{
	return fuzz_bytes(&input, 1) % 8 ? fuzz_below(&input, 64)
					 : fuzz_near(&input, 1 << 14);
}

static gln_gfn any_gfn(void)
{
	const struct expected *const slot =
		&slots[fuzz_below(&input, FUZZ_SLOTS)];

	if (slot->exists && fuzz_bytes(&input, 1) % 8)
		return slot->base + fuzz_below(&input, slot->nr_pages + 2) - 1;
	return fuzz_near(&input, UINT64_C(1) << 48);
}

static uint64_t any_size_bits(void)
{
	static const uint64_t lp[] = {0x00, 0x01, 0x03, 0x07, 0x08, 0x38};

	return lp[fuzz_below(&input, 6)] << GLN_HPTE_R_LP_SHIFT;
}

static uint64_t any_r(void)
{
	uint64_t r = any_gfn() << page_shift;

	if (fuzz_bytes(&input, 1) % 4 == 0)
		return fuzz_bytes(&input, 8);
	if (fuzz_bytes(&input, 1) & 1)
		r = (r & ~GLN_HPTE_R_LP) | any_size_bits();
	return r | (fuzz_bytes(&input, 2) & 0xfff);
}

static uint64_t any_v(void)
{
	return fuzz_bytes(&input, 1) % 4
		       ? fuzz_below(&input, 32) << 7 |
				 (fuzz_bytes(&input, 1) & 0x7f)
		       : fuzz_bytes(&input, 8);
}

/* Few addresses, in segments of every size: faults shall find entries. */
static uint64_t any_slb(void)
{
	static const uint64_t known_sizes[] = {
		0,
		0,
		GLN_SLB_L | GLN_SLB_LP_64K,
		GLN_SLB_L,
	};

	if (fuzz_bytes(&input, 1) % 16 == 0)
		return fuzz_bytes(&input, 8);
	return known_sizes[fuzz_below(&input, 4)] |
	       (fuzz_bytes(&input, 1) % 4 ? 0 : GLN_SLB_1TB | 5 << 24) |
	       fuzz_below(&input, 2) << 12;
}

static uint64_t any_ea(void)
{
	return fuzz_bytes(&input, 1) % 16 ? fuzz_below(&input, 4) << 12
					  : fuzz_bytes(&input, 8);
}

/* An entry where a CPU looks for it. */
static void place_entry(uint64_t *args)
{
	const uint64_t slb = any_slb(), ea = any_ea();
	const uint64_t word = gln_hpt_table_word(backend);
	const uint64_t nr_groups = UINT64_C(1) << ((word & 31) + 18 - 7);
	struct gln_hpte_size size = {gln_slb_page_shift(slb), 0};
	struct gln_hpte encoded;
	uint64_t hash;

	size.actual = fuzz_bytes(&input, 1) % 4
			      ? size.base
			      : 12 + (unsigned int)fuzz_below(&input, 4) * 4;
	if (!size.base || !gln_hpte_encode(size, &encoded))
		return;
	hash = gln_hpt_hash(slb, ea);
	args[2] = gln_hpt_vpn(slb, ea) | encoded.v;
	if (fuzz_bytes(&input, 1) % 4 == 0) {
		hash = ~hash;
		args[2] |= GLN_HPTE_V_SECONDARY;
	}
	args[1] = (hash & (nr_groups - 1)) << 3 | fuzz_below(&input, 8);
	args[3] = (any_gfn() << page_shift & ~GLN_HPTE_R_LP) | encoded.r |
		  (fuzz_bytes(&input, 2) & 0x1f3);
	if (!encoded.v)
		args[3] |= any_gfn() << page_shift & GLN_HPTE_R_LP;
}

static uint64_t init_flags(void)
{
	static const uint64_t flags[] = {
		GLN_H_ZERO_PAGE,
		GLN_H_COPY_PAGE,
		GLN_H_COPY_PAGE | GLN_H_ZERO_PAGE,
		GLN_H_ICACHE_SYNCHRONIZE,
	};

	return flags[fuzz_below(&input, 4)];
}

static uint64_t any_flags(void)
{
	static const uint64_t flags[] = {
		0,
		0,
		GLN_H_EXACT,
		GLN_H_READ_4,
		GLN_H_AVPN,
		GLN_H_ANDCOND,
		GLN_H_ZERO_PAGE,
		GLN_H_COPY_PAGE,
	};

	return fuzz_bytes(&input, 1) % 8 ? flags[fuzz_below(&input, 8)] |
						   (fuzz_bytes(&input, 1) & 7)
					 : fuzz_bytes(&input, 8);
}

/* Which registers each call may write, and how it may be called. */
struct known_call {
	uint64_t nr;
	unsigned int nr_rets;
};

static const struct known_call known[] = {
	{GLN_H_ENTER, 1},     {GLN_H_ENTER, 1},	      {GLN_H_ENTER, 1},
	{GLN_H_ENTER, 1},     {GLN_H_REMOVE, 2},      {GLN_H_READ, 8},
	{GLN_H_PROTECT, 0},   {GLN_H_CLEAR_REF, 1},   {GLN_H_CLEAR_MOD, 1},
	{GLN_H_PAGE_INIT, 0}, {GLN_H_BULK_REMOVE, 8},
};

static void fill_args(uint64_t nr, uint64_t *args)
{
	for (unsigned int i = 0; i < GLN_HCALL_ARGS; i++)
		args[i] = UINT64_C(0x5a5a000000000000) + i;
	args[0] = nr == GLN_H_PAGE_INIT ? init_flags() : any_flags();
	args[1] = nr == GLN_H_PAGE_INIT ? any_gfn() << page_shift : any_index();
	args[2] = nr == GLN_H_PAGE_INIT ? any_gfn() << page_shift : any_v();
	args[3] = any_r();
	if (nr == GLN_H_ENTER && fuzz_bytes(&input, 1) & 1)
		place_entry(args);
	if (nr != GLN_H_BULK_REMOVE)
		return;
	for (unsigned int i = 0; i < 8; i += 2) {
		args[i] = fuzz_bytes(&input, 1) % 8
				  ? UINT64_C(1) << 62 |
					    fuzz_below(&input, 3) << 56 |
					    any_index()
				  : fuzz_bytes(&input, 8);
		args[i + 1] = any_v();
	}
}

static bool is_code(int64_t code)
{
	switch (code) {
	case GLN_H_SUCCESS:
	case GLN_H_BUSY:
	case GLN_H_CLOSED:
	case GLN_H_HARDWARE:
	case GLN_H_FUNCTION:
	case GLN_H_PARAMETER:
	case GLN_H_PTEG_FULL:
	case GLN_H_NOT_FOUND:
	case GLN_H_NO_MEM:
	case GLN_H_RESOURCE:
	case GLN_H_LONG_BUSY_ORDER_100_MSEC:
		return true;
	default:
		return false;
	}
}

/* What the guest is shown of V and R. */
static void check_shown(uint64_t v, uint64_t r)
{
	FUZZ_CHECK(!(v & (GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT)),
		   "the hypervisor's bits are shown");
	FUZZ_CHECK(v & GLN_HPTE_V_VALID || (!v && !r), "half an entry");
	FUZZ_CHECK(!(v >> 63), "a reserved segment size was let in");
	FUZZ_CHECK(!(r & UINT64_C(1) << 62), "a reserved bit is shown");
}

static void check_answer(const struct known_call *call, const uint64_t *args,
			 const uint64_t *rets, int64_t code)
{
	const bool is_told =
		code == GLN_H_SUCCESS || call->nr == GLN_H_BULK_REMOVE;
	const unsigned int nr_rets =
		!is_told ? 0
		: call->nr == GLN_H_READ && !(args[0] & GLN_H_READ_4)
			? 2
			: call->nr_rets;

	FUZZ_CHECK(is_code(code), "a code that there is not");
	FUZZ_CHECK(!memcmp(rets + nr_rets, args + nr_rets,
			   (GLN_HCALL_ARGS - nr_rets) * sizeof(*args)),
		   "a register that the call does not return");
	if (code)
		return;
	if (call->nr == GLN_H_READ)
		for (unsigned int i = 0; i < nr_rets; i += 2)
			check_shown(rets[i], rets[i + 1]);
	if (call->nr == GLN_H_REMOVE)
		check_shown(rets[0], rets[1]);
	if (call->nr == GLN_H_ENTER)
		FUZZ_CHECK(rets[0] >> 3 == args[1] >> 3, "another group");
}

static void hcall(void)
{
	const struct known_call *const call =
		&known[fuzz_below(&input, sizeof(known) / sizeof(known[0]))];
	uint64_t args[GLN_HCALL_ARGS], rets[GLN_HCALL_ARGS];

	fill_args(call->nr, args);
	memcpy(rets, args, sizeof(rets));
	if (fuzz_bytes(&input, 1) & 1) {
		check_answer(call, args, rets,
			     gln_hcall(vcpu, call->nr, rets, rets));
	} else {
		check_answer(call, args, rets,
			     gln_hcall(vcpu, call->nr, args, rets));
	}
}

/* One that the table has nothing to do with. */
static void hcall_unknown(void)
{
	uint64_t nr = fuzz_bytes(&input, 8) | 1; /* PAPR's are even */
	uint64_t gprs[GLN_HCALL_ARGS];

	fill_args(nr, gprs);
	FUZZ_CHECK(gln_hcall(vcpu, nr, gprs, gprs) == GLN_H_FUNCTION,
		   "a call that there is not");
}

/* Is it one that there can be? */
static bool is_fault(const struct gln_hpt_fault *fault)
{
	return fault->flags <= GLN_HPT_PROBLEM && fault->access &&
	       fault->access <= GLN_ACCESS_EXEC &&
	       !(fault->access & (fault->access - 1)) &&
	       gln_slb_page_shift(fault->slb);
}

static void fault(void)
{
	struct gln_hpt_fault fault = {
		.ea = any_ea(),
		.slb = any_slb() | (fuzz_bytes(&input, 1) & 3) << 10,
		.amr = fuzz_bytes(&input, 1) % 8 ? 0 : fuzz_bytes(&input, 8),
		.flags = (uint32_t)fuzz_bytes(&input, 1) & 1,
		.access = 1U << fuzz_below(&input, 3),
	};
	bool is_valid;
	int said;

	if (fuzz_bytes(&input, 1) % 16 == 0)
		fault.flags = (uint32_t)fuzz_bytes(&input, 4);
	if (fuzz_bytes(&input, 1) % 16 == 0)
		fault.access = (uint32_t)fuzz_bytes(&input, 4);
	is_valid = is_fault(&fault);
	said = gln_hpt_fault(vcpu, &fault);
	FUZZ_CHECK(is_valid || said == -EINVAL, "a fault of nothing");
	FUZZ_CHECK(said == -EINVAL || said == -EFAULT ||
			   (said >= 0 && said <= GLN_FAULT_REFLECT &&
			    said != GLN_FAULT_RING_FULL),
		   "what a fault says");
	FUZZ_CHECK(said != GLN_FAULT_REFLECT || fault.dsisr,
		   "the guest is not told why");
}

/* Tables. */

static void enter(void)
{
	fail_in = 0;
	FUZZ_CHECK(!gln_vcpu_enter(vcpu), "a vCPU enters");
}

static unsigned int any_order(void)
{
	return fuzz_bytes(&input, 1) % 4
		       ? GLN_HPT_ORDER_MIN + (unsigned int)fuzz_below(
						     &input, MAX_ORDER - 17)
		       : (unsigned int)fuzz_bytes(&input, 4);
}

/* Memory for the large ones may be there, and is not for this. */
static bool is_too_large(unsigned int order)
{
	return order > MAX_ORDER && order <= GLN_HPT_ORDER_MAX;
}

static void clear(void)
{
	uint32_t order = any_order();
	const uint32_t asked = order;
	int err;

	if (is_too_large(order))
		return;
	FUZZ_CHECK(gln_hpt_allocate(vm, &order) == -EBUSY || order != asked ||
			   order < GLN_HPT_ORDER_MIN ||
			   order > GLN_HPT_ORDER_MAX,
		   "a table is cleared under a vCPU");
	gln_vcpu_leave(vcpu);
	err = gln_hpt_allocate(vm, &order);
	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOMEM, "a new table");
	FUZZ_CHECK((err == -EINVAL) == (order < GLN_HPT_ORDER_MIN ||
					order > GLN_HPT_ORDER_MAX),
		   "an order that there is not");
	FUZZ_CHECK(order == asked, "another order than was asked for");
	enter();
}

static void resize(void)
{
	uint64_t gprs[GLN_HCALL_ARGS] = {
		fuzz_bytes(&input, 1) % 16 == 0 ? fuzz_bytes(&input, 8) : 0,
		fuzz_bytes(&input, 1) % 16 ? any_order()
					   : fuzz_bytes(&input, 8),
	};
	int err;

	if (gprs[1] <= GLN_HPT_ORDER_MAX && is_too_large((unsigned int)gprs[1]))
		return;
	switch (fuzz_bytes(&input, 1) % 4) {
	case 0:
		resize_order = gprs[1];
		FUZZ_CHECK(is_code(gln_hcall(vcpu, GLN_H_RESIZE_HPT_PREPARE,
					     gprs, gprs)),
			   "H_RESIZE_HPT_PREPARE");
		break;
	case 1:
		if (fuzz_bytes(&input, 1) % 4) {
			gprs[1] = resize_order;
			while (gln_hpt_resize_work(vm, 1 << 12) > 0)
				;
		}
		FUZZ_CHECK(is_code(gln_hcall(vcpu, GLN_H_RESIZE_HPT_COMMIT,
					     gprs, gprs)),
			   "H_RESIZE_HPT_COMMIT");
		gln_vcpu_leave(vcpu);
		enter();
		break;
	case 2:
		err = gln_hpt_resize_work(vm, fuzz_near(&input, 1 << 11));
		FUZZ_CHECK(err == 0 || err == 1, "work for a resize");
		break;
	default:
		err = gln_hpt_resize_prepare(vm, any_order() % 24,
					     (uint32_t)fuzz_bytes(&input, 1) %
						     3);
		FUZZ_CHECK(!err || err == GLN_HPT_RESIZE_WAIT_MS ||
				   err == -EINVAL || err == -ENOMEM,
			   "a resize");
	}
}

/* Streams. */

static void close_stream(void)
{
	if (stream)
		gln_hpt_stream_close(stream);
	stream = NULL;
}

static void open_stream(void)
{
	const struct gln_hpt_stream_params params = {
		.struct_bytes = sizeof(params),
		.flags = (uint32_t)fuzz_bytes(&input, 1) % 5,
		.endian = (enum gln_hpt_endian)(fuzz_bytes(&input, 1) % 4),
		.start = fuzz_near(&input, 1 << 14),
	};
	int err;

	close_stream();
	err = gln_hpt_stream_open(vm, &params, &stream);
	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOMEM || err == -ENOENT,
		   "a stream");
	stream_writes = params.flags & GLN_HPT_STREAM_WRITE;
}

/* A buffer of just the size: one byte more is found. */
static void read_stream(void)
{
	const size_t bytes = (size_t)fuzz_below(&input, BUFFER_BYTES);
	void *const buffer = malloc(bytes);
	int64_t nr;

	FUZZ_CHECK(buffer || !bytes, "memory for a buffer");
	nr = gln_hpt_stream_read(stream, buffer, bytes);
	FUZZ_CHECK(nr == -EINVAL || (nr >= 0 && (uint64_t)nr <= bytes),
		   "so much was read");
	free(buffer);
}

static void write_stream(void)
{
	const size_t bytes = (size_t)fuzz_below(&input, 200);
	uint8_t *const buffer = malloc(bytes);
	int64_t nr;

	FUZZ_CHECK(buffer || !bytes, "memory for a buffer");
	for (size_t i = 0; i < bytes; i++)
		buffer[i] = (uint8_t)fuzz_bytes(&input, 1);
	/* A header that makes sense, and an entry, more often than chance. */
	if (bytes >= 24 && fuzz_bytes(&input, 1) & 1) {
		const struct gln_hpt_record record = {
			.index = (uint32_t)any_index(),
			.nr_valid = (uint16_t)fuzz_below(&input, 3),
			.nr_invalid = (uint16_t)fuzz_below(&input, 9),
		};

		memcpy(buffer, &record, sizeof(record));
		buffer[15] |= 1;
		buffer[8] &= 0x7f;
	}
	gln_vcpu_leave(vcpu);
	nr = gln_hpt_stream_write(stream, buffer, bytes);
	FUZZ_CHECK(nr == -EINVAL || nr == -EIO || nr == -ENOMEM ||
			   (nr >= 0 && (uint64_t)nr <= bytes),
		   "so much was written");
	enter();
	free(buffer);
}

static void use_stream(void)
{
	if (!stream || fuzz_bytes(&input, 1) % 16 == 0)
		open_stream();
	else if (stream_writes)
		write_stream();
	else
		read_stream();
}

/* Slots and their logs. */

static void add_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const uint64_t align = fuzz_bytes(&input, 1) & 1 ? 4096 : 1;
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = id,
		.base = fuzz_near(&input, UINT64_C(1) << 36) / align * align,
		.nr_pages = (1 + fuzz_below(&input, MAX_PAGES) / align) * align,
		.flags = (uint32_t)(fuzz_bytes(&input, 1) % 8 == 0),
	};
	const int err = gln_slot_add(vm, &params);

	FUZZ_CHECK(!err || err == -EINVAL || err == -EEXIST || err == -ENOMEM ||
			   err == -ERANGE,
		   "adding a slot");
	if (!err)
		slots[id] = (struct expected){
			.exists = true,
			.base = params.base,
			.nr_pages = params.nr_pages,
		};
}

static void remove_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const int err = gln_slot_remove(vm, id);

	FUZZ_CHECK(err == (slots[id].exists ? 0 : -ENOENT), "removing a slot");
	slots[id].exists = false;
}

static void move_slot(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	const gln_gfn base = any_gfn();
	const int err = gln_slot_move(vm, id, base);

	FUZZ_CHECK(!err || err == -EINVAL || err == -ENOENT || err == -EEXIST ||
			   err == -ENOMEM || err == -ERANGE || err == -EIO,
		   "moving a slot");
	if (!err)
		slots[id].base = base;
	if (err == -EIO)
		slots[id].exists = false;
}

static void get_log(uint32_t id)
{
	const struct expected *const slot = &slots[id];
	const uint64_t nr_words = (slot->nr_pages + 63) / 64;
	uint64_t *const bitmap = calloc(nr_words, 8);

	FUZZ_CHECK(bitmap, "memory for a bitmap");
	FUZZ_CHECK(!gln_get_dirty_log(vm, id, bitmap), "getting a log");
	FUZZ_CHECK(!(slot->nr_pages % 64) ||
			   !(bitmap[nr_words - 1] >> slot->nr_pages % 64),
		   "bits past the end");
	free(bitmap);
}

static void use_log(void)
{
	const uint32_t id = (uint32_t)fuzz_below(&input, FUZZ_SLOTS);
	struct expected *const slot = &slots[id];
	int err;

	if (!slot->exists)
		return;
	if (!slot->is_logged) {
		err = gln_log_enable(vm, id, 0);
		FUZZ_CHECK(!err || err == -ENOMEM, "switching a log on");
		slot->is_logged = !err;
	} else if (fuzz_bytes(&input, 1) % 8) {
		get_log(id);
	} else {
		FUZZ_CHECK(!gln_log_disable(vm, id), "switching a log off");
		slot->is_logged = false;
	}
}

/* The host. */

static struct gln_range any_range(void)
{
	return (struct gln_range){any_gfn(), fuzz_near(&input, 4096)};
}

static void unmap(void)
{
	FUZZ_CHECK(!gln_mmu_unmap(vm, any_range()), "an unmap");
}

static void age(void)
{
	const struct gln_range range = any_range();
	uint64_t nr_young = 0;

	FUZZ_CHECK(!gln_mmu_age(vm, range, &nr_young), "aging");
	FUZZ_CHECK(nr_young <= range.count, "more young pages than pages");
}

static void set_host(void)
{
	if (fuzz_bytes(&input, 1) & 1) {
		fail_in = fuzz_bytes(&input, 1);
		return;
	}
	host_seed = fuzz_bytes(&input, 8);
	FUZZ_CHECK(!gln_mmu_unmap(vm, (struct gln_range){0, UINT64_MAX}),
		   "an unmap of everything");
}

static void check(void)
{
	const char *why = "no reason";

	gln_vcpu_leave(vcpu);
	if (gln_hpt_check(vm, &why))
		fuzz_found(why, "gln_hpt_check()", __FILE__, __LINE__);
	enter();
}

static void step(void)
{
	static void (*const steps[])(void) = {
		hcall,	     hcall,	 hcall,		hcall,	  hcall,
		hcall,	     hcall,	 hcall,		hcall,	  hcall,
		hcall,	     hcall,	 hcall,		fault,	  fault,
		fault,	     fault,	 add_slot,	unmap,	  age,
		use_log,     use_log,	 set_host,	add_slot, move_slot,
		remove_slot, use_stream, resize,	resize,	  use_stream,
		use_stream,  clear,	 hcall_unknown,
	};

	steps[fuzz_below(&input, sizeof(steps) / sizeof(steps[0]))]();
}

static void open_vm(void)
{
	const struct gln_mmu_host host = {
		.memory_at = memory_at,
		.translate = translate,
		.kick = kick,
	};
	const struct gln_hpt_host_params shared = {
		.struct_bytes = sizeof(shared),
		.nr_lpids = 2,
		.nr_tables = 1,
		.order = MAX_ORDER,
		.allocator = &allocator,
	};
	struct gln_hpt_params params = {
		.struct_bytes = sizeof(params),
		.isa = (enum gln_hpt_isa)(fuzz_bytes(&input, 1) & 1),
		.default_order = GLN_HPT_ORDER_MIN,
		.host = &host,
		.allocator = &allocator,
		.tlbie = tlbie,
		.flush_all = flush_all,
	};
	struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.allocator = &allocator,
	};

	page_shift = fuzz_bytes(&input, 1) & 1 ? 16 : SHIFT;
	FUZZ_CHECK(!gln_hpt_host_create(&shared, &hpt_host), "a host");
	params.hpt_host = hpt_host;
	FUZZ_CHECK(!gln_hpt_create(&params, &backend), "a backend");
	vm_params.page_shift = page_shift;
	vm_params.backend = backend;
	FUZZ_CHECK(!gln_vm_create(&vm_params, &vm), "a VM");
	FUZZ_CHECK(!gln_vcpu_register(vm, 1, &vcpu), "a vCPU");
}

static void close_vm(void)
{
	close_stream();
	gln_vcpu_leave(vcpu);
	gln_vcpu_unregister(vcpu);
	FUZZ_CHECK(!gln_vm_destroy(vm), "nobody uses the VM");
	gln_hpt_destroy(backend);
	gln_hpt_host_destroy(hpt_host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct fuzz_input){data, size};
	memset(slots, 0, sizeof(slots));
	fail_in = 0;
	resize_order = 0;
	host_seed = fuzz_bytes(&input, 4);
	open_vm();
	enter();
	for (unsigned int i = 1; input.left && i < MAX_STEPS; i++) {
		step();
		if (i % CHECK_EVERY == 0)
			check();
	}
	fail_in = 0;
	check();
	close_vm();

	return 0;
}
