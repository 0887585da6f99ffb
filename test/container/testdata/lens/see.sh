#!/bin/sh
# What programs think how much memory there is: a name, a colon, bytes.
say() { printf '%s: ' "$1"; shift; "$@" 2>&1 | tail -n 1; }
pipe() { printf '%s: ' "$1"; sh -c "$2" 2>&1 | tail -n 1; }
first='/^MemTotal:/ {printf "%.0f\n", $2 * 1024}'
pipe 'free (procps)' "free -b | awk '/^Mem:/ {print \$2}'"
pipe 'top (procps)' "top -b -n 1 -E k | awk '/^KiB Mem/ {printf \"%.0f\\n\", \$4 * 1024}'"
pipe 'vmstat (procps)' "vmstat -s | awk '/total memory/ {printf \"%.0f\\n\", \$1 * 1024}'"
pipe 'free (busybox)' "busybox free | awk '/^Mem:/ {printf \"%.0f\\n\", \$2 * 1024}'"
pipe 'top (busybox)' "busybox top -b -n 1 | awk '/^Mem:/ {printf \"%.0f\\n\", (\$2 + \$4) * 1024}'"
pipe 'cat' "cat /proc/meminfo | awk '$first'"
say 'awk' awk "$first" /proc/meminfo
pipe 'sed' "sed -n 1p /proc/meminfo | awk '$first'"
pipe 'grep (GNU)' "grep ^MemTotal: /proc/meminfo | awk '$first'"
say 'perl' perl -ne 'print $1 * 1024, "\n" if /^MemTotal:\s+(\d+)/' /proc/meminfo
say 'a static program of musl, fopen' musl meminfo
say 'a static program of musl, sysinfo' musl sysinfo
say 'Python, open' python3 -c 'print(int(open("/proc/meminfo").readline().split()[1]) * 1024)'
say 'Python, os.sysconf' python3 -c 'import os; print(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))'
say 'Ruby, File.read' ruby -e 'puts File.read("/proc/meminfo")[/^MemTotal:\s+(\d+)/, 1].to_i * 1024'
say 'Node.js, os.totalmem' node -e 'console.log(require("os").totalmem())'
say 'Go, os.ReadFile' asks meminfo
say 'Go, sysinfo' asks sysinfo
say 'processors of /proc/cpuinfo' python3 -c 'print(("\n" + open("/proc/cpuinfo").read()).count("\nprocessor"))'
say 'CPUs of Python, os.sysconf' python3 -c 'import os; print(os.sysconf("SC_NPROCESSORS_ONLN"))'
