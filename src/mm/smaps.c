/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of /proc/PID/smaps and smaps_rollup.
 *
 * All VMAs and what is resident in them are noted first, of one moment, under the locks; then they
 * are printed without the lock over what is mapped now, since files are asked for their names. What
 * the notes refer to is held meanwhile.
 */
#include <memmap/mm_report.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "text.h"
#include "usage.h"

#define PSS_SHIFT 12
#define VMA_TEXT  1024 /* more than everything but the line of maps can take */

/* ---- Noting ---- */

/* One VMA. It holds references to the identity and to the name that the program gave. */
struct noted {
	struct memmap_vma vma;
	struct memmap_mm_usage usage;
};

struct notes {
	const struct memmap_mm *mm;
	struct noted *vmas;
	size_t nr, capacity;
};

static struct anon_name *name_of(const struct memmap_vma *vma)
{
	const size_t before = offsetof(struct anon_name, text);
	return vma->anon_name ? (struct anon_name *)(vma->anon_name - before) : NULL;
}

static bool grow(struct notes *notes)
{
	size_t capacity = notes->capacity ? 2 * notes->capacity : 64;
	struct noted *vmas =
		memmap_allocate(NULL, capacity * sizeof(*vmas), _Alignof(struct noted));
	if (!vmas)
		return false;
	if (notes->nr)
		memcpy(vmas, notes->vmas, notes->nr * sizeof(*vmas));
	memmap_deallocate(NULL, notes->vmas, notes->capacity * sizeof(*vmas));
	notes->vmas = vmas;
	notes->capacity = capacity;
	return true;
}

static int note(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	struct notes *notes = arg;
	if (run) {
		usage_add(&notes->vmas[notes->nr - 1].usage, notes->mm, vma, run);
		return 0;
	}
	if (notes->nr == notes->capacity && !grow(notes))
		return -ENOMEM;
	if (vma->identity)
		memmap_mapping_identity_inc_ref(vma->identity);
	anon_name_inc_ref(name_of(vma));
	notes->vmas[notes->nr++] = (struct noted){.vma = *vma};
	return 0;
}

static int take_notes(struct memmap_mm *mm, struct notes *notes)
{
	const struct memmap_addr_range everywhere = {0, UINT64_MAX & ~MEMMAP_PAGE_MASK};
	*notes = (struct notes){.mm = mm};
	return mm_for_each_resident(mm, everywhere, note, notes);
}

static void release_notes(struct memmap_mm *mm, struct notes *notes)
{
	for (size_t i = 0; i < notes->nr; i++) {
		const struct memmap_vma *vma = &notes->vmas[i].vma;
		if (vma->identity)
			memmap_mapping_identity_dec_ref(vma->identity, mm->context);
		anon_name_dec_ref(mm, name_of(vma));
	}
	memmap_deallocate(NULL, notes->vmas, notes->capacity * sizeof(*notes->vmas));
}

/* ---- Printing ---- */

/* The end of the text, where there are VMA_TEXT bytes of room. */
static char *end_of(struct memmap_text *text)
{
	return text->data + text->length;
}

static bool print_kb(struct memmap_text *text, const char *what, uint64_t bytes)
{
	if (!text_reserve(text, VMA_TEXT))
		return false;
	/* The values stand in a column, which begins behind the longest of the names. */
	text->length += (size_t)snprintf(end_of(text), VMA_TEXT, "%-16s%8" PRIu64 " kB\n", what,
					 bytes >> 10);
	return true;
}

static bool print_usage(struct memmap_text *text, const struct memmap_mm_usage *u, bool rollup)
{
	const struct {
		const char *what;
		uint64_t bytes;
		bool only_rollup;
	} lines[] = {
		{"Rss:", u->rss, false},
		{"Pss:", u->pss >> PSS_SHIFT, false},
		{"Pss_Dirty:", u->pss_dirty >> PSS_SHIFT, false},
		{"Pss_Anon:", u->pss_anon >> PSS_SHIFT, true},
		{"Pss_File:", u->pss_file >> PSS_SHIFT, true},
		{"Pss_Shmem:", u->pss_shmem >> PSS_SHIFT, true},
		{"Shared_Clean:", u->shared_clean, false},
		{"Shared_Dirty:", u->shared_dirty, false},
		{"Private_Clean:", u->private_clean, false},
		{"Private_Dirty:", u->private_dirty, false},
		{"Referenced:", u->rss - u->lazy_free, false},
		{"Anonymous:", u->anonymous, false},
		{"KSM:", 0, false},
		{"LazyFree:", u->lazy_free, false},
		{"AnonHugePages:", 0, false},
		{"ShmemPmdMapped:", 0, false},
		{"FilePmdMapped:", 0, false},
		{"Shared_Hugetlb:", 0, false},
		{"Private_Hugetlb:", 0, false},
		{"Swap:", 0, false},
		{"SwapPss:", 0, false},
		{"Locked:", u->pss_locked >> PSS_SHIFT, false},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if ((rollup || !lines[i].only_rollup) &&
		    !print_kb(text, lines[i].what, lines[i].bytes))
			return false;
	}
	return true;
}

