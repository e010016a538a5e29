/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows onto Files.
 *
 * A window is a mapping of a large aligned piece of a File's descriptor, whatever the host's page
 * size; guest pages of 4 KiB lie in it wherever they do. It may reach beyond the end of the file and
 * beyond the pages that anybody holds references on: those bytes are mapped and never touched.
 *
 * Invariants: a window's address and offset are multiples of its size; nr_pages counts the entries of
 * the page table that lead into it, so that it is unmapped only when none does. A File is known by its
 * address only while it has windows with pages, which is to say mapped pages, which its owner unmaps
 * before the File goes.
 *
 * Locking: all under the platform's lock.
 */
#include "platform/soft/window.h"

#include <errno.h>

#include "platform/soft/host.h"

static struct window **file_bucket(struct windows *windows, const struct memmap_file *file,
				   uint64_t offset)
{
	const uint64_t key = ((uintptr_t)file >> 4) + offset / windows->size;
	return &windows->by_file[key % NR_WINDOW_BUCKETS];
}

static struct window **addr_bucket(struct windows *windows, uintptr_t addr)
{
	return &windows->by_addr[addr / windows->size % NR_WINDOW_BUCKETS];
}

static int make_window(struct windows *windows, struct memmap_file *file, uint64_t offset,
		       bool writable, struct window **out)
{
	const int fd = memmap_file_fd(file);
	if (fd < 0)
		return -EOPNOTSUPP;
	struct window *w = memmap_allocate(windows->allocator, sizeof(*w), _Alignof(struct window));
	if (!w)
		return -ENOMEM;
	void *addr;
	int err = memmap_soft_host_map(fd, offset, windows->size, windows->size, writable, &addr);
	if (err) {
		memmap_deallocate(windows->allocator, w, sizeof(*w));
		return err;
	}
	struct window **by_file = file_bucket(windows, file, offset);
	struct window **by_addr = addr_bucket(windows, (uintptr_t)addr);
	*w = (struct window){
		.next_by_file = *by_file,
		.next_by_addr = *by_addr,
		.file = file,
		.offset = offset,
		.writable = writable,
		.addr = addr,
	};
	*by_file = w;
	*by_addr = w;
	windows->nr++;
	*out = w;
	return 0;
}

int window_get(struct windows *windows, struct memmap_file *file, uint64_t offset, bool writable,
	       struct window **out)
{
	offset -= offset % windows->size;
	for (struct window *w = *file_bucket(windows, file, offset); w; w = w->next_by_file) {
		if (w->file != file || w->offset != offset || (writable && !w->writable))
			continue;
		/* One without pages may be of a File that is gone, whose address this one has. */
		if (w->nr_pages == 0)
			continue;
		w->nr_pages++;
		*out = w;
		return 0;
	}
	int err = make_window(windows, file, offset, writable, out);
	if (!err)
		(*out)->nr_pages = 1;
	return err;
}

void window_put(struct windows *windows, uintptr_t host)
{
	const uintptr_t addr = host - host % windows->size;
	struct window *w = *addr_bucket(windows, addr);
	while ((uintptr_t)w->addr != addr)
		w = w->next_by_addr;
	if (--w->nr_pages == 0)
		windows->nr_unused++;
}

void windows_trim(struct windows *windows)
{
	for (unsigned i = 0; windows->nr_unused > 0 && i < NR_WINDOW_BUCKETS; i++) {
		for (struct window **link = &windows->by_addr[i]; *link;) {
			struct window *w = *link;
			/* One that the kernel does not let go is tried again the next time. */
			if (w->nr_pages > 0 ||
			    memmap_soft_host_unmap(w->addr, windows->size) != 0) {
				link = &w->next_by_addr;
				continue;
			}
			*link = w->next_by_addr;
			struct window **by_file = file_bucket(windows, w->file, w->offset);
			while (*by_file != w)
				by_file = &(*by_file)->next_by_file;
			*by_file = w->next_by_file;
			memmap_deallocate(windows->allocator, w, sizeof(*w));
			windows->nr--;
			windows->nr_unused--;
		}
	}
}
