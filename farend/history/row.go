// One second of a stream, and how it is written as a line of CSV.

package history

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/stream"
)

// A Row is one second of a stream. It is small rather than exact: times are in milliseconds, as a chart
// needs them, and NaN if they are not known.
type Row struct {
	ms int64 // since 1970

	Packets, Bytes, Frames   uint64 // since the grant, as all counts
	Lost                     int32
	LostFrames, Resent       uint32
	KeyFrames, Freezes       uint32
	FPS, Kbit, Loss          float32 // kbit/s; 0 to 1
	JitterMS, RTTMS, DelayMS float32
	Width, Height            uint16
	Quantizer, state         uint8
}

// states are those of a stream at its receiver.
var states = [...]string{"", stream.StateWaiting, stream.StateNoKeyFrame, stream.StateDamaged,
	stream.StateStreaming, stream.StateSilent}

// StateEnded stands in the last line of a stream that is over.
const StateEnded = "ended"

// State is one of the states of a stream at its receiver.
func (r *Row) State() string { return states[r.state] }

// At is when the row was made, to the millisecond.
func (r *Row) At() time.Time { return time.UnixMilli(r.ms).UTC() }

// MakeRow is the row of s at a time.
func MakeRow(s *stream.Stats, at time.Time) Row {
	return Row{
		ms: at.UnixMilli(), Packets: s.Packets, Bytes: s.Bytes, Frames: s.Frames,
		Lost:       int32(min(max(s.Lost, math.MinInt32), math.MaxInt32)),
		LostFrames: fit32(s.LostFrames), Resent: fit32(s.Resent),
		KeyFrames: fit32(s.KeyFrames), Freezes: fit32(s.Freezes),
		FPS: float32(s.FPS), Kbit: float32(s.Bitrate / 1000), Loss: float32(s.Loss),
		JitterMS: milliseconds(&s.Jitter), RTTMS: milliseconds(s.RTT), DelayMS: milliseconds(s.Delay),
		Width: fit16(s.Width), Height: fit16(s.Height), Quantizer: uint8(min(max(s.Quantizer, 0), math.MaxUint8)),
		state: uint8(max(slices.Index(states[:], s.State), 0)),
	}
}

func fit32(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func fit16(n int) uint16 { return uint16(min(max(n, 0), math.MaxUint16)) }

func milliseconds(d *time.Duration) float32 {
	if d == nil {
		return float32(math.NaN())
	}
	return float32(float64(*d) / 1e6)
}

// CSVHeader names the columns of AppendCSV, which follow those that the caller writes.
const CSVHeader = "time,state,fps,kbit_per_s,loss_percent,jitter_ms,rtt_ms,delay_ms,quantizer,width,height," +
	"packets,bytes,lost,resent,frames,key_frames,lost_frames,freezes"

// AppendCSV appends r as a line without its end. state is r.State(), or StateEnded.
func (r *Row) AppendCSV(b []byte, state string) []byte {
	b = r.At().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(append(b, ','), state...)
	for _, one := range []struct {
		value    float32
		decimals int
	}{{r.FPS, 1}, {r.Kbit, 1}, {r.Loss * 100, 2}, {r.JitterMS, 2}, {r.RTTMS, 2}, {r.DelayMS, 1}} {
		b = append(b, ',')
		if !math.IsNaN(float64(one.value)) { // what is not known is an empty cell
			b = strconv.AppendFloat(b, float64(one.value), 'f', one.decimals, 32)
		}
	}
	for _, n := range []int64{
		int64(r.Quantizer), int64(r.Width), int64(r.Height), int64(r.Packets), int64(r.Bytes), int64(r.Lost),
		int64(r.Resent), int64(r.Frames), int64(r.KeyFrames), int64(r.LostFrames), int64(r.Freezes),
	} {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	return b
}
