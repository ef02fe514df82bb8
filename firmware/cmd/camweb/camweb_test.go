package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/control"
	"github.com/krazycam/krazycam/gokrazy/events"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
)

func TestStrangerSeesTheStateAndTheOwnerAll(t *testing.T) {
	b := newTestBoard(t, nil)
	c := b.client()
	owner, err := c.Status(t.Context())
	if err != nil || owner.Serial != "10000000abcdef" || !owner.Whole || !owner.Streaming || owner.Unsigned {
		t.Errorf("the owner's status = %+v, %v", owner, err)
	}
	c.Password = ""
	got, err := c.Status(t.Context())
	if err != nil || got.Serial != "" || got.Hostname != "" || got.Whole || got.Version != "v1" ||
		got.Fingerprint != b.fingerprint || !got.PasswordSet {
		t.Errorf("a stranger's status = %+v, %v", got, err)
	}
	if _, text := b.curl(nil, "--user", ":", "/api/v1/status"); strings.Contains(text, "abcdef") {
		t.Errorf("a stranger sees the serial number: %s", text)
	}
	for _, path := range []string{api.EventsPath, api.ManifestPath} {
		if code, _ := b.curl(nil, "--user", "admin:wrong", path); code != "401" {
			t.Errorf("%s with a wrong password: %s, want 401", path, code)
		}
	}
	b.wants()
}

