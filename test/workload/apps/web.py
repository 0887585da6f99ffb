"""The shop over WSGI."""

import os

from flask import Flask, Response, request

import shop

app = Flask(__name__)


@app.get("/")
def index():
    q = request.args
    body = shop.work(q.get("kind"), q.get("size", 0, int), q.get("key", 0, int), q.get("wait", 0, float))
    return Response(body, headers={"X-Pid": str(os.getpid())})
