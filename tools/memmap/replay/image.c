/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces as maps shows them. See image.h.
 */
#include "replay/image.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_COLUMN 73

uint64_t image_digest(const char *text, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/*
 * ---- Images ----
 */

struct image *image_create(void)
{
	return calloc(1, sizeof(struct image));
}

void image_clear(struct image *image)
{
	image_set_remove_all(&image->vmas);
	image->nr_vmas = 0;
}

void image_release(struct image *image)
{
	if (!image)
		return;
	image_set_destroy(&image->vmas);
	free(image);
}

struct image *image_copy(const struct image *from)
{
	struct image *copy = image_create();
	if (!copy)
		return NULL;
	for (struct image_iterator it = image_set_first_segment(&from->vmas); image_iterator_ok(it);
	     it = image_iterator_next_segment(it)) {
		if (image_set_add_without_merging(&copy->vmas, image_iterator_range(it),
						  image_iterator_value(it)) < 0) {
			image_release(copy);
			return NULL;
		}
	}
	copy->nr_vmas = from->nr_vmas;
	return copy;
}

int image_insert(struct image *image, struct text_pool *pool, const struct memmap_maps_line *line)
{
	struct image_vma vma = {.offset = line->offset,
				.inode = line->inode,
				.major = line->major,
				.minor = line->minor};
	memcpy(vma.perms, line->perms, sizeof(vma.perms));
	vma.name = text_pool_intern(pool, line->name, line->name_length);
	if (vma.name == TEXT_POOL_FULL)
		return -ENOMEM;
	if (!image_set_is_empty_range(&image->vmas, line->range))
		return -EEXIST;
	const int err = image_set_add_without_merging(&image->vmas, line->range, vma);
	if (err < 0)
		return err;
	image->nr_vmas++;
	return 0;
}

int image_remove(struct image *image, struct memmap_addr_range range)
{
	struct image_iterator it = image_set_find_segment(&image->vmas, range.start);
	if (!image_iterator_ok(it) || image_iterator_start(it) != range.start ||
	    image_iterator_end(it) != range.end)
		return -ENOENT;
	(void)image_set_remove(&image->vmas, it);
	image->nr_vmas--;
	return 0;
}

bool image_has_line(const struct text_pool *pool, struct image_iterator it,
		    const struct memmap_maps_line *line)
{
	const struct image_vma *vma = image_iterator_value_ptr(it);
	if (image_iterator_start(it) != line->range.start ||
	    image_iterator_end(it) != line->range.end || vma->offset != line->offset ||
	    vma->inode != line->inode || vma->major != line->major || vma->minor != line->minor ||
	    memcmp(vma->perms, line->perms, sizeof(vma->perms)) != 0)
		return false;
	const char *name = text_pool_get(pool, vma->name);
	return strncmp(name, line->name, line->name_length) == 0 && name[line->name_length] == '\0';
}

/*
 * ---- Printing ----
 */

/* Room for `more` bytes; memmap_text_release() frees what the default allocator gave. */
static bool reserve(struct memmap_text *text, size_t more)
{
	return array_reserve(NULL, (void **)&text->data, &text->capacity, text->length, more, 1);
}

int image_print_vma(const struct text_pool *pool, struct memmap_addr_range range,
		    const struct image_vma *vma, struct memmap_text *text)
{
	char fixed[160];
	const char *name = text_pool_get(pool, vma->name);
	int length = snprintf(fixed, sizeof(fixed),
			      "%08" PRIx64 "-%08" PRIx64 " %.4s %08" PRIx64 " %02" PRIx32
			      ":%02" PRIx32 " %" PRIu64 " ",
			      range.start, range.end, vma->perms, vma->offset, vma->major,
			      vma->minor, vma->inode);
	const size_t name_length = strlen(name);
	if (length < 0 || !reserve(text, (size_t)length + NAME_COLUMN + name_length + 2))
		return -ENOMEM;
	memcpy(text->data + text->length, fixed, (size_t)length);
	text->length += (size_t)length;
	if (name_length > 0) {
		do
			text->data[text->length++] = ' ';
		while (++length < NAME_COLUMN);
		memcpy(text->data + text->length, name, name_length);
		text->length += name_length;
	}
	text->data[text->length++] = '\n';
	return 0;
}

int image_print(const struct image *image, const struct text_pool *pool, struct memmap_text *text)
{
	text->length = 0;
	for (struct image_iterator it = image_set_first_segment(&image->vmas);
	     image_iterator_ok(it); it = image_iterator_next_segment(it))
		if (image_print_vma(pool, image_iterator_range(it), image_iterator_value_ptr(it),
				    text))
			return -ENOMEM;
	if (!reserve(text, 1))
		return -ENOMEM;
	text->data[text->length] = '\0';
	return 0;
}
