/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures of histories of every kind: each must be well-formed, with no text on another and none
 * beside the page, the same each time; and whatever fails on the way is reported.
 *
 * With the argument --xmllint, each picture is also given to xmllint; where that is missing, the
 * test is skipped. With --write DIRECTORY the pictures are kept there, to be looked at.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../tools/memmap/plot/plot.h"
#include "../../tools/memmap/plot/plot_internal.h"
#include "history_fixture.h"
#include "plot_reader.h"

#define PAGE      UINT64_C(0x1000)
#define PAGES(nr) ((uint64_t)(nr)*PAGE)
#define MIB       (UINT64_C(1) << 20)
#define GIB       (UINT64_C(1) << 30)
#define MS        UINT64_C(1000000)

static bool use_xmllint;
static const char *directory;

/* ---- Histories ---- */

static void record(struct history *h, pid_t pid, uint64_t time, const char *call, struct toy *toy)
{
	struct history_source source = toy_source(toy);
	(void)history_record_source(h, pid, time, call, &source, HISTORY_EVERYWHERE);
}

static void map_library(struct history *h, pid_t pid, uint64_t *time, struct toy *toy,
			const char *name, uint64_t at, uint64_t size)
{
	uint64_t text = memmap_page_round_down(size / 2), data = memmap_page_round_down(size / 8);
	toy_map(toy, at, at + size, R, HISTORY_FILE, name, 0);
	record(h, pid, *time += 20000, "mmap", toy);
	toy_map(toy, at + data, at + data + text, RX, HISTORY_FILE, name, data);
	record(h, pid, *time += 20000, "mmap", toy);
	toy_map(toy, at + size - data, at + size, RW, HISTORY_FILE, name, size - data);
	record(h, pid, *time += 20000, "mmap", toy);
	toy_map(toy, at + size, at + size + PAGES(4), RW, HISTORY_ANONYMOUS, NULL, 0);
	record(h, pid, *time += 20000, "mmap", toy);
}

/* What every dynamic program has, from exec on. */
static void start_program(struct history *h, pid_t pid, uint64_t *time, struct toy *toy)
{
	toy->vmas.length = 0;
	toy_map(toy, 0x555555554000, 0x555555558000, R, HISTORY_FILE, "/usr/bin/toy", 0);
	toy_map(toy, 0x555555558000, 0x55555556b000, RX, HISTORY_FILE, "/usr/bin/toy", 0x4000);
	toy_map(toy, 0x55555556b000, 0x555555578000, RW, HISTORY_FILE, "/usr/bin/toy", 0x17000);
	toy_map(toy, 0x7ffff7fc5000, 0x7ffff7fc9000, R, HISTORY_SPECIAL, "[vvar]", 0);
	toy_map(toy, 0x7ffff7fc9000, 0x7ffff7fcb000, RX, HISTORY_SPECIAL, "[vdso]", 0);
	toy_map(toy, 0x7ffffffde000, 0x7ffffffff000, RW, HISTORY_STACK, NULL, 0);
	record(h, pid, *time, NULL, toy);
	map_library(h, pid, time, toy, "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x7ffff7c00000,
		    2 * MIB);
	map_library(h, pid, time, toy, "/usr/lib/x86_64-linux-gnu/libm.so.6", 0x7ffff7a00000, MIB);
}

static void empty(struct history *h)
{
	(void)h;
}

static void only_a_process(struct history *h)
{
	(void)history_process(h, 1, 0, 5, "true");
}

static void only_an_exec(struct history *h)
{
	(void)history_process(h, 1, 0, 5, "true");
	(void)history_exec(h, 1, 5, "true", "/bin/true");
}

