#include "internal.h"

/*
 * The memory files of one directory of cgroup v2, as
 * Documentation/admin-guide/cgroup-v2.rst lists them.
 */
const char *const mymem__names2[LEVEL_FILES] = {
	[LIMIT] = "/memory.max",
	[USAGE] = "/memory.current",
	[STAT] = "/memory.stat",
	[SWAP_LIMIT] = "/memory.swap.max",
	[SWAP_USAGE] = "/memory.swap.current",
	[HIGH] = "/memory.high",
};

/*
 * mymem__reclaim tells u what can be reclaimed, and the part of it that costs neither
 * I/O nor time; pinned is what of the slab is in use.
 */
void mymem__reclaim(const struct stat_file *s, int64_t pinned, struct usage *u)
{
	int64_t busy = mymem__add(s->dirty, s->writeback);
	int64_t slab = mymem__reclaimable_slab(s->slab_reclaimable - pinned);

	u->reclaimable = mymem__add(mymem__add(s->inactive_file, s->active_file), slab);
	u->clean = s->inactive_file > busy ? s->inactive_file - busy : 0;
}

/* parse_stat2 parses memory.stat of cgroup v2. */
static struct flaw parse_stat2(struct span text, struct stat_file *s)
{
	int64_t inactive = -1, active = -1;
	const struct key keys[] = {
		KEY("inactive_file", &inactive),
		KEY("active_file", &active),
		KEY("file_dirty", &s->dirty),
		KEY("file_writeback", &s->writeback),
		KEY("slab_reclaimable", &s->slab_reclaimable),
	};
	struct flaw flaw = mymem__parse_keyed(text, keys, sizeof keys / sizeof *keys);

	if (flaw.line == 0 && (inactive < 0 || active < 0))
		flaw = mymem__missing_line(text, "a line of inactive_file and one of active_file");
	s->inactive_file = inactive < 0 ? 0 : inactive;
	s->active_file = active < 0 ? 0 : active;
	return flaw;
}

/*
 * mymem__read2 reads one level: always the limits, usage and statistics where there is
 * a limit, usage of swap where there is one of swap and on the process's own level.
 */
struct usage mymem__read2(struct level *l, struct input *in, bool own, bool swap)
{
	struct usage u = { .limit = 0 };
	struct stat_file s = { .dirty = 0 };
	struct span text;

	u.limited = mymem__file_limit(&l->file[LIMIT], in, &u.limit);
	u.has_high = mymem__file_limit(&l->file[HIGH], in, &u.high);
	if (swap) {
		u.swap_limited = mymem__file_limit(&l->file[SWAP_LIMIT], in, &u.swap_limit);
		if (own || u.swap_limited)
			u.has_swap = mymem__file_value(&l->file[SWAP_USAGE], in, &u.swap_used);
	}
	if (!u.limited)
		return u;
	mymem__file_value(&l->file[USAGE], in, &u.used);
	u.free = u.limit - u.used;
	if (mymem__file_read(&l->file[STAT], in, &text) == 0) {
		mymem__reject(in, l->file[STAT].path, parse_stat2(text, &s));
		mymem__reclaim(&s, mymem__reclaimable_slab(s.slab_reclaimable) > 0 ? mymem__pinned(in) : 0, &u);
	}
	return u;
}
