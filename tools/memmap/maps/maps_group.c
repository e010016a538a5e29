/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of mappings, and their order. See maps.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/vma_kind.h"
#include "maps/maps.h"

const char *maps_name(const struct capture_vma *vma)
{
	return vma->name[0] ? vma->name : "[anonymous]";
}

static const char *key_of(const struct capture_vma *vma, enum maps_by by)
{
	if (by == MAPS_BY_PERM)
		return vma->perms;
	return by == MAPS_BY_KIND ? vma_kind_name(vma->kind) : maps_name(vma);
}

static void add(struct maps_group *group, const struct capture_vma *vma)
{
	group->nr_vmas++;
	group->size += memmap_addr_range_length(vma->range);
	for (size_t i = 0; i < CAPTURE_NR_COUNTS; i++)
		group->counts[i] += vma->counts[i];
}

/*
 * ---- Order ----
 */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_groups(const struct maps_group *a, const struct maps_group *b,
			  enum maps_sort sort)
{
	int result = 0;
	if (sort == MAPS_SORT_NAME)
		result = strcmp(a->name, b->name);
	else if (sort == MAPS_SORT_RSS || sort == MAPS_SORT_PSS)
		result = compare_numbers(
			b->counts[sort == MAPS_SORT_RSS ? CAPTURE_RSS : CAPTURE_PSS],
			a->counts[sort == MAPS_SORT_RSS ? CAPTURE_RSS : CAPTURE_PSS]);
	if (!result && sort != MAPS_SORT_ADDRESS && sort != MAPS_SORT_NAME)
		result = compare_numbers(b->size, a->size);
	return result ? result : compare_numbers(a->first, b->first);
}

/* qsort() takes no context: one function for each order. */
#define COMPARE(sort)                                                                              \
	static int groups_##sort(const void *a, const void *b)                                     \
	{                                                                                          \
		return compare_groups(a, b, sort);                                                 \
	}                                                                                          \
	static int vmas_##sort(const void *a, const void *b)                                       \
	{                                                                                          \
		const struct capture_vma *first = a, *second = b;                                  \
		struct maps_group one = {.name = first->name, .first = first->range.start};        \
		struct maps_group two = {.name = second->name, .first = second->range.start};      \
		add(&one, first);                                                                  \
		add(&two, second);                                                                 \
		return compare_groups(&one, &two, sort);                                           \
	}
COMPARE(MAPS_SORT_ADDRESS)
COMPARE(MAPS_SORT_SIZE)
COMPARE(MAPS_SORT_RSS)
COMPARE(MAPS_SORT_PSS)
COMPARE(MAPS_SORT_NAME)

static const struct {
	int (*groups)(const void *a, const void *b);
	int (*vmas)(const void *a, const void *b);
} orders[] = {
	[MAPS_SORT_DEFAULT] = {groups_MAPS_SORT_SIZE, vmas_MAPS_SORT_ADDRESS},
	[MAPS_SORT_ADDRESS] = {groups_MAPS_SORT_ADDRESS, vmas_MAPS_SORT_ADDRESS},
	[MAPS_SORT_SIZE] = {groups_MAPS_SORT_SIZE, vmas_MAPS_SORT_SIZE},
	[MAPS_SORT_RSS] = {groups_MAPS_SORT_RSS, vmas_MAPS_SORT_RSS},
	[MAPS_SORT_PSS] = {groups_MAPS_SORT_PSS, vmas_MAPS_SORT_PSS},
	[MAPS_SORT_NAME] = {groups_MAPS_SORT_NAME, vmas_MAPS_SORT_NAME},
};

void maps_sort_vmas(struct capture *capture, enum maps_sort sort)
{
	if (capture->vmas.length > 0)
		qsort(capture->vmas.items, capture->vmas.length, sizeof(struct capture_vma),
		      orders[sort].vmas);
}

/*
 * ---- Groups ----
 */

struct keyed {
	const char *key;
	const struct capture_vma *vma;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *first = a, *second = b;
	const int result = strcmp(first->key, second->key);
	return result ? result : compare_numbers(first->vma->range.start, second->vma->range.start);
}

/* Those with one key stand side by side in `keyed`. */
static int collect(struct maps_groups *groups, const struct keyed *keyed, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (i == 0 || strcmp(keyed[i].key, keyed[i - 1].key) != 0) {
			if (!ARRAY_RESERVE(NULL, &groups->groups, 1))
				return -ENOMEM;
			groups->groups.items[groups->groups.length++] = (struct maps_group){
				.name = keyed[i].key, .first = keyed[i].vma->range.start};
		}
		add(&groups->groups.items[groups->groups.length - 1], keyed[i].vma);
	}
	return 0;
}

int maps_groups_make(struct maps_groups *groups, const struct capture *capture,
		     const struct maps_options *options)
{
	const size_t nr = capture->vmas.length;
	*groups = (struct maps_groups){.total = {.name = "total"}};
	for (size_t i = 0; i < nr; i++)
		add(&groups->total, &capture->vmas.items[i]);
	if (options->by == MAPS_BY_VMA || nr == 0)
		return 0;
	struct keyed *keyed = calloc(nr, sizeof(*keyed));
	if (!keyed)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		keyed[i] = (struct keyed){key_of(&capture->vmas.items[i], options->by),
					  &capture->vmas.items[i]};
	qsort(keyed, nr, sizeof(*keyed), compare_keyed);
	const int err = collect(groups, keyed, nr);
	free(keyed);
	if (err) {
		maps_groups_release(groups);
		return err;
	}
	enum maps_sort sort = options->sort;
	if (sort == MAPS_SORT_DEFAULT && capture->has_counts)
		sort = MAPS_SORT_RSS;
	qsort(groups->groups.items, groups->groups.length, sizeof(struct maps_group),
	      orders[sort].groups);
	return 0;
}

void maps_groups_release(struct maps_groups *groups)
{
	ARRAY_RELEASE(NULL, &groups->groups);
}
