/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the log of a trace. See log_writer.h.
 *
 * What a call has changed is found by comparing the model with the image of what the log has told:
 * only around the addresses that the call was about, unless something is said to have changed
 * elsewhere. Lines that differ fall into clusters of overlapping ranges. One that lies where the
 * call was about is the call's; a stack that has got longer is its growth; any other has shown
 * itself without a call (a file was renamed).
 */
#include "log/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct buffer {
	ARRAY(char) bytes;
};

struct log_writer {
	char *path;
	FILE *out;
	bool created, begun; /* the file was made by us; a line has been written */
	int error;           /* the first one; nothing is written after it */
	uint64_t began, last, nr_calls;
	struct text_pool names;
	struct memmap_text text; /* of the model */
	ARRAY(struct memmap_maps_line) lines;
	struct buffer by_call, by_growth, by_itself;
};

/*
 * ---- Writing ----
 */

static void fail(struct log_writer *log, int err)
{
	if (!log->error)
		log->error = err;
}

static void put(struct log_writer *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void put(struct log_writer *log, const char *format, ...)
{
	va_list args;
	if (log->error)
		return;
	errno = 0;
	va_start(args, format);
	const int n = vfprintf(log->out, format, args);
	va_end(args);
	if (n < 0)
		fail(log, -(errno ? errno : EIO));
}

/* A record is complete: out with it, so that it is there whatever comes. */
static void flush(struct log_writer *log)
{
	errno = 0;
	if (!log->error && fflush(log->out))
		fail(log, -(errno ? errno : EIO));
}

/* The word and the time that a record begins with: seconds since the start, which never go back. */
static void put_head(struct log_writer *log, const char *word, uint64_t time)
{
	time = time > log->began ? time - log->began : 0;
	if (time < log->last)
		time = log->last;
	log->last = time;
	put(log, "%s %" PRIu64 ".%09" PRIu64, word, time / 1000000000, time % 1000000000);
}

/* " "quoted"": quotes, backslashes and what is no printable ASCII as \ooo. */
static void put_quoted(struct log_writer *log, const char *text)
{
	put(log, " \"");
	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		if (*c == '"' || *c == '\\' || *c < ' ' || *c > '~')
			put(log, "\\%03o", *c);
		else
			put(log, "%c", *c);
	}
	put(log, "\"");
}

static void append(struct log_writer *log, struct buffer *buffer, const char *text, size_t length)
{
	if (!ARRAY_RESERVE(NULL, &buffer->bytes, length)) {
		fail(log, -ENOMEM);
		return;
	}
	memcpy(buffer->bytes.items + buffer->bytes.length, text, length);
	buffer->bytes.length += length;
}

/* Write what the buffer holds, and empty it. */
static void put_buffer(struct log_writer *log, struct buffer *buffer)
{
	if (!log->error && buffer->bytes.length > 0 &&
	    fwrite(buffer->bytes.items, 1, buffer->bytes.length, log->out) != buffer->bytes.length)
		fail(log, -(errno ? errno : EIO));
	buffer->bytes.length = 0;
}

/*
 * ---- What has changed ----
 */

static bool touches(struct memmap_addr_range a, struct memmap_addr_range b)
{
	return a.start < a.end && b.start < b.end && a.start <= b.end && b.start <= a.end;
}

/* The addresses whose mappings can have changed: what adjoins may have merged. */
static struct memmap_addr_range window_of(struct memmap_addr_range touched)
{
	if (touched.start > 0)
		touched.start--;
	if (touched.end < UINT64_MAX)
		touched.end++;
	return touched;
}

/* Parse the model's mappings in `window` into `lines`. */
static bool print_window(struct log_writer *log, const struct memmap_mm *mm,
			 struct memmap_addr_range window)
{
	log->lines.length = 0;
	if (memmap_mm_print_maps_range(mm, window, &log->text)) {
		fail(log, -ENOMEM);
		return false;
	}
	const char *at = log->text.data, *end = at + log->text.length;
	while (at < end) {
		if (!ARRAY_RESERVE(NULL, &log->lines, 1) ||
		    !memmap_maps_text_next(&at, end, &log->lines.items[log->lines.length])) {
			fail(log, -ENOMEM);
			return false;
		}
		log->lines.length++;
	}
	return true;
}

