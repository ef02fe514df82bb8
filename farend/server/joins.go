// The video servers of others, which join at /video-servers of the gateway (docs/video-server.md).

package server

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/krazycam/krazycam/farend/videoserver"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// tokensMax, in bytes, is hundreds of video servers.
const tokensMax = 64 << 10

// withJoins lets those join that have a token in the operator's file.
func (s *Server) withJoins(gateway http.Handler) (http.Handler, error) {
	path := s.config.Settings.Cluster.TokensFile
	if path == "" {
		return gateway, nil
	}
	b, err := openfile.ReadSecret(path, tokensMax)
	if err != nil {
		return nil, fmt.Errorf("tokens of video servers: %w", err)
	}
	tokens := map[string]string{}
	for line := range strings.Lines(string(b)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) != 2 || tokens[words[0]] != "" {
			return nil, fmt.Errorf("tokens of video servers: %s: must have lines of NAME TOKEN, each name once", path)
		}
		tokens[words[0]] = words[1]
	}
	joins, err := videoserver.NewJoins(s.store, tokens, time.Now, s.log)
	if err != nil {
		return nil, fmt.Errorf("tokens of video servers: %s: %w", path, err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", gateway)
	mux.Handle("POST /video-servers", joins)
	return mux, nil
}
