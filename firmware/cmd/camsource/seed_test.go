package main

import (
	"testing"

	"github.com/krazycam/krazycam/firmware"
	"github.com/krazycam/krazycam/firmware/config"
)

// camctl, init and camsource have one check. What camsource asks its own parts, the gateway's client
// among them, must say no to nothing that passed.
func TestASeedThatPassesIsOneThatCamsourceGoesBy(t *testing.T) {
	for _, seed := range []string{
		`{"gateway": {"url": "https://g.example"}}`,
		`{"gateway": {"url": "http://g.example", "key": "k"}}`,
		`{"gateway": {"url": "HTTP://g.example", "key": "k"}}`,
		`{"gateway": {"url": "http://g.example", "key": "k", "allow-http": true}}`,
		`{"gateway": {"url": "https://g.example", "key": "k"}}`,
		`{"gateway": {"url": "https://[::1]:8443/", "key": "k", "ca": ""}}`,
		`{"gateway": {"url": "https://g.example", "key": "k", "allowed-receivers": ["10.0.0.0/8"]}}`,
		`{"stream": {"rtp": "10.0.0.1:5004"}}`,
		`{"stream": {"rtcp": "10.0.0.1:5004"}, "gateway": {"url": "https://g.example", "key": "k"}}`,
		`{"stream": {"rtp": "10.0.0.1:5004", "rtcp": "10.0.0.1:5005"}, "gateway": {"url": "https://g.example"}}`,
		`{"stream": {"rtp": "10.0.0.1:5004", "rtcp": "10.0.0.1:5005"}}`,
		`{"stream": {"encryption": "required"}, "gateway": {"url": "https://g.example", "key": "k"}}`,
	} {
		_, checked := config.ParseSeed(nil, config.SeedName, []byte(seed))
		o := options{file: config.SeedName, pace: true}
		var err error
		if o.config, err = config.Parse(config.SeedName, []byte(seed)); err != nil {
			t.Fatal(err)
		}
		taken := o.checkTogether()
		if taken == nil && o.config.Stream.RTP == "" {
			taken = firmware.CheckGateway(o.config.Gateway)
		}
		if (checked == nil) != (taken == nil) {
			t.Errorf("%s: the seed's check says %v, camsource %v", seed, checked, taken)
		}
	}
}
