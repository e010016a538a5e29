/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's side of the differential fuzzer: an address space for each process, seeded from what
 * the kernel says of a fresh executor, and then on its own.
 *
 * Files are stand-ins: an inode is a Mappable that keeps a MappingSet, an open file an identity
 * with a count of references. At the end of a world nothing of either may be left.
 *
 * Two things only the kernel can say, and the model is told: the inode number of new shared
 * anonymous memory (it is printed in maps), and whether a call failed for a reason that lies in the
 * pages (MADV_COLLAPSE finds none to collapse, say).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include <memmap/error.h>
#include <memmap/mapping_set.h>

#include "mm/abi.h"

#include "differential_model.h"

/* ---- Stand-ins for inodes and open files ---- */

static struct inode *inode_of(struct memmap_mappable *m)
{
	return (struct inode *)(void *)m;
}

static struct file_object *file_of(struct memmap_mapping_identity *id)
{
	return (struct file_object *)(void *)id;
}

static int inode_add(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mapping_space *ms, struct memmap_addr_range ar, uint64_t offset,
		     bool writable)
{
	(void)ctx;
	return memmap_mapping_set_add_mapping(&inode_of(m)->mappings, ms, ar, offset, writable,
					      NULL);
}

static int inode_remove(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_remove_mapping(&inode_of(m)->mappings, ms, ar, offset, writable,
						 NULL);
}

static int inode_copy(struct memmap_mappable *m, struct memmap_context *ctx,
		      struct memmap_mapping_space *ms, struct memmap_addr_range src,
		      struct memmap_addr_range dst, uint64_t offset, bool writable)
{
	(void)src;
	return inode_add(m, ctx, ms, dst, offset, writable);
}

/* Stand-ins have no pages. */
static int inode_translate(struct memmap_mappable *m, struct memmap_context *ctx,
			   struct memmap_mappable_range required,
			   struct memmap_mappable_range optional, memmap_access at,
			   struct memmap_translations *out)
{
	(void)m, (void)ctx, (void)required, (void)optional, (void)at, (void)out;
	return memmap_bus_error(-EIO);
}

static const struct memmap_mappable_ops inode_ops = {
	.add_mapping = inode_add,
	.remove_mapping = inode_remove,
	.copy_mapping = inode_copy,
	.translate = inode_translate,
};

static void file_inc_ref(struct memmap_mapping_identity *id)
{
	file_of(id)->references++;
}

static void file_dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	(void)ctx;
	file_of(id)->references--;
}

static size_t file_mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			       char *buf, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", file_of(id)->name);
}

static uint64_t file_device_id(struct memmap_mapping_identity *id)
{
	return file_of(id)->inode->dev;
}

static uint64_t file_inode_id(struct memmap_mapping_identity *id)
{
	return file_of(id)->inode->ino;
}

static int file_msync(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	struct memmap_mapping_identity *real = file_of(id)->inode->real_identity;

	return real ? memmap_mapping_identity_msync(real, ctx, mr) : 0;
}

static int file_punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			   struct memmap_mappable_range mr)
{
	struct memmap_mapping_identity *real = file_of(id)->inode->real_identity;

	return real ? memmap_mapping_identity_punch_hole(real, ctx, mr) : 0;
}

static const struct memmap_mapping_identity_ops file_ops = {
	.inc_ref = file_inc_ref,
	.dec_ref = file_dec_ref,
	.mapped_name = file_mapped_name,
	.device_id = file_device_id,
	.inode_id = file_inode_id,
	.msync = file_msync,
	.punch_hole = file_punch_hole,
};

/* ---- The model ---- */

struct inode *model_inode(struct model *model, uint64_t dev, uint64_t ino)
{
	struct inode *inode;

	for (inode = model->inodes; inode; inode = inode->next)
		if (inode->dev == dev && inode->ino == ino)
			return inode;
	inode = calloc(1, sizeof(*inode));
	if (!inode)
		abort();
	inode->mappable.ops = &inode_ops;
	inode->dev = dev;
	inode->ino = ino;
	inode->next = model->inodes;
	model->inodes = inode;
	return inode;
}

struct file_object *model_file(struct model *model, uint64_t dev, uint64_t ino, const char *name)
{
	struct file_object *file = calloc(1, sizeof(*file));

	if (!file)
		abort();
	file->identity.ops = &file_ops;
	file->inode = model_inode(model, dev, ino);
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->next = model->files;
	model->files = file;
	return file;
}

