// Requests for a key frame. Spec: RFC 4585 section 6.3.1 (PLI), RFC 5104 section 4.3.1 (FIR).

package feedback

import "github.com/pion/rtcp"

// A FullIntra is one entry of a FIR. A repeat has the number of the one that it repeats, so
// that a lost request can be sent again (section 4.3.1.2).
type FullIntra struct {
	Media  uint32 // the stream that it is about
	Number uint8
}

func parsePictureLoss(b []byte) (m Message, ok bool) {
	var p rtcp.PictureLossIndication
	if p.Unmarshal(b) != nil {
		return Message{Kind: PictureLoss}, false
	}
	return Message{Kind: PictureLoss, Media: p.MediaSSRC}, true
}

func parseIntraRequest(b []byte) (m Message, ok bool) {
	var p rtcp.FullIntraRequest
	if p.Unmarshal(b) != nil {
		return Message{Kind: IntraRequest}, false
	}
	m = Message{Kind: IntraRequest, Sender: p.SenderSSRC, Intra: make([]FullIntra, 0, len(p.FIR))}
	for _, e := range p.FIR {
		m.Intra = append(m.Intra, FullIntra{Media: e.SSRC, Number: e.SequenceNumber})
	}
	return m, true
}
