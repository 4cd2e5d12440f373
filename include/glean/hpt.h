/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt.h - the book3s_hv backend: the hashed page table of a POWER guest.
 *
 * The guest asks for entries by hypercall (PAPR 14.5.4); the library keeps the
 * table as hardware reads it, big-endian and naturally aligned, and beside it
 * what the guest believes to be in it. An entry's real page is the host's and
 * may go away: then the entry is absent, and a fault brings it back. The
 * embedder runs the CPU and executes tlbie. One backend serves one VM.
 *
 *	gln_vcpu_enter(vcpu);		a table is there, and stays
 *	do {
 *		if (!gln_vcpu_may_run(vcpu))	last before entry
 *			leave, and enter again;
 *		run the guest until it exits;
 *		a hypercall:			gln_hcall(vcpu, ...)
 *		a storage fault of the host:	gln_hpt_fault(vcpu, ...)
 *	} while (...);
 *	gln_vcpu_leave(vcpu);
 *
 *   G1   What a CPU notes in C is in the log before the entry that held it is
 *	  gone, and a harvest reads it after the invalidation. A write that the
 *	  CPU has not noted yet is a later harvest's; when no vCPU is between
 *	  enter and leave, there are none.
 *   G6   Hypercalls and faults allocate nothing.
 *   G10  A table is validated and allocated first and published last.
 *   G11  No argument of a hypercall, no entry of a stream does harm.
 *
 *   may run together	hcall	fault	harvest	unmap, age	allocate, commit
 *     hcall, fault	yes	yes	yes	retry		see below
 *     harvest			yes	by slot	yes		in turn
 *     allocate, resize, stream write, set-up: in turn, and vCPUs are outside:
 *     -EBUSY, or they are kicked out and wait
 *
 * With this backend gln_vcpu_fault() is -ENOTSUP, gln_vcpu_topup() does not do
 * anything, and gln_mmu_split() has nothing to split.
 */
#ifndef GLN_HPT_H
#define GLN_HPT_H

#include <glean/hpte.h>
#include <glean/mmu.h>

GLN_BEGIN_DECLS

/** enum gln_hpt_isa - the format of entries in memory. */
enum gln_hpt_isa {
	GLN_HPT_ISA_2_07 = 0, /* POWER7 and 8: B in V */
	GLN_HPT_ISA_3_0 = 1,  /* POWER9 and later: B in bits 59:58 of R */
};

/** struct gln_hpt_tlbie - an invalidation that the embedder executes. */
struct gln_hpt_tlbie {
	uint64_t rb;   /* operand RB of tlbie (ISA 2.07 book III-S 5.9.3.3) */
	uint32_t lpid; /* and of RS */
};

struct gln_hpt_host;

/**
 * struct gln_hpt_host_params - what the VMs of a host share.
 *
 * @struct_bytes: sizeof(struct gln_hpt_host_params).
 * @nr_lpids:	logical partition ids, 0 (the host's own) among them; 0 means
 *		1024, 10 bits as POWER7 has.
 * @nr_tables:	tables allocated beforehand, for VMs that name no order.
 * @order:	of each; 0 means 24.
 * @allocator:	of all of this, with the alignment that struct gln_hpt_params
 *		asks for; NULL is the platform's.
 */
struct gln_hpt_host_params {
	size_t struct_bytes;
	uint32_t nr_lpids;
	uint32_t nr_tables;
	unsigned int order;
	const struct gln_allocator *allocator;
};

/**
 * gln_hpt_host_create() - make it.
 *
 * Context: any thread; allocates.
 * Return: 0; -EINVAL for a wrong @struct_bytes, order, or fewer than 2 or more
 * than 2^32 - 1 ids; -ENOMEM.
 */
GLN_PUBLIC int gln_hpt_host_create(const struct gln_hpt_host_params *params,
				   struct gln_hpt_host **host);

/** gln_hpt_host_destroy() - free it. Backends made with it must be gone. */
GLN_PUBLIC void gln_hpt_host_destroy(struct gln_hpt_host *host);

