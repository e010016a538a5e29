/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing texts of maps. Only called when the texts differ somewhere, so it may take its time: it
 * parses both.
 */
#include "trace/compare.h"

#include <errno.h>
#include <string.h>

typedef struct memmap_maps_line line;

static int parse(const char *text, size_t length, line **items, size_t *nr, size_t *capacity)
{
	ARRAY(line) lines = {*items, 0, *capacity};
	const char *end = text + length;
	int err = 0;
	while (text < end && !err) {
		if (!ARRAY_RESERVE(NULL, &lines, 1))
			err = -ENOMEM;
		else if (!memmap_maps_text_next(&text, end, &lines.items[lines.length]))
			err = -EPROTO;
		else
			lines.length++;
	}
	*items = lines.items;
	*nr = lines.length;
	*capacity = lines.capacity;
	return err;
}

static bool same_text(const line *a, const line *b)
{
	return a->text_length == b->text_length && memcmp(a->text, b->text, a->text_length) == 0;
}

/*
 * [heap] is printed for whatever VMA overlaps the heap, so it says nothing about a VMA that the
 * other side has split or merged.
 */
static line without_heap(const line *l)
{
	static const char heap[] = "[heap]";
	line copy = *l;
	if (!memmap_maps_line_is_file(l) && l->name_length == sizeof(heap) - 1 &&
	    memcmp(l->name, heap, sizeof(heap) - 1) == 0)
		copy.name_length = 0;
	return copy;
}

/* Does the VMA `b` look like the continuation of `a`? */
static bool continues(const line *a, const line *b)
{
	const line first = without_heap(a), second = without_heap(b);
	return memmap_maps_line_continues(&first, &second);
}

/* The end of the run of look-alikes that begins at `i`. */
static size_t run_end(const line *lines, size_t nr, size_t i)
{
	do
		i++;
	while (i < nr && continues(&lines[i - 1], &lines[i]));
	return i;
}

/* Do two runs look the same as a whole? */
static bool same_run(const line *a, size_t nr_a, const line *b, size_t nr_b)
{
	/* Stand `b` right after `a`: the same looks continue. */
	line first = without_heap(&a[0]), second = without_heap(&b[0]);
	if (first.range.start != second.range.start ||
	    a[nr_a - 1].range.end != b[nr_b - 1].range.end || first.offset != second.offset)
		return false;
	first.range.end = second.range.start;
	first.range.start = second.range.start;
	return memmap_maps_line_continues(&first, &second);
}

/* Count boundaries inside two runs that look the same. */
static void count_boundaries(struct comparison *c, const line *model, size_t nr_model,
			     const line *kernel, size_t nr_kernel)
{
	size_t m = 1, k = 1;
	while (m < nr_model || k < nr_kernel) {
		if (k == nr_kernel ||
		    (m < nr_model && model[m].range.start < kernel[k].range.start)) {
			c->model_only++;
			m++;
		} else if (m == nr_model || kernel[k].range.start < model[m].range.start) {
			c->kernel_only++;
			k++;
		} else {
			m++;
			k++;
		}
	}
}

static void classify(struct comparison *c)
{
	size_t m = 0, k = 0;
	bool only_boundaries = true, texts_differ = false;
	while (m < c->model.length && k < c->kernel.length && only_boundaries) {
		const line *model = &c->model.items[m], *kernel = &c->kernel.items[k];
		const size_t nr_m = run_end(c->model.items, c->model.length, m) - m;
		const size_t nr_k = run_end(c->kernel.items, c->kernel.length, k) - k;
		only_boundaries = same_run(model, nr_m, kernel, nr_k);
		if (only_boundaries) {
			const size_t before = c->kernel_only + c->model_only;
			count_boundaries(c, model, nr_m, kernel, nr_k);
			/* The same VMAs, but some are called [heap] on one side only. */
			if (c->kernel_only + c->model_only == before)
				for (size_t i = 0; i < nr_m; i++)
					texts_differ |= !same_text(&model[i], &kernel[i]);
		}
		m += nr_m;
		k += nr_k;
	}
	if (m < c->model.length || k < c->kernel.length)
		only_boundaries = false;
	c->only_boundaries = only_boundaries;
	c->differs = !only_boundaries || texts_differ || c->model_only > 0;
	if (!only_boundaries)
		c->kernel_only = c->model_only = 0;
}

static void quote(char *buf, const line *l)
{
	size_t used = strlen(buf);
	if (used + l->text_length + 2 > COMPARE_QUOTE_SIZE)
		return;
	memcpy(buf + used, l->text, l->text_length);
	memcpy(buf + used + l->text_length, "\n", 2);
}

static int add_region(struct comparison *c, struct memmap_addr_range range)
{
	struct memmap_addr_range *last =
		c->regions.length > 0 ? &c->regions.items[c->regions.length - 1] : NULL;
	if (last && range.start < last->end) {
		if (range.end > last->end)
			last->end = range.end;
		return 0;
	}
	if (!ARRAY_RESERVE(NULL, &c->regions, 1))
		return -ENOMEM;
	c->regions.items[c->regions.length++] = range;
	return 0;
}

/* Walk both lists in step: what is not the same line on both sides differs. */
static int find_regions(struct comparison *c)
{
	size_t m = 0, k = 0;
	int err = 0;
	while ((m < c->model.length || k < c->kernel.length) && !err) {
		const line *model = m < c->model.length ? &c->model.items[m] : NULL;
		const line *kernel = k < c->kernel.length ? &c->kernel.items[k] : NULL;
		if (model && kernel && same_text(model, kernel)) {
			m++;
			k++;
			c->exact++;
		} else if (model && (!kernel || model->range.start <= kernel->range.start)) {
			quote(c->expected, model);
			err = add_region(c, model->range);
			m++;
		} else if (kernel) {
			quote(c->found, kernel);
			err = add_region(c, kernel->range);
			k++;
		}
	}
	return err;
}

int compare_texts(struct comparison *c, const char *model, size_t model_length, const char *kernel,
		  size_t kernel_length)
{
	c->regions.length = 0;
	c->exact = c->kernel_only = c->model_only = 0;
	c->differs = false;
	c->expected[0] = c->found[0] = '\0';
	int err = parse(model, model_length, &c->model.items, &c->model.length, &c->model.capacity);
	if (!err)
		err = parse(kernel, kernel_length, &c->kernel.items, &c->kernel.length,
			    &c->kernel.capacity);
	if (err)
		return err;
	classify(c);
	return find_regions(c);
}

void comparison_release(struct comparison *c)
{
	ARRAY_RELEASE(NULL, &c->model);
	ARRAY_RELEASE(NULL, &c->kernel);
	ARRAY_RELEASE(NULL, &c->regions);
}
