package supervisor

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestDial(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	answers := make(chan string)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer, ok := <-answers
			if !ok {
				return
			}
			buffer := make([]byte, 1<<10)
			n, _ := conn.Read(buffer)
			if request := string(buffer[:n]); strings.HasPrefix(request, "GET /a?b HTTP/1.0\r\nHost: 127.0.0.1:") && strings.HasSuffix(request, "\r\n\r\n") {
				_, _ = conn.Write([]byte(answer))
			}
			conn.Close()
		}
	}()
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\n\r\nwell":       "",
		"HTTP/1.0 399 \n":                   "",
		"HTTP/1.1 199 Early\r\n":            "GET /a?b answered 199",
		"HTTP/1.1 404 Not Found\r\n\r\n":    "GET /a?b answered 404",
		"HTTP/1.1 2000\r\n":                 "GET /a?b: the answer is no HTTP",
		"HTTP/1.1 -20\r\n":                  "GET /a?b: the answer is no HTTP",
		"220 mail.example.com\r\n":          "GET /a?b: the answer is no HTTP",
		"HTTP/1.1 200 without an end":       "GET /a?b: no answer: EOF",
		"\r\n":                              "GET /a?b: the answer is no HTTP",
		strings.Repeat("x", 2<<10) + "\r\n": "GET /a?b: no answer: bufio: buffer full",
	} {
		got := make(chan error)
		go func() { got <- dial(port, "/a?b", time.Minute) }()
		answers <- answer
		err := <-got
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != want {
			t.Errorf("%.40q: got %q, want %q", answer, text, want)
		}
	}
	if err := dial(port, "", time.Minute); err != nil {
		t.Errorf("connecting alone: %v", err)
	}
	close(answers)
	listener.Close()
	if err := dial(port, "", time.Minute); err == nil {
		t.Error("connected to nobody")
	}
}