/* A special mapping's name must outlive the address space. */
static const char *special_name(const char *name)
{
	static const char *const known[] = {"[vdso]", "[vvar]", "[vvar_vclock]", "[uprobes]"};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strcmp(name, known[i]))
			return known[i];
	return NULL;
}

static int model_seed(struct model *model, struct kernel *kernel)
{
	struct kernel_vmas found = {0};
	struct memmap_vma *vmas;
	size_t len = 0;
	int err;

	if (kernel_read_smaps(kernel, 0, &found))
		return -1;
	vmas = calloc(found.len + 1, sizeof(*vmas));
	if (!vmas)
		abort();
	for (size_t i = 0; i < found.len; i++) {
		const struct kernel_vma *k = &found.vmas[i];
		struct memmap_vma *v = &vmas[len];

		if (k->start >= TASK_END)
			continue;
		v->range.start = k->start;
		v->range.end = k->end;
		v->flags = k->flags;
		v->name = special_name(k->name);
		v->offset = k->ino || v->name ? k->offset : k->start;
		v->anon_vma = k->anonymous ? i + 1 : 0;
		if (k->ino) {
			struct file_object *file = model_file(model, k->dev, k->ino, k->name);

			v->identity = &file->identity;
			v->mappable = &file->inode->mappable;
		}
		len++;
	}
	err = memmap_mm_replace(model->mm[0],
				(struct memmap_addr_range){.start = 0, .end = TASK_END}, vmas, len);
	if (err)
		fprintf(stderr, "differential: memmap_mm_replace: %s\n", strerror(-err));
	free(vmas);
	kernel_vmas_release(&found);
	return err;
}

int model_start(struct model **out, struct kernel *kernel, const struct open_files *files,
		const struct open_files *own_files, struct surroundings with)
{
	struct model *model = calloc(1, sizeof(*model));
	struct memmap_mm_options options = {
		.layout = kernel->layout,
		.limits = kernel->limits,
	};
	int err;

	if (!model)
		abort();
	*out = model;
	model->described = files;
	model->own_files = own_files;
	model->with = with;
	if (own_files) {
		if (model_pages_start(model))
			return -1;
		options.memory_file = model->memory_file;
		options.address_space = guest_address_space(model->guest[0]);
		options.fault_around = with.around ? 0 : PAGE;
	}
	err = memmap_mm_create(&options, &model->mm[0]);
	if (err) {
		fprintf(stderr, "differential: memmap_mm_create: %s\n", strerror(-err));
		return -1;
	}
	if (own_files)
		guest_set_mm(model->guest[0], model->mm[0]);
	for (int i = 0; i < NR_FILES; i++) {
		const struct open_file *from = &files->file[i];
		struct memmap_mmap_file *to = &model->open[i];
		struct file_object *file;

		if (!from->usable)
			continue;
		file = model_file(model, from->dev, from->ino, from->name);
		if (own_files && !from->no_mmap && !file->inode->real &&
		    model_pages_file(model, (enum file)i, file))
			return -1;
		to->identity = &file->identity;
		to->mappable = file->inode->real ? file->inode->real : &file->inode->mappable;
		to->readable = from->readable;
		to->writable = from->writable;
		to->no_exec = from->no_exec;
		to->no_mmap = from->no_mmap;
		to->max_offset = from->no_mmap ? UINT64_MAX : 0; /* none, or that of files */
		to->huge_aligned = from->huge_aligned;
		to->seal_write = from->sealed;
		to->map_sync = to->refuses_sync = from->huge_aligned;
	}
	return model_seed(model, kernel);
}

bool model_stop(struct model *model)
{
	bool clean = true;

	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
		memmap_mm_release(model->mm[i]);
		memmap_text_release(&model->maps[i]);
	}
	while (model->files) {
		struct file_object *file = model->files;

		if (file->references) {
			fprintf(stderr, "differential: %ld references to %s are left\n",
				file->references, file->name);
			clean = false;
		}
		model->files = file->next;
		free(file);
	}
	while (model->inodes) {
		struct inode *inode = model->inodes;

		if (!memmap_mapping_set_is_empty(&inode->mappings)) {
			fprintf(stderr, "differential: mappings of inode %llu are left\n",
				(unsigned long long)inode->ino);
			clean = false;
		}
		memmap_mapping_set_destroy(&inode->mappings);
		if (inode->real_identity)
			memmap_mapping_identity_dec_ref(inode->real_identity, NULL);
		model->inodes = inode->next;
		free(inode);
	}
	if (model->own_files)
		clean &= model_pages_stop(model);
	free(model);
	return clean;
}

