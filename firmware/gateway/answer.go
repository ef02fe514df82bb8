// What came back from the gateway's URL: an answer of the protocol, or what else stands there.
// Spec: RFC 8259 section 8.1 (byte order marks), RFC 9110 section 10.2.3 (Retry-After).

package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// A response is an HTTP response, whole.
type response struct {
	status int
	header http.Header
	body   []byte // at most answerMax + 1
	secure bool   // it came over https
}

func (r response) isRedirect() bool { return r.status >= 300 && r.status < 400 }

// judgeAnswer reads an answer and judges it by its status, its form and its error_code.
func judgeAnswer(action string, r response, now time.Time) (wire.Answer, error) {
	a, err := readAnswer(action, r)
	if after := readRetryAfter(r.header, now); err != nil && r.status >= 400 && after > 0 {
		err = &delayedError{error: err, after: after}
	}
	return a, err
}

func readAnswer(action string, r response) (a wire.Answer, err error) {
	if r.isRedirect() {
		return a, fmt.Errorf("%w: HTTP %d to %q", ErrRedirect, r.status, wire.Printable(r.header.Get("Location")))
	}
	if len(r.body) > answerMax {
		return a, fmt.Errorf("%w: HTTP %d with more than %d bytes", ErrBadAnswer, r.status, answerMax)
	}
	text := plainText(r.body)
	good := r.status >= 200 && r.status < 300
	switch {
	case len(text) > 0 && text[0] == '{':
	case good && action == wire.ActionStopStream && !isPage(text):
		return a, nil // 204, nothing, "OK": whatever it says, it is a yes
	default:
		return a, explainForeign(action, r, text)
	}
	// Only the first value counts: some gateways have a scanty end.
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&a); err != nil {
		return wire.Answer{}, fmt.Errorf("%w: HTTP %d: %w", ErrBadAnswer, r.status, err)
	}
	switch {
	case a.ErrorCode.Said && a.ErrorCode.N != 0:
		return a, &wire.Refusal{Action: action, Code: a.ErrorCode.N, Reason: string(a.ErrorText)}
	case !good: // a failure without a code: its status stands in
		return wire.Answer{}, &wire.Refusal{Action: action, Code: r.status * 10, Reason: string(a.ErrorText)}
	}
	return a, nil
}

// isOfProtocol says whether an answer that readAnswer has read is a gateway's: it has an error_code, or
// what was asked for. Whoever answers stop_stream well will do.
func isOfProtocol(action string, a wire.Answer, err error) bool {
	if err != nil {
		return a.ErrorCode.Said
	}
	switch action {
	case wire.ActionNewUtilizationID:
		return !a.Utilization.IsZero()
	case wire.ActionStartStream:
		return a.URL != ""
	case wire.ActionValidateStream:
		return a.Validation.Said
	}
	return true
}

// plainText gives a body as UTF-8, without byte order marks and blanks around it. JSON has no such
// marks, but editors put them in front of a script, and each script that it includes adds one.
func plainText(b []byte) []byte {
	const mark = "\xef\xbb\xbf"
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{'{', 0}):
		b = fromUTF16(b, binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}), bytes.HasPrefix(b, []byte{0, '{'}):
		b = fromUTF16(b, binary.BigEndian)
	}
	for {
		rest := bytes.TrimPrefix(bytes.Trim(b, " \t\r\n\x00"), []byte(mark))
		if len(rest) == len(b) {
			return b
		}
		b = rest
	}
}

func fromUTF16(b []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return []byte(string(utf16.Decode(units)))
}

// isPage says that text is meant for a browser.
func isPage(text []byte) bool {
	start := strings.ToLower(string(text[:min(len(text), 512)]))
	for _, tag := range []string{"<!doctype", "<html", "<head", "<body", "<script", "<meta"} {
		if strings.Contains(start, tag) {
			return true
		}
	}
	return strings.HasPrefix(start, "<")
}

// explainForeign says what answered with text that is no JSON object.
func explainForeign(action string, r response, text []byte) error {
	what := fmt.Sprintf("HTTP %d with %.40q", r.status, wire.Printable(string(text[:min(len(text), 200)])))
	if len(text) == 0 {
		what = fmt.Sprintf("HTTP %d with nothing", r.status)
	}
	refusal := &wire.Refusal{Action: action, Code: r.status * 10}
	switch {
	case r.status == http.StatusNetworkAuthenticationRequired, r.status/100 == 2 && isPage(text):
		return fmt.Errorf("%w: %w: %s", ErrPage, ErrBadAnswer, what)
	case r.status == http.StatusBadRequest && !r.secure && bytes.Contains(text, []byte("HTTPS")):
		return fmt.Errorf("%w: %w: %s", ErrWantsTLS, ErrBadAnswer, what)
	case r.status >= 502 && r.status <= 504, r.status >= 520 && r.status <= 530: // 52x: content networks
		return fmt.Errorf("%w: %s", ErrProxy, what)
	case r.status >= 500, refusal.IsPassing():
		return refusal
	}
	return fmt.Errorf("%w: %s", ErrBadAnswer, what)
}

// retryAfterMax is the longest pause that an answer may ask for: a gateway that writes hours does
// not mean that nobody looks after the camera for hours.
const retryAfterMax = 10 * time.Minute

// readRetryAfter gives the pause that an answer asks for, as seconds or as a date; 0: none. A date
// is measured by the answer's own, since the board's clock may not be set.
func readRetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, retryAfterMax.Seconds()) * float64(time.Second))
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), retryAfterMax)
}

// A delayedError is an answer that says how long not to ask again.
type delayedError struct {
	error
	after time.Duration
}

// Error says how long, too.
func (e *delayedError) Error() string {
	return fmt.Sprintf("%v (asks for a pause of %v)", e.error, e.after)
}

// Unwrap gives the answer.
func (e *delayedError) Unwrap() error { return e.error }

// retryAfter is how long after err the gateway wants no request; 0: it says nothing.
func retryAfter(err error) time.Duration {
	var delayed *delayedError
	if errors.As(err, &delayed) {
		return delayed.after
	}
	return 0
}
