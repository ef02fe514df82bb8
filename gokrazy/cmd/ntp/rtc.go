// The real-time clock that some boards have (Pi 5 with a battery, QEMU). Source: rtc(4).

package main

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// An rtc is an open real-time clock. The nil rtc is a board without one.
type rtc struct{ file *os.File }

// openRTC returns nil if there is none. It needs root; setTime needs CAP_SYS_TIME only.
func openRTC(log *slog.Logger) *rtc {
	f, err := os.Open("/dev/rtc0")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		log.Error("real-time clock is not kept", "error", err)
		return nil
	}
	return &rtc{f}
}

// setTime writes t at once, so that even a board that loses power a minute later boots with the
// right time. After that the kernel writes it every 11 minutes while the clock is synchronised
// (CONFIG_RTC_SYSTOHC).
func (r *rtc) setTime(log *slog.Logger, t time.Time) {
	if r == nil {
		return
	}
	value := rtcTime(t)
	if err := unix.IoctlSetRTCTime(int(r.file.Fd()), &value); err != nil {
		log.Error("real-time clock not set", "error", err)
	}
}

// rtcTime is t in UTC in the form of struct tm: months from 0, years from 1900.
func rtcTime(t time.Time) unix.RTCTime {
	t = t.UTC()
	return unix.RTCTime{
		Sec: int32(t.Second()), Min: int32(t.Minute()), Hour: int32(t.Hour()),
		Mday: int32(t.Day()), Mon: int32(t.Month() - 1), Year: int32(t.Year() - 1900),
	}
}