struct memmap_mm *model_mm(struct model *model, unsigned int process)
{
	return model->mm[process];
}

const char *model_maps(struct model *model, unsigned int process)
{
	if (memmap_mm_print_maps(model->mm[process], &model->maps[process]))
		abort();
	return model->maps[process].data ? model->maps[process].data : "";
}

/* ---- The reverse map ---- */

/* Does the inode know of all that this VMA maps? Its segments may reach beyond the VMA. */
static bool inode_knows_vma(struct inode *inode, struct memmap_mapping_space *space,
			    const struct memmap_vma *vma)
{
	const uint64_t writable = MEMMAP_VM_SHARED | MEMMAP_VM_MAYWRITE;
	const uint64_t end = vma->offset + (vma->range.end - vma->range.start);
	struct memmap_mapping_iterator it =
		memmap_mapping_set_find_segment(&inode->mappings, vma->offset);
	uint64_t at = vma->offset;

	for (; at < end; it = memmap_mapping_iterator_next_segment(it)) {
		struct memmap_mapping_of_range mapping = {
			.space = space,
			.writable = (vma->flags & writable) == writable,
		};

		if (!memmap_mapping_iterator_ok(it) || memmap_mapping_iterator_start(it) > at)
			return false;
		mapping.addr_range.start =
			vma->range.start - vma->offset + memmap_mapping_iterator_start(it);
		mapping.addr_range.end =
			vma->range.start - vma->offset + memmap_mapping_iterator_end(it);
		if (!memmap_mapping_iterator_has_mapping(it, mapping))
			return false;
		at = memmap_mapping_iterator_end(it);
	}
	return true;
}

/* The bytes that all VMAs map of the inode; UINT64_MAX when it does not know of one of them. */
static uint64_t bytes_of_vmas(const struct model *model, struct inode *inode)
{
	struct memmap_vma vma;
	uint64_t bytes = 0;

	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
		struct memmap_mm *mm = model->mm[i];

		for (uint64_t at = 0; mm && memmap_mm_find_vma(mm, at, &vma); at = vma.range.end) {
			if (vma.mappable != &inode->mappable)
				continue;
			bytes += vma.range.end - vma.range.start;
			if (!inode_knows_vma(inode, memmap_mm_mapping_space(mm), &vma))
				return UINT64_MAX;
		}
	}
	return bytes;
}

bool model_check_files(struct model *model)
{
	if (model->own_files)
		return model_pages_check(model);
	for (struct inode *inode = model->inodes; inode; inode = inode->next) {
		const uint64_t mapped = bytes_of_vmas(model, inode);
		struct memmap_mapping_iterator it;
		uint64_t known = 0;

		for (it = memmap_mapping_set_first_segment(&inode->mappings);
		     memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it))
			known += (memmap_mapping_iterator_end(it) -
				  memmap_mapping_iterator_start(it)) *
				 memmap_mapping_iterator_nr_mappings(it);
		if (known != mapped) {
			fprintf(stderr,
				"differential: inode %llu: the reverse map is not what the "
				"VMAs say\n",
				(unsigned long long)inode->ino);
			return false;
		}
	}
	return true;
}

/* ---- Steps ---- */

struct shared_anonymous {
	struct model *model;
	uint64_t dev, ino;
	struct file_object *created;
};

static int create_shared_anonymous(void *context, uint64_t length, struct memmap_mmap_file *out)
{
	struct shared_anonymous *shared = context;

	if (shared->model->own_files)
		return model_pages_shared(shared->model, length, shared->dev, shared->ino, out);
	shared->created =
		model_file(shared->model, shared->dev, shared->ino, "/dev/zero (deleted)");
	shared->created->references++; /* the address space owns this one */
	out->identity = &shared->created->identity;
	out->mappable = &shared->created->inode->mappable;
	out->readable = out->writable = true;
	return 0;
}

static int64_t model_mmap(struct model *model, const struct kernel *kernel, const struct step *step,
			  int64_t kernel_result)
{
	const uint64_t *a = step->args;
	struct shared_anonymous shared = {.model = model};
	const struct memmap_shared_anonymous create = {&shared, create_shared_anonymous};
	const struct memmap_mmap_file *file = NULL;

	if (!(a[3] & MAP_ANONYMOUS)) {
		file = &model->open[a[4]];
		if (!model->described->file[a[4]].usable)
			file = NULL;
	} else if (kernel_result >= 0) {
		/* Which inode has it become? A new one for each mapping. */
		struct kernel_vmas vmas = {0};

		kernel_vmas_parse(&vmas, kernel->process[step->process].maps);
		for (size_t i = 0; i < vmas.len; i++)
			if (vmas.vmas[i].start <= (uint64_t)kernel_result &&
			    (uint64_t)kernel_result < vmas.vmas[i].end) {
				shared.dev = vmas.vmas[i].dev;
				shared.ino = vmas.vmas[i].ino;
			}
		kernel_vmas_release(&vmas);
	}
	return memmap_mm_sys_mmap(model->mm[step->process], a[0], a[1], a[2], a[3], file, a[5],
				  &create);
}