/** Map guest address 0 on for real mode at the first entry (VRMA). */
#define GLN_HPT_VRMA (1U << 0)

/**
 * struct gln_hpt_params - how to make the backend.
 *
 * @struct_bytes: sizeof(struct gln_hpt_params).
 * @isa:	the entries' format.
 * @flags:	GLN_HPT_VRMA.
 * @default_order: of the table that the first entry allocates if nobody asked
 *		for another; 0 means 24. Less if there is no memory for it.
 * @max_order:	of a table that the guest may ask for by H_RESIZE_HPT_PREPARE:
 *it costs the host memory; 0 means 46.
 * @hpt_host:	NULL: no preallocated tables, and LPID 1.
 * @host:	the machine; copied. NULL: physical is virtual, no kick.
 * @allocator:	memory for tables, reverse maps and the rest; NULL is the
 *		platform's. It aligns powers of two of 256 KiB and more to
 *		their size, however large. Must outlive the backend. One thread
 *		at a time.
 * @tlbie:	execute @nr invalidations; on return no CPU uses a translation
 *		that they name, and what CPUs had to note of R and C is in the
 *		table. May be called with entries locked: must not sleep.
 * @flush_all:	the same for all translations of partition @lpid: CPUs that are
 *		in the guest, and every other before it enters again (flush
 *		first, then forget that it was due: H-70). On return all that
 *		they had to note is in the table.
 * @set_table:	NULL, or called when the table changes, vCPUs outside: load the
 *		partition's SDR1 (ISA 2.07) or table entry (3.0) with @word.
 * @ctx:	of these three.
 */
struct gln_hpt_params {
	size_t struct_bytes;
	enum gln_hpt_isa isa;
	uint32_t flags;
	unsigned int default_order;
	unsigned int max_order;
	struct gln_hpt_host *hpt_host;
	const struct gln_mmu_host *host;
	const struct gln_allocator *allocator;
	void (*tlbie)(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr);
	void (*flush_all)(void *ctx, uint32_t lpid);
	void (*set_table)(void *ctx, uint64_t word);
	void *ctx;
};

/**
 * gln_hpt_create() - make the backend, without a table.
 *
 * Context: any thread; allocates.
 * Return: 0; -EINVAL for a wrong @struct_bytes, format, flag or order, or
 * without @tlbie or @flush_all; -ENOMEM; -ENOSPC if there is no LPID left.
 */
GLN_PUBLIC int gln_hpt_create(const struct gln_hpt_params *params,
			      struct gln_backend **backend);

/** gln_hpt_destroy() - free it, its table and its LPID. Its VM must be gone. */
GLN_PUBLIC void gln_hpt_destroy(struct gln_backend *backend);

/** gln_hpt_lpid() - the partition's id. Any context. */
GLN_PUBLIC uint32_t gln_hpt_lpid(const struct gln_backend *backend);

/**
 * gln_hpt_table_word() - SDR1, or the first doubleword of the partition table's
 * entry: the table's real address and its order less 18. 0 without a table, or
 * while it is being changed.
 *
 * Context: any; it changes when @set_table is called.
 */
GLN_PUBLIC uint64_t gln_hpt_table_word(const struct gln_backend *backend);

/**
 * gln_hpt_allocate() - give the guest a table, or clear the one it has.
 * @order:	in: log2 of its bytes, 18 to 46. out: the order obtained.
 *
 * KVM_PPC_ALLOCATE_HTAB. A table of this order that is there already is cleared
 * and keeps its place; another is replaced. Either way the reverse map is
 * reset, every CPU flushes, and the next entry makes the VRMA again. What was
 * changed and not harvested is in the log first.
 *
 * Context: any thread but a vCPU's between enter and leave; may allocate and
 * sleep.
 * Return: 0; -EFAULT if @order cannot be read or written; -EINVAL for an order
 * out of bounds; -EBUSY while a vCPU is between enter and leave; -ENOTTY if the
 * backend has no hash table; -ENOMEM; -ERANGE if a slot lies beyond what
 * a table of this order can keep track of, or memory is not aligned to its
 * size. On failure all is as it was.
 */
