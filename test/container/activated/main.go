// Activated is a web server that takes its sockets from the library that Go
// programs take systemd's from, answers after a while, and finishes the requests under
// way when it is asked to stop.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
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
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		fmt.Fprintf(w, "hello from %s, pid %d\n", os.Getenv("PS"), os.Getpid())
	})}
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				log.Fatal(err)
			}
		})
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	serving.Wait()
}
