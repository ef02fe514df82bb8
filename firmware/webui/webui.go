// Package webui is the frame of a board's HTTPS: who may ask, how much, and how it is answered.
//
// A board stands on networks of strangers, and its first duty is the stream. So connections, headers,
// bodies and time have limits (server.go, listen.go), wrong passwords slow the one who guesses and
// cost at most one processor at a time (guard.go), and a page of somebody else's cannot use the
// password that the owner's browser remembers (answer.go). What is asked and answered is cmd/camweb's.
//
// The package has no goroutine of its own. Times are passed in where they decide anything.
//
// Sources: RFC 9110 section 11 (authentication), RFC 7617 (Basic), RFC 6585 section 4 (429).
package webui
