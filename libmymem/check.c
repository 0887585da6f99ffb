/* What the captured trees of test/ do not show: a handle over time. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

#define MIB ((int64_t)1 << 20)

static int failures;
static char root[] = "/tmp/mymem-check-XXXXXX";

#define EXPECT(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #what); \
			failures++; \
		} \
	} while (0)

/* The linker leads the library's calls here: Makefile's WRAP. */
static int allocations;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
	allocations++;
	return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
	allocations++;
	return __real_realloc(p, n);
}

/* put writes a file below root, and the directories on the way. */
static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", root, name);
	for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void put_level(const char *dir, const char *max, const char *current)
{
	char name[PATH_MAX];

	(void)snprintf(name, sizeof name, "cg%s/memory.max", dir);
	put(name, max);
	(void)snprintf(name, sizeof name, "cg%s/memory.current", dir);
	put(name, current);
	(void)snprintf(name, sizeof name, "cg%s/memory.stat", dir);
	put(name, "anon 1\ninactive_file 1048576\nactive_file 2097152\nfile_dirty 524288\n");
}

static mymem *prepare(void)
{
	mymem *m;

	put("proc/meminfo", "MemTotal: 1048576 kB\nMemFree: 1 kB\nMemAvailable: 524288 kB\n");
	put("proc/self/mountinfo", "30 23 0:26 / /cg ro - cgroup2 cgroup rw\n");
	put("proc/self/cgroup", "0::/\n");
	put_level("", "67108864\n", "33554432\n");
	EXPECT(mymem_open_at(root, &m) == 0);
	return m;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *at)
{
	(void)s, (void)kind, (void)at;
	return remove(path);
}

static void remove_tree(void) { (void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void reads_and_sees_changes(void)
{
	struct mymem_memory now;
	mymem *m = prepare();

	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(now.limit == 64 * MIB && now.limited && now.used == 32 * MIB);
	EXPECT(now.available == 35 * MIB);
	EXPECT(now.headroom == 32 * MIB + MIB / 2);
	EXPECT(strcmp(now.limit_from + strlen(root), "/cg/memory.max") == 0);
	EXPECT(strcmp(now.rung, "cgroup v2") == 0);

	allocations = 0;
	put("cg/memory.max", "50331648\n");
	allocations = 0;
	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(now.limit == 48 * MIB && now.available == 19 * MIB);
	EXPECT(allocations == 0);

	put("cg/memory.stat", "inactive_file 0\nactive_file 0\nslab_reclaimable 33554432\n");
	put("proc/net/sockstat", "sockets: used 0\n");
	EXPECT(mymem_read(m, &now) == 0 && now.available == 47 * MIB + MIB / 2);
	put("proc/net/sockstat", "sockets: used 32768\n");
	EXPECT(mymem_read(m, &now) == 0 && now.available == 16 * MIB);

	put("cg/memory.max", "max\n");
	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(now.limit == 1024 * MIB && !now.limited && now.available == 512 * MIB);
	mymem_close(m);
}

/* A number that cannot be trusted is an error, until it can be again. */
static void tells_file_and_line(void)
{
	struct mymem_memory now = { .limit = 7 };
	int64_t before;
	char want[PATH_MAX];
	mymem *m = prepare();

	put("cg/memory.stat", "inactive_file 1\nactive_file 2 \"\n");
	EXPECT(mymem_read(m, &now) == -EBADMSG);
	EXPECT(now.limit == 7);
	(void)snprintf(want, sizeof want, "%s/cg/memory.stat:2: \"active_file 2 \\x22\" is not a key and a decimal number", root);
	EXPECT(strcmp(mymem_error(m), want) == 0);
	put("cg/memory.stat", "inactive_file 1\nactive_file 2\n");
	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(mymem_error(m)[0] == '\0' && now.limit == 64 * MIB);
	mymem_close(m);

	put("proc/self/cgroup", "0:\n");
	EXPECT(mymem_open_at(root, &m) == 0);
	EXPECT(mymem_read(m, &now) == -EBADMSG);
	put("proc/self/cgroup", "0::/\n");
	EXPECT(mymem_read(m, &now) == 0);
	mymem_close(m);

	/* Where nothing but the host limits, zoneinfo matters. */
	put("cg/memory.max", "max\n");
	put("proc/zoneinfo", "Node 0, zone Normal\n  managed x\n");
	EXPECT(mymem_open_at(root, &m) == 0);
	EXPECT(mymem_read(m, &now) == -EBADMSG);
	EXPECT(mymem_read(m, &now) == -EBADMSG);
	put("proc/zoneinfo", "Node 0, zone Normal\n  managed 262144\n  high 512\n  low 256\n");
	EXPECT(mymem_read(m, &now) == 0 && now.available >= 512 * MIB);
	before = now.available;
	put("proc/zoneinfo", "Node 0, zone Normal\n  managed 262144\n  high 1024\n  low 256\n");
	EXPECT(mymem_read(m, &now) == 0 && now.available == before);
	m->marks_until -= 300; /* five minutes later */
	EXPECT(mymem_read(m, &now) == 0 && now.available == before + 512 * sysconf(_SC_PAGESIZE));
	mymem_close(m);

	EXPECT(mymem_open_at("/nonexistent", &m) == 0);
	EXPECT(mymem_read(m, &now) == -ENOENT);
	EXPECT(strcmp(mymem_error(m), "/nonexistent/proc/meminfo: No such file or directory") == 0);
	mymem_close(m);
}

/* The open files of a cgroup go away with it, after the process has moved. */
static void finds_the_cgroup_again(void)
{
	struct mymem_memory now;
	mymem *m = prepare();
	int dir = open("/", O_RDONLY | O_CLOEXEC);

	EXPECT(mymem_read(m, &now) == 0);
	put("proc/self/cgroup", "0::/moved\n");
	put_level("/moved", "8388608\n", "4194304\n");
	EXPECT(dup2(dir, m->levels[0].file[LIMIT].fd) >= 0);
	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(now.limit == 8 * MIB && m->level_count == 2);
	EXPECT(strcmp(now.limit_from + strlen(root), "/cg/moved/memory.max") == 0);
	close(dir);
	mymem_close(m);
}

/* Parent and child read at the same time, and the child closes first. */
static void survives_fork(void)
{
	enum { ROUNDS = 2000 };
	struct mymem_memory now;
	mymem *m = prepare();
	int status;
	pid_t child;

	EXPECT(mymem_read(m, &now) == 0);
	child = fork();
	for (int i = 0; i < ROUNDS; i++)
		EXPECT(mymem_read(m, &now) == 0 && now.used == 32 * MIB && now.available == 35 * MIB);
	if (child == 0) {
		mymem_close(m);
		_exit(failures > 0);
	}
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	EXPECT(mymem_read(m, &now) == 0);
	mymem_close(m);
}

static void leaves_no_descriptor(void)
{
	struct mymem_memory now;
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC), second;
	mymem *m;

	close(first);
	m = prepare();
	put("proc/sys/vm/overcommit_memory", "0\n");
	put("proc/net/sockstat", "sockets: used 1\n");
	put("cg/memory.stat", "inactive_file 1\nactive_file 2\nslab_reclaimable 2097152\n");
	EXPECT(mymem_read(m, &now) == 0);
	EXPECT(m->overcommit.state == FILE_ANSWERED && m->in.sockets.state == FILE_ANSWERED);
	for (size_t i = 0; i < LEVEL_FILES; i++) {
		const struct file *f = &m->levels[0].file[i];

		EXPECT(f->state < FILE_OPEN || fcntl(f->fd, F_GETFD) == FD_CLOEXEC);
	}
	mymem_close(m);
	second = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT(first == second);
	close(second);
}

/* A directory or a pipe is no file: that is told, does not wait and leaves nothing open. */
static void tells_what_is_no_file(void)
{
	static const char *const names[] = { "proc/meminfo", "proc/self/mountinfo", "cg/memory.max", "cg/memory.stat" };
	int first = open("/dev/null", O_RDONLY | O_CLOEXEC), second;
	struct mymem_memory now;
	char path[PATH_MAX];
	mymem *m;

	close(first);
	for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
		bool pipe = i % 2 == 1;

		mymem_close(prepare());
		(void)snprintf(path, sizeof path, "%s/%s", root, names[i / 2]);
		EXPECT(remove(path) == 0 && (pipe ? mkfifo(path, 0644) : mkdir(path, 0755)) == 0);
		EXPECT(mymem_open_at(root, &m) == 0);
		EXPECT(mymem_read(m, &now) == (pipe ? -ESPIPE : -EISDIR));
		EXPECT(strncmp(mymem_error(m), path, strlen(path)) == 0);
		mymem_close(m);
		EXPECT(remove(path) == 0);
	}
	second = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT(first == second);
	close(second);
}

