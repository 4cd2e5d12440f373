/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ept.h - the x86 EPT backend: Intel's second-stage tables.
 *
 * The library keeps the tables as the CPU reads them (Intel SDM volume 3C,
 * chapter 29.3) and says what to put in the VMCS; the embedder runs the CPU and
 * executes INVEPT. One backend serves one VM, with pages of 4 KiB.
 *
 *	log mode	how a write of a page is noticed
 *	  WRITE_PROTECT	 the entry is not writable: an EPT violation
 *	  PML		 the CPU sets the entry's dirty bit and logs the page
 *
 * For the embedder to see to:
 *
 *   - There are no tables for nested guests, and PML logs the addresses of one
 *     that runs: keep it off meanwhile, and mark what the nested guest writes.
 *   - Keep off what gives a meaning to bits that are clear in every entry:
 *     mode-based execute control (bit 10), guest-paging verification (57), EPT
 *     paging-write control (58), supervisor shadow-stack control (60; EPTP bit
 *     7), sub-page write permissions (61).
 *   - A CPU that a change of an executable page's size stops with a machine
 *     check needs GLN_EPT_NO_BLOCKS.
 */
#ifndef GLN_EPT_H
#define GLN_EPT_H

#include <glean/mmu.h>

GLN_BEGIN_DECLS

/** enum gln_ept_mode - how writes are noticed while a slot is logged. */
enum gln_ept_mode {
	GLN_EPT_WRITE_PROTECT = 0,
	GLN_EPT_PML = 1,
};

/** No blocks at all: pages of 4 KiB only. */
#define GLN_EPT_NO_BLOCKS   (1U << 0)
/** When logging starts, or a log is cleared, split blocks at once. */
#define GLN_EPT_EAGER_SPLIT (1U << 1)
/** The CPU must not set A and D (EPTP bit 6 clear): no PML, no aging. */
#define GLN_EPT_NO_AD	    (1U << 2)

/**
 * struct gln_ept_params - how to make the backend.
 *
 * @struct_bytes: sizeof(struct gln_ept_params).
 * @levels:	4 (48 bits of guest physical address) or 5 (57); 0 means 4.
 * @mode:	how writes are noticed.
 * @flags:	GLN_EPT_*.
 * @host:	the machine; copied. NULL: physical is virtual, no kick.
 * @allocator:	memory for tables, NULL is the platform's. Must outlive the
 *		backend. Called by one thread at a time.
 * @invept:	on return no CPU uses a translation that it got by @eptp before
 *		the call (single-context INVEPT on every CPU that may have any).
 *		May be called in a read-side section: must not sleep.
 * @invept_ctx:	passed to it.
 */
struct gln_ept_params {
	size_t struct_bytes;
	unsigned int levels;
	enum gln_ept_mode mode;
	uint32_t flags;
	const struct gln_mmu_host *host;
	const struct gln_allocator *allocator;
	void (*invept)(void *ctx, uint64_t eptp);
	void *invept_ctx;
};

/**
 * gln_ept_create() - make the backend: an empty table.
 *
 * Context: any thread; allocates.
 * Return: 0; -EINVAL for a wrong @struct_bytes, number of levels, mode or flag,
 * for PML with GLN_EPT_NO_AD or without @host->kick, or without @invept;
 * -ENOMEM; -ERANGE if table memory lies where no entry can point, or unaligned.
 */
GLN_PUBLIC int gln_ept_create(const struct gln_ept_params *params,
			      struct gln_backend **backend);

/** gln_ept_destroy() - free it. Its VM must be gone. */
GLN_PUBLIC void gln_ept_destroy(struct gln_backend *backend);

/**
 * gln_ept_eptp() - the EPT pointer for the VMCS (SDM 25.6.11): write-back,
 * the walk length, A and D if the CPU is to set them, the root.
 *
 * Context: any.
 */
GLN_PUBLIC uint64_t gln_ept_eptp(const struct gln_backend *backend);

/** Entries of a page-modification log: 4096 bytes of 8 each. */
#define GLN_EPT_PML_ENTRIES 512U
/** The index of an empty one: the CPU fills it downwards (SDM 29.3.6). */
#define GLN_EPT_PML_START   (GLN_EPT_PML_ENTRIES - 1)

/**
 * struct gln_ept_pml - a vCPU's page-modification log, as its VMCS has it.
 *
 * @log:	guest physical addresses; page-aligned. NULL without PML.
 * @index:	PML index (VMCS field 0x812): copy it from the VMCS before
 *		gln_vcpu_exit(), and back before the next entry.
 * @is_enabled:	"enable PML" for the next entry; set by gln_vcpu_exit().
 */
struct gln_ept_pml {
	uint64_t *log;
	uint16_t index;
	bool is_enabled;
};

/**
 * gln_ept_pml() - the log of a registered vCPU; NULL if there is no such vCPU.
 *
 * Context: the vCPU's thread; the pointer is good until it is unregistered.
 */
GLN_PUBLIC struct gln_ept_pml *gln_ept_pml(struct gln_backend *backend,
					   uint32_t vcpu_id);

/**
 * gln_ept_access() - what the guest tried, from the exit qualification of an
 * EPT violation (SDM table 28-7): GLN_ACCESS_*. A misconfiguration (exit reason
 * 49) has none: the entry says "no memory here", and a slot may have come
 * since; call gln_vcpu_fault() with GLN_ACCESS_READ, which says MMIO or maps
 * it.
 *
 * Context: any.
 */
GLN_PUBLIC uint32_t gln_ept_access(uint64_t qualification);

GLN_END_DECLS

#endif
