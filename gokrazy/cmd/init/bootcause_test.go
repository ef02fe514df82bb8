package main

import "testing"

func TestBootCauseIsThatOfTheResetManager(t *testing.T) {
	for bytes, want := range map[string]string{
		"\x00\x00\x10\x00": causePower, "\x00\x00\x10\x20": causeRestart, "\x00\x00\x00\x20": causeRestart,
		"\x00\x00\x00\x00": causeUnknown, "": causeUnknown, "\x10\x00": causeUnknown,
	} {
		if got := parseResetStatus([]byte(bytes)); got != want {
			t.Errorf("%x: %s, want %s", bytes, got, want)
		}
	}
}
