package webm

import (
	"log/slog"
	"testing"
)

// testLog has what is logged in the test's own words.
func testLog(t testing.TB) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