/* Let the window hold every mapping that it cuts, in the image and in the model. */
static bool widen(struct log_writer *log, const struct memmap_mm *mm, const struct image *image,
		  struct memmap_addr_range *window)
{
	for (;;) {
		const struct memmap_addr_range before = *window;
		if (!print_window(log, mm, *window))
			return false;
		struct image_iterator first =
			image_set_lower_bound_segment(&image->vmas, window->start);
		struct image_iterator last =
			image_set_upper_bound_segment(&image->vmas, window->end - 1);
		if (image_iterator_ok(first) && image_iterator_start(first) < window->start)
			window->start = image_iterator_start(first);
		if (image_iterator_ok(last) && image_iterator_end(last) > window->end)
			window->end = image_iterator_end(last);
		if (log->lines.length > 0) {
			const struct memmap_maps_line *lines = log->lines.items;
			const uint64_t end = lines[log->lines.length - 1].range.end;
			if (lines[0].range.start < window->start)
				window->start = lines[0].range.start;
			if (end > window->end)
				window->end = end;
		}
		if (before.start == window->start && before.end == window->end)
			return true;
	}
}

/* Mappings that differ: lines [first, last), and those of the image from `old` on. */
struct cluster {
	struct memmap_addr_range range;
	size_t first, last;
	size_t nr_old;
};

/*
 * Is it a stack that has got longer? Anonymous memory that a call has put below other such memory
 * looks the same; but no call does that to the stack by name.
 */
static bool is_growth(const struct log_writer *log, const struct image *image,
		      const struct cluster *c, bool is_touched)
{
	static const char stack[] = "[stack]";
	if (c->nr_old != 1 || c->last - c->first != 1)
		return false;
	const struct memmap_maps_line *line = &log->lines.items[c->first];
	struct image_iterator old = image_set_find_segment(&image->vmas, line->range.end - 1);
	struct memmap_maps_line shorter = *line;
	if (is_touched &&
	    (line->name_length != strlen(stack) || memcmp(line->name, stack, strlen(stack)) != 0))
		return false;
	shorter.range.start = image_iterator_ok(old) ? image_iterator_start(old) : 0;
	/* The offsets of anonymous memory are not shown. */
	return line->range.start < shorter.range.start && !memmap_maps_line_is_file(line) &&
	       image_has_line(&log->names, old, &shorter);
}

/* Tell of a cluster, and let the image follow. */
static void apply(struct log_writer *log, struct image *image, const struct cluster *c,
		  const struct log_call *call)
{
	const bool is_touched = call && (touches(c->range, call->touched[0]) ||
					 touches(c->range, call->touched[1]));
	struct buffer *buffer = is_touched ? &log->by_call : &log->by_itself;
	if (is_growth(log, image, c, is_touched))
		buffer = &log->by_growth;
	for (;;) {
		struct image_iterator old =
			image_set_lower_bound_segment(&image->vmas, c->range.start);
		char text[64];
		if (!image_iterator_ok(old) || image_iterator_start(old) >= c->range.end)
			break;
		const int n = snprintf(text, sizeof(text), "- %08" PRIx64 "-%08" PRIx64 "\n",
				       image_iterator_start(old), image_iterator_end(old));
		append(log, buffer, text, (size_t)n);
		(void)image_remove(image, image_iterator_range(old));
	}
	for (size_t i = c->first; i < c->last; i++) {
		const struct memmap_maps_line *line = &log->lines.items[i];
		append(log, buffer, "+ ", 2);
		append(log, buffer, line->text, line->text_length);
		append(log, buffer, "\n", 1);
		const int err = image_insert(image, &log->names, line);
		if (err)
			fail(log, err);
	}
}

