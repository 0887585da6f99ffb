"""The shop's work as Celery tasks. Each tells who did it in a list of its own."""

import os

import celery
import redis

import shop

BROKER = "/run/app/redis"
app = celery.Celery("tasks", broker=f"redis+socket://{BROKER}")
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1)


@app.task(name="work")
def work(job, kind, size, key, wait):
    shop.work(kind, size, key, wait)
    with redis.Redis(unix_socket_path=BROKER) as done:
        done.lpush(job, os.getpid())
