/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording address spaces over time. See history.h for what is recorded and how it is bounded.
 *
 * Invariants of a space:
 *   - live holds exactly the regions whose `to` is HISTORY_ALIVE, in address order, disjoint;
 *   - mapped, reserved and nr_vmas are their sums;
 *   - a region that another one continues began before it and ended when that one began (or was
 *     joined into it);
 *   - after a record without an error, the live regions are the VMAs of the address space within
 *     the range that was looked at; a space that missed a change is stale until a whole look.
 *
 * A record does in order: find the window of addresses that can have changed, gather its VMAs,
 * cut off what is equal at both edges, reserve memory for the rest, and only then change anything.
 */
#include "history/history.h"

#include <errno.h>
#include <string.h>

#include <memmap/mm.h>

#include "common/vma_kind.h"
#include "history/history_data.h"

enum {
	DEFAULT_MAX_REGIONS = 100000,
	MAX_PROCESSES = 4096,
	MAX_SPACES = 16384,
	MAX_SAMPLES = 4096, /* of one space; an even number */
	MAX_NAMES = 65536,
	NAME_SIZE = 4096, /* with its terminating zero */
};

/* The name of whatever comes after MAX_NAMES different ones. */
#define ANOTHER_NAME "(one of very many names)"

/* What of a VMA's flags the picture shows. */
#define SHOWN_FLAGS (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC | MEMMAP_VM_MAYSHARE)
#define ACCESS      (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC)

/* ---- Names ---- */

static uint64_t hash_text(const char *text, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The slot that holds `text`, or the free one where it belongs. */
static uint32_t *name_slot(const struct history *h, const char *text)
{
	size_t mask = h->name_table_size - 1;
	size_t i = (size_t)hash_text(text, strlen(text)) & mask;
	while (h->name_table[i] != 0 && strcmp(history_name(h, h->name_table[i] - 1), text) != 0)
		i = (i + 1) & mask;
	return &h->name_table[i];
}

static bool grow_name_table(struct history *h)
{
	if (2 * (h->names.length + 1) <= h->name_table_size)
		return true;
	size_t old_size = h->name_table_size;
	uint32_t *old = h->name_table;
	size_t size = old_size ? 2 * old_size : 64;
	uint32_t *table = memmap_allocate(h->allocator, size * sizeof(*table), sizeof(*table));
	if (!table)
		return false;
	memset(table, 0, size * sizeof(*table));
	h->name_table = table;
	h->name_table_size = size;
	for (size_t i = 0; i < old_size; i++)
		if (old[i] != 0)
			*name_slot(h, history_name(h, old[i] - 1)) = old[i];
	memmap_deallocate(h->allocator, old, old_size * sizeof(*old));
	return true;
}

/* The id of a name, which is made when it is new. */
static int intern(struct history *h, const char *text, uint32_t *id)
{
	if (h->names.length >= MAX_NAMES - 1)
		text = *name_slot(h, text) == 0 ? ANOTHER_NAME : text;
	size_t length = strlen(text);
	if (!grow_name_table(h) || !ARRAY_RESERVE(h->allocator, &h->names, 1) ||
	    !ARRAY_RESERVE(h->allocator, &h->text, length + 1))
		return -ENOMEM;
	uint32_t *slot = name_slot(h, text);
	if (*slot == 0) {
		memcpy(h->text.items + h->text.length, text, length + 1);
		h->names.items[h->names.length++] = (uint32_t)h->text.length;
		h->text.length += length + 1;
		*slot = (uint32_t)h->names.length;
	}
	*id = *slot - 1;
	return 0;
}

/* ---- Life ---- */

struct history *history_create(const struct memmap_allocator *allocator, size_t max_regions)
{
	struct history *h = memmap_allocate(allocator, sizeof(*h), _Alignof(struct history));
	if (!h)
		return NULL;
	*h = (struct history){
		.allocator = allocator,
		.max_regions = max_regions ? max_regions : DEFAULT_MAX_REGIONS,
		.last_process = HISTORY_NONE,
	};
	uint32_t nobody;
	if (intern(h, "", &nobody) < 0) {
		history_release(h);
		return NULL;
	}
	return h;
}

void history_release(struct history *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->spaces.length; i++) {
		ARRAY_RELEASE(h->allocator, &h->spaces.items[i].regions);
		ARRAY_RELEASE(h->allocator, &h->spaces.items[i].live);
		ARRAY_RELEASE(h->allocator, &h->spaces.items[i].samples);
	}
	ARRAY_RELEASE(h->allocator, &h->spaces);
	ARRAY_RELEASE(h->allocator, &h->processes);
	ARRAY_RELEASE(h->allocator, &h->names);
	ARRAY_RELEASE(h->allocator, &h->text);
	ARRAY_RELEASE(h->allocator, &h->scratch);
	ARRAY_RELEASE(h->allocator, &h->scratch_live);
	memmap_deallocate(h->allocator, h->name_table, h->name_table_size * sizeof(*h->name_table));
	memmap_deallocate(h->allocator, h, sizeof(*h));
}

