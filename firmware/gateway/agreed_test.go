package gateway

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestWhatIsAgreedComesFromTheAnswerAndNonsenseIsNothing(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		want         Agreed
	}{
		{"nothing said", ``, Agreed{}},
		{"all of it", `,"rtx":true,"twcc":5,"ntp-64":4`, Agreed{RTX: true, Transport: 5, CaptureTime: 4}},
		{"numbers as text", `,"rtx":"1","twcc":"14"`, Agreed{RTX: true, Transport: 14}},
		{"a switch as a number", `,"rtx":1`, Agreed{RTX: true}},
		{"IDs that do not fit a one-byte header", `,"twcc":15,"ntp-64":0`, Agreed{}},
		{"one ID for both", `,"twcc":3,"ntp-64":3`, Agreed{Transport: 3}},
		{"objects and negative numbers", `,"rtx":{"a":1},"twcc":-1,"ntp-64":[4]`, Agreed{}},
	} {
		client, _ := serveTLS(t, "{"+granted+c.fields+"}")
		g, err := client.StartStream(t.Context(), wire.TextID("x"), 640, 480)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if g.Agreed != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, g.Agreed, c.want)
		}
	}
}

func TestOfferGoesOverHTTPSAlone(t *testing.T) {
	client, asked := serveTLS(t, "{"+granted+"}")
	if _, err := client.StartStream(t.Context(), wire.TextID("x"), 640, 480); err != nil {
		t.Fatal(err)
	}
	var r wire.Request
	if err := json.Unmarshal(*asked, &r); err != nil || fmt.Sprint(r.Offer) != "[rtx twcc ntp-64 rtcp-mux]" {
		t.Errorf("asked %s: %v", *asked, err)
	}
}
