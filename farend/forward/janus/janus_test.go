package janus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// server answers all requests with a text, and keeps the last one.
func server(t *testing.T, answers ...string) (Server, *string) {
	t.Helper()
	var last string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		last = r.URL.Path + " " + string(b)
		if len(answers) == 0 {
			t.Errorf("a request too many: %s", last)
			return
		}
		io.WriteString(w, answers[0])
		answers = answers[1:]
	}))
	t.Cleanup(s.Close)
	return Server{URL: s.URL + "/janus/", APISecret: "core", AdminKey: "key", Client: s.Client()}, &last
}

const session, handle = `{"janus":"success","data":{"id":7}}`, `{"janus":"success","data":{"id":8}}`

func TestAMountpointIsCreatedAsThePluginWantsIt(t *testing.T) {
	s, last := server(t, session, handle, `{"janus":"success","plugindata":{"data":{"streaming":"created",
		"stream":{"id":42,"ports":[{"type":"audio","port":1,"rtcp_port":2},
		{"type":"video","mid":"v","port":5000,"rtcp_port":5001}]}}}}`)
	h, err := s.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Create(t.Context(), Request{
		Mountpoint: Mountpoint{ID: 42, Description: "gate", Metadata: "m"}, Secret: "s", Pin: "p", Iface: "127.0.0.1",
	})
	if err != nil || p != (Ports{5000, 5001}) {
		t.Errorf("Create = %v, %v, want ports 5000 and 5001", p, err)
	}
	path, body, _ := strings.Cut(*last, " ")
	var got, want any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"janus":"message","transaction":"krazycam","apisecret":"core",
		"body":{"request":"create",
		"type":"rtp","id":42,"name":"gate","description":"gate","metadata":"m","secret":"s","pin":"p","permanent":false,
		"admin_key":"key","media":[{"type":"video","mid":"v","codec":"vp8","pt":96,"port":0,"rtcpport":0,
		"iface":"127.0.0.1"}]}}`), &want)
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if path != "/janus/7/8" || string(a) != string(b) {
		t.Errorf("request to %s:\n%s, want\n%s", path, a, b)
	}
}

func TestWhatJanusRefusesCanBeBranchedOn(t *testing.T) {
	plugin := func(code string) string {
		return `{"janus":"success","plugindata":{"data":{"streaming":"event","error_code":` + code + `,"error":"no"}}}`
	}
	core := func(code string) string { return `{"janus":"error","error":{"code":` + code + `,"reason":"no"}}` }
	for answer, want := range map[string]error{
		plugin("456"): ErrExists, plugin("455"): ErrNoMountpoint, core("458"): ErrSession, core("459"): ErrSession,
	} {
		s, _ := server(t, session, handle, answer)
		h, err := s.Attach(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = h.Destroy(t.Context(), 1, "s")
		var refusal *Error
		if !errors.Is(err, want) || !errors.As(err, &refusal) {
			t.Errorf("%s: %v, want %v", answer, err, want)
		}
	}
}

func TestOddAnswersAreErrorsInWords(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{`not found`, "invalid character"},
		{`{"janus":"ack"}`, "not success"},
		{`{"janus":"success"}`, "no id"},
		{`{"janus":"success","data":{"id":-1}}`, "number -1"},
		{`{"janus":"error","error":{"code":403,"reason":"` + strings.Repeat("x", 5000) + `"}}`, "(403)"},
		{strings.Repeat(" ", answerLimit+1), "more than"},
	} {
		s, _ := server(t, c.answer)
		_, err := s.Attach(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 2*reasonLimit {
			t.Errorf("%.60s: %v, want an error with %q", c.answer, err, c.want)
		}
	}
	for _, ports := range []string{`{}`, `{"ports":[{"type":"video","port":0,"rtcp_port":1}]}`,
		`{"ports":[{"type":"video","port":70000,"rtcp_port":1}]}`, `{"ports":[{"type":"video","port":5000}]}`} {
		s, _ := server(t, session, handle, `{"janus":"success","plugindata":{"data":{"stream":`+ports+`}}}`)
		h, err := s.Attach(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p, err := h.Create(t.Context(), Request{}); err == nil {
			t.Errorf("%s: Create = %v, want an error", ports, p)
		}
	}
}

func TestAnErrorNamesNoSession(t *testing.T) {
	s, _ := server(t, session, handle)
	h, err := s.Attach(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := h.List(ctx); err == nil || strings.Contains(err.Error(), "/7") {
		t.Errorf("List = %v, want an error without the session's path", err)
	}
}

func FuzzWhatJanusAnswersIsReadOrRefused(f *testing.F) {
	f.Add([]byte(session))
	f.Add([]byte(`{"janus":"error","error":{"code":458,"reason":"x"}}`))
	f.Add([]byte(`{"janus":"success","plugindata":{"data":{"list":[{"id":1,"metadata":"m"}],
		"stream":{"ports":[{"port":1}]}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err == nil && (a.Janus != "success" || a.Plugin.Data.ErrorCode != 0) {
			t.Errorf("%s: %+v was taken", b, a)
		}
		if err != nil && len(err.Error()) > 4*reasonLimit {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
