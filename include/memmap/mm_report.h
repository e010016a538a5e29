/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space holds, counted and printed: the numbers and the texts that Linux gives in
 * /proc/PID/smaps, smaps_rollup, status and statm. (The text of maps is in <memmap/mm.h>.)
 *
 * What is counted is what is there: a page is resident while the address space has it mapped, be it
 * through a platform or not. docs/DIFFERENCES.md says which fields mean something else than with
 * Linux.
 *
 * Locking: any thread. A text is of one moment, but for names of files, which are asked afterwards
 */
#ifndef MEMMAP_MM_REPORT_H
#define MEMMAP_MM_REPORT_H

#include <stdint.h>

#include <memmap/api.h>
#include <memmap/mm.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

/*
 * Bytes of resident memory. Pages of zeros that readers share are counted nowhere, as with Linux.
 *
 * A page is shared when more than one mapping has it, as far as that is known: pages of other files
 * than the memory file are taken for this address space's own. It is dirty when it may have been
 * written to, and was not given up by MADV_FREE since. Proportional shares (pss) divide each page by the number of its
 * mappings; they are bytes times 4096, as Linux keeps them, rounded down for each page.
 */
struct memmap_mm_usage {
	uint64_t rss, rss_anon, rss_file, rss_shmem; /* the first is the sum of the others */
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty; /* likewise */
	uint64_t anonymous; /* private pages, rss_anon */
	uint64_t lazy_free; /* those that MADV_FREE gave up */
	uint64_t pss, pss_dirty, pss_anon, pss_file, pss_shmem;
	uint64_t pss_locked; /* of VMAs that are locked */
};

/** Add up what is resident in `ar`, which is page-aligned. */
MEMMAP_API void memmap_mm_get_usage(struct memmap_mm *mm, struct memmap_addr_range ar,
				    struct memmap_mm_usage *out);

/**
 * Print the address space as /proc/PID/smaps does, replacing what `text` held.
 *
 * A terminating zero follows the text.
 *
 * Returns:     0, -ENOMEM (the text is then empty)
 */
MEMMAP_API int memmap_mm_print_smaps(struct memmap_mm *mm, struct memmap_text *text);

/** The same as /proc/PID/smaps_rollup. */
MEMMAP_API int memmap_mm_print_smaps_rollup(struct memmap_mm *mm, struct memmap_text *text);

/** The same as the lines VmPeak to VmSwap of /proc/PID/status. */
MEMMAP_API int memmap_mm_print_status(struct memmap_mm *mm, struct memmap_text *text);

/** The same as /proc/PID/statm. */
MEMMAP_API int memmap_mm_print_statm(struct memmap_mm *mm, struct memmap_text *text);

MEMMAP_END_DECLS

#endif /* MEMMAP_MM_REPORT_H */
