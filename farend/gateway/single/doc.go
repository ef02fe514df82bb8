// Package single is the server side of the gateway protocol: it grants streams to a video
// server, asks it what arrives, and keeps the utilization ids that it gave out. It never
// runs on a board.
//
// Gateway is an http.Handler; it owns no goroutine, and a file of ids if it is given a
// folder. SelfSigned makes a certificate for one that is asked over https. One stream at a
// time: the ports are one video server. Time is passed in.
//
// Source: docs/gateway.md, the protocol; its types are in firmware/gateway/wire.
package single
