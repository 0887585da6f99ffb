#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const struct span empty = { "", 0 };

/* level_init names the files of the directory dir in l. */
static bool level_init(struct level *l, const char *dir, const char *const names[LEVEL_FILES])
{
	size_t len = strlen(dir), room = 0;
	char *to;

	*l = (struct level){ .has_hidden = false };
	for (int i = 0; i < LEVEL_FILES; i++)
		room += names[i] == NULL ? 0 : len + strlen(names[i]) + 1;
	to = l->paths = malloc(room);
	if (to == NULL)
		return false;
	for (int i = 0; i < LEVEL_FILES; i++) {
		size_t n = names[i] == NULL ? 0 : strlen(names[i]) + 1;

		if (n == 0)
			continue;
		l->file[i].path = to;
		memcpy(to, dir, len);
		memcpy(to + len, names[i], n);
		to += len + n;
	}
	return true;
}

static void level_free(struct level *l)
{
	for (int i = 0; i < LEVEL_FILES; i++)
		mymem__file_close(&l->file[i]);
	free(l->paths);
}

void mymem__free_levels(struct level *levels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		level_free(&levels[i]);
	free(levels);
}

/* answers tells whether the level has a limit or a usage to read. */
static bool answers(struct level *l, struct input *in)
{
	struct span text;

	return mymem__file_read(&l->file[LIMIT], in, &text) == 0 || mymem__file_read(&l->file[USAGE], in, &text) == 0;
}

/*
 * apart tells whether a parent of cgroup v1 does not count what its children use:
 * one without memory.use_hierarchy, before Linux 5.11.
 */
static bool apart(struct level *l, struct input *in)
{
	int64_t n;
	bool ok = mymem__file_value(&l->file[HIERARCHY], in, &n);

	mymem__file_close(&l->file[HIERARCHY]);
	return ok && n == 0;
}

/*
 * find_levels is the levels of the memory controller in v1 or in v2. A level
 * without a limit or a usage, as v2's real root or a directory for which the
 * controller is off, is left out. v1 ends below a parent that is apart.
 */
static size_t find_levels(struct input *in, const struct places *p, bool v2, struct level **levels)
{
	struct dirs dirs = mymem__find_dirs(p, v2);
	size_t n = 0, room = 0;
	char dir[PATH_MAX];
	bool more = dirs.found;

	while (more) {
		struct level l, *larger;
		int err = mymem__join(dir, p->root, dirs.point, dirs.below, "");

		more = dirs.below.len > 0;
		while (dirs.below.len > 0 && dirs.below.at[--dirs.below.len] != '/')
			;
		if (err < 0) {
			mymem__fail(in, dir, err);
			break;
		}
		if (n == room) {
			room = room == 0 ? 4 : 2 * room;
			larger = realloc(*levels, room * sizeof **levels);
			if (larger == NULL) {
				mymem__fail(in, dir, -ENOMEM);
				break;
			}
			*levels = larger;
		}
		if (!level_init(&l, dir, v2 ? mymem__names2 : mymem__names1)) {
			mymem__fail(in, dir, -ENOMEM);
			break;
		}
		if (!answers(&l, in)) {
			level_free(&l);
			continue;
		}
		if (!v2 && n > 0 && apart(&l, in)) {
			level_free(&l);
			break;
		}
		(*levels)[n++] = l;
	}
	return n;
}

/*
 * has_hidden tells whether a level has ancestors: the root of a v1 hierarchy alone
 * has a release_agent.
 */
static bool has_hidden(const struct level *l)
{
	const char *path = l->file[LIMIT].path;
	struct span dir = { path, strlen(path) - strlen(mymem__names1[LIMIT]) };

	return !mymem__exists("", dir, empty, "/release_agent");
}

/* mymem__memory_levels finds the levels of the memory controller: v1's, else v2's. */
enum rung mymem__memory_levels(struct input *in, const char *root, struct level **levels, size_t *n)
{
	struct places places;
	enum rung rung = RUNG_CGROUP1;

	*levels = NULL;
	*n = 0;
	mymem__find_places(&places, in, root);
	if (in->problem.code == 0)
		*n = find_levels(in, &places, false, levels);
	if (*n > 0) {
		struct level *last = &(*levels)[*n - 1];

		last->has_hidden = has_hidden(last);
	} else if (in->problem.code == 0) {
		*n = find_levels(in, &places, true, levels);
		rung = *n > 0 ? RUNG_CGROUP2 : RUNG_HOST;
	}
	mymem__free_places(&places);
	return rung;
}
