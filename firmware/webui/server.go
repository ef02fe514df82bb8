// The HTTP server with its limits.

package webui

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"time"
)

const (
	// headerTimeout is for TLS and for a header: a BeagleBone that encodes takes 1 s.
	headerTimeout = 15 * time.Second
	// answerTimeout is for a small request and its answer. Who takes longer says so (NoDeadline).
	answerTimeout = time.Minute
	idleTimeout   = 30 * time.Second
	maxHeader     = 8 << 10 // bytes; net/http adds 4 KiB
)

// NewServer gives TLS 1.2 or later and HTTP/1.1, with the board's certificate. HTTP/2 would add
// streams, windows and a compressed header, each with limits of its own, and a board has nothing that
// would gain by it. What strangers do wrong is not logged: they could fill the log.
func NewServer(cert tls.Certificate, h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       answerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			NextProtos:   []string{"http/1.1"},
			Certificates: []tls.Certificate{cert},
		},
	}
}