/* The letters of flags, in the order of Linux's bits. */
static const struct {
	char letters[3];
	uint64_t flag;
} flag_letters[] = {
	{"rd", MEMMAP_VM_READ},       {"wr", MEMMAP_VM_WRITE},
	{"ex", MEMMAP_VM_EXEC},       {"sh", MEMMAP_VM_SHARED},
	{"mr", MEMMAP_VM_MAYREAD},    {"mw", MEMMAP_VM_MAYWRITE},
	{"me", MEMMAP_VM_MAYEXEC},    {"ms", MEMMAP_VM_MAYSHARE},
	{"gd", MEMMAP_VM_GROWSDOWN},  {"um", MEMMAP_VM_UFFD_MISSING},
	{"pf", MEMMAP_VM_PFNMAP},     {"gu", MEMMAP_VM_MAYBE_GUARD},
	{"uw", MEMMAP_VM_UFFD_WP},    {"lo", MEMMAP_VM_LOCKED},
	{"io", MEMMAP_VM_IO},         {"sr", MEMMAP_VM_SEQ_READ},
	{"rr", MEMMAP_VM_RAND_READ},  {"dc", MEMMAP_VM_DONTCOPY},
	{"de", MEMMAP_VM_DONTEXPAND}, {"lf", MEMMAP_VM_LOCKONFAULT},
	{"ac", MEMMAP_VM_ACCOUNT},    {"nr", MEMMAP_VM_NORESERVE},
	{"ht", MEMMAP_VM_HUGETLB},    {"sf", MEMMAP_VM_SYNC},
	{"wf", MEMMAP_VM_WIPEONFORK}, {"dd", MEMMAP_VM_DONTDUMP},
	{"mm", MEMMAP_VM_MIXEDMAP},   {"hg", MEMMAP_VM_HUGEPAGE},
	{"nh", MEMMAP_VM_NOHUGEPAGE}, {"mg", MEMMAP_VM_MERGEABLE},
	{"dp", MEMMAP_VM_DROPPABLE},  {"ui", MEMMAP_VM_UFFD_MINOR},
	{"sl", MEMMAP_VM_SEALED},
};

static bool print_flags(struct memmap_text *text, uint64_t flags)
{
	if (!text_append(text, "VmFlags: "))
		return false;
	for (size_t i = 0; i < sizeof(flag_letters) / sizeof(flag_letters[0]); i++) {
		if ((flags & flag_letters[i].flag) &&
		    !(text_append(text, flag_letters[i].letters) && text_append(text, " ")))
			return false;
	}
	return text_append(text, "\n");
}

/* Could there be a huge page in the VMA? Only anonymous memory has any here. */
static bool huge_page_eligible(const struct memmap_mm *mm, const struct memmap_vma *v)
{
	const uint64_t advised = v->flags & (MEMMAP_VM_HUGEPAGE | MEMMAP_VM_NOHUGEPAGE);
	const uint64_t last = memmap_huge_page_round_down(v->range.end);
	uint64_t first;
	if (v->identity || v->mappable || v->name || (v->flags & VM_SPECIAL) ||
	    mm->limits.huge_pages == 0 || advised == MEMMAP_VM_NOHUGEPAGE ||
	    (!advised && mm->limits.huge_pages == 1))
		return false;
	return memmap_huge_page_round_up(v->range.start, &first) && first < last;
}

/* What follows the line of maps. */
static bool print_details(struct memmap_text *text, uint64_t size, uint64_t flags, bool eligible,
			  const struct memmap_mm_usage *usage)
{
	if (!print_kb(text, "Size:", size) ||
	    !print_kb(text, "KernelPageSize:", MEMMAP_PAGE_SIZE) ||
	    !print_kb(text, "MMUPageSize:", MEMMAP_PAGE_SIZE) || !print_usage(text, usage, false) ||
	    !text_reserve(text, VMA_TEXT))
		return false;
	text->length += (size_t)snprintf(end_of(text), VMA_TEXT, "THPeligible:    %8u\n",
					 (unsigned)eligible);
	return print_flags(text, flags);
}

static bool print_smaps(const struct memmap_mm *mm, struct memmap_text *text,
			const struct notes *notes)
{
	for (size_t i = 0; i < notes->nr; i++) {
		const struct noted *n = &notes->vmas[i];
		if (!text_append_vma(mm, text, &n->vma) ||
		    !print_details(text, memmap_addr_range_length(n->vma.range), n->vma.flags,
				   huge_page_eligible(mm, &n->vma), &n->usage))
			return false;
	}
	const struct memmap_mm_usage none = {0};
	return !mm->layout.vsyscall ||
	       (text_append_vsyscall(text) &&
		print_details(text, MEMMAP_PAGE_SIZE, MEMMAP_VM_EXEC, false, &none));
}

static bool print_rollup(const struct memmap_mm *mm, struct memmap_text *text,
			 const struct notes *notes)
{
	struct memmap_mm_usage sum = {0};
	struct memmap_vma all = {.name = "[rollup]"};
	if (notes->nr > 0)
		all.range = range_of(notes->vmas[0].vma.range.start,
				     notes->vmas[notes->nr - 1].vma.range.end);
	for (size_t i = 0; i < notes->nr; i++)
		usage_add_up(&sum, &notes->vmas[i].usage);
	return text_append_vma(mm, text, &all) && print_usage(text, &sum, true);
}

static int print(struct memmap_mm *mm, struct memmap_text *text,
		 bool (*printer)(const struct memmap_mm *mm, struct memmap_text *text,
				 const struct notes *notes))
{
	struct notes notes;
	text->length = 0;
	int err = take_notes(mm, &notes);
	if (!err) {
		MM_LOCK_READ(mm); /* over the layout, which says what is the heap */
		if (!printer(mm, text, &notes) || !text_reserve(text, 1))
			err = -ENOMEM;
	}
	release_notes(mm, &notes);
	if (err)
		text->length = 0;
	else
		text->data[text->length] = '\0';
	return err;
}

int memmap_mm_print_smaps(struct memmap_mm *mm, struct memmap_text *text)
{
	return print(mm, text, print_smaps);
}

int memmap_mm_print_smaps_rollup(struct memmap_mm *mm, struct memmap_text *text)
{
	return print(mm, text, print_rollup);
}
