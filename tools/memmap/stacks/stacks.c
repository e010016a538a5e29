/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sites, whoever unwinds. See stacks.h.
 */
#include "stacks/stacks.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMPANION "memmap-stacks"

void stacks_hand_over(char **argv)
{
	char path[PATH_MAX + sizeof(COMPANION)];
	const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
	size_t nr = 0;
	while (argv[nr])
		nr++;
	char **all = calloc(nr + 2, sizeof(*all));
	if (length > 0 && all) {
		path[length] = '\0';
		char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
		/* Copied over it, or linked: it would become itself for ever. */
		if (strcmp(name, COMPANION) == 0) {
			free(all);
			return;
		}
		memcpy(name, COMPANION, sizeof(COMPANION));
		all[0] = path;
		memcpy(all + 1, argv, nr * sizeof(*argv));
		execv(path, all);
	}
	free(all);
}

const char *site_text(const struct sites *sites, uint32_t site)
{
	return text_pool_get(&sites->texts, site);
}

void sites_release(struct sites *sites)
{
	text_pool_release(&sites->texts);
	ARRAY_RELEASE(NULL, &sites->sites);
}
