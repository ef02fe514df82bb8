// get_data and put_data: what analysers found in the pictures of a source, newest only.

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// analysisAge is how old a result may be: an analyser that found nothing says that, too.
const analysisAge = time.Minute

// results are what get_data answers.
type results struct {
	Data      json.RawMessage `json:"data,omitempty"`
	PerSecond float64         `json:"analysed_per_s"`
	DelayMS   float64         `json:"delay_ms"`
}

// checkAnalysis finds the source, which must be one that may be analysed.
func (g *Gateway) checkAnalysis(ctx context.Context, c *call) *wire.Refusal {
	if why := g.checkBoth(ctx, c); why != nil {
		return why
	}
	if len(c.customer.Analyses) == 0 {
		return refuse(wire.CodeNotAnalysed, "stream not analysed: the API key allows no analysis")
	}
	return nil
}

func (g *Gateway) getData(ctx context.Context, c *call) (reply, *wire.Refusal) {
	if why := g.checkAnalysis(ctx, c); why != nil {
		return reply{}, why
	}
	a, err := g.config.Store.Analysis(ctx, c.source.ID)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return reply{}, refuse(wire.CodeNotAnalysed, "stream not analysed")
	case err != nil && isAway(err):
		return reply{}, g.storeFault("analysis", err)
	case err != nil || !json.Valid(a.Data):
		g.noteFault("gateway: analysis", err)
		return reply{}, refuse(wire.CodeGetDataFailed, "cannot process 'get_data'")
	case g.config.Now().Sub(a.At) > analysisAge:
		return reply{}, refuse(wire.CodeNotAnalysed, "stream not analysed")
	}
	return reply{results: &results{asList(a.Data), a.PerSecond, float64(a.Delay) / float64(time.Millisecond)}}, nil
}

// asList is what get_data always answers.
func asList(data json.RawMessage) json.RawMessage {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return data
	}
	return slices.Concat([]byte("["), data, []byte("]"))
}

func (g *Gateway) putData(ctx context.Context, c *call) (reply, *wire.Refusal) {
	if why := g.checkAnalysis(ctx, c); why != nil {
		return reply{}, why
	}
	data := bytes.TrimSpace(c.fields["data"])
	if len(data) == 0 || string(data) == "null" {
		return reply{}, refuse(wire.CodeNoData, "no data parameter")
	}
	now := g.config.Now()
	a := store.Analysis{Source: c.source.ID, At: now, Data: data, Delay: parseDelay(c.fields["delay_ms"])}
	before, err := g.config.Store.Analysis(ctx, c.source.ID)
	if err == nil {
		a.PerSecond = rateAfter(before, now)
	}
	if err == nil || errors.Is(err, store.ErrUnknown) {
		err = g.config.Store.PutAnalysis(ctx, a)
	}
	if err != nil {
		return reply{}, g.storeFault("analysis", err)
	}
	return reply{Answer: wire.Answer{OK: "data stored"}}, nil
}

// parseDelay reads milliseconds; 0: not said.
func parseDelay(text json.RawMessage) time.Duration {
	var n json.Number // takes 5 and "5"
	_ = json.Unmarshal(text, &n)
	ms, err := n.Float64()
	if err != nil || !(ms >= 0 && ms <= float64(time.Hour/time.Millisecond)) {
		return 0
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// rateWindow is over how long results are counted, in the mean.
const rateWindow = 5 * time.Second

// rateAfter is the results a second with one more: each counts for less as it grows old.
func rateAfter(before store.Analysis, now time.Time) float64 {
	elapsed := now.Sub(before.At)
	if elapsed <= 0 {
		return before.PerSecond + 1/rateWindow.Seconds()
	}
	kept := math.Exp(-float64(elapsed) / float64(rateWindow))
	return before.PerSecond*kept + (1-kept)/elapsed.Seconds()
}
