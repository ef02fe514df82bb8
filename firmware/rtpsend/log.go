// Log lines that come up while a lock is held. They are written once the locks are open, because
// a log may be a pipe that nobody reads.

package rtpsend

import (
	"context"
	"log/slog"
)

// A pendingLog holds lines in order. It allocates when there is one, which is seldom.
type pendingLog []logLine

type logLine struct {
	level   slog.Level
	message string
	args    []any
}

func (p *pendingLog) addLine(level slog.Level, message string, args ...any) {
	*p = append(*p, logLine{level, message, args})
}

// writeTo writes all lines.
func (p pendingLog) writeTo(log *slog.Logger) {
	for _, l := range p {
		log.Log(context.Background(), l.level, l.message, l.args...)
	}
}
