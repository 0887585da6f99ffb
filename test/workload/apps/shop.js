// A small shop: what the Node server of these traces does. The first argument is
// the socket to listen on.
"use strict";
const fs = require("fs");
const http = require("http");
const timers = require("timers/promises");

// About 10 MiB of objects, loaded at start.
const catalogue = Array.from({ length: 6000 }, (_, i) => ({
  id: i, name: `product ${i}`, price: (i * 7) % 9973, tags: [`tag ${i % 37}`, `tag ${i % 101}`],
  text: require("crypto").randomBytes(300).toString("hex"),
}));
const cards = new Map();
const sessions = new Map();
const escape = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// The cache that fills up: 4 to 20 KiB for each product asked for, 512 at most.
function card(key) {
  let text = cards.get(key);
  cards.delete(key);
  if (text === undefined) {
    const product = catalogue[key % catalogue.length];
    text = Buffer.from(`${product.name} ${product.text} `.repeat(6 + (key % 24)));
  }
  cards.set(key, text);
  if (cards.size > 512) cards.delete(cards.keys().next().value);
  return text;
}

const kinds = {
  page(size, key) {
    const rows = [];
    for (let i = 0; i < size; i++) {
      const p = catalogue[(key + i * 31) % catalogue.length];
      rows.push(`<tr><td>${p.id}</td><td>${escape(p.name)}</td><td>${(p.price / 100).toFixed(2)}</td><td>${escape(p.tags.join(", "))}</td></tr>`);
    }
    return `<html><body><h1>${key} at ${new Date().toUTCString()}</h1>${card(key)}<table>${rows.join("\n")}</table></body></html>`;
  },
  api(size, key) {
    const products = Array.from({ length: size }, (_, i) => catalogue[(key + i) % catalogue.length]);
    const parsed = JSON.parse(JSON.stringify(products));
    return JSON.stringify({ total: parsed.reduce((sum, p) => sum + p.price, 0), products: parsed });
  },
  // A session of its own size in the place of an older one.
  save(size, key) {
    const zlib = require("zlib");
    sessions.set(key % 1500, Array.from({ length: 1 + (size % 16) }, () => "x".repeat(200 + (key % 800)) + Math.random()));
    return String(zlib.gzipSync(JSON.stringify(catalogue.slice(0, size))).length);
  },
  // About size MiB for a moment.
  report(size, key) {
    const rows = Array.from({ length: size * 5000 }, (_, i) => [key + i, `row ${i} of ${size}`, i * 0.37]);
    return rows.slice(0, 2000).map((row) => row.join(",")).join("\n");
  },
};

// The wait is for a database, in milliseconds.
async function answer(request, response) {
  const q = new URL(request.url, "http://shop").searchParams;
  const kind = q.get("kind");
  await timers.setTimeout(Number(q.get("wait")));
  const body = kind === "ping" ? "" : kinds[kind](Number(q.get("size")), Number(q.get("key")));
  response.writeHead(200, { "X-Pid": process.pid, "Content-Type": "text/html" });
  response.end(body);
}

const socket = process.argv[2];
fs.rmSync(socket, { force: true });
const server = http.createServer(answer).listen(socket);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