/* Find the first cluster at or above `from`, from line `first` on; false: there is none. */
static bool find_cluster(const struct log_writer *log, const struct image *image, size_t first,
			 uint64_t from, uint64_t end, struct cluster *out)
{
	const struct memmap_maps_line *lines = log->lines.items;
	const size_t nr = log->lines.length;
	struct image_iterator old = image_set_lower_bound_segment(&image->vmas, from);
	while (first < nr && image_iterator_ok(old) &&
	       image_has_line(&log->names, old, &lines[first])) {
		old = image_iterator_next_segment(old);
		first++;
	}
	const bool has_old = image_iterator_ok(old) && image_iterator_start(old) < end;
	if (first == nr && !has_old)
		return false;
	*out = (struct cluster){.first = first, .last = first};
	out->range.start = first < nr ? lines[first].range.start : UINT64_MAX;
	if (has_old && image_iterator_start(old) < out->range.start)
		out->range.start = image_iterator_start(old);
	out->range.end = out->range.start + 1;
	for (bool grew = true; grew;) {
		grew = false;
		while (out->last < nr && lines[out->last].range.start < out->range.end) {
			if (lines[out->last].range.end > out->range.end)
				out->range.end = lines[out->last].range.end;
			out->last++;
			grew = true;
		}
		while (image_iterator_ok(old) && image_iterator_start(old) < out->range.end) {
			if (image_iterator_end(old) > out->range.end)
				out->range.end = image_iterator_end(old);
			old = image_iterator_next_segment(old);
			out->nr_old++;
			grew = true;
		}
	}
	return true;
}

/* Gather what has changed in a window into the three buffers. */
static void compare(struct log_writer *log, const struct memmap_mm *mm, struct image *image,
		    struct memmap_addr_range window, const struct log_call *call)
{
	if (log->error || window.start >= window.end || !widen(log, mm, image, &window))
		return;
	struct cluster cluster;
	uint64_t from = window.start;
	for (size_t first = 0;
	     !log->error && find_cluster(log, image, first, from, window.end, &cluster);
	     first = cluster.last) {
		apply(log, image, &cluster, call);
		from = cluster.range.end;
	}
}

static const struct memmap_addr_range everywhere = {0, UINT64_MAX};

/* What has changed without a call, as records of its own. */
static void put_changes_without_call(struct log_writer *log, uint64_t time, pid_t pid)
{
	if (log->by_growth.bytes.length > 0) {
		put_head(log, "grow", time);
		put(log, " %d\n", (int)pid);
		put_buffer(log, &log->by_growth);
	}
	if (log->by_itself.bytes.length > 0) {
		put_head(log, "look", time);
		put(log, " %d\n", (int)pid);
		put_buffer(log, &log->by_itself);
	}
}

/*
 * ---- Records ----
 */

void log_process(struct log_writer *log, uint64_t time, pid_t pid, pid_t parent)
{
	put_head(log, "process", time);
	put(log, " %d %d\n", (int)pid, (int)parent);
	flush(log);
}

void log_exec(struct log_writer *log, const char *what, uint64_t time, pid_t pid,
	      const char *command, const char *program, const struct memmap_mm *mm,
	      struct image **image)
{
	image_release(*image);
	*image = image_create();
	if (!*image) {
		fail(log, -ENOMEM);
		return;
	}
	put_head(log, what, time);
	put(log, " %d", (int)pid);
	put_quoted(log, command ? command : "");
	put_quoted(log, program ? program : "");
	put(log, "\n");
	compare(log, mm, *image, everywhere, NULL);
	put_buffer(log, &log->by_itself);
	flush(log);
}

void log_fork(struct log_writer *log, uint64_t time, pid_t pid, pid_t child,
	      const struct image *parent_image, const struct memmap_mm *child_mm,
	      struct image **child_image)
{
	image_release(*child_image);
	*child_image = parent_image ? image_copy(parent_image) : image_create();
	if (!*child_image) {
		fail(log, -ENOMEM);
		return;
	}
	put_head(log, "fork", time);
	put(log, " %d %d\n", (int)pid, (int)child);
	compare(log, child_mm, *child_image, everywhere, NULL);
	put_buffer(log, &log->by_itself);
	put_changes_without_call(log, time, child);
	flush(log);
}

static void put_pair(struct log_writer *log, const char *word, uint64_t time, pid_t pid,
		     pid_t other)
{
	put_head(log, word, time);
	put(log, " %d %d\n", (int)pid, (int)other);
	flush(log);
}

