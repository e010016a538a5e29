/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host file as a Mappable: offsets are offsets, and the pages are the system's.
 *
 * Translations lead to one of two Files, because a descriptor that was opened for reading cannot be
 * mapped for writing: `read_write` once somebody has opened the file so, else `read_only`. Both are
 * the same bytes. Each keeps a descriptor of its own, duplicated from the first open that could give
 * it, until the last open goes.
 *
 * The system counts references to pages, not we; that every reference taken was dropped is checked
 * from MEMMAP_CHECK 2 on.
 *
 * Locking: that over who maps it as mapped.h says. `lock` guards the coming of descriptors and chunks; what
 * has come stays, and is read without it. Neither is held while the other is taken.
 *
 * Refuses: access that no open permits (-EACCES), executing from a file system mounted noexec.
 */
#include "file/host_inode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include <memmap/arch.h>
#include <memmap/error.h>

#include "file/chunks.h"
#include "file/host.h"

static struct memmap_host_inode *of_mappable(struct memmap_mappable *m)
{
	return (struct memmap_host_inode *)m;
}

static struct memmap_host_pages *of_file(struct memmap_file *file)
{
	return (struct memmap_host_pages *)file;
}

static int descriptor(const struct memmap_host_pages *pages)
{
	return __atomic_load_n(&pages->fd, __ATOMIC_ACQUIRE);
}

/* ---- Files ---- */

static void file_inc_ref(struct memmap_file *file, struct memmap_file_range fr, uint32_t mem_cg_id)
{
	(void)mem_cg_id;
	if (MEMMAP_CHECK >= 2)
		__atomic_add_fetch(&of_file(file)->inode->nr_page_refs,
				   memmap_file_range_length(fr) / MEMMAP_PAGE_SIZE,
				   __ATOMIC_RELAXED);
}

static void file_dec_ref(struct memmap_file *file, struct memmap_file_range fr)
{
	if (MEMMAP_CHECK < 2)
		return;
	const uint64_t nr = memmap_file_range_length(fr) / MEMMAP_PAGE_SIZE;
	if (__atomic_fetch_sub(&of_file(file)->inode->nr_page_refs, nr, __ATOMIC_RELAXED) < nr)
		memmap_panic("host file: dec_ref of [0x%" PRIx64 ", 0x%" PRIx64
			     ") drops more references than were taken",
			     fr.start, fr.end);
}

static int map_chunk(struct memmap_host_pages *pages, unsigned chunk)
{
	const uint64_t bit = UINT64_C(1) << chunk;
	const uint64_t length = memmap_chunk_length(chunk, MEMMAP_HOST_CHUNK_SHIFT);
	int err = 0;
	pthread_mutex_lock(&pages->inode->lock);
	if (!(pages->mapped & bit)) {
		void *addr;
		const uint64_t start = memmap_chunk_start(chunk, MEMMAP_HOST_CHUNK_SHIFT);
		const int prot = pages->writable ? PROT_READ | PROT_WRITE : PROT_READ;
		err = memmap_host_map_shared(pages->fd, start, length, prot, &addr);
		/* Sealed, or append-only: then it is read through the same descriptor. */
		if ((err == -EPERM || err == -EACCES) && pages->writable)
			err = memmap_host_map_shared(pages->fd, start, length, PROT_READ, &addr);
		if (!err) {
			/* The file may end before the chunk does, or be cut short. */
			pages->chunks[chunk] = memmap_block_unsafe(addr, length);
			__atomic_store_n(&pages->mapped, pages->mapped | bit, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&pages->inode->lock);
	return err;
}

static int file_map_internal(struct memmap_file *file, struct memmap_file_range fr,
			     memmap_access at, struct memmap_block_seq *out)
{
	struct memmap_host_pages *pages = of_file(file);
	if (fr.start >= fr.end || fr.end > INT64_MAX)
		return -EOVERFLOW;
	if ((at & MEMMAP_WRITE) && !pages->writable)
		return -EACCES;
	const unsigned last = memmap_chunk_of(fr.end - 1, MEMMAP_HOST_CHUNK_SHIFT);
	for (unsigned i = memmap_chunk_of(fr.start, MEMMAP_HOST_CHUNK_SHIFT); i <= last; i++) {
		if (__atomic_load_n(&pages->mapped, __ATOMIC_ACQUIRE) & (UINT64_C(1) << i))
			continue;
		int err = map_chunk(pages, i);
		if (err)
			return err;
	}
	*out = memmap_chunks_bytes(pages->chunks, MEMMAP_HOST_CHUNK_SHIFT, fr);
	return 0;
}

static int file_fd(struct memmap_file *file)
{
	return descriptor(of_file(file));
}

static const struct memmap_file_ops file_ops = {
	.inc_ref = file_inc_ref,
	.dec_ref = file_dec_ref,
	.map_internal = file_map_internal,
	.fd = file_fd,
};

/* The File that permits the most; NULL when nobody opened the file for reading. */
static struct memmap_host_pages *best_pages(struct memmap_host_inode *inode)
{
	if (descriptor(&inode->read_write) >= 0)
		return &inode->read_write;
	return descriptor(&inode->read_only) >= 0 ? &inode->read_only : NULL;
}

/* ---- The Mappable ---- */

/* The end of the last page that the file has bytes of. */
static int file_end(int fd, uint64_t *out)
{
	struct stat st;
	int err = memmap_host_stat(fd, &st);
	if (err)
		return err;
	*out = memmap_page_round_down((uint64_t)st.st_size + MEMMAP_PAGE_MASK);
	return 0;
}

static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	struct memmap_host_inode *inode = of_mappable(m);
	struct memmap_host_pages *pages = best_pages(inode);
	(void)ctx;
	if (!pages)
		return -EACCES;
	memmap_access perms = pages->writable ? MEMMAP_ANY_ACCESS : MEMMAP_READ | MEMMAP_EXEC;
	if (inode->no_exec)
		perms = perms & MEMMAP_READ_WRITE;
	if (!memmap_access_superset_of(perms, at))
		return -EACCES;
	uint64_t end;
	int err = file_end(descriptor(pages), &end);
	if (err)
		return err;
	if (required.start >= end)
		return memmap_bus_error(-EFAULT);
	const struct memmap_mappable_range source = {optional.start,
						     optional.end < end ? optional.end : end};
	err = memmap_translations_append(out, (struct memmap_translation){
						      .source = source,
						      .file = &pages->file,
						      .offset = source.start,
						      .perms = perms,
					      });
	if (err)
		return err;
	return required.end > end ? memmap_bus_error(-EFAULT) : 0;
}

/* Asked of the system for what lies in the file; there is nothing past its end. */
static int resident(struct memmap_mappable *m, struct memmap_context *ctx,
		    struct memmap_mappable_range mr, unsigned char *vec)
{
	struct memmap_host_pages *pages = best_pages(of_mappable(m));
	uint64_t end;
	(void)ctx;
	memset(vec, 0, memmap_mappable_range_length(mr) / MEMMAP_PAGE_SIZE);
	if (!pages)
		return 0;
	int err = file_end(descriptor(pages), &end);
	if (err || mr.start >= end)
		return err;
	struct memmap_block_seq seq;
	err = file_map_internal(&pages->file,
				(struct memmap_file_range){mr.start, mr.end < end ? mr.end : end},
				MEMMAP_READ, &seq);
	while (!err && !memmap_block_seq_is_empty(seq)) {
		const struct memmap_block block = memmap_block_seq_head(seq);
		err = memmap_host_resident(block.addr, block.len, vec);
		vec += block.len / MEMMAP_PAGE_SIZE;
		seq = memmap_block_seq_tail(seq);
	}
	return err;
}

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = memmap_mapped_add,
	.remove_mapping = memmap_mapped_remove,
	.copy_mapping = memmap_mapped_copy,
	.translate = translate,
	.invalidate_unsavable = memmap_mapped_all_savable,
	.resident = resident,
};

