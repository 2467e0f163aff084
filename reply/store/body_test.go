package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/klauspost/compress/s2"
)

func TestPack(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("a report "), 8000), bytes.Repeat([]byte{0, 255, 3, 7}, largestBuffer)} {
		packed, done := pack(body)
		if got, err := unpack(packed); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d octets: got %d, %v", len(body), len(got), err)
		}
		// A changed octet is found, whichever it is.
		for _, at := range []int{0, 3, len(packed) / 2, len(packed) - 1} {
			other := bytes.Clone(packed)
			other[at] ^= 1
			if got, err := unpack(other); err == nil {
				t.Errorf("%d octets, octet %d of %d changed: got %d octets", len(body), at, len(packed), len(got))
			}
		}
		done()
	}
	for _, packed := range [][]byte{nil, {1, 2, 3}, {0, 0, 0, 0}, append(make([]byte, 4), "no block"...)} {
		if _, err := unpack(packed); err == nil {
			t.Errorf("%x is unpacked", packed)
		}
	}
	if _, err := unpack(append(make([]byte, 4), 0xff, 0xff, 0xff, 0xff, 3)); !errors.Is(err, s2.ErrTooLarge) {
		t.Errorf("a body beyond the bound: %v", err)
	}
}

// What is stored may be damaged.
func FuzzUnpack(f *testing.F) {
	for _, body := range []string{"", "a report", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		packed, done := pack([]byte(body))
		f.Add(bytes.Clone(packed))
		done()
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		body, err := unpack(packed)
		if err != nil {
			return
		}
		again, done := pack(body)
		defer done()
		if got, err := unpack(again); err != nil || !bytes.Equal(got, body) {
			t.Errorf("got %d octets, %v, want %d", len(got), err, len(body))
		}
	})
}
