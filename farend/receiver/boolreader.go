// VP8's arithmetic decoder, for the bits of a frame header, each of which is as likely 0 as 1.
// Spec: RFC 6386 section 7.3.

package receiver

// A boolReader reads bits of probability 128. Behind the end of its bytes there are zeros.
type boolReader struct {
	bytes  []byte
	value  uint32 // two bytes
	extent uint32 // "range": 128 to 255
	count  int    // shifts since the last byte
}

func newBoolReader(b []byte) boolReader {
	r := boolReader{bytes: b, extent: 255}
	r.value = r.nextByte() << 8
	r.value |= r.nextByte()
	return r
}

func (r *boolReader) nextByte() uint32 {
	if len(r.bytes) == 0 {
		return 0
	}
	b := r.bytes[0]
	r.bytes = r.bytes[1:]
	return uint32(b)
}

func (r *boolReader) bit() bool {
	const probability = 128
	split := 1 + (r.extent-1)*probability>>8
	one := r.value >= split<<8
	if one {
		r.extent -= split
		r.value -= split << 8
	} else {
		r.extent = split
	}
	for r.extent < 128 {
		r.value <<= 1
		r.extent <<= 1
		if r.count++; r.count == 8 {
			r.count = 0
			r.value |= r.nextByte()
		}
	}
	return one
}

// literal reads an unsigned number, the highest bit first.
func (r *boolReader) literal(bits int) (n int) {
	for range bits {
		n *= 2
		if r.bit() {
			n++
		}
	}
	return n
}

func (r *boolReader) skip(bits int) {
	for range bits {
		r.bit()
	}
}

// skipOptional skips values that are there only if the bit before each says so.
func (r *boolReader) skipOptional(values, bits int) {
	for range values {
		if r.bit() {
			r.skip(bits)
		}
	}
}
