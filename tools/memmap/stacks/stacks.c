/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sites, whoever unwinds. See stacks.h.
 */
#include "stacks/stacks.h"

const char *site_text(const struct sites *sites, uint32_t site)
{
	return text_pool_get(&sites->texts, site);
}

void sites_release(struct sites *sites)
{
	text_pool_release(&sites->texts);
	ARRAY_RELEASE(NULL, &sites->sites);
}
