#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

/*
 * parse_membership splits a line of /proc/self/cgroup (cgroups(7)),
 * "4:memory:/path". The path may itself hold ":".
 */
static bool parse_membership(struct span line, struct span *controllers, struct span *path)
{
	struct span id, after;
	int64_t n;

	mymem__cut(line, ':', &id, &after);
	return mymem__parse_number(id, &n) && mymem__cut(after, ':', controllers, path) &&
	       path->len > 0 && path->at[0] == '/';
}

static struct flaw check_cgroup(struct span text)
{
	struct span line, controllers, path;

	for (size_t at = 1; text.len > 0; at++) {
		if (!mymem__next_line(&text, &line) || !parse_membership(line, &controllers, &path))
			return mymem__flaw(at, line, "a hierarchy's number, controllers and path with colons between");
	}
	return (struct flaw){ 0, { NULL, 0 }, NULL };
}

/*
 * mymem__join writes root, a, b and end one after the other to path, as much as it holds.
 * It gives -errno where the kernel would take no such path.
 */
int mymem__join(char path[PATH_MAX], const char *root, struct span a, struct span b, const char *end)
{
	const struct span parts[] = { { root, strlen(root) }, a, b, { end, strlen(end) } };
	size_t len = 0;
	int err = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		size_t n = parts[i].len, room = PATH_MAX - 1 - len;

		if (n > 0 && memchr(parts[i].at, '\0', n) != NULL)
			err = -EINVAL;
		if (n > room) {
			n = room;
			err = err < 0 ? err : -ENAMETOOLONG;
		}
		if (n > 0)
			memcpy(path + len, parts[i].at, n);
		len += n;
	}
	path[len] = '\0';
	return err;
}

bool mymem__exists(const char *root, struct span a, struct span b, const char *end)
{
	char path[PATH_MAX];

	return mymem__join(path, root, a, b, end) == 0 && access(path, F_OK) == 0;
}

static const struct span empty = { "", 0 };

void mymem__find_places(struct places *p, struct input *in, const char *root)
{
	char path[PATH_MAX];
	struct flaw flaw;

	*p = (struct places){ .root = root };
	if (mymem__read_all(in, root, "/proc/self/mountinfo", path, &p->mountinfo) == 0) {
		flaw = mymem__parse_mountinfo(p->mountinfo, &p->mounts, &p->mount_count);
		if (flaw.line > 0 && flaw.want == NULL)
			mymem__fail(in, path, -ENOMEM);
		mymem__reject(in, path, flaw);
	}
	if (mymem__read_all(in, root, "/proc/self/cgroup", path, &p->cgroup) == 0) {
		flaw = check_cgroup((struct span){ p->cgroup.at, p->cgroup.len });
		mymem__reject(in, path, flaw);
	}
}

/* has_word tells whether a list separated by commas holds word. */
static bool has_word(struct span list, const char *word)
{
	struct span item;
	bool more;

	do {
		more = mymem__cut(list, ',', &item, &list);
		if (mymem__is(item, word))
			return true;
	} while (more);
	return false;
}

/* own_path is the process's cgroup in a hierarchy, "/" if it is not known. */
static struct span own_path(struct span text, bool v2)
{
	struct span line, controllers, path;

	while (text.len > 0) {
		mymem__next_line(&text, &line);
		if (!parse_membership(line, &controllers, &path))
			continue;
		if (v2 ? controllers.len == 0 : has_word(controllers, "memory"))
			return path;
	}
	return (struct span){ "/", 1 };
}

static size_t last_slash(struct span path)
{
	size_t i = path.len;

	while (i > 0 && path.at[--i] != '/')
		;
	return i;
}

/* parent takes the last component off a path that begins with "/". */
static struct span parent(struct span path)
{
	size_t slash = last_slash(path);

	return (struct span){ path.at, slash > 1 ? slash : 1 };
}

static struct span base(struct span path)
{
	size_t slash = last_slash(path);

	return (struct span){ path.at + slash + 1, path.len - slash - 1 };
}

static bool begins(struct span text, struct span with)
{
	return text.len >= with.len && memcmp(text.at, with.at, with.len) == 0;
}

static struct span trim_slashes(struct span path)
{
	while (path.len > 0 && path.at[path.len - 1] == '/')
		path.len--;
	return path;
}

/* goes_up tells whether a component of path is "..". */
static bool goes_up(struct span path)
{
	for (size_t i = 0; i + 3 <= path.len; i++) {
		if (memcmp(path.at + i, "/..", 3) == 0 && (i + 3 == path.len || path.at[i + 3] == '/'))
			return true;
	}
	return false;
}

/*
 * beneath cuts root off path on a component boundary; the result is empty or
 * begins with "/". It is false where path is not under root, or outside of the
 * cgroup namespace.
 */
static bool beneath(struct span path, struct span root, struct span *below)
{
	if (goes_up(path))
		return false;
	path = trim_slashes(path);
	root = trim_slashes(root);
	if (!begins(path, root))
		return false;
	*below = (struct span){ path.at + root.len, path.len - root.len };
	return below->len == 0 || below->at[0] == '/';
}

static int count_slashes(struct span path)
{
	int n = 0;

	for (size_t i = 0; i < path.len; i++)
		n += path.at[i] == '/';
	return n;
}

/*
 * mymem__find_dirs finds the directories of the memory controller, in the v1 hierarchy
 * that has it or in v2. Of several mounts the one wins that shows most of the way.
 */
struct dirs mymem__find_dirs(const struct places *p, bool v2)
{
	static const struct span prefix = { "memory.", 7 };
	struct span own = own_path((struct span){ p->cgroup.at, p->cgroup.len }, v2);
	struct dirs best = { empty, empty, false };
	int best_rank = -1;

	for (size_t i = 0; i < p->mount_count; i++) {
		struct mount m = p->mounts[i];
		struct span file = base(m.root), below, shown = empty;
		int rank = 1;

		if (m.v2 != v2 || (!v2 && !has_word(m.options, "memory")))
			continue;
		if (begins(file, prefix) && !mymem__exists(p->root, m.point, empty, "/.")) {
			/* A single file of the cgroup is mounted, perhaps beside others. */
			struct span at = base(m.point);

			if (at.len != file.len || !begins(at, file))
				continue;
			m.root = parent(m.root);
			m.point = parent(m.point);
			rank = 0;
		}
		if (m.point.at[m.point.len - 1] == '/')
			m.point.len--;
		if (beneath(own, m.root, &below) && mymem__exists(p->root, m.point, below, "")) {
			shown = below;
			if (rank == 1)
				rank = 2 + count_slashes(below);
		}
		if (rank > best_rank) {
			best = (struct dirs){ m.point, shown, true };
			best_rank = rank;
		}
	}
	return best;
}

void mymem__free_places(struct places *p)
{
	free(p->mountinfo.at);
	free(p->cgroup.at);
	free(p->mounts);
}
