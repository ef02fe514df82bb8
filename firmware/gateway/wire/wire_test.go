package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestIDGoesBackAsItCame(t *testing.T) {
	for literal, words := range map[string]string{
		`"abc"`: "abc", `"12"`: "12", `12`: "12", `12345678901234567890123`: "12345678901234567890123",
		`-1.50e2`: "-1.50e2", `"ä\"b"`: `ä"b`,
	} {
		var id ID
		if err := json.Unmarshal([]byte(literal), &id); err != nil {
			t.Errorf("%s: %v", literal, err)
		}
		back, err := json.Marshal(id)
		if err != nil || string(back) != literal || id.String() != words {
			t.Errorf("%s came back as %s (%q), %v", literal, back, id, err)
		}
	}
	for _, literal := range []string{`true`, `[]`, `{}`, `"` + strings.Repeat("x", maxID) + `"`} {
		var id ID
		if err := json.Unmarshal([]byte(literal), &id); err == nil {
			t.Errorf("%.20s was taken as %v", literal, id)
		}
	}
	for _, literal := range []string{`null`, `""`} {
		id := TextID("x")
		if err := json.Unmarshal([]byte(literal), &id); err != nil || !id.IsZero() {
			t.Errorf("%s = %v, %v, want none", literal, id, err)
		}
	}
	if TextID("12") == (ID{"12"}) {
		t.Error(`"12" and 12 are the same ID`)
	}
}

func TestRequestKeepsItsKeyOutOfLogs(t *testing.T) {
	if s := (Request{Action: "start_stream", Key: "secret"}).String(); strings.Contains(s, "secret") {
		t.Errorf("String = %q", s)
	}
}

func TestAnswerIsWrittenAsTheProtocolHasIt(t *testing.T) {
	for want, a := range map[string]Answer{
		`{"error_code":4091,"error_txt":"stream already active"}`: {ErrorCode: NewInt(4091),
			ErrorText: "stream already active"},
		`{"utilization_id":12}`: {Utilization: ID{"12"}},
		`{"rtcp_port":5005,"rtp_port":5004,"twcc":5,"url":"v.example"}`: {
			URL: "v.example", RTPPort: NewInt(5004), RTCPPort: NewInt(5005), Transport: OptionalInt{NewInt(5)}},
		`{"validation_code":0,"validation_txt":"stream captured"}`: {Validation: NewInt(0),
			Explanation: "stream captured"},
		`{"ok":"stream stopped successfully"}`: {OK: "stream stopped successfully"},
	} {
		got, err := json.Marshal(a)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
		var back Answer
		if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%s was read as %+v, %v, want %+v", got, back, err, a)
		}
	}
}

func TestKeysComeOutOfAnAnswerAsTheyWentIn(t *testing.T) {
	for _, profile := range []string{ProfileGCM, ProfileCM} {
		n := KeySize(profile)
		want := &SRTP{Profile: profile, Source: bytes.Repeat([]byte{1}, n), Receiver: bytes.Repeat([]byte{2}, n)}
		var a Answer
		a.SetSRTP(want)
		if got, err := a.SRTP(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", profile, got, err)
		}
		a.ReceiverKey = a.ReceiverKey[4:]
		if got, err := a.SRTP(); !errors.Is(err, ErrKeys) || strings.Contains(err.Error(), a.SourceKey) {
			t.Errorf("%s with half a key: %v, %v, want ErrKeys and no key", profile, got, err)
		}
	}
	if got, err := (Answer{}).SRTP(); got != nil || err != nil {
		t.Errorf("keys of an answer without any: %v, %v", got, err)
	}
}
