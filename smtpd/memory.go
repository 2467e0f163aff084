package smtpd

import "checkauth/verify/share"

// block is how many octets a unit of memory has. A network that has one unit more than nothing can have a usual header.
const block = 8 << 10

// memory is what one part of a message (its header, its body) holds of the memory for all messages.
type memory struct {
	hold   *share.Hold
	blocks int
}

// reserve takes the blocks that size octets need in all, beyond those that are there.
func (m *memory) reserve(size int64) error {
	more := int((size+block-1)/block) - m.blocks
	if more <= 0 || m.hold == nil {
		return nil
	}
	if err := m.hold.Take(more); err != nil {
		return err
	}
	m.blocks += more
	return nil
}

// free gives all of it back.
func (m *memory) free() {
	if m.hold != nil {
		m.hold.Give()
	}
	m.blocks = 0
}
