// Whether camsource hangs. The smallest restart that helps is that of the process: gokrazy starts it
// again a second after it was killed.

package main

import (
	"fmt"
	"time"

	"github.com/krazycam/krazycam/firmware/health"
)

const (
	// freshLimit is how old a report may be and still count: it comes every second, and a board
	// under load may leave out a few.
	freshLimit = 10 * time.Second

	// reportTimeout: camsource's report comes from a goroutine of its own. If it stays away, none
	// of camsource runs.
	reportTimeout = 30 * time.Second

	// stallTimeout: camsource's own steps end within seconds, the last remedy for a lost camera
	// (USB port power) included.
	stallTimeout = 60 * time.Second

	// silenceTimeout is for a camera that is open and gives nothing. camsource itself resets it up
	// to 12 s after its last picture, and again 5 minutes later; after 10 it asks for a restart of
	// the board. A new process opens the camera as root, with more remedies.
	silenceTimeout = 6 * time.Minute
	// silencePause keeps a camera that is broken from costing more than a restart of the process an
	// hour.
	silencePause = time.Hour
)

// A serviceWatch follows a service's process.
type serviceWatch struct {
	process process
	exits   int // processes that have ended
}

// follow takes what is seen about once a second, and says whether the process is another one: by its
// start, which gokrazy notes a moment before there is a new pid.
func (w *serviceWatch) follow(p process) (another bool) {
	another = !p.StartTime.Equal(w.process.StartTime)
	if another && !w.process.StartTime.IsZero() { // also of a file that is no program, which has no process
		w.exits++
	}
	w.process = p
	return another
}

// A sourceWatch follows camsource's process and its reports. Times are since the kernel's start.
type sourceWatch struct {
	serviceWatch
	report    health.Report
	changedAt time.Duration // when the report or the process last changed
	reported  bool          // the process has reported
	pictureAt time.Duration // when the camera was last closed, or gave a picture
	silentAt  time.Duration // when the process was last killed for a silent camera; 0: never
	hangs     int           // processes that were to be killed
}

// note takes what is seen about once a second. A report that cannot be read is one that did not come.
func (w *sourceWatch) note(now time.Duration, p process, r health.Report, err error) {
	if w.follow(p) {
		w.reported = false
		w.changedAt, w.pictureAt = now, now
	}
	if err != nil || r.UptimeS == w.report.UptimeS {
		return
	}
	if r.Pictures != w.report.Pictures || r.Camera == "" {
		w.pictureAt = now
	}
	w.report, w.changedAt, w.reported = r, now, true
}

// isAlive says that the process reports.
func (w *sourceWatch) isAlive(now time.Duration) bool {
	return w.reported && now-w.changedAt < freshLimit
}

// hang says why the process is to be killed now; "": it is not. After a reason it is taken for
// killed.
func (w *sourceWatch) hang(now time.Duration) (reason string) {
	if w.process.Pid <= 0 || w.process.Stopped {
		return ""
	}
	silent := now - w.pictureAt
	switch {
	case now-w.changedAt >= reportTimeout:
		reason = fmt.Sprintf("it has reported nothing for %v", (now - w.changedAt).Round(time.Second))
	case w.reported && w.report.StalledS >= stallTimeout.Seconds():
		reason = fmt.Sprintf("one of its steps has taken %.0f s", w.report.StalledS)
	case w.reported && silent >= silenceTimeout && (w.silentAt == 0 || now-w.silentAt >= silencePause):
		reason = fmt.Sprintf("its camera is open and gives no picture for %v", silent.Round(time.Second))
		w.silentAt = now
	}
	if reason != "" {
		w.changedAt, w.pictureAt, w.reported = now, now, false
		w.hangs++
	}
	return reason
}
