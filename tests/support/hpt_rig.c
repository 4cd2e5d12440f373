/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hpt_rig.c - a table in memory, its host, and a CPU that is late.
 */
#include "tests/support/hpt_rig.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define V_HV_BITS (GLN_HPTE_V_HVLOCK | GLN_HPTE_V_ABSENT | GLN_HPTE_V_VALID)
#define RC	  (GLN_HPTE_R_R | GLN_HPTE_R_C)

/* Since ISA 3.0 B is in R, and the real page number is shorter. */
#define B_3_0	(UINT64_C(3) << 58)
#define B_SHIFT 4

static uint64_t big_endian(uint64_t x)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(x);
#else
	return x;
#endif
}

/* Memory. */

/* SDR1 and the partition table's entry: the address, and below it the size. */
#define TABLE_ADDRESS UINT64_C(0x0ffffffffffc0000)
#define TABLE_SIZE    UINT64_C(0x1f)

unsigned int hpt_rig_order(const struct hpt_rig *rig)
{
	const uint64_t word = gln_hpt_table_word(rig->backend);

	return word ? (unsigned int)(word & TABLE_SIZE) + GLN_HPT_ORDER_MIN : 0;
}

static gln_word *words_of(const struct hpt_rig *rig, uint64_t index)
{
	const uint64_t word = gln_hpt_table_word(rig->backend);

	return (gln_word *)(uintptr_t)((word & TABLE_ADDRESS) + index * 16);
}

/* The two words as numbers. */
static struct gln_hpte raw(const gln_word *words)
{
	/* Acquire: V before R, as a table walk reads them. */
	const uint64_t v = big_endian(gln_load_acquire(&words[0]));

	/* Relaxed: ordered by the load above. */
	return (struct gln_hpte){v, big_endian(gln_load_relaxed(&words[1]))};
}

struct gln_hpte hpt_rig_entry(const struct hpt_rig *rig, uint64_t index)
{
	struct gln_hpte entry = raw(words_of(rig, index));

	if (rig->isa == GLN_HPT_ISA_3_0) {
		entry.v |= (entry.r & B_3_0) << B_SHIFT;
		entry.r &= ~B_3_0;
	}
	return entry;
}

/* The CPU. */

static void note_at(struct hpt_rig *rig, gln_word *words, uint64_t index,
		    uint64_t rc)
{
	/* Relaxed: hardware's update of R and C is ordered by nothing. */
	gln_fetch_or_relaxed(&words[1], big_endian(rc));
	if (rig->noted)
		rig->noted(rig->ctx, index, rc);
}

void hpt_rig_note(struct hpt_rig *rig, uint64_t index, uint64_t rc)
{
	note_at(rig, words_of(rig, index), index, rc);
}

static void forget(struct hpt_rig *rig, unsigned int i)
{
	const struct rig_kept kept = rig->kept[i];

	rig->kept[i] = rig->kept[--rig->nr_kept];
	note_at(rig, kept.where, kept.index, kept.rc);
}

bool hpt_rig_keep(struct hpt_rig *rig, uint64_t index, uint64_t rc)
{
	gln_word *const words = words_of(rig, index);
	struct rig_kept *const kept = &rig->kept[rig->nr_kept];

	if (rig->nr_kept == RIG_PENDING)
		return false;
	*kept = (struct rig_kept){
		.index = index,
		.entry = raw(words),
		.rc = rc,
		.where = words,
	};
	kept->entry.r &= ~RC;
	rig->nr_kept++;
	return true;
}

void hpt_rig_settle(struct hpt_rig *rig, uint64_t index)
{
	for (unsigned int i = rig->nr_kept; i--;)
		if (rig->kept[i].index == index)
			forget(rig, i);
}

/* Is it still what is in memory? */
static bool is_current(const struct rig_kept *kept, bool may_be_broken)
{
	const struct gln_hpte now = raw(kept->where);
	const uint64_t ignored = may_be_broken ? V_HV_BITS : GLN_HPTE_V_HVLOCK;

	return !((now.v ^ kept->entry.v) & ~ignored) &&
	       (now.r & ~RC) == kept->entry.r;
}

const char *hpt_rig_check_cpu(const struct hpt_rig *rig)
{
	for (unsigned int i = 0; i < rig->nr_kept; i++)
		if (!is_current(&rig->kept[i], false))
			return "an entry changed, and a CPU still uses the old "
			       "one";
	return NULL;
}

/*
 * What is invalid by now must go; other translations may. (What RB names is for
 * the model to tell.)
 */
static void tlbie(void *ctx, const struct gln_hpt_tlbie *ops, size_t nr)
{
	struct hpt_rig *const rig = ctx;

	(void)ops;
	rig->nr_tlbies += nr;
	for (unsigned int i = rig->nr_kept; i--;)
		if (!is_current(&rig->kept[i], false) ||
		    (rig->nr_tlbies + i) % 8 == 0)
			forget(rig, i);
}

