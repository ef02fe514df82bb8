// What a receiver hands on.

package stream

import "time"

// A Frame is a whole VP8 frame in its order. Bytes are the receiver's: a Sink copies what it keeps.
type Frame struct {
	Bytes         []byte
	Timestamp     uint32 // RTP, 1/90000 s
	Key           bool
	Damaged       bool // what it refers to is missing: it cannot be shown
	Width, Height int  // of the last key frame
	At            time.Time
	CapturedAt    time.Time // by this machine's clock; zero: not known
}

// A Sink takes what comes of one stream. All methods are called by one goroutine at a time, which reads
// the socket: they must not block, and keep no slice that they are given.
type Sink interface {
	// TakePacket takes an RTP packet of the source, decrypted, at its first arrival: in the order in
	// which packets came, which need not be theirs. One that came by RFC 4588 is as it was first sent.
	TakePacket(packet []byte, at time.Time)

	// TakeFrame takes a whole frame in its order. Frames that were lost show as gaps of Timestamp.
	TakeFrame(f Frame)

	// Restart says that the source began anew: another SSRC, other numbers.
	Restart()

	// Close says that the stream is over. It may take its time: nobody waits for it but the end of the
	// process.
	Close()
}

// A Reporter is a Sink that Stats have something to say of: the file that it writes now ("": none), for
// Records, and why it does not record or forward ("": it does), for Problem. It is called by any
// goroutine and does not block.
type Reporter interface {
	Report() (record, problem string)
}
