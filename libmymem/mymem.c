#include "mymem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/* marks_age is how many seconds old the marks may be: what they follow changes seldom. */
static const int64_t marks_age = 300;

static const char *const rungs[] = {
	[RUNG_HOST] = "host",
	[RUNG_CGROUP1] = "cgroup v1",
	[RUNG_CGROUP2] = "cgroup v2",
};

/* renew makes f a file that was never opened. */
static void renew(struct file *f) { *f = (struct file){ .path = f->path }; }

static void find(mymem *m)
{
	mymem__start(&m->in);
	m->marks_until = 0;
	renew(&m->host);
	renew(&m->overcommit);
	renew(&m->in.sockets);
	m->rung = mymem__memory_levels(&m->in, m->root, &m->levels, &m->level_count);
	m->found = m->in.problem.code == 0;
}

static void release(mymem *m)
{
	mymem__file_close(&m->host);
	mymem__file_close(&m->overcommit);
	mymem__file_close(&m->in.sockets);
	mymem__free_levels(m->levels, m->level_count);
	m->levels = NULL;
	m->level_count = 0;
}

/* put_path writes m's root and name to *at, which goes on behind them. */
static const char *put_path(const mymem *m, const char *name, char **at)
{
	char *path = *at;
	size_t len = strlen(m->root), n = strlen(name) + 1;

	memcpy(path, m->root, len);
	memcpy(path + len, name, n);
	*at = path + len + n;
	return path;
}

int mymem_open_at(const char *root, mymem **to)
{
	static const char meminfo[] = "/proc/meminfo";
	static const char overcommit[] = "/proc/sys/vm/overcommit_memory";
	static const char sockets[] = "/proc/net/sockstat";
	size_t len = strlen(root);
	char *end;
	mymem *m;

	*to = NULL;
	while (len > 0 && root[len - 1] == '/')
		len--;
	m = calloc(1, sizeof *m + 4 * len + 1 + sizeof meminfo + sizeof overcommit + sizeof sockets);
	if (m == NULL)
		return -ENOMEM;
	memcpy(m->root, root, len);
	end = m->root + len + 1;
	m->host.path = put_path(m, meminfo, &end);
	m->overcommit.path = put_path(m, overcommit, &end);
	m->in.sockets.path = put_path(m, sockets, &end);
	m->in.size = 8 << 10;
	m->in.buf = malloc(m->in.size);
	if (m->in.buf == NULL) {
		free(m);
		return -ENOMEM;
	}
	find(m);
	*to = m;
	return 0;
}

mymem *mymem_open(void)
{
	mymem *m;
	int err = mymem_open_at("", &m);

	if (err < 0)
		errno = -err;
	return m;
}

void mymem_close(mymem *m)
{
	if (m == NULL)
		return;
	release(m);
	free(m->in.buf);
	free(m);
}

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

/*
 * apply narrows to to a level's limit. Without known there is nothing to narrow:
 * the level is the first that tells anything.
 */
static void apply(struct mymem_memory *to, const struct usage *u, const char *from, bool known)
{
	/* memory.stat may lag the usage, so it may promise more than there is. */
	int64_t reclaimable = min(u->reclaimable, u->used);
	int64_t available = max(0, u->free + reclaimable);
	int64_t headroom = max(0, u->free + min(u->clean, reclaimable));

	if (!known || u->limit < to->limit || (!to->limited && u->limit == to->limit)) {
		to->limit = u->limit;
		to->limited = true;
		to->used = u->used;
		to->limit_from = from;
	}
	if (available < to->available) {
		to->available = available;
		to->available_from = from;
	}
	if (!known || headroom < to->headroom)
		to->headroom = headroom;
}

/* apply_host narrows to to what the host has. */
static void apply_host(mymem *m, struct mymem_memory *to, const struct host *h)
{
	int64_t n = INT64_MAX, mode;

	if (h->available < to->available) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= m->marks_until) {
			m->marks = mymem__read_marks(&m->in, m->root);
			m->marks_until = m->in.problem.code == 0 ? now.tv_sec + marks_age : 0;
		}
		n = mymem__taking(h, &m->marks);
	}
	/* Without overcommitting mmap(2) refuses what is above CommitLimit. */
	if (mymem__file_value(&m->overcommit, &m->in, &mode) && mode == 2 && h->has_commit)
		n = min(n, max(0, h->commit));
	if (n <= to->available) {
		to->available = n;
		to->available_from = m->host.path;
	}
}