GLN_PUBLIC int gln_hpt_allocate(struct gln_vm *vm, uint32_t *order);

/**
 * gln_vcpu_enter() - the vCPU is about to run the guest.
 *
 * Makes the default table if there is none, and the VRMA if it is due. Waits
 * for who is changing the table. With other backends it does nothing.
 *
 * Context: the vCPU's thread, not entered yet; may allocate and sleep.
 * Return: 0; -ENOMEM without memory for even the smallest table; -EINVAL if a
 * VRMA is due and no slot holds guest address 0. On failure it has not entered.
 */
GLN_PUBLIC int gln_vcpu_enter(struct gln_vcpu *vcpu);

/**
 * gln_vcpu_may_run() - the last test before the CPU enters the guest, when it
 * takes no more interrupts: false if it must leave and enter again, because the
 * table is about to change.
 *
 * Context: the vCPU's thread, between enter and leave; any lock held.
 */
GLN_PUBLIC bool gln_vcpu_may_run(struct gln_vcpu *vcpu);

/** gln_vcpu_leave() - the vCPU stays outside from now on. Its thread. */
GLN_PUBLIC void gln_vcpu_leave(struct gln_vcpu *vcpu);

/* Hypercalls, by PAPR's numbers. */
#define GLN_H_REMOVE		 0x04U
#define GLN_H_ENTER		 0x08U
#define GLN_H_READ		 0x0cU
#define GLN_H_CLEAR_MOD		 0x10U
#define GLN_H_CLEAR_REF		 0x14U
#define GLN_H_PROTECT		 0x18U
#define GLN_H_PAGE_INIT		 0x2cU
#define GLN_H_BULK_REMOVE	 0x124U
#define GLN_H_RESIZE_HPT_PREPARE 0x36cU
#define GLN_H_RESIZE_HPT_COMMIT	 0x370U

/* What they return. */
#define GLN_H_SUCCESS		       0
#define GLN_H_BUSY		       1
#define GLN_H_CLOSED		       2
#define GLN_H_HARDWARE		       (-1)
#define GLN_H_FUNCTION		       (-2)
#define GLN_H_PRIVILEGE		       (-3)
#define GLN_H_PARAMETER		       (-4)
#define GLN_H_PTEG_FULL		       (-6)
#define GLN_H_NOT_FOUND		       (-7)
#define GLN_H_NO_MEM		       (-9)
#define GLN_H_AUTHORITY		       (-10)
#define GLN_H_PERMISSION	       (-11)
#define GLN_H_RESOURCE		       (-16)
#define GLN_H_LONG_BUSY_ORDER_100_MSEC 9902

/* Flags: PAPR numbers bits from the left; n is 1 << (63 - n). */
#define GLN_H_LARGE_PAGE	 (UINT64_C(1) << 47) /* 16 */
#define GLN_H_EXACT		 (UINT64_C(1) << 39) /* 24 */
#define GLN_H_R_XLATE		 (UINT64_C(1) << 38) /* 25 */
#define GLN_H_READ_4		 (UINT64_C(1) << 37) /* 26 */
#define GLN_H_PAGE_STATE_CHANGE	 (UINT64_C(1) << 35) /* 28 */
#define GLN_H_PAGE_UNUSED	 (UINT64_C(6) << 33) /* 29 and 30 */
#define GLN_H_PAGE_LOANED	 (UINT64_C(1) << 32) /* 31 */
#define GLN_H_AVPN		 (UINT64_C(1) << 31) /* 32 */
#define GLN_H_ANDCOND		 (UINT64_C(1) << 30) /* 33 */
#define GLN_H_LOCAL		 (UINT64_C(1) << 28) /* 35 */
#define GLN_H_ICACHE_INVALIDATE	 (UINT64_C(1) << 23) /* 40 */
#define GLN_H_ICACHE_SYNCHRONIZE (UINT64_C(1) << 22) /* 41 */
#define GLN_H_COALESCE_CAND	 (UINT64_C(1) << 21) /* 42 */
#define GLN_H_ZERO_PAGE		 (UINT64_C(1) << 15) /* 48 */
#define GLN_H_COPY_PAGE		 (UINT64_C(1) << 14) /* 49 */

