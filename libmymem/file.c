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

/* mymem__start forgets what went before. */
void mymem__start(struct input *in)
{
	in->problem.code = 0;
	in->used = -1;
}

void mymem__reject(struct input *in, const char *path, struct flaw flaw)
{
	struct problem *p = &in->problem;

	if (flaw.line == 0 || p->code != 0)
		return;
	mymem__fail(in, path, -EBADMSG);
	p->line = flaw.line;
	p->want = flaw.want;
	p->len = flaw.text.len < sizeof p->text ? flaw.text.len : sizeof p->text;
	if (p->len > 0)
		memcpy(p->text, flaw.text.at, p->len);
}

void mymem__fail(struct input *in, const char *path, int code)
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

/*
 * open_file opens a file for reading; it gives the descriptor or -errno. It does not
 * wait where the path is a pipe that nobody writes to.
 */
static int open_file(const char *path)
{
	int fd;

	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/*
 * refused keeps that the file at path may well be there, but cannot be opened for
 * want of a descriptor or of memory, or is none that can be read, as a directory or a
 * pipe. It is false for the errors of a file that is not there, not for this user or
 * not for this kernel.
 */
static bool refused(struct input *in, const char *path, int code)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -EPERM:
	case -ENODEV:
	case -EOPNOTSUPP:
		return false;
	default:
		mymem__fail(in, path, code);
		return true;
	}
}

/*
 * mymem__file_read gives the whole text of f, good until in is used again. A file that
 * is not there is not tried again.
 */
int mymem__file_read(struct file *f, struct input *in, struct span *text)
{
	if (f->state == FILE_MISSING)
		return f->missing;
	if (f->state == FILE_UNOPENED) {
		int fd = open_file(f->path);

		if (fd < 0 && refused(in, f->path, fd))
			return fd;
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
			int err = -errno;

			f->lost = f->state == FILE_ANSWERED;
			if (!f->lost)
				refused(in, f->path, err);
			return err;
		}
		if ((size_t)n < in->size) {
			f->state = FILE_ANSWERED;
			*text = (struct span){ in->buf, (size_t)n };
			return 0;
		}
		if (in->size >= LONGEST) {
			mymem__reject(in, f->path, mymem__flaw(1, (struct span){ NULL, 0 }, "less than 1 MiB of text"));
			return -EBADMSG;
		}
		larger = realloc(in->buf, 2 * in->size);
		if (larger == NULL) {
			mymem__fail(in, f->path, -ENOMEM);
			return -ENOMEM;
		}
		in->buf = larger;
		in->size *= 2;
	}
}

/* mymem__file_value reads a file of one number; it is false where there is none. */
bool mymem__file_value(struct file *f, struct input *in, int64_t *n)
{
	struct span text;
	struct flaw flaw;

	*n = 0;
	if (mymem__file_read(f, in, &text) < 0)
		return false;
	flaw = mymem__parse_value(text, n);
	mymem__reject(in, f->path, flaw);
	return flaw.line == 0;
}

/*
 * mymem__file_limit reads a file of a limit: "max" on v2, and on v1 the largest number
 * of pages, is no limit.
 */
bool mymem__file_limit(struct file *f, struct input *in, int64_t *n)
{
	struct span text;
	bool limited;

	*n = 0;
	if (mymem__file_read(f, in, &text) < 0)
		return false;
	mymem__reject(in, f->path, mymem__parse_limit(text, n, &limited));
	return limited;
}

void mymem__file_close(struct file *f)
{
	if (f->state >= FILE_OPEN)
		(void)close(f->fd);
	f->state = FILE_UNOPENED;
}

/*
 * mymem__read_all reads the file name below root once into memory that the caller frees,
 * and tells its path. A file that cannot be read gives -errno, and in has a problem
 * where that is no answer.
 */
int mymem__read_all(struct input *in, const char *root, const char *name, char path[PATH_MAX], struct text *text)
{
	static const struct span empty = { "", 0 };
	size_t size = 4096, len = 0;
	char *buf = NULL;
	int err = mymem__join(path, root, empty, empty, name);
	int fd = err < 0 ? err : open_file(path);

	if (fd < 0)
		err = fd;
	else if ((buf = malloc(size)) == NULL)
		err = -ENOMEM;
	while (err == 0) {
		ssize_t n = pread(fd, buf + len, size - len, (off_t)len);
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
			mymem__reject(in, path, mymem__flaw(1, (struct span){ NULL, 0 }, "less than 16 MiB of text"));
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
	refused(in, path, err);
	free(buf);
	return err;
}
