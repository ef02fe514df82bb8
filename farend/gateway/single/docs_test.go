// docs/gateway.md and docs/gateway-example.py: what the page shows is what gateways answer.

package single

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func readPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDocsTableHasEveryCode(t *testing.T) {
	page := readPage(t)
	for _, code := range wire.Codes() {
		if !strings.Contains(page, fmt.Sprintf("\n| %d | ", code)) {
			t.Errorf("docs/gateway.md does not explain %d", code)
		}
	}
}

// startExample starts docs/gateway-example.py and gives its URL.
func startExample(t *testing.T, receiver ...string) string {
	t.Helper()
	need.Tools(t, "python3")
	args := append([]string{"../../../docs/gateway-example.py", "--key", "secret", "--port", "0"}, receiver...)
	cmd := exec.CommandContext(t.Context(), "python3", args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // killed by then
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the example gateway says %q: %v", line, err)
	}
	return strings.TrimPrefix(strings.TrimSpace(line), "gateway on ")
}

// An example of the page is a request of curl and the answer to it.
var example = regexp.MustCompile(`curl -d '([^']*)' http://127\.0\.0\.1:8080/\n(\{.*\})\n`)

// pageID is the utilization id of the page.
const pageID = "4f1c9a7be2d05836"

// playPage posts the page's examples in their order. What the page shows must be in the answers,
// which may have more.
func playPage(t *testing.T, url string) {
	t.Helper()
	examples := example.FindAllStringSubmatch(readPage(t), -1)
	if len(examples) != 5 {
		t.Fatalf("%d examples found on the page, want 5", len(examples))
	}
	id := pageID
	for _, e := range examples {
		response, err := http.Post(url, "application/json", strings.NewReader(strings.ReplaceAll(e[1], pageID, id)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		var got, want map[string]any
		if err != nil || json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(e[2]), &want) != nil {
			t.Fatalf("%s: %s, %v", e[1], body, err)
		}
		if id == pageID {
			id, _ = got["utilization_id"].(string)
			want["utilization_id"] = id
		}
		for field, value := range want {
			if got[field] != value {
				t.Errorf("%s: %s = %v, the page says %v", e[1], field, got[field], value)
			}
		}
		wantStatus := http.StatusOK
		if code, refused := want["error_code"].(float64); refused {
			wantStatus = int(code) / 10
		}
		if response.StatusCode != wantStatus {
			t.Errorf("%s: status %d, want %d", e[1], response.StatusCode, wantStatus)
		}
	}
	if len(id) < 16 {
		t.Errorf("utilization id %q can be guessed", id)
	}
}

func TestDocsExamplesAreAnsweredAsTheySay(t *testing.T) {
	t.Run("by the example gateway", func(t *testing.T) {
		playPage(t, startExample(t, "192.168.1.5", "5004", "5005"))
	})
	t.Run("by our gateway", func(t *testing.T) {
		d := newDesk(t, Config{Key: "secret", Host: "192.168.1.5"})
		s := httptest.NewServer(d)
		defer s.Close()
		playPage(t, s.URL)
	})
}

func TestExampleGatewayRefusesAsOursDoes(t *testing.T) {
	d := newDesk(t, Config{Key: "secret"})
	ours := httptest.NewServer(d)
	defer ours.Close()
	theirs := startExample(t, "192.168.1.5", "5004", "5005")
	for _, body := range []string{
		``, `<html>`, `[]`, `{}`, `{"action": null}`, `{"action": "get_data"}`,
		`{"action": "new_utilization_id"}`, `{"action": "new_utilization_id", "key": "x"}`,
		`{"action": "start_stream", "utilization_id": "x"}`, `{"action": "start_stream", "key": "x"}`,
		`{"action": "start_stream", "key": "secret"}`,
		`{"action": "start_stream", "key": "secret", "utilization_id": "x"}`,
		`{"action": "validate_stream"}`, `{"action": "validate_stream", "utilization_id": 7}`,
		`{"action": "stop_stream"}`, `{"action": "stop_stream", "utilization_id": "x"}`,
	} {
		var codes []any
		for _, url := range []string{ours.URL, theirs} {
			response, err := http.Post(url, "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			var answer map[string]any
			err = json.NewDecoder(response.Body).Decode(&answer)
			response.Body.Close()
			if code, _ := answer["error_code"].(float64); err != nil || response.StatusCode != int(code)/10 {
				t.Errorf("%s: status %d with %v, %v", body, response.StatusCode, answer, err)
			}
			codes = append(codes, answer["error_code"])
		}
		if codes[0] != codes[1] {
			t.Errorf("%s: our gateway says %v, the example %v", body, codes[0], codes[1])
		}
	}
}