/* All in one moment. */
static void no_time(struct history *h)
{
	struct toy toy = {0};
	uint64_t time = 0;
	(void)history_process(h, 1, 0, 0, "true");
	(void)history_exec(h, 1, 0, NULL, "/usr/bin/toy");
	toy_map(&toy, PAGES(5), PAGES(6), RW, HISTORY_ANONYMOUS, NULL, 0);
	record(h, 1, time, NULL, &toy);
	toy_unmap(&toy, PAGES(5), PAGES(6));
	toy_map(&toy, PAGES(7), PAGES(8), RW, HISTORY_ANONYMOUS, NULL, 0);
	record(h, 1, time, "mmap", &toy);
	history_exit(h, 1, 0, 0);
	toy_release(&toy);
}

static void one_process(struct history *h)
{
	struct toy toy = {0};
	uint64_t time = 1000 * MS;
	(void)history_process(h, 4711, 0, time, "toy --play");
	(void)history_exec(h, 4711, time, NULL, "/usr/bin/toy");
	start_program(h, 4711, &time, &toy);
	for (uint64_t end = PAGES(33); end < PAGES(2000); end += PAGES(33)) {
		toy_map(&toy, 0x555555600000, 0x555555600000 + end, RW, HISTORY_HEAP, NULL, 0);
		record(h, 4711, time += MS, "brk", &toy);
	}
	/* A collector's reserve, of which more and more is in use; and code that is made. */
	toy_map(&toy, 0x700000000000, 0x700000000000 + 64 * GIB, 0, HISTORY_ANONYMOUS, NULL, 0);
	record(h, 4711, time += MS, "mmap", &toy);
	for (uint64_t i = 1; i < 50; i++) {
		toy_protect(&toy, 0x700000000000, 0x700000000000 + i * MIB, RW);
		record(h, 4711, time += MS, "mprotect", &toy);
	}
	toy_map(&toy, 0x7ffff0000000, 0x7ffff0000000 + 8 * MIB, RWX, HISTORY_ANONYMOUS, NULL, 0);
	record(h, 4711, time += 100 * MS, "mmap", &toy);
	toy_map(&toy, 0x7fffe0000000, 0x7fffe0000000 + 8 * MIB, RW | MEMMAP_VM_MAYSHARE,
		HISTORY_SHARED, "/dev/zero (deleted)", 0);
	record(h, 4711, time += MS, "mmap", &toy);
	history_exit(h, 4711, time += 30 * MS, 0x300);
	toy_release(&toy);
}

/* Names of the worst kind. */
static void hostile_names(struct history *h)
{
	static char huge[5000];
	memset(huge, 'W', sizeof(huge) - 1);
	huge[0] = '/';
	static const char *const names[] = {
		"/tmp/]]><script>alert(1)</script>",
		"/tmp/\"quoted\" 'single' & <b>",
		"/tmp/line\nbreak\ttab\rreturn",
		"/tmp/\x01\x02\x1b[31mred\x7f",
		"/tmp/bad \xff\xfe\xc0\xaf utf-8",
		"/tmp/cut \xe2\x82",
		"/tmp/surrogate \xed\xa0\x80 \xef\xbf\xbe \xef\xbf\xbf",
		"/tmp/\xe2\x80\xaegnp.exe",
		"/tmp/\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe5\xbe\x88\xe9\x95\xbf",
		"/",
		"////",
		"&amp;%s%n%d",
		huge,
	};
	struct toy toy = {0};
	uint64_t time = 0;
	(void)history_process(h, 1, 0, 0, "sh -c \"a < b && c > ']]>'\" \x1b \xff");
	(void)history_exec(h, 1, 0, NULL, names[0]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		toy_map(&toy, GIB * (4 * i + 1), GIB * (4 * i + 1) + MIB, RX, HISTORY_FILE,
			names[i], 0);
		record(h, 1, time += MS, "mmap", &toy);
	}
	history_exit(h, 1, time += MS, 9);
	(void)history_process(h, 2, 0, time, huge);
	(void)history_exec(h, 2, time, huge, huge);
	toy_release(&toy);
}

