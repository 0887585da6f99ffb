#include <stdlib.h>
#include <string.h>

#include "internal.h"

static bool octal(char c) { return c >= '0' && c <= '7'; }

/* unescape undoes the kernel's octal escapes in place. */
static void unescape(char *text, size_t *len)
{
	size_t to = 0;

	for (size_t i = 0; i < *len; i++) {
		char c = text[i];

		if (c == '\\' && i + 3 < *len && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
			c = (char)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
			i += 3;
		}
		text[to++] = c;
	}
	*len = to;
}

/* plain is a field of text, unescaped there. */
static struct span plain(char *text, struct span field)
{
	unescape(text + (field.at - text), &field.len);
	return field;
}

/* cut_dash splits a line around its first " - ". */
static bool cut_dash(struct span line, struct span *before, struct span *after)
{
	for (size_t i = 0; i + 3 <= line.len; i++) {
		if (memcmp(line.at + i, " - ", 3) != 0)
			continue;
		*before = (struct span){ line.at, i };
		*after = (struct span){ line.at + i + 3, line.len - i - 3 };
		return true;
	}
	return false;
}

/*
 * mymem__parse_mountinfo finds the cgroup mounts in /proc/self/mountinfo (proc(5)):
 *
 *	36 35 98:0 /root /point rw,noatime shared:1 - cgroup source rw,memory
 *
 * The number of fields before " - " varies. Space, tab, newline and backslash are
 * octal escapes, which are undone in place: the mounts point into whole. The caller
 * frees *mounts. A flaw that wants nothing is that there is no memory.
 */
struct flaw mymem__parse_mountinfo(struct text whole, struct mount **mounts, size_t *count)
{
	static const char want[] = "a mount as proc(5) has it";
	struct span text = { whole.at, whole.len }, line, before, after, kind, options, root, point, skipped;
	size_t room = 0;
	int64_t number;

	*mounts = NULL;
	*count = 0;
	if (text.len == 0)
		return mymem__flaw(1, text, want);
	for (size_t at = 1; text.len > 0; at++) {
		struct mount *m = *mounts;
		bool v2;

		if (!mymem__next_line(&text, &line) || !cut_dash(line, &before, &after))
			return mymem__flaw(at, line, want);
		mymem__cut(before, ' ', &skipped, &root);
		if (!mymem__parse_number(skipped, &number))
			return mymem__flaw(at, line, want);
		mymem__cut(after, ' ', &kind, &after);
		v2 = mymem__is(kind, "cgroup2");
		if (!v2 && !mymem__is(kind, "cgroup"))
			continue;
		mymem__cut(after, ' ', &skipped, &options);
		for (int i = 0; i < 3; i++)
			mymem__cut(before, ' ', &skipped, &before);
		mymem__cut(before, ' ', &root, &before);
		mymem__cut(before, ' ', &point, &before);
		if (root.len == 0 || root.at[0] != '/' || point.len == 0 || point.at[0] != '/')
			return mymem__flaw(at, line, want);
		if (*count == room) {
			room = room == 0 ? 16 : 2 * room;
			m = realloc(*mounts, room * sizeof **mounts);
			if (m == NULL)
				return mymem__flaw(at, line, NULL);
			*mounts = m;
		}
		m[(*count)++] = (struct mount){ plain(whole.at, root), plain(whole.at, point), v2, options };
	}
	return (struct flaw){ 0, { NULL, 0 }, NULL };
}
