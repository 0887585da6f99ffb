"""Says who answers, after a while: a worker that goes has requests under way."""

import asyncio
import os


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await asyncio.sleep(0.02)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"hello from {os.environ['PS']}, pid {os.getpid()}\n".encode()})
