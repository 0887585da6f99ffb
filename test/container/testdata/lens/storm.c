/*
 * storm N restart|interrupt LIMIT opens /proc/meminfo N times, and other files and
 * sysinfo(2) in between, while a timer of 200 us and ended children send signals
 * whose handlers are installed with SA_RESTART or without. It says how many calls a
 * signal interrupted, and what else was not as it has to be.
 *
 * storm chaos N has N processes that four threads open files in, each of which is
 * killed, stopped, forked, made another program or another user at any moment of a call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void caught(int sig)
{
	int saved = errno;
	if (sig == SIGCHLD)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	errno = saved;
}

static int descriptors(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d != NULL && readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* storm is the one process with signals. */
static int storm(long calls, int flags, unsigned long long limit)
{
	struct sigaction act = {.sa_handler = caught, .sa_flags = flags};
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	long interrupted = 0, wrong = 0;
	int before = descriptors(), expected = dup(0);
	close(expected);
	sigaction(SIGCHLD, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (long i = 0; i < calls; i++) {
		char text[64] = "";
		if (i % 50 == 0) {
			pid_t child = fork();
			if (child == 0)
				_exit(0);
		}
		if (i % 100 == 0) {
			struct sysinfo info;
			int failed = sysinfo(&info);
			if (failed && errno == EINTR && flags == 0) {
				interrupted++;
			} else if (failed) {
				wrong++;
				printf("sysinfo: %s\n", strerror(errno));
			} else if (info.totalram * info.mem_unit != limit) {
				wrong++;
				printf("sysinfo says %lu\n", info.totalram * info.mem_unit);
			}
		}
		const char *name = i % 10 == 9 ? "/etc/passwd" : "/proc/meminfo";
		const char *begins = i % 10 == 9 ? "root:" : "MemTotal:";
		int fd = open(name, O_RDONLY);
		if (fd < 0 && errno == EINTR && flags == 0) {
			interrupted++;
			continue;
		}
		if (fd < 0) {
			wrong++;
			printf("open %s: %s\n", name, strerror(errno));
			continue;
		}
		if (fd != expected) {
			wrong++;
			printf("open %s: descriptor %d, not %d\n", name, fd, expected);
		}
		unsigned long long kib;
		if (read(fd, text, sizeof text - 1) <= 0 || strncmp(text, begins, strlen(begins)) != 0 ||
		    (sscanf(text, "MemTotal: %llu", &kib) == 1 && kib * 1024 != limit)) {
			wrong++;
			printf("%s says %s\n", name, text);
		}
		if (fd == expected)
			close(fd);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	act.sa_handler = SIG_IGN;
	sigaction(SIGCHLD, &act, NULL);
	if (descriptors() != before) {
		wrong++;
		printf("%d descriptors, %d before\n", descriptors(), before);
	}
	printf("%ld calls, %ld interrupted, %ld wrong\n", calls, interrupted, wrong);
	return wrong != 0;
}

static void *opener(void *unused)
{
	for (;;) {
		struct sysinfo info;
		int fd = open("/proc/meminfo", O_RDONLY);
		if (fd >= 0)
			close(fd);
		sysinfo(&info);
	}
	return unused;
}

static void victim(void)
{
	pthread_t thread;
	for (int i = 0; i < 4; i++)
		pthread_create(&thread, NULL, opener, NULL);
	for (;;)
		pause();
}

static int chaos(char *self, int victims)
{
	srand(victims);
	for (int i = 0; i < victims; i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			if (i % 4 == 0) { /* becomes another program while its threads are in calls */
				pthread_t thread;
				for (int j = 0; j < 4; j++)
					pthread_create(&thread, NULL, opener, NULL);
				usleep(rand() % 3000);
				execl("/proc/self/exe", self, "victim", NULL);
				_exit(1);
			}
			if (i % 4 == 1) { /* has a child made while its threads are in calls */
				pthread_t thread;
				for (int j = 0; j < 4; j++)
					pthread_create(&thread, NULL, opener, NULL);
				usleep(rand() % 3000);
				if (fork() == 0)
					_exit(open("/proc/meminfo", O_RDONLY) < 0);
				wait(&status);
				if (status != 0)
					printf("a forked child ended with %#x\n", status);
				fflush(stdout);
			}
			if (i % 4 == 3) { /* becomes another user while its threads are in calls */
				pthread_t thread;
				for (int j = 0; j < 4; j++)
					pthread_create(&thread, NULL, opener, NULL);
				usleep(rand() % 3000);
				if (setgid(1000) != 0 || setuid(1000) != 0)
					_exit(1);
			}
			victim();
		}
		usleep(rand() % 5000);
		if (i % 4 == 2) { /* is stopped in a call, and goes on */
			kill(child, SIGSTOP);
			usleep(rand() % 2000);
			kill(child, SIGCONT);
			usleep(rand() % 2000);
		}
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			printf("a victim ended with %#x\n", status);
	}
	printf("%d victims\n", victims);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "victim") == 0)
		victim();
	if (argc == 3 && strcmp(argv[1], "chaos") == 0)
		return chaos(argv[0], atoi(argv[2]));
	if (argc != 4) {
		fprintf(stderr, "storm N restart|interrupt LIMIT\nstorm chaos N\n");
		return 2;
	}
	return storm(atol(argv[1]), strcmp(argv[2], "restart") == 0 ? SA_RESTART : 0, strtoull(argv[3], NULL, 10));
}