static int read_all(mymem *m, struct mymem_memory *to)
{
	int64_t within = 0, clean = 0; /* what reclaim gives in the levels before */
	struct host host;
	int err;
	bool known;

	mymem__start(&m->in);
	err = mymem__read_host(m, &host);
	known = err == 0;
	*to = (struct mymem_memory){
		.limit = host.total,
		.used = host.total - host.available,
		.available = INT64_MAX,
		.headroom = host.available,
		.swap_used = host.swap_total - host.swap_free,
		.swap_limit = host.swap_total,
		.host_total = host.total,
		.host_available = host.available,
		.limit_from = m->host.path,
		.rung = rungs[m->rung],
	};
	for (size_t i = 0; i < m->level_count; i++) {
		struct level *l = &m->levels[i];
		bool swap = host.swap_total > 0;
		struct usage u = m->rung == RUNG_CGROUP1 ? mymem__read1(l, &m->in, i == 0, swap) : mymem__read2(l, &m->in, i == 0, swap);

		/*
		 * What can be reclaimed within a level can be in it, which its memory.stat
		 * may not know yet where the other is new.
		 */
		u.reclaimable = max(u.reclaimable, within);
		u.clean = max(u.clean, clean);
		within = max(within, min(u.reclaimable, u.used));
		clean = max(clean, min(u.clean, u.used));
		if (i == 0 && u.has_swap)
			to->swap_used = u.swap_used;
		if (u.has_high && (!to->has_high || u.high < to->high)) {
			to->high = u.high;
			to->has_high = true;
		}
		if (u.swap_limited && u.swap_limit < to->swap_limit) {
			to->swap_limit = u.swap_limit;
			to->swap_limited = true;
		}
		if (u.limited) {
			apply(to, &u, l->file[u.hidden ? STAT : LIMIT].path, known);
			known = true;
		}
	}
	if (m->in.problem.code != 0)
		return m->in.problem.code;
	if (!known) {
		mymem__fail(&m->in, m->host.path, err);
		return err;
	}
	if (err == 0)
		apply_host(m, to, &host);
	to->available = min(to->available, to->limit);
	to->headroom = min(to->headroom, to->available);
	return m->in.problem.code;
}

/* stale tells whether a file that could be read before cannot be any more. */
static bool stale(const mymem *m)
{
	for (size_t i = 0; i < m->level_count; i++) {
		const struct file *f = m->levels[i].file;

		if (f[LIMIT].lost || f[USAGE].lost || f[STAT].lost)
			return true;
	}
	return m->host.lost;
}

int mymem_read(mymem *m, struct mymem_memory *to)
{
	struct mymem_memory now;
	int err = 0;
	bool read = m->found;

	if (read) {
		err = read_all(m, &now);
		read = !stale(m);
	}
	if (!read) {
		release(m);
		find(m);
		err = m->found ? read_all(m, &now) : m->in.problem.code;
	}
	if (err == 0)
		*to = now;
	return err;
}

const char *mymem_error(mymem *m)
{
	const struct problem *p = &m->in.problem;
	char quoted[4 * sizeof p->text + 1], *q = quoted;

	if (p->code == 0)
		return "";
	if (p->code != -EBADMSG) {
		(void)snprintf(m->in.buf, m->in.size, "%s: %s", p->path, strerror(-p->code));
		return m->in.buf;
	}
	for (size_t i = 0; i < p->len; i++) {
		unsigned char c = (unsigned char)p->text[i];

		if (c >= ' ' && c <= '~' && c != '"' && c != '\\')
			*q++ = (char)c;
		else
			q += sprintf(q, "\\x%02x", c);
	}
	*q = '\0';
	(void)snprintf(m->in.buf, m->in.size, "%s:%zu: \"%s\" is not %s", p->path, p->line, quoted, p->want);
	return m->in.buf;
}

int64_t mymem_available(void)
{
	struct mymem_memory now;
	mymem *m = mymem_open();
	int err = m == NULL ? -errno : mymem_read(m, &now);

	mymem_close(m);
	return err < 0 ? err : now.available;
}
