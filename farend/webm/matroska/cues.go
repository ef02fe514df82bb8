// The table of key frames: slots of one size, each replaced by a single write.

package matroska

import "fmt"

const (
	cueSlots = 512

	// A slot is CuePoint 1 + 1, CueTime 2 + 8, CueTrackPositions 1 + 1, CueTrack 2 + 6, CueClusterPosition
	// 2 + 8. It divides 4096, and the slots begin at a multiple of it: none crosses a page.
	cueSlotSize = 32
)

// A cue is a key frame: its time, and where its cluster begins within the segment.
type cue struct{ time, position int64 }

// cues are all in the file, oldest first.
type cues struct {
	list    []cue
	spacing int64 // ms between two, at least
}

// add writes one more. Once all slots are taken every other one is given up: the table then covers
// twice the time, half as finely.
func (c *cues) add(f File, next cue) error {
	if n := len(c.list); n > 0 && next.time-c.list[n-1].time < c.spacing {
		return nil
	}
	if len(c.list) == cueSlots {
		if err := c.thin(f); err != nil {
			return fmt.Errorf("matroska: cues: %w", err)
		}
	}
	n := len(c.list)
	if err := c.writeFree(f, n+1); err != nil {
		return fmt.Errorf("matroska: cues: %w", err)
	}
	if _, err := f.WriteAt(next.append(nil), slotAt(n)); err != nil {
		return fmt.Errorf("matroska: cues: %w", err)
	}
	c.list = append(c.list, next)
	return nil
}

func slotAt(n int) int64 { return cuesAt + 12 + int64(n)*cueSlotSize }

// writeFree makes one Void of all slots from n on.
func (c *cues) writeFree(f File, n int) error {
	if n == cueSlots {
		return nil
	}
	_, err := f.WriteAt(appendVoidHead(nil, (cueSlots-n)*cueSlotSize), slotAt(n))
	return err
}

// thin keeps half. A kill meanwhile leaves a table with cues out of order, each of them right.
func (c *cues) thin(f File) error {
	kept := make([]cue, 0, cueSlots)
	var b []byte
	for i := 0; i < len(c.list); i += 2 {
		kept = append(kept, c.list[i])
		b = c.list[i].append(b)
	}
	if _, err := f.WriteAt(b, slotAt(0)); err != nil {
		return err
	}
	// Key frames are not quite regular: nine tenths of the mean, so that not every other one is left out.
	span := kept[len(kept)-1].time - kept[0].time
	c.list, c.spacing = kept, span/int64(len(kept))*9/10
	return c.writeFree(f, len(kept))
}

func (c cue) append(b []byte) []byte {
	b = append(b, idCuePoint, 0x80|cueSlotSize-2)
	b = appendUint(b, idCueTime, uint64(c.time))
	b = append(b, idCueTrackPositions, 0x80|18)
	b = appendShort(b, idCueTrack, 0, 0, 0, 0, 0, trackNumber)
	return appendUint(b, idCueClusterPosition, uint64(c.position))
}
