/* How much memory a static program of musl thinks there is. */
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "sysinfo") == 0) {
		struct sysinfo info;
		if (sysinfo(&info) != 0) {
			perror("sysinfo");
			return 1;
		}
		printf("%llu\n", (unsigned long long)info.totalram * info.mem_unit);
		return 0;
	}
	unsigned long long kib;
	FILE *f = fopen("/proc/meminfo", "r");
	if (f == NULL || fscanf(f, "MemTotal: %llu kB", &kib) != 1) {
		perror("/proc/meminfo");
		return 1;
	}
	printf("%llu\n", kib * 1024);
	return 0;
}
