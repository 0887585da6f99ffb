"""A small shop: what the Python servers and workers of these traces do.

Most memory of a web application is there before the first request (code, a
catalogue), some comes with the first use (lazy imports, a cache that fills up),
some comes and goes (reports), and some never comes back (fragments between
things that live long).
"""

import functools
import os
import random
import time

import jinja2

# About 8 MiB of objects, loaded at start.
CATALOGUE = [
    {"id": i, "name": f"product {i}", "price": i * 7 % 9973, "tags": [f"tag {i % 37}", f"tag {i % 101}"],
     "text": os.urandom(300).hex()}
    for i in range(6000)
]
TEMPLATE = jinja2.Template(
    "<html><body><h1>{{ title }}</h1>{{ card }}<table>{% for p in products %}"
    "<tr><td>{{ p.id }}</td><td>{{ p.name|e }}</td><td>{{ '%.2f' % (p.price / 100) }}</td>"
    "<td>{{ p.tags|join(', ')|e }}</td></tr>{% endfor %}</table></body></html>"
)
sessions = {}


@functools.lru_cache(maxsize=512)
def card(key):
    """The cache that fills up: 4 to 20 KiB for each product asked for."""
    product = CATALOGUE[key % len(CATALOGUE)]
    return " ".join([product["name"], product["text"]] * (6 + key % 24))


def page(size, key):
    import email.utils
    import html

    products = [CATALOGUE[(key + i * 31) % len(CATALOGUE)] for i in range(size)]
    title = html.escape(f"{key} at {email.utils.formatdate()}")
    return TEMPLATE.render(title=title, card=card(key), products=products)


def api(size, key):
    import decimal
    import json

    products = [CATALOGUE[(key + i) % len(CATALOGUE)] for i in range(size)]
    parsed = json.loads(json.dumps(products))
    total = sum(decimal.Decimal(p["price"]) for p in parsed)
    return json.dumps({"total": str(total), "products": parsed})


def save(size, key):
    """A session of its own size in the place of an older one."""
    import sqlite3

    sessions[key % 1500] = [os.urandom(200 + key % 800) for _ in range(1 + size % 16)]
    with sqlite3.connect(":memory:") as db:
        db.execute("create table t (id integer, name text)")
        db.executemany("insert into t values (?, ?)", [(p["id"], p["name"]) for p in CATALOGUE[:size]])
        return str(db.execute("select count(*) from t").fetchone()[0])


def report(size, key):
    """About size MiB for a moment."""
    import csv
    import io
    import statistics

    rows = [(key + i, f"row {i} of {size}", i * 0.37) for i in range(size * 5000)]
    out = io.StringIO()
    csv.writer(out).writerows(rows[:: max(1, size)])
    return out.getvalue() + str(statistics.fmean(row[2] for row in rows[:5000]))


KINDS = {"page": page, "api": api, "save": save, "report": report}


def work(kind, size, key, wait):
    """One request: wait is for a database, in milliseconds. Asked for nothing in
    particular, it chooses as the load of the traces does."""
    if kind is None:
        kind = random.choices(list(KINDS), (70, 20, 6, 4))[0]
        key = int(min(1e6, random.paretovariate(0.6)))
        size = random.randint(8, 24) if kind == "report" else 1 + int(random.lognormvariate(4, 0.8))
        wait = random.expovariate(1 / 12)
    time.sleep(wait / 1000)
    return "" if kind == "ping" else KINDS[kind](size, key)