/* Take note of the time; a clock that goes back is held. */
static uint64_t tick(struct history *h, uint64_t time)
{
	if (h->processes.length == 0)
		h->from = h->to = time;
	if (time > h->to)
		h->to = time;
	return h->to;
}

static uint32_t find_process(struct history *h, pid_t pid)
{
	const struct history_process *processes = h->processes.items;
	if (h->last_process != HISTORY_NONE && processes[h->last_process].pid == pid &&
	    processes[h->last_process].to == HISTORY_ALIVE)
		return h->last_process;
	/* From the youngest: a pid may be used again, and the young make more calls. */
	for (size_t i = h->processes.length; i-- > 0;) {
		if (processes[i].pid == pid && processes[i].to == HISTORY_ALIVE) {
			h->last_process = (uint32_t)i;
			return (uint32_t)i;
		}
	}
	return HISTORY_NONE;
}

/* A new process at the end of the array; its memory has been reserved. */
static void add_process(struct history *h, pid_t pid, uint32_t parent, uint64_t time,
			uint32_t command)
{
	h->processes.items[h->processes.length++] = (struct history_process){
		.pid = pid,
		.parent = parent,
		.command = command,
		.space = HISTORY_NONE,
		.from = time,
		.to = HISTORY_ALIVE,
	};
}

int history_process(struct history *h, pid_t pid, pid_t parent, uint64_t time, const char *command)
{
	if (h->processes.length >= MAX_PROCESSES) {
		(void)tick(h, time);
		h->nr_uncounted_processes++;
		return 0;
	}
	uint32_t father = parent ? find_process(h, parent) : HISTORY_NONE;
	uint32_t name =
		father != HISTORY_NONE ? h->processes.items[father].command : HISTORY_NOBODY;
	if (command && intern(h, command, &name) < 0)
		return -ENOMEM;
	if (!ARRAY_RESERVE(h->allocator, &h->processes, 1))
		return -ENOMEM;
	time = tick(h, time);
	add_process(h, pid, father, time, name);
	return 0;
}

/* ---- Spaces ---- */

/* A sample of how things are from now on; its memory has been reserved. */
static void add_sample(struct history_space *space, uint64_t time)
{
	if (space->mapped > space->peak_mapped)
		space->peak_mapped = space->mapped;
	if (space->reserved > space->peak_reserved)
		space->peak_reserved = space->reserved;
	if (space->nr_vmas > space->peak_nr_vmas)
		space->peak_nr_vmas = space->nr_vmas;

	if (space->samples.length == MAX_SAMPLES) {
		/* Halve the detail: of each two keep the first, with the larger values of both. */
		struct history_sample *samples = space->samples.items;
		for (size_t i = 0; i < MAX_SAMPLES / 2; i++) {
			struct history_sample kept = samples[2 * i], next = samples[2 * i + 1];
			if (next.mapped > kept.mapped)
				kept.mapped = next.mapped;
			if (next.nr_vmas > kept.nr_vmas)
				kept.nr_vmas = next.nr_vmas;
			samples[i] = kept;
		}
		space->samples.length = MAX_SAMPLES / 2;
	}
	space->samples.items[space->samples.length++] = (struct history_sample){
		.time = time,
		.changes = space->changes,
		.mapped = space->mapped,
		.nr_vmas = space->nr_vmas,
	};
}

