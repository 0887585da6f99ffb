package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// probed is the answer to a check that was made beside the loop.
type probed struct {
	done func(error)
	err  error
}

// lastWords is how long the rest of an answer is listened to: a server whose
// client hangs up at the first line may take that for an error.
const lastWords = 250 * time.Millisecond

// dial connects to a port of this machine, and where there is a path asks for it
// by HTTP/1.0, for which a status from 200 to 399 is a good answer.
func dial(port int, path string, within time.Duration) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	until := time.Now().Add(within)
	conn, err := net.DialTimeout("tcp", address, within)
	if err != nil {
		return err
	}
	defer conn.Close()
	if path == "" {
		return nil
	}
	_ = conn.SetDeadline(until)
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: memsup\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, address); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 1<<10)
	line, err := r.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("GET %s: no answer: %w", path, err)
	}
	code, ok := statusCode(string(line))
	if !ok {
		return fmt.Errorf("GET %s: the answer is no HTTP", path)
	}
	_ = conn.SetReadDeadline(time.Now().Add(lastWords))
	_, _ = io.CopyN(io.Discard, r, 64<<10)
	if code < 200 || code > 399 {
		return fmt.Errorf("GET %s answered %d", path, code)
	}
	return nil
}

// statusCode reads the status line of RFC 9112, such as HTTP/1.1 200 OK.
func statusCode(line string) (int, bool) {
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/") || len(words[1]) != 3 {
		return 0, false
	}
	code, err := strconv.Atoi(words[1])
	return code, err == nil && code >= 100
}
