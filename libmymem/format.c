#include <string.h>

#include "internal.h"

const char mymem__want_line[] = "a line with an end";

struct flaw mymem__flaw(size_t line, struct span text, const char *want)
{
	return (struct flaw){ line, text, want };
}

static const struct flaw none;

/*
 * mymem__parse_number parses decimal digits of an int64_t. 18446744073709551615, with
 * which old kernels say "no limit", becomes the largest.
 */
bool mymem__parse_number(struct span text, int64_t *to)
{
	int64_t n = 0;

	if (text.len == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int64_t d = text.at[i] - '0';

		if (d < 0 || d > 9)
			return false;
		if (n > (INT64_MAX - d) / 10) {
			*to = INT64_MAX;
			return mymem__is(text, "18446744073709551615");
		}
		n = n * 10 + d;
	}
	*to = n;
	return true;
}

/* cut_newline takes the newline at the end off text. */
static bool cut_newline(struct span *text)
{
	if (text->len == 0 || text->at[text->len - 1] != '\n')
		return false;
	text->len--;
	return true;
}

/* mymem__parse_value parses a file of one number. */
struct flaw mymem__parse_value(struct span text, int64_t *to)
{
	bool ended = cut_newline(&text);
	int64_t n = 0;

	if (!mymem__parse_number(text, &n) || n == INT64_MAX)
		return mymem__flaw(1, text, "a decimal number");
	if (!ended)
		return mymem__flaw(1, text, mymem__want_line);
	*to = n;
	return none;
}

/* mymem__parse_limit is mymem__parse_value for a limit; there may be none. */
struct flaw mymem__parse_limit(struct span text, int64_t *to, bool *limited)
{
	bool ended = cut_newline(&text);
	int64_t n = 0;

	*limited = false;
	if (ended && mymem__is(text, "max"))
		return none;
	if (!mymem__parse_number(text, &n))
		return mymem__flaw(1, text, "a decimal number of bytes or \"max\"");
	if (!ended)
		return mymem__flaw(1, text, mymem__want_line);
	*to = n;
	*limited = n < NO_LIMIT1;
	return none;
}

/*
 * mymem__next_line cuts the first line off text. It is false where the line has no
 * end.
 */
bool mymem__next_line(struct span *text, struct span *line)
{
	const char *end = memchr(text->at, '\n', text->len);
	size_t len = end == NULL ? text->len : (size_t)(end - text->at);

	*line = (struct span){ text->at, len };
	text->at += len + (end != NULL);
	text->len -= len + (end != NULL);
	return end != NULL;
}

/*
 * mymem__cut splits text around the first byte that is at. Without one, before is all
 * of it and after is empty.
 */
bool mymem__cut(struct span text, char at, struct span *before, struct span *after)
{
	const char *found = text.len == 0 ? NULL : memchr(text.at, at, text.len);
	size_t len = found == NULL ? text.len : (size_t)(found - text.at);

	*before = (struct span){ text.at, len };
	*after = (struct span){ text.at + len, 0 };
	if (found != NULL)
		*after = (struct span){ found + 1, text.len - len - 1 };
	return found != NULL;
}

bool mymem__is(struct span text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

static bool is_limit(struct span key)
{
	return key.len >= 6 && memcmp(key.at + key.len - 6, "_limit", 6) == 0;
}

/*
 * mymem__parse_keyed parses a flat keyed file, "key value" a line, into the places
 * that keys name. Lines of other keys are not looked at, and none of these may come
 * twice. A key that ends in "_limit" may be above int64_t's range.
 */
struct flaw mymem__parse_keyed(struct span text, const struct key *keys, size_t count)
{
	struct span line, key, value;
	unsigned found = 0; /* a bit for each of keys */

	for (size_t at = 1; text.len > 0; at++) {
		if (!mymem__next_line(&text, &line))
			return mymem__flaw(at, line, mymem__want_line);
		mymem__cut(line, ' ', &key, &value);
		for (size_t i = 0; i < count; i++) {
			int64_t n;

			if (key.len != keys[i].len || memcmp(key.at, keys[i].name, key.len) != 0)
				continue;
			if (!mymem__parse_number(value, &n) || (found & 1u << i) != 0 || (n == INT64_MAX && !is_limit(key)))
				return mymem__flaw(at, line, "a key and a decimal number");
			found |= 1u << i;
			*keys[i].to = n;
			break;
		}
	}
	return none;
}

/* count_lines counts the lines of text that have an end. */
static size_t count_lines(struct span text)
{
	struct span line;
	size_t n = 0;

	while (text.len > 0)
		n += mymem__next_line(&text, &line);
	return n;
}

/* mymem__missing_line is the flaw that a line is not there, at the end of text. */
struct flaw mymem__missing_line(struct span text, const char *want)
{
	return mymem__flaw(count_lines(text) + 1, (struct span){ "", 0 }, want);
}

/* mymem__add adds two quantities that are not negative, up to the largest int64_t. */
int64_t mymem__add(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}
