-- For wrk: one line for each second with what was answered in it, and one at the
-- end with everything. wrk needs one thread (-t1): a thread has a Lua state of its own.
local second, answered, failed = nil, 0, 0

local function tick(now)
  if second then io.write(string.format("tick %d %d %d\n", second, answered, failed)); io.flush() end
  second, answered, failed = now, 0, 0
end

function response(status)
  local now = os.time()
  if now ~= second then tick(now) end
  answered = answered + 1
  if status ~= 200 then failed = failed + 1 end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("done requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d p50_us=%d p99_us=%d max_us=%d\n",
    summary.requests, summary.duration, e.connect, e.read, e.write, e.timeout, e.status,
    latency:percentile(50), latency:percentile(99), latency.max))
end
