// The messages between gateway and video server. What is read has limits; fields that are not known
// change nothing.

package videoserver

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// messageMax, in bytes, is many times the longest message.
const messageMax = 16 << 10

// beginMessage is a stream.Grant.
type beginMessage struct {
	ID          string   `json:"id"`
	Customer    int64    `json:"customer"`
	Source      wire.ID  `json:"source"`
	Asker       string   `json:"asker,omitempty"`
	SSRC        uint32   `json:"ssrc,omitempty"`
	Offer       []string `json:"offer,omitempty"`
	Profile     string   `json:"srtp_profile,omitempty"`
	SourceKey   string   `json:"srtp_key,omitempty"`  // secret
	ReceiverKey string   `json:"srtcp_key,omitempty"` // secret
	Width       int      `json:"width"`
	Height      int      `json:"height"`
	LeaseS      int      `json:"lease_s,omitempty"`
}

func messageOf(g stream.Grant) beginMessage {
	m := beginMessage{
		ID: g.ID, Customer: g.Customer, Source: g.Source, Asker: textOf(g.Asker), SSRC: g.SSRC, Offer: g.Offer,
		Width: g.Width, Height: g.Height, LeaseS: int(math.Ceil(g.Lease.Seconds())),
	}
	if g.SRTP != nil {
		m.Profile = g.SRTP.Profile
		m.SourceKey = base64.StdEncoding.EncodeToString(g.SRTP.Source)
		m.ReceiverKey = base64.StdEncoding.EncodeToString(g.SRTP.Receiver)
	}
	return m
}

func textOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

var errMessage = errors.New("the message cannot be used")

func (m beginMessage) grant() (stream.Grant, error) {
	if !isStreamID(m.ID) {
		return stream.Grant{}, fmt.Errorf("%w: id: 1 to %d letters and digits are wanted", errMessage, idMax)
	}
	asker, err := parseAsker(m.Asker)
	if err != nil {
		return stream.Grant{}, err
	}
	keys, err := wire.Answer{Profile: m.Profile, SourceKey: m.SourceKey, ReceiverKey: m.ReceiverKey}.SRTP()
	if err != nil {
		return stream.Grant{}, fmt.Errorf("%w: %w", errMessage, err)
	}
	if m.LeaseS < 0 || m.LeaseS > leaseMax {
		return stream.Grant{}, fmt.Errorf("%w: lease_s: 0 to %d are wanted", errMessage, leaseMax)
	}
	return stream.Grant{
		ID: m.ID, Customer: m.Customer, Source: m.Source, Asker: asker, SSRC: m.SSRC, Offer: m.Offer, SRTP: keys,
		Width: m.Width, Height: m.Height, Lease: time.Duration(m.LeaseS) * time.Second,
	}, nil
}

const (
	idMax    = 64    // bytes
	leaseMax = 86400 // s
)

// isStreamID keeps what becomes a part of paths to letters and digits.
func isStreamID(s string) bool {
	for _, r := range []byte(s) {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') {
			return false
		}
	}
	return s != "" && len(s) <= idMax
}

func parseAsker(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: asker is no IP address", errMessage)
	}
	return a.Unmap().WithZone(""), nil
}

// placeMessage is a stream.Place.
type placeMessage struct {
	Host        string `json:"host,omitempty"`
	RTPPort     int    `json:"rtp_port"`
	RTCPPort    int    `json:"rtcp_port"`
	RTX         bool   `json:"rtx,omitempty"`
	Transport   uint8  `json:"twcc,omitempty"`
	CaptureTime uint8  `json:"ntp-64,omitempty"`
}

// check finds what no source could use.
func (m placeMessage) check() error {
	for _, port := range []int{m.RTPPort, m.RTCPPort} {
		if port < 1024 || port > 65535 {
			return fmt.Errorf("%w: port %d: sources send to 1024 to 65535 only", errMessage, port)
		}
	}
	if max(m.Transport, m.CaptureTime) > 14 || m.Transport != 0 && m.Transport == m.CaptureTime {
		return fmt.Errorf("%w: header extensions %d and %d: two IDs of 1 to 14 are wanted",
			errMessage, m.Transport, m.CaptureTime)
	}
	return nil
}

type capturedMessage struct {
	Asker string `json:"asker,omitempty"`
}

type verdictMessage struct {
	Code  *int   `json:"code"`
	Words string `json:"words,omitempty"`
}

type endMessage struct {
	Because string `json:"because,omitempty"`
}

// A refusal is an answer that says no.
type refusal struct {
	Error string `json:"error"`
	Words string `json:"words,omitempty"`
}

// refusals are the errors that have a word of their own, by word and HTTP status.
var refusals = []struct {
	err    error
	word   string
	status int
}{
	{stream.ErrUnknown, "unknown", http.StatusNotFound},
	{stream.ErrFull, "full", http.StatusServiceUnavailable},
	{stream.ErrUnreachable, "ending", http.StatusServiceUnavailable},
	{stream.ErrAmbiguous, "ambiguous", http.StatusConflict},
	{stream.ErrNeedsMux, "rtcp-mux", http.StatusConflict},
	{os.ErrDeadlineExceeded, "silent", http.StatusRequestTimeout},
	{errMessage, "message", http.StatusBadRequest},
}

// refusalOf says err to the other end.
func refusalOf(err error) (int, refusal) {
	for _, one := range refusals {
		if errors.Is(err, one.err) {
			return one.status, refusal{one.word, err.Error()}
		}
	}
	return http.StatusInternalServerError, refusal{"failed", err.Error()}
}

// errorOf is what the other end said.
func errorOf(status int, body []byte) error {
	var r refusal
	_ = json.Unmarshal(body, &r) // without a word it counts as failed
	words := wire.Printable(r.Words)
	for _, one := range refusals {
		if r.Error == one.word {
			return fmt.Errorf("%w (HTTP %d, %q)", one.err, status, words)
		}
	}
	return fmt.Errorf("HTTP %d, %q %q", status, wire.Printable(r.Error), words)
}
