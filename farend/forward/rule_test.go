package forward

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestRulesSayWhatIsWrongWithThem(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{`{"from":"all","rtp":"127.0.0.1:5004","sdp":"/tmp/{source}.sdp","local":7000}`, ""},
		{`{"from":"source:gate-*","rtp":"[::1]:5004-5103"}`, ""},
		{`{"from":"customer:zoo","janus":"http://127.0.0.1:8088/janus","admin_key":"a","secret":"s","pin":"p"}`, ""},
		{`{"from":"all","whip":"https://lk.example/whip/v1","token":"t"}`, ""},
		{`{"from":"all","whip":"https://lk.example/whip/v1","livekit":{"key":"k","secret":"s"}}`, ""},
		{`{"from":"","rtp":"h:2"}`, "from is"},
		{`{"from":"customer:","rtp":"h:2"}`, "from is"},
		{`{"from":"board:x","rtp":"h:2"}`, "from is"},
		{`{"from":"all:x","rtp":"h:2"}`, "from is"},
		{`{"from":"source:","rtp":"h:2"}`, "from is"},
		{`{"from":"source:/gate","rtp":"h:2"}`, "from is"},
		{`{"from":"source:zoo/","rtp":"h:2"}`, "from is"},
		{`{"from":"source:zoo/north/gate","rtp":"h:2"}`, "from is"},
		{`{"from":"source:zoo/gate","rtp":"h:2"}`, ""},
		{`{"from":"all"}`, "has 0 of rtp"},
		{`{"from":"all","rtp":"h:2","whip":"http://h"}`, "has 2 of rtp"},
		{`{"from":"all","rtp":"h:2","token":"t"}`, "token belongs to a rule with whip"},
		{`{"from":"all","whip":"http://h/","sdp":"x"}`, "sdp belongs to a rule with rtp"},
		{`{"from":"all","rtp":"h"}`, "missing port"},
		{`{"from":"all","rtp":":5004"}`, "host is missing"},
		{`{"from":"all","rtp":"h:5005"}`, "even port"},
		{`{"from":"all","rtp":"h:5004-5004"}`, "not above"},
		{`{"from":"all","rtp":"h:0"}`, "not one from 1"},
		{`{"from":"all","rtp":"h:70000"}`, "not one from 1"},
		{`{"from":"all","rtp":"239.1.1.1:5004"}`, "one host"},
		{`{"from":"all","rtp":"0.0.0.0:5004"}`, "one host"},
		{`{"from":"all","rtp":"h:5004","local":7001}`, "local is"},
		{`{"from":"all","rtp":"h:5004-5203","local":65500}`, "local is"},
		{`{"from":"all","janus":"h:8088","secret":"s"}`, "janus"},
		{`{"from":"all","janus":"http://h/janus"}`, "secret is missing"},
		{`{"from":"all","janus":"http://h/janus","secret":"s","iface":"eth0"}`, "iface"},
		{`{"from":"all","whip":"ftp://h/"}`, "http://"},
		{`{"from":"all","whip":"http://h/","livekit":{"key":"k"}}`, "livekit"},
		{`{"from":"all","whip":"http://h/","token":"t","livekit":{"key":"k","secret":"s"}}`, "exclude"},
	} {
		var r Rule
		if err := json.Unmarshal([]byte(c.rule), &r); err != nil {
			t.Fatal(err)
		}
		err := r.Check()
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Check = %v, want %q", c.rule, err, c.want)
		}
	}
}

func TestRulesAreAboutTheStreamsThatTheyName(t *testing.T) {
	for _, c := range []struct {
		from                 string
		customer, source, id string
		want                 bool
	}{
		{"all", "", "", "", true},
		{"customer:zoo", "zoo", "gate", "1", true},
		{"customer:zoo", "zoological", "gate", "1", false},
		{"customer:zoo*", "zoological", "gate", "1", true},
		{"source:gate", "zoo", "gate", "1", false}, // any customer may call a source so
		{"source:zoo/gate", "zoo", "gate", "1", true},
		{"source:zoo/gate", "other", "gate", "1", false},
		{"source:zoo/gate", "other", "zoo/gate", "1", false},
		{"source:zoo/gate", "zoo", "door", "gate", false},
		{"source:zoo/*", "zoo", "", "1", true},
		{"source:zoo/*", "other", "zoo/gate", "1", false},
		{"source:*/gate", "other", "gate", "1", true},
		{"source:1", "zoo", "gate", "1", true},
		{"source:1", "1", "gate", "2", false},
		{"source:*", "", "", "", true},
		{"source:a*b*c", "", "", "abc", true},
		{"source:a*b*c", "", "", "a/b:c", true},
		{"source:a*b*c", "", "", "acb", false},
		{"source:ab*ba", "", "", "aba", false},
		{"source:zoo/*gate", "zoo", "north gate", "", true},
		{"source:a:b", "", "", "a:b", true},
	} {
		r := Rule{From: c.from}
		if got := r.matches(c.customer, c.source, c.id); got != c.want {
			t.Errorf("%s about customer %q, source %q, id %q: %v, want %v",
				c.from, c.customer, c.source, c.id, got, c.want)
		}
	}
}

func TestAPoolGivesASourceThePairThatItHad(t *testing.T) {
	p, err := parsePool("h:5000-5005", 7000)
	if err != nil {
		t.Fatal(err)
	}
	take := func(stream, source string, want int) {
		t.Helper()
		if got, err := p.take(stream, source); got != want || (err == nil) != (want != 0) {
			t.Errorf("take for %s of %s = %d, %v, want %d", stream, source, got, err, want)
		}
	}
	take("1", "a", 5000)
	take("2", "b", 5002)
	p.put(5000, "1")
	take("3", "c", 5004) // not a's, as long as another is free
	take("4", "a", 5000)
	take("5", "d", 0)
	p.put(5002, "another")
	take("6", "d", 0)
	p.put(5002, "2")
	take("7", "d", 5002)
	p.put(5002, "7")
	take("8", "b", 5002)
	if got := p.localPort(5004); got != 7004 {
		t.Errorf("localPort(5004) = %d, want 7004", got)
	}
	if one, _ := parsePool("h:6000", 0); one.localPort(6000) != 0 || one.free(true) != 6000 {
		t.Errorf("a single port: %+v", one)
	}
}

// What customers and boards call themselves leads to no other file.
func TestNamesInPathsStayNames(t *testing.T) {
	s := &sink{customer: "../zoo", grant: stream.Grant{ID: "s1", Source: wire.TextID("a/b é")}}
	got := s.expand("/srv/{customer}/{source}-{stream}-{port}.sdp", 5004)
	if want := "/srv/=2E=2E=2Fzoo/a=2Fb=20=C3=A9-s1-5004.sdp"; got != want {
		t.Errorf("expand = %s, want %s", got, want)
	}
}

func TestAMountpointsIDIsTheSourcesForEver(t *testing.T) {
	var number wire.ID
	if err := json.Unmarshal([]byte("5"), &number); err != nil {
		t.Fatal(err)
	}
	a, b := MountpointID(wire.TextID("5")), MountpointID(number)
	if a != 50149299174894 && a == b || a >= 1<<48 || b >= 1<<48 || a == 0 {
		t.Errorf("ids %d and %d, want two below 2^48", a, b)
	}
}
