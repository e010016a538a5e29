/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_vm_readv, process_vm_writev, process_madvise and mincore against the kernel: the same
 * random mappings and touches in this process and in an address space, the same random calls, and the
 * same results, errnos and bytes.
 *
 *   mm_twin_calls [SEED [ROUNDS]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "twin.h"

#ifndef SYS_process_madvise
#	define SYS_process_madvise 440
#endif
#ifndef SYS_pidfd_open
#	define SYS_pidfd_open 434
#endif

static uint64_t seed = 1, rounds = 60;

/* One in each call may be strange. */
#define MAX_RANGES 5

/* Ranges in and around the region, few of them strange. */
static uint64_t random_vector(struct memmap_iovec *vector)
{
	static const uint64_t strange_base[] = {
		0, 1, UINT64_MAX, 0x7ffffffff000 - 1, 0x7ffffffff000, UINT64_C(1) << 63};
	static const uint64_t strange_length[] = {INT64_MAX, UINT64_C(1) << 63, UINT64_MAX,
						  0x7ffff000, 0x80000000};
	uint64_t nr = random_below(MAX_RANGES + 1);
	for (uint64_t i = 0; i < nr; i++) {
		vector[i].base =
			BASE + random_below(NR_PAGES) * K + random_below(2) * random_below(K);
		vector[i].length = random_below(4) == 0 ? 0
				   : random_below(2)    ? random_below(3 * K)
							: random_below(20);
		if (random_below(60) == 0)
			vector[i].base = strange_base[random_below(6)];
		if (random_below(60) == 0)
			vector[i].length = strange_length[random_below(5)];
	}
	return nr;
}

static void print_vector(const char *what, const struct memmap_iovec *vector, uint64_t nr)
{
	print_error("  %s:", what);
	for (uint64_t i = 0; i < nr && i < MAX_RANGES; i++)
		print_error(" %" PRIx64 "+%" PRIx64, vector[i].base, vector[i].length);
	print_error(" (%" PRIu64 ")\n", nr);
}

static void print_smaps_of_region(void)
{
	char line[256];
	FILE *in = fopen("/proc/self/maps", "r");
	while (in && fgets(line, sizeof(line), in)) {
		if (strtoull(line, NULL, 16) >= BASE &&
		    strtoull(line, NULL, 16) < BASE + NR_PAGES * K)
			print_error("  %s", line);
	}
	if (in)
		fclose(in);
}

/* struct iovec and struct memmap_iovec are the same to the kernel. */
_Static_assert(sizeof(struct iovec) == sizeof(struct memmap_iovec), "a 64-bit machine");

/* Put what lies in the region into the half of it that begins at `start`. */
static void into_half(struct memmap_iovec *range, uint64_t start)
{
	const uint64_t half = NR_PAGES / 2 * K;
	if (range->base < BASE || range->base >= BASE + 2 * half)
		return;
	range->base = start + (range->base - BASE) % half;
	if (range->length < K * NR_PAGES && range->length > start + half - range->base)
		range->length = start + half - range->base;
}

static void one_process_vm(struct twin *t)
{
	static struct memmap_iovec local[1100], remote[1100];
	const bool write = random_below(2);
	struct twin_process *other = random_below(3) ? &t->child : &t->self;
	uint64_t nr_local = random_vector(local), nr_remote = random_vector(remote);
	const uint64_t flags = random_below(50) == 0 ? UINT64_C(1) << (random_below(2) * 32) : 0;
	if (random_below(50) == 0)
		nr_local = 1024 + random_below(2);
	if (random_below(50) == 0)
		nr_remote = 1024 + random_below(2);
	/* What overlaps is copied in an order that nobody promises: a half is for each side. */
	const uint64_t half = NR_PAGES / 2 * K, shift = random_below(2) * half;
	for (uint64_t i = 0; i < nr_local && i < MAX_RANGES; i++)
		into_half(&local[i], BASE + shift);
	for (uint64_t i = 0; i < nr_remote && i < MAX_RANGES; i++)
		into_half(&remote[i], BASE + half - shift);
	int64_t theirs = native(syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv,
					other->pid, local, nr_local, remote, nr_remote, flags));
	int64_t ours = (write ? memmap_mm_sys_process_vm_writev : memmap_mm_sys_process_vm_readv)(
		t->self.mm, local, nr_local, other->mm, remote, nr_remote, flags);
	if (theirs != ours || !twin_is_alike(&t->self) || !twin_is_alike(&t->child)) {
		print_error("process_vm_%s of %s is %" PRId64 " with the kernel; ours: %" PRId64
			    "\n",
			    write ? "writev" : "readv", other == &t->self ? "itself" : "another",
			    theirs, ours);
		print_vector("local", local, nr_local);
		print_vector("remote", remote, nr_remote);
		print_smaps_of_region();
		fail();
	}
}