/** GPRs 4 to 12: what a hypercall takes and returns. */
#define GLN_HCALL_ARGS 9U

/**
 * gln_hcall() - serve a hypercall of the guest.
 * @nr:		its number, GPR 3.
 * @args:	GPRs 4 to 12.
 * @rets:	the same on return; only what the call returns is written. It
 *		may be @args.
 *
 * H_ENTER flags index V R, returns index; H_REMOVE flags index avpn, returns V
 * R; H_BULK_REMOVE four pairs; H_PROTECT flags index avpn; H_READ flags index,
 * returns one or four V R; H_CLEAR_REF and H_CLEAR_MOD flags index, return R
 * as it was; H_PAGE_INIT flags destination source; H_RESIZE_HPT_PREPARE and
 * COMMIT flags order.
 *
 * Context: the vCPU's thread, between enter and leave; allocates nothing. But
 * COMMIT sleeps, and waits until the other vCPUs are out; if the vCPU cannot
 * enter again after it, gln_vcpu_may_run() is false, and the next
 * gln_vcpu_enter() says why.
 * Return: a GLN_H_* code, GLN_H_FUNCTION for a number that is not here or a
 * backend without a hash table.
 */
GLN_PUBLIC int64_t gln_hcall(struct gln_vcpu *vcpu, uint64_t nr,
			     const uint64_t *args, uint64_t *rets);

/** MSR[PR]: the access was made in problem state. */
#define GLN_HPT_PROBLEM (1U << 0)

/* DSISR, and SRR1 for a fetch, of an interrupt that the guest shall have. */
#define GLN_DSISR_NOHPTE    UINT64_C(0x40000000)
#define GLN_DSISR_NOEXEC    UINT64_C(0x10000000) /* SRR1 only */
#define GLN_DSISR_PROTFAULT UINT64_C(0x08000000)
#define GLN_DSISR_ISSTORE   UINT64_C(0x02000000)
#define GLN_DSISR_KEYFAULT  UINT64_C(0x00200000)

/**
 * struct gln_hpt_fault - a hypervisor storage interrupt of the guest.
 *
 * @ea:		effective address (HDAR).
 * @slb:	second doubleword of the SLB entry that translates it.
 * @amr:	authority mask register.
 * @flags:	GLN_HPT_PROBLEM.
 * @access:	one of GLN_ACCESS_*.
 * @gpa:	out, with MMIO and READ_ONLY: the guest's real address.
 * @dsisr:	out, with REFLECT: what the guest is to be told.
 */
struct gln_hpt_fault {
	uint64_t ea;
	uint64_t slb;
	uint64_t amr;
	uint32_t flags;
	uint32_t access;
	uint64_t gpa;
	uint64_t dsisr;
};

/** The guest's own doing, besides enum gln_fault: give it a storage interrupt.
 */
#define GLN_FAULT_REFLECT 7

/**
 * gln_hpt_fault() - the CPU found no entry that allows an access.
 *
 * Context: the vCPU's thread, between enter and leave; any lock held; allocates
 * nothing.
 * Return: an enum gln_fault, or GLN_FAULT_REFLECT; -EINVAL for an access, flag
 * or page size of @slb that there is not; -EFAULT if nothing backs the frame;
 * -ENOTTY if the backend has no hash table.
 */
GLN_PUBLIC int gln_hpt_fault(struct gln_vcpu *vcpu,
			     struct gln_hpt_fault *fault);

/**
 * gln_hpt_mmio_generation() - changes whenever a translation to an address
 * without memory may have gone: what was remembered of one before is void. Read
 * it before the fault whose answer is to be remembered.
 *
 * Context: any thread. 0 if the backend has no hash table.
 */
GLN_PUBLIC uint64_t gln_hpt_mmio_generation(struct gln_vm *vm);

/** Copy bolted entries ahead of the commit, in steps: its pause is short. */
#define GLN_HPT_RESIZE_INCREMENTAL (1U << 0)