static bool reserve_sample(struct history *h, struct history_space *space)
{
	return space->samples.length == MAX_SAMPLES ||
	       ARRAY_RESERVE(h->allocator, &space->samples, 1);
}

/* Count a region in (`sign` 1) or out (-1). */
static void count_region(struct history_space *space, const struct history_region *region, int sign)
{
	uint64_t length = memmap_addr_range_length(region->range);
	uint64_t *sum = region->flags & ACCESS ? &space->mapped : &space->reserved;
	*sum = sign > 0 ? *sum + length : *sum - length;
	space->nr_vmas = sign > 0 ? space->nr_vmas + 1 : space->nr_vmas - 1;
}

static void end_region(struct history *h, struct history_space *space, uint32_t id, uint64_t time,
		       const char *call)
{
	struct history_region *region = &space->regions.items[id];
	count_region(space, region, -1);
	region->to = time;
	region->to_call = h->calls;
	region->to_name = call;
	space->nr_ended++;
	h->nr_ended++;
}

static void end_space(struct history *h, uint32_t id, uint64_t time, const char *call)
{
	if (id == HISTORY_NONE)
		return;
	struct history_space *space = &h->spaces.items[id];
	for (size_t i = 0; i < space->live.length; i++)
		end_region(h, space, space->live.items[i], time, call);
	ARRAY_RELEASE(h->allocator, &space->live);
	space->to = time;
}

/* ---- Processes come and go ---- */

static void new_space(struct history *h, uint32_t process, uint64_t time, uint32_t program)
{
	h->processes.items[process].space = (uint32_t)h->spaces.length;
	h->spaces.items[h->spaces.length++] = (struct history_space){
		.process = process,
		.command = h->processes.items[process].command,
		.program = program,
		.from = time,
		.to = HISTORY_ALIVE,
	};
}

/* Give `child` copies of the regions that `parent` has now. */
static int copy_space(struct history *h, struct history_space *child,
		      const struct history_space *parent, uint64_t time)
{
	size_t nr = parent->live.length;
	if (!ARRAY_RESERVE(h->allocator, &child->regions, nr) ||
	    !ARRAY_RESERVE(h->allocator, &child->live, nr) || !reserve_sample(h, child))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct history_region region = parent->regions.items[parent->live.items[i]];
		region.from = time;
		region.from_call = h->calls;
		region.from_name = "fork";
		region.continues = HISTORY_NONE;
		child->regions.items[i] = region;
		child->live.items[i] = (uint32_t)i;
		count_region(child, &region, 1);
	}
	child->regions.length = child->live.length = nr;
	child->stale = parent->stale;
	add_sample(child, time);
	return 0;
}

int history_fork(struct history *h, pid_t parent, pid_t child, uint64_t time)
{
	int err = history_process(h, child, parent, time, NULL);
	if (err < 0)
		return err;
	uint32_t son = find_process(h, child), father = find_process(h, parent);
	if (son == HISTORY_NONE || father == HISTORY_NONE || h->spaces.length >= MAX_SPACES)
		return 0;
	uint32_t model = h->processes.items[father].space;
	if (model == HISTORY_NONE)
		return 0;
	if (!ARRAY_RESERVE(h->allocator, &h->spaces, 1))
		return -ENOMEM;
	time = tick(h, time);
	new_space(h, son, time, h->spaces.items[model].program);
	struct history_space *space = &h->spaces.items[h->spaces.length - 1];
	space->forked = true;
	err = copy_space(h, space, &h->spaces.items[model], time);
	if (err < 0)
		space->stale = true;
	return err;
}

