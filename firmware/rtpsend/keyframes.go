// When the next picture must be a key frame, on request and unasked. All of this policy and
// its intervals stand here. keyFrames is pure: time is passed in.
// Spec: RFC 4585 section 6.3.1 (PLI), RFC 5104 section 4.3.1.2 (FIR).

package rtpsend

import "time"

// keyFrameSpacing is the minimum time between two key frames on request: one costs as much
// as ten other frames, so a receiver that asks more often than that gets less picture.
const keyFrameSpacing = 300 * time.Millisecond

// A receiver that asks for a packet lateRequest and a round trip after it left hardly gets
// it in time: players wait 200 ms for a packet. Then the receiver asks for a key frame, and if
// the network loses that request, the picture stays broken until the next loss. So, after
// lateRequestWait without a request, we send a key frame unasked, at most one in
// lateRequestSpacing. A request that comes queuedRequest after the packet left is about a
// queue, not about a loss.
const (
	lateRequest        = 130 * time.Millisecond
	queuedRequest      = 500 * time.Millisecond
	lateRequestWait    = 300 * time.Millisecond
	lateRequestSpacing = 2 * time.Second
)

// lossyInterval: on a path that loses packets by chance a key frame comes unasked after 4 s.
// Requests are lost there, too, and a receiver that asks once shows a broken picture until
// it misses the next packet.
const lossyInterval = 4 * time.Second

// unaskedInterval is how often a receiver gets a key frame that never asked for one, such
// as ffmpeg, which sends no PLI: without it, a receiver that starts late or loses the first
// packet would see nothing for ever. A key frame of a talking head weighs 4.7 median frames,
// so at 30 fps this adds 2.5 % to the bitrate.
const unaskedInterval = 5 * time.Second

// askerTimeout: after 15 s without RTCP we assume that the receiver that asked was replaced
// by one that cannot ask. Janus without viewers, and ffplay in its place, look the same. A
// receiver that is there sends RTCP every 5 s (reports of plain AVP) or every second (Janus,
// while somebody watches).
const askerTimeout = 15 * time.Second

// keyFrames decides for one stream. Its zero value is a stream at its start.
type keyFrames struct {
	requested bool          // by the receiver, or by the sender itself
	forced    bool          // by the gateway
	anySent   bool          // sentAt is set
	sentAt    time.Duration // when the last key frame was granted or sent
	lateSince time.Duration // first request that came too late since then; 0: none did

	asked  bool // the receiver has sent a PLI or FIR
	canAsk bool // it had, when a key frame was last granted

	captured, keyCaptured time.Duration // capture times of the last frame and the last key frame
}

// A receiverView is what a decision needs to know of the receiver and its path.
type receiverView struct {
	rtt     time.Duration // 0: not known
	silence time.Duration // since the receiver was last heard
	lossy   bool          // the path loses packets by chance
	file    bool          // frames come faster than in real time: no interval means anything
}

// request asks for a key frame on the sender's own account.
func (k *keyFrames) request() { k.requested = true }

// requestByReceiver takes a PLI or a FIR.
func (k *keyFrames) requestByReceiver() { k.requested, k.asked = true, true }

// forceNext makes the next picture a key frame, however short ago the last one was.
func (k *keyFrames) forceNext() { k.forced = true }

// isPending says that the next picture is likely to be a key frame: a stream begins with one.
func (k *keyFrames) isPending() bool { return k.requested || k.forced || !k.anySent }

// noteLateRequest takes a request for a packet that left age ago.
func (k *keyFrames) noteLateRequest(now, age, rtt time.Duration) {
	if k.lateSince == 0 && age > lateRequest+rtt && age < queuedRequest {
		k.lateSince = now
	}
}

// noteSent takes a key frame, requested or not: it answers every request before it.
func (k *keyFrames) noteSent(now time.Duration) {
	k.requested, k.anySent, k.sentAt, k.lateSince = false, true, now, 0
}

// noteFrame takes a frame that was sent, by its capture time.
func (k *keyFrames) noteFrame(captured time.Duration, key bool) {
	if k.captured = captured; key {
		k.keyCaptured = captured
	}
}

// grantNext says whether the picture at hand must be a key frame, and takes the request.
func (k *keyFrames) grantNext(now time.Duration, receiver receiverView) bool {
	forced := k.forced
	k.forced = false
	if k.grantRequest(now, receiver) {
		k.canAsk = k.asked
		return true
	}
	unasked := !receiver.file && k.captured-k.keyCaptured >= unaskedInterval
	return forced || unasked && (!k.canAsk || receiver.silence > askerTimeout)
}

// grantRequest grants a request once the last key frame is old enough. A request that comes
// too early waits; one within a round trip may be about the key frame on its way.
func (k *keyFrames) grantRequest(now time.Duration, receiver receiverView) bool {
	if receiver.lossy && k.anySent && now-k.sentAt >= lossyInterval {
		k.requested = true
	}
	if k.lateSince != 0 && now-k.lateSince >= lateRequestWait && now-k.sentAt >= lateRequestSpacing {
		k.requested = true
	}
	if !k.requested || k.anySent && now-k.sentAt < max(keyFrameSpacing, receiver.rtt) {
		return false
	}
	k.noteSent(now)
	return true
}

// KeyFrameWanted says whether the next frame must be a key frame, and takes the request. Call it
// once for each frame.
func (s *Sender) KeyFrameWanted() bool {
	now := s.cfg.Monotonic()
	lossy := !s.cfg.Unpaced && s.departures.LosesByChance(now, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keyFrames.grantNext(now, receiverView{
		rtt: s.session.RoundTrip(), silence: s.session.Silence(now), lossy: lossy, file: s.cfg.Unpaced,
	})
}

// ForceKeyFrame makes the next frame a key frame, however short ago the last one was.
func (s *Sender) ForceKeyFrame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keyFrames.forceNext()
}
