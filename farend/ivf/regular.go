// Times in units of the mean time between two frames, for the header's one field of length.

package ivf

import (
	"encoding/binary"
	"math"
)

const (
	// stampsMax bounds memory (4 MB) and the time that Close takes (about 0.3 s and a flush): at 30 fps it is
	// 2.4 hours. A longer file keeps the times as they came.
	stampsMax = 1 << 18

	// A frame's time may be moved by an eighth of the file's length, within these seconds. That is
	// enough for a short file of a busy board or a lossy link, and hardly seen in a long one. What
	// moves more (dusk, an outage) keeps its times.
	shiftShare         = 1. / 8
	shiftMin, shiftMax = 0.3, 2.0

	// rateUnits: rates are rounded to 0.001 frames a second.
	rateUnits = 1000
)

func (w *Writer) keepStamp(time uint64) {
	switch {
	case w.stamps == nil:
	case len(w.stamps) == stampsMax:
		w.stamps = nil
	default:
		w.stamps = append(w.stamps, stamp{w.end, time})
	}
}

// regularUnit gives a unit in which frame i comes at i; not ok: frames are so irregular that a
// time would move too far.
func regularUnit(stamps []stamp, unit Timebase) (regular Timebase, ok bool) {
	if len(stamps) < 2 || unit.Num == 0 || unit.Den == 0 {
		return Timebase{}, false
	}
	first := stamps[0].time
	second := float64(unit.Den) / float64(unit.Num)
	length := float64(stamps[len(stamps)-1].time-first) / second
	rate := math.Round(float64(len(stamps)-1) / length * rateUnits)
	if !(rate >= 1 && rate <= math.MaxUint32) { // also no length at all
		return Timebase{}, false
	}
	shift := min(max(length*shiftShare, shiftMin), shiftMax)
	for i, s := range stamps {
		if at := float64(s.time-first) / second; math.Abs(float64(i)*rateUnits/rate-at) > shift {
			return Timebase{}, false
		}
	}
	return reduce(rateUnits, uint32(rate)), true
}

func reduce(num, den uint32) Timebase {
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	return Timebase{num / a, den / a}
}

// countTimes gives frame i the time i, in this unit. The header says so once all times are on the
// disk: after a power cut it must not turn ticks of the finer unit into hours.
func (w *Writer) countTimes(unit Timebase) error {
	for i, s := range w.stamps {
		b := binary.LittleEndian.AppendUint64(w.buffer[:0], uint64(i))
		if _, err := w.file.WriteAt(b, s.position+frameTimePosition); err != nil {
			return err
		}
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	_, err := w.file.WriteAt(unit.append(w.buffer[:0]), timebasePosition)
	return err
}