static void flush_all(void *ctx, uint32_t lpid)
{
	struct hpt_rig *const rig = ctx;

	(void)lpid;
	rig->nr_flushes++;
	while (rig->nr_kept)
		forget(rig, rig->nr_kept - 1);
}

/* The host. */

enum rig_mood hpt_rig_mood(const struct hpt_rig *rig, uint64_t gpa)
{
	const uint64_t part = gpa >> (RIG_SHIFT + RIG_MOOD_SHIFT);
	const uint64_t lot =
		(rig->moods ^ part) * UINT64_C(0x9e3779b97f4a7c15) >> 60;

	if (!rig->moods || lot > 4)
		return RIG_USUAL;
	return lot > 2 ? RIG_READ_ONLY : RIG_AWAY;
}

static int translate(void *ctx, const struct gln_backend_slot *slot,
		     gln_gfn gfn, uint32_t access, struct gln_host_page *page)
{
	const struct hpt_rig *const rig = ctx;
	const uint64_t gpa = gfn << rig->page_shift;

	(void)slot;
	page->hpa = RIG_HPA + gpa;
	switch (hpt_rig_mood(rig, gpa)) {
	case RIG_AWAY:
		return -EAGAIN;
	case RIG_READ_ONLY:
		page->is_writable = access & GLN_ACCESS_WRITE;
		return 0;
	case RIG_USUAL:
		break;
	}
	return 0;
}

/* Only asked for guest memory: tables are where they are. */
static void *memory_at(void *ctx, uint64_t hpa)
{
	const struct hpt_rig *const rig = ctx;

	if (hpa < RIG_HPA || hpa - RIG_HPA >= rig->memory_bytes)
		return NULL;
	return rig->memory + (hpa - RIG_HPA);
}

static int make(struct hpt_rig *rig, const struct hpt_rig_params *params)
{
	const struct gln_mmu_host host = {
		.ctx = rig,
		.memory_at = memory_at,
		.translate = translate,
	};
	const struct gln_hpt_params backend = {
		.struct_bytes = sizeof(backend),
		.isa = params->isa,
		.flags = params->flags,
		.default_order = params->default_order,
		.hpt_host = params->hpt_host,
		.host = &host,
		.allocator = params->allocator,
		.tlbie = params->tlbie ? params->tlbie : tlbie,
		.flush_all = params->flush_all ? params->flush_all : flush_all,
		.ctx = rig,
	};
	struct gln_vm_params vm = {.struct_bytes = sizeof(vm)};
	uint32_t order = params->order;
	int err = gln_hpt_create(&backend, &rig->backend);

	if (err)
		return err;
	vm.page_shift = rig->page_shift;
	vm.backend = rig->backend;
	err = gln_vm_create(&vm, &rig->vm);
	if (!err && order)
		err = gln_hpt_allocate(rig->vm, &order);
	if (!err)
		err = gln_vcpu_register(rig->vm, 1, &rig->vcpu);
	return err;
}

int hpt_rig_open(struct hpt_rig *rig, const struct hpt_rig_params *params)
{
	memset(rig, 0, sizeof(*rig));
	rig->isa = params->isa;
	rig->page_shift = params->page_shift ? params->page_shift : RIG_SHIFT;
	if (params->memory_bytes) {
		rig->memory_bytes = (size_t)params->memory_bytes;
		rig->memory = mmap(
			NULL, rig->memory_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (rig->memory == MAP_FAILED)
			return -ENOMEM;
	}
	return make(rig, params);
}

int hpt_rig_close(struct hpt_rig *rig)
{
	int err;

	gln_vcpu_unregister(rig->vcpu);
	err = gln_vm_destroy(rig->vm);
	gln_hpt_destroy(rig->backend);
	if (rig->memory)
		munmap(rig->memory, rig->memory_bytes);
	return err;
}

int hpt_rig_slot(struct hpt_rig *rig, uint32_t id, uint64_t gpa, uint64_t bytes,
		 uint32_t flags)
{
	const struct gln_slot_params slot = {
		.struct_bytes = sizeof(slot),
		.id = id,
		.base = gpa >> rig->page_shift,
		.nr_pages = bytes >> rig->page_shift,
		.flags = flags,
		.hva = gpa + bytes <= rig->memory_bytes ? rig->memory + gpa
							: NULL,
	};

	return gln_slot_add(rig->vm, &slot);
}

int64_t hpt_rig_call(struct hpt_rig *rig, uint64_t nr,
		     uint64_t gprs[GLN_HCALL_ARGS])
{
	return gln_hcall(rig->vcpu, nr, gprs, gprs);
}