static void many_processes(struct history *h)
{
	struct toy toy = {0};
	uint64_t time = 0;
	(void)history_process(h, 1000, 0, 0, "make -j");
	(void)history_exec(h, 1000, 0, NULL, "/usr/bin/toy");
	start_program(h, 1000, &time, &toy);
	for (pid_t i = 1; i < 200; i++) {
		uint64_t start = time += MS;
		pid_t pid = 1000 + i;
		if (i % 3 == 0)
			(void)history_process(h, pid, 1000, start, NULL);
		else
			(void)history_fork(h, 1000, pid, start);
		if (i % 7 != 0) {
			(void)history_exec(h, pid, start + 1000, "/usr/lib/gcc/cc1 -quiet x.c",
					   i % 2 ? "/usr/bin/toy" : "/usr/lib/gcc/cc1");
			struct toy own = {0};
			uint64_t clock = start + 2000;
			start_program(h, pid, &clock, &own);
			toy_release(&own);
		}
		history_exit(h, pid, start + MS / 2, i % 11 ? 0 : 0x100);
	}
	history_exit(h, 1000, time += MS, 0);
	toy_release(&toy);
}

static void many_vmas(struct history *h)
{
	struct toy toy = {0};
	(void)history_process(h, 1, 0, 0, "many");
	(void)history_exec(h, 1, 0, NULL, "/bin/many");
	for (size_t i = 0; i < 65000; i++)
		toy_insert_at(&toy, i,
			      (struct history_vma){
				      .range = {GIB + PAGES(2 * i), GIB + PAGES(2 * i + 1 + i % 2)},
				      .flags = i % 3 ? RW : R,
				      .kind = HISTORY_ANONYMOUS});
	record(h, 1, MS, NULL, &toy);
	for (size_t i = 0; i < 65000; i += 2)
		toy.vmas.items[i].vma.flags = 0;
	record(h, 1, 2 * MS, "mprotect", &toy);
	history_exit(h, 1, 3 * MS, 0);
	toy_release(&toy);
}

/* Hundreds of small things far from one another. */
static void many_places(struct history *h)
{
	struct toy toy = {0};
	uint64_t time = 0;
	(void)history_process(h, 1, 0, 0, "scattered");
	(void)history_exec(h, 1, 0, NULL, "/bin/scattered");
	for (uint64_t i = 0; i < 300; i++) {
		toy_map(&toy, (i + 1) * 16 * GIB, (i + 1) * 16 * GIB + PAGES(1 + i % 50), RW,
			HISTORY_ANONYMOUS, NULL, 0);
		record(h, 1, time += 10000, "mmap", &toy);
	}
	history_exit(h, 1, time, 0);
	toy_release(&toy);
}

/* So long that detail was given up. */
static void long_run(struct history *h)
{
	struct toy toy = {0};
	uint64_t time = 0, heap = PAGES(1000);
	(void)history_process(h, 1, 0, 0, "server");
	(void)history_exec(h, 1, 0, NULL, "/usr/bin/toy");
	start_program(h, 1, &time, &toy);
	struct history_source source = toy_source(&toy);
	for (uint64_t i = 0; i < 30000; i++) {
		struct memmap_addr_range touched = {PAGES(10), PAGES(20)};
		if (i % 5 == 0) {
			touched = (struct memmap_addr_range){heap, heap + PAGES(3)};
			heap += PAGES(3);
			toy_map(&toy, PAGES(1000), heap, RW, HISTORY_HEAP, NULL, 0);
		} else if (i % 2) {
			toy_map(&toy, PAGES(10), PAGES(12 + i % 8), RW, HISTORY_ANONYMOUS, NULL, 0);
		} else {
			toy_unmap(&toy, PAGES(10), PAGES(20));
		}
		(void)history_record_source(h, 1, time += i * 10, "mmap", &source, touched);
	}
	history_exit(h, 1, time, 0);
	toy_release(&toy);
}

