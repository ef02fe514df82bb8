// Outages of the network, as a process of its own in a namespace of its own meets them:
// the link goes down, the receiver's name moves to another address. GStreamer decodes
// behind a bridge, whose end stays up.

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// hosts is the name server of camsource's end.
func (y *yard) hosts(address string) {
	y.t.Helper()
	dir := filepath.Join("/etc/netns", y.ours)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		y.t.Fatal(err)
	}
	// In place: ip netns exec has bound this very file over /etc/hosts.
	if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(address+" receiver.test\n"), 0o644); err != nil {
		y.t.Fatal(err)
	}
}

// Write counts what GStreamer's fakesink says of decoded pictures.
func (y *yard) Write(b []byte) (int, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.pictures += bytes.Count(b, []byte("last-message = chain"))
	return len(b), nil
}

func (y *yard) count() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.pictures
}

// reach waits for n pictures more than before and says how long that took.
func (y *yard) reach(n, before int, limit time.Duration) time.Duration {
	y.t.Helper()
	began := time.Now()
	for time.Since(began) < limit {
		if y.count() >= before+n {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	y.t.Fatalf("not %d pictures within %v", n, limit)
	return 0
}

// receiver starts GStreamer's.
func (y *yard) receiver() (stop func()) {
	return y.run(y.theirs, y, "gst-launch-1.0", "-v", "rtpbin", "name=b", "latency=100", "rtp-profile=avpf",
		"do-retransmission=true",
		"udpsrc", "port=5004",
		"caps=application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000,"+
			"rtcp-fb-nack=(boolean)true,rtcp-fb-nack-pli=(boolean)true", "!",
		"b.recv_rtp_sink_0", "b.", "!", "rtpvp8depay", "request-keyframe=true", "!", "vp8dec", "!", "fakesink",
		"silent=false", "sync=false",
		"udpsrc", "port=5005", "!", "b.recv_rtcp_sink_0", "b.send_rtcp_src_0", "!", "udpsink", "host=10.79.0.1",
		"port=5007", "sync=false", "async=false")
}

// stream starts both ends and waits until pictures flow.
func (y *yard) stream() {
	y.t.Helper()
	y.hosts(firstAddress)
	y.t.Cleanup(func() { _ = os.RemoveAll(filepath.Join("/etc/netns", y.ours)) })
	y.stopReceiver = y.receiver()
	log := y.log("camsource")
	y.t.Cleanup(func() {
		if y.t.Failed() {
			y.t.Logf("camsource said:\n%s", y.said("camsource"))
		}
	})
	y.run(y.ours, log, program(y.t), "--camera", "pattern", "--size", "320x240", "--rtp", "receiver.test:5004",
		"--rtcp", "receiver.test:5005", "--local-rtcp-port", "5007")
	y.reach(90, 0, 30*time.Second)
}

func TestProcessStreamsAgainAfterTheLinkWasDown(t *testing.T) {
	t.Parallel() // it waits
	y := newYard(t, "gst-launch-1.0")
	y.stream()
	down := 6 * time.Second
	if os.Getenv("KRAZYCAM_LONG") != "" {
		down = time.Minute
	}
	y.ip("-n", y.ours, "link", "set", "va", "down")
	time.Sleep(down)
	before := y.count()
	y.ip("-n", y.ours, "link", "set", "va", "up")
	took := y.reach(2, before, 20*time.Second) // one may have waited in the jitter buffer
	t.Logf("FIGURE link down for %v: decoding again %v after it is up", down, took.Round(time.Millisecond))
	if took > 3*time.Second {
		t.Errorf("%v until pictures are decoded again, want 3 s", took)
	}
}

// countReports has reports counted that come to camsource's end: RTCP receiver reports (type 201) with one
// block, about the one stream that there is. How many came, reports gives.
func (y *yard) countReports() (reports func() int) {
	y.t.Helper()
	y.output(y.ours, "nft", "add table inet test; add chain inet test in { type filter hook input priority 0; }; "+
		"add rule inet test in udp dport 5007 @th,64,16 0x81c9 counter")
	counter := regexp.MustCompile(`counter packets (\d+)`)
	return func() int {
		m := counter.FindStringSubmatch(y.output(y.ours, "nft", "list", "chain", "inet", "test", "in"))
		if m == nil {
			y.t.Fatal("nft shows no counter")
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
}

func TestProcessFollowsTheReceiverToItsNewAddress(t *testing.T) {
	t.Parallel() // it waits
	y := newYard(t, "gst-launch-1.0", "nft")
	reports := y.countReports()
	program(t) // is built before the clock runs
	began := time.Now()
	y.stream()
	start := time.Since(began) // of both ends, with pictures
	// Of a receiver that has never reported no report is missed.
	y.await("a report of the receiver", func() bool { return reports() > 0 })
	y.ip("-n", y.theirs, "addr", "del", firstAddress+"/24", "dev", "br0")
	y.ip("-n", y.theirs, "addr", "add", secondAddress+"/24", "dev", "br0")
	y.hosts(secondAddress)
	y.stopReceiver() // the one at the new address is another
	y.receiver()
	before := y.count()
	took := y.reach(2, before, 40*time.Second)
	t.Logf("FIGURE receiver's name moved to another address: decoding again after %v", took.Round(time.Millisecond))
	// Silence is noticed after 2.5 intervals of reports, of 5 s at most; then the receiver starts as it did before.
	if most := 12500*time.Millisecond + start; took > most {
		t.Errorf("%v until pictures are decoded again, want %v", took, most)
	}
}
