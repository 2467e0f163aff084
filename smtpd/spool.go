package smtpd

import (
	"io"
	"os"
)

// inMemory is how much of a message is held in memory; a larger one lies in a file as a whole.
const inMemory = 64 << 10

// spool holds one message. It is an io.ReaderAt for all that was written, until Close.
type spool struct {
	folder string
	memory []byte
	file   *os.File
	size   int64

	room memory
}

// Write implements io.Writer.
func (s *spool) Write(b []byte) (int, error) {
	if s.file == nil && (s.size+int64(len(b)) > inMemory || s.room.reserve(s.size+int64(len(b))) != nil) {
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
	s.memory = nil
	s.room.free()
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
	s.memory, s.size = nil, 0
	s.room.free()
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}
