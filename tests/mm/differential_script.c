/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts of the differential fuzzer as text: one step a line.
 *
 *   [@PROCESS] CALL ARGUMENT... [=> RESULT]      # comment
 *
 * Arguments are numbers (0x hex or decimal) or, where the call has words for them, words joined by
 * '|'. Addresses may begin with a base: A the arena, B the start of the heap, T where the first
 * mapping that the kernel places will end, S the start of the stack; as in A+0x3000 or T-4096.
 * RESULT is such a number, an errno name, or 0; both sides must return it.
 *
 *   mmap ADDRESS LENGTH PROT FLAGS FILE OFFSET    FILE: rw rw2 ro wo other mem mem2 memro ... or -
 *   munmap ADDRESS LENGTH          mprotect ADDRESS LENGTH PROT      brk ADDRESS
 *   mremap ADDRESS OLD NEW FLAGS NEWADDRESS                          madvise ADDRESS LENGTH ADVICE
 *   mlock, munlock ADDRESS LENGTH  mlock2 ADDRESS LENGTH FLAGS       mlockall FLAGS   munlockall
 *   mseal ADDRESS LENGTH FLAGS     msync ADDRESS LENGTH FLAGS
 *   read ADDRESS, write ADDRESS    touch one byte: 0 or EFAULT
 *   fork PROCESS                   the child is process PROCESS
 *   exit
 *   limit as|data|stack|memlock BYTES     lower (or restore) the soft limit
 *   vmas ADDRESS LENGTH COUNT      no call: the range is made of COUNT VMAs
 *   personality read_implies_exec|none
 *   stripe ADDRESS COUNT           mprotect every other page from ADDRESS on, COUNT of them, to r
 *
 * Where there are pages:
 *
 *   peek ADDRESS WIDTH             load 1, 2, 4 or 8 bytes: what they are, or SEGV_MAPERR,
 *                                  SEGV_ACCERR, BUS_ADRERR
 *   poke ADDRESS WIDTH VALUE       store        add ADDRESS WIDTH VALUE    fetch and add
 *   run ADDRESS                    call what is there, a "ret" (0xc3)
 *   sum ADDRESS LENGTH             load all of it     mincore ADDRESS LENGTH   one bit a page
 *   copy_out ADDRESS LENGTH SEED   the kernel writes memory, as by read(2): how much it wrote
 *   copy_in ADDRESS LENGTH         the kernel reads memory, as by write(2): how much it read
 *   vm_read PROCESS REMOTE LENGTH LOCAL      process_vm_readv        vm_write  process_vm_writev
 *   file_write FILE OFFSET LENGTH SEED       pwrite                  file_read FILE OFFSET LENGTH
 *   truncate FILE LENGTH                     punch FILE OFFSET LENGTH
 *
 * And first of all, what the executor is started with:
 *
 *   pages                          memory has contents, files are short, no pages are huge
 *   host-memfds                    on our side memfds are host files, not shared memory
 *   huge-pages                     but some pages are huge: which are there is not compared
 *   fault-around                   ours makes pages present around those touched: likewise
 *   no-ipc-lock                    it lacks CAP_IPC_LOCK
 *   bottom-up                      it has the legacy layout; T is where the first mapping begins
 *   maps-only                      too many VMAs to compare more than maps after each step
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "mm/abi.h"

#include "differential.h"

struct word {
	const char *name;
	uint64_t value;
};

static const struct word prots[] = {
	{"none", 0},
	{"r", PROT_READ},
	{"w", PROT_WRITE},
	{"x", PROT_EXEC},
	{"rw", PROT_READ | PROT_WRITE},
	{"rx", PROT_READ | PROT_EXEC},
	{"wx", PROT_WRITE | PROT_EXEC},
	{"rwx", PROT_READ | PROT_WRITE | PROT_EXEC},
	{"growsdown", PROT_GROWSDOWN},
	{"growsup", PROT_GROWSUP},
	{NULL, 0},
};

static const struct word map_flags[] = {
	{"validate", MAP_SHARED_VALIDATE},
	{"shared", MAP_SHARED},
	{"private", MAP_PRIVATE},
	{"droppable", MAP_DROPPABLE},
	{"fixed", MAP_FIXED},
	{"anon", MAP_ANONYMOUS},
	{"32bit", MAP_32BIT},
	{"growsdown", MAP_GROWSDOWN},
	{"denywrite", MAP_DENYWRITE},
	{"executable", MAP_EXECUTABLE},
	{"locked", MAP_LOCKED},
	{"noreserve", MAP_NORESERVE},
	{"populate", MAP_POPULATE},
	{"nonblock", MAP_NONBLOCK},
	{"stack", MAP_STACK},
	{"hugetlb", MAP_HUGETLB},
	{"sync", MAP_SYNC},
	{"noreplace", MAP_FIXED_NOREPLACE},
	{"uninitialized", 0x4000000},
	{NULL, 0},
};

