/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stress_guest.c - machines, memory, copies, writers.
 */
#include "tests/support/stress_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Memory begins at such a boundary, so that huge pages fit: the kernel's, and a
 * modelled MMU's, where guest and host address must agree below it.
 */
#define MEMORY_ALIGN (UINT64_C(2) << 20)
#define BLOCK_ALIGN  (UINT64_C(1) << 30)

static gln_word *word_of(const struct guest *guest,
			 const struct guest_slot *slot, uint64_t page,
			 unsigned int word)
{
	return &slot->memory[page * guest->page_words + word];
}

static uint64_t bytes_of(const struct guest *guest, uint64_t nr_pages)
{
	return nr_pages << guest->page_shift;
}

/* Machines. */

static void open_ref(struct guest *guest, const struct guest_params *params)
{
	(void)params;
	CHECK(!gln_ref_create(&guest->backend), "the oracle can be made");
	snprintf(guest->how, sizeof(guest->how), "ref, one mutex");
}

static void close_ref(struct guest *guest)
{
	gln_ref_destroy(guest->backend);
}

static int store_ref(struct guest_cpu *cpu, const struct guest_slot *slot,
		     uint64_t page, unsigned int word, uint64_t value)
{
	const struct guest *const guest = cpu->guest;
	const uint64_t gpa = ((slot->base + page) << guest->page_shift) +
			     word * sizeof(value);

	return gln_ref_store(guest->backend, gpa, &value, sizeof(value));
}

static void open_process(struct guest *guest, const struct guest_params *params)
{
	const int err = gln_process_create(guest->machine->tracker, guest->how,
					   &guest->backend);

	(void)params;
	if (err == -ENOTSUP || err == -EPERM)
		stress_skip("%s: %s", guest->machine->name, guest->how);
	CHECK(!err, "%s can be made, error %d", guest->machine->name, err);
	CHECK(gln_process_tracker(guest->backend) == guest->machine->tracker,
	      "the tracker asked for is taken");
}

static void close_process(struct guest *guest)
{
	gln_process_destroy(guest->backend);
}

static int store_plain(struct guest_cpu *cpu, const struct guest_slot *slot,
		       uint64_t page, unsigned int word, uint64_t value)
{
	/* Relaxed: a guest's plain store; the real MMU notices it. */
	gln_store_relaxed(word_of(cpu->guest, slot, page, word), value);
	return 0;
}

static void open_soft(struct guest *guest, const struct guest_params *params)
{
	guest->soft = soft_mmu_create(&params->soft);
	CHECK(guest->soft, "a software MMU can be made");
	guest->backend = soft_mmu_backend(guest->soft);
	snprintf(guest->how, sizeof(guest->how), "software MMU, %s first",
		 params->soft.order == SOFT_MAP_THEN_MARK ? "map" : "MARK");
}

static void close_soft(struct guest *guest)
{
	soft_mmu_destroy(guest->soft);
}

static void init_soft(struct guest_cpu *cpu)
{
	cpu->soft = soft_vcpu_create(cpu->guest->soft);
	CHECK(cpu->soft, "room for vCPU %u", cpu->index);
}

static void fini_soft(struct guest_cpu *cpu)
{
	soft_vcpu_destroy(cpu->soft);
}

static void enter_soft(struct guest_cpu *cpu)
{
	soft_vcpu_enter(cpu->soft);
}

static void leave_soft(struct guest_cpu *cpu)
{
	soft_vcpu_leave(cpu->soft);
}

static int store_soft(struct guest_cpu *cpu, const struct guest_slot *slot,
		      uint64_t page, unsigned int word, uint64_t value)
{
	return soft_vcpu_store(cpu->soft, slot->base + page, word, value);
}

static void open_explicit(struct guest *guest,
			  const struct guest_params *params)
{
	(void)params;
	snprintf(guest->how, sizeof(guest->how),
		 "no backend, explicit marks after each store");
}

static void close_explicit(struct guest *guest)
{
	(void)guest;
}

static int store_explicit(struct guest_cpu *cpu, const struct guest_slot *slot,
			  uint64_t page, unsigned int word, uint64_t value)
{
	store_plain(cpu, slot, page, word, value);
	return gln_vcpu_mark(cpu->vcpu, slot->base + page) < 0 ? -EFAULT : 0;
}

#define PROCESS_MACHINE(words, which)                                      \
	{                                                                  \
		.name = (words), .tracker = (which), .open = open_process, \
		.close = close_process, .store = store_plain,              \
	}