/* A file that is there and cannot be opened for now is no missing file. */
static void runs_out_of_descriptors(void)
{
	struct mymem_memory now;
	struct rlimit was, none;
	mymem *m;
	int next;

	EXPECT(getrlimit(RLIMIT_NOFILE, &was) == 0);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(next);
	for (int more = 0; more < 4; more++) {
		m = prepare();
		mymem_close(m);
		none = (struct rlimit){ (rlim_t)(next + more), was.rlim_max };
		EXPECT(setrlimit(RLIMIT_NOFILE, &none) == 0);
		EXPECT(mymem_open_at(root, &m) == 0);
		EXPECT(mymem_read(m, &now) == -EMFILE);
		EXPECT(setrlimit(RLIMIT_NOFILE, &was) == 0);
		EXPECT(mymem_read(m, &now) == 0 && now.limit == 64 * MIB && now.used == 32 * MIB);
		mymem_close(m);
	}
}

static void tells_of_here(void)
{
	struct mymem_memory now;
	int64_t available = mymem_available();
	mymem *m = mymem_open();

	EXPECT(m != NULL && mymem_read(m, &now) == 0);
	EXPECT(0 <= now.headroom && now.headroom <= now.available && now.available <= now.limit);
	EXPECT(now.limit <= now.host_total && available >= 0 && available <= now.limit);
	mymem_close(m);
	mymem_close(NULL);
}

int main(void)
{
	static void (*const checks[])(void) = {
		reads_and_sees_changes, tells_file_and_line, finds_the_cgroup_again, survives_fork,
		leaves_no_descriptor, tells_what_is_no_file, runs_out_of_descriptors, tells_of_here,
	};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		strcpy(strrchr(root, '-') + 1, "XXXXXX");
		if (mkdtemp(root) == NULL) {
			perror(root);
			return 1;
		}
		checks[i]();
		remove_tree();
	}
	printf("%s\n", failures == 0 ? "ok" : "failed");
	return failures > 0;
}