static const struct word remap_flags[] = {
	{"none", 0},
	{"maymove", MREMAP_MAYMOVE},
	{"fixed", MREMAP_FIXED},
	{"dontunmap", MREMAP_DONTUNMAP},
	{NULL, 0},
};

static const struct word advices[] = {
	{"normal", MADV_NORMAL},
	{"random", MADV_RANDOM},
	{"sequential", MADV_SEQUENTIAL},
	{"willneed", MADV_WILLNEED},
	{"dontneed", MADV_DONTNEED},
	{"free", MADV_FREE},
	{"remove", MADV_REMOVE},
	{"dontfork", MADV_DONTFORK},
	{"dofork", MADV_DOFORK},
	{"mergeable", MADV_MERGEABLE},
	{"unmergeable", MADV_UNMERGEABLE},
	{"hugepage", MADV_HUGEPAGE},
	{"nohugepage", MADV_NOHUGEPAGE},
	{"dontdump", MADV_DONTDUMP},
	{"dodump", MADV_DODUMP},
	{"wipeonfork", MADV_WIPEONFORK},
	{"keeponfork", MADV_KEEPONFORK},
	{"cold", MADV_COLD},
	{"pageout", MADV_PAGEOUT},
	{"populate_read", MADV_POPULATE_READ},
	{"populate_write", MADV_POPULATE_WRITE},
	{"dontneed_locked", MADV_DONTNEED_LOCKED},
	{"collapse", MADV_COLLAPSE},
	{"guard_install", MADV_GUARD_INSTALL},
	{"guard_remove", MADV_GUARD_REMOVE},
	{NULL, 0},
};

static const struct word lock2_flags[] = {{"none", 0}, {"onfault", MLOCK_ONFAULT}, {NULL, 0}};

static const struct word lockall_flags[] = {
	{"none", 0}, {"current", MCL_CURRENT}, {"future", MCL_FUTURE}, {"onfault", MCL_ONFAULT},
	{NULL, 0},
};

static const struct word sync_flags[] = {
	{"none", 0},       {"async", MS_ASYNC}, {"invalidate", MS_INVALIDATE},
	{"sync", MS_SYNC}, {NULL, 0},
};

static const struct word personalities[] = {
	{"none", 0},
	{"read_implies_exec", READ_IMPLIES_EXEC},
	{NULL, 0},
};

static const struct word limits[] = {
	{"as", RLIMIT_AS},
	{"data", RLIMIT_DATA},
	{"stack", RLIMIT_STACK},
	{"memlock", RLIMIT_MEMLOCK},
	{NULL, 0},
};

static const struct word files[] = {
	{"rw", FILE_RW},         {"rw2", FILE_RW2},
	{"ro", FILE_RO},         {"wo", FILE_WO},
	{"other", FILE_OTHER},   {"mem", FILE_MEM},
	{"mem2", FILE_MEM2},     {"memro", FILE_MEMRO},
	{"sealed", FILE_SEALED}, {"future", FILE_FUTURE},
	{"dir", FILE_DIR},       {"path", FILE_PATH},
	{"-", FILE_NONE},        {NULL, 0},
};

static const struct word errors[] = {
	{"EPERM", EPERM},
	{"EINTR", EINTR},
	{"EIO", EIO},
	{"EBADF", EBADF},
	{"EAGAIN", EAGAIN},
	{"ENOMEM", ENOMEM},
	{"EACCES", EACCES},
	{"EFAULT", EFAULT},
	{"EBUSY", EBUSY},
	{"EEXIST", EEXIST},
	{"ENODEV", ENODEV},
	{"EINVAL", EINVAL},
	{"EFBIG", EFBIG},
	{"ENOSYS", ENOSYS},
	{"EOPNOTSUPP", EOPNOTSUPP},
	{"EOVERFLOW", EOVERFLOW},
	{"ENXIO", ENXIO},
	{"ESRCH", ESRCH},
	{"ENOSPC", ENOSPC},

	{"SEGV_MAPERR", EXECUTOR_SEGV_MAPERR},
	{"SEGV_ACCERR", EXECUTOR_SEGV_ACCERR},
	{"BUS_ADRERR", EXECUTOR_BUS_ADRERR},
	{"SEGV_KERNEL", EXECUTOR_SEGV_KERNEL},
	{"NO_RET", EXECUTOR_ILL},
	{"SIGNAL", EXECUTOR_SIGNAL},
	{NULL, 0},
};

