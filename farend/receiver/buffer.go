// How large a receive buffer must be, and what follows if the system gives less. Pure.

package receiver

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	// readPause is how long the reader of a port for many streams leaves it alone, where many datagrams are
	// read at a time. It delays a frame by 2.5 ms on average. Without it each packet wakes the process: 50
	// streams of 300 kbit/s took 6.9 % of a core instead of 5.
	readPause = 5 * time.Millisecond

	// streamPackets a second are those of 300 kbit/s and 25 fps: two packets a frame, and a fifth more for
	// key frames and resends.
	streamPackets = 60

	// packetMemory is what a packet of 1,200 bytes takes of a receive buffer, in bytes: measured on Linux.
	packetMemory = 2304

	// readerAway is how long a busy machine does not run the reader, beside its own readPause.
	readerAway = 20 * time.Millisecond
)

// bufferNeed is what the packets of so many streams take while nobody reads, in bytes.
func bufferNeed(streams int) int {
	packets := (readPause + readerAway).Seconds() * streamPackets * float64(streams)
	return int(packets) * packetMemory
}

// pauseFor is the pause of a reader in which packets of so many streams fill no more than half of a buffer; 0
// bytes: not known.
func pauseFor(buffer, streams int) time.Duration {
	if buffer == 0 {
		return readPause
	}
	packets := float64(buffer / packetMemory / 2)
	return min(readPause, time.Duration(packets/streamPackets/float64(max(streams, 1))*float64(time.Second)))
}

// warnOfBuffer says that a port for all streams has too small a buffer.
func warnOfBuffer(log *slog.Logger, buffer, streams int) {
	if need := bufferNeed(streams); buffer < need {
		log.Warn("receiver: packets may be lost while this machine is busy: "+fmt.Sprintf(bufferAdvice, need),
			"buffer_bytes", buffer, "wanted_bytes", need, "streams", streams)
	}
}
