package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"path/filepath"
	"strconv"
	"strings"
)

// Types of FastCGI's records, and the role (FastCGI 1.0, chapters 3 and 8).
const (
	beginRequest = 1
	endRequest   = 3
	params       = 4
	stdin        = 5
	stdout       = 6
	stderr       = 7
	responder    = 1
)

// fastCGI asks PHP's index.php, with a connection for each request.
func fastCGI(dir string) asker {
	return func(ctx context.Context, r request) (int, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "0"))
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		var pairs bytes.Buffer
		for _, p := range [][2]string{
			{"SCRIPT_FILENAME", "/app/index.php"},
			{"REQUEST_METHOD", "GET"},
			{"SERVER_PROTOCOL", "HTTP/1.1"},
			{"QUERY_STRING", r.query()},
		} {
			pairs.Write([]byte{byte(len(p[0])), byte(len(p[1]))}) // each is shorter than 128 bytes
			pairs.WriteString(p[0] + p[1])
		}
		var out bytes.Buffer
		record(&out, beginRequest, []byte{0, responder, 0, 0, 0, 0, 0, 0})
		record(&out, params, pairs.Bytes())
		record(&out, params, nil)
		record(&out, stdin, nil)
		if _, err := out.WriteTo(conn); err != nil {
			return 0, err
		}
		answer, err := response(bufio.NewReader(conn))
		if err != nil {
			return 0, err
		}
		header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(answer))).ReadMIMEHeader()
		if err != nil {
			return 0, fmt.Errorf("%s: %w", r.query(), err)
		}
		if status := header.Get("Status"); status != "" && !strings.HasPrefix(status, "200") {
			return 0, fmt.Errorf("%s: %s", r.query(), status)
		}
		return strconv.Atoi(header.Get("X-Pid"))
	}
}

// record writes one record of request 1.
func record(out *bytes.Buffer, kind byte, content []byte) {
	out.Write([]byte{1, kind, 0, 1})
	_ = binary.Write(out, binary.BigEndian, uint16(len(content)))
	out.Write([]byte{0, 0})
	out.Write(content)
}

// response reads records until the request's end and returns its stdout.
func response(in *bufio.Reader) ([]byte, error) {
	var out bytes.Buffer
	for {
		var header [8]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return nil, err
		}
		content := make([]byte, binary.BigEndian.Uint16(header[4:]))
		if _, err := io.ReadFull(in, content); err != nil {
			return nil, err
		}
		if _, err := in.Discard(int(header[6])); err != nil { // padding
			return nil, err
		}
		switch header[1] {
		case stdout:
			out.Write(content)
		case stderr:
			return nil, fmt.Errorf("the server says: %s", content)
		case endRequest:
			return out.Bytes(), nil
		}
	}
}
