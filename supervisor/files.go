package supervisor

import "github.com/memsup/memsup/filewatch"

// watchFiles has the user's files watched from now on, as they were read; none ends it.
func (s *supervisor) watchFiles(files []filewatch.File) {
	switch {
	case len(files) == 0:
		s.watched.Close()
		s.watched = nil
	case s.watched == nil:
		s.watched = filewatch.Start(files)
	default:
		s.watched.Follow(files)
	}
}

// filesChanged reads the user's files anew.
func (s *supervisor) filesChanged(err error) {
	if err != nil {
		s.watched = nil
		s.log.warn("cannot watch Procfile, .env and memsup.toml: send SIGHUP after a change", "error", err)
		return
	}
	s.log.debug("the user's files have changed")
	s.reload()
}