int history_exec(struct history *h, pid_t pid, uint64_t time, const char *command,
		 const char *program)
{
	time = tick(h, time);
	uint32_t id = find_process(h, pid);
	if (id == HISTORY_NONE)
		return 0;
	struct history_process *process = &h->processes.items[id];
	uint32_t command_name = process->command, program_name = HISTORY_NOBODY;
	if ((command && intern(h, command, &command_name) < 0) ||
	    (program && intern(h, program, &program_name) < 0) ||
	    !ARRAY_RESERVE(h->allocator, &h->spaces, 1)) {
		if (process->space != HISTORY_NONE)
			h->spaces.items[process->space].stale = true;
		return -ENOMEM;
	}
	end_space(h, process->space, time, "execve");
	process->command = command_name;
	process->space = HISTORY_NONE;
	if (h->spaces.length < MAX_SPACES)
		new_space(h, id, time, program_name);
	history_thin_out(h);
	return 0;
}

void history_exit(struct history *h, pid_t pid, uint64_t time, int wait_status)
{
	time = tick(h, time);
	uint32_t id = find_process(h, pid);
	if (id == HISTORY_NONE)
		return;
	struct history_process *process = &h->processes.items[id];
	end_space(h, process->space, time, "exit");
	process->space = HISTORY_NONE;
	process->to = time;
	process->wait_status = wait_status;
	history_thin_out(h);
}

/* ---- Looking for changes ---- */

/* The kind as the source told it, before names and neighbours refined it. */
static enum history_kind told_kind(const struct history_region *region)
{
	if (region->tail)
		return HISTORY_ANONYMOUS;
	if (region->kind == HISTORY_PROGRAM || region->kind == HISTORY_LIBRARY)
		return HISTORY_FILE;
	return (enum history_kind)region->kind;
}

/* Does `vma` map the same thing in the same way as `region`, be it at other addresses? */
static bool alike(const struct history_region *region, const struct history_vma *vma)
{
	return region->flags == (vma->flags & SHOWN_FLAGS) && region->identity == vma->identity &&
	       told_kind(region) == vma->kind &&
	       (!vma->identity ||
		region->offset - region->range.start == vma->offset - vma->range.start);
}

static bool same(const struct history_region *region, const struct history_vma *vma)
{
	return region->range.start == vma->range.start && region->range.end == vma->range.end &&
	       alike(region, vma);
}

static const struct history_region *live_region(const struct history_space *space, size_t i)
{
	return &space->regions.items[space->live.items[i]];
}