static void test_process_vm(void **state)
{
	(void)state;
	struct iovec byte = {&byte, 1}, same = {&byte, 1};
	if (syscall(SYS_process_vm_readv, getpid(), &byte, 1, &same, 1, 0) != 1) {
		print_message("skipped: process_vm_readv(2): %s\n", strerror(errno));
		skip();
	}
	for (uint64_t round = 0; round < rounds; round++) {
		struct twin t;
		random_state_ = seed + round;
		print_message("process_vm, seed %" PRIu64 "\n", seed + round);
		twin_init(&t, "twin");
		twin_fill(&t);
		twin_fork(&t);
		for (int i = 0; i < 30; i++)
			one_process_vm(&t);
		twin_destroy(&t);
	}
}

/* ---- mincore ---- */

static void one_mincore(struct twin *t)
{
	unsigned char theirs[NR_PAGES + 8], ours[NR_PAGES + 8];
	uint64_t addr = BASE + random_below(NR_PAGES) * K;
	uint64_t length = random_below(NR_PAGES) * K + random_below(2) * random_below(K);
	if (length > BASE + NR_PAGES * K - addr)
		length = BASE + NR_PAGES * K - addr;
	if (random_below(30) == 0)
		addr += random_below(3);
	if (random_below(30) == 0)
		length = random_below(2) ? UINT64_MAX : 0x7ffffffff000;
	memset(theirs, 9, sizeof(theirs));
	memset(ours, 9, sizeof(ours));
	int64_t their_result = native(syscall(SYS_mincore, addr, length, theirs));
	int64_t our_result = memmap_mm_sys_mincore(t->self.mm, addr, length, ours);
	if (their_result != our_result || memcmp(theirs, ours, sizeof(ours)) != 0) {
		print_error("mincore of %" PRIx64 "+%" PRIx64 " is %" PRId64
			    " with the kernel; ours: %" PRId64 "\n",
			    addr, length, their_result, our_result);
		for (size_t i = 0; i < sizeof(ours); i++)
			print_error("%d%d ", theirs[i], ours[i]);
		print_error("\n");
		print_smaps_of_region();
		fail();
	}
}

/* Sanitizers make mlock() do nothing, so the calls are made without the C library. */
static void twin_lock(struct twin *t, uint64_t page, uint64_t n)
{
	const uint64_t addr = BASE + page * K;
	const unsigned on_fault = random_below(2) ? MLOCK_ONFAULT : 0;
	if (random_below(3) == 0)
		assert_alike(native(syscall(SYS_munlock, addr, n * K)),
			     memmap_mm_sys_munlock(t->self.mm, addr, n * K));
	else
		assert_alike(native(syscall(SYS_mlock2, addr, n * K, on_fault)),
			     memmap_mm_sys_mlock2(t->self.mm, addr, n * K, on_fault));
}

static void twin_sync(struct twin *t, uint64_t page, uint64_t n)
{
	static const int flags[] = {MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_INVALIDATE};
	const uint64_t addr = BASE + page * K, which = random_below(4);
	assert_alike(native(msync((void *)addr, n * K, flags[which])),
		     memmap_mm_sys_msync(t->self.mm, addr, n * K, (uint64_t)flags[which]));
}

