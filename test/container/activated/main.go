// Activated is a web server that takes its sockets from the library that Go
// programs take systemd's from, answers after a while, and finishes the requests under
// way when it is asked to stop.
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

func main() {
	listeners, err := activation.Listeners()
	if err != nil {
		log.Fatal(err)
	}
	var open sync.WaitGroup
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintf(w, "hello from %s, pid %d\n", os.Getenv("PS"), os.Getpid())
	}), ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed, http.StateHijacked:
			open.Done()
		}
	}}
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, net.ErrClosed) {
				log.Fatal(err)
			}
		})
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	// Shutdown would leave the requests unanswered that were just read.
	server.SetKeepAlivesEnabled(false)
	for _, l := range listeners {
		l.Close()
	}
	serving.Wait()
	open.Wait()
}