/* The first live region that ends above `addr`, as an index into live. */
static size_t find_live(const struct history_space *space, uint64_t addr)
{
	size_t low = 0, high = space->live.length;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (live_region(space, middle)->range.end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool widen(struct memmap_addr_range *window, struct memmap_addr_range range)
{
	if (!memmap_addr_range_overlaps(*window, range) ||
	    memmap_addr_range_is_superset_of(*window, range))
		return false;
	if (range.start < window->start)
		window->start = range.start;
	if (range.end > window->end)
		window->end = range.end;
	return true;
}

/*
 * Everything that can have changed with `touched`: neighbours may have merged with it, so it is
 * widened by a byte on both sides, and then until no region and no VMA straddles an edge.
 *
 *   regions   ████████     ██████
 *   touched         ▒▒▒▒▒▒▒
 *   VMAs      ████         █████████
 *   window    ├────────────────────┤
 */
static struct memmap_addr_range find_window(const struct history_space *space,
					    const struct history_source *source,
					    struct memmap_addr_range touched)
{
	struct memmap_addr_range window = {
		touched.start > 0 ? touched.start - 1 : 0,
		touched.end < UINT64_MAX ? touched.end + 1 : UINT64_MAX,
	};
	bool widened;
	do {
		widened = false;
		uint64_t edges[] = {window.start, window.end - 1};
		for (size_t i = 0; i < 2; i++) {
			size_t at = find_live(space, edges[i]);
			struct history_vma vma;
			if (at < space->live.length)
				widened |= widen(&window, live_region(space, at)->range);
			if (source->find(source->context, edges[i], &vma))
				widened |= widen(&window, vma.range);
		}
	} while (widened);
	return window;
}

/* Gather the VMAs of the window into scratch. */
static int gather(struct history *h, const struct history_source *source,
		  struct memmap_addr_range window)
{
	h->scratch.length = 0;
	struct history_vma vma;
	uint64_t addr = window.start;
	while (source->find(source->context, addr, &vma) && vma.range.start < window.end) {
		if (!ARRAY_RESERVE(h->allocator, &h->scratch, 1))
			return -ENOMEM;
		h->scratch.items[h->scratch.length++] = vma;
		addr = vma.range.end;
	}
	return 0;
}

/* What a new region is called and coloured as; `below` is what lies right below it, or NULL. */
static int name_region(struct history *h, const struct history_space *space,
		       const struct history_source *source, const struct history_vma *vma,
		       const struct history_region *below, struct history_region *region)
{
	char name[NAME_SIZE];
	name[0] = '\0';
	source->name(source->context, vma, name, sizeof(name));
	int err = intern(h, name, &region->name);
	if (err < 0)
		return err;
	region->kind = (uint8_t)vma->kind;
	region->tail = false;
	if (vma->kind == HISTORY_FILE) {
		if (region->name == space->program && region->name != HISTORY_NOBODY)
			region->kind = HISTORY_PROGRAM;
		else if (vma_is_library_name(name) || vma->flags & MEMMAP_VM_EXEC)
			region->kind = HISTORY_LIBRARY;
	} else if (vma->kind == HISTORY_ANONYMOUS && below &&
		   below->range.end == vma->range.start && below->flags & MEMMAP_VM_WRITE &&
		   !(vma->flags & MEMMAP_VM_EXEC) && !below->tail &&
		   (below->kind == HISTORY_PROGRAM || below->kind == HISTORY_LIBRARY)) {
		region->kind = below->kind;
		region->name = below->name;
		region->tail = true;
	}
	return 0;
}

/* What differs between the regions live[first..last) and the VMAs scratch[from..to). */
struct difference {
	size_t first, last;
	size_t from, to;
};

static struct difference find_difference(const struct history *h, const struct history_space *space,
					 struct memmap_addr_range window)
{
	struct difference d = {
		.first = find_live(space, window.start),
		.last = find_live(space, window.end - 1),
		.from = 0,
		.to = h->scratch.length,
	};
	/* The last one may only adjoin the window, but it cannot straddle its edge. */
	if (d.last < space->live.length && live_region(space, d.last)->range.start < window.end)
		d.last++;
	while (d.first < d.last && d.from < d.to &&
	       same(live_region(space, d.first), &h->scratch.items[d.from])) {
		d.first++;
		d.from++;
	}
	while (d.first < d.last && d.from < d.to &&
	       same(live_region(space, d.last - 1), &h->scratch.items[d.to - 1])) {
		d.last--;
		d.to--;
	}
	return d;
}

/*
 * Make the regions of the VMAs scratch[from..to) at the end of the space's array, not counted yet,
 * and note in scratch_live which region stands for each VMA: one that lives on, or a new one.
 */
static int prepare_regions(struct history *h, struct history_space *space,
			   const struct history_source *source, struct difference d, uint64_t time,
			   const char *call)
{
	h->scratch_live.length = 0;
	size_t old = d.first; /* the first live region that no VMA has been matched with */
	for (size_t i = d.from; i < d.to; i++) {
		const struct history_vma *vma = &h->scratch.items[i];
		while (old < d.last && live_region(space, old)->range.end <= vma->range.start)
			old++;
		struct history_region region = {
			.range = vma->range,
			.from = time,
			.to = HISTORY_ALIVE,
			.from_call = h->calls,
			.from_name = call,
			.flags = vma->flags & SHOWN_FLAGS,
			.identity = vma->identity,
			.offset = vma->offset,
			.continues = HISTORY_NONE,
		};
		/* Of those it overlaps, the first alike is what it was before. */
		size_t match = old;
		while (match < d.last && live_region(space, match)->range.start < vma->range.end &&
		       !alike(live_region(space, match), vma))
			match++;
		bool found =
			match < d.last && live_region(space, match)->range.start < vma->range.end;
		if (found) {
			uint32_t id = space->live.items[match];
			old = match + 1;
			if (same(live_region(space, match), vma)) {
				h->scratch_live.items[h->scratch_live.length++] = id;
				continue;
			}
			region.continues = id;
			region.name = space->regions.items[id].name;
			region.kind = space->regions.items[id].kind;
			region.tail = space->regions.items[id].tail;
		} else {
			size_t nr = h->scratch_live.length;
			const struct history_region *below = NULL;
			if (nr > 0)
				below = &space->regions.items[h->scratch_live.items[nr - 1]];
			else if (d.first > 0)
				below = live_region(space, d.first - 1);
			int err = name_region(h, space, source, vma, below, &region);
			if (err < 0)
				return err;
		}
		/* Room was reserved; the array's length tells what counts, so this is undone by it.
		 */
		h->scratch_live.items[h->scratch_live.length++] = (uint32_t)space->regions.length;
		space->regions.items[space->regions.length++] = region;
	}
	return 0;
}

/* Put the regions of scratch_live where live[first..last) was. Nothing can fail any more. */
static void commit_regions(struct history *h, struct history_space *space, struct difference d,
			   size_t first_new, uint64_t time, const char *call)
{
	const uint32_t *ids = h->scratch_live.items;
	size_t nr = h->scratch_live.length, at = 0;
	for (size_t i = d.first; i < d.last; i++) {
		/* Those that live on stand among the new ones, in the same order as before. */
		while (at < nr && ids[at] >= first_new)
			at++;
		if (at < nr && ids[at] == space->live.items[i])
			at++;
		else
			end_region(h, space, space->live.items[i], time, call);
	}
	for (size_t i = first_new; i < space->regions.length; i++)
		count_region(space, &space->regions.items[i], 1);

	uint32_t *live = space->live.items;
	memmove(live + d.first + nr, live + d.last, (space->live.length - d.last) * sizeof(*live));
	if (nr > 0)
		memcpy(live + d.first, ids, nr * sizeof(*live));
	space->live.length = space->live.length - (d.last - d.first) + nr;
}

static int record_changes(struct history *h, struct history_space *space, uint64_t time,
			  const char *call, const struct history_source *source,
			  struct memmap_addr_range touched)
{
	struct memmap_addr_range window = find_window(space, source, touched);
	int err = gather(h, source, window);
	if (err < 0)
		return err;
	struct difference d = find_difference(h, space, window);
	if (d.first == d.last && d.from == d.to)
		return 0;

	size_t nr = d.to - d.from, first_new = space->regions.length;
	if (!ARRAY_RESERVE(h->allocator, &space->regions, nr) ||
	    !ARRAY_RESERVE(h->allocator, &space->live, nr) ||
	    !ARRAY_RESERVE(h->allocator, &h->scratch_live, nr) || !reserve_sample(h, space))
		return -ENOMEM;
	err = prepare_regions(h, space, source, d, time, call);
	if (err < 0) {
		space->regions.length = first_new;
		return err;
	}
	commit_regions(h, space, d, first_new, time, call);
	space->changes++;
	add_sample(space, time);
	return 0;
}

int history_record_source(struct history *h, pid_t pid, uint64_t time, const char *call,
			  const struct history_source *source, struct memmap_addr_range touched)
{
	time = tick(h, time);
	uint32_t id = find_process(h, pid);
	if (id == HISTORY_NONE)
		return 0;
	struct history_process *process = &h->processes.items[id];
	if (call) {
		h->calls++;
		process->calls++;
	}
	if (process->space == HISTORY_NONE)
		return 0;
	struct history_space *space = &h->spaces.items[process->space];
	if (call)
		space->calls++;
	if (space->stale)
		touched = HISTORY_EVERYWHERE;
	if (touched.start >= touched.end)
		return 0;
	int err = record_changes(h, space, time, call, source, touched);
	space->stale = err < 0;
	history_thin_out(h);
	return err;
}
