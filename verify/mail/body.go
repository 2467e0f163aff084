package mail

import (
	"errors"
	"io"
	"sync"
)

// Data is a stretch of bytes that can be read by several readers at once: a whole message or its body.
// It is held once, in memory or in a file; the holder closes it after the last reader has ended.
type Data struct {
	At   io.ReaderAt
	Off  int64 // where it begins in At
	Size int64 // octets
}

// Reader reads it from the start.
func (d Data) Reader() *io.SectionReader {
	if d.At == nil {
		return io.NewSectionReader(noData{}, 0, 0)
	}
	return io.NewSectionReader(d.At, d.Off, d.Size)
}

// CopyTo writes all of it.
func (d Data) CopyTo(w io.Writer) (int64, error) { return Copy(w, d.Reader()) }

// Copy is io.Copy with a buffer that is used again.
func Copy(w io.Writer, r io.Reader) (int64, error) {
	buffer := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buffer)
	// Neither side may bring a buffer of its own.
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, buffer[:])
}

var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// From is what follows the first n octets.
func (d Data) From(n int64) Data {
	n = min(max(n, 0), d.Size)
	return Data{At: d.At, Off: d.Off + n, Size: d.Size - n}
}

// ErrEmpty: there is not one octet to look at.
var ErrEmpty = errors.New("the message is empty")

// Split reads the header of a whole message and tells where its body is. A message without the empty
// line is its header alone. The error is ErrEmpty, a *BoundError or the reader's.
func Split(whole Data, b Bounds) (Fields, Data, error) {
	if whole.Size == 0 {
		return nil, Data{}, ErrEmpty
	}
	// Two more than allowed, so that a header of exactly the bound is seen with its empty line.
	head := make([]byte, min(whole.Size, int64(b.Bytes)+2))
	if _, err := io.ReadFull(whole.Reader(), head); err != nil {
		return nil, Data{}, err
	}
	header, body, ok := HeaderEnd(head)
	fs, err := Parse(head[:header], b)
	if err != nil {
		return nil, Data{}, err
	}
	if !ok {
		body = int(whole.Size)
	}
	return fs, whole.From(int64(body)), nil
}

type noData struct{}

func (noData) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
