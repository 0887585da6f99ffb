"""Says who answers, after a while: a worker that goes has requests under way."""

import os
import time


def app(environ, start_response):
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"hello from {os.environ['PS']}, pid {os.getpid()}\n".encode()]
