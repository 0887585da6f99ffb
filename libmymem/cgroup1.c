#include "internal.h"

/*
 * The memory files of one directory of cgroup v1, as
 * Documentation/admin-guide/cgroup-v1/memory.rst lists them.
 */
const char *const mymem__names1[LEVEL_FILES] = {
	[LIMIT] = "/memory.limit_in_bytes",
	[USAGE] = "/memory.usage_in_bytes",
	[STAT] = "/memory.stat",
	[SWAP_LIMIT] = "/memory.memsw.limit_in_bytes",
	[SWAP_USAGE] = "/memory.memsw.usage_in_bytes",
	[HIERARCHY] = "/memory.use_hierarchy",
};

/* parse_stat1 parses memory.stat of cgroup v1. */
static struct flaw parse_stat1(struct span text, struct stat_file *s)
{
	int64_t inactive = -1, active = -1;
	const struct key keys[] = {
		KEY("total_inactive_file", &inactive),
		KEY("total_active_file", &active),
		KEY("total_dirty", &s->dirty),
		KEY("total_writeback", &s->writeback),
		KEY("hierarchical_memory_limit", &s->hierarchical_limit),
	};
	struct flaw flaw = mymem__parse_keyed(text, keys, sizeof keys / sizeof *keys);

	if (flaw.line == 0 && (inactive < 0 || active < 0))
		flaw = mymem__missing_line(text, "a line of total_inactive_file and one of total_active_file");
	s->inactive_file = inactive < 0 ? 0 : inactive;
	s->active_file = active < 0 ? 0 : active;
	return flaw;
}

/*
 * read_swap1 reads the limit and usage of memory and swap together. That limit can
 * refuse anonymous memory before the memory's own does: what was swapped out
 * counts against it.
 */
static void read_swap1(struct level *l, struct input *in, bool own, struct usage *u)
{
	int64_t both, used, memory = u->used;
	bool limited = mymem__file_limit(&l->file[SWAP_LIMIT], in, &both) && u->limited;

	if (!limited && !own)
		return;
	if (!mymem__file_value(&l->file[SWAP_USAGE], in, &used))
		return;
	if (!u->limited)
		mymem__file_value(&l->file[USAGE], in, &memory);
	u->swap_used = used > memory ? used - memory : 0;
	u->has_swap = true;
	if (limited) {
		u->swap_limit = both > u->limit ? both - u->limit : 0;
		u->swap_limited = true;
		if (both - used < u->free)
			u->free = both - used;
	}
}

/*
 * mymem__read1 is mymem__read2 for cgroup v1. The outermost level's memory.stat also tells
 * the limit of ancestors that cannot be seen.
 */
struct usage mymem__read1(struct level *l, struct input *in, bool own, bool swap)
{
	struct usage u = { .limit = 0 };
	struct stat_file s = { .hierarchical_limit = INT64_MAX };
	struct span text;

	u.limited = mymem__file_limit(&l->file[LIMIT], in, &u.limit);
	if (u.limited || l->has_hidden) {
		mymem__file_value(&l->file[USAGE], in, &u.used);
		if (mymem__file_read(&l->file[STAT], in, &text) == 0) {
			mymem__reject(in, l->file[STAT].path, parse_stat1(text, &s));
			mymem__reclaim(&s, 0, &u);
		}
		if (l->has_hidden && s.hierarchical_limit < NO_LIMIT1 && (!u.limited || s.hierarchical_limit < u.limit)) {
			u.limit = s.hierarchical_limit;
			u.limited = u.hidden = true;
		}
		u.free = u.limit - u.used;
	}
	if (swap)
		read_swap1(l, in, own, &u);
	return u;
}
