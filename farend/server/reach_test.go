package server

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSeedSaysWhatABoardMustKnow(t *testing.T) {
	isHere := func(url string) bool { return strings.Contains(url, "127.") || strings.Contains(url, "localhost") }
	for url, ca := range map[string]string{"http://192.0.2.1:8080/": "", "https://192.0.2.1/": "PEM\n",
		"https://192.0.2.2/": "", "http://127.0.0.1:8080/": "", "https://localhost/": "PEM\n"} {
		var got struct{ Gateway map[string]any }
		if err := json.Unmarshal([]byte(Seed(url, "k", ca)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Gateway["url"] != url || (got.Gateway["ca"] != nil) != (ca != "") ||
			(got.Gateway["allow-http"] == true) != strings.HasPrefix(url, "http:") ||
			(got.Gateway["allow-loopback"] == true) != isHere(url) {
			t.Errorf("seed = %v", got.Gateway)
		}
	}
}
