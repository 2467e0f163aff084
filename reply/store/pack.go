package store

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxBody bounds what one stored body may unpack to: far above any report, far below what a damaged
// or forged row could ask for.
const maxBody = 64 << 20

// packer compresses bodies. Both halves may be used from many goroutines.
type packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newPacker() (*packer, error) {
	// The checksum finds a body that the disk has changed; SQLite itself keeps none.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBody))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &packer{enc, dec}, nil
}

func (p *packer) pack(body []byte) []byte { return p.enc.EncodeAll(body, nil) }

func (p *packer) unpack(packed []byte) ([]byte, error) {
	body, err := p.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("stored body: %w", err)
	}
	return body, nil
}

func (p *packer) close() {
	p.dec.Close()
	_ = p.enc.Close() // it holds no stream
}
