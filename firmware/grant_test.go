package firmware

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway"
	"github.com/krazycam/krazycam/firmware/pipeline"
)

// From the file to the check: what the owner did not say is not what the owner left empty.
func TestListOfReceiversInTheFileDecidesWhomAGatewayMayName(t *testing.T) {
	const url = `"url": "https://169.254.7.7:8080/", "key": "k"`
	for _, c := range []struct {
		name, file string
		host       string
		want       bool
	}{
		{"nothing said", `{"gateway": {` + url + `}}`, "203.0.113.5", true},
		{"an empty list", `{"gateway": {` + url + `, "allowed-receivers": []}}`, "203.0.113.5", false},
		{"a list", `{"gateway": {` + url + `, "allowed-receivers": ["203.0.113.0/24"]}}`, "203.0.113.5", true},
		{"another list", `{"gateway": {` + url + `, "allowed-receivers": ["203.0.114.0/24"]}}`, "203.0.113.5", false},
		{"the gateway's own link-local address", `{"gateway": {` + url + `}}`, "169.254.7.7", true},
		{"another link-local address", `{"gateway": {` + url + `}}`, "169.254.169.254", false},
	} {
		read, err := config.Parse("krazycam.json", []byte(c.file))
		if err != nil {
			t.Fatal(err)
		}
		grant := gateway.Grant{Host: c.host, RTPPort: 5004, RTCPPort: 5005}
		g, err := receiverPolicy(read.Gateway, false).ResolveReceiver(t.Context(), grant)
		if (err == nil) != c.want || err != nil && !errors.Is(err, gateway.ErrDestination) {
			t.Errorf("%s: %v, %v, want allowed %v", c.name, g.RTP, err, c.want)
		}
	}
	// A list of the image is replaced by an empty one of the card.
	image, err := config.Parse("image", []byte(`{"gateway": {"allowed-receivers": ["10.0.0.0/8"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	card, err := image.With("card", []byte(`{"gateway": {"allowed-receivers": []}}`))
	if err != nil || card.Gateway.AllowedReceivers == nil || len(card.Gateway.AllowedReceivers) != 0 {
		t.Errorf("the card's list = %#v, %v, want an empty one", card.Gateway.AllowedReceivers, err)
	}
}

// What a session knows of its gateway, such as how soon it may be asked again, outlives a camera.
func TestNextCameraGoesOnWithTheSessionOfTheLast(t *testing.T) {
	p, _ := newTestPipeline(t, vga, &pipeline.Stages{})
	c := config.Config{Gateway: config.Gateway{URL: "https://192.0.2.1/", Key: "k"}}
	s := &Source{Config: c, Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the camera is lost at once
	var sessions []*gateway.Session
	for range 2 {
		if err := s.followGateway(ctx, &stream{source: s, pipeline: p}); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s.session)
	}
	if sessions[0] == nil || sessions[0] != sessions[1] {
		t.Errorf("sessions %p and %p, want one", sessions[0], sessions[1])
	}
}
