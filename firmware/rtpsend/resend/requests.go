// What the receiver asks for, on its way from the goroutine that reads RTCP to the one that
// sends.

package resend

// maxRequests is how many packets can be asked for between two resends: a NACK of one Ethernet
// frame could ask for 6,000.
const maxRequests = 256

// Requests are the sequence numbers that wait for Resender.TakeRequests. The caller's lock guards
// them.
type Requests struct {
	list [maxRequests]uint16
	n    int
}

// Add notes a request; false: there is no room for it.
func (r *Requests) Add(sequence uint16) bool {
	if r.n == maxRequests {
		return false
	}
	r.list[r.n] = sequence
	r.n++
	return true
}
