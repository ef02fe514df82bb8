// Debian's Janus and Chromium in a yard. Configuration and pages are those of docs/janus.
// ICE needs an interface that is not the loopback, and Chromium a default route.

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	manual       = "../../../docs/janus"
	janusAddress = "10.80.0.1" // towards browsers
)

// browsers makes a namespace for them behind Janus. The way there carries so much, such as
// "400kbit", with 300 ms of queue; "": as much as comes.
func (y *yard) browsers(rate string) {
	y.t.Helper()
	y.browser = fmt.Sprintf("cam-c-%d", os.Getpid())
	y.ip("netns", "add", y.browser)
	y.t.Cleanup(func() { y.ip("netns", "del", y.browser) })
	y.ip("-n", y.theirs, "link", "add", "vc", "type", "veth", "peer", "name", "vd", "netns", y.browser)
	y.ip("-n", y.theirs, "addr", "add", janusAddress+"/24", "dev", "vc")
	y.ip("-n", y.browser, "addr", "add", "10.80.0.2/24", "dev", "vd")
	for _, end := range [][]string{{y.theirs, "vc"}, {y.browser, "vd"}, {y.browser, "lo"}} {
		y.ip("-n", end[0], "link", "set", end[1], "up")
	}
	y.ip("-n", y.browser, "route", "add", "default", "via", janusAddress)
	if rate != "" {
		y.output(y.theirs, "tc", "qdisc", "add", "dev", "vc", "root", "tbf", "rate", rate, "burst", "5kb", "latency",
			"300ms")
	}
}

// bridge runs Janus and a camsource that sends a file or the pattern to it.
func (y *yard) bridge(source string, flags ...string) {
	y.t.Helper()
	y.run(y.theirs, y.log("janus"), append([]string{"janus", "--disable-colors"}, y.configureJanus()...)...)
	y.t.Cleanup(func() {
		for _, who := range []string{"janus", "camsource", "chromium"} {
			if y.t.Failed() {
				y.t.Logf("%s said:\n%s", who, y.said(who))
			}
		}
	})
	y.await("Janus' web server", func() bool {
		return strings.Contains(y.output(y.theirs, "ss", "-ltnH"), ":8088")
	})
	y.run(y.ours, y.log("camsource"),
		append([]string{
			program(y.t), "--camera", source, "--rtp", firstAddress + ":5004", "--rtcp", firstAddress + ":5005",
		}, flags...)...)
	y.await("the stream", func() bool { return strings.Contains(y.said("camsource"), "camsource READY ") })
}

// configureJanus copies docs/janus and tells Janus where its own parts are: scripts/setup
// only unpacks it, for installed it would start with the machine.
func (y *yard) configureJanus() (flags []string) {
	t, dir := y.t, y.t.TempDir()
	t.Helper()
	program, err := exec.LookPath("janus")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(program), "../lib/*/janus"))
	if err != nil || len(parts) != 1 {
		t.Fatalf("parts of %s: %v, %v", program, parts, err)
	}
	files, err := filepath.Glob(filepath.Join(manual, "*.jcfg"))
	if err != nil || len(files) != 3 {
		t.Fatalf("configuration in %s: %v, %v", manual, files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Base(f))
		if filepath.Base(f) == "janus.jcfg" {
			flags = []string{"--configs-folder", dir, "--config", to}
			b = []byte(strings.Replace(string(b), "general: {",
				fmt.Sprintf("general: {\n\tplugins_folder = %q\n\ttransports_folder = %q",
					parts[0]+"/plugins", parts[0]+"/transports"), 1))
		}
		if err := os.WriteFile(to, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return flags
}

// browse runs Chromium until each viewer, one after the other, has seen so many pictures
// and told of them.
func (y *yard) browse(pictures int, viewers ...string) map[string]viewing {
	y.t.Helper()
	reports, page := y.serve()
	// Not TempDir: a helper process of Chromium may write while that is removed.
	profile, err := os.MkdirTemp("", "krazycam-chromium-")
	if err != nil {
		y.t.Fatal(err)
	}
	defer os.RemoveAll(profile)
	stop := y.run(y.browser, y.log("chromium"), "chromium", "--no-sandbox", "--headless=new", "--disable-gpu",
		"--disable-breakpad", "--disable-dev-shm-usage", "--user-data-dir="+profile,
		fmt.Sprintf("%s?janus=http://%s:8088/janus&id=1&pictures=%d&viewers=%s", page, janusAddress, pictures,
			strings.Join(viewers, ",")))
	defer stop()
	all := map[string]viewing{}
	limit := time.After(2 * time.Minute)
	for range viewers {
		select {
		case v := <-reports:
			if v.Error != "" {
				y.t.Fatalf("%s: %s", v.who, v.Error)
			}
			all[v.who] = v
		case <-limit:
			y.t.Fatalf("viewers that have told: %d of %d in two minutes", len(all), len(viewers))
		}
	}
	return all
}

// serve serves testdata/probe.html beside the pages of docs/janus, where Chromium is.
func (y *yard) serve() (reports chan viewing, page string) {
	y.t.Helper()
	reports = make(chan viewing, 10)
	pages := http.NewServeMux()
	pages.Handle("GET /", http.FileServer(http.Dir(manual)))
	pages.HandleFunc("GET /probe.html",
		func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/probe.html") })
	pages.HandleFunc("POST /report/{who}", func(_ http.ResponseWriter, r *http.Request) {
		v := viewing{who: r.PathValue("who")}
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			v.Error = err.Error()
		}
		reports <- v
	})
	l := y.listen(y.browser)
	server := &http.Server{Handler: pages}
	go func() { _ = server.Serve(l) }() // until Close
	y.t.Cleanup(func() { server.Close() })
	return reports, fmt.Sprintf("http://%s/probe.html", l.Addr())
}