/* The whole address space, to its last page. */
static void extreme_ranges(struct history *h)
{
	struct toy toy = {0};
	(void)history_process(h, INT32_MAX, 0, 0, "");
	(void)history_exec(h, INT32_MAX, 0, NULL, NULL);
	toy_map(&toy, 0, UINT64_MAX - MEMMAP_PAGE_MASK, R, HISTORY_ANONYMOUS, NULL, 0);
	record(h, INT32_MAX, 1, NULL, &toy);
	toy_unmap(&toy, PAGE, UINT64_MAX - MEMMAP_PAGE_MASK - PAGE);
	record(h, INT32_MAX, UINT64_MAX / 2, "munmap", &toy);
	history_exit(h, INT32_MAX, UINT64_MAX - 1, 139);
	toy_release(&toy);
}

static const struct {
	const char *name;
	void (*live)(struct history *);
	size_t max_regions;
} histories[] = {
	{"empty", empty, 0},
	{"only_a_process", only_a_process, 0},
	{"only_an_exec", only_an_exec, 0},
	{"no_time", no_time, 0},
	{"one_process", one_process, 0},
	{"hostile_names", hostile_names, 0},
	{"many_processes", many_processes, 0},
	{"many_vmas", many_vmas, 0},
	{"many_places", many_places, 0},
	{"long_run", long_run, 800},
	{"extreme_ranges", extreme_ranges, 0},
};
#define NR_HISTORIES (sizeof(histories) / sizeof(histories[0]))

/* ---- Drawing ---- */

static char *draw(const struct history *h, const struct plot_options *options, size_t *size)
{
	char *svg = NULL;
	FILE *out = open_memstream(&svg, size);
	assert_non_null(out);
	assert_int_equal(plot_write(h, out, options), 0);
	assert_int_equal(fclose(out), 0);
	return svg;
}

static void check_with_xmllint(const char *svg, size_t size)
{
	FILE *lint = popen("xmllint --noout --nonet - 2>&1", "w");
	assert_non_null(lint);
	assert_int_equal(fwrite(svg, 1, size, lint), size);
	assert_int_equal(pclose(lint), 0);
}

static void keep(const char *name, int axis, const char *svg, size_t size)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/%s-%d.svg", directory, name, axis);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(svg, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

static void test_every_history_makes_a_good_picture(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_HISTORIES; i++) {
		struct history *h = history_create(NULL, histories[i].max_regions);
		histories[i].live(h);
		for (int axis = PLOT_AXIS_MIXED; axis <= PLOT_AXIS_CALLS; axis++) {
			struct plot_options options = {.axis = (enum plot_axis)axis};
			size_t size, again_size;
			char *svg = draw(h, &options, &size),
			     *again = draw(h, &options, &again_size);
			assert_int_equal(size, again_size);
			assert_memory_equal(svg, again, size);
			free(again);

			struct picture picture;
			picture_read(&picture, svg);
			if (picture.why[0])
				fail_msg("%s: %s", histories[i].name, picture.why);
			char words[512];
			if (picture_find_overlap(&picture, words, sizeof(words)))
				fail_msg("%s, axis %d: %s", histories[i].name, axis, words);
			assert_true(size < 6 << 20);
			if (use_xmllint)
				check_with_xmllint(svg, size);
			if (directory)
				keep(histories[i].name, axis, svg, size);
			picture_release(&picture);
			free(svg);
		}
		history_release(h);
	}
}

/* The same life gives the same bytes, whatever the addresses of the history itself. */
static void test_pictures_are_reproducible(void **state)
{
	(void)state;
	char *pictures[2];
	size_t sizes[2];
	for (size_t i = 0; i < 2; i++) {
		struct history *h = history_create(NULL, 0);
		void *elsewhere = malloc(100000 * (i + 1));
		many_processes(h);
		pictures[i] = draw(h, &(struct plot_options){0}, &sizes[i]);
		free(elsewhere);
		history_release(h);
	}
	assert_int_equal(sizes[0], sizes[1]);
	assert_memory_equal(pictures[0], pictures[1], sizes[0]);
	free(pictures[0]);
	free(pictures[1]);
}

