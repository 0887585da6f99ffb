package main

import "syscall"

// profile is one server with an application, and how it is loaded.
type profile struct {
	name     string
	server   string
	packages []string // Debian's; the first one's version is the server's
	app      string   // the file of apps that it runs
	command  string   // what sh runs as the container's first process

	workers int
	threads int                    // requests that one worker serves at once
	talk    func(dir string) asker // how it is asked; dir has its sockets
	stop    syscall.Signal         // what asks a worker to finish

	requests int // how many are sent in the load
	rate     int // how many a second
	mix      mix
}

// mix is what the load is made of: how much of it takes memory for a moment, and
// how much, and how long the database of a request takes at the mean.
type mix struct {
	percent int
	least   int     // MiB
	most    int     // MiB
	wait    float64 // milliseconds
}

var (
	visits = mix{percent: 4, least: 8, most: 24, wait: 12}
	chores = mix{percent: 4, least: 8, most: 24, wait: 40}
	hungry = mix{percent: 3, least: 32, most: 96, wait: 40}
)

// Where a server has no master of its own that starts workers anew, a shell does.
const (
	node    = `for i in 0 1 2; do (while :; do node shop.js /run/app/$i; done) & done; wait`
	redis   = `redis-server --port 0 --unixsocket /run/app/redis --save "" >/dev/null & until [ -S /run/app/redis ]; do sleep 0.1; done; `
	sidekiq = redis + `for i in 0 1 2; do (while :; do sidekiq -r ./jobs.rb -c 5 -e production; done) & done; wait`
	celery  = redis + `exec celery -A tasks worker --pool prefork --concurrency 3 --without-gossip --without-mingle --without-heartbeat --loglevel WARNING`
	uwsgi   = `exec uwsgi --plugin python3 --master --processes 3 --http-socket /run/app/0 --wsgi-file web.py --callable app --disable-logging --need-app`
)

var profiles = []profile{
	{
		name: "gunicorn", server: "gunicorn", packages: []string{"gunicorn", "python3-flask"}, app: "web.py",
		command: "exec gunicorn --workers 3 --bind unix:/run/app/0 web:app",
		workers: 3, threads: 1, talk: web(1), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "gunicorn-preload", server: "gunicorn", packages: []string{"gunicorn", "python3-flask"}, app: "web.py",
		command: "exec gunicorn --preload --workers 3 --bind unix:/run/app/0 web:app",
		workers: 3, threads: 1, talk: web(1), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "gunicorn-leak", server: "gunicorn", packages: []string{"gunicorn", "python3-flask"}, app: "leaky.py",
		command: "exec gunicorn --workers 3 --bind unix:/run/app/0 leaky:app",
		workers: 3, threads: 1, talk: web(1), stop: syscall.SIGTERM, requests: 45000, rate: 150, mix: visits,
	},
	{
		name: "puma", server: "puma", packages: []string{"puma", "ruby-sinatra"}, app: "config.ru",
		command: "WORKERS=3 exec puma -e production -C puma.rb",
		workers: 3, threads: 5, talk: web(1), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "puma-preload", server: "puma", packages: []string{"puma", "ruby-sinatra"}, app: "config.ru",
		command: "WORKERS=3 PRELOAD=1 exec puma -e production -C puma.rb",
		workers: 3, threads: 5, talk: web(1), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "uwsgi", server: "uwsgi", packages: []string{"uwsgi-core", "uwsgi-plugin-python3", "python3-flask"}, app: "web.py",
		command: uwsgi,
		workers: 3, threads: 1, talk: web(1), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "celery", server: "celery", packages: []string{"celery", "python3-redis", "python3-jinja2", "redis-server"}, app: "tasks.py",
		command: celery,
		workers: 3, threads: 1, talk: queue("celery", celeryJob), stop: syscall.SIGTERM, requests: 6000, rate: 90, mix: hungry,
	},
	{
		name: "sidekiq", server: "sidekiq", packages: []string{"ruby-sidekiq", "redis-server"}, app: "jobs.rb",
		command: sidekiq,
		workers: 3, threads: 5, talk: queue("queue:default", sidekiqJob), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: chores,
	},
	{
		name: "node", server: "node", packages: []string{"nodejs"}, app: "shop.js",
		command: node,
		workers: 3, threads: 100, talk: web(3), stop: syscall.SIGTERM, requests: 12000, rate: 150, mix: visits,
	},
	{
		name: "php-fpm", server: "php-fpm", packages: []string{"php8.2-fpm"}, app: "index.php",
		command: "WORKERS=3 exec php-fpm8.2 --allow-to-run-as-root --fpm-config fpm.conf",
		workers: 3, threads: 1, talk: fastCGI, stop: syscall.SIGQUIT, requests: 12000, rate: 150, mix: visits,
	},
}
