// What an update's record of one board becomes by what the board says of itself. No clock, no database.

package rollout

import (
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// judge gives what the record of a board becomes, and whether the board is offered the update. is has no
// Phase if nothing was kept of it yet; what judge gives back has none if nothing is to be kept.
func judge(is store.OfferBoard, o store.Offer, counts map[string]int, b wire.Board, now time.Time) (
	to store.OfferBoard, offered bool) {
	runs, failed := isOf(o, b.Version, b.Index), isOf(o, b.FailedVersion, b.FailedIndex)
	was := Phase(is.Phase)
	switch {
	case runs && b.Trial:
		return moved(is, OnTrial, "", now), false
	case runs:
		return moved(is, Promoted, "", now), false
	case failed:
		return moved(is, FellBack, b.FailedBecause, now), false
	case was == FellBack:
		return is, false // it may have forgotten, as with a lost /perm
	case b.Index != 0 && b.Index >= o.Index, b.Trial:
		return is, false // newer, or busy with another version
	case was == OnTrial:
		is = moved(is, NotJudged, "", now)
	case was == Promoted: // its card was written anew
		is.Bytes = 0
		is = moved(is, Offered, "", now)
	}
	if !isOpen(o, counts) || !inShare(is.Serial, o.Share) {
		return is, false
	}
	if is.Phase == "" {
		is = moved(is, Offered, "", now)
	}
	return is, true
}

// isOf compares with the update. Two builds may have one name; 0 is an index that was not said.
func isOf(o store.Offer, version string, index int64) bool {
	return version == o.Version && (index == 0 || index == o.Index)
}

func moved(is store.OfferBoard, to Phase, because string, now time.Time) store.OfferBoard {
	if is.Phase != string(to) {
		is.Phase, is.Because, is.At = string(to), because, now.UTC().Truncate(time.Second)
	}
	return is
}

// isOpen says whether boards may be offered the update, and go on fetching it.
func isOpen(o store.Offer, counts map[string]int) bool { return o.Enabled && !isStopped(o, counts) }

// isStopped says whether so many boards fell back that nobody is offered the update any more.
func isStopped(o store.Offer, counts map[string]int) bool {
	return o.StopAfter > 0 && counts[string(FellBack)] >= o.StopAfter
}
