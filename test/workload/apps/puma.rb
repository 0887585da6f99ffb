bind "unix:///run/app/0"
workers Integer(ENV.fetch("WORKERS"))
threads 5, 5
preload_app!(ENV["PRELOAD"] == "1")
