package smtpd

import (
	"io"
	"os"
	"sync/atomic"
)

// inMemory is how much of a message is held in memory; a larger one lies in a file as a whole.
const inMemory = 64 << 10

// spool holds one message. It is an io.ReaderAt for all that was written, until Close.
type spool struct {
	folder string
	memory []byte
	file   *os.File
	size   int64

	buffered *atomic.Int64 // octets in memory of all spools
	most     int64         // of these
	held     int64         // of them this one's
}

// Write implements io.Writer.
func (s *spool) Write(b []byte) (int, error) {
	if s.file == nil && (s.size+int64(len(b)) > inMemory || !s.hold(int64(len(b)))) {
		if err := s.move(); err != nil {
			return 0, err
		}
	}
	if s.file == nil {
		s.memory = append(s.memory, b...)
	} else if _, err := s.file.Write(b); err != nil {
		return 0, err
	}
	s.size += int64(len(b))
	return len(b), nil
}

// hold takes room in memory; false: there is none.
func (s *spool) hold(n int64) bool {
	if s.buffered.Add(n) > s.most {
		s.buffered.Add(-n)
		return false
	}
	s.held += n
	return true
}

// free gives that room back.
func (s *spool) free() {
	s.buffered.Add(-s.held)
	s.memory, s.held = nil, 0
}

// move puts the message into a file without a name, which is gone with the process, however that ends.
func (s *spool) move() error {
	f, err := os.CreateTemp(s.folder, "mail-*.tmp")
	if err != nil {
		return err
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	if _, err := f.Write(s.memory); err != nil {
		return err
	}
	s.free()
	return nil
}

// ReadAt implements io.ReaderAt.
func (s *spool) ReadAt(b []byte, off int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(b, off)
	}
	if off >= int64(len(s.memory)) {
		return 0, io.EOF
	}
	n := copy(b, s.memory[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// Close gives the room back.
func (s *spool) Close() error {
	s.free()
	s.size = 0
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
