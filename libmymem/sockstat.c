#include <string.h>

#include "internal.h"

/*
 * parse_sockstat parses the first line of /proc/net/sockstat (proc(5)), "sockets:
 * used N".
 */
static struct flaw parse_sockstat(struct span text, int64_t *to)
{
	static const char used[] = "sockets: used ";
	const size_t len = sizeof used - 1;
	struct span line;
	int64_t n;

	if (!mymem__next_line(&text, &line) || line.len < len || memcmp(line.at, used, len) != 0 ||
	    !mymem__parse_number((struct span){ line.at + len, line.len - len }, &n) || n > (int64_t)1 << 40)
		return mymem__flaw(1, line, "\"sockets: used\" and a number");
	*to = n;
	return (struct flaw){ 0, { NULL, 0 }, NULL };
}

/*
 * mymem__pinned is the part of slab_reclaimable that the sockets of this network
 * namespace keep in use, 1 KiB each: the kernel counts a socket's inode and name there
 * as well (sock_inode_cache, dentry).
 */
int64_t mymem__pinned(struct input *in)
{
	struct span text;

	if (in->used < 0) {
		in->used = 0;
		if (mymem__file_read(&in->sockets, in, &text) == 0)
			mymem__reject(in, in->sockets.path, parse_sockstat(text, &in->used));
	}
	return in->used << 10;
}
