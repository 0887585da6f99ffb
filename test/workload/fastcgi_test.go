package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"testing"
)

// The client speaks with Go's FastCGI server, with an answer of many records.
func TestFastCGI(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		_ = fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("kind") != "page" {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("X-Pid", r.URL.Query().Get("key"))
			fmt.Fprint(w, strings.Repeat("a page ", 40000))
		}))
	}()
	ask := fastCGI(dir)
	if pid, err := ask(t.Context(), request{kind: "page", key: 4711}); err != nil || pid != 4711 {
		t.Errorf("pid %d, %v; want 4711", pid, err)
	}
	if _, err := ask(t.Context(), request{kind: "nothing"}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a refused request: %v", err)
	}
}
