//go:build long

// What strangers and accidents send to a board that streams: it says no in words, changes nothing that
// could start, and keeps within its memory.

package rig

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/krazycam/krazycam/gokrazy/api"
	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/remote"
	"github.com/krazycam/krazycam/gokrazy/update"
	"github.com/krazycam/krazycam/gokrazy/vm"
)

// Most memory that the two programs that read a stranger's bytes may take. The smallest board has 512 MB.
const (
	mostOfCamweb     = 64 << 10 // kB
	mostOfSlotwriter = 64 << 10 // kB
)

// measured has a program of the root say on the console how much memory it takes.
func (c content) measured(t *testing.T, names ...string) content {
	t.Helper()
	for _, name := range names {
		for _, e := range c.root {
			if e.Path == name {
				c = c.withFile(name+".real", 0o755, e.Bytes).withFault(t, name, "measure")
				break
			}
		}
	}
	return c
}

// peakMemory is the most that a measured program has said, in kB.
func (u *updatable) peakMemory(t *testing.T, name string) (peak int) {
	t.Helper()
	for _, l := range u.Lines() {
		_, rest, ok := strings.Cut(l.Text, "measured "+name+": ")
		var kB int
		if n, _ := fmt.Sscan(rest, &kB); ok && n == 1 {
			peak = max(peak, kB)
		}
	}
	return peak
}

// post sends any bytes as a bundle, as a program does that is not camctl.
func (u *updatable) post(ctx context.Context, t *testing.T, body io.Reader, size int64) (
	code int, text string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+u.client.Host+api.UpdatePath, body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(api.User, ownerPassword)
	r.ContentLength = size
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it is the test's own board
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	return answer.StatusCode, string(b), err
}

