// The bundles over HTTPS: in ranges, so that a board can go on where it was; each board by a path of its
// own, so that it is known how far it is. Any server that has the file serves any board.
// Spec: RFC 9110 sections 8.8.3 (ETag) and 14 (ranges).

package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

const (
	// PathPrefix begins the path of every bundle.
	PathPrefix = "/update/"

	// fetchesMax is how many boards fetch at once; the others ask again. A bundle of 60 MB takes a
	// minute of a line of 8 Mbit/s, and boards choose their moment within an hour.
	fetchesMax = 16

	// stallTimeout ends a fetch that takes less than a chunk in that time: the least rate is 4.4 kbit/s.
	stallTimeout = time.Minute
	// chunk is what is written at a time: a line of 8 kbit/s takes that within stallTimeout.
	chunk = 32 << 10

	busyRetryAfter = "60" // seconds

	// progressInterval is how often is kept how far a fetch is.
	progressInterval = 5 * time.Second
)

// Handler puts the bundles beside a gateway, which is asked by POST only.
func (r *Rollouts) Handler(gateway http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodPost && strings.HasPrefix(q.URL.Path, PathPrefix) {
			r.ServeHTTP(w, q)
			return
		}
		gateway.ServeHTTP(w, q)
	})
}

// ServeHTTP answers GET and HEAD of what boards were offered.
func (r *Rollouts) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "GET and HEAD only", http.StatusMethodNotAllowed)
		return
	}
	token, name := path.Split(strings.TrimPrefix(q.URL.Path, PathPrefix))
	f, err := r.findFetch(q.Context(), strings.TrimSuffix(token, "/"), name)
	switch {
	case errors.Is(err, store.ErrUnknown):
		http.NotFound(w, q)
		return
	case err != nil:
		r.config.Log.Debug("update: a fetch is put off", "error", err)
		r.answerBusy(w, "the server's database does not answer")
		return
	}
	p := &passage{ResponseWriter: w, to: http.NewResponseController(w), stall: r.stall}
	if q.Method == http.MethodGet {
		r.begin(f.board.Token, p)
		defer r.finish(f.board.Token, p)
	}
	if !r.takePlace(q.Context()) {
		r.answerBusy(w, "too many boards fetch at this moment")
		return
	}
	defer func() { <-r.places }()
	bundle, err := r.open(f.offer)
	if err != nil { // lookAt logs it
		http.NotFound(w, q)
		return
	}
	defer bundle.Body.Close()
	body := &countingReader{ReadSeeker: io.NewSectionReader(bundle.Body, 0, bundle.Size)}
	if q.Method == http.MethodGet {
		body.note = f.note
		defer f.end()
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", fmt.Sprintf("%q", bundle.ETag))
	http.ServeContent(p, q, updateOf(f.offer).FileName(), time.Time{}, body)
}

// begin notes the passage of a board. A board has one: the one that it had before, whose line may be dead,
// ends.
func (r *Rollouts) begin(token string, p *passage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was := r.fetches[token]; was != nil {
		was.stop()
	}
	r.fetches[token] = p
}

// finish comes before the answer of p is over, so that begin stops none that is.
func (r *Rollouts) finish(token string, p *passage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetches[token] == p {
		delete(r.fetches, token)
	}
}

// placeTimeout is how long a board waits for a place: its own former one is about to be free.
const placeTimeout = time.Second

func (r *Rollouts) takePlace(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	select {
	case r.places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (r *Rollouts) answerBusy(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", busyRetryAfter)
	http.Error(w, why, http.StatusServiceUnavailable)
}

// A fetch is one request of one board.
type fetch struct {
	rollouts *Rollouts
	offer    store.Offer
	board    store.OfferBoard
	known    *knownOffers // by which it was last found to be wanted
	byte     int64        // up to which the board has got it
	keptAt   time.Time
	kept     int64
}

// findFetch gives what a board fetches by a token. ErrUnknown: it is not meant to have it, or not any more.
func (r *Rollouts) findFetch(ctx context.Context, token, name string) (*fetch, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b, err := r.config.Store.OfferBoardByToken(ctx, token)
	if err != nil {
		return nil, err
	}
	if _, err := r.read(ctx); err != nil {
		return nil, err
	}
	f := &fetch{rollouts: r, board: b}
	if !f.isWanted(ctx) || Phase(b.Phase) == FellBack || name != updateOf(f.offer).FileName() {
		return nil, store.ErrUnknown
	}
	return f, nil
}

// isWanted says whether the offer still stands. Where the database does not answer, it does.
func (f *fetch) isWanted(ctx context.Context) bool {
	all, err := f.rollouts.read(ctx)
	f.known = f.rollouts.known.Load()
	if err != nil {
		return f.offer.ID != 0
	}
	for _, o := range all {
		if o.ID == f.board.Offer {
			f.offer = o.Offer
			return isOpen(o.Offer, o.counts)
		}
	}
	return false
}

// note notes that the board has the bundle up to a byte, and says whether it may go on.
func (f *fetch) note(end int64) bool {
	now := f.rollouts.config.Now()
	f.byte = max(f.byte, end)
	isFirst := f.keptAt.IsZero()
	if !isFirst && now.Sub(f.keptAt).Abs() < progressInterval && f.known == f.rollouts.known.Load() && f.isFresh(now) {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if !f.isWanted(ctx) {
		return false
	}
	if isFirst || now.Sub(f.keptAt).Abs() >= progressInterval {
		return f.keep(ctx, now)
	}
	return true
}

func (f *fetch) isFresh(now time.Time) bool {
	return f.known != nil && now.Sub(f.known.at).Abs() < rereadInterval
}

// keep writes how far the board is, and says whether it may go on. A database that does not answer stops
// no fetch.
func (f *fetch) keep(ctx context.Context, now time.Time) bool {
	f.keptAt, f.kept = now, f.byte
	began, goesOn := false, true
	r, b := f.rollouts, f.board
	_, err := r.config.Store.ChangeOfferBoard(ctx, b.Offer, b.Customer, b.Serial,
		func(is store.OfferBoard, of store.Offer, counts map[string]int) (store.OfferBoard, bool) {
			began, goesOn = false, is.Token == b.Token && Phase(is.Phase) != FellBack && isOpen(of, counts)
			if !goesOn {
				return is, false
			}
			next := is
			next.Bytes = max(is.Bytes, f.byte)
			if p := Phase(is.Phase); p == Offered || p == NotJudged {
				began = true
				next = moved(next, Fetching, "", now)
			}
			return next, next != is
		})
	if errors.Is(err, store.ErrUnknown) {
		return false
	}
	if err == nil && began {
		r.config.Log.Info("update: fetching", "serial", b.Serial, "version", f.offer.Version)
	}
	return err != nil || goesOn
}

// end keeps what is not kept yet.
func (f *fetch) end() {
	if f.byte == f.kept {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	f.keep(ctx, f.rollouts.config.Now())
}
