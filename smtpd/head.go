package smtpd

import (
	"bytes"

	"checkauth/verify/mail"
)

// head collects a header while the message comes in.
type head struct {
	bounds mail.Bounds
	bytes  []byte
	line   int // where the last line begins that was not looked at
	done   bool
	body   int // where the body begins; valid when done and empty is true
	empty  bool
	fields mail.Fields
	err    error // *mail.BoundError, or *share.Error where there is no memory
	room   memory
}

// piece of the octets that come is what is looked at at once: little of the body is taken into memory with the header's end.
const piece = 4 << 10

// take looks at the next octets of the message. It is true once, when the header is complete.
func (h *head) take(b []byte) bool {
	for len(b) > 0 && !h.done {
		n := min(piece, len(b))
		if h.takePiece(b[:n]) {
			return true
		}
		b = b[n:]
	}
	return false
}

func (h *head) takePiece(b []byte) bool {
	// Two more than allowed, so that a header of exactly the bound is seen with its empty line.
	room := h.bounds.Bytes + 2 - len(h.bytes)
	full := len(b) >= room
	seen := len(h.bytes)
	if err := h.room.reserve(int64(seen + min(room, len(b)))); err != nil {
		h.done, h.err, h.bytes = true, err, nil
		return false
	}
	h.bytes = append(h.bytes, b[:min(room, len(b))]...)
	// Only a line end brings news, and whole lines are looked at once: one long line that comes octet by
	// octet costs no more than at once.
	if end := bytes.LastIndexByte(h.bytes[seen:], '\n'); end >= 0 {
		header, body, ok := mail.HeaderEnd(h.bytes[h.line:])
		if ok {
			h.body, h.empty = h.line+body, true
			return h.parse(h.bytes[:h.line+header])
		}
		h.line = seen + end + 1
	}
	if full {
		return h.parse(h.bytes)
	}
	return false
}

// end is the end of the message; true where it is the header's too.
func (h *head) end() bool {
	if h.done {
		return false
	}
	return h.parse(h.bytes)
}

func (h *head) parse(header []byte) bool {
	h.done = true
	h.fields, h.err = mail.Parse(header, h.bounds)
	h.bytes = nil
	return h.err == nil
}

// free gives the memory back; the fields are not looked at any more.
func (h *head) free() {
	h.bytes, h.fields = nil, nil
	h.room.free()
}
