package supervisor

import "testing"

// A goroutine that outlives the loop may still log, which must not end PID 1.
func TestLogAfterTheEnd(t *testing.T) {
	l := newLogger(&Config{LogLevel: "error"})
	l.error("before the end")
	l.close()
	l.error("after the end")
	if len(l.queue) != 0 {
		t.Error("a line was queued that nobody writes")
	}
}
