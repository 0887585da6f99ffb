/*
 * What libmymem's files share. Files and names are those of the Go package
 * budget: a rule that changes there changes here, and test/ holds both to the
 * same answers.
 */
#ifndef MYMEM_INTERNAL_H
#define MYMEM_INTERNAL_H

#include <limits.h>
#include <stddef.h>

#include "mymem.h"

/* span is a piece of a text. */
struct span {
	const char *at;
	size_t len;
};

/* text is the text of a file, which its owner frees. */
struct text {
	char *at;
	size_t len;
};

/* flaw is what a file says and no kernel would say; a line of 0 is none. */
struct flaw {
	size_t line; /* from 1 */
	struct span text; /* the line as it is */
	const char *want; /* what should be there */
};

/*
 * problem is why there is no number: a negative errno and the file. For -EBADMSG
 * line, text and want are a flaw's. A code of 0 is none.
 */
struct problem {
	int code;
	size_t line;
	const char *want;
	size_t len;
	char text[80];
	char path[PATH_MAX];
};

enum file_state {
	FILE_UNOPENED,
	FILE_MISSING,
	FILE_OPEN,
	FILE_ANSWERED, /* it could be read at least once */
};

/* file is a kernel file that is opened when it is first read and stays open. */
struct file {
	const char *path;
	int fd;
	enum file_state state;
	int missing; /* why: a negative errno */
	bool lost; /* it cannot be read any more */
};

/*
 * input is where kernel files are read into. It keeps the first problem: then no
 * number that was read counts.
 */
struct input {
	char *buf;
	size_t size;
	struct problem problem;
	struct file sockets; /* /proc/net/sockstat */
	int64_t used; /* what it told since mymem__start, -1 before it was asked */
};

/* file.c */
void mymem__start(struct input *in);
void mymem__reject(struct input *in, const char *path, struct flaw flaw);
void mymem__fail(struct input *in, const char *path, int code);
int mymem__file_read(struct file *f, struct input *in, struct span *text);
bool mymem__file_value(struct file *f, struct input *in, int64_t *n);
bool mymem__file_limit(struct file *f, struct input *in, int64_t *n);
void mymem__file_close(struct file *f);
int mymem__read_all(struct input *in, const char *root, const char *name, char path[PATH_MAX], struct text *text);

/* format.c */
#define NO_LIMIT1 (INT64_MAX - ((int64_t)1 << 20))

bool mymem__parse_number(struct span text, int64_t *n);
struct flaw mymem__parse_value(struct span text, int64_t *n);
struct flaw mymem__parse_limit(struct span text, int64_t *n, bool *limited);
bool mymem__next_line(struct span *text, struct span *line);
bool mymem__cut(struct span text, char at, struct span *before, struct span *after);
bool mymem__is(struct span text, const char *word);
struct flaw mymem__flaw(size_t line, struct span text, const char *want);
struct flaw mymem__missing_line(struct span text, const char *want);
int64_t mymem__add(int64_t a, int64_t b);

extern const char mymem__want_line[];

/* key is a line of a flat keyed file and where its number goes. */
struct key {
	const char *name;
	size_t len;
	int64_t *to;
};
#define KEY(name, to) { name, sizeof name - 1, to }

struct flaw mymem__parse_keyed(struct span text, const struct key *keys, size_t n);

/* mountinfo.c */
struct mount {
	struct span root; /* the cgroup that is mounted, as this namespace names it */
	struct span point; /* where it is mounted */
	bool v2;
	struct span options; /* v1: the super options, among them the controllers */
};

struct flaw mymem__parse_mountinfo(struct text text, struct mount **mounts, size_t *n);

/* cgroup.c */

/* places is where the cgroups are mounted and which of them the process is in. */
struct places {
	const char *root;
	struct text mountinfo; /* what mounts point into */
	struct text cgroup;
	struct mount *mounts;
	size_t mount_count;
};

/*
 * dirs are the directories of a controller from the process's own up to the
 * mount's root: point, and components of below taken off one by one.
 */
struct dirs {
	struct span point;
	struct span below;
	bool found;
};

void mymem__find_places(struct places *p, struct input *in, const char *root);
void mymem__free_places(struct places *p);
struct dirs mymem__find_dirs(const struct places *p, bool v2);
int mymem__join(char path[PATH_MAX], const char *root, struct span a, struct span b, const char *end);
bool mymem__exists(const char *root, struct span a, struct span b, const char *end);

/* level.c */
enum level_file { LIMIT, USAGE, STAT, SWAP_LIMIT, SWAP_USAGE, HIGH, HIERARCHY, LEVEL_FILES };

/* level is one directory of the memory cgroup. */
struct level {
	bool has_hidden; /* v1: the outermost visible level, with ancestors above it */
	char *paths; /* what the files' paths point into */
	struct file file[LEVEL_FILES];
};

/* usage is one reading of one level. */
struct usage {
	int64_t limit;
	bool limited;
	bool hidden; /* limit is that of an ancestor above the mount's root */
	int64_t used;
	int64_t free; /* limit - used; may be negative */
	int64_t reclaimable;
	int64_t clean; /* the inactive and clean part of reclaimable */

	int64_t high;
	bool has_high;
	int64_t swap_used;
	bool has_swap;
	int64_t swap_limit;
	bool swap_limited;
};

/* stat is what memory.stat tells about reclaim, children included. */
struct stat_file {
	int64_t inactive_file, active_file;
	int64_t dirty, writeback;
	int64_t slab_reclaimable;
	int64_t hierarchical_limit; /* v1 only */
};

enum rung { RUNG_HOST, RUNG_CGROUP1, RUNG_CGROUP2 };

enum rung mymem__memory_levels(struct input *in, const char *root, struct level **levels, size_t *n);
void mymem__free_levels(struct level *levels, size_t n);

void mymem__reclaim(const struct stat_file *s, int64_t pinned, struct usage *u);

/* cgroup1.c, cgroup2.c */
extern const char *const mymem__names1[LEVEL_FILES];
extern const char *const mymem__names2[LEVEL_FILES];
struct usage mymem__read1(struct level *l, struct input *in, bool own, bool swap);
struct usage mymem__read2(struct level *l, struct input *in, bool own, bool swap);

/* meminfo.c */
struct host {
	int64_t total, available;
	int64_t swap_total, swap_free;
	int64_t file, slab; /* page cache on the file lists, reclaimable slab */
	int64_t commit; /* CommitLimit - Committed_AS */
	bool has_commit;
};

int mymem__read_host(mymem *m, struct host *h);

/* sockstat.c */
int64_t mymem__pinned(struct input *in);

/* zoneinfo.c */

/*
 * marks are sums over all zones of memory, in bytes: what the kernel's allocator
 * manages, and its watermarks.
 */
struct marks {
	int64_t managed, low, high;
};

struct marks mymem__read_marks(struct input *in, const char *root);
int64_t mymem__taking(const struct host *h, const struct marks *m);
int64_t mymem__reclaimable_slab(int64_t n);

/* mymem.c */
struct mymem {
	bool found; /* rung and levels are known */
	enum rung rung;
	struct level *levels; /* the process's own first, the mount's root last */
	size_t level_count;
	struct file host; /* /proc/meminfo */
	struct file overcommit; /* vm.overcommit_memory */
	struct marks marks; /* of /proc/zoneinfo, read when they matter */
	int64_t marks_until; /* seconds of CLOCK_MONOTONIC; 0 is that there are none */
	struct input in;
	char root[]; /* without "/" at its end; "" is the real one; behind it the files' paths */
};

#endif
