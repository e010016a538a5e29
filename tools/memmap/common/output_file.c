/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are written whole or not at all. See output_file.h.
 */
#include "common/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file without a name, where the final one will be: whatever becomes of us, nothing is left. */
static bool open_unnamed(struct output_file *file)
{
	const char *slash = strrchr(file->target, '/');
	const size_t length = slash ? (size_t)(slash - file->target) + 1 : 1;
	char *folder = slash ? strndup(file->target, length) : strdup(".");
	const int fd = folder ? open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
	free(folder);
	if (fd < 0)
		return false;
	file->stream = fdopen(fd, "w");
	if (!file->stream)
		close(fd);
	file->unnamed = file->stream != NULL;
	return file->unnamed;
}

static int make_temporary_name(struct output_file *file)
{
	static const char suffix[] = ".XXXXXX";
	const size_t length = strlen(file->target);
	file->temporary = malloc(length + sizeof(suffix));
	if (!file->temporary)
		return -ENOMEM;
	memcpy(file->temporary, file->target, length);
	memcpy(file->temporary + length, suffix, sizeof(suffix));
	return 0;
}

/* Give the file a name beside its final one, which it then takes over at once. */
static int name_beside(struct output_file *file)
{
	char link[64];
	int err = make_temporary_name(file);
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fileno(file->stream));
	for (unsigned int i = 0; !err && i < 1000; i++) {
		char *suffix = file->temporary + strlen(file->target) + 1;
		(void)snprintf(suffix, 7, "%06u", ((unsigned int)getpid() + i) % 1000000);
		if (linkat(AT_FDCWD, link, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		if (errno != EEXIST)
			err = -errno;
	}
	/* It is not ours to remove. */
	free(file->temporary);
	file->temporary = NULL;
	return err ? err : -EEXIST;
}

static int open_named(struct output_file *file)
{
	if (make_temporary_name(file))
		return -ENOMEM;
	int fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0) {
		int err = -errno;
		free(file->temporary);
		file->temporary = NULL;
		return err;
	}
	/* As open(2) would have made it. */
	const mode_t mask = umask(0);
	umask(mask);
	(void)fchmod(fd, 0666 & ~mask);
	file->stream = fdopen(fd, "w");
	if (!file->stream) {
		int err = -errno;
		close(fd);
		return err;
	}
	return 0;
}

/* `old`: what is there and will be replaced, NULL: nothing is. */
static int open_beside(struct output_file *file, const struct stat *old)
{
	int err = open_unnamed(file) ? 0 : open_named(file);
	if (!err && old)
		(void)fchmod(fileno(file->stream), old->st_mode & 0777);
	return err;
}

int output_file_open(struct output_file *file, const char *path)
{
	*file = (struct output_file){.path = path};
	struct stat st;
	int err;
	if (path[0] == '\0')
		return -ENOENT;
	if (stat(path, &st)) {
		/* A link that leads to nothing yet is for open(2) to follow. */
		if (lstat(path, &st) || !S_ISLNK(st.st_mode)) {
			file->target = strdup(path);
			err = file->target ? open_beside(file, NULL) : -ENOMEM;
			goto out;
		}
	} else if (S_ISREG(st.st_mode)) {
		/* A file that may not be written must not be replaced either. */
		file->target = access(path, W_OK) == 0 ? realpath(path, NULL) : NULL;
		err = file->target ? open_beside(file, &st) : -errno;
		goto out;
	} else if (S_ISDIR(st.st_mode)) {
		return -EISDIR;
	}
	file->stream = fopen(path, "we");
	err = file->stream ? 0 : -errno;
out:
	if (err)
		output_file_abandon(file);
	return err;
}

int output_file_commit(struct output_file *file)
{
	errno = 0;
	int err = fflush(file->stream) || ferror(file->stream) ? -(errno ? errno : EIO) : 0;
	if (!err && file->unnamed)
		err = name_beside(file);
	if (fclose(file->stream) && !err)
		err = -errno;
	file->stream = NULL;
	if (!err && file->temporary && rename(file->temporary, file->target))
		err = -errno;
	if (!err) {
		free(file->temporary);
		file->temporary = NULL;
	}
	output_file_abandon(file);
	return err;
}

void output_file_abandon(struct output_file *file)
{
	if (file->stream)
		fclose(file->stream);
	file->stream = NULL;
	if (file->temporary) {
		unlink(file->temporary);
		free(file->temporary);
		file->temporary = NULL;
	}
	free(file->target);
	file->target = NULL;
}
