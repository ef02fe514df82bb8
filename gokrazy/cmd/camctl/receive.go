// camctl receive: gateway and receiver on the desk, which is farend/server with settings of its own. What a
// board must be told is in receive_setup.go, what it prints in receive_output.go.

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/sqlite"
)

type receiveOptions struct {
	listen, state, record string
	key, keyFile          string
	seedOut               string
	cert, tlsKey          string
	names                 []string
	tls, json, srtp       bool
	anyAddress            bool
	rtp, rtcp             int
	keepAlive             time.Duration
	offer                 offerOptions
}

func newReceiveCommand() *cobra.Command {
	var o receiveOptions
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Be gateway and receiver for boards in the network",
		Long: `receive grants the boards that have its key a stream to this machine, counts and
reassembles what arrives, reports back, and records it as WebM.

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
	f.StringVar(&o.record, "record", "recordings",
		`directory for recordings, relative to the state directory; "" records nothing`)
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
		"print one JSON object a second and stream on stdout, and a last one with the sums")
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

// receiveCapacity is how many boards may stream at once: more than a desk has.
const receiveCapacity = 100

// settings are those of the server. What is recorded stays until somebody removes it, or until the disk is
// nearly full.
func (o *receiveOptions) settings() settings.Settings {
	s := settings.Default()
	s.Gateway = settings.Gateway{
		Listen: o.listen, TLS: o.tls || o.cert != "", Certificate: o.cert, Key: o.tlsKey, Names: o.names,
		SRTP: o.srtp, KeepAlive: o.keepAlive,
	}
	s.Receiver = settings.Receiver{
		Ports: settings.Ports{RTP: o.rtp, RTCP: o.rtcp}, AnyAddress: o.anyAddress, Capacity: receiveCapacity,
	}
	s.State = settings.State{Folder: o.state}
	s.Record = settings.Record{Folder: o.record, Segment: time.Hour}
	s.Operator = settings.Operator{}
	return s
}

func receive(cmd *cobra.Command, o receiveOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	log := newLog(cmd)
	if err := o.openState(); err != nil {
		return err
	}
	isOurs := o.key == "" && o.keyFile == ""
	var err error
	if o.key, err = o.findKey(log); err != nil {
		return err
	}
	update, err := openOffering(&o, o.tls || o.cert != "", log)
	if err != nil {
		return err
	}
	s, err := server.Open(cmd.Context(), server.Config{
		Settings: o.settings(), Program: "camctl receive", Version: versionText(), Log: log,
		PortsHint: "choose others with --rtp and --rtcp",
		Parts: func(*server.Server) (server.Parts, error) {
			return server.Parts{Offer: update.offerFunc(), Gateway: update.handler}, nil
		},
		OpenStore: func(ctx context.Context) (*store.Store, error) {
			st, err := sqlite.Open(ctx, filepath.Join(o.state, server.DatabaseFile))
			if err != nil {
				return nil, err
			}
			if err := update.begin(ctx, st); err != nil {
				return nil, errors.Join(fmt.Errorf("--offer-update: %w", err), st.Close())
			}
			return st, nil
		},
	})
	if err != nil {
		return err
	}
	if err := errors.Join(o.admitKey(cmd.Context(), s.Store()), o.writeSeed(s)); err != nil {
		s.Close()
		return err
	}
	return streamUntilTold(cmd, s, update, &printer{cmd: cmd, json: o.json, streams: map[string]counted{}}, o, isOurs)
}

// streamUntilTold prints a line a second while the server runs.
func streamUntilTold(cmd *cobra.Command, s *server.Server, update *offering, p *printer, o receiveOptions,
	isOurs bool) error {
	p.ready(s, o, isOurs)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(cmd.Context()) }()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			p.summary(s)
			return err
		case <-ticker.C:
			p.lines(s, update)
		}
	}
}
