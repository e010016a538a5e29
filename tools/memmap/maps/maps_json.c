/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture as JSON. See maps.h; memmap(1) describes the members.
 */
#include <errno.h>
#include <inttypes.h>

#include "common/json_text.h"
#include "common/vma_kind.h"
#include "maps/maps.h"

static void set_counts(json_t *object, const struct capture *capture, const uint64_t *counts)
{
	for (size_t i = 0; capture->has_counts && i < CAPTURE_NR_COUNTS; i++)
		json_object_set_new(object, capture_count_name((enum capture_count)i),
				    json_number(counts[i]));
}

static json_t *vma_of(const struct capture *capture, const struct capture_vma *vma)
{
	char device[32];
	json_t *object = json_object();
	snprintf(device, sizeof(device), "%02x:%02x", vma->major, vma->minor);
	json_object_set_new(object, "start", json_address(vma->range.start));
	json_object_set_new(object, "end", json_address(vma->range.end));
	json_object_set_new(object, "size", json_number(memmap_addr_range_length(vma->range)));
	json_object_set_new(object, "perms", json_string(vma->perms));
	json_object_set_new(object, "offset", json_number(vma->offset));
	json_object_set_new(object, "device", json_string(device));
	json_object_set_new(object, "inode", json_number(vma->inode));
	json_object_set_new(object, "name", json_text(vma->name));
	json_object_set_new(object, "kind", json_string(vma_kind_name(vma->kind)));
	set_counts(object, capture, vma->counts);
	return object;
}

static json_t *group_of(const struct capture *capture, const struct maps_group *group,
			const char *key)
{
	json_t *object = json_object();
	if (key)
		json_object_set_new(object, key, json_text(group->name));
	json_object_set_new(object, "mappings", json_number(group->nr_vmas));
	json_object_set_new(object, "size", json_number(group->size));
	set_counts(object, capture, group->counts);
	return object;
}

int maps_print_json(struct capture *capture, const struct maps_options *options, FILE *out)
{
	static const char *const keys[] = {NULL, "file", "kind", "perms"};
	struct maps_groups groups;
	int err = maps_groups_make(&groups, capture, options);
	if (err)
		return err;
	json_begin();
	json_t *object = json_object(), *list = json_array();
	json_object_set_new(object, "source", json_text(capture->source));
	json_object_set_new(object, "program",
			    capture->program[0] ? json_text(capture->program) : json_null());
	if (options->by == MAPS_BY_VMA) {
		maps_sort_vmas(capture, options->sort);
		for (size_t i = 0; i < capture->vmas.length; i++)
			json_array_append_new(list, vma_of(capture, &capture->vmas.items[i]));
		json_object_set_new(object, "mappings", list);
	} else {
		for (size_t i = 0; i < groups.groups.length; i++)
			json_array_append_new(list, group_of(capture, &groups.groups.items[i],
							     keys[options->by]));
		json_object_set_new(object, "groups", list);
	}
	json_object_set_new(object, "total", group_of(capture, &groups.total, NULL));
	err = json_write(object, out);
	maps_groups_release(&groups);
	return err;
}