/*
 * What the arguments of a call are: 'a' an address, 'n' a number, 'c' one word, 'f' words or'd, 'p' a
 * process.
 */
struct argument {
	char kind;
	const struct word *words;
};

static const struct {
	const char *name;
	struct argument args[7];
} calls[NR_OPS] = {
	[OP_MMAP] = {"mmap",
		     {{'a', NULL},
		      {'n', NULL},
		      {'f', prots},
		      {'f', map_flags},
		      {'c', files},
		      {'n', NULL}}},
	[OP_MUNMAP] = {"munmap", {{'a', NULL}, {'n', NULL}}},
	[OP_MPROTECT] = {"mprotect", {{'a', NULL}, {'n', NULL}, {'f', prots}}},
	[OP_MREMAP] = {"mremap",
		       {{'a', NULL}, {'n', NULL}, {'n', NULL}, {'f', remap_flags}, {'a', NULL}}},
	[OP_BRK] = {"brk", {{'a', NULL}}},
	[OP_MADVISE] = {"madvise", {{'a', NULL}, {'n', NULL}, {'c', advices}}},
	[OP_MLOCK] = {"mlock", {{'a', NULL}, {'n', NULL}}},
	[OP_MLOCK2] = {"mlock2", {{'a', NULL}, {'n', NULL}, {'f', lock2_flags}}},
	[OP_MUNLOCK] = {"munlock", {{'a', NULL}, {'n', NULL}}},
	[OP_MLOCKALL] = {"mlockall", {{'f', lockall_flags}}},
	[OP_MUNLOCKALL] = {"munlockall", {{0, NULL}}},
	[OP_MSEAL] = {"mseal", {{'a', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_MSYNC] = {"msync", {{'a', NULL}, {'n', NULL}, {'f', sync_flags}}},
	[OP_READ] = {"read", {{'a', NULL}}},
	[OP_WRITE] = {"write", {{'a', NULL}}},
	[OP_FORK] = {"fork", {{'n', NULL}}},
	[OP_EXIT] = {"exit", {{0, NULL}}},
	[OP_LIMIT] = {"limit", {{'c', limits}, {'n', NULL}}},
	[OP_PERSONALITY] = {"personality", {{'f', personalities}}},
	[OP_STRIPE] = {"stripe", {{'a', NULL}, {'n', NULL}}},
	[OP_VMAS] = {"vmas", {{'a', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_PEEK] = {"peek", {{'a', NULL}, {'n', NULL}}},
	[OP_POKE] = {"poke", {{'a', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_ADD] = {"add", {{'a', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_RUN] = {"run", {{'a', NULL}}},
	[OP_SUM] = {"sum", {{'a', NULL}, {'n', NULL}}},
	[OP_MINCORE] = {"mincore", {{'a', NULL}, {'n', NULL}}},
	[OP_COPY_OUT] = {"copy_out", {{'a', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_COPY_IN] = {"copy_in", {{'a', NULL}, {'n', NULL}}},
	[OP_VM_READ] = {"vm_read", {{'p', NULL}, {'a', NULL}, {'n', NULL}, {'a', NULL}}},
	[OP_VM_WRITE] = {"vm_write", {{'p', NULL}, {'a', NULL}, {'n', NULL}, {'a', NULL}}},
	[OP_FILE_WRITE] = {"file_write", {{'c', files}, {'n', NULL}, {'n', NULL}, {'n', NULL}}},
	[OP_FILE_READ] = {"file_read", {{'c', files}, {'n', NULL}, {'n', NULL}}},
	[OP_TRUNCATE] = {"truncate", {{'c', files}, {'n', NULL}}},
	[OP_PUNCH] = {"punch", {{'c', files}, {'n', NULL}, {'n', NULL}}},
};

struct step stripe_step(const struct step *step, uint64_t i)
{
	return (struct step){
		.op = OP_MPROTECT,
		.process = step->process,
		.args = {step->args[0] + 2 * i * PAGE, PAGE, PROT_READ},
	};
}

void script_append(struct script *script, struct step step)
{
	if (script->len == script->cap) {
		script->cap = script->cap ? script->cap * 2 : 64;
		script->steps = realloc(script->steps, script->cap * sizeof(step));
		if (!script->steps)
			abort();
	}
	script->steps[script->len++] = step;
}

void script_release(struct script *script)
{
	free(script->steps);
	memset(script, 0, sizeof(*script));
}

/* ---- Printing ---- */

const char *error_name(int64_t error)
{
	static char number[32];

	for (const struct word *w = errors; w->name; w++)
		if ((uint64_t)-error == w->value)
			return w->name;
	snprintf(number, sizeof(number), "errno %lld", (long long)-error);
	return number;
}

const char *op_name(enum op op)
{
	return calls[op].name;
}

/* An address, from the base that is nearest to it; NULL bases: as a number. */
static void print_address(FILE *out, uint64_t value, const struct bases *bases)
{
	const struct {
		char letter;
		uint64_t at, below, above;
	} near[] = {
		{'A', ARENA, 1ULL << 24, 1ULL << 26},
		{'B', bases ? bases->brk : 0, 0, 1ULL << 24},
		{'T', bases ? bases->top : 0, 1ULL << 40, 1ULL << 30},
		{'S', bases ? bases->stack : 0, 1ULL << 26, 1ULL << 20},
	};

	for (size_t i = 0; i < sizeof(near) / sizeof(*near); i++) {
		if (!near[i].at ||
		    value - (near[i].at - near[i].below) >= near[i].below + near[i].above)
			continue;
		if (value >= near[i].at)
			fprintf(out, " %c+%#llx", near[i].letter,
				(unsigned long long)(value - near[i].at));
		else
			fprintf(out, " %c-%#llx", near[i].letter,
				(unsigned long long)(near[i].at - value));
		return;
	}
	fprintf(out, " %#llx", (unsigned long long)value);
}

static void print_words(FILE *out, uint64_t value, const struct word *words)
{
	const char *join = " ";

	for (const struct word *w = words; w->name; w++)
		if (w->value == value) {
			fprintf(out, " %s", w->name);
			return;
		}
	for (const struct word *w = words; w->name; w++)
		if (w->value && (value & w->value) == w->value) {
			fprintf(out, "%s%s", join, w->name);
			value &= ~w->value;
			join = "|";
		}
	if (value || *join == ' ')
		fprintf(out, "%s%#llx", join, (unsigned long long)value);
}

void step_print(FILE *out, const struct step *step, const struct bases *bases)
{
	if (step->process)
		fprintf(out, "@%u ", step->process);
	fprintf(out, "%s", calls[step->op].name);
	for (int i = 0; i < 6 && calls[step->op].args[i].kind; i++) {
		const struct argument *arg = &calls[step->op].args[i];

		if (arg->kind == 'a')
			print_address(out, step->args[i], bases);
		else if (arg->kind == 'n' || arg->kind == 'p')
			fprintf(out, " %#llx", (unsigned long long)step->args[i]);
		else
			print_words(out, step->args[i], arg->words);
	}
	if (step->expects) {
		fprintf(out, " =>");
		if (step->expected < 0)
			fprintf(out, " %s", error_name(step->expected));
		else
			print_address(out, (uint64_t)step->expected, bases);
	}
	fprintf(out, "\n");
}

void script_print(FILE *out, const struct script *script, const struct bases *bases)
{
	if (script->with.pages)
		fprintf(out, "pages\n");
	if (script->with.host_memfds)
		fprintf(out, "host-memfds\n");
	if (script->with.huge_pages)
		fprintf(out, "huge-pages\n");
	if (script->with.around)
		fprintf(out, "fault-around\n");
	if (script->with.no_ipc_lock)
		fprintf(out, "no-ipc-lock\n");
	if (script->with.bottom_up)
		fprintf(out, "bottom-up\n");
	if (script->maps_only)
		fprintf(out, "maps-only\n");
	for (size_t i = 0; i < script->len; i++)
		step_print(out, &script->steps[i], bases);
}

/* ---- Reading ---- */

static bool read_number(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return *text && !*end && !errno && isdigit((unsigned char)*text);
}

static bool read_address(const char *text, const struct bases *bases, uint64_t *out)
{
	uint64_t base, offset = 0;

	switch (*text) {
	case 'A':
		base = ARENA;
		break;
	case 'B':
		base = bases->brk;
		break;
	case 'T':
		base = bases->top;
		break;
	case 'S':
		base = bases->stack;
		break;
	default:
		return read_number(text, out);
	}
	if (text[1] && ((text[1] != '+' && text[1] != '-') || !read_number(text + 2, &offset)))
		return false;
	*out = text[1] == '-' ? base - offset : base + offset;
	return true;
}

static bool read_word(const char *text, const struct word *words, uint64_t *out)
{
	for (const struct word *w = words; w->name; w++)
		if (!strcmp(text, w->name)) {
			*out = w->value;
			return true;
		}
	return read_number(text, out);
}

static bool read_words(char *text, const struct word *words, uint64_t *out)
{
	char *save = NULL;
	uint64_t value;

	*out = 0;
	for (char *word = strtok_r(text, "|", &save); word; word = strtok_r(NULL, "|", &save)) {
		if (!read_word(word, words, &value))
			return false;
		*out |= value;
	}
	return true;
}

static bool read_result(const char *text, const struct bases *bases, int64_t *out)
{
	uint64_t value;

	for (const struct word *w = errors; w->name; w++)
		if (!strcmp(text, w->name)) {
			*out = -(int64_t)w->value;
			return true;
		}
	if (!read_address(text, bases, &value))
		return false;
	*out = (int64_t)value;
	return true;
}

/* Read one line, already without its comment. Returns false when it is not a step. */
static bool read_step(char *line, const struct bases *bases, struct step *step)
{
	char *save = NULL, *word = strtok_r(line, " \t\n", &save);
	uint64_t value;
	int op;

	memset(step, 0, sizeof(*step));
	if (*word == '@') {
		if (!read_number(word + 1, &value) || value >= EXECUTOR_MAX_PROCESSES)
			return false;
		step->process = (unsigned int)value;
		word = strtok_r(NULL, " \t\n", &save);
	}
	for (op = 0; op < NR_OPS; op++)
		if (word && !strcmp(word, calls[op].name))
			break;
	if (op == NR_OPS)
		return false;
	step->op = (enum op)op;
	for (int i = 0; i < 6 && calls[op].args[i].kind; i++) {
		const struct argument *arg = &calls[op].args[i];
		bool good;

		word = strtok_r(NULL, " \t\n", &save);
		if (!word)
			return false;
		if (arg->kind == 'a')
			good = read_address(word, bases, &step->args[i]);
		else if (arg->kind == 'n')
			good = read_number(word, &step->args[i]);
		else if (arg->kind == 'p')
			good = read_number(word, &step->args[i]) &&
			       step->args[i] < EXECUTOR_MAX_PROCESSES;
		else if (arg->kind == 'c')
			good = read_word(word, arg->words, &step->args[i]);
		else
			good = read_words(word, arg->words, &step->args[i]);
		if (!good)
			return false;
	}
	word = strtok_r(NULL, " \t\n", &save);
	if (!word)
		return true;
	step->expects = true;
	if (strcmp(word, "=>") != 0)
		return false;
	word = strtok_r(NULL, " \t\n", &save);
	return word && read_result(word, bases, &step->expected) && !strtok_r(NULL, " \t\n", &save);
}

int script_read(const char *path, struct script *script, const struct bases *bases)
{
	FILE *in = fopen(path, "r");
	char line[1024];
	int number = 0, result = 0;

	if (!in) {
		fprintf(stderr, "differential: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while (!result && fgets(line, sizeof(line), in)) {
		char original[sizeof(line)];
		struct step step;

		number++;
		strcpy(original, line);
		*strchrnul(line, '#') = '\0';
		if (!line[strspn(line, " \t\r\n")])
			continue;
		if (!strncmp(line, "pages", 5)) {
			script->with.pages = true;
		} else if (!strncmp(line, "host-memfds", 11)) {
			script->with.host_memfds = true;
		} else if (!strncmp(line, "huge-pages", 10)) {
			script->with.huge_pages = true;
		} else if (!strncmp(line, "fault-around", 12)) {
			script->with.around = true;
		} else if (!strncmp(line, "no-ipc-lock", 11)) {
			script->with.no_ipc_lock = true;
		} else if (!strncmp(line, "bottom-up", 9)) {
			script->with.bottom_up = true;
		} else if (!strncmp(line, "maps-only", 9)) {
			script->maps_only = true;
		} else if (read_step(line, bases, &step)) {
			script_append(script, step);
		} else {
			fprintf(stderr, "differential: %s:%d: not a step: %s", path, number,
				original);
			result = -1;
		}
	}
	fclose(in);
	return result;
}
