"""A WSGI application with about 16 MiB in memory, which may leak at each request."""

import os

TABLE = [os.urandom(1024) for _ in range(16 * 1024)]
LEAK = int(os.environ.get("LEAK_KIB", "0")) * 1024
LEAKED = []
print(f"app loaded, pid {os.getpid()}", flush=True)


def app(environ, start_response):
    if LEAK:
        LEAKED.append(os.urandom(LEAK))
    if environ["PATH_INFO"] == "/eat":
        LEAKED.append(b"x" * (1 << 30))
    if environ["PATH_INFO"] == "/meminfo":
        print("sees", open("/proc/meminfo").readline().rstrip(), flush=True)
    body = f"hello from pid {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
