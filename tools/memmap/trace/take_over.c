/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking over what the kernel shows: after an exec, after a difference, and after a call that the
 * model has no rules for.
 *
 * maps tells the ranges, permissions and names; smaps tells the flags; what neither tells (which
 * open file, whose anonymous pages, where the memory was first mapped) is kept from what the model
 * had at the same addresses, and otherwise taken to be new.
 *
 * Where the kernel keeps two look-alikes apart, something must keep them apart in the model too, or
 * it would merge them at the next chance: different flags if there are any, else owners of
 * anonymous pages of their own, else open files of their own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "trace/trace.h"

/* Owners made up here lie above all that the model itself counts up. */
#define MADE_UP_OWNER (UINT64_C(1) << 62)

#define USERFAULT_FLAGS (MEMMAP_VM_UFFD_MISSING | MEMMAP_VM_UFFD_WP | MEMMAP_VM_UFFD_MINOR)

struct batch {
	struct trace *trace;
	struct space *space;
	ARRAY(struct memmap_vma) vmas;
};

static uint64_t made_up_owner(void)
{
	static uint64_t last = MADE_UP_OWNER;
	return ++last;
}

/* A name that outlives every model. NULL when out of memory. */
static const char *special_name(struct trace *trace, const struct memmap_maps_line *line)
{
	for (size_t i = 0; i < trace->special_names.length; i++) {
		const char *name = trace->special_names.items[i];
		if (strlen(name) == line->name_length &&
		    memcmp(name, line->name, line->name_length) == 0)
			return name;
	}
	char *name = strndup(line->name, line->name_length);
	if (!name || !ARRAY_RESERVE(NULL, &trace->special_names, 1)) {
		free(name);
		return NULL;
	}
	trace->special_names.items[trace->special_names.length++] = name;
	return name;
}

static bool name_is(const struct memmap_maps_line *line, const char *name)
{
	return line->name_length == strlen(name) && memcmp(line->name, name, strlen(name)) == 0;
}

/* The flags that `perms` tell, where smaps has nothing to say. */
static uint64_t flags_of_perms(const char perms[4])
{
	uint64_t flags = MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYWRITE | MEMMAP_VM_MAYEXEC;
	if (perms[0] == 'r')
		flags |= MEMMAP_VM_READ;
	if (perms[1] == 'w')
		flags |= MEMMAP_VM_WRITE;
	if (perms[2] == 'x')
		flags |= MEMMAP_VM_EXEC;
	if (perms[3] == 's')
		flags |= MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
	return flags;
}

/* The flags of the VMA that `line` shows. `smaps` and `end` walk on through the text of smaps. */
static uint64_t flags_of(const struct memmap_maps_line *line, const char **smaps, const char *end)
{
	struct memmap_addr_range range;
	uint64_t flags;
	const char *at = *smaps;
	while (memmap_smaps_text_next(&at, end, &range, &flags)) {
		if (range.start >= line->range.end)
			break;
		*smaps = at;
		/* A stack may have grown between reading the one and the other. */
		if (range.end == line->range.end)
			return flags;
	}
	return flags_of_perms(line->perms);
}

static bool same_file(const struct memmap_vma *vma, const struct memmap_maps_line *line)
{
	if (!vma->identity)
		return false;
	const uint64_t device = memmap_mapping_identity_device_id(vma->identity);
	return device == makedev(line->major, line->minor) &&
	       memmap_mapping_identity_inode_id(vma->identity) == line->inode;
}

/* What the model has at the addresses of `line`, if it looks like the same thing. */
static bool find_before(struct space *space, const struct memmap_maps_line *line,
			struct memmap_vma *out)
{
	for (uint64_t at = line->range.start; memmap_mm_find_vma(space->mm, at, out);
	     at = out->range.end) {
		if (out->range.start >= line->range.end)
			return false;
		if (memmap_maps_line_is_file(line) ? same_file(out, line) : !out->identity)
			return true;
	}
	return false;
}

