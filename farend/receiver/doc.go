// Package receiver takes many streams at the far end: RTP and RTCP come in, frames are
// reassembled and counted, sinks get packets and frames, and reports go back. It never runs on
// a board.
//
// A Server owns UDP sockets and, until Run ends, the goroutines that read them and the one that
// sends what is due: no packet starts a goroutine. A session is one granted stream: who its
// source is, its order, its gaps, its figures. Time on the wire is in 1/90000 s (RTP) or
// 1/65536 s (RTCP), everywhere else time.Duration; rates are bit/s.
//
// Sources: RFC 3550 sections 6.2, 6.4, A.1, A.3 and A.8; RFC 3611 sections 4.4 and 4.5 (round
// trip); RFC 4585 sections 6.2.1 (NACK) and 6.3.1 (PLI); RFC 4588 (resends); RFC 5761 (one port);
// RFC 6051 (capture time); RFC 7741.
package receiver