static void assert_has(const char *svg, const char *text)
{
	if (!strstr(svg, text))
		fail_msg("the picture does not say \"%s\"", text);
}

static void test_the_picture_tells_what_happened(void **state)
{
	(void)state;
	struct history *h = history_create(NULL, 0);
	one_process(h);
	size_t size;
	char *svg = draw(h, &(struct plot_options){.title = "toy <play>"}, &size);
	assert_has(svg, ">toy &lt;play&gt;</text>");
	assert_has(svg, "1 process \xc2\xb7 120 memory calls");
	assert_has(svg, ">4711</text>");
	assert_has(svg, "exit status 3");
	assert_has(svg, "(and 64 GiB without access)");
	free(svg);
	history_release(h);
}

static void test_labels_name_what_is_large(void **state)
{
	(void)state;
	struct history *h = history_create(NULL, 0);
	one_process(h);
	size_t size;
	char *svg = draw(h, &(struct plot_options){0}, &size);
	static const char *const names[] = {"libc.so.6",      "libm.so.6",        "[heap]",
					    "[stack]",        "[vdso] [vvar]",    "reserved",
					    "anonymous code", "shared anonymous", "toy"};
	struct picture picture;
	picture_read(&picture, svg);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bool found = false;
		for (size_t k = 0; k < picture.nr_boxes; k++)
			found = found ||
				strncmp(picture.boxes[k].text, names[i], strlen(names[i])) == 0;
		if (!found)
			fail_msg("no label for %s", names[i]);
	}
	/* Tooltips: range, permissions, size, lifetime. */
	assert_has(svg,
		   "<title>/usr/lib/x86_64-linux-gnu/libc.so.6\nr-xp 7ffff7c40000-7ffff7d40000 "
		   "1 MiB\nfrom 40 \xc2\xb5s (mmap) to ");
	/* The heap is one shape, with all its steps. */
	assert_has(svg, "<title>[heap]\nrw-p 555555600000-");
	assert_has(svg, "132 KiB at first, at most 7.73 MiB, in 60 steps\n");
	picture_release(&picture);
	free(svg);
	history_release(h);
}

