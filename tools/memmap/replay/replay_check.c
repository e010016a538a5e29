/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replay by the model. See replay.h.
 *
 * Every mapping that the log tells of is also put into a struct memmap_mm, which tells the file of
 * it; so each file's reverse map grows and shrinks as it did in the trace. After each record the
 * model's text is compared with the log's lines where they have changed; at times the whole: the
 * model's structure, its text, the kernel's text by its digest, and all reverse maps with all VMAs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "options.h"
#include "replay/replay.h"
#include "trace/trace.h"

/* How many differences are told in words. */
#define TOLD_DIFFERENCES 10

static void difference(struct replay *replay, const char *what)
{
	if (++replay->check.nr_differences <= TOLD_DIFFERENCES)
		error_line("%s:%zu: process %d: %s", replay->path, replay->record.line_number,
			   (int)replay->record.pid, what);
}

int replay_check_space(struct replay *replay, struct space *space, const struct space *parent)
{
	(void)replay;
	if (parent && parent->mm)
		return memmap_mm_fork(parent->mm, NULL, &space->mm);
	struct memmap_mm_options options = {0};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	options.layout.min_addr = 0;
	/* The heap and the stack have their names in the log. */
	options.layout.start_brk = options.layout.brk = 0;
	options.layout.start_stack = UINT64_MAX;
	return memmap_mm_create(&options, &space->mm);
}

static bool is_vsyscall(struct memmap_addr_range range)
{
	return range.start >= UINT64_C(0xffffffffff600000);
}

int replay_check_remove(struct replay *replay, struct space *space, struct memmap_addr_range range)
{
	(void)replay;
	return is_vsyscall(range) ? 0 : memmap_mm_replace(space->mm, range, NULL, 0);
}

static uint64_t flags_of(const char perms[4])
{
	uint64_t flags = MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYWRITE | MEMMAP_VM_MAYEXEC;
	flags |= perms[0] == 'r' ? MEMMAP_VM_READ : 0;
	flags |= perms[1] == 'w' ? MEMMAP_VM_WRITE : 0;
	flags |= perms[2] == 'x' ? MEMMAP_VM_EXEC : 0;
	return flags | (perms[3] == 's' ? MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE : 0);
}

int replay_check_insert(struct replay *replay, struct space *space,
			const struct memmap_maps_line *line)
{
	struct opened_file *opened = NULL;
	struct memmap_vma vma = {
		.range = line->range, .flags = flags_of(line->perms), .offset = line->range.start};
	if (is_vsyscall(line->range)) {
		struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
		layout.vsyscall = true;
		return memmap_mm_set_layout(space->mm, &layout);
	}
	if (memmap_maps_line_is_file(line)) {
		const int err = files_show(replay->files, makedev(line->major, line->minor),
					   line->inode, line->name, line->name_length, &opened);
		if (err)
			return err;
		vma.identity = opened->facts.identity;
		vma.mappable = opened->facts.mappable;
		vma.offset = line->offset;
	} else if (line->name_length > 0) {
		const uint32_t name =
			text_pool_intern(&replay->names, line->name, line->name_length);
		if (name == TEXT_POOL_FULL)
			return -ENOMEM;
		vma.name = text_pool_get(&replay->names, name);
	}
	int err = memmap_mm_replace(space->mm, line->range, &vma, 1);
	if (opened)
		opened_file_put(opened);
	if (err == -EINVAL) {
		difference(replay, "the model cannot hold a mapping that the log tells of");
		err = 0;
	}
	return err;
}

static bool same(const struct memmap_text *a, const struct memmap_text *b)
{
	return a->length == b->length &&
	       (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* What the image has in `range`, as text. */
static int print_range(struct replay *replay, const struct space *space,
		       struct memmap_addr_range range, struct memmap_text *text)
{
	text->length = 0;
	for (struct image_iterator it =
		     image_set_lower_bound_segment(&space->image->vmas, range.start);
	     image_iterator_ok(it) && image_iterator_start(it) < range.end;
	     it = image_iterator_next_segment(it))
		if (image_print_vma(&replay->names, image_iterator_range(it),
				    image_iterator_value_ptr(it), text))
			return -ENOMEM;
	return 0;
}

/* Compare texts in `range`. */
static int compare(struct replay *replay, const struct space *space, struct memmap_addr_range range)
{
	struct memmap_text image = {0}, model = {0};
	int err = print_range(replay, space, range, &image);
	if (!err)
		err = memmap_mm_print_maps_range(space->mm, range, &model);
	if (!err && !same(&image, &model))
		difference(replay, "the model's maps are not those of the log");
	memmap_text_release(&image);
	memmap_text_release(&model);
	return err;
}

int replay_check_changes(struct replay *replay, struct space *space)
{
	const struct log_record *record = &replay->record;
	struct memmap_addr_range range = {UINT64_MAX, 0};
	for (size_t i = 0; i < record->changes.length; i++) {
		const struct memmap_addr_range r = record->changes.items[i].range;
		range.start = r.start < range.start ? r.start : range.start;
		range.end = r.end > range.end ? r.end : range.end;
	}
	replay->check.nr_changes++;
	return compare(replay, space, range);
}

int replay_check_whole(struct replay *replay, struct space *space)
{
	const struct memmap_addr_range everywhere = {0, UINT64_MAX};
	if (memmap_mm_verify(space->mm))
		difference(replay, "the model's structure is broken");
	const char *wrong = reverse_maps_wrong(replay->files, replay->spaces);
	if (wrong)
		difference(replay, wrong);
	replay->check.nr_reverse_maps++;
	replay->check.nr_whole++;
	return compare(replay, space, everywhere);
}

int replay_check_digest(struct replay *replay, const struct space *space)
{
	struct memmap_text text = {0};
	const int err = image_print(space->image, &replay->names, &text);
	if (err)
		return err;
	replay->check.nr_digests++;
	if (space->image->nr_vmas != replay->record.number ||
	    image_digest(text.data, text.length) != replay->record.digest)
		difference(replay, "the log's mappings are not those that the kernel showed");
	memmap_text_release(&text);
	return 0;
}
