# Says who answers, after a while: a worker that goes has requests under way.
run lambda { |_env|
  sleep 0.02
  [200, { "Content-Type" => "text/plain" }, ["hello from #{ENV.fetch("PS")}, pid #{Process.pid}\n"]]
}
