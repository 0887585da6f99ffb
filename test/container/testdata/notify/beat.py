"""A worker that speaks sd_notify, and hangs after a while."""

import os
import socket
import time

address = os.environ["NOTIFY_SOCKET"]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect("\0" + address[1:] if address[0] == "@" else address)

mine = int(os.environ["WATCHDOG_PID"]) == os.getpid()
every = int(os.environ["WATCHDOG_USEC"]) / 1e6
print(f"beat: starts, watched every {every} s, by its own pid: {mine}", flush=True)
notify.sendall(b"STATUS=warming up")
time.sleep(1)
notify.sendall(b"READY=1\nSTATUS=beating")
for _ in range(3):
    time.sleep(every / 2)
    notify.sendall(b"WATCHDOG=1")
print("beat: hangs", flush=True)
time.sleep(1000)
