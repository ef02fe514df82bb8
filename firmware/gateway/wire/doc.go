// Package wire has the gateway protocol's messages: what a source posts and what a
// gateway answers, with the fields that either may add.
//
// Both ends share it: the board's client (firmware/gateway) and the far end's server
// (farend/gateway). It is vocabulary: it imports nothing of ours, opens nothing and keeps
// nothing. What is sent is strict; what is read is read liberally, because gateways of
// others answer, too. Times are in seconds, as they travel.
//
// Sources: docs/gateway.md, the protocol; RFC 3711 (profiles of SRTP and the length of their
// keys).
package wire
