/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What smaps and status say of both sides' pages.
 *
 * Of private anonymous memory all is compared that the script alone decides: how much is resident,
 * how much of it is shared with other processes and how much is not, its part of what is shared,
 * what is anonymous, and what is locked. Left out:
 *   - clean or dirty, apart: a page that was only read is clean with the kernel, and dirty with us
 *     (docs/DIFFERENCES.md); the sums are compared;
 *   - Referenced: the kernel looks at bits that the processor sets, and clears them as it likes;
 *   - LazyFree: the kernel counts such pages when it comes by;
 *   - THPeligible, and all that is about huge pages and swap, of which there are none.
 *
 * Of mappings of files, and of shared memory, the anonymous pages are compared exactly. What else is
 * resident is up to the page cache: a fault brings what is in it around the page, 16 pages here and
 * another number elsewhere. So of shared memory the kernel must have at least what we have, where one
 * page of ours is mapped for each that was touched; not even that, once pages were to be paged out.
 * (File systems take pages away from those who map them as they like, when they split large ones for
 * a truncation, say.)
 *
 * Who shares pages is not compared once process_vm_readv() has read some: Linux pins the pages of the
 * other process meanwhile, and makes copies of those that it shares first; ours reads them as they are.
 *
 * What the executor needs is left out altogether: our side has no pages there. Of status, RssAnon is
 * compared without those. And our own reports must agree with each other.
 */
#include <stdlib.h>
#include <string.h>

#include <memmap/mm_report.h>

#include "differential.h"

static bool is_of_executor(const struct kernel_vma *vma)
{
	const size_t len = strlen(vma->name), tail = strlen(DIFFERENTIAL_EXECUTOR);

	return (*vma->name == '[' && strcmp(vma->name, "[heap]") != 0) ||
	       (len >= tail && !strcmp(vma->name + len - tail, DIFFERENTIAL_EXECUTOR));
}

static bool is_shared_memory(const struct kernel_vma *vma)
{
	return !strncmp(vma->name, "/dev/zero", 9) || !strncmp(vma->name, "/memfd:", 7);
}

static bool same_count(const struct kernel_vma *vma, const char *what, uint64_t kernel,
		       uint64_t model, bool at_least, bool verbose)
{
	if (kernel == model || (at_least && kernel > model))
		return true;
	if (verbose)
		fprintf(stderr, "    %#llx: %s: kernel %llu, model %llu kB\n",
			(unsigned long long)vma->start, what, (unsigned long long)kernel,
			(unsigned long long)model);
	return false;
}

static bool same_vma(const struct kernel_vma *k, const struct kernel_vma *m,
		     struct unknowns unknowns, bool verbose)
{
	bool same = same_count(k, "Anonymous", k->anonymous, m->anonymous, false, verbose);

	if (k->ino)
		return same & (unknowns.pages_go || !is_shared_memory(k) ||
			       same_count(k, "Rss", k->rss, m->rss, true, verbose));
	same &= same_count(k, "Rss", k->rss, m->rss, false, verbose);
	if (unknowns.pinned)
		return same;
	same &= same_count(k, "Pss", k->pss, m->pss, false, verbose);
	same &= same_count(k, "Shared", k->shared, m->shared, false, verbose);
	same &= same_count(k, "Private", k->private_, m->private_, false, verbose);
	same &= same_count(k, "Locked", k->locked, m->locked, false, verbose);
	return same;
}

/* The number of kB behind `field` in a text of ours. */
static uint64_t field_of(const struct memmap_text *text, const char *field)
{
	const char *at = strstr(text->data, field);

	return at ? strtoull(at + strlen(field), NULL, 10) : UINT64_MAX;
}

/* Do smaps_rollup, status and the counts say what smaps says? */
static bool same_reports(struct memmap_mm *mm, const struct kernel_vmas *ours, bool verbose)
{
	const struct memmap_addr_range all = {0, UINT64_MAX & ~(PAGE - 1)};
	struct memmap_text rollup = {0}, status = {0};
	struct memmap_mm_usage usage;
	uint64_t rss = 0, anonymous = 0;

	for (size_t i = 0; i < ours->len; i++) {
		rss += ours->vmas[i].rss;
		anonymous += ours->vmas[i].anonymous;
	}
	if (memmap_mm_print_smaps_rollup(mm, &rollup) || memmap_mm_print_status(mm, &status))
		abort();
	memmap_mm_get_usage(mm, all, &usage);
	const bool same = field_of(&rollup, "\nRss:") == rss &&
			  field_of(&rollup, "\nAnonymous:") == anonymous &&
			  field_of(&status, "\nVmRSS:") == rss &&
			  field_of(&status, "\nRssAnon:") == anonymous && usage.rss == rss << 10 &&
			  usage.anonymous == anonymous << 10;

	if (!same && verbose)
		fprintf(stderr, "    of the model, smaps says %llu and %llu kB, but\n%s    and\n%s",
			(unsigned long long)rss, (unsigned long long)anonymous, rollup.data,
			status.data);
	memmap_text_release(&rollup);
	memmap_text_release(&status);
	return same;
}

bool same_usage(struct kernel *kernel, struct memmap_mm *mm, unsigned int process,
		const struct kernel_vmas *vmas, struct unknowns unknowns, bool verbose)
{
	struct kernel_vma none = {0};
	struct kernel_vmas ours = {0};
	struct memmap_text text = {0};
	struct kernel_stats stats;
	bool same = true;

	if (memmap_mm_print_smaps(mm, &text))
		abort();
	kernel_vmas_parse_smaps(&ours, text.data);
	if (kernel_read_stats(kernel, process, &stats))
		same = false;
	none.anonymous = stats.anon_pages * PAGE >> 10;
	for (size_t i = 0; i < vmas->len && i < ours.len; i++) {
		const struct kernel_vma *k = &vmas->vmas[i], *m = &ours.vmas[i];

		/* Their edges were compared as the text of maps. */
		if (k->start != m->start || k->end != m->end)
			same = false;
		else if (!is_of_executor(k))
			same &= same_vma(k, m, unknowns, verbose);
		if (is_of_executor(k))
			none.anonymous -= k->anonymous;
		else
			none.anonymous -= m->anonymous;
	}
	same &= vmas->len == ours.len;
	/* What smaps does not account for. */
	same &= same_count(&none, "RssAnon of status, beyond smaps", none.anonymous, 0, false,
			   verbose);
	same &= same_reports(mm, &ours, verbose);
	memmap_text_release(&text);
	kernel_vmas_release(&ours);
	return same;
}
