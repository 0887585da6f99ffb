package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	patience  = 2 * time.Minute        // for what should happen at once
	between   = 250 * time.Millisecond // from one sample of a worker to the next
	pingLimit = 2 * time.Second        // a worker that ends may leave a ping without an answer
	pingPause = 5 * time.Millisecond
	alone     = 300 // requests that are sent one after the other, at most
	crowd     = 8   // requests that one worker is sent at once, at most
	seed      = 1
)

// server is a running container of a profile.
type server struct {
	profile
	id   string
	init int // the pid of its first process
	ask  asker

	mu    sync.Mutex
	known map[int]*worker // by the pid that the container sees
}

// worker is one life.
type worker struct {
	pid      int           // as this machine sees it
	requests int           // answered by it in the load
	start    time.Duration // from its fork to its first answer
	since    time.Time     // when its rows begin
	cpu      time.Duration // used before the load
	rows     []row
}

// row is one sample of a worker.
type row struct {
	requests              int
	seconds               float64
	private, peak, shared int64
}

// measure runs one profile from the start of its server to its end.
func measure(ctx context.Context, p profile, scratch string) (*measured, error) {
	tag, err := build(p, scratch)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, "sockets")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o777); err != nil { // redis and uwsgi may give up root
		return nil, err
	}
	s := &server{profile: p, ask: p.talk(dir), known: map[int]*worker{}}
	if s.id, err = docker("run", "--detach", "--network", "none", "--label", "memsup-workload", "--volume", dir+":/run/app", tag, "sh", "-c", p.command); err != nil {
		return nil, err
	}
	defer func() {
		if _, err := docker("rm", "--force", "--volumes", s.id); err != nil {
			log.Print(err)
		}
	}()
	m, err := s.measure(ctx)
	if err != nil {
		logs, _ := docker("logs", "--tail", "20", s.id)
		return nil, fmt.Errorf("%w\n%s", err, logs)
	}
	return m, nil
}

func (s *server) measure(ctx context.Context) (*measured, error) {
	pid, err := docker("inspect", "--format", "{{.State.Pid}}", s.id)
	if err != nil {
		return nil, err
	}
	if s.init, err = strconv.Atoi(pid); err != nil {
		return nil, err
	}
	m := &measured{profile: s.profile}
	if m.packages, err = s.versions(); err != nil {
		return nil, err
	}
	log.Printf("%s: waits for %d workers", s.name, s.workers)
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	if m.base, err = s.base(); err != nil {
		return nil, err
	}
	log.Printf("%s: sends %d requests", s.name, s.requests)
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	if m.cpu, err = s.cpu(); err != nil {
		return nil, err
	}
	for _, inner := range slices.Sorted(maps.Keys(s.known)) {
		m.lives = append(m.lives, s.known[inner].rows)
	}
	log.Printf("%s: sends requests one after the other", s.name)
	if m.service, err = s.alone(ctx); err != nil {
		return nil, err
	}
	log.Printf("%s: stops each worker and waits for the next", s.name)
	m.start, m.stop, err = s.turnover(ctx)
	return m, err
}

// await pings until as many workers as there should be have answered.
func (s *server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last error
	var pingers sync.WaitGroup
	for range s.workers + 1 {
		pingers.Go(func() {
			for ctx.Err() == nil {
				err := s.ping(ctx)
				s.mu.Lock()
				if err != nil && ctx.Err() == nil {
					last = err
				}
				if len(s.known) == s.workers {
					cancel()
				}
				s.mu.Unlock()
				pause(ctx, pingPause)
			}
		})
	}
	pingers.Wait()
	if n := len(s.known); n < s.workers {
		return fmt.Errorf("%d of %d workers answer: %w", n, s.workers, last)
	}
	return nil
}

// ping begins the life of the worker that answers, if it was not known.
func (s *server) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	inner, err := s.ask(ctx, ping)
	if err != nil {
		return err
	}
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[inner] != nil {
		return nil
	}
	all, err := tree(s.init)
	if err != nil {
		return err
	}
	w := &worker{pid: all[inner]}
	_, forked, err := times(w.pid)
	if err != nil {
		return err
	}
	w.start = now - forked
	s.known[inner] = w
	return nil
}