void log_share(struct log_writer *log, uint64_t time, pid_t pid, pid_t child)
{
	put_pair(log, "share", time, pid, child);
}

void log_thread(struct log_writer *log, uint64_t time, pid_t pid, pid_t tid)
{
	put_pair(log, "thread", time, pid, tid);
}

void log_thread_end(struct log_writer *log, uint64_t time, pid_t pid, pid_t tid)
{
	put_pair(log, "thread-end", time, pid, tid);
}

void log_call(struct log_writer *log, const struct log_call *call, const struct memmap_mm *mm,
	      struct image *image)
{
	if (image && call->everywhere) {
		compare(log, mm, image, everywhere, call);
	} else if (image) {
		for (int i = 0; i < 2; i++)
			if (call->touched[i].start < call->touched[i].end)
				compare(log, mm, image, window_of(call->touched[i]), call);
	}
	put_changes_without_call(log, call->time, call->pid);
	put_head(log, "call", call->time);
	put(log, " %" PRIu64 " %d %d %" PRIu64 ".%09" PRIu64 " %s = %s\n", ++log->nr_calls,
	    (int)call->pid, (int)call->tid, call->duration / 1000000000,
	    call->duration % 1000000000, call->call, call->result);
	put_buffer(log, &log->by_call);
	flush(log);
}

void log_look(struct log_writer *log, uint64_t time, pid_t pid, const struct memmap_mm *mm,
	      struct image *image)
{
	if (!image)
		return;
	compare(log, mm, image, everywhere, NULL);
	put_changes_without_call(log, time, pid);
	flush(log);
}

void log_maps(struct log_writer *log, uint64_t time, pid_t pid, size_t nr_vmas, uint64_t digest)
{
	put_head(log, "maps", time);
	put(log, " %d %zu %016" PRIx64 "\n", (int)pid, nr_vmas, digest);
	flush(log);
}

void log_exit(struct log_writer *log, uint64_t time, pid_t pid, int wait_status)
{
	put_head(log, "exit", time);
	if (WIFSIGNALED(wait_status))
		put(log, " %d killed %d\n", (int)pid, WTERMSIG(wait_status));
	else
		put(log, " %d exited %d\n", (int)pid, WEXITSTATUS(wait_status));
	flush(log);
}

/*
 * ---- Life ----
 */

int log_open(const char *path, struct log_writer **out)
{
	struct log_writer *log = calloc(1, sizeof(*log));
	if (!log || !(log->path = strdup(path))) {
		free(log);
		return -ENOMEM;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	log->created = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	log->out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!log->out) {
		const int err = -errno;
		if (fd >= 0)
			close(fd);
		log_release(log);
		return err;
	}
	*out = log;
	return 0;
}

void log_begin(struct log_writer *log, uint64_t began, char *const *command)
{
	struct stat st;
	log->begun = true;
	log->began = began;
	if (fstat(fileno(log->out), &st) == 0 && S_ISREG(st.st_mode) &&
	    ftruncate(fileno(log->out), 0))
		fail(log, -errno);
	put(log, "memmap log 1\ncommand");
	for (; *command; command++)
		put_quoted(log, *command);
	put(log, "\n");
	flush(log);
}

int log_end(struct log_writer *log, uint64_t time)
{
	put_head(log, "end", time);
	put(log, " %" PRIu64 "\n", log->nr_calls);
	flush(log);
	errno = 0;
	if (fclose(log->out))
		fail(log, -(errno ? errno : EIO));
	log->out = NULL;
	return log->error;
}

void log_release(struct log_writer *log)
{
	if (!log)
		return;
	if (log->out)
		fclose(log->out);
	if (log->created && !log->begun)
		unlink(log->path);
	text_pool_release(&log->names);
	memmap_text_release(&log->text);
	ARRAY_RELEASE(NULL, &log->lines);
	ARRAY_RELEASE(NULL, &log->by_call.bytes);
	ARRAY_RELEASE(NULL, &log->by_growth.bytes);
	ARRAY_RELEASE(NULL, &log->by_itself.bytes);
	free(log->path);
	free(log);
}
