package main

import "slices"

// contestant is a program that keeps the application's workers.
type contestant struct {
	name    string
	title   string // in the table
	memsup  bool
	command []string // the container's
}

// workers are how many somebody careful runs: the package's comment says why.
const workers = "8"

func gunicorn(args ...string) []string {
	common := []string{"gunicorn", "--workers", workers, "--bind", "0.0.0.0:8080", "--worker-tmp-dir", "/dev/shm"}
	return append(append(common, args...), "leaky:app")
}

var contestants = []contestant{
	{name: "fixed", title: "gunicorn, 8 workers", command: gunicorn()},
	{
		name: "max-requests", title: "gunicorn, 8 workers, max-requests 5000",
		command: gunicorn("--max-requests", "5000", "--max-requests-jitter", "500"),
	},
	{name: "supervisord", title: "supervisord, gunicorn with 8 workers", command: []string{"supervisord", "-c", "supervisord.conf"}},
	{name: "uwsgi", title: "uWSGI, cheaper with limits of rss", command: []string{"uwsgi", "--ini", "uwsgi.ini"}},
	{name: "memsup-process", title: "memsup, each worker a uWSGI process", memsup: true, command: []string{"memsup", "process"}},
	{name: "memsup-signal", title: "memsup, gunicorn's master keeps the workers", memsup: true, command: []string{"memsup", "signal"}},
}

func named(name string) (contestant, bool) {
	i := slices.IndexFunc(contestants, func(c contestant) bool { return c.name == name })
	if i < 0 {
		return contestant{}, false
	}
	return contestants[i], true
}

func names() []string {
	var all []string
	for _, c := range contestants {
		all = append(all, c.name)
	}
	return all
}