// sample adds a row to the worker's life.
func (w *worker) sample() error {
	found, err := read(w.pid, true)
	if err != nil {
		return err
	}
	w.rows = append(w.rows, row{
		requests: w.requests, seconds: time.Since(w.since).Seconds(),
		private: found.private, peak: found.private + found.excess, shared: found.shared,
	})
	return nil
}

// base is what the container holds without its workers: all its anonymous bytes,
// each once, less what only one worker has. The workers' rows begin here.
func (s *server) base() (int64, error) {
	all, err := tree(s.init)
	if err != nil {
		return 0, err
	}
	var base int64
	for inner, pid := range all {
		found, err := read(pid, false)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		base += found.pss
		w := s.known[inner]
		if w == nil {
			continue
		}
		base -= found.private
		if w.cpu, _, err = times(pid); err != nil {
			return 0, err
		}
		w.since = time.Now()
		if err := w.sample(); err != nil {
			return 0, err
		}
		w.rows[0].peak = w.rows[0].private
	}
	return base, nil
}

// load sends the profile's requests at its rate, while every worker is sampled.
func (s *server) load(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var sampler, requests sync.WaitGroup
	done := make(chan struct{})
	sampler.Go(func() {
		look := time.NewTicker(between)
		defer look.Stop()
		for {
			select {
			case <-look.C:
			case <-done:
				return
			}
			s.mu.Lock()
			for _, w := range s.known {
				if err := w.sample(); err != nil {
					cancel(err)
				}
			}
			s.mu.Unlock()
		}
	})
	places := make(chan struct{}, s.workers*min(s.threads, crowd))
	due := time.NewTicker(time.Second / time.Duration(s.rate))
	defer due.Stop()
	random := rand.New(rand.NewPCG(seed, 0))
	for range s.requests {
		places <- struct{}{}
		<-due.C
		if ctx.Err() != nil {
			break
		}
		r := s.mix.draw(random)
		requests.Go(func() {
			defer func() { <-places }()
			inner, err := s.send(ctx, r)
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case err != nil:
				cancel(fmt.Errorf("%s: %w", r.query(), err))
			case s.known[inner] == nil:
				cancel(fmt.Errorf("a worker was replaced during the load: pid %d answers", inner))
			default:
				s.known[inner].requests++
			}
		})
	}
	requests.Wait()
	close(done)
	sampler.Wait()
	for _, w := range s.known {
		if err := w.sample(); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// send asks for one request of the load and does not wait for ever: the job of a
// worker that was killed is lost.
func (s *server) send(ctx context.Context, r request) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.ask(ctx, r)
}

// cpu is the CPU time that the workers used in the load, for each request.
func (s *server) cpu() (time.Duration, error) {
	var all time.Duration
	for _, w := range s.known {
		cpu, _, err := times(w.pid)
		if err != nil {
			return 0, err
		}
		all += cpu - w.cpu
	}
	return all / time.Duration(s.requests), nil
}

// alone sends requests while the server has nothing else to do, and returns how
// long each took.
func (s *server) alone(ctx context.Context) ([]time.Duration, error) {
	random := rand.New(rand.NewPCG(seed, 1))
	var took []time.Duration
	for range min(alone, s.requests) {
		start := time.Now()
		if _, err := s.send(ctx, s.mix.draw(random)); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// turnover stops each worker in turn, while the server is idle, and returns how
// long each took to end, and each in its place to answer.
func (s *server) turnover(ctx context.Context) (starts, stops []time.Duration, err error) {
	for inner, w := range maps.Clone(s.known) {
		took, err := end(w.pid, s.stop)
		if err != nil {
			return nil, nil, err
		}
		stops = append(stops, took)
		before := maps.Clone(s.known)
		delete(s.known, inner)
		if err := s.await(ctx); err != nil {
			return nil, nil, err
		}
		for inner, w := range s.known {
			if before[inner] == nil {
				starts = append(starts, w.start)
			}
		}
	}
	return starts, stops, nil
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
