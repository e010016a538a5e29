/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounding the memory of a history: what was too short-lived to be seen is joined.
 *
 * Invariants, besides those of history.c:
 *   - a region with `joined` > 0 has ended, continues nothing and is continued by nothing; it
 * covers every region that it stands for, in addresses and in time;
 *   - there are at most MAX_JOINED of them in a space, and an eighth of the limit in all;
 *   - nr_forgotten counts every region that was joined into such a one, became one, or is gone.
 */
#include "history/history_data.h"

enum { MAX_JOINED = 24 };

/* What is farther apart than this is not joined: bytes. */
#define MAX_JOIN_DISTANCE (UINT64_C(64) << 20)

/* How much of the whole history something lasted, by time or by calls, whichever is more: 0 to 1.
 */
static double share_of_history(const struct history *h, const struct history_region *region)
{
	uint64_t time = h->to - h->from;
	double by_time = time ? (double)(region->to - region->from) / (double)time : 0;
	double by_calls =
		h->calls ? (double)(region->to_call - region->from_call) / (double)h->calls : 0;
	return by_time > by_calls ? by_time : by_calls;
}

/* How far `range` is from `other`; 0: they touch. */
static uint64_t distance(struct memmap_addr_range range, struct memmap_addr_range other)
{
	if (range.start > other.end)
		return range.start - other.end;
	return other.start > range.end ? other.start - range.end : 0;
}

/* The regions of one space that stand for others, as indices. */
struct joined {
	uint32_t ids[MAX_JOINED];
	size_t nr;
};

/*
 * Forget the short-lived region `id`: count it in with the nearest one of its kind that stands for
 * others. When there is none nearby, and room for one more, it becomes such a one itself.
 *
 * Returns whether it has to be kept.
 */
static bool forget_region(struct history *h, struct history_space *space, struct joined *joined,
			  uint32_t id)
{
	struct history_region *regions = space->regions.items, *region = &regions[id], *heir = NULL;
	uint64_t lasted = region->to - region->from, nearest = MAX_JOIN_DISTANCE;
	space->nr_forgotten++;
	if (lasted > space->longest_forgotten)
		space->longest_forgotten = lasted;
	for (size_t i = 0; i < joined->nr; i++) {
		struct history_region *other = &regions[joined->ids[i]];
		if (other->kind == region->kind &&
		    distance(region->range, other->range) < nearest) {
			nearest = distance(region->range, other->range);
			heir = other;
		}
	}
	if (!heir) {
		if (joined->nr == MAX_JOINED || h->nr_joined >= h->max_regions / 8)
			return false;
		region->joined = 1;
		joined->ids[joined->nr++] = id;
		h->nr_joined++;
		return true;
	}
	heir->joined += heir->joined < UINT32_MAX;
	if (region->range.start < heir->range.start)
		heir->range.start = region->range.start;
	if (region->range.end > heir->range.end)
		heir->range.end = region->range.end;
	if (region->from < heir->from)
		heir->from = region->from;
	if (region->to > heir->to)
		heir->to = region->to;
	return false;
}

/* `heir` continues `region`, which is dropped: it takes over its beginning. */
static void take_over(struct history_region *heir, const struct history_region *region)
{
	heir->from = region->from;
	heir->from_call = region->from_call;
	heir->from_name = region->from_name;
	heir->continues = region->continues;
}

/*
 * Drop what lasted less than `threshold` from one space: a region that another one continues is
 * joined into that one, the others are forgotten.
 *
 *   R ██|N █████        N ███████          `next` tells N of R
 *
 * Returns false, and nothing has changed, when out of memory.
 */
static bool thin_out_space(struct history *h, struct history_space *space, double threshold)
{
	size_t nr = space->regions.length;
	struct history_region *regions = space->regions.items;
	if (space->nr_ended == 0)
		return true;
	uint32_t *next = memmap_allocate(h->allocator, nr * sizeof(*next), sizeof(*next));
	if (!next)
		return false;

	struct joined joined = {.nr = 0};
	for (size_t i = 0; i < nr; i++)
		next[i] = HISTORY_NONE;
	for (size_t i = 0; i < nr; i++) {
		if (regions[i].continues != HISTORY_NONE)
			next[regions[i].continues] = (uint32_t)i;
		if (regions[i].joined > 0)
			joined.ids[joined.nr++] = (uint32_t)i;
	}

	/* A region only refers to earlier ones, so its new number is known when it is moved. */
	uint32_t *moved = next;
	size_t kept = 0;
	for (size_t i = 0; i < nr; i++) {
		struct history_region *region = &regions[i];
		uint32_t follower = next[i];
		bool drop = region->to != HISTORY_ALIVE && region->joined == 0 &&
			    share_of_history(h, region) < threshold;
		if (drop && follower != HISTORY_NONE)
			take_over(&regions[follower], region); /* whose continues is a new number */
		else if (drop)
			drop = !forget_region(h, space, &joined, (uint32_t)i);
		if (drop) {
			space->nr_ended--;
			h->nr_ended--;
			continue;
		}
		moved[i] = (uint32_t)kept;
		if (follower != HISTORY_NONE)
			regions[follower].continues = (uint32_t)kept;
		for (size_t k = 0; k < joined.nr; k++)
			if (joined.ids[k] == i)
				joined.ids[k] = (uint32_t)kept;
		regions[kept++] = *region;
	}
	space->regions.length = kept;
	for (size_t i = 0; i < space->live.length; i++)
		space->live.items[i] = moved[space->live.items[i]];
	memmap_deallocate(h->allocator, next, nr * sizeof(*next));
	return true;
}

void history_thin_out(struct history *h)
{
	if (h->nr_ended <= h->max_regions)
		return;
	/* A picture is some thousand pixels wide: begin well below one pixel. */
	for (double threshold = 1.0 / 65536; h->nr_ended > h->max_regions / 2; threshold *= 2)
		for (size_t i = 0; i < h->spaces.length; i++)
			if (!thin_out_space(h, &h->spaces.items[i], threshold))
				return;
}