// bundleBytes gives a bundle's file with any members behind manifest and signature.
func bundleBytes(t *testing.T, raw, signature []byte, entries ...tarEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := update.WriteBundle(&b, raw, signature, nil, nil); err != nil {
		t.Fatal(err)
	}
	if len(entries) > 0 {
		b.Truncate(b.Len() - 1024) // the end
	}
	w := tar.NewWriter(&b)
	for _, e := range entries {
		e.head.Format, e.head.Mode = tar.FormatUSTAR, 0o444
		if err := w.WriteHeader(e.head); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.body); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type tarEntry struct {
	head *tar.Header
	body []byte
}

// hostile is what is sent, and what the answer must say.
type hostile struct {
	name string
	body io.Reader
	size int64
	says string
}

// endless reads as zeros.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// hostiles makes them of a bundle that the board would take.
func (u *updatable) hostiles(t *testing.T, good *update.Bundle) (all []hostile) {
	t.Helper()
	add := func(name string, b []byte, says string) {
		all = append(all, hostile{name, bytes.NewReader(b), int64(len(b)), says})
	}
	whole := bundleBytes(t, good.Raw, good.Signature)
	add("no tar", []byte(strings.Repeat("a picture of a cat ", 100)), "manifest.json should be")
	add("a bundle cut off", whole[:len(whole)-1500], "ends")
	legacy := minisign.SignWithComments(u.signer.private, good.Raw, "", "")
	add("a signature of the legacy form", bundleBytes(t, good.Raw, legacy), "legacy")
	changed := bytes.Replace(good.Raw, []byte(good.Manifest.Version), []byte("v-changed"), 1)
	add("a manifest changed after it was signed", bundleBytes(t, changed, good.Signature), "signature")
	add("a manifest cut off", bundleBytes(t, good.Raw[:len(good.Raw)/2], good.Signature), "signature")
	nested := []byte(strings.Repeat("[", update.MaxManifest))
	add("a manifest of brackets", bundleBytes(t, nested, u.signer.signRaw(t, nested)), "manifest")
	for _, head := range []*tar.Header{
		{Name: "../../../../etc/passwd", Typeflag: tar.TypeReg},
		{Name: "/perm/krazycam.json", Typeflag: tar.TypeReg},
		{Name: update.RootName, Typeflag: tar.TypeSymlink, Linkname: "/dev/vda"},
		{Name: update.RootName, Typeflag: tar.TypeLink, Linkname: "/perm/update/trial.json"},
		{Name: "boot/vmlinuz", Typeflag: tar.TypeFifo},
	} {
		add(fmt.Sprintf("a member %q of type %q", head.Name, head.Typeflag),
			bundleBytes(t, good.Raw, good.Signature, tarEntry{head, nil}), "member")
	}
	const huge = 100 << 20
	bomb := func(name, says string, b []byte, size int64) {
		all = append(all, hostile{name, io.MultiReader(bytes.NewReader(b), io.LimitReader(endless{}, size)),
			int64(len(b)) + size, says})
	}
	var manifest bytes.Buffer
	head := &tar.Header{Name: update.ManifestName, Size: huge, Mode: 0o444}
	if err := tar.NewWriter(&manifest).WriteHeader(head); err != nil {
		t.Fatal(err)
	}
	bomb("a manifest of 100 MB", "at most 262144", manifest.Bytes(), huge)
	// The real header of the root, and zeros in its place.
	var begin bytes.Buffer
	root := good.Manifest.Root()
	stopped := errors.New("no more than the header")
	err := update.WriteBundle(&begin, good.Raw, good.Signature, []update.Part{root},
		func(update.Part) (io.ReadCloser, error) { return nil, stopped })
	if !errors.Is(err, stopped) {
		t.Fatal(err)
	}
	bomb("zeros in the place of a root", "sha256", begin.Bytes(), root.Size)
	return all
}

func TestABoardRefusesWhatStrangersSendInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.install(t, u.content.measured(t, "user/camweb", "gokrazy/slotwriter"))
	u.start(ctx, t, vm.Config{})
	before := u.streams(ctx, t, "a")
	calm := u.peakMemory(t, "camweb")
	pointers := u.pointers(t)
	good := u.signer.bundle(t, u.content.withMark("refused"), "v-refused")
	for _, h := range u.hostiles(t, good) {
		code, text, err := u.post(ctx, t, h.body, h.size)
		t.Logf("refused: %s: %d %s", h.name, code, text)
		if err != nil || code/100 != 4 || !strings.Contains(text, h.says) || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %d %q, %v; want a refusal with %q", h.name, code, text, err, h.says)
		}
	}
	u.refusals(ctx, t, good)
	if s := u.streams(ctx, t, "a"); s.Version != before.Version || u.Boots() != 1 || s.Trial != nil {
		t.Errorf("afterwards: %s, %d starts, trial %+v: want %s, 1 and none", s.Version, u.Boots(), s.Trial,
			before.Version)
	}
	if after := u.pointers(t); after != pointers {
		t.Errorf("the card's pointers are %+v, were %+v", after, pointers)
	}
	web, writer := u.peakMemory(t, "camweb"), u.peakMemory(t, "slotwriter")
	t.Logf("FIGURE rpi: most memory while strangers send: camweb %d kB (%d kB before), slotwriter %d kB", web, calm,
		writer)
	if web == 0 || web > mostOfCamweb || writer == 0 || writer > mostOfSlotwriter {
		t.Errorf("memory: camweb %d kB, slotwriter %d kB, want at most %d and %d", web, writer, mostOfCamweb,
			mostOfSlotwriter)
	}
}

// pointers are what the card says of the slots, read while it is in use.
func (u *updatable) pointers(t *testing.T) string {
	t.Helper()
	c := openImage(t, u.card)
	sector := make([]byte, 512)
	if _, err := c.ReadAt(sector, card.StateSector*512); err != nil {
		t.Fatal(err)
	}
	all := string(sector)
	for _, name := range []string{card.ConfigName, card.TrybootName} {
		b, err := card.ReadFile(c.boot(t), name, 512)
		if err != nil {
			t.Fatal(err)
		}
		all += string(b)
	}
	return all
}