/** How long a guest waits before it asks again, in milliseconds. */
#define GLN_HPT_RESIZE_WAIT_MS 100

/**
 * gln_hpt_resize_prepare() - get a table of another order ready.
 * @order:	18 to 46; 0 cancels what is under way.
 * @flags:	GLN_HPT_RESIZE_*.
 *
 * What takes time is left to gln_hpt_resize_work(). Another order than the one
 * under way cancels that and begins anew.
 *
 * Context: any thread; may sleep. H_RESIZE_HPT_PREPARE does the same, with
 * the @flags of the last call; it may not ask for more than @max_order.
 * Return: 0 if it is ready, or canceled; GLN_HPT_RESIZE_WAIT_MS while it is
 * not; -EINVAL for an order out of bounds or a flag; -ENOMEM once, if the work
 * failed for want of memory; -ENOTTY; -ERANGE as gln_hpt_allocate().
 */
GLN_PUBLIC int gln_hpt_resize_prepare(struct gln_vm *vm, unsigned int order,
				      uint32_t flags);

/**
 * gln_hpt_resize_work() - do a bounded part of it: allocate the table (all of
 * it in one call), copy ahead of a commit, clear up after one.
 * @max_groups:	look at no more groups of the table than this.
 *
 * Context: any thread, one at a time does the work; may allocate and sleep.
 * vCPUs run.
 * Return: 1 if there is more to do, 0 if there is not, -ENOTTY.
 */
GLN_PUBLIC int gln_hpt_resize_work(struct gln_vm *vm, uint64_t max_groups);

/**
 * gln_hpt_resize_commit() - change to the table that was prepared.
 *
 * vCPUs are kicked out and wait meanwhile. Bolted entries move, absent; the
 * guest enters the others again. The prepared table is used up whatever comes.
 *
 * Context: any thread but a vCPU's between enter and leave; sleeps.
 * Return: 0; -EINVAL; -ENXIO if none of @order is prepared; -EBUSY if it is not
 * ready, or a vCPU is inside and there is no kick; -ENOSPC if two bolted
 * entries want the same place, -EIO if an entry has no page size or there is
 * no table, -ERANGE as gln_hpt_allocate(), or what the preparation failed with:
 * the old table stays; -ENOTTY.
 */
GLN_PUBLIC int gln_hpt_resize_commit(struct gln_vm *vm, unsigned int order);

/** Leave out entries that are not bolted. */
#define GLN_HPT_STREAM_BOLTED (1U << 0)
/** To write entries, not to read them. */
#define GLN_HPT_STREAM_WRITE  (1U << 1)

/** enum gln_hpt_endian - byte order of a record's header. Entries are big. */
enum gln_hpt_endian {
	GLN_HPT_ENDIAN_HOST = 0, /* as Linux's KVM_PPC_GET_HTAB_FD */
	GLN_HPT_ENDIAN_LITTLE = 1,
	GLN_HPT_ENDIAN_BIG = 2,
};

/**
 * struct gln_hpt_stream_params - how to open a stream.
 *
 * @struct_bytes: sizeof(struct gln_hpt_stream_params).
 * @flags:	GLN_HPT_STREAM_*.
 * @endian:	of headers.
 * @start:	index of the first entry read; past the end means 0.
 */
struct gln_hpt_stream_params {
	size_t struct_bytes;
	uint32_t flags;
	enum gln_hpt_endian endian;
	uint64_t start;
};

/**
 * struct gln_hpt_record - what a header says: @nr_valid entries of 16 bytes
 * follow, V and R big-endian in the old format, from @index on; then come
 * @nr_invalid entries that are empty and not in the stream.
 */
struct gln_hpt_record {
	uint32_t index;
	uint16_t nr_valid;
	uint16_t nr_invalid;
};

struct gln_hpt_stream;

/**
 * gln_hpt_stream_open() - begin to read or write the table.
 *
 * The first pass reads everything; later passes what changed since it was read,
 * by this stream or another: one reader at a time gets all.
 *
 * Context: any thread; may allocate and sleep.
 * Return: 0; -EINVAL for a wrong @struct_bytes, flags or order of bytes;
 * -ENOENT if there is no table; -EFBIG if it has more than 2^32 entries;
 * -ENOTTY; -ENOMEM.
 */
