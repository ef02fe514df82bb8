package webui

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// newSite answers {"owner": …} at /open and /shut, and panics at /panic.
func newSite(t testing.TB) (*Site, *clock) {
	g, c := newGuard(t)
	answer := func(w http.ResponseWriter, r *http.Request) { WriteJSON(w, 200, map[string]bool{"owner": IsOwner(r)}) }
	broken := func(http.ResponseWriter, *http.Request) { panic("defect") }
	return &Site{Guard: g, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Endpoints: []Endpoint{
		{Method: "GET", Path: "/open", Open: true, Handle: answer},
		{Method: "GET", Path: "/shut", Handle: answer},
		{Method: "POST", Path: "/shut", Handle: answer},
		{Method: "GET", Path: "/panic", Open: true, Handle: broken},
	}}, c
}

func TestSiteAnswersInOneForm(t *testing.T) {
	site, _ := newSite(t)
	for _, c := range []struct {
		name, method, path, password, header string // header: "Name: value"
		code                                 int
		want                                 string
	}{
		{"a stranger at an open page", "GET", "/open", "", "", 200, `{"owner":false}`},
		{"the owner at an open page", "GET", "/open", sesame, "", 200, `{"owner":true}`},
		{"a wrong password at an open page", "GET", "/open", "x", "", 401, `{"error":"the password is wrong"}`},
		{"a stranger at a shut page", "GET", "/shut", "", "", 401, `{"error":"the password is wrong"}`},
		{"the owner", "POST", "/shut", sesame, "", 200, `{"owner":true}`},
		{"another kind of authorization", "GET", "/shut", "", "Authorization: Bearer x", 401, `wrong`},
		{"another page", "GET", "/shut/", sesame, "", 404, `{"error":"there is no such page`},
		{"another method", "PUT", "/shut", sesame, "", 405, `{"error":"this is asked by GET or POST"}`},
		{"a page of another site", "POST", "/shut", sesame, "Sec-Fetch-Site: cross-site", 403, `page of another site`},
		{"an older browser's", "POST", "/shut", sesame, "Origin: https://evil.example", 403, `page of another site`},
		{"a defect", "GET", "/panic", "", "", 500, `{"error":"the board has a defect`},
	} {
		r := httptest.NewRequest(c.method, "https://board"+c.path, nil)
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header.Set(name, value)
		}
		if c.password != "" {
			r.SetBasicAuth("admin", c.password)
		}
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		var object map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil || w.Code != c.code ||
			!strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %d %s, want %d with %s", c.name, w.Code, w.Body, c.code, c.want)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (c.code == 401) {
			t.Errorf("%s: WWW-Authenticate %q", c.name, challenge)
		}
	}
}

func TestBoardWithoutPasswordSaysHowToSetOne(t *testing.T) {
	site, _ := newSite(t)
	site.Guard = NewGuard("admin", "", time.Now)
	for path, code := range map[string]int{"/open": 200, "/shut": 403} {
		r := httptest.NewRequest("GET", "https://board"+path, nil)
		r.SetBasicAuth("admin", "")
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		if w.Code != code || code == 403 && !strings.Contains(w.Body.String(), "camctl flash") {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, code)
		}
	}
}

// serve gives the address of a server with the limits.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := httptest.NewUnstartedServer(nil) // for its certificate
	other.StartTLS()
	other.Close()
	server := NewServer(other.TLS.Certificates[0], h)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ServeTLS(LimitListener(l), "", "")
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

func TestCurlAndOpensslFindHTTP11AndTLS12OrLater(t *testing.T) {
	need.Tools(t, "curl", "openssl")
	site, _ := newSite(t)
	address := serve(t, site)
	out, err := exec.Command("curl", "--silent", "--show-error", "--insecure", "--http2", "--user", "admin:"+sesame,
		"--write-out", " %{http_version} %{http_code}", "https://"+address+"/shut").CombinedOutput()
	if want := "{\"owner\":true}\n 1.1 200"; err != nil || string(out) != want {
		t.Errorf("curl: %v, %q, want %q", err, out, want)
	}
	out, _ = exec.Command("curl", "--silent", "--show-error", "http://"+address+"/open").CombinedOutput()
	if strings.Contains(string(out), "owner") {
		t.Errorf("plain http is answered: %s", out)
	}
	for version, want := range map[string]bool{"-tls1_1": false, "-tls1_2": true, "-tls1_3": true} {
		cmd := exec.Command("openssl", "s_client", "-connect", address, version, "-alpn", "h2,http/1.1",
			"-cipher", "DEFAULT@SECLEVEL=0")
		cmd.Stdin = bytes.NewReader(nil)
		out, err := cmd.CombinedOutput()
		if got := err == nil && strings.Contains(string(out), "ALPN protocol: http/1.1"); got != want {
			t.Errorf("openssl %s: connects %t, want %t\n%s", version, got, want, out)
		}
	}
}

func TestOneAddressGetsSomeOfTheConnections(t *testing.T) {
	site, _ := newSite(t)
	address := serve(t, site)
	open := 0
	for range 3 * maxConnectionsPerAddress {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			continue // closed at once
		}
		defer conn.Close()
		open++
	}
	if open != maxConnectionsPerAddress {
		t.Errorf("%d connections are open, want %d", open, maxConnectionsPerAddress)
	}
}

func TestConnectionGivesItsPlaceBack(t *testing.T) {
	site, _ := newSite(t)
	address := serve(t, site)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for i := range 3 * maxConnectionsPerAddress {
		var resp *http.Response
		var err error
		for range 100 { // the server closes a moment after the client
			if resp, err = client.Get("https://" + address + "/open"); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		_ = resp.Body.Close()
	}
}

func TestHeaderThatNeverEndsIsCutOff(t *testing.T) {
	site, _ := newSite(t)
	conn, err := tls.Dial("tcp", serve(t, site), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		fmt.Fprintf(conn, "GET /open HTTP/1.1\r\nHost: board\r\n")
		for {
			if _, err := fmt.Fprintf(conn, "X: %s\r\n", strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer %v, %v, want 431", resp, err)
	}
}

// Whatever a stranger sends, the answer is JSON, and only the right password is the owner.
func FuzzSite(f *testing.F) {
	site, c := newSite(f)
	for _, seed := range []string{
		"GET /open HTTP/1.1\r\nHost: b\r\n\r\n",
		"POST /shut HTTP/1.1\r\nHost: b\r\nAuthorization: Basic YWRtaW46eA==\r\n\r\n",
		"GET /shut HTTP/1.0\r\nAuthorization: Basic =\r\n\r\n",
		"GET //open HTTP/1.1\r\nHost: b\r\nOrigin: null\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n",
	} {
		f.Add([]byte(seed), "192.0.2.1:1")
	}
	f.Fuzz(func(t *testing.T, request []byte, from string) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
		if err != nil {
			return
		}
		r.RemoteAddr = from
		c.add(time.Second)
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		var object map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil {
			t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
		}
		if _, password, _ := r.BasicAuth(); object["owner"] == true && password != sesame {
			t.Fatalf("the owner, by %q", request)
		}
	})
}
