"""The shop with a slow leak in a share of its requests: each of them keeps a
little for ever, as a cache without a bound does whose key is never the same."""

import os
import random

from web import app

SHARE = float(os.environ.get("LEAK_SHARE", "0.02"))
BYTES = int(os.environ.get("LEAK_BYTES", str(64 * 1024)))
kept = []


@app.after_request
def keep(response):
    if random.random() < SHARE:
        kept.append(os.urandom(BYTES))
    return response