// A key is rotated by an update; what the old key signed, and what was there before, does not come again.
// Meanwhile somebody else sends a second update.
func TestAnUpdateThatRotatesTheKeyAndASecondOneDuringItsTrialInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	old := *u.signer
	next := newSigner(t)
	u.signer.keys = []string{next.public}
	u.signer.trialS = 30
	first := u.signer.bundle(t, u.content.withMark("rotates"), "v-rotates")
	second := u.signer.bundle(t, u.content.withMark("second"), "v-second")
	onTrial := make(chan error, 1)
	asking, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		line := regexp.MustCompile("v-rotates is on trial in slot b")
		_, err := u.WaitLine(asking, line)
		for err == nil { // until camweb answers
			var s api.Status
			if s, err = u.client.Status(asking); err == nil && s.OnTrial {
				break
			}
			err = asking.Err()
			time.Sleep(100 * time.Millisecond)
		}
		if err == nil {
			_, err = u.client.Update(asking, second, nil)
		}
		onTrial <- err
	}()
	o, err := u.client.Update(ctx, first, nil)
	stop() // the trial is over
	if err != nil || o.Result != remote.ResultPromoted {
		t.Fatalf("update: %+v, %v", o, err)
	}
	if err := <-onTrial; err == nil || !strings.Contains(err.Error(), "is on trial") {
		t.Errorf("a second update during a trial: %v, want a refusal that says so", err)
	} else {
		t.Logf("refused: a second update during a trial: %v", err)
	}
	s := u.streams(ctx, t, "b")
	if s.Version != "v-rotates" {
		t.Fatalf("the board runs %s", s.Version)
	}
	refuses := func(what string, b *update.Bundle, says string) {
		_, text, err := u.post(ctx, t, bytes.NewReader(bundleBytes(t, b.Raw, b.Signature)), -1)
		t.Logf("refused: %s: %s", what, text)
		if err != nil || !strings.Contains(text, says) {
			t.Errorf("%s: %q, %v: want %q", what, text, err, says)
		}
	}
	old.index = u.signer.index
	refuses("the key that was rotated away", old.bundle(t, u.content.withMark("old key"), "v-old-key"), "signature")
	refuses("the update that rotated it, again", first, "signature")
	next.index = u.signer.index
	latest := next.bundle(t, u.content.withMark("next"), "v-next")
	u.mustUpdate(ctx, t, latest, remote.ResultPromoted)
	refuses("the very update that runs", latest, "runs it already")
	older := *next
	older.index = first.Manifest.Index - 1
	replayed := older.bundle(t, u.content.withMark("replayed"), "v-replayed")
	refuses("an older one by the right key", replayed, "not newer")
	if s := u.streams(ctx, t, "a"); s.Version != "v-next" || u.Boots() != 3 {
		t.Errorf("the board runs %s after %d starts, want v-next and 3", s.Version, u.Boots())
	}
}

// /perm is full in the middle of an update, by what somebody else writes.
func TestADiskFullInTheMiddleOfAnUpdateLosesNothingInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	u := newUpdatable(t, flashedImage(t, "rpi"))
	u.install(t, u.content.withFault(t, "gokrazy/ntp", "fill"))
	u.start(ctx, t, vm.Config{})
	u.streams(ctx, t, "a")
	b := u.signer.bundle(t, u.content.withMark("good"), "v-good")
	_, err := u.client.Update(ctx, b, nil)
	if err == nil || !strings.Contains(err.Error(), "room") && !strings.Contains(err.Error(), "space") {
		t.Errorf("an update onto a full disk: %v, want a refusal that says so", err)
	}
	t.Logf("refused: the disk is full in the middle: %v", err)
	if s := u.streams(ctx, t, "a"); u.Boots() != 1 || s.Trial != nil {
		t.Errorf("%d starts, trial %+v", u.Boots(), s.Trial)
	}
	if _, err := u.WaitLine(ctx, regexp.MustCompile("filler: gone")); err != nil {
		t.Fatal(err)
	}
	if o, err := u.client.Update(ctx, b, nil); err != nil || o.Result != remote.ResultPromoted {
		t.Fatalf("the same update once there is room: %+v, %v", o, err)
	}
	u.streams(ctx, t, "b")
	full := func(l vm.Line) bool {
		return strings.Contains(l.Text, "no space left on device") && !strings.Contains(l.Text, "filler:")
	}
	if !slices.ContainsFunc(u.Lines(), full) {
		t.Error("the disk was never full")
	}
}
