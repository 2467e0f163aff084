package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/s2"
)

// maxBody bounds what one stored body may unpack to: far above any report, far below what a damaged
// or forged row could ask for.
const maxBody = 64 << 20

// A packed body is CRC-32C of the body, four octets, big endian, and a block of S2: a third of what Zstandard costs,
// and a quarter longer. The checksum finds a body that the disk has changed; SQLite itself keeps none.
const checksum = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bodyBuffers are for packed bodies, until the statement that stores one has run. Each is as
// long as a report.
var bodyBuffers = sync.Pool{New: func() any { return new([]byte) }}

// pack gives a body packed, until done is called.
func pack(body []byte) (packed []byte, done func()) {
	room := bodyBuffers.Get().(*[]byte)
	if need := checksum + s2.MaxEncodedLen(len(body)); cap(*room) < need {
		*room = make([]byte, need)
	}
	b := (*room)[:cap(*room)]
	binary.BigEndian.PutUint32(b, crc32.Checksum(body, castagnoli))
	n := len(s2.Encode(b[checksum:], body))
	return b[:checksum+n], func() {
		if cap(*room) <= largestBuffer {
			bodyBuffers.Put(room)
		}
	}
}

// largestRoom is kept: a report's. A mail that is passed on to the operator may be larger by far.
const largestBuffer = 128 << 10

// errDamaged: the body is not the one that was stored.
var errDamaged = errors.New("its checksum is another")

func unpack(packed []byte) ([]byte, error) {
	body, err := unpacked(packed)
	if err != nil {
		return nil, fmt.Errorf("stored body: %w", err)
	}
	return body, nil
}

func unpacked(packed []byte) ([]byte, error) {
	if len(packed) < checksum {
		return nil, s2.ErrCorrupt
	}
	n, err := s2.DecodedLen(packed[checksum:])
	if err != nil {
		return nil, err
	}
	if n > maxBody {
		return nil, s2.ErrTooLarge
	}
	body, err := s2.Decode(nil, packed[checksum:])
	if err == nil && crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(packed) {
		err = errDamaged
	}
	return body, err
}
