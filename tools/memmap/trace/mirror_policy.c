/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA policies, as mbind(2) is given them. The model keeps them apart by numbers, which this table
 * gives out: equal policies have equal numbers.
 *
 * Two policies are equal when mode, flags and nodes are. The nodes are those that the thread may
 * use among those that it named; those that it named count as well where a flag says that they are
 * to be kept.
 *
 * Pages on wrong nodes are known to the kernel alone, so the model makes the call at its exit.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>

#include "trace/trace.h"

/* Up to MPOL_WEIGHTED_INTERLEAVE, which linux/mempolicy.h may be too old for. */
#define NR_MODES 7u

/* Nodes named beyond these bits must be none: sys_mbind() looks at a page of them. */
#define MOST_BITS (UINT64_C(4096) * 8)

#define WORD_BITS UINT64_C(64)

static bool is_empty(const struct node_set *set)
{
	for (size_t i = 0; i < NR_NODE_WORDS; i++)
		if (set->words[i])
			return false;
	return true;
}

static struct node_set intersection(const struct node_set *a, const struct node_set *b)
{
	struct node_set both;
	for (size_t i = 0; i < NR_NODE_WORDS; i++)
		both.words[i] = a->words[i] & b->words[i];
	return both;
}

static void keep_first(struct node_set *set)
{
	bool found = false;
	for (size_t i = 0; i < NR_NODE_WORDS; i++) {
		set->words[i] = found ? 0 : set->words[i] & (0 - set->words[i]);
		found |= set->words[i] != 0;
	}
}

/*
 * The nodes that a thread may use, and in `*nr_bits` how many the kernel knows: "Mems_allowed:" of
 * its status, in words of 32 bits, the highest first.
 */
static int allowed_nodes(pid_t tid, struct node_set *out, uint64_t *nr_bits)
{
	char text[512];
	if (memmap_process_status_field(tid, "Mems_allowed:", text, sizeof(text)))
		return -ESRCH;
	*out = (struct node_set){{0}};
	*nr_bits = 0;
	for (char *at = text + strlen(text); at > text && *nr_bits < NR_NODE_WORDS * WORD_BITS;
	     *nr_bits += 32) {
		while (at > text && at[-1] != ',')
			at--;
		out->words[*nr_bits / WORD_BITS] |= strtoull(at, NULL, 16)
						    << (*nr_bits % WORD_BITS);
		if (at > text)
			*--at = '\0';
	}
	return 0;
}

/* The low `nr_bits` of the nodes that the program named. Linux's get_bitmap(). */
static int read_bits(pid_t tid, uint64_t addr, uint64_t nr_bits, uint64_t *words)
{
	const size_t nr = (size_t)((nr_bits + WORD_BITS - 1) / WORD_BITS);
	if (memmap_process_read(tid, addr, words, nr * sizeof(*words)))
		return -EFAULT;
	if (nr_bits % WORD_BITS)
		words[nr - 1] &= (UINT64_C(1) << nr_bits % WORD_BITS) - 1;
	return 0;
}

/* Linux's get_nodes(): what lies beyond the kernel's bits is looked at from the end. */
static int read_nodes(const struct thread *thread, uint64_t nr_known, struct node_set *out)
{
	const pid_t tid = thread->task->tid;
	const uint64_t addr = thread->call.args[3];
	uint64_t nr_bits = thread->call.args[4] - 1;
	*out = (struct node_set){{0}};
	if (nr_bits == 0 || addr == 0)
		return 0;
	if (nr_bits > MOST_BITS)
		return -EINVAL;
	while (nr_bits > nr_known) {
		/* The last word as a whole, however much of it was said to count. */
		const uint64_t start = (nr_bits - 1) / WORD_BITS * WORD_BITS;
		const uint64_t nr = nr_bits < WORD_BITS ? nr_bits : WORD_BITS;
		uint64_t word;
		if (read_bits(tid, addr + start / 8, nr, &word))
			return -EFAULT;
		if (start < nr_known)
			word &= ~((UINT64_C(1) << nr_known % WORD_BITS) - 1);
		if (word)
			return -EINVAL;
		nr_bits = start < nr_known ? nr_known : start;
	}
	return read_bits(tid, addr, nr_bits, out->words);
}