/* ---- For the opens ---- */

/*
 * msync(2) of our own mapping writes just the range; without one, all of the file is written. Both
 * wait for the data alone.
 */
int memmap_host_inode_sync(struct memmap_host_inode *inode, int fd, struct memmap_mappable_range mr)
{
	struct memmap_block_seq seq;
	struct memmap_host_pages *pages = &inode->read_write;
	const struct memmap_file_range fr = {mr.start, mr.end < INT64_MAX ? mr.end : INT64_MAX};
	if (descriptor(pages) < 0 || file_map_internal(&pages->file, fr, MEMMAP_READ, &seq))
		return memmap_host_sync_data(fd);
	int err = 0;
	while (!err && !memmap_block_seq_is_empty(seq)) {
		const struct memmap_block block = memmap_block_seq_head(seq);
		err = memmap_host_sync_mapping(block.addr, block.len);
		seq = memmap_block_seq_tail(seq);
	}
	return err;
}

static void init_pages(struct memmap_host_pages *pages, struct memmap_host_inode *inode,
		       bool writable)
{
	pages->file.ops = &file_ops;
	pages->inode = inode;
	pages->fd = -1;
	pages->writable = writable;
}

static void destroy_pages(struct memmap_host_pages *pages)
{
	for (unsigned i = 0; i < MEMMAP_HOST_NR_CHUNKS; i++) {
		if (pages->mapped & (UINT64_C(1) << i))
			memmap_host_unmap(pages->chunks[i].addr, pages->chunks[i].len);
	}
	if (pages->fd >= 0)
		memmap_host_close(pages->fd);
}

void memmap_host_inode_init(struct memmap_host_inode *inode,
			    const struct memmap_allocator *allocator)
{
	memset(inode, 0, sizeof(*inode));
	memmap_mapped_init(&inode->mapped, &mappable_ops, allocator);
	pthread_mutex_init(&inode->lock, NULL);
	init_pages(&inode->read_only, inode, false);
	init_pages(&inode->read_write, inode, true);
}

void memmap_host_inode_destroy(struct memmap_host_inode *inode)
{
	memmap_mapped_check_unmapped(&inode->mapped, "host file");
	if (MEMMAP_CHECK >= 2 && inode->nr_page_refs > 0)
		memmap_panic("host file: the last open goes, but %" PRIu64
			     " references to its pages are held",
			     inode->nr_page_refs);
	destroy_pages(&inode->read_only);
	destroy_pages(&inode->read_write);
	memmap_mapped_destroy(&inode->mapped);
	pthread_mutex_destroy(&inode->lock);
}

int memmap_host_inode_add_descriptor(struct memmap_host_inode *inode, int fd, bool readable,
				     bool writable)
{
	struct memmap_host_pages *pages = writable ? &inode->read_write : &inode->read_only;
	int err = 0;
	if (!readable)
		return 0; /* cannot be mapped through this one */
	pthread_mutex_lock(&inode->lock);
	if (pages->fd < 0) {
		int own;
		err = memmap_host_dup(fd, &own);
		if (!err)
			__atomic_store_n(&pages->fd, own, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&inode->lock);
	return err;
}
