// Package receiver takes one stream at a time at the far end: RTP and RTCP come in, frames
// are reassembled, counted and recorded, and reports go back. It never runs on a board.
//
// Receiver owns two UDP sockets and, in Run, the goroutines that read them. Rates are
// counted, not kept: whoever shows them takes two Stats and divides. Time on the wire is in
// 1/90000 s (RTP) or 1/65536 s (RTCP), everywhere else time.Duration.
//
// Sources: RFC 3550 sections 6.2, 6.4, A.1, A.3 and A.8; RFC 4585 sections 6.2.1 (NACK)
// and 6.3.1 (PLI); RFC 7741.
package receiver
