// The socket on which camweb asks init: one request a connection. Who asks is told by the kernel.
// Source: unix(7), SO_PEERCRED.

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/gokrazy/control"
)

const (
	// requestTimeout is how long a request may take to come.
	requestTimeout = 5 * time.Second
	// maxAsking bounds the connections at a time: writing a slot keeps one busy for minutes.
	maxAsking = 8
)

// A requestServer takes requests for the supervisor.
type requestServer struct {
	listener *net.UnixListener
	allowed  []int // users
	requests chan<- request
	log      *slog.Logger
}

// listenForRequests makes the socket at path, for root and for group.
func listenForRequests(path string, group int, requests chan<- request, log *slog.Logger) (*requestServer, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.Chown(path, -1, group), os.Chmod(path, 0o660))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &requestServer{l, []int{0, group}, requests, log}, nil
}

// serve takes connections until ctx ends, and waits for those that it took.
func (s *requestServer) serve(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { s.listener.Close() })
	defer stop()
	var answering sync.WaitGroup
	defer answering.Wait()
	free := make(chan struct{}, maxAsking)
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("no request can come any more", "error", err)
			}
			return
		}
		select {
		case free <- struct{}{}:
			answering.Go(func() {
				s.answer(ctx, conn)
				<-free
			})
		default:
			conn.Close() // whoever asks so often learns it that way
		}
	}
}

// answer takes one request and answers it.
func (s *requestServer) answer(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	if err := s.checkPeer(conn); err != nil {
		s.log.Warn("request refused", "error", err)
		return
	}
	_ = conn.SetDeadline(time.Now().Add(requestTimeout)) // a socket knows deadlines
	r, err := control.ReadRequest(conn)
	if err == nil {
		err = s.ask(ctx, r)
	}
	_ = conn.SetDeadline(time.Now().Add(requestTimeout))
	if err := control.WriteAnswer(conn, err); err != nil {
		s.log.Warn("an answer was not read", "ask", r.Ask, "error", err)
	}
}

// ask has the supervisor do it.
func (s *requestServer) ask(ctx context.Context, r control.Request) error {
	answer := make(chan error, 1)
	select {
	case s.requests <- request{r, answer}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkPeer refuses users that have nothing to ask.
func (s *requestServer) checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var peerErr error
	err = raw.Control(func(fd uintptr) {
		peer, peerErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, peerErr); err != nil {
		return fmt.Errorf("who asks: %w", err)
	}
	if !slices.Contains(s.allowed, int(peer.Uid)) {
		return fmt.Errorf("user %d, process %d, may ask nothing", peer.Uid, peer.Pid)
	}
	return nil
}
