/* SPDX-License-Identifier: Apache-2.0 */
/* The declare-only form beside the implement-only form in another file: they are one set. */
#include <stdio.h>

#include "segment/linkage.h"

int main(void)
{
	struct linkage_set s = {0};
	struct memmap_addr_range a = {10, 20}, b = {20, 30}, c = {100, 200};
	if (linkage_set_add(&s, a, 1) || linkage_set_add(&s, b, 1) || linkage_set_add(&s, c, 2))
		return 1;
	struct linkage_iterator it = linkage_set_first_segment(&s);
	struct linkage_gap_iterator g = linkage_set_first_large_enough_gap(&s, 70);
	bool right = linkage_iterator_end(it) == 30 && linkage_gap_iterator_start(g) == 30 &&
		     linkage_set_verify(&s) == 0;
	linkage_set_destroy(&s);
	(void)printf("%s\n", right ? "one set" : "wrong");
	return !right;
}
