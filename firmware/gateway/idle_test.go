package gateway

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// Some servers close a connection after a second: a request that is just then on its way is lost,
// and POST is not repeated by itself. So only start_stream follows on a connection that was used.
func TestConnectionIsUsedAgainForAStartOnly(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"utilization_id":1,"url":"h","rtp_port":5004,"rtcp_port":5005,"validation_code":0}`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := newClient(t, ClientConfig{URL: server.URL})
	id, err := client.NewUtilizationID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.StartStream(t.Context(), id, 640, 480); err != nil {
		t.Fatal(err)
	}
	atStart := connections.Load()
	time.Sleep(requestGap) // the pace's; the client counts in real time
	if _, err := client.ValidateStream(t.Context(), wire.TextID("1")); err != nil {
		t.Fatal(err)
	}
	if got := connections.Load(); atStart > 2 || got != atStart+1 {
		t.Errorf("%d connections for a start, %d with a validation, want one more", atStart, got)
	}
}
