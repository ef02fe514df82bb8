// Requests: one line of JSON each way over a Unix socket, then the connection ends.

package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	maxRequest = 4 << 10  // bytes of a request with its newline
	maxAnswer  = 64 << 10 // bytes of an answer with its newline
)

// The requests there are.
const (
	AskApply     = "apply"      // write the spooled update into the other slot, and try it
	AskApplyRoot = "apply-root" // the same with the root alone, unsigned, as gokrazy's protocol has it
	AskPromote   = "promote"    // the slot on trial stays; without a trial: the other slot starts for good
	AskReboot    = "reboot"
)

// A Request is one line.
type Request struct {
	Ask string `json:"ask"`
}

// An Answer is one line. Error says in an owner's words why not.
type Answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Ask asks init at a socket and waits for its answer until ctx ends: writing a slot takes minutes
// on a slow card. A refusal is an Answer and no error.
func Ask(ctx context.Context, socket string, r Request) (Answer, error) {
	a, err := ask(ctx, socket, r)
	if err != nil {
		return Answer{}, fmt.Errorf("control: ask init to %s: %w", r.Ask, err)
	}
	return a, nil
}

func ask(ctx context.Context, socket string, r Request) (a Answer, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return a, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := writeLine(conn, r); err != nil {
		return a, errors.Join(context.Cause(ctx), err)
	}
	line, err := readLine(conn, maxAnswer)
	if err != nil {
		return a, errors.Join(context.Cause(ctx), err)
	}
	err = json.Unmarshal(line, &a)
	return a, err
}

// ReadRequest reads one request: it needs a line, a JSON object and a word that it knows.
func ReadRequest(r io.Reader) (Request, error) {
	line, err := readLine(r, maxRequest)
	if err != nil {
		return Request{}, fmt.Errorf("control: request: %w", err)
	}
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return Request{}, fmt.Errorf("control: request: %w", err)
	}
	switch request.Ask {
	case AskApply, AskApplyRoot, AskPromote, AskReboot:
		return request, nil
	}
	return Request{}, fmt.Errorf("control: request %.40q: there is apply, apply-root, promote, reboot", request.Ask)
}

// WriteAnswer answers a request: no error is yes. Long words are cut.
func WriteAnswer(w io.Writer, refusal error) error {
	a := Answer{OK: refusal == nil}
	if refusal != nil {
		a.Error = refusal.Error()
		if most := maxAnswer / 8; len(a.Error) > most { // JSON may write six bytes for one
			a.Error = a.Error[:most]
		}
	}
	return writeLine(w, a)
}

func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// readLine reads up to a newline, which is among its limit of bytes.
func readLine(r io.Reader, limit int) ([]byte, error) {
	line, err := bufio.NewReader(io.LimitReader(r, int64(limit))).ReadBytes('\n')
	switch {
	case errors.Is(err, io.EOF) && len(line) == limit:
		return nil, fmt.Errorf("a line of more than %d bytes", limit)
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	return bytes.TrimSpace(line), nil
}
