# A Rack application with about 16 MiB in memory.
TABLE = Array.new(16 * 1024) { Random.bytes(1024) }
puts "app loaded, pid #{Process.pid}"
$stdout.flush

run lambda { |_env|
  [200, { "Content-Type" => "text/plain" }, ["hello from pid #{Process.pid}\n"]]
}
