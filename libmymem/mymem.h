/*
 * mymem tells how much memory this process may really use: what the cgroups
 * around it allow, what they have used, and what the host has. It follows the
 * rules of memsup's Go package budget, file by file. Where no cgroup is mounted
 * memsup asks systemd, cgmanager or the processes; the library does not, and only
 * the host's numbers are left.
 *
 *	mymem *m = mymem_open();
 *	struct mymem_memory now;
 *	if (m != NULL && mymem_read(m, &now) == 0)
 *		printf("%" PRId64 " of %" PRId64 "\n", now.available, now.limit);
 *	mymem_close(m);
 *
 * All quantities are bytes, 0 or more. The library needs Linux and no
 * privileges, starts no threads and has no global state. A handle may be used by
 * one thread at a time, different handles by different threads at once. None of
 * the functions may be called from a signal handler.
 *
 * After fork(2) parent and child may both go on with a handle: its files are
 * read with pread(2), so neither moves the other's position, and the child, which
 * starts in the parent's cgroup, gets its own right numbers. A process that was
 * moved to another cgroup, or started in one with CLONE_INTO_CGROUP, opens a new
 * handle: the old one goes on telling of the old cgroup until that is removed,
 * and then finds the new one by itself. The descriptors are O_CLOEXEC.
 *
 * A program that closes all its descriptors, as a daemon does with closefrom(3),
 * opens the handle afterwards: the numbers of an older handle's files will be those
 * of other files, which mymem_read would read and mymem_close close.
 */
#ifndef MYMEM_H
#define MYMEM_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define MYMEM_API __attribute__((visibility("default")))
#else
#define MYMEM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* mymem holds the kernel's files open. */
typedef struct mymem mymem;

/*
 * mymem_memory is one reading of the memory of the cgroups and of the host. The
 * caller gives its room, so it only grows with a new SOVERSION of the library.
 */
struct mymem_memory {
	/*
	 * limit is the lowest limit of all visible levels (memory.max on cgroup
	 * v2, memory.limit_in_bytes on v1) and MemTotal of /proc/meminfo.
	 * limited, below, is false where only the host's memory limits.
	 */
	int64_t limit;

	/*
	 * used is the usage of the level that limit belongs to (memory.current,
	 * memory.usage_in_bytes), page cache included. Where only the host limits
	 * it is MemTotal - MemAvailable, and 0 where that level's file is missing.
	 */
	int64_t used;

	/*
	 * available is how many anonymous bytes can still be taken before
	 * something refuses or kills, swap not counted: the minimum over the
	 * levels of limit - usage + what reclaim can give there, and of what the
	 * host has: MemAvailable and what that leaves out, the watermarks of
	 * /proc/zoneinfo above the lowest and the last of the page cache; with
	 * vm.overcommit_memory=2 also CommitLimit - Committed_AS. It is never above
	 * limit.
	 *
	 * Reclaim can give the file pages of memory.stat and, on v2,
	 * slab_reclaimable but for what is in use: 1 KiB for each socket of
	 * /proc/net/sockstat, and 512 KiB. v1 does not tell it: it counts as
	 * nothing.
	 */
	int64_t available;

	/*
	 * headroom is the cautious part of available, what can be had without I/O
	 * or a stall: of what reclaim can give, only inactive file pages that are
	 * neither dirty nor under writeback count.
	 */
	int64_t headroom;

	/*
	 * high is the lowest memory.high of all visible levels, above which
	 * cgroup v2 slows a cgroup down; has_high, below, is false where none is.
	 */
	int64_t high;

	/*
	 * swap_used is the swap that the process's own level uses, swap_limit the
	 * lowest swap limit of all visible levels and SwapTotal (memory.swap.max;
	 * on v1 memory.memsw.limit_in_bytes - memory.limit_in_bytes).
	 * swap_limited, below, is false where only the host's swap limits.
	 */
	int64_t swap_used;
	int64_t swap_limit;

	/* host_total is MemTotal and host_available MemAvailable of /proc/meminfo. */
	int64_t host_total;
	int64_t host_available;

	/*
	 * limit_from is the path of the file that decided limit, available_from
	 * of the file whose limit decided available. They differ where a wider
	 * level is fuller than a narrow one. Both are good until the handle is
	 * read again or closed.
	 */
	const char *limit_from;
	const char *available_from;

	/* rung is the kind of source: "cgroup v2", "cgroup v1" or "host". */
	const char *rung;

	bool limited;
	bool has_high;
	bool swap_limited;
};

/*
 * mymem_open finds the memory files of the cgroup that this process is in,
 * through /proc/self/mountinfo and /proc/self/cgroup, on every level up to the
 * mount's root. Where there are none the host's own numbers serve. It returns
 * NULL with errno ENOMEM where there is no memory for the handle; what is wrong
 * with the files is told by mymem_read. The caller closes the handle.
 */
MYMEM_API mymem *mymem_open(void);

/*
 * mymem_open_at is mymem_open for files below the directory root, as of another
 * mount namespace or a captured tree: root/proc/self/mountinfo,
 * root/proc/self/cgroup, root/proc/meminfo, root/proc/zoneinfo,
 * root/proc/sys/vm/overcommit_memory, root/proc/net/sockstat and the cgroup mounts
 * that the first of them names, each below root. "" is mymem_open's. It returns 0
 * and the handle in *to, or -ENOMEM and NULL.
 */
MYMEM_API int mymem_open_at(const char *root, mymem **to);

/*
 * mymem_read reads the numbers anew, so a limit that changed is seen. It costs
 * one pread(2) a file. Files that have gone, as after a move to another cgroup
 * that ended the old one, are looked for again; only then, and the first time, does
 * it allocate. It returns 0, or a negative error and leaves *to as it was:
 *
 *	-EBADMSG  a file does not say what the kernel's documentation has it say:
 *	          it is corrupt, cut off or no file of the kernel; mymem_error
 *	          names file and line
 *	-EMFILE   a file that has to be opened cannot be for now, for want of a
 *	          descriptor (also -ENFILE) or of memory (-ENOMEM)
 *	-EISDIR   a directory is in the place of a file (-ESPIPE: a pipe), or what
 *	          else kept a file that is there from being opened or read
 *	other     neither a cgroup nor the host tells how much memory there is:
 *	          why /proc/meminfo could not be read
 *
 * A file that is not there, or not for this user or this kernel, is no error.
 */
MYMEM_API int mymem_read(mymem *m, struct mymem_memory *to);

/*
 * mymem_error tells in words what the last mymem_read of m returned, with the
 * file's path and, for -EBADMSG, "path:line: "text" is not what should be there".
 * It is "" after one that returned 0. The text is good until m is used again.
 */
MYMEM_API const char *mymem_error(mymem *m);

/* mymem_close closes the files and frees m, which may be NULL. */
MYMEM_API void mymem_close(mymem *m);

/*
 * mymem_available opens, reads and closes once: mymem_memory's available in
 * bytes, or a negative error of mymem_read. A caller that asks again and again
 * keeps a handle: that costs a fraction.
 */
MYMEM_API int64_t mymem_available(void);

#ifdef __cplusplus
}
#endif

#endif
