#include <string.h>
#include <sys/sysinfo.h>

#include "internal.h"

static const struct flaw none;

static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

/* parse_kb parses "     24684092 kB" to bytes. */
static bool parse_kb(struct span text, int64_t *to)
{
	int64_t n;

	while (text.len > 0 && text.at[0] == ' ') {
		text.at++;
		text.len--;
	}
	if (text.len < 3 || memcmp(text.at + text.len - 3, " kB", 3) != 0)
		return false;
	text.len -= 3;
	if (!mymem__parse_number(text, &n) || n > INT64_MAX >> 10)
		return false;
	*to = n << 10;
	return true;
}

/* clamp keeps what is free within what there is. */
static void clamp(struct host *h)
{
	if (h->available > h->total)
		h->available = h->total;
	if (h->swap_free > h->swap_total)
		h->swap_free = h->swap_total;
}

/*
 * parse_meminfo parses /proc/meminfo, whose "kB" are 1024 bytes. Kernels before
 * 3.14 print no MemAvailable; free memory and the file pages stand in for it.
 */
static struct flaw parse_meminfo(struct span text, struct host *to)
{
	struct host h = { .total = -1, .available = -1, .swap_total = -1, .swap_free = -1 };
	int64_t free = -1, active_file = -1, inactive_file = -1, commit_limit = -1, committed = -1;
	const struct key keys[] = {
		KEY("MemTotal", &h.total),
		KEY("MemFree", &free),
		KEY("MemAvailable", &h.available),
		KEY("Active(file)", &active_file),
		KEY("Inactive(file)", &inactive_file),
		KEY("SReclaimable", &h.slab),
		KEY("SwapTotal", &h.swap_total),
		KEY("SwapFree", &h.swap_free),
		KEY("CommitLimit", &commit_limit),
		KEY("Committed_AS", &committed),
	};
	const struct span nothing = { "", 0 };
	struct span line, key, value;
	size_t at = 1;

	for (; text.len > 0; at++) {
		if (!mymem__next_line(&text, &line))
			return mymem__flaw(at, line, mymem__want_line);
		mymem__cut(line, ':', &key, &value);
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
			if (key.len != keys[i].len || key.len == line.len || memcmp(key.at, keys[i].name, key.len) != 0)
				continue;
			if (!parse_kb(value, keys[i].to))
				return mymem__flaw(at, line, "a name, a decimal number and \"kB\"");
			break;
		}
	}
	h.file = mymem__add(max(0, active_file), max(0, inactive_file));
	h.commit = commit_limit - committed;
	h.has_commit = commit_limit >= 0 && committed >= 0;
	if (h.total <= 0)
		return mymem__flaw(1, nothing, "the text of meminfo, with a MemTotal above 0");
	if ((h.swap_total < 0) != (h.swap_free < 0))
		return mymem__flaw(at, nothing, "a line of SwapTotal and one of SwapFree");
	if (h.available < 0) {
		if (free < 0 || active_file < 0 || inactive_file < 0)
			return mymem__flaw(at, nothing, "a line of MemAvailable");
		h.available = mymem__add(free, h.file);
	}
	h.swap_total = max(0, h.swap_total);
	h.swap_free = max(0, h.swap_free);
	clamp(&h);
	*to = h;
	return none;
}

/*
 * mymem__read_host reads /proc/meminfo. Where /proc is not mounted sysinfo(2) serves,
 * which does not tell MemAvailable: free memory and buffers stand in for it. It
 * gives 0 or -errno.
 */
int mymem__read_host(struct mymem *m, struct host *h)
{
	struct sysinfo info;
	struct span text;
	int err = mymem__file_read(&m->host, &m->in, &text);

	*h = (struct host){ .total = 0 };
	if (err == 0) {
		mymem__reject(&m->in, m->host.path, parse_meminfo(text, h));
		return m->in.problem.code;
	}
	if (m->root[0] != '\0' || sysinfo(&info) < 0)
		return err;
	h->total = (int64_t)info.totalram * info.mem_unit;
	h->available = (int64_t)(info.freeram + info.bufferram) * info.mem_unit;
	h->swap_total = (int64_t)info.totalswap * info.mem_unit;
	h->swap_free = (int64_t)info.freeswap * info.mem_unit;
	clamp(h);
	return 0;
}
