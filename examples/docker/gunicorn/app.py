"""A WSGI application with something in memory, as real ones have."""

import os

# Stands for a model, a catalogue, a warm cache: about 24 MiB in each worker.
TABLE = [os.urandom(1024) for _ in range(24 * 1024)]
print(f"{os.environ.get('PS', 'web')}: app loaded, pid {os.getpid()}", flush=True)


def app(environ, start_response):
    body = f"hello from {os.environ.get('PS', 'web')}, pid {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
