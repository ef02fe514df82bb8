// What was counted of a stream.

package stream

import (
	"net/netip"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// States of a stream at its receiver.
const (
	StateWaiting    = "waiting"      // granted, and no packet of the source came
	StateNoKeyFrame = "no key frame" // packets come, but a decoder cannot begin yet
	StateDamaged    = "damaged"      // packets come, but no picture that can be shown
	StateStreaming  = "streaming"
	StateSilent     = "silent" // packets came and stopped, or the source said BYE
)

// Stats are the counts since the grant, and the figures of the moment. Whoever wants a rate of another
// time than the last second takes the difference of two.
type Stats struct {
	State    string         `json:"state"`
	SSRC     uint32         `json:"ssrc"`
	Address  netip.AddrPort `json:"address"`           // from which it comes or came; not valid before
	Stranger netip.AddrPort `json:"stranger,omitzero"` // somebody else who sends here now
	Begun    time.Time      `json:"begun"`             // the grant
	HeardAt  time.Time      `json:"heard_at,omitzero"` // the last packet
	Active   time.Duration  `json:"active_ns"`         // in which packets came
	Width    int            `json:"width"`
	Height   int            `json:"height"`

	// Of the last whole second.
	FPS       float64        `json:"fps"`
	Bitrate   float64        `json:"bitrate"`   // bit/s, RTP headers included
	Loss      float64        `json:"loss"`      // of packets, before resends
	Quantizer int            `json:"quantizer"` // y_ac_qi of the newest frame, 0 to 127 (RFC 6386 section 9.6)
	Jitter    time.Duration  `json:"jitter_ns"` // RFC 3550 section A.8
	RTT       *time.Duration `json:"rtt_ns"`    // nil: not known
	Delay     *time.Duration `json:"delay_ns"`  // capture to whole frame, mean of the last second; nil: not known
	DelayBy   string         `json:"delay_by"`  // one of the Delay constants
	FrozenNow bool           `json:"frozen"`    // no new picture for FreezeMin

	// Counts.
	Packets       uint64 `json:"packets"` // RTP of the source, each once
	Bytes         uint64 `json:"bytes"`   // of them, with RTP headers
	Expected      uint64 `json:"expected"`
	Lost          int64  `json:"lost"` // RFC 3550 section A.3
	Reordered     uint64 `json:"reordered"`
	Duplicates    uint64 `json:"duplicates"`
	Resent        uint64 `json:"resent"` // packets that came by RFC 4588
	Healed        uint64 `json:"healed"` // missing packets that came after a NACK
	NACKs         uint64 `json:"nacks"`  // packets that were requested, each as often as it was
	PLIs          uint64 `json:"plis"`
	Feedback      uint64 `json:"feedback"` // transport-wide, sent
	Reports       uint64 `json:"reports"`  // RR, sent
	SenderReports uint64 `json:"sender_reports"`
	Frames        uint64 `json:"frames"` // whole
	KeyFrames     uint64 `json:"key_frames"`
	Damaged       uint64 `json:"damaged"` // of Frames: what they refer to is missing or broken
	Broken        uint64 `json:"broken"`  // of Frames: no decoder can read them
	LostFrames    uint64 `json:"lost_frames"`
	Freezes       uint64 `json:"freezes"` // times without a new picture for FreezeMin, while the source sent
	Malformed     uint64 `json:"malformed"`
	Foreign       uint64 `json:"foreign"`  // packets of somebody else
	Forged        uint64 `json:"forged"`   // SRTP and SRTCP that did not authenticate
	Repeated      uint64 `json:"repeated"` // SRTP that came before
	ByesIgnored   uint64 `json:"byes_ignored"`

	DelaySum   time.Duration `json:"delay_sum_ns"` // over DelayCount frames
	DelayCount uint64        `json:"delay_count"`
	Records    []string      `json:"records,omitempty"` // files that are written now
	Problem    string        `json:"problem,omitempty"` // why it is not recorded or forwarded
}

// Named are the Stats of one of many streams, as a receiver lists them; the rest is of its Grant.
type Named struct {
	ID       string
	Customer int64
	Source   wire.ID
	Stats    Stats
}

// FreezeMin is how long no new picture is a freeze. A camera in the dark may go down to 5 fps.
const FreezeMin = 500 * time.Millisecond

// How Delay was found.
const (
	DelayByClock   = "ntp-64"                 // two synchronised clocks: the whole delay
	DelayByReports = "sender reports"         // without what the fastest report took on its way
	DelayUnknown   = ""                       // no report or header extension came yet
	DelayUnsynced  = "clock not synchronised" // the source's clock cannot be used
)
