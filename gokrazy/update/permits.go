// Which version may follow which.

package update

import "fmt"

// Permits says whether a board may take m: nil, or ErrBoard, ErrLayout, ErrAlready or ErrOlder in words
// for an owner. promoted is the manifest of the slot that boots without a trial; board and layout
// are the card's; other is the manifest of the other slot, nil if that is not whole.
//
// The index keeps an old version with a known hole from being played back, with its signature as
// right as ever. What the other slot holds may always be had again: the board could boot it anyway.
// It must be that very version, and a key that was dropped since then does not sign it any more.
func (m Manifest) Permits(promoted Manifest, board string, layout int, other *Manifest) error {
	switch {
	case m.Board != board:
		return fmt.Errorf("version %s: %w: %s, this is %s", m.Version, ErrBoard, m.Board, board)
	case m.MinimumLayout > layout:
		return fmt.Errorf("version %s: %w: %d, this card has %d: flash the card with a new image",
			m.Version, ErrLayout, m.MinimumLayout, layout)
	case m.Equal(promoted):
		return fmt.Errorf("version %s: %w", m.Version, ErrAlready)
	case m.Index > promoted.Index, other != nil && m.Equal(*other):
		return nil
	}
	return fmt.Errorf("version %s: %w: its index is %d, that of version %s is %d",
		m.Version, ErrOlder, m.Index, promoted.Version, promoted.Index)
}
