// What a gateway answers.

package wire

// An Answer has every field of any answer, good or bad; what was not said is left out.
// A server writes it as the protocol has it. Reading takes numbers as text, too, and
// what cannot be read of an addition is as good as not said.
type Answer struct {
	// A refusal.
	ErrorCode Int  `json:"error_code,omitzero"`
	ErrorText Text `json:"error_txt,omitempty"`

	// new_utilization_id.
	Utilization ID `json:"utilization_id,omitzero"`

	// start_stream: the receiver, and the additions to a grant.
	KeepAlive   OptionalInt `json:"keepalive_s,omitzero"`
	CaptureTime OptionalInt `json:"ntp-64,omitzero"`
	RTCPPort    Int         `json:"rtcp_port,omitzero"`
	RTPPort     Int         `json:"rtp_port,omitzero"`
	RTX         Bool        `json:"rtx,omitempty"`
	ReceiverKey string      `json:"srtcp_key,omitempty"` // secret
	SourceKey   string      `json:"srtp_key,omitempty"`  // secret
	Profile     string      `json:"srtp_profile,omitempty"`
	Transport   OptionalInt `json:"twcc,omitzero"`
	URL         string      `json:"url,omitempty"`

	// validate_stream.
	Validation  Int  `json:"validation_code,omitzero"`
	Explanation Text `json:"validation_txt,omitempty"`

	// start_stream and validate_stream, refusals of them, too; nil: nothing is offered. See Check.
	Update *Update `json:"update,omitempty"`

	// stop_stream.
	OK Text `json:"ok,omitempty"`
}
