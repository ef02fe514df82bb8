// Package gateway is the server side of the gateway protocol for many sources: it grants streams to video
// servers, asks them what arrives, and keeps who may what in a store that several gateways can share. It
// never runs on a board.
//
// Gateway is an http.Handler. It keeps nothing itself that must outlive it: keys, sources and streams are
// rows of the store, so that any gateway answers any request. Its one goroutine is Run, which ends the
// streams that are over. SelfSigned makes a certificate for a gateway that is asked over https. Time is
// passed in.
//
// Source: docs/gateway.md, the protocol; its types are in firmware/gateway/wire.
package gateway