func TestOwnerSeesEventsAndManifestsAndIsObeyed(t *testing.T) {
	b := newTestBoard(t, nil)
	l, err := events.Open(b.at.events, time.Now)
	if err == nil {
		err = l.Add(events.Fallback, "slot b sent no frame")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.client().Events(t.Context())
	if err != nil || len(got.Events) != 1 || got.Events[0].Text != "slot b sent no frame" {
		t.Errorf("events %+v, %v", got, err)
	}
	code, text := b.curl(nil, api.ManifestPath)
	var m api.Manifests
	if err := json.Unmarshal([]byte(text), &m); err != nil || code != "200" || string(m.Other) != "null" {
		t.Fatalf("manifests: %s %s, %v", code, text, err)
	}
	if promoted, err := update.ParseManifest(m.Promoted); err != nil || !promoted.Equal(b.v1.manifest) {
		t.Errorf("promoted %s, %v", m.Promoted, err)
	}
	if err := errors.Join(b.client().Promote(t.Context()), b.client().Reboot(t.Context())); err != nil {
		t.Error(err)
	}
	b.wants(control.AskPromote, control.AskReboot)
	b.no = "no slot is on trial"
	var no *remote.Refusal
	if err := b.client().Promote(t.Context()); !errors.As(err, &no) || no.Code != 409 || no.Text != b.no {
		t.Errorf("Promote = %v, want process 1's own words", err)
	}
}

func TestBoardWithoutPasswordTakesNothing(t *testing.T) {
	b := newTestBoard(t, func(c *config.Config) { c.Web.PasswordHash = ""; c.Update.Gokrazy = true })
	for _, path := range []string{api.UpdatePath, api.PromotePath, api.RebootPath, "/update/switch", "/reboot"} {
		code, text := b.curl(nil, "--request", "POST", path)
		if code != "403" || !strings.Contains(text, "camctl flash") {
			t.Errorf("%s: %s %s, want 403 and how to set one", path, code, text)
		}
	}
	if code, text := b.curl(nil, api.StatusPath); code != "200" || !strings.Contains(text, `"password_set":false`) {
		t.Errorf("status: %s %s", code, text)
	}
	b.wants()
}

func TestPairOfTheCardIsShownAndOneThatDoesNotFitIsNot(t *testing.T) {
	mine, other := unfitting(t)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := t.TempDir()
	if got, _ := choosePair(config.Web{TLSCertificate: mine.Certificate, TLSKey: mine.Key}, dir, log); got != mine {
		t.Error("the card's own pair is not taken")
	}
	var said strings.Builder
	got, cert := choosePair(config.Web{TLSCertificate: mine.Certificate, TLSKey: other.Key}, dir,
		slog.New(slog.NewTextHandler(&said, nil)))
	if got == mine || len(cert.Certificate) == 0 || !strings.Contains(said.String(), "do not fit") ||
		strings.Contains(said.String(), "PRIVATE") {
		t.Errorf("a pair that does not fit: it said %s", &said)
	}
	again, _ := choosePair(config.Web{}, dir, log)
	if again.Certificate != got.Certificate+got.Key {
		t.Error("the board's own pair is another one at the next start")
	}
	path := filepath.Join(dir, pairFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	said.Reset()
	_, cert = choosePair(config.Web{}, dir, slog.New(slog.NewTextHandler(&said, nil)))
	if len(cert.Certificate) == 0 || !strings.Contains(said.String(), "another fingerprint") {
		t.Errorf("a damaged pair: the board has %d certificates and says %q", len(cert.Certificate), &said)
	}
	if _, cert := choosePair(config.Web{}, filepath.Join(dir, "gone"), log); len(cert.Certificate) == 0 {
		t.Error("without a folder the board has no pair")
	}
}

func TestUpdateIsSpooledAndHandedToProcess1(t *testing.T) {
	b := newTestBoard(t, nil)
	v2 := newBuild(t, b.by, 2)
	code, answer := b.push(v2.bundle(t))
	if code != "200" || answer["version"] != "v2" || !b.spooled(v2) {
		t.Errorf("push: %s %v, spooled %t", code, answer, b.spooled(v2))
	}
	if want := float64(v2.manifest.Parts[1].Size + v2.manifest.Parts[2].Size); answer["received"] != want {
		t.Errorf("received %v, want %v: the board has the kernel", answer["received"], want)
	}
	b.wants(control.AskApply)
	b.no = "slot b is on trial: wait"
	if code, answer := b.push(v2.bundle(t)); code != "409" || answer["error"] != b.no {
		t.Errorf("push during a trial: %s %v", code, answer)
	}
}

// The card damages a part in the spool: process 1 refuses the update, and must not do so for ever.
func TestPartThatTheCardDamagedIsSentAgain(t *testing.T) {
	b := newTestBoard(t, nil)
	v2 := newBuild(t, b.by, 2)
	root := v2.manifest.Parts[2]
	b.no = "spool: root: part is damaged"
	b.push(v2.bundle(t)) // and all of it stays in the spool
	path := filepath.Join(b.at.spool, "parts", root.SHA256)
	b.write(path, make([]byte, root.Size))
	code, answer := b.push(v2.bundle(t))
	if text, _ := answer["error"].(string); code != "409" || !strings.Contains(text, "send the update again") {
		t.Errorf("push of what lies damaged in the spool: %s %v", code, answer)
	}
	b.no = ""
	if code, answer := b.push(v2.bundle(t)); code != "200" {
		t.Errorf("push again: %s %v", code, answer)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, v2.content[root.SHA256]) {
		t.Errorf("process 1 was given a root of %d other bytes, %v", len(got), err)
	}
	b.wants(control.AskApply)
}

// A laptop is shut in the middle of a push: the next one need not wait for it, and what came stays.
func TestSenderWhoFallsSilentIsCutOff(t *testing.T) {
	b := newTestBoard(t, nil)
	b.silence = time.Second // a busy machine pauses for tenths of one
	v2 := newBuild(t, b.by, 2)
	root := v2.manifest.Parts[2]
	bundle := v2.bundle(t, root)
	conn, err := tls.Dial("tcp", b.address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := http.NewRequest(http.MethodPost, "https://"+b.address+api.UpdatePath, io.MultiReader(
		bytes.NewReader(bundle[:len(bundle)-100_000]), onlyAfter(t.Context().Done())))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = int64(len(bundle))
	r.SetBasicAuth(api.User, sesame)
	// Half of what the server gives each request without patience.
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.Write(conn) }()
	answer, err := http.ReadResponse(bufio.NewReader(conn), r)
	if errors.Is(err, os.ErrDeadlineExceeded) || err == nil && answer.StatusCode == http.StatusOK {
		t.Errorf("answer %v, %v, want the connection's end or a refusal", answer, err)
	}
	if b.spool.Partial(root) == 0 {
		t.Error("what came is lost")
	}
	b.silence = maxSilence // the next sender may be slow
	if code, answer := b.push(v2.bundle(t)); code != "200" {
		t.Errorf("the next push: %s %v", code, answer)
	}
}

// onlyAfter is a reader that waits.
type onlyAfter <-chan struct{}

func (o onlyAfter) Read([]byte) (int, error) {
	<-o
	return 0, io.EOF
}

func TestBundleMayBringTheRestLater(t *testing.T) {
	b := newTestBoard(t, nil)
	v2 := newBuild(t, b.by, 2)
	readme, root := v2.manifest.Parts[1], v2.manifest.Parts[2]
	code, answer := b.push(v2.bundle(t, readme))
	if code != "202" || len(answer["missing"].([]any)) != 1 {
		t.Fatalf("push: %s %v", code, answer)
	}
	b.wants()
	// Half of the root came when the connection broke.
	half := v2.bundle(t, root)
	at, _ := update.Offsets([]update.Part{root}, len(v2.raw), len(v2.sig))
	b.push(half[:at[0]+100_000])
	if got := b.spool.Partial(root); got != 100_000 {
		t.Fatalf("%d bytes of the root are here, want 100000", got)
	}
	rest := append(append([]byte{}, half[:at[0]]...), half[at[0]+60_000:]...)
	for skip, want := range map[string]string{"100001": "400", "-1": "400", "x": "400", "99999999": "400"} {
		if code, answer := b.push(rest, "--header", api.SkipHeader+": "+skip); code != want {
			t.Errorf("%s bytes left out: %s %v, want %s", skip, code, answer, want)
		}
	}
	code, answer = b.push(rest, "--header", api.SkipHeader+": 60000")
	if code != "200" || !b.spooled(v2) {
		t.Errorf("the rest: %s %v", code, answer)
	}
	b.wants(control.AskApply)
}

func TestUpdateThatMustNotRunIsRefusedInWords(t *testing.T) {
	b := newTestBoard(t, func(c *config.Config) { c.Update.Keys = []string{newSigner(t).public} })
	v2, stranger := newBuild(t, b.by, 2), newSigner(t)
	changed := v2
	changed.raw = append([]byte{}, v2.raw...)
	changed.raw[len(changed.raw)/2] ^= 1
	otherBoard := newBuild(t, b.by, 3)
	otherBoard.manifest.Board = "bbb"
	later := newBuild(t, b.by, 3)
	later.manifest.MinimumLayout = 2
	damaged := newBuild(t, b.by, 4)
	root := damaged.manifest.Parts[2]
	damaged.content[root.SHA256] = nil
	damagedBundle := newBuild(t, b.by, 4).bundle(t)
	damagedBundle[len(damagedBundle)-3000] ^= 1
	whole := v2.bundle(t)
	for _, c := range []struct {
		name   string
		bundle []byte
		code   string
		want   string
	}{
		{"nothing", nil, "422", "bundle is damaged"},
		{"text", []byte(strings.Repeat("hello ", 1000)), "422", "bundle is damaged"},
		{"unsigned", build{manifest: v2.manifest, raw: v2.raw, content: v2.content}.bundle(t), "403", "not signed"},
		{"signed by a stranger", newBuild(t, stranger, 2).bundle(t), "403", "signature is wrong"},
		{"changed afterwards", changed.bundle(t), "403", "signature is wrong"},
		{"older", newBuild(t, b.by, 0).bundle(t), "409", "not newer"},
		{"the same", b.v1.bundle(t), "409", "runs it already"},
		{"for another board", otherBoard.signed(t, b.by).bundle(t), "409", "another board"},
		{"for another layout", later.signed(t, b.by).bundle(t), "409", "layout"},
		{"truncated", whole[:len(whole)-1500], "422", "ends within"},
		{"damaged", damagedBundle, "422", "part is damaged"},
		{"something behind it", append(append([]byte{}, whole...), whole...), "422", "behind its end"},
	} {
		code, answer := b.push(c.bundle)
		if text, _ := answer["error"].(string); code != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s %v, want %s with %q", c.name, code, answer, c.code, c.want)
		}
	}
	b.wants()
}

func TestBoardWithoutUpdateKeySaysSo(t *testing.T) {
	b := newTestBoard(t, nil)
	b.v1.manifest.Keys = nil
	b.v1 = b.v1.signed(t, b.by)
	b.write(b.at.promoted, b.v1.raw)
	v2 := newBuild(t, b.by, 2)
	code, answer := b.push(v2.bundle(t))
	if text, _ := answer["error"].(string); code != "403" || !strings.Contains(text, "no update key") {
		t.Errorf("push: %s %v", code, answer)
	}
	b.service.update.Keys = []string{b.by.public} // the configuration's count then
	if code, answer := b.push(v2.bundle(t)); code != "200" {
		t.Errorf("push with a configured key: %s %v", code, answer)
	}
}

func TestBoardThatCannotUpdateSaysSoBeforeAnythingIsSent(t *testing.T) {
	b := newTestBoard(t, nil)
	v2 := newBuild(t, b.by, 2)
	for _, s := range []control.Status{
		{Board: "rpi", Updatable: "this model is not known: no way to try a slot"},
		{Board: "rpi", OnTrial: true, Slot: "b"},
		{Board: "rpi", Busy: "slot b is being written"},
	} {
		b.say(b.at, s)
		code, answer := b.push(v2.bundle(t))
		if code != "409" || b.spooled(v2) {
			t.Errorf("%+v: %s %v", s, code, answer)
		}
	}
	b.wants()
}

func TestSecondPushIsRefusedWhileOneComesIn(t *testing.T) {
	b := newTestBoard(t, nil)
	release, _, err := b.intake.acquire(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	if code, answer := b.push(newBuild(t, b.by, 2).bundle(t)); code != "409" {
		t.Errorf("push: %s %v", code, answer)
	}
	release()
	// A person goes before what the gateway offers.
	release, ctx, err := b.intake.acquire(t.Context(), gatewayOffer)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-ctx.Done()
		release()
	}()
	if code, answer := b.push(newBuild(t, b.by, 2).bundle(t)); code != "200" {
		t.Errorf("push in the place of a fetch: %s %v", code, answer)
	}
}

// The owner's own client, from the first question to the promoted version.
func TestClientUpdatesABoard(t *testing.T) {
	b := newTestBoard(t, nil)
	v2 := newBuild(t, b.by, 2)
	b.did = func(what string) {
		if what == control.AskApply {
			b.say(b.at, control.Status{Version: "v2", Index: v2.manifest.Index, Board: "rpi", Slot: "b", Promoted: "b"})
		}
	}
	file := v2.bundle(t)
	bundle, err := update.OpenBundle(strings.NewReader(string(file)), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	o, err := b.client().Update(t.Context(), bundle, nil)
	if err != nil || o.Result != remote.ResultPromoted || o.Slot != "b" || o.Before != "v1" {
		t.Errorf("Update = %+v, %v", o, err)
	}
	b.wants(control.AskApply)
}
