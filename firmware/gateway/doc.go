// Package gateway is how a source asks for permission to send: a client for the four
// requests, and the session that starts a stream when it is granted and ends it when the
// grant does. The messages themselves are in gateway/wire.
//
// It sits around the flow, not in it: no packet passes through here. Session owns
// no goroutine of its own; Run is one. Ports are plain numbers, times are
// time.Duration, and time itself is passed in. What an answer may make us do is
// limited by Policy, because a gateway can turn bad.
//
// Source: docs/gateway.md, the protocol.
package gateway
