/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Give a fuzz target the inputs that are in files: the corpus, or what a fuzzer found.
 *
 *   replay_TARGET FILE-OR-DIRECTORY...
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t nr_inputs;

static int fail(const char *path)
{
	(void)fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	return 1;
}

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, got;

	if (!file)
		return fail(path);
	do {
		uint8_t *grown = (uint8_t *)realloc(data, size + 4096);

		if (!grown) {
			free(data);
			(void)fclose(file);
			return fail(path);
		}
		data = grown;
		got = fread(data + size, 1, 4096, file);
		size += got;
	} while (got > 0);
	(void)fclose(file);

	/* The exact size, so that a sanitizer sees who reads beyond it. */
	uint8_t *exact = (uint8_t *)malloc(size ? size : 1);

	if (!exact) {
		free(data);
		return fail(path);
	}
	memcpy(exact, data, size);
	free(data);
	(void)fprintf(stderr, "%s\n", path);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	nr_inputs++;
	return 0;
}

static int replay(const char *path)
{
	struct stat status;
	struct dirent *entry;
	int failed = 0;

	if (stat(path, &status) != 0)
		return fail(path);
	if (!S_ISDIR(status.st_mode))
		return replay_file(path);

	DIR *directory = opendir(path);

	if (!directory)
		return fail(path);
	while ((entry = readdir(directory)) && !failed) {
		char full[4096];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
		failed = replay(full);
	}
	(void)closedir(directory);
	return failed;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay(argv[i]) != 0)
			return 1;
	if (nr_inputs == 0) {
		(void)fprintf(stderr, "replay: no inputs\n");
		return 1;
	}
	(void)printf("%zu inputs\n", nr_inputs);
	return 0;
}
