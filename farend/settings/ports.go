// Which UDP ports streams arrive at.

package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// Ports are one pair for all streams (RTP, RTCP), one port for all (RTP equal to RTCP), or a pool of pairs,
// one for each stream (First to Last; an even and the next odd number are a pair).
type Ports struct {
	RTP, RTCP   int // 0: any free port
	First, Last int // 0: no pool
}

// Below portMin a source refuses to send.
const portMin = 1024

const portsForm = "RTP,RTCP for all streams (5004,5005), one port for all and for both (5004), " +
	"or FIRST-LAST, a pair for each stream (20000-20999)"

// ports takes what ParsePorts reads.
func ports(to *Ports) Value {
	set := func(s string) error {
		p, err := ParsePorts(s)
		if err == nil {
			*to = p
		}
		return err
	}
	return Value{Kind: Text, Hint: "PORTS", Form: portsForm, set: set, show: func() string { return to.String() }}
}

// ParsePorts reads what String writes.
func ParsePorts(s string) (Ports, error) {
	first, last, isPool := strings.Cut(s, "-")
	rtp, rtcp, isPair := strings.Cut(s, ",")
	switch {
	case isPool:
		return parsePool(first, last)
	case !isPair:
		rtcp = rtp
	}
	a, errA := parsePort(rtp)
	b, errB := parsePort(rtcp)
	switch {
	case errA != nil || errB != nil:
		return Ports{}, errForm
	case a != 0 && a < portMin || b != 0 && b < portMin:
		return Ports{}, fmt.Errorf("%s: must be from %d: a source refuses others", s, portMin)
	case isPair && a == b && a != 0:
		return Ports{}, fmt.Errorf("%s: the two must differ; one port for both is written %d", s, a)
	case !isPair && a == 0:
		return Ports{}, fmt.Errorf("%s: one port for both must be a certain one", s)
	}
	return Ports{RTP: a, RTCP: b}, nil
}

func parsePool(first, last string) (Ports, error) {
	a, errA := parsePort(first)
	b, errB := parsePort(last)
	switch {
	case errA != nil || errB != nil:
		return Ports{}, errForm
	case a < portMin:
		return Ports{}, fmt.Errorf("%d-%d: must be from %d: a source refuses others", a, b, portMin)
	case a%2 != 0 || b%2 != 1 || b < a:
		return Ports{}, fmt.Errorf("%d-%d: must begin with an even number and end with an odd one", a, b)
	}
	return Ports{First: a, Last: b}, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	return int(n), err
}

// String gives the shortest form that ParsePorts reads.
func (p Ports) String() string {
	switch {
	case p.First != 0:
		return fmt.Sprintf("%d-%d", p.First, p.Last)
	case p.RTP == p.RTCP && p.RTP != 0:
		return strconv.Itoa(p.RTP)
	}
	return fmt.Sprintf("%d,%d", p.RTP, p.RTCP)
}
