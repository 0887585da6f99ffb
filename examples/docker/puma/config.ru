# A Rack application with something in memory, as real ones have: about 24 MiB.
TABLE = Array.new(24 * 1024) { Random.bytes(1024) }
puts "#{ENV.fetch("PS", "web")}: app loaded, pid #{Process.pid}"
$stdout.flush

run lambda { |_env|
  [200, { "Content-Type" => "text/plain" }, ["hello from #{ENV.fetch("PS", "web")}, pid #{Process.pid}\n"]]
}
