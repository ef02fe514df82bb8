// How many events a card bears.

package events

import "time"

// An event costs a card about 20 KiB: its block, and the journal's. A board has a handful a day. One
// that is worse off says so with the first burst of them; then one in two hours is written, 12 a
// day, which stays far below the megabyte a day that a card is to bear.
const (
	burst        = 20
	refillPeriod = 2 * time.Hour

	// What a program in foreign hands can cause has a budget of its own, 4 a day: it cannot keep the other
	// events from being written, and needs 12 days to push them out of the last Kept.
	refusalBurst  = 3
	refusalPeriod = 6 * time.Hour
)

// A budget is how many events may be written yet. It begins anew with each start of the board.
type budget struct {
	left, most int
	period     time.Duration // after which there is one more
	filled     time.Time     // up to when it is filled
}

func newBudget(most int, period time.Duration, now time.Time) budget {
	return budget{left: most, most: most, period: period, filled: now}
}

// take says whether there is one, and takes it. A clock that was set back or years ahead fills
// it at most once.
func (b *budget) take(now time.Time) bool {
	periods := int(min(max(now.Sub(b.filled)/b.period, 0), time.Duration(b.most)))
	switch {
	case now.Before(b.filled), periods == b.most:
		b.filled = now
	default:
		b.filled = b.filled.Add(time.Duration(periods) * b.period)
	}
	b.left = min(b.left+periods, b.most)
	if b.left == 0 {
		return false
	}
	b.left--
	return true
}