static int set_file(struct batch *batch, const struct memmap_maps_line *line,
		    const struct memmap_vma *before, bool apart, struct memmap_vma *vma)
{
	struct memmap_mapping_identity *identity = before && !apart ? before->identity : NULL;
	/* One file of an exec is one open file. */
	for (size_t i = batch->vmas.length; i > 0 && !identity && !apart; i--)
		if (same_file(&batch->vmas.items[i - 1], line))
			identity = batch->vmas.items[i - 1].identity;
	struct opened_file *opened;
	if (identity) {
		memmap_mapping_identity_inc_ref(identity);
		opened = opened_file_of(identity);
	} else {
		int err = files_show(batch->trace->files, makedev(line->major, line->minor),
				     line->inode, line->name, line->name_length, &opened);
		if (err)
			return err;
	}
	vma->identity = &opened->identity;
	vma->mappable = &opened->file->mappable;
	vma->offset = line->offset;
	/* smaps does not show that what is attached counts. */
	vma->flags |= opened->facts.extra_flags & MEMMAP_VM_CLOSES;
	return 0;
}

/* `line_before`: the one that maps shows before it; NULL: none. */
static int add_line(struct batch *batch, const struct memmap_maps_line *line,
		    const struct memmap_maps_line *line_before, uint64_t flags)
{
	if (!ARRAY_RESERVE(NULL, &batch->vmas, 1))
		return -ENOMEM;
	struct memmap_vma vma = {.range = line->range, .flags = flags, .offset = line->range.start};
	struct memmap_vma before;
	const bool known = find_before(batch->space, line, &before);
	if (known) {
		vma.anon_vma = before.anon_vma;
		vma.fork_child = before.fork_child;
		vma.huge_aligned = before.huge_aligned;
		vma.policy = before.policy;
		vma.userfault = flags & USERFAULT_FLAGS ? before.userfault : 0;
		vma.offset = before.offset + (line->range.start - before.range.start);
	}
	/* Would it merge with the one before it? Then the kernel has a reason that we cannot see.
	 */
	const struct memmap_vma *last =
		batch->vmas.length > 0 ? &batch->vmas.items[batch->vmas.length - 1] : NULL;
	const bool alike = last && last->range.end == line->range.start && last->flags == flags &&
			   last->anon_vma == vma.anon_vma && line_before &&
			   memmap_maps_line_continues(line_before, line);
	const bool is_shared = (flags & MEMMAP_VM_MAYSHARE) != 0;
	if (alike && !is_shared)
		vma.anon_vma = made_up_owner();
	int err = 0;
	if (memmap_maps_line_is_file(line)) {
		err = set_file(batch, line, known ? &before : NULL, alike && is_shared, &vma);
	} else if (line->name_length > 0 && !name_is(line, "[heap]") && !name_is(line, "[stack]")) {
		vma.name = special_name(batch->trace, line);
		err = vma.name ? 0 : -ENOMEM;
	}
	if (!err)
		batch->vmas.items[batch->vmas.length++] = vma;
	return err;
}

int take_over(struct trace *trace, struct space *space, struct memmap_addr_range range,
	      const struct memmap_maps_line *lines, size_t nr_lines)
{
	struct batch batch = {.trace = trace, .space = space};
	const char *smaps = "", *end = smaps;
	if (memmap_proc_reader_open(&trace->smaps, space->pid, "smaps") == 0 &&
	    memmap_proc_reader_read(&trace->smaps) == 0) {
		smaps = trace->smaps.data;
		end = smaps + trace->smaps.length;
	}
	int err = 0;
	for (size_t i = 0; i < nr_lines && !err; i++)
		if (lines[i].range.start >= range.start && lines[i].range.end <= range.end)
			err = add_line(&batch, &lines[i], i > 0 ? &lines[i - 1] : NULL,
				       flags_of(&lines[i], &smaps, end));
	if (!err)
		err = memmap_mm_replace(space->mm, range, batch.vmas.items, batch.vmas.length);
	for (size_t i = 0; i < batch.vmas.length; i++)
		if (batch.vmas.items[i].identity)
			memmap_mapping_identity_dec_ref(batch.vmas.items[i].identity, NULL);
	ARRAY_RELEASE(NULL, &batch.vmas);
	return err;
}
