package uboot

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestStateIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []State{{"a", ""}, {"b", ""}, {"a", "b"}, {"b", "a"}} {
		sector := want.Sector()
		if len(sector) != StateSize || bytes.Trim(sector[40:], "\n") != nil && len(bytes.Trim(sector[40:], "\n")) > 0 {
			t.Errorf("%+v: %q", want, sector)
		}
		if got, err := ParseState(sector); err != nil || got != want {
			t.Errorf("ParseState(%+v) = %+v, %v", want, got, err)
		}
	}
}

func TestStateIsReadAsTheBootScriptWouldReadIt(t *testing.T) {
	pad := func(text, fill string) string { return text + strings.Repeat(fill, StateSize-len(text)) }
	const whole = "krazycam=1\nlayout=1\nslot=b\ntry=a\n"
	for _, c := range []struct {
		name, sector string
		want         State
		err          error
	}{
		{"as boot.scr exports it", pad(whole, "\x00"), State{"b", "a"}, nil},
		{"more variables than ours", pad("other=1\n"+whole, "\n"), State{"b", "a"}, nil},
		{"a text that is not ended", whole[:len(whole)-1], State{"b", "a"}, nil},
		{"no request", pad("krazycam=1\nlayout=1\nslot=b\ntry=-\n", "\n"), State{"b", ""}, nil},
		{"a request for the slot itself", pad("krazycam=1\nlayout=1\nslot=b\ntry=b\n", "\n"), State{"b", ""}, nil},
		{"a request for something else", pad("krazycam=1\nlayout=1\nslot=b\ntry=../c\n", "\n"), State{"b", ""}, nil},
		{"a slot that is none", pad("krazycam=1\nlayout=1\nslot=c\ntry=b\n", "\n"), State{"a", "b"}, nil},
		{"zeros", pad("", "\x00"), State{}, ErrNoState},
		{"nothing", "", State{}, ErrNoState},
		{"newlines", pad("", "\n"), State{}, ErrNoState},
		{"zeros before it", "\x00" + whole, State{}, ErrNoState},
		{"another layout", pad("krazycam=1\nlayout=2\nslot=b\n", "\n"), State{}, ErrNoState},
		{"noise", pad("\xff\xfe=\x01\nkrazycam=1", "\xa5"), State{}, ErrNoState},
	} {
		got, err := ParseState([]byte(c.sector))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: ParseState = %+v, %v; want %+v, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(State{"a", "b"}.Sector())
	f.Add([]byte("krazycam=1\nlayout=1\nslot=b\ntry=-\n\x00\x00"))
	f.Fuzz(func(t *testing.T, sector []byte) {
		s, err := ParseState(sector)
		if err != nil {
			return
		}
		if s.Slot != "a" && s.Slot != "b" || s.Try == s.Slot || s.Try != "" && s.Try != "a" && s.Try != "b" {
			t.Errorf("ParseState(%q) = %+v", sector, s)
		}
		if again, err := ParseState(s.Sector()); err != nil || again != s {
			t.Errorf("%+v is written as %+v, %v", s, again, err)
		}
	})
}
