// What a source says of its board, and what it hears of updates.

package gateway

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// asker is a client of a gateway that answers everything with status and body; it notes what is
// offered.
func asker(t *testing.T, status int, body string, board *wire.Board) (*Client, *[]string, *[]*wire.Update) {
	t.Helper()
	c, asked := serve(t, status, body)
	var offered []*wire.Update
	c.config.Board = func() *wire.Board { return board }
	c.config.Offered = func(u *wire.Update) { offered = append(offered, u) }
	return c, asked, &offered
}

func TestClientSaysWhichBoardAsksForAStreamAndForNothingElse(t *testing.T) {
	ctx, id := t.Context(), wire.TextID("7")
	c, asked, _ := asker(t, 200, `{"utilization_id":"7","url":"h","rtp_port":1,"rtcp_port":2,"validation_code":0}`,
		&wire.Board{Serial: "s1", Version: "v2"})
	_, _ = c.NewUtilizationID(ctx)
	_, _ = c.ValidateStream(ctx, id)
	_ = c.StopStream(ctx, id)
	want := []string{
		`POST /api application/json {"action":"new_utilization_id","key":"k"}`,
		`POST /api application/json {"action":"validate_stream","utilization_id":"7",` +
			`"board":{"serial":"s1","version":"v2"}}`,
		`POST /api application/json {"action":"stop_stream","utilization_id":"7"}`,
	}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestClientPassesOnWhatIsOfferedAndThatNothingIs(t *testing.T) {
	const offer = `"update":{"url":"https://u.example/f","version":"v2"}`
	u := &wire.Update{URL: "https://u.example/f", Version: "v2"}
	ctx, id := t.Context(), wire.TextID("7")
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   []*wire.Update
	}{
		{"a grant with an offer", 200, `{"url":"h","rtp_port":1,"rtcp_port":2,` + offer + `}`, []*wire.Update{u}},
		{"a grant without one", 200, `{"url":"h","rtp_port":1,"rtcp_port":2}`, []*wire.Update{nil}},
		{"a refusal with one", 409, `{"error_code":4091,` + offer + `}`, []*wire.Update{u}},
		{"a refusal without one says nothing of it", 409, `{"error_code":4091}`, nil},
		{"no gateway", 502, `<html>`, nil},
		{"one that cannot be used is the callee's", 200, `{"url":"h","rtp_port":1,"rtcp_port":2,"update":7}`,
			[]*wire.Update{{}}},
	} {
		client, _, offered := asker(t, c.status, c.body, nil)
		_, _ = client.StartStream(ctx, id, 640, 480)
		if diff := cmp.Diff(c.want, *offered); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	client, _, offered := asker(t, 200, `{"validation_code":3,`+offer+`}`, nil)
	if _, err := client.ValidateStream(ctx, id); err != nil || len(*offered) != 1 {
		t.Errorf("validate_stream: %v, offered %v", err, *offered)
	}
	_, _ = client.NewUtilizationID(ctx)
	_ = client.StopStream(ctx, id)
	if len(*offered) != 1 {
		t.Errorf("offered %v, want none by other answers", *offered)
	}
}

// An offer must not change what a session does.
func TestOfferDoesNotChangeTheGrant(t *testing.T) {
	const grant = `"url":"v.example","rtp_port":5004,"rtcp_port":5005`
	client, _, _ := asker(t, 200, `{`+grant+`,"update":{"url":["x"],"version":{}}}`, nil)
	g, err := client.StartStream(t.Context(), wire.TextID("7"), 640, 480)
	if err != nil || g.Host != "v.example" || g.RTPPort != 5004 || g.KeepAlive != time.Minute {
		t.Errorf("grant %+v, %v", g, err)
	}
}