static void test_what_is_left_out_is_said(void **state)
{
	(void)state;
	static const struct {
		size_t history;
		const char *words;
	} cases[] = {
		{6, "address spaces not drawn: shorter-lived"},
		{6, "address spaces not drawn: a fork's copy, changed little or not at all"},
		{6, "and 182 more, shorter-lived"},
		{7, "mappings too small to be drawn one by one"},
		{9, "mappings too short-lived to be recorded one by one"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct history *h = history_create(NULL, histories[cases[i].history].max_regions);
		histories[cases[i].history].live(h);
		size_t size;
		char *svg = draw(h, &(struct plot_options){0}, &size);
		assert_has(svg, cases[i].words);
		free(svg);
		history_release(h);
	}
}

static size_t count(const char *text, const char *part)
{
	size_t nr = 0;
	for (; (text = strstr(text, part)); text += strlen(part))
		nr++;
	return nr;
}

/* An allocator that scatters its chunks does not tear the picture to shreds. */
static void test_breaks_are_few(void **state)
{
	(void)state;
	struct history *h = history_create(NULL, 0);
	struct toy toy = {0};
	many_places(h);
	start_program(h, 1, &(uint64_t){3 * MS}, &toy);
	for (uint64_t i = 0; i < 200; i++)
		toy_map(&toy, (i * i + 1) * 16 * GIB / 8, (i * i + 1) * 16 * GIB / 8 + PAGES(60),
			RW, HISTORY_ANONYMOUS, NULL, 0);
	(void)history_process(h, 2, 0, 4 * MS, "chunks");
	(void)history_exec(h, 2, 4 * MS, NULL, "/usr/bin/toy");
	record(h, 2, 4 * MS, NULL, &toy);
	size_t size;
	char *svg = draw(h, &(struct plot_options){0}, &size), words[512];
	assert_in_range(count(svg, "class=\"break\""), 1, 2 * 8);
	struct picture picture;
	picture_read(&picture, svg);
	if (picture_find_overlap(&picture, words, sizeof(words)))
		fail_msg("%s", words);
	assert_true(picture.height < 1700);
	picture_release(&picture);
	free(svg);
	toy_release(&toy);
	history_release(h);
}

static void test_options(void **state)
{
	(void)state;
	struct history *h = history_create(NULL, 0);
	many_processes(h);
	FILE *nowhere = fopen("/dev/null", "w");
	assert_int_equal(plot_write(h, nowhere, &(struct plot_options){.width = 100}), -EINVAL);
	assert_int_equal(plot_write(h, nowhere, &(struct plot_options){.width = 8001}), -EINVAL);
	assert_int_equal(plot_write(h, nowhere, &(struct plot_options){.axis = 3}), -EINVAL);
	fclose(nowhere);
	static const unsigned int widths[] = {1200, 1500, 8000};
	for (size_t i = 0; i < 3; i++) {
		size_t size;
		struct plot_options options = {.width = widths[i], .max_panels = i * 20 + 1};
		char *svg = draw(h, &options, &size), words[512];
		struct picture picture;
		picture_read(&picture, svg);
		assert_string_equal(picture.why, "");
		assert_true(picture.width == widths[i]);
		if (picture_find_overlap(&picture, words, sizeof(words)))
			fail_msg("width %u: %s", widths[i], words);
		picture_release(&picture);
		free(svg);
	}
	history_release(h);
}

static void test_a_full_disk_is_reported(void **state)
{
	(void)state;
	FILE *full = fopen("/dev/full", "w");
	if (!full) {
		print_message("skipped: /dev/full is missing\n");
		skip();
	}
	for (size_t i = 0; i < NR_HISTORIES; i++) {
		struct history *h = history_create(NULL, histories[i].max_regions);
		histories[i].live(h);
		assert_int_equal(plot_write(h, full, &(struct plot_options){0}), -ENOSPC);
		clearerr(full);
		history_release(h);
	}
	fclose(full);
}

static void test_memory_runs_out_anywhere(void **state)
{
	(void)state;
	struct failing_allocator failing;
	failing_allocator_init(&failing, 0);
	struct history *h = history_create(&failing.allocator, 0);
	many_processes(h);
	size_t bytes_before = failing.live_bytes;
	FILE *nowhere = fopen("/dev/null", "w");
	int err;
	size_t nr = 0;
	do {
		failing.count = 0;
		failing.fail_at = ++nr;
		err = plot_write(h, nowhere, &(struct plot_options){0});
		assert_true(err == 0 || err == -ENOMEM);
		assert_int_equal(failing.live_bytes, bytes_before);
	} while (failing.count >= failing.fail_at);
	assert_int_equal(err, 0);
	print_message("%zu allocations failed in turn\n", nr - 1);
	assert_true(nr > 100);
	failing.fail_at = 0;
	fclose(nowhere);
	history_release(h);
}

/* ---- Parts ---- */

static void test_numbers(void **state)
{
	(void)state;
	char buf[64];
	static const struct {
		uint64_t value;
		const char *bytes, *duration, *time, *count;
	} cases[] = {
		{0, "0 B", "0", "0", "0"},
		{1, "1 B", "1 ns", "1 ns", "1"},
		{1000, "1000 B", "1 \xc2\xb5s", "1 \xc2\xb5s", "1,000"},
		{1536, "1.5 KiB", "1.54 \xc2\xb5s", "1.536 \xc2\xb5s", "1,536"},
		{4096, "4 KiB", "4.1 \xc2\xb5s", "4.096 \xc2\xb5s", "4,096"},
		{1048575, "1024 KiB", "1.05 ms", "1.048575 ms", "1,048,575"},
		{99999999, "95.4 MiB", "100 ms", "99.999999 ms", "99,999,999"},
		{UINT64_C(10002500000), "9.32 GiB", "10 s", "10.0025 s", "10,002,500,000"},
		{UINT64_C(125000000000), "116 GiB", "2 min 5 s", "125 s", "125,000,000,000"},
		{UINT64_MAX, "16 EiB", "307445734 min 33 s", "18446744073.709551615 s",
		 "18,446,744,073,709,551,615"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(plot_text_bytes(cases[i].value, buf, sizeof(buf)),
				    cases[i].bytes);
		assert_string_equal(plot_text_duration(cases[i].value, buf, sizeof(buf)),
				    cases[i].duration);
		assert_string_equal(plot_text_time(cases[i].value, buf, sizeof(buf)),
				    cases[i].time);
		assert_string_equal(plot_text_count(cases[i].value, buf, sizeof(buf)),
				    cases[i].count);
	}
	assert_string_equal(plot_text_counted(1, "VMA", buf, sizeof(buf)), "1 VMA");
	assert_string_equal(plot_text_counted(0, "VMA", buf, sizeof(buf)), "0 VMAs");
}

static void test_words(void **state)
{
	(void)state;
	char buf[64];
	plot_text_fit("libc.so.6", 10, 100, buf, sizeof(buf));
	assert_string_equal(buf, "libc.so.6");
	plot_text_fit("libcrypto.so.3", 10, 50, buf, sizeof(buf));
	assert_true(strlen(buf) > 4 && strstr(buf, "\xe2\x80\xa6"));
	assert_true(plot_text_width(buf, 10) <= 50);
	plot_text_fit("libcrypto.so.3", 10, 5, buf, sizeof(buf));
	assert_string_equal(buf, "");
	plot_text_fit("WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW", 10, 1e9, buf, 10);
	assert_string_equal(buf, "WWWWWW\xe2\x80\xa6");
	plot_text_fit("a\x1b"
		      "b\xff\xe4\xb8\xad",
		      10, 1e9, buf, sizeof(buf));
	assert_string_equal(buf, "a\xef\xbf\xbd"
				 "b\xef\xbf\xbd\xe4\xb8\xad");
	assert_string_equal(plot_text_basename("/usr/lib/libc.so.6"), "libc.so.6");
	assert_string_equal(plot_text_basename("/"), "/");
	assert_string_equal(plot_text_command("/usr/bin/ld -o /tmp/x"), "ld -o /tmp/x");
	assert_string_equal(plot_text_command("/ x"), "/ x");
}

static void test_labels_keep_their_distance(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (size_t round = 0; round < 2000; round++) {
		struct plot_label labels[40];
		size_t nr = round % 40;
		double low = 100, high = low + (double)(round % 7) * 80;
		for (size_t i = 0; i < nr; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			labels[i] = (struct plot_label){
				.wanted = low + (double)(seed >> 40) / (1 << 24) * (high - low),
				.importance = (double)(seed >> 33 & 0xff),
				.id = (uint32_t)i,
			};
		}
		size_t hidden = plot_labels_spread(labels, nr, low, high, 12), shown = 0;
		double last = -1e9, least_shown = 1e9, most_hidden = -1;
		for (size_t i = 0; i < nr; i++) {
			if (!labels[i].shown) {
				if (labels[i].importance > most_hidden)
					most_hidden = labels[i].importance;
				continue;
			}
			shown++;
			if (labels[i].importance < least_shown)
				least_shown = labels[i].importance;
			assert_true(labels[i].at - last >= 12 - 1e-6);
			assert_true(labels[i].at >= low - 1e-6 && labels[i].at <= high + 1e-6);
			last = labels[i].at;
		}
		assert_int_equal(shown + hidden, nr);
		assert_true(most_hidden <= least_shown);
		size_t room = (size_t)((high - low) / 12) + 1;
		assert_int_equal(shown, nr < room ? nr : room);
	}
}

static void test_labels_stay_where_they_are_wanted(void **state)
{
	(void)state;
	struct plot_label labels[] = {
		{.wanted = 50, .id = 0}, {.wanted = 10, .id = 1}, {.wanted = 53, .id = 2}};
	assert_int_equal(plot_labels_spread(labels, 3, 0, 100, 12), 0);
	assert_true(labels[0].id == 1 && labels[0].at == 10);
	/* A crowd of two shares the displacement. */
	assert_true(labels[1].at == 45.5 && labels[2].at == 57.5);
}

static void test_axes_are_monotone(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_HISTORIES; i++) {
		struct history *h = history_create(NULL, histories[i].max_regions);
		histories[i].live(h);
		for (size_t k = 0; k < h->spaces.length && k < 5; k++) {
			const struct history_space *space = &h->spaces.items[k];
			struct plot_time_scale time;
			struct plot_addr_scale addr;
			assert_int_equal(
				plot_time_scale_init(&time, h, space, PLOT_AXIS_MIXED, 100, 900),
				0);
			assert_int_equal(plot_addr_scale_init(&addr, h, space, &time, 50, 200, 600),
					 0);
			double last = 0;
			for (uint64_t step = 0; step <= 1000; step++) {
				uint64_t length = time.to - time.from;
				double x = plot_time_x(&time, time.from + length / 1000 * step);
				assert_true(x >= last && x >= 100 && x <= 900);
				last = x;
			}
			assert_true(plot_time_x(&time, time.to) == 900);
			for (size_t n = 1; n < addr.knots.length; n++) {
				assert_true(addr.knots.items[n].addr >=
					    addr.knots.items[n - 1].addr);
				assert_true(addr.knots.items[n].y <=
					    addr.knots.items[n - 1].y + 1e-6);
			}
			for (size_t n = 0; n < space->regions.length; n++) {
				struct memmap_addr_range range = space->regions.items[n].range;
				double top = plot_addr_y(&addr, range.end);
				double bottom = plot_addr_y(&addr, range.start);
				assert_true(top <= bottom && top >= 50 && bottom <= addr.bottom);
			}
			/* Ticks: in order, apart, and as many as there is room for, nearly. */
			struct plot_tick ticks[32];
			size_t nr = plot_time_ticks(&time, 60, ticks, 32);
			assert_true(nr >= 2);
			for (size_t n = 1; n < nr; n++)
				assert_true(ticks[n].x - ticks[n - 1].x >= 60 ||
					    (nr == 2 && time.to - time.from <= 1));
			plot_time_scale_destroy(&time, h);
			plot_addr_scale_destroy(&addr, h);
		}
		history_release(h);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_history_makes_a_good_picture),
		cmocka_unit_test(test_pictures_are_reproducible),
		cmocka_unit_test(test_the_picture_tells_what_happened),
		cmocka_unit_test(test_labels_name_what_is_large),
		cmocka_unit_test(test_what_is_left_out_is_said),
		cmocka_unit_test(test_breaks_are_few),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_a_full_disk_is_reported),
		cmocka_unit_test(test_memory_runs_out_anywhere),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_labels_keep_their_distance),
		cmocka_unit_test(test_labels_stay_where_they_are_wanted),
		cmocka_unit_test(test_axes_are_monotone),
	};
	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		directory = argv[2];
	if (argc == 2 && strcmp(argv[1], "--xmllint") == 0) {
		/* NOLINTNEXTLINE(cert-env33-c): a test, with a constant */
		if (system("xmllint --version >/dev/null 2>&1") != 0) {
			puts("skipped: xmllint is missing (package libxml2-utils)");
			return 77;
		}
		use_xmllint = true;
		return cmocka_run_group_tests_name("xmllint", (struct CMUnitTest[]){tests[0]}, NULL,
						   NULL);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
