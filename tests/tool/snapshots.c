/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that changes its address space at random and tells what it looks like.
 *
 *   snapshots SEED COUNT
 *
 * Snapshot K is the file snapshot.K in the current directory, with the text of /proc/self/maps. Just
 * before, the program makes a call that changes nothing and that no other one looks like:
 * msync(K * 4096, 0, MS_ASYNC). A child does the same with snapshots of its own.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE  4096u
#define ROOM  64 /* pages that are played with */
#define TEXTS (1u << 20)

static uint64_t state;

static size_t below(size_t n)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (size_t)(state >> 33) % n;
}

/* Nothing here may change the address space: no allocation. */
static void snapshot(unsigned int number)
{
	static char text[TEXTS];
	char name[32];
	size_t length = 0;
	ssize_t n;
	snprintf(name, sizeof(name), "snapshot.%u", number);
	if (syscall(SYS_msync, (void *)(uintptr_t)(number * PAGE), 0, MS_ASYNC))
		_exit(2);
	const int in = open("/proc/self/maps", O_RDONLY);
	while ((n = read(in, text + length, TEXTS - length)) > 0)
		length += (size_t)n;
	close(in);
	const int out = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (in < 0 || out < 0 || write(out, text, length) != (ssize_t)length)
		_exit(3);
	close(out);
}

static void change(char *room)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_EXEC};
	const size_t first = below(ROOM), nr = 1 + below(ROOM - first);
	char *at = room + first * PAGE;
	const int prot = prots[below(4)];
	switch (below(7)) {
	case 0:
		mmap(at, nr * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 1:
		mmap(at, nr * PAGE, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 2:
		munmap(at, nr * PAGE);
		break;
	case 3:
		mprotect(at, nr * PAGE, prot);
		break;
	case 4:
		mmap(NULL, nr * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 5:
		mremap(at, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
		break;
	default:
		if (sbrk((intptr_t)(below(3) * PAGE)) == (void *)-1)
			_exit(4);
		break;
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 1;
	const unsigned int count = (unsigned int)strtoul(argv[2], NULL, 10);
	unsigned int number = 1;
	state = strtoull(argv[1], NULL, 10);
	char *room = mmap(NULL, (size_t)ROOM * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return 1;
	const pid_t child = fork();
	if (child == 0) {
		number = count + 1;
		state++;
	}
	for (unsigned int i = 0; i < count; i++) {
		for (size_t changes = 1 + below(6); changes > 0; changes--)
			change(room);
		snapshot(number++);
	}
	if (child > 0 && waitpid(child, NULL, 0) != child)
		return 1;
	_exit(0);
}
