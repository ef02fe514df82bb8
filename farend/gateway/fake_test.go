package gateway

import (
	"errors"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// server is a VideoServer that does as it is told.
type server struct {
	begin, err    error
	packets       bool // what it captures
	frames        bool
	begins, ended int
	keys          *wire.SRTP
}

func (s *server) Begin(k *wire.SRTP) error {
	s.begins++
	s.keys = k
	return s.begin
}
func (s *server) Ports() (int, int)             { return 5004, 5005 }
func (s *server) TransportID() uint8            { return 5 }
func (s *server) Captured() (bool, bool, error) { return s.packets, s.frames, s.err }
func (s *server) End()                          { s.ended++ }

var errDisk = errors.New("disk full")
