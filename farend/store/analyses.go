// What analysers found in a source's pictures: the latest of each source.

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// An Analysis is the latest result of a source.
type Analysis struct {
	Source    wire.ID
	At        time.Time // it came
	Data      json.RawMessage
	PerSecond float64       // pictures that are analysed; 0: not known
	Delay     time.Duration // from capture to result; 0: not known
}

// AnalysisMax is the most bytes of Data.
const AnalysisMax = 1 << 20

func scanAnalysis(r scanner) (Analysis, error) {
	var c Analysis
	var source, data string
	var at, delay int64
	if err := r.Scan(&source, &at, &data, &c.PerSecond, &delay); err != nil {
		return Analysis{}, err
	}
	c.At, c.Delay, c.Data = timeOf(at), time.Duration(delay), json.RawMessage(data)
	var err error
	c.Source, err = idOf(source)
	return c, err
}

var errAnalysis = errors.New("the data of an analysis are no JSON, or too long")

// PutAnalysis replaces the result of a source; ErrUnknown: there is no such source.
func (s *Store) PutAnalysis(ctx context.Context, c Analysis) error {
	if len(c.Data) > AnalysisMax || !json.Valid(c.Data) {
		return fmt.Errorf("store: put analysis: %d bytes: %w", len(c.Data), errAnalysis)
	}
	return s.exec(ctx, "put analysis", nil, `INSERT INTO analyses (source, at, data, per_second, delay)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (source) DO UPDATE SET at = excluded.at, data = excluded.data,
		per_second = excluded.per_second, delay = excluded.delay`,
		idText(c.Source), micros(c.At), storable(string(c.Data)), c.PerSecond, int64(c.Delay))
}

// Analysis gives the latest result of a source; ErrUnknown: there is none.
func (s *Store) Analysis(ctx context.Context, source wire.ID) (Analysis, error) {
	return one(ctx, s, "analysis", scanAnalysis,
		`SELECT source, at, data, per_second, delay FROM analyses WHERE source = $1`, idText(source))
}
