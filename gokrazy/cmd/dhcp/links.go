// The interfaces as they come and go, and whether they have a carrier. Source: rtnetlink(7).

package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Route metrics: the kernel prefers the lowest. The cable is faster and does not fade. The index of
// the interface is added: of two routes to one place with one metric, the kernel keeps the last.
const (
	ethernetMetric = 100
	wifiMetric     = 600
	maxMetricIndex = 400
)

// resubscribePause is before the next try after the kernel's reports ended, as they do when more
// came than fit the socket.
const resubscribePause = time.Second

// carrierBacklog keeps a cable that is pulled and plugged at once from going unnoticed.
const carrierBacklog = 16

// links belongs to the goroutine of watch.
type links struct {
	only     []string // names; empty: every device
	state    string
	hostName string
	servers  *nameServers
	log      *slog.Logger

	running map[int]*running // by the kernel's index
	wait    sync.WaitGroup
}

// running is the goroutine of one interface.
type running struct {
	name     string
	hardware string
	carrier  chan bool // the latest carrierBacklog
	stop     context.CancelFunc
	done     chan struct{}
}

// watch runs a goroutine for each interface until ctx ends.
func (l *links) watch(ctx context.Context) error {
	defer l.wait.Wait()
	defer func() {
		for _, r := range l.running {
			r.stop()
		}
	}()
	for {
		if err := l.follow(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("changes of interfaces were lost, looking again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(resubscribePause):
		}
	}
}

// follow takes the kernel's reports until they end.
func (l *links) follow(ctx context.Context) error {
	updates, done := make(chan netlink.LinkUpdate), make(chan struct{})
	defer close(done)
	var lost error
	options := netlink.LinkSubscribeOptions{ErrorCallback: func(err error) { lost = err }}
	if err := netlink.LinkSubscribeWithOptions(updates, done, options); err != nil {
		return err
	}
	defer func() { go drain(updates) }() // the library's goroutine may be about to send
	present, err := netlink.LinkList()   // after the subscription, so that nothing lies between
	if err != nil {
		return err
	}
	for index := range l.running {
		if !slices.ContainsFunc(present, func(k netlink.Link) bool { return k.Attrs().Index == index }) {
			l.gone(index)
		}
	}
	for _, link := range present {
		l.changed(ctx, link.Attrs())
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, more := <-updates:
			switch {
			case !more:
				return lost
			case u.Header.Type == unix.RTM_DELLINK:
				l.gone(u.Attrs().Index)
			default:
				l.changed(ctx, u.Attrs())
			}
		}
	}
}

func drain(updates <-chan netlink.LinkUpdate) {
	for range updates { // until the library closes it
	}
}

// changed takes the present state of an interface.
func (l *links) changed(ctx context.Context, a *netlink.LinkAttrs) {
	if !l.isOurs(a) {
		return
	}
	if r := l.running[a.Index]; r != nil && (r.name != a.Name || r.hardware != string(a.HardwareAddr)) {
		l.gone(a.Index) // a new name or MAC address: another interface
	}
	if l.running[a.Index] == nil {
		l.start(ctx, a)
	}
	r := l.running[a.Index]
	if a.Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: a.Index}}); err != nil {
			l.log.Warn("interface cannot be set up", "interface", a.Name, "error", err)
		}
	}
	if len(r.carrier) == cap(r.carrier) {
		select { // drop the oldest; this is the only sender
		case <-r.carrier:
		default:
		}
	}
	r.carrier <- a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_RUNNING != 0
}

// isOurs says whether we serve an interface: by its name, or because it is a device with a MAC
// address.
func (l *links) isOurs(a *netlink.LinkAttrs) bool {
	if a.EncapType != "ether" || len(a.HardwareAddr) != 6 || a.Flags&net.FlagLoopback != 0 {
		return false
	}
	if len(l.only) > 0 {
		return slices.Contains(l.only, a.Name)
	}
	return hasFile(a.Name, "device")
}

func metricOf(name string, index int) int {
	rank := min(index, maxMetricIndex)
	if hasFile(name, "phy80211") || hasFile(name, "wireless") {
		return wifiMetric + rank
	}
	return ethernetMetric + rank
}

// hasFile looks into the interface's folder of sysfs.
func hasFile(name, file string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name, file))
	return err == nil
}

func (l *links) start(ctx context.Context, a *netlink.LinkAttrs) {
	ctx, stop := context.WithCancel(ctx)
	r := &running{name: a.Name, hardware: string(a.HardwareAddr), carrier: make(chan bool, carrierBacklog),
		stop: stop, done: make(chan struct{})}
	l.running[a.Index] = r
	i := &iface{
		index: a.Index, name: a.Name, hardware: a.HardwareAddr, hostName: l.hostName,
		metric: metricOf(a.Name, a.Index), state: l.state, servers: l.servers,
		log: l.log.With("interface", a.Name),
	}
	l.wait.Go(func() {
		defer close(r.done)
		i.run(ctx, r.carrier)
	})
}

// gone ends the goroutine of an interface that is no more.
func (l *links) gone(index int) {
	r := l.running[index]
	if r == nil {
		return
	}
	r.stop()
	<-r.done
	delete(l.running, index)
	l.servers.forget(r.name)
	l.log.Info("interface is gone", "interface", r.name)
	forgetLease(l.state, r.name)
}
