// Web is a small HTTP application that takes memory as told, to see memsup at
// work. It serves on the socket that memsup opened (systemd's LISTEN_FDS), or
// else on $PORT, and finishes the requests under way when it is asked to stop.
//
//	/                  who answers, and what memory it was told of
//	/alloc?bytes=64MiB holds so much more
//	/leak?rate=10MiB/s takes so much more each second, until /free
//	/free              gives everything back
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/memsup/memsup/examples/ballast"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix(cmp.Or(os.Getenv("PS"), "web") + ": ")
	var hold ballast.Size
	flag.TextVar(&hold, "hold", ballast.Size(0), "memory to hold from the start, such as 40MiB")
	flag.Parse()
	if err := run(hold); err != nil {
		log.Fatal(err)
	}
}

func run(hold ballast.Size) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	a := &app{stop: func() {}}
	if err := a.memory.Hold(int64(hold)); err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	var open sync.WaitGroup
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		}
	}}
	fmt.Printf("%sserving on %s, pid %d, holding %s\n", log.Prefix(), l.Addr(), os.Getpid(), a.memory.Bytes())
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	// Shutdown would leave the requests unanswered that were just read: first nobody
	// new comes in, and who is in is answered and leaves.
	server.SetKeepAlivesEnabled(false)
	l.Close()
	<-served
	open.Wait()
	fmt.Printf("%sstopped\n", log.Prefix())
	return nil
}

// listen takes the inherited socket, which systemd's protocol always gives as
// file descriptor 3, only where it was meant for this very process.
func listen() (net.Listener, error) {
	if os.Getenv("LISTEN_FDS") != "1" || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return net.Listen("tcp", ":"+cmp.Or(os.Getenv("PORT"), "5000"))
	}
	f := os.NewFile(3, "LISTEN_FDS")
	defer f.Close()
	return net.FileListener(f)
}

type app struct {
	memory ballast.Ballast

	mu   sync.Mutex
	stop context.CancelFunc // ends the leak under way
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.hello)
	mux.HandleFunc("GET /alloc", a.alloc)
	mux.HandleFunc("GET /leak", a.leak)
	mux.HandleFunc("GET /free", a.free)
	return mux
}

func (a *app) hello(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "hello from %s, pid %d, holding %s\n", os.Getenv("PS"), os.Getpid(), a.memory.Bytes())
	for _, name := range []string{"MEM_LIMIT", "MEM_AVAILABLE"} {
		fmt.Fprintf(w, "%s=%s\n", name, os.Getenv(name))
	}
}

func (a *app) alloc(w http.ResponseWriter, r *http.Request) {
	var bytes ballast.Size
	if err := bytes.UnmarshalText([]byte(r.FormValue("bytes"))); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := a.memory.Hold(int64(bytes)); err != nil {
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
		return
	}
	a.hello(w, r)
}

func (a *app) leak(w http.ResponseWriter, r *http.Request) {
	var rate ballast.Rate
	if err := rate.UnmarshalText([]byte(r.FormValue("rate"))); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	a.replaceLeak(stop)
	go func() {
		if err := a.memory.Leak(ctx, rate); err != nil {
			log.Print(err)
		}
	}()
	a.hello(w, r)
}

func (a *app) free(w http.ResponseWriter, r *http.Request) {
	a.replaceLeak(func() {})
	if err := a.memory.Free(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.hello(w, r)
}

func (a *app) replaceLeak(stop context.CancelFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop()
	a.stop = stop
}
