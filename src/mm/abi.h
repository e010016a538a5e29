/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of the memory system calls: those of the system's headers, and what older ones lack.
 */
#ifndef MEMMAP_SRC_MM_ABI_H
#define MEMMAP_SRC_MM_ABI_H

#include <linux/mman.h>
#include <sys/mman.h>

#ifndef MAP_DROPPABLE
#	define MAP_DROPPABLE 0x08 /* Linux 6.11 */
#endif
#ifndef MAP_32BIT
#	define MAP_32BIT 0x40 /* x86's own: headers of other machines lack it */
#endif
#ifndef MAP_ABOVE4G
#	define MAP_ABOVE4G 0x80 /* Linux 6.6 */
#endif

#ifndef MREMAP_DONTUNMAP
#	define MREMAP_DONTUNMAP 4 /* Linux 5.7 */
#endif

#ifndef MADV_DONTNEED_LOCKED
#	define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif
#ifndef MADV_COLLAPSE
#	define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#ifndef MADV_GUARD_INSTALL
#	define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#	define MADV_GUARD_REMOVE  103
#endif

/* mprotect(2): semaphores' memory; accepted and ignored. */
#ifndef PROT_SEM
#	define PROT_SEM 0x8
#endif

#endif /* MEMMAP_SRC_MM_ABI_H */
