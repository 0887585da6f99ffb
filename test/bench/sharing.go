package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// four is how many workers share the socket.
const four = 4

// sharing loads four of gunicorn's workers by wrk in turns: kept by gunicorn itself,
// and each of them a gunicorn of its own that memsup gave the socket. memsup is in
// nobody's way there, so that a request has to take as long.
func sharing(e extent, memsup, dir string) (*table, error) {
	const itself = "gunicorn's own prefork"
	t := newTable(itself)
	for program, apt := range map[string]string{"gunicorn": "gunicorn", "wrk": "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			fmt.Printf("Left out, because %s is not installed (apt install %s): requests over a shared socket.\n", program, apt)
			return nil, nil
		}
	}
	const app = "def app(environ, start_response):\n    start_response('200 OK', [('Content-Length', '3')])\n    return [b'ok\\n']\n"
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"app.py":      app,
		"Procfile":    "web: gunicorn --workers 1 app:app\n",
		"memsup.toml": fmt.Sprintf("[web]\nworkers = %d\nlisten = \"tcp://127.0.0.1:%d\"\nready = \"1s\"\n", four, port),
	}
	dir = filepath.Join(dir, "sharing")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	kinds := []struct {
		name      string
		processes int // of gunicorn
		argv      []string
	}{
		{"memsup", 2 * four, []string{memsup, "run", "--control", filepath.Join(dir, "control.sock"), "--log-level", "error"}},
		{itself, 1 + four, []string{"gunicorn", "--workers", strconv.Itoa(four), "--bind", fmt.Sprintf("127.0.0.1:%d", port), "app:app"}},
	}
	r := t.row(fmt.Sprintf("1,000 requests to %d gunicorn workers on one socket, ms", four), within(itself, 1/0.97))
	for i := range e.shares {
		for j := range kinds {
			k := &kinds[(i+j)%len(kinds)]
			rate, err := loaded(k.argv, k.processes, dir, port, e.load)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			r.add(k.name, 1e6/rate)
		}
	}
	return t, nil
}

// loaded is how many requests a second a server answers, once so many processes of
// gunicorn run.
func loaded(argv []string, processes int, dir string, port int, load time.Duration) (rate float64, err error) {
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		return 0, err
	}
	defer said.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		names, err := tree(cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		n := 0
		for _, name := range names {
			if strings.HasPrefix(name, "gunicorn") {
				n++
			}
		}
		if n >= processes && answers(url) {
			break
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(said.Name())
			return 0, fmt.Errorf("%d of %d processes of gunicorn run, and none answers\n%s", n, processes, text)
		}
	}
	for _, length := range []time.Duration{time.Second, load} { // the first one warms it
		out, err := exec.Command("wrk", "--threads", "1", "--connections", "16", "--duration",
			fmt.Sprintf("%.0fs", length.Seconds()), url).Output()
		if err != nil {
			return 0, fmt.Errorf("wrk: %w", err)
		}
		_, figure, found := strings.Cut(string(out), "Requests/sec:")
		if _, err := fmt.Sscan(figure, &rate); !found || err != nil || rate <= 0 {
			return 0, fmt.Errorf("wrk says no rate: %q", out)
		}
		if strings.Contains(string(out), "Non-2xx") {
			return 0, fmt.Errorf("wrk had other answers: %q", out)
		}
	}
	return rate, nil
}

func answers(url string) bool {
	r, err := http.Get(url)
	if err != nil {
		return false
	}
	r.Body.Close()
	return r.StatusCode == http.StatusOK
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
