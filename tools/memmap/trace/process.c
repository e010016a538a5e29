/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces and what the model must be told of their processes.
 */
#include "trace/process.h"

#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "replay/image.h"
#include "report/record.h"

#ifndef PR_GET_MDWE
#	define PR_GET_MDWE 66
#endif
#define MDWE_INHERITED 1 /* PR_MDWE_REFUSE_EXEC_GAIN alone */

#define CAPABILITY(n) (UINT64_C(1) << (n))
#define CAP_IPC_LOCK  CAPABILITY(14)
#define CAP_SYS_RAWIO CAPABILITY(17)

struct space *space_create(struct space **list, pid_t pid)
{
	struct space *space = calloc(1, sizeof(*space));
	if (!space)
		return NULL;
	space->nr_references = 1;
	space->pid = pid;
	space->recorder = pid;
	space->maps.fd = -1;
	space->pagemap_fd = -1;
	space->next = *list;
	space->link = list;
	if (space->next)
		space->next->link = &space->next;
	*list = space;
	return space;
}

void space_put(struct space *space)
{
	if (!space || --space->nr_references > 0)
		return;
	*space->link = space->next;
	if (space->next)
		space->next->link = space->link;
	memmap_mm_release(space->mm);
	memmap_proc_reader_release(&space->maps);
	if (space->pagemap_fd >= 0)
		close(space->pagemap_fd);
	memmap_text_release(&space->text);
	userfaults_release(space);
	image_release(space->image);
	space_record_release(space->record);
	free(space);
}

static bool open_pagemap(struct space *space)
{
	if (space->pagemap_fd < 0)
		space->pagemap_fd = memmap_pagemap_open(space->pid);
	return space->pagemap_fd >= 0;
}

static bool is_known_empty(const struct space *space, struct memmap_addr_range ar)
{
	for (size_t i = 0; i < NR_EMPTY; i++)
		if (memmap_addr_range_is_superset_of(space->empty[i], ar))
			return true;
	return false;
}

void space_note_empty(struct space *space, struct memmap_addr_range ar)
{
	if (is_known_empty(space, ar))
		return;
	size_t i = 0;
	while (i < NR_EMPTY && !memmap_addr_range_overlaps(space->empty[i], ar))
		i++;
	space->empty[i < NR_EMPTY ? i : space->next_empty++ % NR_EMPTY] = ar;
}

void space_forget_empty(struct space *space, struct memmap_addr_range ar)
{
	for (size_t i = 0; i < NR_EMPTY; i++) {
		struct memmap_addr_range *empty = &space->empty[i];
		if (!memmap_addr_range_overlaps(*empty, ar))
			continue;
		const uint64_t before = ar.start > empty->start ? ar.start - empty->start : 0;
		const uint64_t after = empty->end > ar.end ? empty->end - ar.end : 0;
		if (before > after)
			empty->end = ar.start;
		else
			empty->start = after > 0 ? ar.end : empty->end;
	}
}

bool space_has_anonymous(void *context, struct memmap_addr_range ar)
{
	struct space *space = context;
	if (space->copy)
		space = space->copy;
	return !is_known_empty(space, ar) && open_pagemap(space) &&
	       memmap_has_anonymous_pages(space->pagemap_fd, ar) == 1;
}

uint64_t process_call_ns(const struct process *process, enum call_id id)
{
	const struct call_counts *known =
		process->calls.timed[id] > 0 ? &process->calls : process->calls_of_all;
	if (known->timed[id] == 0)
		return 0;
	return (uint64_t)((double)known->ns[id] / (double)known->timed[id] *
			  (double)process->calls.made[id]);
}

void process_refresh_credentials(struct process *process)
{
	uint64_t capabilities;
	pid_t tgid, tracer;
	if (memmap_process_status(process->pid, &capabilities, &tgid, &tracer))
		return;
	process->credentials_stale = false;
	process->limits.cap_ipc_lock = (capabilities & CAP_IPC_LOCK) != 0;
	process->limits.cap_sys_rawio = (capabilities & CAP_SYS_RAWIO) != 0;
	if (process->space)
		process->space->limits_of = NULL;
}

void process_refresh_limits(struct process *process)
{
	struct memmap_mm_limits *limits = &process->limits;
	struct memmap_process_limit limit;
	if (memmap_process_limit(process->pid, RLIMIT_AS, &limit) == 0)
		limits->address_space = limit.soft;
	if (memmap_process_limit(process->pid, RLIMIT_DATA, &limit) == 0) {
		limits->data = limit.soft;
		limits->data_max = limit.hard;
	}
	if (memmap_process_limit(process->pid, RLIMIT_STACK, &limit) == 0)
		limits->stack = limit.soft;
	if (memmap_process_limit(process->pid, RLIMIT_MEMLOCK, &limit) == 0)
		limits->memlock = limit.soft;
	process->personality = memmap_process_personality(process->pid);
	limits->read_implies_exec = (process->personality & READ_IMPLIES_EXEC) != 0;
	if (process->space)
		process->space->limits_of = NULL;
}

void process_renew(struct process *process)
{
	if (process->denial_ends)
		process->limits.deny_write_exec = false;
	process->denial_ends = false;
}

void process_use_limits(struct process *process)
{
	if (process->space->limits_of == process)
		return;
	process->space->limits_of = process;
	memmap_mm_set_limits(process->space->mm, &process->limits);
}

void limits_of_machine(struct memmap_mm_limits *limits)
{
	memmap_mm_limits_default(limits);
	limits->max_map_count = (uint32_t)memmap_sysctl("/proc/sys/vm/max_map_count", 65530);
	limits->overcommit = (int)memmap_sysctl("/proc/sys/vm/overcommit_memory", 0);
	limits->huge_pages = memmap_kernel_huge_pages();
	limits->no_zero_page = !memmap_kernel_has_zero_page();
	/* It is inherited, by whoever is started here, too. */
	limits->deny_write_exec = prctl(PR_GET_MDWE, 0, 0, 0, 0) == MDWE_INHERITED;
	struct sysinfo info;
	if (sysinfo(&info) == 0) {
		const uint64_t unit = info.mem_unit ? info.mem_unit : 1;
		limits->overcommit_pages =
			(info.totalram + info.totalswap) * unit >> MEMMAP_PAGE_SHIFT;
	}
}