static void test_mincore(void **state)
{
	(void)state;
	static const int advice[] = {MADV_DONTNEED, MADV_GUARD_INSTALL, MADV_GUARD_REMOVE,
				     MADV_COLD, MADV_POPULATE_READ};
	for (uint64_t round = 0; round < rounds; round++) {
		struct twin t;
		random_state_ = seed + round;
		print_message("mincore, seed %" PRIu64 "\n", seed + round);
		twin_init(&t, "twin");
		twin_fill(&t);
		for (int i = 0; i < 40; i++) {
			uint64_t page = random_below(NR_PAGES), n = 1 + random_below(3);
			if (n > NR_PAGES - page)
				n = NR_PAGES - page;
			switch (random_below(8)) {
			case 6:
				twin_lock(&t, page, n);
				break;
			case 7:
				twin_sync(&t, page, n);
				break;
			case 0:
				twin_madvise(&t, page, n, advice[random_below(5)]);
				break;
			case 1:
				(void)twin_touch(&t, page, random_below(2));
				break;
			default:
				one_mincore(&t);
			}
		}
		twin_destroy(&t);
	}
}

/* ---- process_madvise ---- */

static void one_process_madvise(struct twin *t, int self_fd, int child_fd, bool capable)
{
	/* MADV_COLLAPSE depends on pages: see docs/DIFFERENCES.md. */
	static const int all[] = {MADV_NORMAL,
				  MADV_RANDOM,
				  MADV_SEQUENTIAL,
				  MADV_WILLNEED,
				  MADV_DONTNEED,
				  MADV_FREE,
				  MADV_COLD,
				  MADV_PAGEOUT,
				  MADV_DONTFORK,
				  MADV_DOFORK,
				  MADV_WIPEONFORK,
				  MADV_KEEPONFORK,
				  MADV_DONTDUMP,
				  MADV_DODUMP,
				  MADV_POPULATE_READ,
				  MADV_POPULATE_WRITE,
				  MADV_GUARD_INSTALL,
				  MADV_GUARD_REMOVE,
				  12345,
				  -1};
	static struct memmap_iovec vector[1100];
	const bool other = random_below(2);
	uint64_t nr = random_vector(vector);
	int advice = all[random_below(sizeof(all) / sizeof(all[0]))];
	uint64_t flags = random_below(40) == 0 ? 1 : 0;
	for (uint64_t i = 0; i < nr; i++) {
		if (random_below(8))
			vector[i].base &= ~(K - 1);
	}
	if (other && random_below(2))
		advice = random_below(2) ? MADV_COLD : MADV_WILLNEED;
	if (random_below(40) == 0)
		nr = 1025;
	int64_t theirs = native(syscall(SYS_process_madvise, other ? child_fd : self_fd, vector, nr,
					advice, flags));
	int64_t ours = memmap_mm_sys_process_madvise(t->self.mm, other ? t->child.mm : t->self.mm,
						     vector, nr, advice, flags, capable);
	if (theirs != ours) {
		print_error("process_madvise of %s with %d is %" PRId64
			    " with the kernel, not %" PRId64 "\n",
			    other ? "another" : "itself", advice, theirs, ours);
		print_vector("ranges", vector, nr);
		print_smaps_of_region();
		fail();
	}
	assert_int_equal(memmap_mm_verify(t->self.mm), 0);
}

static void test_process_madvise(void **state)
{
	(void)state;
	int self_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	struct memmap_iovec nothing = {BASE, 0};
	if (self_fd < 0 ||
	    syscall(SYS_process_madvise, self_fd, &nothing, 1, MADV_DONTNEED, 0) != 0) {
		print_message("skipped: process_madvise(2) of itself: %s\n", strerror(errno));
		if (self_fd >= 0)
			close(self_fd);
		skip();
	}
	for (uint64_t round = 0; round < rounds; round++) {
		struct twin t;
		random_state_ = seed + round;
		print_message("process_madvise, seed %" PRIu64 "\n", seed + round);
		twin_init(&t, "twin");
		twin_fill(&t);
		twin_fork(&t);
		int child_fd = (int)syscall(SYS_pidfd_open, t.child.pid, 0);
		assert_true(child_fd >= 0);
		bool capable =
			syscall(SYS_process_madvise, child_fd, &nothing, 1, MADV_COLD, 0) == 0;
		for (int i = 0; i < 30; i++)
			one_process_madvise(&t, self_fd, child_fd, capable);
		close(child_fd);
		twin_destroy(&t);
	}
	close(self_fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_vm),
		cmocka_unit_test(test_mincore),
		cmocka_unit_test(test_process_madvise),
	};
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		rounds = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests_name("mm/twin_calls", tests, NULL, NULL);
}
