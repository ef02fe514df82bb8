// camctl receive: gateway and receiver on the desk. Owns all goroutines while it
// runs. What it opens is in receive_setup.go, what it prints in receive_output.go.

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/gateway/single"
	"github.com/krazycam/krazycam/farend/receiver"
)

type receiveOptions struct {
	listen, state, ivf string
	key, keyFile       string
	seedOut            string
	cert, tlsKey       string
	names              []string
	tls, json, srtp    bool
	anyAddress         bool
	rtp, rtcp          int
	keepAlive          time.Duration
	offer              offerOptions
}

func newReceiveCommand() *cobra.Command {
	var o receiveOptions
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Be gateway and receiver for boards in the network",
		Long: `receive grants one board at a time a stream to this machine, counts and
reassembles what arrives, reports back, and records it as IVF.

It listens on all addresses, since a board must reach it; the API key guards it.
--listen 127.0.0.1:8080 keeps it to this machine. Key, certificate and the
boards' utilization ids are kept in the state directory, which one receive at a
time may use. A key that must be a certain one is best given with --key-file:
other users of this machine see what stands on a command line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return receive(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", ":8080", "address of the gateway; its host is also the receiver's")
	f.StringVar(&o.key, "key", "", "API key (default: one that is made once, kept in the state directory and printed)")
	f.StringVar(&o.keyFile, "key-file", "", "`file` that holds the API key; others must not be able to read it")
	f.StringVar(&o.seedOut, "seed-out", "",
		"write the krazycam.json of a board to this `file`, for its owner alone: the key is in it")
	f.StringVar(&o.state, "state", "",
		"state directory (default: krazycam/receive in the user's configuration directory)")
	f.StringVar(&o.ivf, "ivf", "ivf", `directory for recordings, relative to the state directory; "" records nothing`)
	f.IntVar(&o.rtp, "rtp", 5004, "UDP port for RTP; 0: any")
	f.IntVar(&o.rtcp, "rtcp", 5005, "UDP port for RTCP; 0: any")
	f.BoolVar(&o.tls, "tls", false, "https, with a certificate that is made once and kept in the state directory")
	f.StringVar(&o.cert, "cert", "", "https with this PEM certificate")
	f.StringVar(&o.tlsKey, "tls-key", "", "the key of --cert")
	f.StringArrayVar(&o.names, "tls-name", nil,
		"a further host name or address for the certificate that --tls makes; repeatable")
	f.BoolVar(&o.srtp, "srtp", false, "grant encrypted streams only, with new keys each; needs --tls or --cert")
	f.BoolVar(&o.anyAddress, "any-address", false,
		"take a stream that announced no SSRC from any address: for older sources behind a proxy,\n"+
			"or that send from another interface than they ask from")
	f.DurationVar(&o.keepAlive, "keepalive", 0,
		"how often a source must ask whether it may go on, 5s to 600s (default: the protocol's 60s)")
	o.offer.bind(cmd)
	o.bindJSON(cmd)
	cmd.MarkFlagsRequiredTogether("cert", "tls-key")
	cmd.MarkFlagsMutuallyExclusive("tls", "cert")
	cmd.MarkFlagsMutuallyExclusive("key", "key-file")
	return cmd
}

func (o *receiveOptions) bindJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false,
		"print one JSON object a second on stdout, and a last one with the sums")
}

// check finds what cobra cannot see.
func (o *receiveOptions) check(cmd *cobra.Command) error {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return usagef("--listen %q: must be HOST:PORT or :PORT", o.listen)
	}
	for _, port := range []int{o.rtp, o.rtcp} {
		if port != 0 && (port < 1024 || port > 65535) {
			return usagef("--rtp and --rtcp: %d: must be from 1024 to 65535: a source refuses others", port)
		}
	}
	if o.rtp != 0 && o.rtp == o.rtcp {
		return usagef("--rtp and --rtcp: both are %d: they must differ", o.rtp)
	}
	if o.srtp && !o.tls && o.cert == "" {
		return usagef("--srtp: keys travel over https only: add --tls, or --cert and --tls-key")
	}
	if o.keepAlive != 0 && (o.keepAlive < 5*time.Second || o.keepAlive > 600*time.Second) {
		return usagef("--keepalive %v: must be from 5s to 600s", o.keepAlive)
	}
	return o.offer.check(cmd.Flags(), o.tls || o.cert != "")
}

// A station is everything that runs while camctl receive does.
type station struct {
	gateway  *single.Gateway
	receiver *receiver.Receiver
	offering *offering // nil: no update is offered
	http     http.Server
	listener net.Listener
	unlock   func() // gives the state directory back
	url      string // by which a board reaches us
	seed     string // what goes into a board's krazycam.json
	vmSeed   string // the same for a board that reaches this machine by QEMU's own network
	newKey   bool   // the key is ours, so printing it is how the owner learns it
}

func receive(cmd *cobra.Command, o receiveOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	log := newLog(cmd)
	s, err := openStation(&o, log)
	if err != nil {
		return err
	}
	defer s.unlock()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	var running sync.WaitGroup
	ended := make(chan error, 2)
	running.Go(func() { ended <- s.receiver.Run(ctx) })
	running.Go(func() {
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	})
	p := printer{cmd: cmd, json: o.json}
	p.ready(s, o)
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for err == nil && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case err = <-ended:
		case <-ticker.C:
			s.offering.save(log) // before it is said
			p.line(s.receiver.Stats(), s.gateway.State(), s.offering)
		}
	}
	_ = s.http.Close()
	cancel()
	running.Wait()
	s.offering.close(log)
	p.summary(s.receiver.Stats())
	return err
}
