/* mymem(1): the numbers of libmymem, one a line. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mymem.h"

static const char usage[] = "usage: mymem [--root DIR | --roots]\n";

static const char *word(bool b) { return b ? "true" : "false"; }

static void print(const struct mymem_memory *m)
{
	printf("rung=%s\n", m->rung);
	printf("limit=%" PRId64 "\nlimited=%s\nlimit_from=%s\n", m->limit, word(m->limited), m->limit_from);
	printf("used=%" PRId64 "\n", m->used);
	printf("available=%" PRId64 "\navailable_from=%s\n", m->available, m->available_from);
	printf("headroom=%" PRId64 "\n", m->headroom);
	if (m->has_high)
		printf("high=%" PRId64 "\n", m->high);
	printf("swap_used=%" PRId64 "\n", m->swap_used);
	printf("swap_limit=%" PRId64 "\nswap_limited=%s\n", m->swap_limit, word(m->swap_limited));
	printf("host_total=%" PRId64 "\nhost_available=%" PRId64 "\n", m->host_total, m->host_available);
}

/* show prints what root has, or what is wrong there after prefix. */
static int show(const char *root, FILE *to, const char *prefix)
{
	struct mymem_memory now;
	mymem *m;
	int err = mymem_open_at(root, &m);

	if (err < 0) {
		fprintf(to, "%s%s\n", prefix, strerror(-err));
		return 1;
	}
	err = mymem_read(m, &now);
	if (err < 0)
		fprintf(to, "%s%s\n", prefix, mymem_error(m));
	else
		print(&now);
	mymem_close(m);
	return err < 0;
}

/* show_all answers each line of standard input with show's lines and an empty one. */
static int show_all(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while ((n = getline(&line, &size, stdin)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		show(line, stdout, "error=");
		putchar('\n');
		fflush(stdout);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	const char *root = "";
	int status;

	if (argc == 2 && strcmp(argv[1], "--roots") == 0) {
		status = show_all();
	} else if (argc == 1 || (argc == 3 && strcmp(argv[1], "--root") == 0)) {
		if (argc == 3)
			root = argv[2];
		status = show(root, stderr, "mymem: ");
	} else {
		fputs(usage, stderr);
		return 2;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "mymem: cannot write: %s\n", strerror(errno));
		return 1;
	}
	return status;
}