static const struct machine machines[] = {
	{
		.name = "ref",
		.open = open_ref,
		.close = close_ref,
		.store = store_ref,
	},
	PROCESS_MACHINE("pagemap-scan", GLN_TRACKER_PAGEMAP_SCAN),
	PROCESS_MACHINE("uffd", GLN_TRACKER_UFFD),
	PROCESS_MACHINE("mprotect", GLN_TRACKER_MPROTECT),
	{
		.name = "soft",
		.open = open_soft,
		.close = close_soft,
		.cpu_init = init_soft,
		.cpu_fini = fini_soft,
		.enter = enter_soft,
		.leave = leave_soft,
		.store = store_soft,
	},
	{
		.name = "explicit",
		.open = open_explicit,
		.close = close_explicit,
		.store = store_explicit,
	},
};

static const struct machine *find_machine(const char *name)
{
	const struct machine *const model = stress_model(name);

	if (model)
		return model;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (!strcmp(name, machines[i].name))
			return &machines[i];

	fprintf(stderr, "machines: ref pagemap-scan uffd mprotect soft "
			"explicit");
	stress_model_names();
	fprintf(stderr, "\n");
	stress_fail("no machine \"%s\": give one of those above", name);
}

unsigned int guest_page_shift(const char *machine)
{
	const unsigned int shift = find_machine(machine)->model.page_shift;

	return shift ? shift
		     : (unsigned int)__builtin_ctzl(stress_page_bytes());
}

uint64_t guest_nr_frames(const char *machine)
{
	const struct stress_model_params *const model =
		&find_machine(machine)->model;

	if (model->page_shift)
		return UINT64_C(1) << (model->addr_bits - model->page_shift);
	return UINT64_MAX / (uint64_t)stress_page_bytes() + 1;
}

/* Memory. */

