// A receiver's reference time, by whose echo it knows the round trip: it sends no SR that we could
// refer to. Spec: RFC 3611 sections 2, 3 and 4.4.

package feedback

import "encoding/binary"

const (
	referenceBlock     = 4 // BT of a receiver reference time
	referenceBlockSize = 8 // of its NTP time, behind the block's header
	blockHeaderSize    = 4
)

// parseExtended reads an extended report, of which a reference time is all that anybody acts on.
func parseExtended(b []byte) (m Message, ok bool) {
	if len(b) < HeaderSize+ssrcSize {
		return Message{Kind: ReferenceTime}, false
	}
	m = Message{Kind: Other, Sender: binary.BigEndian.Uint32(b[HeaderSize:])}
	for blocks := b[HeaderSize+ssrcSize:]; len(blocks) > 0; {
		if len(blocks) < blockHeaderSize {
			return Message{Kind: ReferenceTime}, false
		}
		size := 4 * int(binary.BigEndian.Uint16(blocks[2:]))
		body := blocks[blockHeaderSize:]
		if size > len(body) {
			return Message{Kind: ReferenceTime}, false
		}
		if blocks[0] == referenceBlock && size == referenceBlockSize {
			m.Kind = ReferenceTime
			m.Reference = binary.BigEndian.Uint32(body[2:]) // the middle of the NTP time
		}
		blocks = body[size:]
	}
	return m, true
}
