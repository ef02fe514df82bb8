package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// serve answers one connection at a socket with what answer does, and gives the socket's path.
func serve(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		answer(conn)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return path
}

func TestAskBringsTheAnswerBack(t *testing.T) {
	for _, refusal := range []error{nil, errors.New("slot b is on trial: ask again when it has proved itself")} {
		var got Request
		socket := serve(t, func(c net.Conn) {
			var err error
			if got, err = ReadRequest(c); err != nil {
				t.Error(err)
			}
			if err := WriteAnswer(c, refusal); err != nil {
				t.Error(err)
			}
		})
		a, err := Ask(t.Context(), socket, Request{Ask: AskPromote})
		if err != nil || a.OK != (refusal == nil) || refusal != nil && a.Error != refusal.Error() {
			t.Errorf("Ask = %+v, %v, want the answer %v", a, err, refusal)
		}
		if got.Ask != AskPromote {
			t.Errorf("the other end got %+v", got)
		}
	}
}

func TestAskGivesUpWhenItsTimeIsOver(t *testing.T) {
	release := make(chan struct{})
	socket := serve(t, func(net.Conn) { <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Ask(ctx, socket, Request{Ask: AskReboot}); !errors.Is(err, context.Canceled) {
		t.Errorf("Ask = %v, want %v", err, context.Canceled)
	}
}

func TestAskNamesWhatFailed(t *testing.T) {
	for name, answer := range map[string]func(net.Conn){
		"closed at once": func(net.Conn) {},
		"no line":        func(c net.Conn) { c.Write([]byte(`{"ok":true}`)) },
		"no object":      func(c net.Conn) { c.Write([]byte("yes\n")) },
		"endless":        func(c net.Conn) { c.Write(bytes.Repeat([]byte("x"), maxAnswer+1)) },
	} {
		a, err := Ask(t.Context(), serve(t, answer), Request{Ask: AskApply})
		if err == nil || a != (Answer{}) || !strings.Contains(err.Error(), "apply") {
			t.Errorf("%s: Ask = %+v, %v, want an error that names the request", name, a, err)
		}
	}
	if _, err := Ask(t.Context(), filepath.Join(t.TempDir(), "none"), Request{Ask: AskApply}); err == nil {
		t.Error("Ask without a socket has no error")
	}
}

func TestReadRequestTakesOneKnownWord(t *testing.T) {
	for in, want := range map[string]string{
		`{"ask":"apply"}` + "\n":              AskApply,
		`{"ask":"apply-root","x":1}` + "\n\n": AskApplyRoot,
		`{"ask":"promote"}` + "\nmore":        AskPromote,
		`{"ask":"reboot"}` + "\r\n":           AskReboot,
		`{"ask":"reboot"}`:                    "",
		`{"ask":"poweroff"}` + "\n":           "",
		`{"ask":7}` + "\n":                    "",
		`[]` + "\n":                           "",
		"\n":                                  "",
		"":                                    "",
		`{"ask":"reboot","x":"` + strings.Repeat("x", maxRequest) + "\"}\n": "",
	} {
		got, err := ReadRequest(strings.NewReader(in))
		if got.Ask != want || (err == nil) != (want != "") {
			t.Errorf("ReadRequest(%.40q) = %+v, %v, want %q", in, got, err, want)
		}
	}
}

func TestLongRefusalsFitIntoAnAnswer(t *testing.T) {
	var out bytes.Buffer
	if err := WriteAnswer(&out, errors.New(strings.Repeat("\x01", maxAnswer))); err != nil {
		t.Fatal(err)
	}
	if _, err := readLine(&out, maxAnswer); err != nil {
		t.Error(err)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(`{"ask":"apply"}` + "\n"))
	f.Add([]byte(`{"ask":"nothing"}` + "\n" + `{"ask":"apply"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ReadRequest(bytes.NewReader(b))
		if err != nil {
			return
		}
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ReadRequest(bytes.NewReader(append(line, '\n'))); err != nil || again != r {
			t.Errorf("%q read again: %+v, %v", line, again, err)
		}
	})
}
