#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/* LONGEST is more than any file that is read again and again has. */
#define LONGEST ((size_t)1 << 20)

/* LONGEST_ONCE is for mountinfo, which is long where there are many mounts. */
#define LONGEST_ONCE ((size_t)16 << 20)

void mm_reject(struct input *in, const char *path, struct flaw flaw)
{
	struct problem *p = &in->problem;

	if (flaw.line == 0 || p->code != 0)
		return;
	mm_fail(in, path, -EBADMSG);
	p->line = flaw.line;
	p->want = flaw.want;
	p->len = flaw.text.len < sizeof p->text ? flaw.text.len : sizeof p->text;
	if (p->len > 0)
		memcpy(p->text, flaw.text.at, p->len);
}

void mm_fail(struct input *in, const char *path, int code)
{
	size_t len = strlen(path);

	if (in->problem.code != 0)
		return;
	in->problem.code = code;
	in->problem.line = 0;
	if (len >= sizeof in->problem.path)
		len = sizeof in->problem.path - 1;
	memcpy(in->problem.path, path, len);
	in->problem.path[len] = '\0';
}

/* open_file opens a file for reading; it gives the descriptor or -errno. */
static int open_file(const char *path)
{
	int fd;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/*
 * short_of tells whether an open failed for want of something that the process or
 * the host lacks for now: the file may well be there.
 */
static bool short_of(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM;
}

/*
 * mm_file_read gives the whole text of f, good until in is used again. A file that
 * is not there is not tried again.
 */
int mm_file_read(struct file *f, struct input *in, struct span *text)
{
	if (f->state == FILE_MISSING)
		return f->missing;
	if (f->state == FILE_UNOPENED) {
		int fd = open_file(f->path);

		if (fd < 0 && short_of(fd)) {
			mm_fail(in, f->path, fd);
			return fd;
		}
		if (fd < 0) {
			f->state = FILE_MISSING;
			f->missing = fd;
			return fd;
		}
		f->fd = fd;
		f->state = FILE_OPEN;
	}
	for (;;) {
		ssize_t n = pread(f->fd, in->buf, in->size, 0);
		char *larger;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			f->lost = f->state == FILE_ANSWERED;
			return -errno;
		}
		if ((size_t)n < in->size) {
			f->state = FILE_ANSWERED;
			*text = (struct span){ in->buf, (size_t)n };
			return 0;
		}
		if (in->size >= LONGEST) {
			mm_reject(in, f->path, mm_flaw(1, (struct span){ NULL, 0 }, "less than 1 MiB of text"));
			return -EBADMSG;
		}
		larger = realloc(in->buf, 2 * in->size);
		if (larger == NULL) {
			mm_fail(in, f->path, -ENOMEM);
			return -ENOMEM;
		}
		in->buf = larger;
		in->size *= 2;
	}
}

/* mm_file_value reads a file of one number; it is false where there is none. */
bool mm_file_value(struct file *f, struct input *in, int64_t *n)
{
	struct span text;
	struct flaw flaw;

	*n = 0;
	if (mm_file_read(f, in, &text) < 0)
		return false;
	flaw = mm_parse_value(text, n);
	mm_reject(in, f->path, flaw);
	return flaw.line == 0;
}

/*
 * mm_file_limit reads a file of a limit: "max" on v2, and on v1 the largest number
 * of pages, is no limit.
 */
bool mm_file_limit(struct file *f, struct input *in, int64_t *n)
{
	struct span text;
	bool limited;

	*n = 0;
	if (mm_file_read(f, in, &text) < 0)
		return false;
	mm_reject(in, f->path, mm_parse_limit(text, n, &limited));
	return limited;
}

void mm_file_close(struct file *f)
{
	if (f->state >= FILE_OPEN)
		(void)close(f->fd);
	f->state = FILE_UNOPENED;
}

/*
 * mm_read_all reads a file once into memory that the caller frees. A file that
 * cannot be read gives -errno, and in has a problem where that is no answer.
 */
int mm_read_all(struct input *in, const char *path, struct text *text)
{
	size_t size = 4096, len = 0;
	char *buf = NULL;
	int fd = open_file(path);
	int err = fd < 0 ? fd : 0;

	if (fd >= 0 && (buf = malloc(size)) == NULL)
		err = -ENOMEM;
	while (err == 0) {
		ssize_t n = read(fd, buf + len, size - len);
		char *larger;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			err = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
		if (len < size)
			continue;
		if (size >= LONGEST_ONCE) {
			mm_reject(in, path, mm_flaw(1, (struct span){ NULL, 0 }, "less than 16 MiB of text"));
			err = -EBADMSG;
		} else if ((larger = realloc(buf, 2 * size)) == NULL) {
			err = -ENOMEM;
		} else {
			buf = larger;
			size *= 2;
		}
	}
	if (fd >= 0)
		(void)close(fd);
	if (err == 0) {
		*text = (struct text){ buf, len };
		return 0;
	}
	if (short_of(err))
		mm_fail(in, path, err);
	free(buf);
	return err;
}
