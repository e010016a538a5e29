/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replayed log as a history. See replay.h.
 *
 * What a mapping maps is told from its line, so that files which only their flags tell apart (one
 * opened for reading and shared) may be of another kind than in the picture of the trace itself.
 */
#include <string.h>

#include "common/vma_kind.h"
#include "replay/replay.h"

struct context {
	const struct image *image;
	const struct text_pool *names;
};

/* Something that differs where what is mapped differs, and is only compared: the name's own text. */
static const void *identity_of(const struct context *c, const struct image_vma *vma)
{
	return vma->inode ? text_pool_get(c->names, vma->name) : NULL;
}

static uint64_t flags_of(const char perms[4])
{
	return (perms[0] == 'r' ? MEMMAP_VM_READ : 0) | (perms[1] == 'w' ? MEMMAP_VM_WRITE : 0) |
	       (perms[2] == 'x' ? MEMMAP_VM_EXEC : 0) |
	       (perms[3] == 's' ? MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE : 0);
}

static bool find(const void *context, uint64_t addr, struct history_vma *out)
{
	const struct context *c = context;
	struct image_iterator it = image_set_lower_bound_segment(&c->image->vmas, addr);
	if (!image_iterator_ok(it))
		return false;
	const struct image_vma *vma = image_iterator_value_ptr(it);
	const struct memmap_addr_range range = image_iterator_range(it);
	const char *name = text_pool_get(c->names, vma->name);
	/* The page of vsyscall is no VMA. */
	if (strcmp(name, "[vsyscall]") == 0)
		return false;
	*out = (struct history_vma){
		.range = range,
		.flags = flags_of(vma->perms),
		.identity = identity_of(c, vma),
		.offset = vma->inode ? vma->offset : range.start,
		.kind = vma_kind_of_line(vma->perms, vma->inode, name, NULL),
	};
	if (out->kind == HISTORY_LIBRARY)
		out->kind = HISTORY_FILE; /* the history tells them apart by itself */
	if (out->kind == HISTORY_SPECIAL)
		out->identity = name;
	return true;
}

static void name(const void *context, const struct history_vma *vma, char *buf, size_t size)
{
	const struct context *c = context;
	struct image_iterator it = image_set_find_segment(&c->image->vmas, vma->range.start);
	buf[0] = '\0';
	if (!image_iterator_ok(it) || vma->kind == HISTORY_HEAP || vma->kind == HISTORY_STACK)
		return;
	const char *text = text_pool_get(c->names, image_iterator_value_ptr(it)->name);
	(void)strncpy(buf, text, size - 1);
	buf[size - 1] = '\0';
}

static int record(struct replay *replay, const struct space *space, const char *call,
		  struct memmap_addr_range touched)
{
	const struct context context = {space->image, &replay->names};
	const struct history_source source = {.context = &context, .find = find, .name = name};
	return history_record_source(replay->history, space->recorder, replay->record.time, call,
				     &source, touched);
}

int replay_history_changes(struct replay *replay, const struct space *space, const char *call)
{
	const struct log_record *r = &replay->record;
	/* A call that has changed nothing counts as well. */
	if (call && r->changes.length == 0)
		return record(replay, space, call, (struct memmap_addr_range){0, MEMMAP_PAGE_SIZE});
	int err = 0;
	for (size_t i = 0; i < r->changes.length && !err; i++)
		err = record(replay, space, i == 0 ? call : NULL, r->changes.items[i].range);
	return err;
}

int replay_history_space(struct replay *replay, const struct space *space)
{
	return record(replay, space, NULL, HISTORY_EVERYWHERE);
}