/* What the mode asks for, with its flags taken off: -EINVAL when there is no such. */
static int parse_mode(uint32_t mode, struct policy *policy)
{
	const uint32_t all = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING;
	policy->mode = mode & ~all;
	policy->flags = mode & all;
	if (policy->mode >= NR_MODES ||
	    ((mode & MPOL_F_STATIC_NODES) && (mode & MPOL_F_RELATIVE_NODES)) ||
	    ((mode & MPOL_F_NUMA_BALANCING) && policy->mode != MPOL_BIND &&
	     policy->mode != MPOL_PREFERRED_MANY))
		return -EINVAL;
	return 0;
}

/* Linux's mpol_new() and mpol_set_nodemask(). */
static int settle_policy(struct policy *policy, const struct node_set *allowed)
{
	const uint32_t keeps = policy->flags & (MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES);
	const bool none = is_empty(&policy->named);
	if (policy->mode == MPOL_DEFAULT)
		return none ? 0 : -EINVAL;
	if (policy->mode == MPOL_LOCAL || (policy->mode == MPOL_PREFERRED && none)) {
		policy->mode = MPOL_LOCAL;
		return none && !keeps ? 0 : -EINVAL;
	}
	if (none)
		return -EINVAL;
	/* Relative to what is allowed, they are some of it, and follow from what was named. */
	if (!(policy->flags & MPOL_F_RELATIVE_NODES)) {
		policy->nodes = intersection(&policy->named, allowed);
		if (is_empty(&policy->nodes))
			return -EINVAL;
	}
	if (policy->mode == MPOL_PREFERRED)
		keep_first(&policy->nodes);
	if (!keeps)
		policy->named = (struct node_set){{0}};
	return 0;
}

/* The number of a policy, 0 of the default one. False: no memory for another one. */
static bool number_of(struct trace *trace, const struct policy *policy, uint32_t *number)
{
	size_t i = 0;
	*number = 0;
	if (policy->mode == MPOL_DEFAULT)
		return true;
	while (i < trace->policies.length &&
	       memcmp(&trace->policies.items[i], policy, sizeof(*policy)) != 0)
		i++;
	if (i == trace->policies.length) {
		if (!ARRAY_RESERVE(NULL, &trace->policies, 1))
			return false;
		trace->policies.items[trace->policies.length++] = *policy;
	}
	*number = (uint32_t)i + 1;
	return true;
}

enum mirror_mode mbind_entry(struct trace *trace, struct thread *thread)
{
	const uint64_t *args = thread->call.args;
	struct policy policy = {0};
	struct node_set allowed;
	uint64_t nr_known, length;
	if (allowed_nodes(thread->task->tid, &allowed, &nr_known))
		return MIRROR_ADOPT;
	int err = parse_mode((uint32_t)args[2], &policy);
	if (!err)
		err = read_nodes(thread, nr_known, &policy.named);
	if (!err && ((uint32_t)args[5] & ~(uint32_t)MPOL_MF_VALID))
		err = -EINVAL;
	/* Where nothing is asked for, the nodes are not looked at. */
	const bool nothing = !memmap_page_round_up(args[1], &length) || length == 0;
	if (!err && !nothing)
		err = settle_policy(&policy, &allowed);
	thread->predicted = err;
	return err || number_of(trace, &policy, &thread->policy) ? MIRROR_AT_EXIT : MIRROR_ADOPT;
}

void mbind_exit(struct thread *thread)
{
	const uint64_t *args = thread->call.args;
	const int64_t result = thread->call.result;
	const bool moves = (args[5] & (MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) != 0;
	/* Not allowed to move pages of others; no nodes in the kernel; pages that may not stay. */
	if (result == -ENOSYS || (result == -EPERM && (args[5] & MPOL_MF_MOVE_ALL)) ||
	    (result == -EIO && !moves && (args[5] & MPOL_MF_STRICT))) {
		thread->predicted = result;
		return;
	}
	if (thread->predicted)
		return;
	thread->predicted =
		memmap_mm_sys_mbind(thread->process->space->mm, args[0], args[1], thread->policy);
	/* Everything was done, but some pages could not be moved. */
	if (thread->predicted == 0 && result == -EIO && moves)
		thread->predicted = result;
}
