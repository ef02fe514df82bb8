// What Janus answers.

package janus

import (
	"encoding/json"
	"fmt"
)

// reasonLimit is how much of Janus' words goes into an error.
const reasonLimit = 200

// An answer is that of the core, with the plugin's inside.
type answer struct {
	Janus string `json:"janus"`
	Error struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"error"`
	Data struct {
		ID uint64 `json:"id"`
	} `json:"data"`
	Plugin struct {
		Data pluginAnswer `json:"data"`
	} `json:"plugindata"`
}

type pluginAnswer struct {
	ErrorCode int          `json:"error_code"`
	Error     string       `json:"error"`
	List      []Mountpoint `json:"list"`
	Stream    struct {
		Ports []struct {
			Type string `json:"type"`
			Port int    `json:"port"`
			RTCP int    `json:"rtcp_port"`
		} `json:"ports"`
	} `json:"stream"`
}

// parseAnswer reads an answer; one that refuses is an *Error.
func parseAnswer(b []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return answer{}, fmt.Errorf("read the answer of %d bytes: %w", len(b), err)
	}
	switch {
	case a.Janus == "error":
		return answer{}, &Error{a.Error.Code, clip(a.Error.Reason)}
	case a.Plugin.Data.ErrorCode != 0:
		return answer{}, &Error{a.Plugin.Data.ErrorCode, clip(a.Plugin.Data.Error)}
	case a.Janus != "success":
		return answer{}, fmt.Errorf("the answer is %q, not success", clip(a.Janus))
	}
	return a, nil
}

func clip(words string) string { return words[:min(len(words), reasonLimit)] }
