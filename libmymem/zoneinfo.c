#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

static int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

static struct span trim_spaces(struct span text)
{
	while (text.len > 0 && text.at[0] == ' ') {
		text.at++;
		text.len--;
	}
	return text;
}

/*
 * MOST_PAGES is above any memory, and its bytes are within int64_t for every size of
 * page.
 */
#define MOST_PAGES ((int64_t)1 << 40)

/*
 * parse_zoneinfo adds up the lines "low", "high" and "managed" of /proc/zoneinfo
 * (proc(5)), in pages.
 */
static struct flaw parse_zoneinfo(struct span text, struct marks *m)
{
	const struct key keys[] = {
		KEY("low", &m->low),
		KEY("high", &m->high),
		KEY("managed", &m->managed),
	};
	struct span line, name, number;

	for (size_t at = 1; text.len > 0; at++) {
		if (!mymem__next_line(&text, &line))
			return mymem__flaw(at, line, mymem__want_line);
		mymem__cut(trim_spaces(line), ' ', &name, &number);
		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
			int64_t n;

			if (!mymem__is(name, keys[i].name))
				continue;
			if (!mymem__parse_number(trim_spaces(number), &n) || n > MOST_PAGES - *keys[i].to)
				return mymem__flaw(at, line, "a name and a number of pages");
			*keys[i].to += n;
		}
	}
	return (struct flaw){ 0, { NULL, 0 }, NULL };
}

/* mymem__read_marks reads /proc/zoneinfo; without it there are none. */
struct marks mymem__read_marks(struct input *in, const char *root)
{
	struct marks m = { 0, 0, 0 };
	int64_t page = sysconf(_SC_PAGESIZE);
	char path[PATH_MAX];
	struct text text;

	if (mymem__read_all(in, root, "/proc/zoneinfo", path, &text) < 0)
		return m;
	mymem__reject(in, path, parse_zoneinfo((struct span){ text.at, text.len }, &m));
	free(text.at);
	return (struct marks){ m.managed * page, m.low * page, m.high * page };
}

/*
 * mymem__taking is what one process can take before the kernel kills, where available is
 * what can be had without trouble: MemAvailable leaves the high watermarks free,
 * where the kernel kills below the low ones, and counts neither the last of the page
 * cache nor of the reclaimable slab, up to half of it (mm/show_mem.c,
 * si_mem_available). Marks that are not those of this memory, as where lxcfs shows a
 * container's own MemTotal, do not count.
 */
int64_t mymem__taking(const struct host *h, const struct marks *m)
{
	int64_t more;

	if (h->available == 0 || m->managed < h->total - h->total / 16 || m->managed - h->total > h->total / 16)
		return h->available;
	more = max(0, m->high - m->low) + min(h->file / 2, m->low) + min(h->slab / 2, m->low) -
	       (h->slab - mymem__reclaimable_slab(h->slab));
	return min(h->total, h->available + max(0, more));
}

/*
 * mymem__reclaimable_slab is how much of n bytes of slab that counts as reclaimable
 * can be reclaimed: all but 512 KiB for names and inodes in use, and what the kernel
 * keeps for pages.
 */
int64_t mymem__reclaimable_slab(int64_t n) { return max(0, n - ((int64_t)512 << 10)); }