/* What a touch of one byte does: grow a stack, be refused, or make a page anonymous. */
static int64_t model_touch(struct model *model, const struct step *step, int64_t kernel_result)
{
	struct memmap_mm *mm = model->mm[step->process];
	const uint64_t page = step->args[0] & ~(PAGE - 1);
	const uint64_t huge = page & ~((2ULL << 20) - 1);
	const int mode = memmap_mm_get_limits(mm).huge_pages;
	const uint64_t any = MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC;
	struct memmap_vma vma;
	bool anonymous;

	if (page >= TASK_END || !memmap_mm_find_vma(mm, page, &vma))
		return -EFAULT;
	if (vma.range.start > page) {
		if (memmap_mm_expand_stack(mm, page))
			return -EFAULT;
		if (!memmap_mm_find_vma(mm, page, &vma) || vma.range.start > page)
			return -EPROTO;
	}
	if (!(vma.flags & (step->op == OP_WRITE ? MEMMAP_VM_WRITE : any)))
		return -EFAULT;
	/* At a guard page nothing becomes anonymous, unlike past the end of a file. */
	if (kernel_result == -EFAULT && (vma.flags & MEMMAP_VM_MAYBE_GUARD))
		return -EFAULT;
	/* Reading makes a page anonymous only when that is a huge one, or when there is no page of
	 * zeros. */
	anonymous = step->op == OP_WRITE ||
		    (memmap_mm_get_limits(mm).no_zero_page && !vma.mappable && !vma.name);
	if (!vma.mappable && huge >= vma.range.start && huge + (2ULL << 20) <= vma.range.end &&
	    (mode == 2 ? !(vma.flags & MEMMAP_VM_NOHUGEPAGE)
		       : mode == 1 && (vma.flags & MEMMAP_VM_HUGEPAGE)))
		anonymous = true;
	if (anonymous && !(vma.flags & MEMMAP_VM_SHARED))
		memmap_mm_note_anonymous(
			mm, (struct memmap_addr_range){.start = page, .end = page + PAGE});
	if (kernel_result == -EFAULT && (vma.mappable || vma.name))
		return -EFAULT; /* past the end of the file, or [vvar] */
	return 0;
}

/* Some of those can have huge pages, as their file systems say. */
static bool maps_files_privately(struct memmap_mm *mm, const struct step *step)
{
	const uint64_t end = step->args[0] + step->args[1];
	struct memmap_vma vma;

	for (uint64_t at = step->args[0]; memmap_mm_find_vma(mm, at, &vma) && vma.range.start < end;
	     at = vma.range.end)
		if (vma.identity && !(vma.flags & MEMMAP_VM_SHARED))
			return true;
	return false;
}

static int64_t model_madvise(struct model *model, const struct step *step, int64_t kernel_result)
{
	struct memmap_mm *mm = model->mm[step->process];
	const int advice = (int)step->args[2];
	int64_t result = memmap_mm_sys_madvise(mm, step->args[0], step->args[1], advice);

	if (advice == MADV_PAGEOUT)
		model->pages_go = true;
	if (model->own_files && advice != MADV_COLLAPSE)
		return result;
	/* Pages can refuse what VMAs permit; then the kernel does not come to a hole behind them. */
	if (advice == MADV_COLLAPSE && kernel_result <= 0 &&
	    (result == 0 || result == -ENOMEM || maps_files_privately(mm, step)))
		return kernel_result;
	if (result == 0 && kernel_result < 0 &&
	    (((advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) &&
	      kernel_result == -EFAULT) ||
	     (advice == MADV_REMOVE && kernel_result == -EFBIG)))
		return kernel_result;
	return result;
}

