package supervisor

import (
	"fmt"
	"time"

	"github.com/memsup/memsup/record"
)

// openRecording begins the recording that the user asked for.
func (s *supervisor) openRecording() (err error) {
	if s.c.Record == "" {
		return nil
	}
	if s.recorder, err = record.Create(s.c.Record, s.c.Version); err != nil {
		return fmt.Errorf("cannot record: %w", err)
	}
	return nil
}

// recordingFailed ends a recording that the disk refused. Workers matter more.
func (s *supervisor) recordingFailed(err error) {
	s.log.warn("cannot record any further", "error", err)
	s.recorder.Close()
	s.recorder = nil
}

// closeRecording gives the disk a moment for the last lines.
func (s *supervisor) closeRecording() {
	if s.recorder == nil {
		return
	}
	s.recorder.Close()
	select {
	case <-s.recorder.Failed():
	case <-time.After(time.Second):
	}
}
