package single

import (
	"errors"
	"net/netip"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// server is a VideoServer that does as it is told.
type server struct {
	begin, err    error
	code          int // what Captured says
	begins, ended int
	keys          *wire.SRTP
	ssrc          uint32     // announced
	asker         netip.Addr // of the last Begin or Captured
}

func (s *server) Begin(k *wire.SRTP, ssrc uint32, asker netip.Addr) error {
	s.begins++
	s.keys, s.ssrc, s.asker = k, ssrc, asker
	return s.begin
}
func (s *server) Ports() (int, int)  { return 5004, 5005 }
func (s *server) TransportID() uint8 { return 5 }
func (s *server) Captured(asker netip.Addr) (int, string, error) {
	s.asker = asker
	return s.code, "stream captured", s.err
}
func (s *server) End() { s.ended++ }

var errDisk = errors.New("disk full")
