// A WHIP endpoint of pion.

package whip

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

const patience = 30 * time.Second

// An endpoint takes streams at /whip/NAME until it is closed. It can be opened again.
type endpoint struct {
	t       *testing.T
	address string
	token   string
	server  *http.Server

	mu          sync.Mutex
	connections map[string]*webrtc.PeerConnection
	deleted     []string

	packets, gaps atomic.Int64
	firstAt       atomic.Int64 // ns; 0: no packet
	ssrc          atomic.Uint32
	payload       atomic.Uint32
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	e := &endpoint{t: t, address: "127.0.0.1:0", token: "secret"}
	e.open()
	t.Cleanup(e.close)
	return e
}

func (e *endpoint) open() {
	e.t.Helper()
	l, err := net.Listen("tcp", e.address)
	if err != nil {
		e.t.Fatal(err)
	}
	e.address = l.Addr().String()
	e.connections = map[string]*webrtc.PeerConnection{}
	e.firstAt.Store(0)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /whip/{name}", e.begin)
	mux.HandleFunc("POST /moved/{name}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/whip/"+r.PathValue("name"), http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("DELETE /session/{name}", e.end)
	e.server = &http.Server{Handler: mux}
	go e.server.Serve(l) // until close
}

// close ends the endpoint and all connections.
func (e *endpoint) close() {
	e.server.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, c := range e.connections {
		c.Close()
		delete(e.connections, name)
	}
}

func (e *endpoint) url(path string) string { return "http://" + e.address + path }

func (e *endpoint) begin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+e.token || r.Header.Get("Content-Type") != "application/sdp" {
		http.Error(w, "token?\nno", http.StatusUnauthorized)
		return
	}
	b, _ := io.ReadAll(r.Body)
	answer, err := e.answer(r.PathValue("name"), string(b))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Location", "/session/"+r.PathValue("name"))
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, answer)
}

func (e *endpoint) answer(name, offer string) (string, error) {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	c, err := webrtc.NewAPI(webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	c.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { e.take(track) })
	e.mu.Lock()
	e.connections[name] = c
	e.mu.Unlock()
	if err := c.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	answer, err := c.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(c)
	if err := c.SetLocalDescription(answer); err != nil {
		return "", err
	}
	select {
	case <-gathered:
	case <-time.After(patience):
		return "", fmt.Errorf("no addresses were found in %v", patience)
	}
	return c.LocalDescription().SDP, nil
}

// take counts packets and missing numbers.
func (e *endpoint) take(track *webrtc.TrackRemote) {
	e.ssrc.Store(uint32(track.SSRC()))
	e.payload.Store(uint32(track.PayloadType()))
	var last uint16
	for n := 0; ; n++ {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if n > 0 && p.SequenceNumber != last+1 {
			e.gaps.Add(1)
		}
		last = p.SequenceNumber
		e.firstAt.CompareAndSwap(0, time.Now().UnixNano())
		e.packets.Add(1)
	}
}

func (e *endpoint) end(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := r.PathValue("name")
	if c := e.connections[name]; c != nil && r.Header.Get("Authorization") == "Bearer "+e.token {
		c.Close()
		delete(e.connections, name)
		e.deleted = append(e.deleted, name)
		return
	}
	http.NotFound(w, r)
}

// ask asks for a key frame of a stream.
func (e *endpoint) ask(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.connections[name].WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: e.ssrc.Load()}})
}

func (e *endpoint) isDeleted(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.deleted {
		if n == name {
			return true
		}
	}
	return false
}