/* Map @bytes for @slot, aligned for huge pages; the margins are not used. */
static void map_memory(const struct guest *guest, struct guest_slot *slot,
		       uint64_t bytes, bool huge)
{
	const uintptr_t align =
		(uintptr_t)(guest->model ? BLOCK_ALIGN : MEMORY_ALIGN);
	const uintptr_t offset =
		guest->model
			? (uintptr_t)bytes_of(guest, slot->base) & (align - 1)
			: 0;

	slot->mapping_bytes = (size_t)(bytes + 2 * align);
	slot->mapping =
		mmap(NULL, slot->mapping_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(slot->mapping != MAP_FAILED, "%zu bytes of memory",
	      slot->mapping_bytes);
	/* Refused where there are no huge pages: then there are none anyway. */
	(void)madvise(slot->mapping, slot->mapping_bytes,
		      huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	slot->memory = (gln_word *)(((uintptr_t)slot->mapping + align - 1) &
				    ~(align - 1));
	slot->memory += offset / sizeof(*slot->memory);
}

/* Pages that a slot must begin and end with multiples of. */
static uint64_t slot_align(const struct guest *guest)
{
	const struct stress_model_params *const model = &guest->machine->model;

	return model->hpt.actual_shift > guest->page_shift
		       ? UINT64_C(1) << (model->hpt.actual_shift -
					 guest->page_shift)
		       : 1;
}

/* The slot asked for, or one about it that the machine can map. */
static void place_slot(const struct guest *guest, struct guest_slot *slot,
		       const struct guest_slot_params *from)
{
	const uint64_t align = slot_align(guest);
	gln_gfn base = from->base / align * align;
	gln_gfn end = from->base + from->nr_pages;

	end += (align - end % align) % align;
	for (const struct guest_slot *other = guest->slots; other < slot;
	     other++)
		if (base >= other->base && base < other->base + other->nr_pages)
			base = other->base + other->nr_pages;
	if (end <= base)
		end = base + align;
	*slot = (struct guest_slot){
		.id = from->id,
		.base = base,
		.nr_pages = end - base,
	};
}

static void open_slot(struct guest *guest, size_t i,
		      const struct guest_params *params)
{
	const struct guest_slot_params *const from = &params->slots[i];
	struct guest_slot *const slot = &guest->slots[i];
	uint64_t nr_pages;

	place_slot(guest, slot, from);
	nr_pages = slot->nr_pages;
	if (from->joins) {
		const struct guest_slot *const before = slot - 1;

		slot->memory = word_of(guest, before, before->nr_pages, 0);
	} else {
		for (size_t j = i + 1;
		     j < params->nr_slots && params->slots[j].joins; j++)
			nr_pages += params->slots[j].nr_pages +
				    slot_align(guest) - 1;
		map_memory(guest, slot, bytes_of(guest, nr_pages),
			   params->huge);
	}

	slot->copy = calloc(1, (size_t)bytes_of(guest, slot->nr_pages));
	slot->copied = calloc(1, (size_t)slot->nr_pages);
	slot->fetched = calloc(1, (size_t)slot->nr_pages);
	CHECK(slot->copy && slot->copied && slot->fetched, "memory for a copy");
	CHECK(!guest_add_slot(guest, slot), "slot %u can be added", slot->id);
}

int guest_add_slot(struct guest *guest, const struct guest_slot *slot)
{
	const struct gln_slot_params params = {
		.struct_bytes = sizeof(params),
		.id = slot->id,
		.base = slot->base,
		.nr_pages = slot->nr_pages,
		.hva = slot->memory,
	};

	return gln_slot_add(guest->vm, &params);
}

void guest_open(struct guest *guest, const struct guest_params *params)
{
	struct gln_vm_params vm_params = {
		.struct_bytes = sizeof(vm_params),
		.flags = params->vm_flags,
		.allocator = params->allocator,
	};

	memset(guest, 0, sizeof(*guest));
	guest->page_shift = guest_page_shift(params->machine);
	guest->page_words = (1U << guest->page_shift) / sizeof(gln_word);
	guest->machine = find_machine(params->machine);
	guest->has_rings = guest->machine->model.ring_bytes;
	pthread_mutex_init(&guest->rings_lock, NULL);
	guest->machine->open(guest, params);

	vm_params.page_shift = guest->page_shift;
	vm_params.backend = guest->backend;
	CHECK(!gln_vm_create(&vm_params, &guest->vm), "a VM can be made");
	if (guest->machine->vm_made)
		guest->machine->vm_made(guest);
	CHECK(params->nr_slots <= GUEST_MAX_SLOTS, "not too many slots");
	for (size_t i = 0; i < params->nr_slots; i++)
		open_slot(guest, i, params);
	guest->nr_slots = params->nr_slots;
}

/* Whoever tracked the memory has let go of it: stores go through unnoticed. */
static void check_is_writable(const struct guest *guest,
			      const struct guest_slot *slot)
{
	for (uint64_t page = 0; page < slot->nr_pages; page++)
		gln_fetch_add_relaxed(word_of(guest, slot, page, 0), 1);
}

void guest_close(struct guest *guest)
{
	CHECK(!gln_vm_destroy(guest->vm), "nothing uses the VM any more");
	guest->machine->close(guest);
	pthread_mutex_destroy(&guest->rings_lock);
	for (size_t i = 0; i < guest->nr_slots; i++)
		check_is_writable(guest, &guest->slots[i]);
	for (size_t i = 0; i < guest->nr_slots; i++) {
		free(guest->slots[i].copy);
		free(guest->slots[i].copied);
		free(guest->slots[i].fetched);
		if (guest->slots[i].mapping)
			munmap(guest->slots[i].mapping,
			       guest->slots[i].mapping_bytes);
	}
}

uint64_t guest_over_reported(const struct guest *guest)
{
	struct gln_process_stats stats = {.struct_bytes = sizeof(stats)};
	static gln_word nr_asked;

	/* One C stands for many pages: any number may be invented by then. */
	if (slot_align(guest) > 1)
		return gln_fetch_add_relaxed(&nr_asked, 1) << 32;
	if (guest->machine->tracker == GLN_TRACKER_AUTO)
		return 0;
	CHECK(!gln_process_stats(guest->backend, &stats), "there are figures");
	return stats.over_reported;
}

/* Rings. */

static void add_ring(struct guest *guest, struct guest_cpu *cpu)
{
	struct gln_ring_cursor *const ring = &guest->rings[cpu->index];

	if (!guest->has_rings)
		return;
	pthread_mutex_lock(&guest->rings_lock);
	ring->next = 0;
	CHECK(!gln_vcpu_ring(cpu->vcpu, &ring->entries, &ring->nr_entries),
	      "vCPU %u has a ring", cpu->index);
	pthread_mutex_unlock(&guest->rings_lock);
}

/* What is still in it is marked in bitmaps when the vCPU goes. */
static void remove_ring(struct guest_cpu *cpu)
{
	if (!cpu->guest->has_rings)
		return;
	pthread_mutex_lock(&cpu->guest->rings_lock);
	cpu->guest->rings[cpu->index].entries = NULL;
	pthread_mutex_unlock(&cpu->guest->rings_lock);
}

static void note_fetched(struct guest *guest, uint32_t id, uint64_t page)
{
	for (size_t i = 0; i < guest->nr_slots; i++) {
		if (guest->slots[i].id != id)
			continue;
		CHECK(page < guest->slots[i].nr_pages,
		      "page %llu of slot %u is one", (unsigned long long)page,
		      id);
		guest->slots[i].fetched[page] = 1;
		return;
	}
	stress_fail("slot %u came out of a ring, and is none", id);
}

uint64_t guest_drain_rings(struct guest *guest)
{
	uint32_t id;
	uint64_t page;
	int nr;

	pthread_mutex_lock(&guest->rings_lock);
	for (size_t i = 0; i < ARRAY_SIZE(guest->rings); i++)
		while (guest->rings[i].entries &&
		       gln_ring_fetch(&guest->rings[i], &id, &page))
			note_fetched(guest, id, page);
	nr = gln_ring_reset(guest->vm);
	CHECK(nr >= 0, "rings can be reset, error %d", nr);
	pthread_mutex_unlock(&guest->rings_lock);

	return (uint64_t)nr;
}

/* vCPUs. */

void guest_cpu_init(struct guest_cpu *cpu, struct guest *guest,
		    unsigned int index, uint64_t seed)
{
	cpu->guest = guest;
	cpu->index = index;
	cpu->sequence = 0;
	cpu->random = stress_random_from(seed, index);
	gln_store_relaxed(&cpu->nr_stores, 0);
	CHECK(!gln_vcpu_register(guest->vm, index, &cpu->vcpu),
	      "vCPU %u can be registered", index);
	add_ring(guest, cpu);
	if (guest->machine->cpu_init)
		guest->machine->cpu_init(cpu);
}

void guest_cpu_fini(struct guest_cpu *cpu)
{
	if (cpu->guest->machine->cpu_fini)
		cpu->guest->machine->cpu_fini(cpu);
	remove_ring(cpu);
	gln_vcpu_unregister(cpu->vcpu);
}

void guest_cpu_enter(struct guest_cpu *cpu)
{
	if (cpu->guest->machine->enter)
		cpu->guest->machine->enter(cpu);
}

void guest_cpu_leave(struct guest_cpu *cpu)
{
	if (cpu->guest->machine->leave)
		cpu->guest->machine->leave(cpu);
}

int guest_store(struct guest_cpu *cpu, const struct guest_slot *slot,
		uint64_t page, unsigned int word, uint64_t value)
{
	gln_count(&cpu->nr_stores, 1);
	return cpu->guest->machine->store(cpu, slot, page, word, value);
}

uint64_t guest_load(const struct guest *guest, const struct guest_slot *slot,
		    uint64_t page, unsigned int word)
{
	return gln_load_relaxed(word_of(guest, slot, page, word));
}

/* Copies. */

/*
 * Writers may be writing what is read: words, each whole. ThreadSanitizer is
 * not shown these loads, for the oracle writes with memcpy.
 */
__attribute__((noinline, no_sanitize("thread"))) static void copy_words(
	uint64_t *to, const volatile uint64_t *from, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		to[i] = from[i];
}

void guest_copy(const struct guest *guest, struct guest_slot *slot,
		struct gln_range range)
{
	const uint64_t page = range.first - slot->base;

	CHECK(range.count && page < slot->nr_pages &&
		      range.count <= slot->nr_pages - page,
	      "frames %llu + %llu lie in slot %u",
	      (unsigned long long)range.first, (unsigned long long)range.count,
	      slot->id);
	copy_words(slot->copy + page * guest->page_words,
		   (const volatile uint64_t *)(const void *)word_of(guest, slot,
								    page, 0),
		   range.count * guest->page_words);
	memset(slot->copied + page, 1, (size_t)range.count);
}

void guest_copy_all(const struct guest *guest, struct guest_slot *slot)
{
	guest_copy(guest, slot, (struct gln_range){slot->base, slot->nr_pages});
}

enum gln_harvest_strategy guest_strategy(void)
{
	static _Atomic unsigned int turn;

	/* Relaxed: any order of strategies will do. */
	return gln_fetch_add_relaxed(&turn, 1) % (GLN_HARVEST_FLIP + 1);
}

uint64_t guest_harvest(const struct guest *guest, struct guest_slot *slot)
{
	const struct gln_harvest_params all = {
		.struct_bytes = sizeof(all),
		.strategy = guest_strategy(),
	};
	struct gln_harvest *harvest;
	struct gln_range runs[32];
	uint64_t nr_pages = 0;
	size_t nr;

	CHECK(!gln_harvest_begin(guest->vm, slot->id, &all, &harvest),
	      "slot %u can be harvested", slot->id);
	while ((nr = gln_harvest_next(harvest, runs, ARRAY_SIZE(runs)))) {
		for (size_t i = 0; i < nr; i++) {
			guest_copy(guest, slot, runs[i]);
			nr_pages += runs[i].count;
		}
	}
	gln_harvest_commit(harvest);

	return nr_pages;
}

uint64_t guest_count_lost(const struct guest *guest,
			  const struct guest_slot *slot)
{
	const size_t page_bytes = (size_t)1 << guest->page_shift;
	const char *const copy = (const char *)slot->copy;
	const char *const memory = (const char *)(const void *)slot->memory;
	uint64_t nr = 0;

	for (uint64_t page = 0; page < slot->nr_pages; page++)
		if (memcmp(copy + page * page_bytes, memory + page * page_bytes,
			   page_bytes))
			nr++;

	return nr;
}

/* Writers. */

enum wish {
	WISH_REST,
	WISH_RUN,
	WISH_STOP,
};

/* Steps between two looks at what is wished. */
enum { STEPS = 32 };

static enum wish read_wish(struct guest_writers *writers)
{
	return gln_load_acquire(&writers->wish);
}

static void make_wish(struct guest_writers *writers, enum wish wish)
{
	pthread_mutex_lock(&writers->lock);
	gln_store_release(&writers->wish, wish);
	pthread_cond_broadcast(&writers->changed);
	pthread_mutex_unlock(&writers->lock);
}

static void rest(struct guest_writers *writers)
{
	pthread_mutex_lock(&writers->lock);
	writers->nr_resting++;
	pthread_cond_broadcast(&writers->changed);
	while (read_wish(writers) == WISH_REST)
		pthread_cond_wait(&writers->changed, &writers->lock);
	writers->nr_resting--;
	pthread_mutex_unlock(&writers->lock);
}

static void run(struct guest_writers *writers, struct guest_cpu *cpu)
{
	guest_cpu_enter(cpu);
	while (read_wish(writers) == WISH_RUN)
		for (unsigned int i = 0; i < STEPS; i++)
			writers->step(cpu);
	guest_cpu_leave(cpu);
}

static void *writer_main(void *arg)
{
	struct guest_cpu *const cpu = arg;
	struct guest_writers *const writers = cpu->ctx;

	guest_cpu_init(cpu, writers->guest, cpu->index, writers->seed);
	cpu->ctx = writers->ctx;
	while (read_wish(writers) != WISH_STOP) {
		rest(writers);
		run(writers, cpu);
	}
	guest_cpu_fini(cpu);

	return NULL;
}

static void await_rest(struct guest_writers *writers)
{
	pthread_mutex_lock(&writers->lock);
	while (writers->nr_resting < writers->nr)
		pthread_cond_wait(&writers->changed, &writers->lock);
	pthread_mutex_unlock(&writers->lock);
}

void guest_writers_start(struct guest_writers *writers, struct guest *guest,
			 unsigned int nr, guest_step step, void *ctx,
			 uint64_t seed)
{
	CHECK(nr <= GUEST_MAX_WRITERS, "not too many writers");
	memset(writers, 0, sizeof(*writers));
	writers->guest = guest;
	writers->step = step;
	writers->ctx = ctx;
	writers->seed = seed;
	writers->nr = nr;
	pthread_mutex_init(&writers->lock, NULL);
	pthread_cond_init(&writers->changed, NULL);

	for (unsigned int i = 0; i < nr; i++) {
		writers->cpus[i].index = i;
		writers->cpus[i].ctx = writers;
		CHECK(!pthread_create(&writers->threads[i], NULL, writer_main,
				      &writers->cpus[i]),
		      "a thread can be made");
	}
	await_rest(writers);
}

void guest_writers_run(struct guest_writers *writers)
{
	make_wish(writers, WISH_RUN);
}

void guest_writers_rest(struct guest_writers *writers)
{
	make_wish(writers, WISH_REST);
	await_rest(writers);
}

void guest_writers_stop(struct guest_writers *writers)
{
	make_wish(writers, WISH_STOP);
	for (unsigned int i = 0; i < writers->nr; i++)
		pthread_join(writers->threads[i], NULL);
	pthread_cond_destroy(&writers->changed);
	pthread_mutex_destroy(&writers->lock);
}

uint64_t guest_writers_stores(struct guest_writers *writers)
{
	uint64_t nr = 0;

	for (unsigned int i = 0; i < writers->nr; i++)
		nr += gln_load_relaxed(&writers->cpus[i].nr_stores);

	return nr;
}
