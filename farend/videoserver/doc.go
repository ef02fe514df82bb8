// Package videoserver is what passes between a gateway and the video servers that take the streams it
// grants: a Client calls a server in another process by HTTP, a Handler is its other end, and a Cluster
// chooses among the servers that live, this process's own included.
//
// A server says that it lives with a heartbeat: an Announcer writes it into the store that camservers
// share, and Joins takes the one that somebody else's video server posts. Local ends a stream that no
// gateway asks for any more. The package owns no socket; each goroutine is a Run that its caller starts.
//
// Source: docs/video-server.md.
package videoserver