static int64_t model_limit(struct model *model, const struct step *step)
{
	struct memmap_mm *mm = model->mm[step->process];
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	uint64_t value = step->args[1];
	struct rlimit hard;

	/* The hard limits are the fuzzer's own: they are inherited, and nobody lowers them. */
	if (getrlimit((__rlimit_resource_t)step->args[0], &hard))
		abort();
	if (value > hard.rlim_max)
		value = hard.rlim_max;
	switch (step->args[0]) {
	case RLIMIT_AS:
		limits.address_space = value;
		break;
	case RLIMIT_DATA:
		limits.data = value;
		break;
	case RLIMIT_STACK:
		limits.stack = value;
		break;
	case RLIMIT_MEMLOCK:
		limits.memlock = value;
		break;
	default:
		return -EINVAL;
	}
	memmap_mm_set_limits(mm, &limits);
	return 0;
}

/* Does the script's count of VMAs hold? */
static int64_t model_count_vmas(struct model *model, const struct step *step)
{
	struct memmap_vma vma;
	uint64_t at = step->args[0], end = at + step->args[1], count = 0;

	for (; at < end && memmap_mm_find_vma(model->mm[step->process], at, &vma) &&
	       vma.range.start < end;
	     at = vma.range.end)
		count++;
	if (count == step->args[2])
		return 0;
	fprintf(stderr, "differential: %llu VMAs where the script expects %llu\n",
		(unsigned long long)count, (unsigned long long)step->args[2]);
	return -EPROTO;
}

static int64_t model_personality(struct memmap_mm *mm, uint64_t personality)
{
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);

	limits.read_implies_exec = (personality & READ_IMPLIES_EXEC) != 0;
	memmap_mm_set_limits(mm, &limits);
	return 0;
}

static int64_t model_stripe(struct memmap_mm *mm, const struct step *step)
{
	int64_t result = 0;

	for (uint64_t i = 0; i < step->args[1] && result == 0; i++) {
		const struct step protect = stripe_step(step, i);

		result = memmap_mm_sys_mprotect(mm, protect.args[0], protect.args[1],
						protect.args[2]);
	}
	return result;
}

static int64_t model_call(struct model *model, const struct kernel *kernel, const struct step *step,
			  int64_t kernel_result)
{
	struct memmap_mm *mm = model->mm[step->process];
	const uint64_t *a = step->args;

	switch (step->op) {
	case OP_MMAP:
		return model_mmap(model, kernel, step, kernel_result);
	case OP_MUNMAP:
		return memmap_mm_sys_munmap(mm, a[0], a[1]);
	case OP_MPROTECT:
		return memmap_mm_sys_mprotect(mm, a[0], a[1], a[2]);
	case OP_MREMAP:
		return memmap_mm_sys_mremap(mm, a[0], a[1], a[2], a[3], a[4]);
	case OP_BRK:
		return memmap_mm_sys_brk(mm, a[0]);
	case OP_MADVISE:
		return model_madvise(model, step, kernel_result);
	case OP_MLOCK:
		return memmap_mm_sys_mlock(mm, a[0], a[1]);
	case OP_MLOCK2:
		return memmap_mm_sys_mlock2(mm, a[0], a[1], a[2]);
	case OP_MUNLOCK:
		return memmap_mm_sys_munlock(mm, a[0], a[1]);
	case OP_MLOCKALL:
		return memmap_mm_sys_mlockall(mm, a[0]);
	case OP_MUNLOCKALL:
		return memmap_mm_sys_munlockall(mm);
	case OP_MSEAL:
		return memmap_mm_sys_mseal(mm, a[0], a[1], a[2]);
	case OP_MSYNC:
		return memmap_mm_sys_msync(mm, a[0], a[1], a[2]);
	case OP_READ:
	case OP_WRITE:
		return model_touch(model, step, kernel_result);
	case OP_FORK:
		return model->own_files ? model_pages_fork(model, step)
					: memmap_mm_fork(mm, NULL, &model->mm[a[0]]);
	case OP_EXIT:
		memmap_mm_release(mm);
		model->mm[step->process] = NULL;
		guest_destroy(model->guest[step->process]);
		model->guest[step->process] = NULL;
		return 0;
	case OP_LIMIT:
		return model_limit(model, step);
	case OP_PERSONALITY:
		return model_personality(mm, a[0]);
	case OP_STRIPE:
		return model_stripe(mm, step);
	case OP_VMAS:
		return model_count_vmas(model, step);
	default:
		return -EPROTO;
	}
}

struct outcome model_run(struct model *model, const struct kernel *kernel, const struct step *step,
			 const struct outcome *from_kernel)
{
	if (model->own_files &&
	    (step->op >= OP_PEEK || step->op == OP_READ || step->op == OP_WRITE))
		return model_pages_run(model, step, from_kernel);
	return (struct outcome){
		.result = model_call(model, kernel, step, from_kernel->result),
	};
}
