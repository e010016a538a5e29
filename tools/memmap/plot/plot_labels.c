/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words beside something, so that none covers another.
 *
 * Everything here is one-dimensional: a column of lines of text, of which only the height counts.
 */
#include <stdlib.h>

#include "plot/plot_internal.h"

static int compare_wanted(const void *a, const void *b)
{
	const struct plot_label *x = a, *y = b;
	if (x->wanted != y->wanted)
		return x->wanted < y->wanted ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* The least important label that is shown. */
static struct plot_label *least_important(struct plot_label *labels, size_t nr)
{
	struct plot_label *least = NULL;
	for (size_t i = 0; i < nr; i++)
		if (labels[i].shown && (!least || labels[i].importance <= least->importance))
			least = &labels[i];
	return least;
}

/* The next label that is shown, from `i` on. */
static size_t next_shown(const struct plot_label *labels, size_t nr, size_t i)
{
	while (i < nr && !labels[i].shown)
		i++;
	return i;
}

size_t plot_labels_spread(struct plot_label *labels, size_t nr, double low, double high,
			  double distance)
{
	size_t shown = nr, room = high < low ? 0 : (size_t)((high - low) / distance) + 1;
	for (size_t i = 0; i < nr; i++)
		labels[i].shown = true;
	for (; shown > room; shown--)
		least_important(labels, nr)->shown = false;
	if (nr > 0)
		qsort(labels, nr, sizeof(*labels), compare_wanted);

	/*
	 * Down the column, each is pushed below the one before; then up again, each is pulled back
	 * as far as the one after it and the end of the column ask. To share the displacement
	 * fairly, the labels of one crowd are first moved as a block to where their middle is
	 * wanted:
	 *
	 *   wanted   ─┬┬┬──          put   ┬┬┬───
	 *             a b c                a b c, around b
	 */
	size_t i = next_shown(labels, nr, 0);
	while (i < nr) {
		/* A block grows while the next one would touch it. */
		double sum = labels[i].wanted, count = 1, start = labels[i].wanted;
		size_t end = next_shown(labels, nr, i + 1);
		while (end < nr && labels[end].wanted < start + count * distance) {
			sum += labels[end].wanted - count * distance;
			count++;
			start = sum / count;
			end = next_shown(labels, nr, end + 1);
		}
		for (size_t k = i; k < end; k = next_shown(labels, nr, k + 1), start += distance)
			labels[k].at = start;
		i = end;
	}
	double lowest = low;
	for (i = next_shown(labels, nr, 0); i < nr; i = next_shown(labels, nr, i + 1)) {
		if (labels[i].at < lowest)
			labels[i].at = lowest;
		lowest = labels[i].at + distance;
	}
	double highest = high;
	for (i = nr; i-- > 0;) {
		if (!labels[i].shown)
			continue;
		if (labels[i].at > highest)
			labels[i].at = highest;
		highest = labels[i].at - distance;
	}
	return nr - shown;
}

static int compare_importance(const void *a, const void *b)
{
	const struct plot_label *x = a, *y = b;
	if (x->importance != y->importance)
		return x->importance > y->importance ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

void plot_labels_choose(struct plot_label *labels, size_t nr, double distance)
{
	if (nr > 0)
		qsort(labels, nr, sizeof(*labels), compare_importance);
	for (size_t i = 0; i < nr; i++) {
		labels[i].at = labels[i].wanted;
		labels[i].shown = true;
		for (size_t k = 0; k < i && labels[i].shown; k++)
			if (labels[k].shown && labels[k].at - labels[i].at < distance &&
			    labels[i].at - labels[k].at < distance)
				labels[i].shown = false;
	}
}