GLN_PUBLIC int gln_hpt_stream_open(struct gln_vm *vm,
				   const struct gln_hpt_stream_params *params,
				   struct gln_hpt_stream **stream);

/** gln_hpt_stream_close() - free it. Before its VM goes. */
GLN_PUBLIC void gln_hpt_stream_close(struct gln_hpt_stream *stream);

/**
 * gln_hpt_stream_read() - fill @buffer with records.
 *
 * Stops at the table's end, so that a pass ends with a short count or 0: with
 * 0 when the pass, from its beginning, had nothing to tell. A table that was
 * reset or replaced meanwhile begins again, as a first pass.
 *
 * Context: one thread a stream; vCPUs may run.
 * Return: bytes; -EINVAL if it was opened to write, or @bytes has no room for
 * a header and an entry; -EFBIG if the table has become too large.
 */
GLN_PUBLIC int64_t gln_hpt_stream_read(struct gln_hpt_stream *stream,
				       void *buffer, size_t bytes);

/**
 * gln_hpt_stream_write() - put records into the table: any number of them.
 *
 * A record replaces the entries it names and removes those it counts as empty.
 * A record that is cut off at the end is left, and not counted.
 *
 * Context: one thread a stream; sleeps.
 * Return: bytes used; if none: -EINVAL for one opened to read, entries past the
 * table, an entry that is not valid or has no page size; -EBUSY while a vCPU is
 * between enter and leave; -EIO if an entry could not be entered: what comes
 * before it in its record is in, and its place is empty. Records before the bad
 * one are in, and the count says how far.
 */
GLN_PUBLIC int64_t gln_hpt_stream_write(struct gln_hpt_stream *stream,
					const void *buffer, size_t bytes);

/**
 * struct gln_hpt_stats - figures of the table.
 *
 * @struct_bytes: set by the caller; members beyond it are not written.
 * @order:	0 without a table.
 * @table_bytes, @revmap_bytes: of the table and its reverse map.
 * @rmap_bytes:	of the heads for guest pages, and what goes with them.
 * @enters, @full, @secondaries: H_ENTERs that found a place; that found none;
 *		that were made in a secondary group.
 * @removes:	entries removed.
 * @faults:	absent entries brought back, or given a right.
 * @tlbies:	invalidations asked for. @flushes: of everything.
 * @harvest_walked: pages whose chain a harvest walked. @harvest_dirty: entries
 *		in which it found C.
 * @resizes:	commits that changed the table.
 * @resize_pause_ns: the longest time that a commit kept vCPUs out.
 * @resize_step_ns: the longest call of gln_hpt_resize_work(), but for those
 *that allocate or free a table.
 */
struct gln_hpt_stats {
	size_t struct_bytes;
	uint64_t order;
	uint64_t table_bytes;
	uint64_t revmap_bytes;
	uint64_t rmap_bytes;
	uint64_t enters;
	uint64_t full;
	uint64_t secondaries;
	uint64_t removes;
	uint64_t faults;
	uint64_t tlbies;
	uint64_t flushes;
	uint64_t harvest_walked;
	uint64_t harvest_dirty;
	uint64_t resizes;
	uint64_t resize_pause_ns;
	uint64_t resize_step_ns;
};

/** gln_hpt_stats() - read them. 0; -EINVAL for a wrong struct_bytes; -ENOTTY.
 */
GLN_PUBLIC int gln_hpt_stats(struct gln_vm *vm, struct gln_hpt_stats *stats);

/**
 * gln_hpt_check() - is the table, with its reverse map, in order?
 * @why:	NULL, or where to put a line that says what is not: a string
 *		that is never freed.
 *
 * Context: any thread; no harvest.
 * Return: 0; -EIO if something is wrong; -EBUSY while a vCPU is between enter
 * and leave; -ENOTTY.
 */
GLN_PUBLIC int gln_hpt_check(struct gln_vm *vm, const char **why);

GLN_END_DECLS

#endif
