/*
 * What mymem_read costs beside a bare pread of the very same open files: 201
 * rounds, each 50 of the one, then 50 of the other. It prints medians a call and
 * the median of the rounds' ratios, and exits 1 where that is above 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

enum { ROUNDS = 201, CALLS = 50, MOST = 256 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *of)
{
	qsort(of, ROUNDS, sizeof *of, ascending);
	return of[ROUNDS / 2];
}

static size_t add(const struct file *f, int *fds, size_t n)
{
	if (f->state != FILE_ANSWERED || n == MOST)
		return n;
	fds[n] = f->fd;
	printf("  %s\n", f->path);
	return n + 1;
}

int main(int argc, char **argv)
{
	static double bare[ROUNDS], ours[ROUNDS], ratio[ROUNDS];
	static char buf[64 << 10];
	struct mymem_memory memory;
	int fds[MOST];
	size_t n = 0;
	double middle;
	mymem *m;

	if (mymem_open_at(argc > 1 ? argv[1] : "", &m) < 0)
		return 1;
	if (mymem_read(m, &memory) < 0) {
		fprintf(stderr, "bench: %s\n", mymem_error(m));
		return 1;
	}
	printf("%s, a limit of %lld bytes%s; each call reads\n", memory.rung, (long long)memory.limit, memory.limited ? "" : " (the host's)");
	n = add(&m->host, fds, n);
	n = add(&m->overcommit, fds, n);
	n = add(&m->in.sockets, fds, n);
	for (size_t i = 0; i < m->level_count; i++) {
		for (int j = 0; j < LEVEL_FILES; j++)
			n = add(&m->levels[i].file[j], fds, n);
	}
	for (int r = 0; r < ROUNDS; r++) {
		double start = now(), between;

		for (int i = 0; i < CALLS; i++) {
			for (size_t f = 0; f < n; f++) {
				if (pread(fds[f], buf, sizeof buf, 0) < 0)
					return 1;
			}
		}
		between = now();
		for (int i = 0; i < CALLS; i++) {
			if (mymem_read(m, &memory) < 0)
				return 1;
		}
		bare[r] = (between - start) / CALLS;
		ours[r] = (now() - between) / CALLS;
		ratio[r] = ours[r] / bare[r];
	}
	middle = median(ratio);
	printf("bare pread %.2f us, mymem_read %.2f us, ratio %.2f (%.2f..%.2f, 10th and 90th percentiles)\n",
	       median(bare), median(ours), middle, ratio[ROUNDS / 10], ratio[ROUNDS - 1 - ROUNDS / 10]);
	mymem_close(m);
	return middle > 2;
}
